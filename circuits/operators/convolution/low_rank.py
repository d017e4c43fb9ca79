"""Sums of products around a matrix that moves by products of small ones: w_p = w_0 - sum_u D_u^T a_(T + u) + E_t^T a_t.

Nothing of the size of the matrix but w_0 takes part (docs/fixed-point.md, implicit layers). Rows r = (b, y, x) and s stand for
records and output positions; a[p, r, i] is what tap (d, e) of the kernel meets there of channel c of the inputs, i = (c, d, e).

    StartForward        sum_i w_0[o, i] a[p, r, i]                             of all passes
    StartBackward       sum_(o, r, d, e) w_0[o, i] d[p, r, o]                  over the patches that an input lies in
    RowProducts         sum_i left[first(q), r, i] right[second(q), s, i]      Gram matrices of pairs q of passes
    OutputCorrections   sum_(q of p) sum_s gram[q, r, s] rows[row(q), s, o]    what the pairs of a pass move its outputs by
    InputCorrections    sum_(q of p) sum_(s, r, d, e) gram[q, r, s] a[row(q), s, i]    and its inputs' deltas

Claims on the operands end on axes of their own. Along the rows and columns of images they are points where outputs or taps are
the inputs, one by one, as in a dense layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from zkds.circuits.operators.convolution.views import ConvolutionViews, views
from zkds.circuits.operators.convolution.windows import Geometry, Window, one_by_one
from zkds.identities.gram_squares import RowView
from zkds.identities.low_digits import LowDigits
from zkds.identities.products import DigitProducts
from zkds.integers.limb_columns import Points
from zkds.integers.limbs import I64
from zkds.native import U64, exact
from zkds.native.exact import ArrayProducts, View
from zkds.tensors.axes import Axis, EqAxis, VectorAxis, eq_axes
from zkds.tensors.contraction import multiply, outer_product, product, scale_rows, sums_by_index, weigh
from zkds.tensors.tensor import Reader, Tensor

Indices = Sequence[int]
Windows = tuple[Window, Window]  # along rows and columns


class Patches(RowView):
    """Rows (b, y, x) of images (B, C, H, W): what the kernel meets at every output, (c, d, e)."""

    def __init__(self, batch: int, channels: int, windows: Windows) -> None:
        self.batch, self.channels, self.windows = batch, channels, windows
        self.rows = (batch, *(window.outputs for window in windows))
        self.entries = (channels, *(window.kernel for window in windows))

    @cached_property
    def places(self) -> I64:
        shape = (self.batch, self.channels, *(window.inputs for window in self.windows))
        framed, where = self.laid_out(np.arange(1, 1 + math.prod(shape), dtype=np.int64)[None])
        found: I64 = framed.reshape(-1)[where.rows[:, None] + where.columns]
        return found - 1

    def laid_out(self, table: I64) -> tuple[I64, View]:
        where = views(self.batch, self.channels, 1, 1, *self.windows)
        images = table.reshape(-1, self.batch, self.channels, *(window.inputs for window in self.windows))
        return where.frame_inputs(images), where.patches.transposed

    def axes(self, steps: Axis, row: Points, entry: Points) -> tuple[Axis, ...]:
        return (steps, *eq_axes(self.rows[:1] + self.entries[:1], [row[0], entry[0]]), *_met(self.windows, row[1:], entry[1:]))


class StartForward(DigitProducts):
    """sum_i w[o, i] a[p, r, i] for every output (p, b, o, y, x): w (M, C, kernel), a (P, B, C, H, W)."""

    def __init__(self, geometry: Geometry, start: Tensor, inputs: Tensor) -> None:
        _require_shape(start, geometry.weight_shape)
        _require_shape(inputs, geometry.input_shape)
        self.geometry = geometry
        self.left = start
        self.right = inputs
        self.inner = start.shape[1:]
        rows, columns = geometry.rows, geometry.columns
        self.terms = start.shape[1] * rows.most_terms_of_an_output * columns.most_terms_of_an_output

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        return _weighed(self.left, reader, [EqAxis(self.left.shape[0], tuple(points[2]))], 0)

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        windows, output = (self.geometry.rows, self.geometry.columns), self.geometry.output_shape
        tables = _weighed(self.right, reader, eq_axes(output[:2], points[:2]), 0)
        return [_at_taps(windows, table, points[3:]) for table in tables]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.left.shape, [points[2], *inner])

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        windows = self.geometry.rows, self.geometry.columns
        return (*eq_axes(self.right.shape[:3], [*points[:2], inner[0]]), *_met(windows, points[3:], inner[1:]))

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        where = _all_passes(self.geometry).values
        return _in_one(self, reader, count, where, self.geometry.output_shape)


class StartBackward(DigitProducts):
    """sum_(o, r, d, e) w[o, i] d[p, r, o] for every input (p, b, c, u, v): w (M, C, kernel), d (P, B, M, Y, X).

    The contraction's index is (o, d, e).
    """

    def __init__(self, geometry: Geometry, start: Tensor, deltas: Tensor) -> None:
        _require_shape(start, geometry.weight_shape)
        _require_shape(deltas, geometry.output_shape)
        self.geometry = geometry
        self.left = start
        self.right = deltas
        self.inner = (start.shape[0], *start.shape[2:])
        rows, columns = geometry.rows, geometry.columns
        self.terms = start.shape[0] * rows.most_terms_of_an_input * columns.most_terms_of_an_input

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        return _weighed(self.left, reader, [EqAxis(self.left.shape[1], tuple(points[2]))], 1)

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        tables = _weighed(self.right, reader, eq_axes(self.right.shape[:2], points[:2]), 0)
        rows, columns = self._seen(points)
        by_columns = (multiply(table, columns).swapaxes(-3, -2) for table in tables)
        return [np.ascontiguousarray(multiply(table, rows).swapaxes(-3, -2)) for table in by_columns]

    def _seen(self, points: Points) -> tuple[U64, U64]:
        """eq of the input that a tap meets at an output: (Y, d, 2) and (X, e, 2)."""
        rows, columns = eq_axes(self.geometry.input_shape[3:], points[3:])
        return self.geometry.rows.of_inputs(rows.vector()), self.geometry.columns.of_inputs(columns.vector())

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.left.shape, [inner[0], points[2], *inner[1:]])

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        taps = eq_axes(self.inner[1:], inner[1:])
        positions = (
            VectorAxis(multiply(seen, tap.vector()[:, None])[:, 0]) for seen, tap in zip(self._seen(points), taps, strict=True)
        )
        return (*eq_axes(self.right.shape[:3], [*points[:2], inner[0]]), *positions)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        where = _all_passes(self.geometry).input_gradient
        return _in_one(self, reader, count, where, self.geometry.input_shape)


class RowProducts(DigitProducts):
    """sum_i left[first_q, r, i] right[second_q, s, i] for every (q, r, s): (pairs, B, Y, X, B, Y, X).

    left (.., B, C, H, W), right (.., B, C, H, W), of which the windows see patches; first, second: indices of their first
    axes, one for every pair q. The contraction's index is (q, c, d, e).
    """

    def __init__(self, left: Tensor, right: Tensor, first: Indices, second: Indices, windows: Windows) -> None:
        if left.shape[1:] != right.shape[1:] or left.shape[3:] != tuple(window.inputs for window in windows):
            raise ValueError(f"{left.name}, {right.name}: expected images of one shape, got {left.shape} and {right.shape}")
        if len(first) != len(second):
            raise ValueError(f"{left.name}, {right.name}: expected as many indices of each")
        self.left = left
        self.right = right
        self.first = np.array(first, dtype=np.int64)
        self.second = np.array(second, dtype=np.int64)
        self.windows = windows
        self.inner = (len(first), left.shape[2], *(window.kernel for window in windows))
        self.terms = left.shape[2] * math.prod(window.most_terms_of_an_output for window in windows)

    @property
    def result(self) -> tuple[int, ...]:
        rows = (self.left.shape[1], *(window.outputs for window in self.windows))
        return (len(self.first), *rows, *rows)

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        by_pair = EqAxis(len(self.first), tuple(points[0])).vector()
        return [scale_rows(table[self.first], by_pair) for table in self._tables(self.left, reader, points[1:4])]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        return [np.ascontiguousarray(table[self.second]) for table in self._tables(self.right, reader, points[4:])]

    def _tables(self, tensor: Tensor, reader: Reader, row: Points) -> list[U64]:
        """The patches at a point of the rows: (.., C, d, e, 2) for every digit."""
        tables = _weighed(tensor, reader, [EqAxis(tensor.shape[1], tuple(row[0]))], 1)
        return [_at_taps(self.windows, table, row[1:]) for table in tables]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        pairs = EqAxis(len(self.first), tuple(inner[0]))
        weights = product(pairs.vector(), EqAxis(pairs.length, tuple(points[0])).vector())
        return (_gathered(weights, self.first, self.left), *self._axes(self.left, points[1:4], inner))

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        pairs = EqAxis(len(self.first), tuple(inner[0]))
        return (_gathered(pairs.vector(), self.second, self.right), *self._axes(self.right, points[4:], inner))

    def _axes(self, tensor: Tensor, row: Points, inner: Points) -> tuple[Axis, ...]:
        return (*eq_axes(tensor.shape[1:3], [row[0], inner[1]]), *_met(self.windows, row[1:], inner[2:]))

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        channels = self.left.shape[2]
        where = views(self.left.shape[1], channels, 1, 1, *self.windows)
        left = [where.frame_inputs(digit)[self.first] for digit in digits.left]
        right = [where.frame_inputs(digit)[self.second] for digit in digits.right]
        rows = len(where.patches.columns)
        sums = [np.zeros((len(self.first), rows, rows), dtype=np.int64) for _ in range(count)]
        exact.digits(left, where.patches.transposed, right, where.patches, digits.widths, sums, View.of_matrix(rows, rows))
        return [total.reshape(self.result) for total in sums]


class _Corrections(DigitProducts):
    """sum over the pairs q of a pass and rows s of gram[q, r, s] times what row s has of a tensor.

    moving   the tensor (.., B, C, H, W)
    gram     (pairs, B, Y, X, B, Y, X)
    row      for every pair the index of the tensor's first axis
    passes   and the pass that it belongs to, of `count`
    """

    def __init__(self, moving: Tensor, gram: Tensor, row: Indices, passes: Indices, count: int) -> None:
        if len(row) != len(passes) or gram.shape[0] != len(row) or gram.shape[1:4] != gram.shape[4:]:
            raise ValueError(f"{gram.name}: expected products of rows of {len(row)} pairs, got {gram.shape}")
        self.left = moving
        self.right = gram
        self.row = np.array(row, dtype=np.int64)
        self.passes = np.array(passes, dtype=np.int64)
        self.count = count
        self.terms = int(np.bincount(self.passes).max()) * math.prod(gram.shape[4:])

    def _of_passes(self, points: Points) -> U64:
        """eq(point, p) of the pass p of every pair."""
        return np.ascontiguousarray(EqAxis(self.count, tuple(points[0])).vector()[self.passes])

    def _moving(self, pairs: Points) -> VectorAxis:
        """The weights on the tensor's first axis, from a point of the pairs."""
        return _gathered(EqAxis(len(self.row), tuple(pairs[0])).vector(), self.row, self.left)

    def _pairs(self, points: Points, inner: Points) -> VectorAxis:
        """Those on the products' first axis."""
        return VectorAxis(product(EqAxis(len(self.row), tuple(inner[0])).vector(), self._of_passes(points)))

    def _by_pass(self, of_pairs: Sequence[I64]) -> list[I64]:
        """Sums of every pass (count, ..), from those of the pairs."""
        sums = [np.zeros((self.count, *digit.shape[1:]), dtype=np.int64) for digit in of_pairs]
        for total, pairs in zip(sums, of_pairs, strict=True):
            np.add.at(total, self.passes, pairs)
        return sums


class OutputCorrections(_Corrections):
    """sum_(q of p) sum_s gram[q, r, s] factor[row_q, s, o] for every output (p, b, o, y, x): factor (.., B, M, Y, X).

    The contraction's index is (q, s).
    """

    def __init__(self, factor: Tensor, gram: Tensor, row: Indices, passes: Indices, count: int) -> None:
        super().__init__(factor, gram, row, passes, count)
        self.inner = (len(self.row), *gram.shape[4:])

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        tables = _weighed(self.left, reader, [EqAxis(self.left.shape[2], tuple(points[2]))], 2)
        return [np.ascontiguousarray(table[self.row]) for table in tables]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        row = eq_axes(self.right.shape[1:4], [points[1], *points[3:]])
        return [scale_rows(table, self._of_passes(points)) for table in _weighed(self.right, reader, row, 1)]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return (self._moving(inner), *eq_axes(self.left.shape[1:], [inner[1], points[2], *inner[2:]]))

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return (self._pairs(points, inner), *eq_axes(self.right.shape[1:], [points[1], *points[3:], *inner[1:]]))

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        batch, channels, *size = self.left.shape[1:]
        rows = batch * math.prod(size)
        where = views(batch, channels, 1, 1, *map(one_by_one, size)).patches.transposed  # (rows, channels) of (B, M, Y, X)
        factors = [np.ascontiguousarray(digit[self.row]) for digit in digits.left]
        found = [np.zeros((len(self.row), batch, channels, *size), dtype=np.int64) for _ in range(count)]
        exact.digits(digits.right, View.of_matrix(rows, rows), factors, where, digits.widths[::-1], found, where)
        return self._by_pass(found)


class InputCorrections(_Corrections):
    """sum_(q of p) sum_(s, r, d, e) gram[q, r, s] a[row_q, s, i] for every input (p, b, c, u, v): a (.., B, C, H, W).

    Summed are the patches r that the input lies in, at tap (d, e). The contraction's index is (q, s, y, x).
    """

    def __init__(self, inputs: Tensor, gram: Tensor, row: Indices, passes: Indices, count: int, windows: Windows) -> None:
        super().__init__(inputs, gram, row, passes, count)
        self.windows = windows
        self.terms *= math.prod(window.most_terms_of_an_input for window in windows)
        self.inner = (len(self.row), *gram.shape[4:], *gram.shape[2:4])

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        tables = _weighed(self.left, reader, [EqAxis(self.left.shape[2], tuple(points[2]))], 2)
        return [np.ascontiguousarray(self._patches(table, points)[self.row]) for table in tables]

    def _patches(self, table: U64, points: Points) -> U64:
        """(.., B, H, W, 2) -> (.., B, Y', X', Y, X, 2): patch (Y', X') at the taps by which output (Y, X) sees the point."""
        rows, columns = (taps.swapaxes(0, 1) for taps in self._seen(points))
        by_columns = multiply(self.windows[1].of_inputs(table), columns)  # (.., B, H, X', X, 2)
        by_rows = multiply(self.windows[0].of_inputs(np.moveaxis(by_columns, 2, -2)), rows)  # (.., B, X', X, Y', Y, 2)
        return by_rows.transpose(0, 1, 4, 2, 5, 3, 6)

    def _seen(self, points: Points) -> list[U64]:
        """eq of the input that a tap meets at an output: (Y, d, 2) and (X, e, 2)."""
        axes = eq_axes(self.left.shape[3:], points[3:])
        return [window.of_inputs(axis.vector()) for window, axis in zip(self.windows, axes, strict=True)]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        tables = _weighed(self.right, reader, [EqAxis(self.right.shape[1], tuple(points[1]))], 1)
        return [scale_rows(table.transpose(0, 3, 4, 5, 1, 2, 6), self._of_passes(points)) for table in tables]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        record, *patch, row, column = eq_axes(self.inner[1:], inner[1:])
        places = []
        for window, own, position, seen in zip(self.windows, patch, (row, column), self._seen(points), strict=True):
            taps = multiply(position.vector()[None], seen)[0]
            places.append(VectorAxis(window.on_inputs(own.vector(), taps)))
        channel = EqAxis(self.left.shape[2], tuple(points[2]))
        return (self._moving(inner), record, channel, *places)

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        axes = eq_axes(self.right.shape[1:], [points[1], *inner[4:], *inner[1:4]])
        return (self._pairs(points, inner), *axes)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        batch, channels, *size = self.left.shape[1:]
        where = views(batch, channels, 1, 1, *self.windows)
        rows, terms = len(where.patches.columns), len(where.patches.rows)
        square, out = View.of_matrix(rows, rows), View.of_matrix(rows, terms)
        images = [where.frame_inputs(digit) for digit in digits.left]
        sums = [np.zeros((self.count, batch, channels, *size), dtype=np.int64) for _ in range(count)]
        for pair, (row, index) in enumerate(zip(self.row.tolist(), self.passes.tolist(), strict=True)):
            left, right = ([digit[place, None] for digit in side] for side, place in ((digits.right, pair), (images, row)))
            parts = [np.zeros((1, rows, terms), dtype=np.int64) for _ in range(count)]
            exact.digits(left, square, right, where.patches.transposed, digits.widths[::-1], parts, out)
            for total, part in zip(sums, parts, strict=True):
                total[index] += where.fold(part[0])
        return sums


# ---- what they share --------------------------------------------------------------------------------------------------


def _at_taps(windows: Windows, table: U64, points: Points) -> U64:
    """(.., H, W, 2) -> (.., d, e, 2): what the taps meet at a point of the outputs."""
    rows, columns = windows
    y, x = (EqAxis(window.outputs, tuple(point)).vector() for window, point in zip(windows, points, strict=True))
    by_columns = columns.exchanged.on_outputs(table, x).swapaxes(-3, -2)
    return np.ascontiguousarray(rows.exchanged.on_outputs(by_columns, y).swapaxes(-3, -2))


def _met(windows: Windows, outputs: Points, taps: Points) -> tuple[Axis, ...]:
    """Its weights on rows and columns, at a point of the taps."""
    places = zip(windows, outputs, taps, strict=True)
    return tuple(w.met(EqAxis(w.outputs, tuple(output)), EqAxis(w.kernel, tuple(tap))) for w, output, tap in places)


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


def _all_passes(geometry: Geometry) -> ConvolutionViews:
    """The matrices of all passes together, for weights that do not move."""
    channels = geometry.channels_in, geometry.channels_out
    return views(geometry.passes * geometry.batch, *channels, 1, geometry.rows, geometry.columns)


def _in_one(products: DigitProducts, reader: Reader, count: int, where: ArrayProducts, result: tuple[int, ...]) -> list[I64]:
    """The digit sums of products with weights that do not move."""
    digits = LowDigits.of(products, reader, count)
    left = [digit[None] for digit in digits.left]
    right = [digit.reshape(1, -1, *digit.shape[2:]) for digit in digits.right]
    return [total.reshape(result) for total in replace(digits, left=left, right=right).sums(where, count)]


def _require_shape(tensor: Tensor, shape: Sequence[int]) -> None:
    if tensor.shape != tuple(shape):
        raise ValueError(f"{tensor.name}: expected shape {tuple(shape)}, got {tensor.shape}")
