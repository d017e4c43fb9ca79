"""Sums of squares of products of matrices of low rank, with nothing committed for each of their entries.

    V_t = sum_(o, k) (w_t g_t)[o, k]^2      g_t = sum_s d_(t, s)[o] a_(t, s)[k]
                                            w_t = 2^exponent w_0[o, k] - sum_(u < t) sum_s D_(u, s)[o] a_(T + u, s)[k]

for steps t < T and rows s of a and d, which are records or what else a `RowView` says. Or w_t is given itself, for every step.
w, a, d, D are given by digits of a small base X (w: of a power of it), so all of them are polynomials, and so are w_t, g_t and
V_t. The prover commits the coefficients C of V_t(X) for every chunk of 2^c consecutive
entries: c is so small, by exact intervals, that no coefficient of a chunk exceeds 2^59. Two polynomials whose coefficients
differ by less than p are equal if they are modulo p, which is shown at challenges: gamma for X, z for the chunks,

    sum_c eq(z, c) sum_m gamma^m C_(c, m) = sum_x eq(z, chunk of x) w_gamma(x)^2 g_gamma(x)^2

by a sumcheck of degree 4, which ends in w_gamma and g_gamma at a point (o*, k*). Their parts of low rank are inner products
over the rows there, a sumcheck over a few dozen or hundred indices; then all that is left are claims on digits.

Messages for every step: the sum; the sumcheck; w, g, w g, and from the second step on the update at its end, if there are any;
the sumcheck over the rows; its factors. The formulas and the argument are in protocol.md, section 17.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zkds import sumcheck
from zkds.claims import Value
from zkds.errors import PlanRejected
from zkds.field import ONE, ZERO, K, P, block, powers, to_pairs, unblock
from zkds.hidden import Hidden
from zkds.identities.balanced_digits import BalancedColumns, BalancedDigits
from zkds.identities.coefficient_sums import CoefficientSums
from zkds.identities.digit_polynomials import (
    COEFFICIENT_WIDTH,
    HALF,
    MAX_COEFFICIENT,
    integer_digits,
    magnitude,
    power_axis,
    product_intervals,
    sum_intervals,
)
from zkds.identities.gram_squares import Records, RowView, digits_at
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import I64, LimbFormat
from zkds.multilinear import eq_table
from zkds.native import U32, U64, field, squares
from zkds.native.fraction import aligned_table
from zkds.soundness import algebraic
from zkds.tensors.axes import Axis, EqAxis, VectorAxis, eq_axes, split_point, unit_axis, variables
from zkds.tensors.circuit import Component
from zkds.tensors.contraction import multiply, outer_product, padded_pairs
from zkds.tensors.field_tables import LANES, flat_length, weighed
from zkds.tensors.tensor import (
    SCHWARTZ_ZIPPEL,
    Book,
    Committed,
    Context,
    ProverContext,
    Reader,
    Tensor,
    VerifierContext,
    point_term,
)

BLOCK_ENTRIES = 1 << 15  # of a table, computed at once
LARGEST_CHUNK_LOG = 40


class ProductSquares(Component):
    """V_t for all steps; commits `steps`, for each t the coefficients of all chunks, (terms, chunks).

    weights    (M, *inner), digits of w_0 of base X^stride; or (T, M, *inner), those of w_t
    inputs     (2 T - 1, ..), digits of a of base X; step t has a_t, and a_(T + t) for t < T - 1; without updates T or more
    deltas     (T, ..), digits of d of base X
    updates    (T - 1, ..), digits of D of base X; None for a single step, or if w_t is given
    exponent   at least 0
    rows       of inputs and of deltas and updates, indexed alike, (*inner) and (M); default: their records, (P, B, *inner) and
               (T, B, M)
    Raises ValueError for other shapes and bases, PlanRejected if a coefficient of one entry may exceed 2^59 - 1.
    """

    def __init__(
        self,
        name: str,
        weights: BalancedColumns,
        inputs: BalancedDigits,
        deltas: BalancedDigits,
        updates: BalancedDigits | None,
        exponent: int = 0,
        rows: tuple[RowView, RowView] | None = None,
    ) -> None:
        self.name = name
        self.weights, self.inputs, self.deltas, self.updates = weights, inputs, deltas, updates
        self.of_inputs, self.of_deltas = rows or (Records(inputs.shape), Records(deltas.shape))
        self.exponent = exponent
        self.base = inputs.base
        self.shape = (*self.of_deltas.entries[:1], *self.of_inputs.entries)
        self.moves = weights.shape == self.shape  # by updates, if there is more than one step
        self._check_shapes()
        self.stride = _logarithm(weights.base, self.base, name)
        self.scale = integer_digits(1 << exponent, self.base)
        entries = [self.entry_intervals(step) for step in range(self.step_count)]
        self.bounds = [magnitude(intervals) for intervals in entries]
        self.terms = max(map(len, entries))
        self.chunk_logs = [self._chunk_log(step) for step in range(self.step_count)]
        chunks = [-(-flat_length(self.shape) >> log) for log in self.chunk_logs]
        number = LimbFormat(DIGIT_BITS, COEFFICIENT_WIDTH, signed=True)  # wider limbs leave the carries of their sums no room
        self.steps = [
            Committed(LimbColumns(f"{name}: step {step}", number, (self.terms, count))) for step, count in enumerate(chunks)
        ]
        self.coefficients: Tensor = CoefficientSums(f"{name}: coefficients", self.steps)

    def _check_shapes(self) -> None:
        steps = self.step_count
        operands = [self.inputs, self.deltas, *([] if self.updates is None else [self.updates])]
        if any(operand.base != self.base for operand in operands):
            raise ValueError(f"{self.name}: expected digits of base {self.base}")
        if self.of_inputs.rows != self.of_deltas.rows:
            raise ValueError(f"{self.name}: expected as many rows of inputs as of deltas")
        if self.weights.shape not in (self.shape, (steps, *self.shape)):
            raise ValueError(f"{self.name}: expected weights {self.shape}, or of {steps} steps, got {self.weights.shape}")
        moved = self.moves and steps > 1
        if (None if self.updates is None else self.updates.shape) != ((steps - 1, *self.deltas.shape[1:]) if moved else None):
            raise ValueError(f"{self.name}: expected updates of {steps - 1 if moved else 0} steps")
        if self.inputs.shape[0] < (2 * steps - 1 if moved else steps):
            raise ValueError(f"{self.name}: expected inputs of {2 * steps - 1 if moved else steps} passes")
        if self.exponent < 0:
            raise ValueError(f"{self.name}: expected an exponent of at least 0, got {self.exponent}")

    @property
    def step_count(self) -> int:
        return self.deltas.shape[0]

    @property
    def rank(self) -> int:
        """The number of rows."""
        return math.prod(self.of_deltas.rows)

    def _earlier(self, step: int) -> int:
        """How many updates w_t has."""
        return step if self.moves else 0

    @property
    def tensors(self) -> list[Tensor]:
        updates = [] if self.updates is None else [self.updates]
        return [self.coefficients, *self.steps, self.weights, self.inputs, self.deltas, *updates]

    # ---- plan --------------------------------------------------------------------------------------------------------

    def factor_intervals(self, step: int) -> tuple[list[Interval], list[Interval]]:
        """Of the coefficients of w_t and of g_t at one entry."""
        spread = [Interval.point(0)] * (self.stride * (self.weights.number.count - 1) + 1)
        spread[:: self.stride] = self.weights.digits
        own = product_intervals(spread, [Interval.point(digit) for digit in self.scale])
        gradient = product_intervals(self.deltas.digits, self.inputs.digits)
        if step and self.updates is not None:
            update = product_intervals(self.updates.digits, self.inputs.digits)
            own = sum_intervals(own, [interval.times(-step * self.rank) for interval in update])
        return own, [interval.times(self.rank) for interval in gradient]

    def entry_intervals(self, step: int) -> list[Interval]:
        """Of the coefficients of (w_t g_t)^2 at one entry."""
        product = product_intervals(*self.factor_intervals(step))
        return product_intervals(product, product)

    def _chunk_log(self, step: int) -> int:
        """The largest c for which no coefficient of 2^c entries exceeds 2^59 - 1, up to the whole index."""
        if self.bounds[step] > MAX_COEFFICIENT:
            raise PlanRejected(f"{self.name}: a coefficient of step {step} needs {self.bounds[step].bit_length() + 1} bits")
        return min((MAX_COEFFICIENT // self.bounds[step]).bit_length() - 1, variables(self.shape), LARGEST_CHUNK_LOG)

    def check(self) -> None:
        """Raise PlanRejected unless committed and true coefficients differ by less than p, and the true ones fit."""
        for step, (committed, log) in enumerate(zip(self.steps, self.chunk_logs, strict=True)):
            intervals = self.entry_intervals(step)
            true = magnitude(intervals) << log
            if true > MAX_COEFFICIENT or true + committed.interval.magnitude() >= P:
                raise PlanRejected(f"{self.name}: coefficients of step {step} need {true.bit_length() + 1} bits")
            if len(intervals) > self.terms or committed.shape != (self.terms, -(-flat_length(self.shape) >> log)):
                raise PlanRejected(f"{self.name}: expected the coefficients of step {step} in chunks of 2^{log}")

    # ---- witness -----------------------------------------------------------------------------------------------------

    def witness(self, reader: Reader) -> Iterator[tuple[LimbColumns, I64]]:
        """The coefficients, from the columns of the digits. Raises ValueError where int16 does not hold a factor's, or int32 a
        product's."""
        for step in range(self.step_count):
            factors = self.factor_intervals(step)
            if max(map(magnitude, factors)) >= 1 << 15 or magnitude(product_intervals(*factors)) >= 1 << 31:
                raise ValueError(f"{self.name}: coefficients of factors need more than 16 bits, or of their product than 32")
        digits = _Digits.of(self, reader)
        for step, committed in enumerate(self.steps):
            yield committed.columns, np.ascontiguousarray(digits.coefficients(step).T)

    # ---- protocol ----------------------------------------------------------------------------------------------------

    def prove(self, context: ProverContext) -> None:
        gamma = self._draw_gamma(context)
        tables = _Tables.at(self, context.reader, gamma)
        for step in range(self.step_count):
            self._prove_step(context, step, gamma, tables)

    def _prove_step(self, context: ProverContext, step: int, gamma: K, tables: _Tables) -> None:
        channel, book, earlier = context.channel, context.book, self._earlier(step)
        z = self._draw_chunk(context, step)
        value = self._chunk_sum(context.reader, step, gamma, z)
        channel.send(f"{self.name}: sum", [value])
        self._coefficient_claim(book, step, gamma, z, value)
        eq_point = [HALF] * self.chunk_logs[step] + list(z)
        factors = tables.factors(step, context.reader)
        point, (w, g) = sumcheck.prove(
            channel, factors, [(ONE, (0, 0, 1, 1))], eq_point, name=self.name, variables=variables(self.shape)
        )
        left, right = tables.records(step, point)
        update = _inner(left[:earlier], right[:earlier]) if earlier else ZERO
        channel.send(f"{self.name}: factors", [w, g, w * g, *([update] if earlier else [])])
        self._weight_claim(book, step, gamma, point, w + update)
        mix = self._draw_mix(context, step)
        right[earlier] = _scaled(right[earlier], mix)
        index = self._record_index(step)
        inner_tables = [padded_pairs(side.reshape(*index, 2)) for side in (left, right)]
        name = f"{self.name}: records"
        end, (a, b) = sumcheck.prove(channel, inner_tables, [(ONE, (0, 1))], name=name, variables=variables(index))
        place = split_point(index, end)
        deltas = self._at_last(left, place)
        channel.send(f"{name}: factors", [a, b, *([deltas] if earlier else [])])
        self._record_claims(book, step, gamma, mix, point, place, (a, b, deltas if earlier else a))

    def verify(self, context: VerifierContext) -> None:
        gamma = self._draw_gamma(context)
        for step in range(self.step_count):
            self._verify_step(context, step, gamma)

    def _verify_step(self, context: VerifierContext, step: int, gamma: K) -> None:
        channel, book, earlier = context.channel, context.book, self._earlier(step)
        z = self._draw_chunk(context, step)
        (value,) = channel.receive(f"{self.name}: sum", 1)
        self._coefficient_claim(book, step, gamma, z, value)
        log = self.chunk_logs[step]
        eq_point = [HALF] * log + list(z)
        point, final = sumcheck.verify(channel, value * HALF**log, variables(self.shape), 4, eq_point, name=self.name)
        w, g, product, *rest = channel.receive(f"{self.name}: factors", 4 if earlier else 3)
        update = rest[0] if earlier else Hidden.public(ZERO)
        channel.assert_zero(channel.product(w, g) - product, f"{self.name}: product of the factors")
        channel.assert_zero(final - channel.product(product, product), f"{self.name}: square of the product")
        self._weight_claim(book, step, gamma, point, w + update)
        mix = self._draw_mix(context, step)
        index = self._record_index(step)
        name = f"{self.name}: records"
        end, final = sumcheck.verify(channel, update + g * mix, variables(index), 2, name=name)
        a, b, *rest = channel.receive(f"{name}: factors", 3 if earlier else 2)
        channel.assert_zero(final - channel.product(a, b), f"{name}: product of the factors")
        place = split_point(index, end)
        self._record_claims(book, step, gamma, mix, point, place, (a, b, rest[0] if earlier else a))

    def _record_index(self, step: int) -> tuple[int, ...]:
        """Rows of the earlier updates, then those of the step."""
        return (self._earlier(step) + 1, *self.of_deltas.rows)

    # ---- challenges --------------------------------------------------------------------------------------------------

    def _draw_gamma(self, context: Context) -> K:
        return context.channel.challenge(algebraic(f"{self.name}: gamma", self.terms - 1, "degree / |K|", SCHWARTZ_ZIPPEL))

    def _draw_chunk(self, context: Context, step: int) -> tuple[K, ...]:
        """A point of the chunks' index."""
        count = variables(self.shape) - self.chunk_logs[step]
        term = point_term(self.name)
        return tuple(context.channel.challenge(term) for _ in range(count))

    def _draw_mix(self, context: Context, step: int) -> K:
        """What g counts beside the update; 1 where there is none."""
        if not self._earlier(step):
            return ONE
        return context.channel.challenge(algebraic(f"{self.name}: mix", 1, "1 / |K|", SCHWARTZ_ZIPPEL))

    # ---- claims ------------------------------------------------------------------------------------------------------

    def _coefficient_claim(self, book: Book[Value], step: int, gamma: K, z: Sequence[K], value: Value) -> None:
        """sum_c eq(z, c) sum_m gamma^m C_(c, m) = value."""
        committed = self.steps[step]
        terms, factor = power_axis(self.terms, gamma)
        limbs = powers(K(1 << DIGIT_BITS), len(committed.digits))
        axes = (terms, EqAxis(committed.shape[1], tuple(z)))
        book.add(committed, axes, [factor * limb for limb in limbs], value)

    def _weight_claim(self, book: Book[Value], step: int, gamma: K, point: Sequence[K], value: Value) -> None:
        """2^exponent w_0, or 2^exponent w_t, a polynomial at gamma, at the end of the sumcheck = value."""
        axes: list[Axis] = list(eq_axes(self.shape, split_point(self.shape, point)))
        if not self.moves:
            axes.insert(0, unit_axis(step, self.step_count))
        book.add(self.weights, axes, self.weight_powers(gamma), value)

    def weight_powers(self, gamma: K) -> list[K]:
        """What the digits of w_0 count in w_t at gamma."""
        own = powers(gamma, max(len(self.scale), self.stride + 1))
        scale = sum((own[j] * digit for j, digit in enumerate(self.scale)), ZERO)
        return [scale * power for power in powers(own[self.stride], self.weights.number.count)]

    def _record_claims(
        self,
        book: Book[Value],
        step: int,
        gamma: K,
        mix: K,
        point: Sequence[K],
        place: tuple[tuple[K, ...], ...],
        values: tuple[Value, Value, Value],
    ) -> None:
        """Both factors at the end of the sumcheck over the rows; values: D and d together, a, d alone."""
        both, right, deltas = values
        earlier, (outer, *inner) = self._earlier(step), split_point(self.shape, point)
        by_pass = EqAxis(earlier + 1, place[0]).vector()
        digits = powers(gamma, max(self.inputs.number.count, self.deltas.number.count))
        passes = np.zeros((self.inputs.shape[0], 2), dtype=np.uint64)
        passes[self.step_count : self.step_count + earlier] = by_pass[:earlier]
        passes[step] = _scaled(by_pass[earlier:], mix)[0]
        of_inputs = self.of_inputs.axes(VectorAxis(passes), place[1:], inner)
        book.add(self.inputs, of_inputs, digits[: self.inputs.number.count], right)
        last = np.zeros((self.step_count, 2), dtype=np.uint64)
        last[step] = by_pass[earlier]
        axes = self._delta_axes(last, place[1:], outer)
        book.add(self.deltas, axes, digits[: self.deltas.number.count], deltas)
        if earlier:
            assert self.updates is not None
            before = np.zeros((self.step_count - 1, 2), dtype=np.uint64)
            before[:earlier] = by_pass[:earlier]
            own = powers(gamma, self.updates.number.count)
            book.add(self.updates, self._delta_axes(before, place[1:], outer), own, both - deltas)

    def _delta_axes(self, steps: U64, row: Points, outer: Sequence[K]) -> Sequence[Axis]:
        """The weights on d and D; their entries are (o), or (o, 0, 0)."""
        entry = (tuple(outer), *((),) * (len(self.of_deltas.entries) - 1))
        return self.of_deltas.axes(VectorAxis(steps), row, entry)

    def _at_last(self, left: U64, place: Points) -> K:
        """The last step's part of the multilinear extension of (steps, rows) at a point."""
        weight = EqAxis(len(left), tuple(place[0])).vector()[-1]
        rows = outer_product(eq_axes(self.of_deltas.rows, place[1:]))
        return K(*weight.tolist()) * K(*field.k_dot(block(left[-1]), block(rows)).tolist())

    def _chunk_sum(self, reader: Reader, step: int, gamma: K, z: Sequence[K]) -> K:
        """sum_c eq(z, c) sum_m gamma^m C_(c, m)."""
        committed = self.steps[step]
        bits = committed.columns.format.limb_bits
        values: I64 = np.zeros(committed.shape, dtype=np.int64)
        for j, limb in enumerate(committed.tables(reader)):
            values += limb << np.int64(bits * j)
        table = weighed(list(values), powers(gamma, self.terms), (committed.shape[1],))
        return K(*field.k_dot(table, np.ascontiguousarray(eq_table(z)[: len(table)])).tolist())


def _logarithm(power: int, base: int, name: str) -> int:
    """The stride: power = base^stride."""
    stride, found = 0, 1
    while found < power:
        stride, found = stride + 1, found * base
    if found != power or not stride:
        raise ValueError(f"{name}: expected weights of a power of base {base}, got {power}")
    return stride


# ---- the prover's tables -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class _Tables:
    """Everything at gamma: pairs, (.., 2), but `inputs` and `weight`, blocked.

    deltas, updates   (steps, rows, M, 2)
    inputs            (passes, rows, entries / 8, 2, 8), without the padding of their axes
    weight            w_t over the whole index, of one step after the other
    powers            what the weights' digits count
    factor_tables     w_t and g_t of a step, which its sumcheck overwrites
    """

    owner: ProductSquares
    deltas: U64
    updates: U64
    inputs: list[U64]
    weight: U64
    powers: list[K]
    factor_tables: list[U64]

    @classmethod
    def at(cls, owner: ProductSquares, reader: Reader, gamma: K) -> _Tables:
        of_deltas, of_inputs = owner.of_deltas, owner.of_inputs
        inputs = [_blocked_rows(of_inputs.of(own)) for own in digits_at(owner.inputs, reader, gamma)]
        deltas = np.stack([of_deltas.of(own) for own in digits_at(owner.deltas, reader, gamma)])
        updates = deltas[:0]
        if owner.updates is not None:
            updates = np.stack([of_deltas.of(own) for own in digits_at(owner.updates, reader, gamma)])
        size = -(-flat_length(owner.shape) // LANES)
        weight, weight_powers = aligned_table(size), owner.weight_powers(gamma)
        return cls(owner, deltas, updates, inputs, weight, weight_powers, [aligned_table(size) for _ in range(2)])

    def factors(self, step: int, reader: Reader) -> list[U64]:
        """w_t and g_t over the whole index, blocked. For one step after the other: w_t is w_(t - 1) less what moved it."""
        owner, inner = self.owner, self.owner.shape[1:]
        columns = 1 << variables(inner)
        w, g = self.factor_tables
        if not owner.moves or not step:
            self._read_weight(reader, step)
        for first, last in _row_blocks(owner.shape[0], columns):
            here = slice(first * columns // LANES, -(-last * columns // LANES))
            if owner.moves and step:
                moved = _outer(self.updates[step - 1, :, first:last], self.inputs[owner.step_count + step - 1], inner)
                field.sub(self.weight[here], moved, out=self.weight[here])
            w[here] = self.weight[here]
            _outer(self.deltas[step, :, first:last], self.inputs[step], inner, out=g[here])
        return [w, g]

    def records(self, step: int, point: Sequence[K]) -> tuple[U64, U64]:
        """D and d at o*, a at k*, for the updates before a step and then the step: (steps, rows, 2) pairs each."""
        owner, earlier = self.owner, self.owner._earlier(step)
        columns = variables(owner.shape[1:])
        row = unblock(eq_table(point[columns:]), owner.shape[0])
        outer = np.concatenate([self.updates[:earlier], self.deltas[step : step + 1]])
        left = multiply(outer, row[:, None])[..., 0, :]
        inside = tuple(map(slice, owner.shape[1:]))
        padded = unblock(eq_table(point[:columns]), 1 << columns).reshape(*_sides(owner.shape[1:]), 2)
        weights = _blocked_rows(padded[inside].reshape(-1, 2))
        steps = owner.step_count
        inner = [*self.inputs[steps : steps + earlier], self.inputs[step]]
        right = np.array([[field.k_dot(table, weights) for table in tables] for tables in inner], dtype=np.uint64)
        return left, right

    def _read_weight(self, reader: Reader, step: int) -> None:
        """weight = sum_j powers_j digit_j over the whole index, zero in the padding; blocked."""
        owner, shape = self.owner, self.owner.shape
        inner = _sides(shape[1:])
        columns, inside = math.prod(inner), (slice(None), *(slice(length) for length in shape[1:]))
        factors = to_pairs([*self.powers, sum(self.powers, ZERO) * -owner.weights.number.digit_offset])[None]
        limbs = [_step_of(owner, reader, name, step) for name in owner.weights.columns.names]
        for first, last in _row_blocks(shape[0], columns):
            size = (last - first) * columns
            cells = np.zeros((len(self.powers) + 1, -(-size // LANES) * LANES), dtype=np.uint64)
            sides = cells[:, :size].reshape(-1, last - first, *inner)
            for row, limb in zip(sides, limbs, strict=False):
                row[inside] = limb[first:last]
            sides[-1][inside] = 1
            self.weight[first * columns // LANES : -(-last * columns // LANES)] = field.f_matmul(factors, cells)[0]


def _step_of(owner: ProductSquares, reader: Reader, name: str, step: int) -> U32:
    """A column of the weights: all of w_0, or what belongs to a step."""
    return reader.read(name) if owner.moves else reader.read_entry(name, step)


def _sides(shape: Sequence[int]) -> tuple[int, ...]:
    """The padded axes."""
    return tuple(1 << (length - 1).bit_length() for length in shape)


def _blocked_rows(pairs: U64) -> U64:
    """(.., n, 2) pairs -> (.., ceil(n / 8), 2, 8), every row blocked by itself."""
    *lead, count, _ = pairs.shape
    padded = np.zeros((*lead, -(-count // LANES) * LANES, 2), dtype=np.uint64)
    padded[..., :count, :] = pairs
    return np.ascontiguousarray(padded.reshape(*lead, -1, LANES, 2).swapaxes(-1, -2))


def _row_blocks(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """First and last row of each, of whole vectors."""
    height = max(1, BLOCK_ENTRIES // columns) if columns >= LANES else rows
    for first in range(0, rows, height):
        yield first, min(rows, first + height)


def _outer(weights: U64, tables: U64, inner: Sequence[int], out: U64 | None = None) -> U64:
    """(rank, rows, 2) pairs times (rank, m, 2, 8), the entries of `inner` blocked -> over the padded axes, blocked.

    What is padding is not computed: of a kernel of 3x3 it is 7 of 16 entries.
    """
    sides, rows = _sides(inner), weights.shape[1]
    columns, factors = math.prod(sides), np.ascontiguousarray(weights.swapaxes(0, 1))
    if columns % LANES == 0 and sides == tuple(inner):
        place = None if out is None else out.reshape(rows, *tables.shape[1:])
        return field.k_matmul(factors, tables, place).reshape(-1, 2, LANES)
    entries = field.k_matmul(factors, tables).swapaxes(1, 2).reshape(rows, 2, -1)[..., : math.prod(inner)]
    padded = np.zeros((rows, 2, *sides), dtype=np.uint64)
    padded[(slice(None), slice(None), *map(slice, inner))] = entries.reshape(rows, 2, *inner)
    if columns % LANES:
        result = block(np.ascontiguousarray(np.moveaxis(padded.reshape(rows, 2, columns), 1, 2)).reshape(-1, 2))
    else:
        result = padded.reshape(rows, 2, -1, LANES).swapaxes(1, 2).reshape(-1, 2, LANES)
    if out is not None:
        out[...] = result
    return result


def _inner(left: U64, right: U64) -> K:
    """sum left right, pairs."""
    return K(*field.k_dot(block(left.reshape(-1, 2)), block(right.reshape(-1, 2))).tolist())


def _scaled(pairs: U64, factor: K) -> U64:
    return unblock(field.k_scale(block(pairs), to_pairs([factor])[0]), len(pairs))


# ---- digits for the witness ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class _Digits:
    """All digits as int16: inputs (passes, cells, digits), deltas and updates (M, steps rows, digits)."""

    owner: ProductSquares
    reader: Reader
    inputs: squares.I16
    deltas: squares.I16
    updates: squares.I16

    @classmethod
    def of(cls, owner: ProductSquares, reader: Reader) -> _Digits:
        deltas = _by_output(owner.of_deltas, _digits(owner.deltas, reader))
        updates = deltas[:, :0] if owner.updates is None else _by_output(owner.of_deltas, _digits(owner.updates, reader))
        return cls(owner, reader, _digits(owner.inputs, reader), deltas, updates)

    def coefficients(self, step: int) -> I64:
        """(chunks, terms). A chunk that has all taps of its kernels is the sum, over the taps, of chunks without these axes.

        That spares the padding of 3x3 taps, and pays where rows of `w_t` are long and need no digits of earlier updates: with
        those, what is done once for a row of weights would be done once for each of its taps.
        """
        owner, log, (_, *taps) = self.owner, self.owner.chunk_logs[step], self.owner.shape[1:]
        names = owner.weights.columns.names
        weights = np.empty((owner.shape[0], len(names), *owner.shape[1:]), dtype=np.int16)
        for j, name in enumerate(names):
            weights[:, j] = _step_of(owner, self.reader, name, step)
        weights -= np.int16(owner.weights.number.digit_offset)
        before = [self._rows(owner.step_count + u) for u in range(owner._earlier(step))]
        nothing = np.zeros((0, 1, *owner.shape[1:]), dtype=np.int16)
        rows = (np.concatenate(before) if before else nothing, self._rows(step))
        bits = variables(taps)
        if owner.moves or log < bits:
            return self._products(step, weights, rows, log)
        found = np.zeros((-(-flat_length(owner.shape) >> log), owner.terms), dtype=np.int64)
        for tap in np.ndindex(*taps):
            here = (..., *tap)
            found += self._products(step, weights[here], (rows[0][here], rows[1][here]), log - bits)
        return found

    def _products(self, step: int, weights: squares.I16, rows: tuple[squares.I16, squares.I16], log: int) -> I64:
        """Of weights (M, digits, ..) and rows of earlier updates and of the step (rows, digits, ..), at all taps or one."""
        own, rank = self.owner, self.owner.rank
        outer = self.updates, np.ascontiguousarray(self.deltas[:, step * rank : (step + 1) * rank])
        update, gradient = (squares.LowRank(left, _padded(right)) for left, right in zip(outer, rows, strict=True))
        scale = np.array(own.scale, dtype=np.int16)
        return squares.product_squares(_padded(weights), own.stride, scale, update, gradient, log, own.terms)

    def _rows(self, index: int) -> squares.I16:
        """The rows of a pass's inputs: (rows, digits, *inner)."""
        rows = np.moveaxis(self.owner.of_inputs.of(self.inputs[index]), -1, 1)
        return rows.reshape(*rows.shape[:2], *self.owner.of_inputs.entries)


def _padded(values: squares.I16) -> squares.I16:
    """All axes but the first two padded with zeros to powers of two, and flat."""
    sides = _sides(values.shape[2:])
    result = np.zeros((*values.shape[:2], *sides), dtype=np.int16)
    result[(slice(None), slice(None), *map(slice, values.shape[2:]))] = values
    return result.reshape(*values.shape[:2], math.prod(sides))


def _digits(owner: BalancedDigits, reader: Reader) -> squares.I16:
    """(steps, cells, digits) int16."""
    result = np.empty((owner.shape[0], math.prod(owner.shape[1:]), owner.number.count), dtype=np.int16)
    for j, name in enumerate(owner.columns.names):
        result[..., j] = reader.read(name).reshape(result.shape[:2])
    result -= np.int16(owner.number.digit_offset)
    return result


def _by_output(view: RowView, digits: squares.I16) -> squares.I16:
    """(steps, cells, digits) -> (M, steps rows, digits)."""
    rows = np.stack([view.of(own) for own in digits])  # (steps, rows, M, digits)
    return np.ascontiguousarray(np.moveaxis(rows, 2, 0).reshape(rows.shape[2], -1, rows.shape[3]))
