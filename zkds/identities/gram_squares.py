"""Sums of squares of a matrix of low rank, from its factors alone: nothing is committed or computed for each of its entries.

    Q_t = sum_(o, k) g_t[o, k]^2 = sum_(r, s) (sum_o d_(t, r)[o] d_(t, s)[o]) (sum_k a_(t, r)[k] a_(t, s)[k])

with g_t = sum_s d_(t, s) a_(t, s), r and s the rows of two tensors: their records, or what else a `RowView` says. d and a are
given by digits of base X, so all of this are polynomials; the prover commits the coefficients of Q_t(X), which stay below 2^59
by exact intervals, so that equality modulo p is equality. At challenges gamma for X and tau for the steps,

    sum_t eq(tau, t) sum_m gamma^m C_(m, t) = sum_(t, r, s) eq(tau, t) F(t, r, s) A(t, r, s)

with the Gram matrices F of d and A of a at gamma: a sumcheck, which ends at (t', r', s'). There each of them is
sum_(t, o) eq(t', t) d(t, r', o) d(t, s', o): a sumcheck more, which ends in two claims on digits.

Messages: the sum; the sumcheck, the values of F and A; for either its sumcheck and two values. protocol.md, section 17.3.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds import sumcheck
from zkds.claims import Value
from zkds.errors import PlanRejected
from zkds.field import ONE, K, P, powers, unblock
from zkds.identities.balanced_digits import BalancedDigits
from zkds.identities.digit_polynomials import (
    COEFFICIENT_WIDTH,
    HALF,
    MAX_COEFFICIENT,
    magnitude,
    power_axis,
    product_intervals,
)
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import I64, LimbFormat
from zkds.native import U64, exact, instruction_set
from zkds.native.exact import View, Width
from zkds.soundness import algebraic
from zkds.tensors.axes import Axis, EqAxis, VectorAxis, eq_axes, split_point, variables
from zkds.tensors.circuit import Component
from zkds.tensors.contraction import multiply, outer_product, padded_pairs, weighted_sum
from zkds.tensors.field_tables import flat_length, weighed
from zkds.tensors.tensor import (
    SCHWARTZ_ZIPPEL,
    Book,
    Committed,
    Context,
    ProverContext,
    Reader,
    Tensor,
    VerifierContext,
    draw_points,
)

FLOAT_EXACT = 1 << 53


class RowView(ABC):
    """How the entries of a tensor (steps, ..) are rows.

    rows      the shape of their index
    entries   the shape of each
    """

    rows: tuple[int, ...]
    entries: tuple[int, ...]

    @property
    @abstractmethod
    def places(self) -> I64:
        """(rows, entries), both flat: which entry of a step each is, -1 for a zero."""

    @abstractmethod
    def axes(self, steps: Axis, row: Points, entry: Points) -> tuple[Axis, ...]:
        """The weights on the tensor of an entry's extension at points."""

    @abstractmethod
    def laid_out(self, table: I64) -> tuple[I64, View]:
        """(steps, cells) as an array, and where the matrix (rows, entries) of every step is in it."""

    def of(self, step: NDArray[Any]) -> NDArray[Any]:
        """(cells, ..) -> (rows, entries, ..)."""
        framed = np.concatenate([step, np.zeros_like(step[:1])])
        found: NDArray[Any] = framed[self.places]
        return found


class Records(RowView):
    """A tensor (steps, B, *record): its records."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.rows = (shape[1],)
        self.entries = tuple(shape[2:])

    @property
    def places(self) -> I64:
        return np.arange(self.rows[0] * math.prod(self.entries), dtype=np.int64).reshape(self.rows[0], -1)

    def axes(self, steps: Axis, row: Points, entry: Points) -> tuple[Axis, ...]:
        return (steps, *eq_axes((*self.rows, *self.entries), [*row, *entry]))

    def laid_out(self, table: I64) -> tuple[I64, View]:
        return table, View.of_matrix(self.rows[0], math.prod(self.entries))


class GramSquares(Component):
    """Q_t for all steps; commits `coefficients`, (terms, T).

    inputs   (P, ..) with P >= T, digits of base X; step t has a_t
    deltas   (T, ..), digits of base X
    rows     of inputs and deltas, indexed alike; default: their records
    Raises ValueError for other shapes and bases.
    """

    def __init__(
        self, name: str, inputs: BalancedDigits, deltas: BalancedDigits, rows: tuple[RowView, RowView] | None = None
    ) -> None:
        if inputs.base != deltas.base:
            raise ValueError(f"{name}: expected digits of one base, got {inputs.base} and {deltas.base}")
        steps, views = deltas.shape[0], rows or (Records(inputs.shape), Records(deltas.shape))
        if inputs.shape[0] < steps or views[0].rows != views[1].rows:
            raise ValueError(f"{name}: expected inputs of {steps} steps and rows {views[1].rows}, got {inputs.shape}")
        self.name = name
        self.inputs, self.deltas = inputs, deltas
        self.sides: Sequence[tuple[BalancedDigits, RowView]] = ((deltas, views[1]), (inputs, views[0]))
        self.base = inputs.base
        number = LimbFormat(DIGIT_BITS, COEFFICIENT_WIDTH, signed=True)
        self.coefficients = Committed(LimbColumns(f"{name}: coefficients", number, (len(self.intervals()), steps)))

    @property
    def tensors(self) -> list[Tensor]:
        return [self.coefficients, self.inputs, self.deltas]

    def intervals(self) -> list[Interval]:
        """Of the coefficients of Q_t(X)."""
        gradient = product_intervals(self.deltas.digits, self.inputs.digits)
        gradient = [interval.times(math.prod(self.sides[0][1].rows)) for interval in gradient]
        entries = math.prod(math.prod(view.entries) for _, view in self.sides)
        return [interval.times(entries) for interval in product_intervals(gradient, gradient)]

    @property
    def fits(self) -> bool:
        """Whether the true coefficients fit, and committed ones differ from them by less than p."""
        true = magnitude(self.intervals())
        return true <= MAX_COEFFICIENT and true + self.coefficients.interval.magnitude() < P

    def check(self) -> None:
        """Raise PlanRejected unless it fits."""
        true = magnitude(self.intervals())
        if not self.fits:
            raise PlanRejected(f"{self.name}: a coefficient needs {true.bit_length() + 1} bits")

    # ---- witness -----------------------------------------------------------------------------------------------------

    def witness(self, reader: Reader) -> list[tuple[LimbColumns, I64]]:
        """The coefficients, from the columns of the digits."""
        steps = self.deltas.shape[0]
        left, right = (
            grams([np.ascontiguousarray(table[:steps]).reshape(steps, -1) for table in digits.tables(reader)], view, digits)
            for digits, view in self.sides
        )
        products = multiplied(left, right)  # (steps, coefficients of left, of right)
        found = np.zeros(self.coefficients.shape, dtype=np.int64)
        for i in range(products.shape[1]):
            found[i : i + products.shape[2]] += products[:, i].T
        return [(self.coefficients.columns, found)]

    # ---- protocol ----------------------------------------------------------------------------------------------------

    def prove(self, context: ProverContext) -> None:
        gamma, tau = self._draw(context)
        axes, weights = self._coefficient_weights(gamma, tau)
        coefficients = self.coefficients
        value = weighted_sum(coefficients.tables(context.reader), coefficients.digits, axes, weights)
        context.channel.send(f"{self.name}: sum", [value])
        context.book.add(coefficients, axes, weights, value)
        shape = self._shape
        sides = [digits_at(digits, context.reader, gamma)[: shape[0]] for digits, _ in self.sides]
        grams = [self._gram_table(view, side) for (_, view), side in zip(self.sides, sides, strict=True)]
        point, finals = sumcheck.prove(
            context.channel, grams, [(ONE, (0, 1))], _halves(shape[1:], tau), name=self.name, variables=variables(shape)
        )
        context.channel.send(f"{self.name}: factors", finals)
        points = split_point(shape, point)
        for (digits, view), side in zip(self.sides, sides, strict=True):
            self._prove_gram(context, digits, view, side, gamma, points)

    def _gram_table(self, view: RowView, side: U64) -> U64:
        """The padded products of all rows with all rows, from the digits at gamma (steps, cells, 2)."""
        grams = []
        for step in side:
            rows = view.of(step)
            grams.append(multiply(rows, rows.swapaxes(0, 1)))
        return padded_pairs(np.stack(grams).reshape(*self._shape, 2))

    def _prove_gram(
        self, context: ProverContext, digits: BalancedDigits, view: RowView, side: U64, gamma: K, points: Points
    ) -> None:
        """side: the digits at gamma, (steps, cells, 2)."""
        name = f"{self.name}: {digits.name}"
        shape = (len(side), *view.entries)
        weights = [outer_product(eq_axes(view.rows, row))[None] for row in self._rows(points)]
        rows = [[multiply(weight, view.of(step))[0] for weight in weights] for step in side]
        tables = [padded_pairs(np.stack(of_row).reshape(*shape, 2)) for of_row in zip(*rows, strict=True)]
        eq_point = _halves(shape[1:], points[0])
        end, finals = sumcheck.prove(context.channel, tables, [(ONE, (0, 1))], eq_point, name=name, variables=variables(shape))
        context.channel.send(f"{name}: factors", finals)
        self._digit_claims(context.book, digits, view, gamma, points, split_point(shape, end), finals)

    def verify(self, context: VerifierContext) -> None:
        channel = context.channel
        gamma, tau = self._draw(context)
        axes, weights = self._coefficient_weights(gamma, tau)
        (value,) = channel.receive(f"{self.name}: sum", 1)
        context.book.add(self.coefficients, axes, weights, value)
        shape = self._shape
        eq_point = _halves(shape[1:], tau)
        scaled = value * HALF ** variables(shape[1:])
        point, final = sumcheck.verify(channel, scaled, variables(shape), 2, eq_point, name=self.name)
        factors = channel.receive(f"{self.name}: factors", 2)
        channel.assert_zero(final - channel.product(*factors), f"{self.name}: product of the factors")
        points = split_point(shape, point)
        for (digits, view), gram in zip(self.sides, factors, strict=True):
            name = f"{self.name}: {digits.name}"
            own = (shape[0], *view.entries)
            eq_point = _halves(own[1:], points[0])
            scaled = gram * HALF ** variables(own[1:])
            end, final = sumcheck.verify(channel, scaled, variables(own), 2, eq_point, name=name)
            values = channel.receive(f"{name}: factors", 2)
            channel.assert_zero(final - channel.product(*values), f"{name}: product of the factors")
            self._digit_claims(context.book, digits, view, gamma, points, split_point(own, end), values)

    @property
    def _shape(self) -> tuple[int, ...]:
        """Steps, rows, rows."""
        rows = self.sides[0][1].rows
        return (self.deltas.shape[0], *rows, *rows)

    def _rows(self, points: Points) -> list[Points]:
        """The points of the two rows."""
        count = len(self.sides[0][1].rows)
        return [points[1 : 1 + count], points[1 + count :]]

    def _draw(self, context: Context) -> tuple[K, tuple[K, ...]]:
        term = algebraic(f"{self.name}: gamma", max(1, len(self.intervals()) - 1), "degree / |K|", SCHWARTZ_ZIPPEL)
        gamma = context.channel.challenge(term)
        (tau,) = draw_points(context, self.name, self.deltas.shape[:1])
        return gamma, tau

    def _coefficient_weights(self, gamma: K, tau: tuple[K, ...]) -> tuple[tuple[EqAxis, EqAxis], list[K]]:
        """Axes and digit weights of sum_t eq(tau, t) sum_m gamma^m C_(m, t)."""
        terms, factor = power_axis(self.coefficients.shape[0], gamma)
        limbs = powers(K(1 << DIGIT_BITS), len(self.coefficients.digits))
        return (terms, EqAxis(self.coefficients.shape[1], tau)), [factor * limb for limb in limbs]

    def _digit_claims(
        self,
        book: Book[Value],
        digits: BalancedDigits,
        view: RowView,
        gamma: K,
        points: Points,
        end: Points,
        values: Sequence[Value],
    ) -> None:
        """The digits at (t'', r', x') and at (t'', s', x'), polynomials at gamma."""
        steps = np.zeros((digits.shape[0], 2), dtype=np.uint64)
        steps[: self.deltas.shape[0]] = EqAxis(self.deltas.shape[0], tuple(end[0])).vector()
        weights = powers(gamma, digits.number.count)
        for row, value in zip(self._rows(points), values, strict=True):
            book.add(digits, view.axes(VectorAxis(steps), row, end[1:]), weights, value)


def _halves(inner: Sequence[int], outer: Sequence[K]) -> list[K]:
    """The eq point of a plain sum over `inner`, times 2^-(its variables), and a weighted one over an axis before it."""
    return [HALF] * variables(inner) + list(outer)


def digits_at(digits: BalancedDigits, reader: Reader, gamma: K) -> U64:
    """The polynomials at gamma: (first axis, others flat, 2)."""
    shape = (math.prod(digits.shape),)
    tables = [table.reshape(shape) for table in digits.tables(reader)]
    table = unblock(weighed(tables, powers(gamma, len(tables)), shape), flat_length(shape))
    return table[: shape[0]].reshape(digits.shape[0], -1, 2)


def grams(tables: Sequence[I64], view: RowView, digits: BalancedDigits) -> I64:
    """Digits (steps, cells) -> (steps, coefficients, rows rows): what `gram` makes of every step's rows.

    Tiles of bytes multiply digits as they are; other processors are faster with doubles.
    """
    steps, rows, most = len(tables[0]), math.prod(view.rows), magnitude(digits.digits)
    if instruction_set() != "amx":
        found = [gram([view.of(table[step]) for table in tables], most) for step in range(steps)]
        return np.stack(found).reshape(steps, -1, rows * rows)
    placed = [view.laid_out(table) for table in tables]
    arrays, where = [array for array, _ in placed], placed[0][1]
    widths = [Width.of(digit.low, digit.high) for digit in digits.digits]
    sums = [np.zeros((steps, rows, rows), dtype=np.int64) for _ in range(2 * len(tables) - 1)]
    exact.digits(arrays, where, arrays, where.transposed, (widths, widths), sums, View.of_matrix(rows, rows))
    return np.stack(sums, axis=1).reshape(steps, -1, rows * rows)


def multiplied(left: I64, right: I64) -> I64:
    """left right^T of every step, (steps, n, k) and (steps, m, k) -> (steps, n, m), for results below 2^63."""
    (steps, rows, terms), columns = left.shape, right.shape[1]
    bits = tuple(int(abs(side).max()).bit_length() for side in (left, right))
    hi, lo = (np.zeros((steps, rows, columns), dtype=np.int64) for _ in range(2))
    views = View.of_matrix(rows, terms), View.of_matrix(columns, terms).transposed, View.of_matrix(rows, columns)
    exact.wide(left, views[0], right, views[1], (bits[0], bits[1]), hi, lo, views[2])
    return (hi << np.int64(32)) + lo


def gram(digits: Sequence[I64], most: int) -> I64:
    """Digits (records, entries) of at most `most` -> the polynomials sum_x row_r(X)[x] row_s(X)[x], their coefficients first.

    (coefficients, records, records), exact in doubles. If that has room, two digits make one number, low + 2^shift high: of a
    product of two all three coefficients are found again.
    """
    count, (records, entries) = len(digits), digits[0].shape
    shift = (2 * entries * most**2).bit_length() + 1  # a coefficient is below 2^(shift - 1)
    group = 2
    if entries * (most + (most << shift)) ** 2 >= FLOAT_EXACT:
        group, shift = 1, 62
    if entries * most**2 >= FLOAT_EXACT:
        raise ValueError(f"digits: sums of {entries} products need more than 53 bits")
    numbers = [
        sum(digit << np.int64(shift * i) for i, digit in enumerate(digits[j : j + group])) for j in range(0, count, group)
    ]
    rows = np.stack(numbers).reshape(-1, entries).astype(np.float64)
    rest = (rows @ rows.T).astype(np.int64).reshape(len(numbers), records, len(numbers), records).swapaxes(1, 2)
    result = np.zeros((group * (2 * len(numbers) + 1), records, records), dtype=np.int64)
    half, mask = np.int64(1 << (shift - 1)), np.int64((1 << shift) - 1)
    for k in range(2 * group - 1):
        coefficients = ((rest + half) & mask) - half
        rest = (rest - coefficients) >> np.int64(shift)
        for i, row in enumerate(coefficients):
            result[k + group * i :: group][: len(row)] += row
    return result[: 2 * count - 1]
