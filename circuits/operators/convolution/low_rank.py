"""Sums of products around a matrix that moves by products of small ones: w_p = w_0 - sum_u D_u^T a_(T + u) + E_t^T a_t.

Nothing of the size of the matrix but w_0 takes part (docs/fixed-point.md, implicit layers):

    StartForward      sum_i w_0[o, i] a[p, b, i]                       of all passes
    StartBackward     sum_o w_0[o, i] d[p, b, o]
    RecordProducts    sum_i left[first(q), r, i] right[second(q), s, i]    Gram matrices of pairs q of passes
    Corrections       sum_(q of p) sum_s gram[q, b, s] rows[row(q), s, i]  what the pairs of a pass move its sums by

i runs over all axes of a record; claims on the operands end on axes of their own, most of them at points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zkds.identities.low_digits import LowDigits
from zkds.identities.products import DigitProducts
from zkds.integers.limb_columns import Points
from zkds.integers.limbs import I64
from zkds.native import U64, exact
from zkds.native.exact import View
from zkds.tensors.axes import Axis, EqAxis, VectorAxis, eq_axes
from zkds.tensors.contraction import outer_product, product, scale_rows, sums_by_index, weigh
from zkds.tensors.tensor import Reader, Tensor

Indices = Sequence[int]


class StartForward(DigitProducts):
    """sum_i w[o, i] a[p, b, i] for every output (p, b, o, 1, 1): w (M, *record), a (P, B, *record)."""

    def __init__(self, start: Tensor, inputs: Tensor) -> None:
        _require_equal(start.shape[1:], inputs.shape[2:], start, inputs)
        self.left = start
        self.right = inputs
        self.inner = start.shape[1:]
        self.terms = math.prod(self.inner)

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        return _weighed(self.left, reader, [EqAxis(self.left.shape[0], tuple(points[2]))], 0)

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        return _weighed(self.right, reader, eq_axes(self.right.shape[:2], points[:2]), 0)

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.left.shape, [points[2], *inner])

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.right.shape, [*points[:2], *inner])

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        rows, columns = self.left.shape[0], self.terms
        passes, batch = self.right.shape[:2]
        views = View.of_matrix(passes * batch, columns), View.of_matrix(rows, columns).transposed
        sums = _matrix_sums(LowDigits.of(self, reader, count), count, views, (passes * batch, rows))
        return [total.reshape(passes, batch, rows, 1, 1) for total in sums]


class StartBackward(DigitProducts):
    """sum_o w[o, i] d[p, b, o] for every entry (p, b, i) of the inputs: w (M, *record), d (P, B, M, 1, 1)."""

    def __init__(self, start: Tensor, deltas: Tensor) -> None:
        _require_equal(start.shape[:1], deltas.shape[2:3], start, deltas)
        self.left = start
        self.right = deltas
        self.inner = start.shape[:1]
        self.terms = start.shape[0]

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        return _weighed(self.left, reader, eq_axes(self.left.shape[1:], points[2:]), 1)

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        tables = _weighed(self.right, reader, eq_axes(self.right.shape[:2], points[:2]), 0)
        return [table.reshape(*self.inner, 2) for table in tables]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.left.shape, [*inner, *points[2:]])

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.right.shape, [*points[:2], *inner, (), ()])

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        rows, columns = self.terms, math.prod(self.left.shape[1:])
        passes, batch = self.right.shape[:2]
        views = View.of_matrix(passes * batch, rows), View.of_matrix(rows, columns)
        sums = _matrix_sums(LowDigits.of(self, reader, count), count, views, (passes * batch, columns))
        return [total.reshape(passes, batch, *self.left.shape[1:]) for total in sums]


class RecordProducts(DigitProducts):
    """sum_i left[first_q, r, i] right[second_q, s, i] for every (q, r, s); the contraction's index is (q, *record).

    left (.., B, *record), right (.., B, *record); first, second: indices of their first axes, one for every pair q.
    """

    def __init__(self, left: Tensor, right: Tensor, first: Indices, second: Indices) -> None:
        _require_equal(left.shape[1:], right.shape[1:], left, right)
        if len(first) != len(second):
            raise ValueError(f"{left.name}, {right.name}: expected as many indices of each")
        self.left = left
        self.right = right
        self.first = np.array(first, dtype=np.int64)
        self.second = np.array(second, dtype=np.int64)
        self.inner = (len(first), *left.shape[2:])
        self.terms = math.prod(left.shape[2:])

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        by_pair = EqAxis(len(self.first), tuple(points[0])).vector()
        tables = _weighed(self.left, reader, [EqAxis(self.left.shape[1], tuple(points[1]))], 1)
        return [scale_rows(table[self.first], by_pair) for table in tables]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        tables = _weighed(self.right, reader, [EqAxis(self.right.shape[1], tuple(points[2]))], 1)
        return [np.ascontiguousarray(table[self.second]) for table in tables]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        pairs, *record = eq_axes(self.inner, inner)
        weights = product(pairs.vector(), EqAxis(pairs.length, tuple(points[0])).vector())
        return (_gathered(weights, self.first, self.left), EqAxis(self.left.shape[1], tuple(points[1])), *record)

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        pairs, *record = eq_axes(self.inner, inner)
        batch = EqAxis(self.right.shape[1], tuple(points[2]))
        return (_gathered(pairs.vector(), self.second, self.right), batch, *record)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        batch, terms = self.left.shape[1], self.terms
        left, right = ([d.reshape(len(d), -1)[index] for d in side] for side, index in self._sides(digits))
        sums = [np.zeros((len(self.first), batch, batch), dtype=np.int64) for _ in range(count)]
        records = View.of_matrix(batch, terms)
        exact.digits(left, records, right, records.transposed, digits.bits, sums, View.of_matrix(batch, batch))
        return sums

    def _sides(self, digits: LowDigits) -> list[tuple[list[I64], I64]]:
        return [(digits.left, self.first), (digits.right, self.second)]


class Corrections(DigitProducts):
    """sum over the pairs q of a pass, sum_s gram[q, b, s] rows[row_q, s, i], for every (p, b, i); `result` is its shape.

    gram (pairs, B, B), rows (.., B, *record); row, passes: for every pair the index of `rows`, and the pass that it belongs to.
    The contraction's index is (q, s).
    """

    def __init__(self, rows: Tensor, gram: Tensor, row: Indices, passes: Indices, result: Sequence[int]) -> None:
        if gram.shape != (len(row), rows.shape[1], rows.shape[1]) or len(passes) != len(row):
            raise ValueError(f"{gram.name}: expected {len(row)} pairs of {rows.shape[1]} records, got {gram.shape}")
        _require_equal(rows.shape[2:], result[2:], rows)
        self.left = rows
        self.right = gram
        self.row = np.array(row, dtype=np.int64)
        self.passes = np.array(passes, dtype=np.int64)
        self.result = tuple(result)
        self.inner = gram.shape[::2]
        self.terms = int(np.bincount(self.passes).max()) * gram.shape[2]

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        tables = _weighed(self.left, reader, eq_axes(self.result[2:], points[2:]), 2)
        return [np.ascontiguousarray(table[self.row]) for table in tables]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        tables = _weighed(self.right, reader, [EqAxis(self.right.shape[1], tuple(points[1]))], 1)
        return [scale_rows(table, self._of_passes(points)) for table in tables]

    def _of_passes(self, points: Points) -> U64:
        """eq(point, p) of the pass p of every pair."""
        return np.ascontiguousarray(EqAxis(self.result[0], tuple(points[0])).vector()[self.passes])

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        pairs, records = eq_axes(self.inner, inner)
        return (_gathered(pairs.vector(), self.row, self.left), records, *eq_axes(self.result[2:], points[2:]))

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        pairs, records = eq_axes(self.inner, inner)
        weights = product(pairs.vector(), self._of_passes(points))
        return (VectorAxis(weights), EqAxis(self.right.shape[1], tuple(points[1])), records)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        batch, entries = self.left.shape[1], math.prod(self.left.shape[2:])
        rows = [digit.reshape(len(digit), -1)[self.row] for digit in digits.left]
        by_pair = [np.zeros((len(self.row), batch, entries), dtype=np.int64) for _ in range(count)]
        views = View.of_matrix(batch, batch), View.of_matrix(batch, entries), View.of_matrix(batch, entries)
        exact.digits(digits.right, views[0], rows, views[1], digits.bits[::-1], by_pair, views[2])
        sums = [np.zeros((self.result[0], batch, entries), dtype=np.int64) for _ in range(count)]
        for total, pairs in zip(sums, by_pair, strict=True):
            np.add.at(total, self.passes, pairs)
        return [total.reshape(self.result) for total in sums]


def _weighed(tensor: Tensor, reader: Reader, axes: Sequence[Axis], first: int) -> list[U64]:
    """For every digit, its sums over the axes from `first` on, by their weights: (.., 2) pairs, without these axes."""
    weights = outer_product(axes)
    shape = tensor.shape[:first], tensor.shape[first + len(axes) :]
    return [
        weigh(table.reshape(*shape[0], len(weights), *shape[1]), first, weights, digit.magnitude())
        for table, digit in zip(reader.tables(tensor), tensor.digits, strict=True)
    ]


def _gathered(weights: U64, indices: I64, tensor: Tensor) -> VectorAxis:
    """Weights of pairs -> of the entries of the first axis that they take."""
    return VectorAxis(sums_by_index(weights, indices, tensor.shape[0]))


def _matrix_sums(digits: LowDigits, count: int, views: tuple[View, View], shape: tuple[int, int]) -> list[I64]:
    """The digit sums of one product of matrices, right times left, laid out as the views say."""
    left, right = ([np.ascontiguousarray(digit)[None] for digit in side] for side in (digits.right, digits.left))
    sums = [np.zeros((1, *shape), dtype=np.int64) for _ in range(count)]
    exact.digits(left, views[0], right, views[1], digits.bits[::-1], sums, View.of_matrix(*shape))
    return [total[0] for total in sums]


def _require_equal(left: Sequence[int], right: Sequence[int], *tensors: Tensor) -> None:
    if tuple(left) != tuple(right):
        names = ", ".join(tensor.name for tensor in tensors)
        raise ValueError(f"{names}: expected records of one shape, got {tuple(left)} and {tuple(right)}")
