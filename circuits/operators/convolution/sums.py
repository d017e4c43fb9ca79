"""The three sums of a convolution layer, for all passes of the trajectory at once.

    values           z[p, b, o, y, x]  = round(sum_(i, d, e) W_p[o, i, d, e] a[p, b, i, u, v] + 2^a_bits bias_p[o])
    input gradient   dx[p, b, i, u, v] = round(sum_(o, d, e) W_p[o, i, d, e] dz[p, b, o, y, x])
    weight gradient  g[t, o, i, d, e]  = round(sum_(b, y, x) dz[p, b, o, y, x] a[p, b, i, u, v]),  p = t or p = T + t

with u = y stride + d - padding, v = x stride + e - padding inside the input (windows.py). A dense layer is the case of one
output position. At a random point of the result, the sums over everything but the contraction's index are carried out by the
prover, exactly as they stand, and cost one reading of each operand; the sumcheck runs over (p, channel, taps) or (p, b, y, x),
and the spatial kernel is then a product of one vector for each axis: no im2col, no Fourier transform.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from zkds.circuits.operators.convolution.views import layer_views
from zkds.circuits.operators.convolution.windows import Geometry
from zkds.circuits.operators.parameter import WeightTensor
from zkds.field import K, block, unblock
from zkds.identities.low_digits import LowDigits
from zkds.identities.products import Linear, Products
from zkds.integers.limb_columns import Points
from zkds.integers.limbs import I64
from zkds.native import U64
from zkds.native import field as native
from zkds.tensors.axes import Axis, EqAxis, VectorAxis, ones_axis
from zkds.tensors.contraction import multiply, scale, scale_rows, weigh
from zkds.tensors.tensor import Reader, Tensor

Spread = Callable[[U64], U64]


class _TapProducts(Products):
    """Products of weights with another tensor, summed over its channels and the taps, at every position of the result.

    result   the result's shape, (P, B, channels, rows, columns)
    kept     the weights' axis whose channels are the result's: 1 or 2
    spread   for rows and for columns: the weights of the result's positions -> those at which a tap meets the other tensor
    """

    def __init__(
        self,
        geometry: Geometry,
        weights: Tensor,
        other: Tensor,
        result: Sequence[int],
        kept: int,
        spread: tuple[Spread, Spread],
    ) -> None:
        _require_shape(weights, (geometry.passes, *geometry.weight_shape))
        self.geometry = geometry
        self.left = weights
        self.right = other
        self.inner = (geometry.passes, other.shape[2], geometry.rows.kernel, geometry.columns.kernel)
        self._result = result
        self._kept = kept
        self._spread = spread

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        by_pass, _, channels, *_ = _vectors(self._result, points)
        return [scale_rows(table, by_pass) for table in _weigh_digits(self.left, reader, self._kept, channels)]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        _, batch, _, *positions = _vectors(self._result, points)
        rows, columns = (spread(weights) for spread, weights in zip(self._spread, positions, strict=True))
        return [_spatial(table, rows, columns) for table in _weigh_digits(self.right, reader, 1, batch)]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        by_pass = _product_axis(self.geometry.passes, points[0], inner[0])
        summed, *taps = _eq(self.inner[1:], inner[1:])
        kept = EqAxis(self._result[2], tuple(points[2]))
        return (by_pass, *((kept, summed) if self._kept == 1 else (summed, kept)), *taps)

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        *_, y, x = _vectors(self._result, points)
        _, _, d, e = _vectors(self.inner, inner)
        rows, columns = (
            _kernel_axis(taps, spread(weights)) for spread, weights, taps in zip(self._spread, (y, x), (d, e), strict=True)
        )
        by_pass, channel = _eq(self.inner[:2], inner[:2])
        return (by_pass, EqAxis(self.geometry.batch, tuple(points[1])), channel, rows, columns)


class ForwardProducts(_TapProducts):
    """sum over input channels and taps of weight times input, at every output position."""

    def __init__(self, geometry: Geometry, weights: Tensor, inputs: Tensor) -> None:
        _require_shape(inputs, geometry.input_shape)
        rows, columns = geometry.rows, geometry.columns
        super().__init__(geometry, weights, inputs, geometry.output_shape, 1, (rows.by_outputs, columns.by_outputs))
        self.terms = geometry.channels_in * rows.most_terms_of_an_output * columns.most_terms_of_an_output

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        views, digits = layer_views(self.geometry), LowDigits.of(self, reader, count)
        return digits.sums([views.values], self.geometry.output_shape, count, views.frame_inputs)


class InputGradientProducts(_TapProducts):
    """sum over output channels and taps of weight times delta, at every input position."""

    def __init__(self, geometry: Geometry, weights: Tensor, deltas: Tensor) -> None:
        _require_shape(deltas, geometry.output_shape)
        rows, columns = geometry.rows, geometry.columns
        super().__init__(geometry, weights, deltas, geometry.input_shape, 2, (rows.by_inputs, columns.by_inputs))
        self.terms = geometry.channels_out * rows.most_terms_of_an_input * columns.most_terms_of_an_input

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        views, digits = layer_views(self.geometry), LowDigits.of(self, reader, count)
        return digits.sums(views.input_gradient, self.geometry.input_shape, count, views.frame_outputs)


class WeightGradientProducts(Products):
    """sum over records and output positions of delta times input, for every weight, in `count` passes from `first`."""

    def __init__(self, geometry: Geometry, deltas: Tensor, inputs: Tensor, first: int, count: int) -> None:
        _require_shape(deltas, geometry.output_shape)
        _require_shape(inputs, geometry.input_shape)
        if not 0 <= first < first + count <= geometry.passes:
            raise ValueError(f"passes: expected a part of {geometry.passes}, got {first} to {first + count}")
        rows, columns = geometry.rows, geometry.columns
        self.geometry = geometry
        self.left = deltas
        self.right = inputs
        self.first = first
        self.count = count
        self.terms = geometry.batch * rows.most_terms_of_a_tap * columns.most_terms_of_a_tap
        self.inner = (count, geometry.batch, rows.outputs, columns.outputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(count, Cout, Cin, taps, taps)"""
        return (self.count, *self.geometry.weight_shape)

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        by_step, outputs, *_ = _vectors(self.output_shape, points)
        return [scale_rows(table, by_step) for table in _weigh_digits(self.left, reader, 2, outputs, self._part)]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        _, _, inputs, d, e = _vectors(self.output_shape, points)
        rows, columns = self.geometry.rows.by_taps(d), self.geometry.columns.by_taps(e)
        return [_spatial(table, rows, columns) for table in _weigh_digits(self.right, reader, 2, inputs, self._part)]

    @property
    def _part(self) -> slice:
        return slice(self.first, self.first + self.count)

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        by_step = self._placed(_product_axis(self.count, points[0], inner[0]))
        record, y, x = _eq(self.inner[1:], inner[1:])
        return (by_step, record, EqAxis(self.geometry.channels_out, tuple(points[1])), y, x)

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        geometry = self.geometry
        _, _, _, d, e = _vectors(self.output_shape, points)
        _, _, y, x = _vectors(self.inner, inner)
        rows = _kernel_axis(y, geometry.rows.by_taps(d))
        columns = _kernel_axis(x, geometry.columns.by_taps(e))
        by_step, record = _eq(self.inner[:2], inner[:2])
        return (self._placed(by_step), record, EqAxis(geometry.channels_in, tuple(points[2])), rows, columns)

    def _placed(self, axis: Axis) -> VectorAxis:
        return place(axis, self.first, self.geometry.passes)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        views, digits = layer_views(self.geometry), LowDigits.of(self, reader, count)
        return digits.sums([views.weight_gradient], self.output_shape, count, views.frame_inputs, self._part)


def bias_term(geometry: Geometry, bias: Tensor, exponent: int) -> Linear:
    """2^exponent bias_p[o], (P, Cout), in every output of its channel."""
    _require_shape(bias, (geometry.passes, geometry.channels_out))

    def axes(points: Points) -> tuple[Axis, ...]:
        """The other axes of the output count as the constant `ones` of their points."""
        shape = geometry.output_shape
        rest = K(1)
        for d in (1, 3, 4):
            rest = rest * EqAxis(shape[d], tuple(points[d])).total()
        by_pass = EqAxis(shape[0], tuple(points[0])).vector()
        return (VectorAxis(scale(by_pass, rest)), EqAxis(shape[2], tuple(points[2])))

    def sums(digit: I64) -> I64:
        return digit[:, None, :, None, None]

    return Linear(bias, exponent, 1, axes, sums)


def bias_gradient_term(geometry: Geometry, deltas: Tensor, exponent: int, first: int, count: int) -> Linear:
    """2^exponent times the sum of a channel's deltas, (count, Cout), in the passes first, ..., first + count - 1."""
    _require_shape(deltas, geometry.output_shape)
    shape = geometry.output_shape

    def axes(points: Points) -> tuple[Axis, ...]:
        by_step = place(EqAxis(count, tuple(points[0])), first, geometry.passes)
        channel = EqAxis(shape[2], tuple(points[1]))
        return (by_step, ones_axis(shape[1]), channel, ones_axis(shape[3]), ones_axis(shape[4]))

    def sums(digit: I64) -> I64:
        total: I64 = digit[first : first + count].sum(axis=(1, 3, 4))
        return total

    return Linear(deltas, exponent, shape[1] * shape[3] * shape[4], axes, sums)


def place(axis: Axis, first: int, length: int) -> VectorAxis:
    """The weights of an axis on the entries first, first + 1, ... of a longer one, zero elsewhere."""
    weights = np.zeros((length, 2), dtype=np.uint64)
    weights[first : first + axis.length] = axis.vector()
    return VectorAxis(weights)


# ---- contractions at a point ------------------------------------------------------------------------------------------


def _vectors(shape: Sequence[int], points: Points) -> list[U64]:
    """eq(point, .) along every axis, over the real indices."""
    return [axis.vector() for axis in _eq(shape, points)]


def _eq(shape: Sequence[int], points: Points) -> list[EqAxis]:
    return [EqAxis(length, tuple(point)) for length, point in zip(shape, points, strict=True)]


def _weigh_digits(tensor: Tensor, reader: Reader, axis: int, weights: U64, part: slice = slice(None)) -> list[U64]:
    if isinstance(tensor, WeightTensor):
        return tensor.weigh(reader, axis, weights)
    tables = reader.tables(tensor)
    return [weigh(table[part], axis, weights, digit.magnitude()) for table, digit in zip(tables, tensor.digits, strict=True)]


def _spatial(table: U64, rows: U64, columns: U64) -> U64:
    """(n, m, H, W, 2) -> (n, m, h, w, 2): rows (h, H, 2) and columns (w, W, 2) applied to the last two axes."""
    return _last_axis(_last_axis(table, columns).swapaxes(2, 3), rows).swapaxes(2, 3)


def _last_axis(table: U64, matrix: U64) -> U64:
    """(.., N, 2) -> (.., J, 2) by a (J, N, 2) matrix over K."""
    if _is_identity(matrix):
        return table
    return multiply(table, np.ascontiguousarray(matrix.swapaxes(0, 1)))


def _is_identity(matrix: U64) -> bool:
    """Whether the matrix changes nothing: a dense layer's, for example."""
    rows, columns, _ = matrix.shape
    return rows == columns and not matrix[..., 1].any() and np.array_equal(matrix[..., 0], np.eye(rows, dtype=np.uint64))


def _kernel_axis(weights: U64, matrix: U64) -> VectorAxis:
    """sum_k weights_k matrix[k, .]: (n, 2) and (n, length, 2) pairs."""
    return VectorAxis(multiply(weights[None], matrix)[0])


def _product_axis(length: int, first: Sequence[K], second: Sequence[K]) -> VectorAxis:
    """w(x) = eq(first, x) eq(second, x)."""
    left, right = (block(EqAxis(length, tuple(point)).vector()) for point in (first, second))
    return VectorAxis(unblock(native.k_mul(left, right), length))


def _require_shape(tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise ValueError(f"{tensor.name}: expected shape {shape}, got {tensor.shape}")
