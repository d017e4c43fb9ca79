"""Sums of squares of products of matrices of low rank, with nothing committed for each of their entries.

    V_t = sum_(o, k) (w_t g_t)[o, k]^2      g_t = sum_s d_(t, s)[o] a_(t, s)[k]
                                            w_t = 2^exponent w_0[o, k] - sum_(u < t) sum_s D_(u, s)[o] a_(T + u, s)[k]

for steps t < T, records s < B. w_0, a, d, D are given by digits of a small base X (w_0: of a power of it), so all of them are
polynomials, and so are w_t, g_t and V_t. The prover commits the coefficients C of V_t(X) for every chunk of 2^c consecutive
entries: c is so small, by exact intervals, that no coefficient of a chunk exceeds 2^59. Two polynomials whose coefficients
differ by less than p are equal if they are modulo p, which is shown at challenges: gamma for X, z for the chunks,

    sum_c eq(z, c) sum_m gamma^m C_(c, m) = sum_x eq(z, chunk of x) w_gamma(x)^2 g_gamma(x)^2

by a sumcheck of degree 4, which ends in w_gamma and g_gamma at a point (o*, k*). Their parts of low rank are inner products
over the records there, a sumcheck over a few dozen indices; then all that is left are claims on digits.

Messages for every step: the sum; the sumcheck; w, g, w g, and from the second step on the update at its end; the sumcheck over
the records; its factors. The formulas and the argument are in protocol.md, section 17.2.
"""

from __future__ import annotations

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
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.multilinear import eq_table
from zkds.native import U64, field, squares
from zkds.native.fraction import aligned_table
from zkds.soundness import algebraic
from zkds.tensors.axes import Axis, EqAxis, VectorAxis, eq_axes, split_point, variables
from zkds.tensors.circuit import Component
from zkds.tensors.contraction import multiply, padded_pairs
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

    weights    (M, *inner), digits of w_0 of base X^stride
    inputs     (2 T - 1, B, *inner), digits of a of base X; step t has a_t, and a_(T + t) for t < T - 1
    deltas     (T, B, M), digits of d of base X
    updates    (T - 1, B, M), digits of D of base X; None for a single step
    exponent   at least 0
    Raises ValueError for other shapes and bases, PlanRejected if a coefficient of one entry may exceed 2^59 - 1.
    """

    def __init__(
        self,
        name: str,
        weights: BalancedColumns,
        inputs: BalancedDigits,
        deltas: BalancedDigits,
        updates: BalancedDigits | None,
        exponent: int,
    ) -> None:
        self.name = name
        self.weights, self.inputs, self.deltas, self.updates = weights, inputs, deltas, updates
        self.exponent = exponent
        self.base = inputs.base
        self._check_shapes()
        self.stride = _logarithm(weights.base, self.base, name)
        self.scale = integer_digits(1 << exponent, self.base)
        self.shape = weights.shape
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
        steps, batch, rows = self.deltas.shape
        operands = [self.inputs, self.deltas, *([] if self.updates is None else [self.updates])]
        if any(operand.base != self.base for operand in operands):
            raise ValueError(f"{self.name}: expected digits of base {self.base}")
        if self.inputs.shape != (2 * steps - 1, batch, *self.weights.shape[1:]) or self.weights.shape[0] != rows:
            raise ValueError(f"{self.name}: expected inputs of {2 * steps - 1} passes, {batch} records, and {rows} rows")
        if (None if self.updates is None else self.updates.shape) != ((steps - 1, batch, rows) if steps > 1 else None):
            raise ValueError(f"{self.name}: expected updates of {steps - 1} steps")
        if self.exponent < 0:
            raise ValueError(f"{self.name}: expected an exponent of at least 0, got {self.exponent}")

    @property
    def step_count(self) -> int:
        return self.deltas.shape[0]

    @property
    def batch(self) -> int:
        return self.deltas.shape[1]

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
            own = sum_intervals(own, [interval.times(-step * self.batch) for interval in update])
        return own, [interval.times(self.batch) for interval in gradient]

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
        steps, batch, _ = self.deltas.shape
        weights = np.ascontiguousarray(_digits(self.weights, reader, 1).swapaxes(0, 1))
        inner = np.ascontiguousarray(np.moveaxis(_digits(self.inputs, reader, 2), 0, 2))  # (passes, records, digits, columns)
        deltas = _by_row(self.deltas, reader)
        updates = deltas[:, :0] if self.updates is None else _by_row(self.updates, reader)
        for step, (committed, log) in enumerate(zip(self.steps, self.chunk_logs, strict=True)):
            earlier = inner[steps : steps + step].reshape(step * batch, *inner.shape[2:])
            own = np.ascontiguousarray(deltas[:, step * batch : (step + 1) * batch])
            update, gradient = squares.LowRank(updates, earlier), squares.LowRank(own, inner[step])
            scale = np.array(self.scale, dtype=np.int16)
            found = squares.product_squares(weights, self.stride, scale, update, gradient, log, self.terms)
            yield committed.columns, np.ascontiguousarray(found.T)

    # ---- protocol ----------------------------------------------------------------------------------------------------

    def prove(self, context: ProverContext) -> None:
        gamma = self._draw_gamma(context)
        tables = _Tables.at(self, context.reader, gamma)
        for step in range(self.step_count):
            self._prove_step(context, step, gamma, tables)

    def _prove_step(self, context: ProverContext, step: int, gamma: K, tables: _Tables) -> None:
        channel, book = context.channel, context.book
        z = self._draw_chunk(context, step)
        value = self._chunk_sum(context.reader, step, gamma, z)
        channel.send(f"{self.name}: sum", [value])
        self._coefficient_claim(book, step, gamma, z, value)
        eq_point = [HALF] * self.chunk_logs[step] + list(z)
        factors = tables.factors(step)
        point, (w, g) = sumcheck.prove(
            channel, factors, [(ONE, (0, 0, 1, 1))], eq_point, name=self.name, variables=variables(self.shape)
        )
        left, right = tables.records(step, point, self.shape)
        update = _inner(left[:step], right[:step]) if step else ZERO
        channel.send(f"{self.name}: factors", [w, g, w * g, *([update] if step else [])])
        self._weight_claim(book, gamma, point, w + update)
        mix = self._draw_mix(context, step)
        right[step] = _scaled(right[step], mix)
        index = (step + 1, self.batch)
        inner_tables = [padded_pairs(left), padded_pairs(right)]
        name = f"{self.name}: records"
        end, (a, b) = sumcheck.prove(channel, inner_tables, [(ONE, (0, 1))], name=name, variables=variables(index))
        place = split_point(index, end)
        deltas = _at_last(left, place)
        channel.send(f"{name}: factors", [a, b, *([deltas] if step else [])])
        self._record_claims(book, step, gamma, mix, point, place, (a, b, deltas if step else a))

    def verify(self, context: VerifierContext) -> None:
        gamma = self._draw_gamma(context)
        for step in range(self.step_count):
            self._verify_step(context, step, gamma)

    def _verify_step(self, context: VerifierContext, step: int, gamma: K) -> None:
        channel, book = context.channel, context.book
        z = self._draw_chunk(context, step)
        (value,) = channel.receive(f"{self.name}: sum", 1)
        self._coefficient_claim(book, step, gamma, z, value)
        log = self.chunk_logs[step]
        eq_point = [HALF] * log + list(z)
        point, final = sumcheck.verify(channel, value * HALF**log, variables(self.shape), 4, eq_point, name=self.name)
        w, g, product, *rest = channel.receive(f"{self.name}: factors", 4 if step else 3)
        update = rest[0] if step else Hidden.public(ZERO)
        channel.assert_zero(channel.product(w, g) - product, f"{self.name}: product of the factors")
        channel.assert_zero(final - channel.product(product, product), f"{self.name}: square of the product")
        self._weight_claim(book, gamma, point, w + update)
        mix = self._draw_mix(context, step)
        index = (step + 1, self.batch)
        name = f"{self.name}: records"
        end, final = sumcheck.verify(channel, update + g * mix, variables(index), 2, name=name)
        a, b, *rest = channel.receive(f"{name}: factors", 3 if step else 2)
        channel.assert_zero(final - channel.product(a, b), f"{name}: product of the factors")
        self._record_claims(book, step, gamma, mix, point, split_point(index, end), (a, b, rest[0] if step else a))

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
        if not step:
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

    def _weight_claim(self, book: Book[Value], gamma: K, point: Sequence[K], value: Value) -> None:
        """2^exponent w_0, a polynomial at gamma, at the end of the sumcheck = value."""
        book.add(self.weights, eq_axes(self.shape, split_point(self.shape, point)), self.weight_powers(gamma), value)

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
        """Both factors at the end of the sumcheck over the records; values: D and d together, a, d alone."""
        both, right, deltas = values
        row, *inner = split_point(self.shape, point)
        by_pass = EqAxis(step + 1, place[0]).vector()
        records = EqAxis(self.batch, place[1])
        digits = powers(gamma, max(self.inputs.number.count, self.deltas.number.count))
        passes = np.zeros((self.inputs.shape[0], 2), dtype=np.uint64)
        passes[self.step_count : self.step_count + step] = by_pass[:step]
        passes[step] = _scaled(by_pass[step:], mix)[0]
        axes: list[Axis] = [VectorAxis(passes), records, *eq_axes(self.shape[1:], inner)]
        book.add(self.inputs, axes, digits[: self.inputs.number.count], right)
        outer: list[Axis] = [records, EqAxis(self.shape[0], row)]
        last = np.zeros((self.step_count, 2), dtype=np.uint64)
        last[step] = by_pass[step]
        book.add(self.deltas, [VectorAxis(last), *outer], digits[: self.deltas.number.count], deltas)
        if step:
            assert self.updates is not None
            earlier = np.zeros((self.step_count - 1, 2), dtype=np.uint64)
            earlier[:step] = by_pass[:step]
            own = powers(gamma, self.updates.number.count)
            book.add(self.updates, [VectorAxis(earlier), *outer], own, both - deltas)

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

    deltas, updates   (steps, records, rows, 2)
    inputs            (passes, records, columns / 8, 2, 8)
    weight            w_t over the whole index, of one step after the other
    factor_tables     w_t and g_t of a step, which its sumcheck overwrites
    """

    owner: ProductSquares
    deltas: U64
    updates: U64
    inputs: U64
    weight: U64
    factor_tables: list[U64]

    @classmethod
    def at(cls, owner: ProductSquares, reader: Reader, gamma: K) -> _Tables:
        rows = owner.shape[0]
        inputs = _at(owner.inputs, reader, gamma)
        inputs = inputs.reshape(*owner.inputs.shape[:2], -1, 2)
        deltas = _at(owner.deltas, reader, gamma).reshape(*owner.deltas.shape[:2], -1, 2)[:, :, :rows]
        updates = deltas[:0]
        if owner.updates is not None:
            updates = _at(owner.updates, reader, gamma).reshape(*owner.updates.shape[:2], -1, 2)[:, :, :rows]
        weight = _weight(owner, reader, owner.weight_powers(gamma))
        return cls(owner, deltas, updates, _blocked_rows(inputs), weight, [aligned_table(len(weight)) for _ in range(2)])

    def factors(self, step: int) -> list[U64]:
        """w_t and g_t over the whole index, blocked. For one step after the other: w_t is w_(t - 1) less what moved it."""
        owner, columns = self.owner, 1 << variables(self.owner.shape[1:])
        w, g = self.factor_tables
        for first, last in _row_blocks(owner.shape[0], columns):
            here = slice(first * columns // LANES, -(-last * columns // LANES))
            if step:
                moved = _outer(self.updates[step - 1, :, first:last], self.inputs[owner.step_count + step - 1], columns)
                field.sub(self.weight[here], moved, out=self.weight[here])
            w[here] = self.weight[here]
            _outer(self.deltas[step, :, first:last], self.inputs[step], columns, out=g[here])
        return [w, g]

    def records(self, step: int, point: Sequence[K], shape: Sequence[int]) -> tuple[U64, U64]:
        """D and d at o*, a at k*, for the updates before a step and then the step: (step + 1, records, 2) pairs each."""
        columns = variables(shape[1:])
        row = unblock(eq_table(point[columns:]), shape[0])
        outer = np.concatenate([self.updates[:step], self.deltas[step : step + 1]])
        left = multiply(outer, row[:, None])[..., 0, :]
        weights = eq_table(point[:columns])
        steps = self.owner.step_count
        inner = np.concatenate([self.inputs[steps : steps + step], self.inputs[step : step + 1]])
        right = np.array([[field.k_dot(table, weights) for table in tables] for tables in inner], dtype=np.uint64)
        return left, right


def _at(digits: BalancedDigits, reader: Reader, gamma: K) -> U64:
    """The polynomials at gamma, over the index with every axis but the first two padded: pairs."""
    shape = (digits.shape[0] * digits.shape[1], *digits.shape[2:])
    tables = [table.reshape(shape) for table in digits.tables(reader)]
    return unblock(weighed(tables, powers(gamma, len(tables)), shape), flat_length(shape))


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


def _weight(owner: ProductSquares, reader: Reader, weights: Sequence[K]) -> U64:
    """sum_j weights_j digit_j of w_0 over the whole index, zero in the padding; blocked."""
    shape = owner.shape
    inner = tuple(1 << (length - 1).bit_length() for length in shape[1:])
    columns, inside = int(np.prod(inner)), (slice(None), *(slice(length) for length in shape[1:]))
    factors = to_pairs([*weights, sum(weights, ZERO) * -owner.weights.number.digit_offset])[None]
    weight = aligned_table(-(-shape[0] * columns // LANES))
    for first, last in _row_blocks(shape[0], columns):
        size = (last - first) * columns
        cells = np.zeros((len(weights) + 1, -(-size // LANES) * LANES), dtype=np.uint64)
        sides = cells[:, :size].reshape(-1, last - first, *inner)
        for row, name in zip(sides, owner.weights.columns.names, strict=False):
            row[inside] = reader.read(name)[first:last]
        sides[-1][inside] = 1
        weight[first * columns // LANES : -(-last * columns // LANES)] = field.f_matmul(factors, cells)[0]
    return weight


def _outer(weights: U64, tables: U64, columns: int, out: U64 | None = None) -> U64:
    """(rank, rows, 2) pairs times (rank, m, 2, 8) blocked -> all entries, blocked."""
    rows = np.ascontiguousarray(weights.swapaxes(0, 1))
    if columns >= LANES:
        shape = (len(rows), *tables.shape[1:])
        return field.k_matmul(rows, tables, None if out is None else out.reshape(shape)).reshape(-1, 2, LANES)
    pairs = field.k_matmul(rows, tables).reshape(len(rows), 2, LANES).swapaxes(1, 2)[:, :columns]
    result = block(np.ascontiguousarray(pairs).reshape(-1, 2))
    if out is not None:
        out[...] = result
    return result


def _inner(left: U64, right: U64) -> K:
    """sum left right, pairs."""
    return K(*field.k_dot(block(left.reshape(-1, 2)), block(right.reshape(-1, 2))).tolist())


def _scaled(pairs: U64, factor: K) -> U64:
    return unblock(field.k_scale(block(pairs), to_pairs([factor])[0]), len(pairs))


def _at_last(left: U64, place: tuple[tuple[K, ...], ...]) -> K:
    """The last row's part of the multilinear extension of (rows, records) at a point."""
    weight = EqAxis(len(left), place[0]).vector()[-1]
    value = field.k_dot(block(left[-1]), block(EqAxis(left.shape[1], place[1]).vector()))
    return K(*weight.tolist()) * K(*value.tolist())


# ---- digits for the witness ------------------------------------------------------------------------------------------------


def _digits(owner: BalancedColumns, reader: Reader, lead: int) -> squares.I16:
    """The digits, (digits, *the first `lead` axes, all others, padded and flat) int16, zero in the padding."""
    inner = owner.shape[lead:]
    sides = tuple(1 << (length - 1).bit_length() for length in inner)
    result = np.zeros((owner.number.count, *owner.shape[:lead], *sides), dtype=np.int16)
    inside = (..., *(slice(length) for length in inner))
    for digit, name in zip(result, owner.columns.names, strict=True):
        digit[inside] = reader.read(name)
        digit[inside] -= np.int16(owner.number.digit_offset)
    return result.reshape(*result.shape[: 1 + lead], -1)


def _by_row(owner: BalancedDigits, reader: Reader) -> squares.I16:
    """(steps, records, rows) -> (rows, steps records, digits) int16."""
    digits = _digits(owner, reader, 3)[..., 0]
    return np.ascontiguousarray(np.moveaxis(digits, (0, 3), (3, 0)).reshape(owner.shape[2], -1, len(digits)))
