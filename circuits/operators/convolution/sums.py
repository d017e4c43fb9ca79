"""The three sums of a convolution layer, for all passes of the trajectory at once.

    values           z[p, b, o, y, x]  = round(sum_(i, d, e) W_p[o, i, d, e] a[p, b, (g, i), u, v] + 2^a_bits bias_p[o])
    input gradient   dx[p, b, (g, i), u, v] = round(sum_(o in g, d, e) W_p[o, i, d, e] dz[p, b, o, y, x])
    weight gradient  g[t, o, i, d, e]  = round(sum_(b, y, x) dz[p, b, o, y, x] a[p, b, (g, i), u, v]),  p = t or p = T + t

with u = y stride + d dilation - before, v likewise, inside the input (windows.py). g is the group of o, and (g, i) the i-th
channel of that group; without groups there is one. A dense layer is the case of one output position. At a random point of the
result, the sums over everything but the contraction's index are carried out by the prover, exactly as they stand, and cost one
reading of each operand; the sumcheck runs over (p, group, channel, taps) or (p, b, group, y, x), and the spatial kernel is then
a product of one vector for each axis: no im2col, no Fourier transform.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkds.circuits.operators.convolution.views import layer_views
from zkds.circuits.operators.convolution.windows import Geometry, Window
from zkds.circuits.operators.parameter import StepTensor, WeightTensor
from zkds.field import K
from zkds.identities.low_digits import sums_by_entry
from zkds.identities.products import DigitProducts, Linear
from zkds.integers.limb_columns import Points
from zkds.integers.limbs import I64
from zkds.native import U64
from zkds.tensors.axes import Axis, EqAxis, VectorAxis, ones_axis
from zkds.tensors.contraction import multiply, outer_product, product, scale, scale_rows, weigh_groups
from zkds.tensors.tensor import Reader, Tensor


@dataclass(frozen=True)
class _Channels:
    """The result's channels at a random point, cut so that eq(point, .) is a product even where groups divide it.

    eq(point, c) of a channel c = (group, k) is no product of one factor for the group and one for k, unless the channels of a
    group are a power of two. So k = (m, low), with as many `low` as the largest power of two that divides them: eq(point, c) =
    high(group, m) eq(point_low, low). The weights are summed over low, while m stays in the sumcheck, with high as a factor of
    the other tensor. Without groups, all of c is low.
    """

    groups: int
    in_group: int

    @property
    def low(self) -> int:
        return self.in_group if self.groups == 1 else self.in_group & -self.in_group

    @property
    def rest(self) -> int:
        """The number of m."""
        return self.in_group // self.low

    def low_axis(self, point: Sequence[K]) -> EqAxis:
        return EqAxis(self.low, tuple(point[: (self.low - 1).bit_length()]))

    def high(self, point: Sequence[K]) -> U64:
        """(groups, m, 2) pairs."""
        axis = EqAxis(self.groups * self.rest, tuple(point[(self.low - 1).bit_length() :]))
        return axis.vector().reshape(self.groups, self.rest, 2)


class _TapProducts(DigitProducts):
    """Products of weights with another tensor, summed over a group's channels and the taps, at every position of the result.

    The contraction's index is (p, group, channel of the other tensor, m of the result's channel, d, e).

    result   the result's shape, (P, B, channels, rows, columns)
    kept     the weights' axis whose channels are the result's: 1 or 2
    """

    def __init__(self, geometry: Geometry, weights: Tensor, other: Tensor, result: Sequence[int], kept: int) -> None:
        _require_shape(weights, (geometry.passes, *geometry.weight_shape))
        self.geometry = geometry
        self.left = weights
        self.right = other
        self._windows = geometry.rows, geometry.columns
        self._result = result
        self._kept = kept
        self._channels = _Channels(geometry.groups, result[2] // geometry.groups)
        self._summed = other.shape[2] // geometry.groups
        taps = geometry.rows.kernel, geometry.columns.kernel
        self.inner = (geometry.passes, geometry.groups, self._summed, self._channels.rest, *taps)

    @staticmethod
    @abstractmethod
    def _on_taps(window: Window, weights: U64, table: U64) -> U64:
        """Weights of the result's positions, (.., n, 2) pairs of the other tensor's -> (.., kernel, 2): sums of products."""

    @staticmethod
    @abstractmethod
    def _met(window: Window, weights: U64, taps: U64) -> U64:
        """Weights of the result's positions and of the taps -> (n, 2), of the other tensor's positions: sums of products."""

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        by_pass, low = EqAxis(self._result[0], tuple(points[0])), self._channels.low_axis(points[2])
        tables = _weigh_digits(self.left, reader, self._kept, low.vector()[None])
        return [scale_rows(self._by_group(table), by_pass.vector()) for table in tables]

    def _by_group(self, table: U64) -> U64:
        """The weights without `low` of their channels, as the contraction's index goes."""
        passes, groups, summed, rest, *taps = self.inner
        if self._kept == 2:
            return table.reshape(passes, groups, summed, rest, *taps, 2)
        return table.reshape(passes, groups, rest, summed, *taps, 2).swapaxes(2, 3)

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        _, batch, _, y, x = _vectors(self._result, points)
        rows, columns = self._windows
        tables = _weigh_digits(self.right, reader, 1, batch[None])
        by_columns = (self._on_taps(columns, x, table).swapaxes(-3, -2) for table in tables)
        by_rows = (self._on_taps(rows, y, table).swapaxes(-3, -2) for table in by_columns)
        return [self._times_groups(table, points[2]) for table in by_rows]

    def _times_groups(self, table: U64, point: Sequence[K]) -> U64:
        """(P, 1, channels, d, e, 2) pairs -> those of the contraction's index, times the high part of the result's channels."""
        passes, groups, summed, rest, *taps = self.inner
        split = table.reshape(passes, groups, summed, 1, *taps, 2)
        if groups == 1:
            return split
        return product(split, self._channels.high(point).reshape(groups, 1, rest, 1, 1, 2))

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        by_pass = _product_axis(self.geometry.passes, points[0], inner[0])
        _, group, summed, rest, *taps = _eq(self.inner, inner)
        low = self._channels.low_axis(points[2])
        channels = [_joined(group, rest, low), summed] if self._kept == 1 else [_joined(group, summed), _joined(rest, low)]
        return (by_pass, *channels, *taps)

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        *_, y, x = _vectors(self._result, points)
        by_pass, group, summed, rest, d, e = _eq(self.inner, inner)
        positions = (
            VectorAxis(self._met(window, weights, taps.vector()))
            for window, weights, taps in zip(self._windows, (y, x), (d, e), strict=True)
        )
        batch = EqAxis(self.geometry.batch, tuple(points[1]))
        if self.geometry.groups == 1:
            return (by_pass, batch, summed, *positions)
        high = multiply(self._channels.high(points[2]), rest.vector()[:, None])[:, 0]
        channel = VectorAxis(outer_product([VectorAxis(product(group.vector(), high)), summed]))
        return (by_pass, batch, channel, *positions)


class ForwardProducts(_TapProducts):
    """sum over the input channels of a group and taps of weight times input, at every output position."""

    def __init__(self, geometry: Geometry, weights: Tensor, inputs: Tensor) -> None:
        _require_shape(inputs, geometry.input_shape)
        rows, columns = geometry.rows, geometry.columns
        super().__init__(geometry, weights, inputs, geometry.output_shape, 1)
        self.terms = self._summed * rows.most_terms_of_an_output * columns.most_terms_of_an_output

    @staticmethod
    def _on_taps(window: Window, weights: U64, table: U64) -> U64:
        return window.exchanged.on_outputs(table, weights)

    @staticmethod
    def _met(window: Window, weights: U64, taps: U64) -> U64:
        return window.on_inputs(weights, taps)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        return sums_by_entry(self, reader, layer_views(self.geometry).values, count)


class InputGradientProducts(_TapProducts):
    """sum over the output channels of a group and taps of weight times delta, at every input position."""

    def __init__(self, geometry: Geometry, weights: Tensor, deltas: Tensor) -> None:
        _require_shape(deltas, geometry.output_shape)
        rows, columns = geometry.rows, geometry.columns
        super().__init__(geometry, weights, deltas, geometry.input_shape, 2)
        self.terms = self._summed * rows.most_terms_of_an_input * columns.most_terms_of_an_input

    @staticmethod
    def _on_taps(window: Window, weights: U64, table: U64) -> U64:
        return multiply(table, window.of_inputs(weights))

    @staticmethod
    def _met(window: Window, weights: U64, taps: U64) -> U64:
        return window.on_outputs(weights, taps)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        return sums_by_entry(self, reader, layer_views(self.geometry).input_gradient, count)


class WeightGradientProducts(DigitProducts):
    """sum over records and output positions of delta times input, for every weight, in `count` passes from `first`.

    The contraction's index is (t, b, group, y, x).
    """

    def __init__(self, geometry: Geometry, deltas: Tensor, inputs: Tensor, first: int, count: int) -> None:
        _require_shape(deltas, geometry.output_shape)
        self._initialise(geometry, deltas, inputs, first, count)

    def _initialise(self, geometry: Geometry, deltas: Tensor, inputs: Tensor, first: int, count: int) -> None:
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
        self.inner = (count, geometry.batch, geometry.groups, rows.outputs, columns.outputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(count, Cout, Cin / groups, taps, taps)"""
        return (self.count, *self.geometry.weight_shape)

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        by_step, outputs, *_ = _vectors(self.output_shape, points)
        by_group = outputs.reshape(self.geometry.groups, -1, 2)
        return [scale_rows(table, by_step) for table in _weigh_digits(self.left, reader, 2, by_group, self._left)]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        _, _, inputs, d, e = _vectors(self.output_shape, points)
        rows, columns = self.geometry.rows, self.geometry.columns
        tables = _weigh_digits(self.right, reader, 2, inputs[None], self._part)
        by_columns = (columns.on_outputs(table, e).swapaxes(-3, -2) for table in tables)
        return [rows.on_outputs(table, d).swapaxes(-3, -2) for table in by_columns]

    @property
    def _part(self) -> slice:
        return slice(self.first, self.first + self.count)

    @property
    def _left(self) -> slice:
        return self._part

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        by_step = self._placed_left(_product_axis(self.count, points[0], inner[0]))
        record, group, y, x = _eq(self.inner[1:], inner[1:])
        outputs = EqAxis(self.geometry.channels_out, tuple(points[1]))
        if self.geometry.groups == 1:
            return (by_step, record, outputs, y, x)
        by_group = product(outputs.vector().reshape(group.length, -1, 2), group.vector()[:, None])
        return (by_step, record, VectorAxis(by_group.reshape(-1, 2)), y, x)

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        geometry = self.geometry
        _, _, inputs, d, e = _eq(self.output_shape, points)
        by_step, record, group, y, x = _eq(self.inner, inner)
        rows = VectorAxis(geometry.rows.on_inputs(y.vector(), d.vector()))
        columns = VectorAxis(geometry.columns.on_inputs(x.vector(), e.vector()))
        return (self._placed(by_step), record, _joined(group, inputs), rows, columns)

    def _placed(self, axis: Axis) -> VectorAxis:
        return place(axis, self.first, self.geometry.passes)

    def _placed_left(self, axis: Axis) -> Axis:
        return self._placed(axis)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        return sums_by_entry(self, reader, layer_views(self.geometry).weight_gradient, count, self._left, self._part)


class UpdateProducts(WeightGradientProducts):
    """The same of factors (T - 1, B, Cout, Y, X) in place of the deltas, with the inputs of second passes."""

    def __init__(self, geometry: Geometry, factors: Tensor, inputs: Tensor) -> None:
        _require_shape(factors, (geometry.steps - 1, *geometry.output_shape[1:]))
        self._initialise(geometry, factors, inputs, geometry.steps, geometry.steps - 1)

    @property
    def _left(self) -> slice:
        return slice(None)

    def _placed_left(self, axis: Axis) -> Axis:
        return axis


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
    """Every digit's sums over the runs of an axis, by weights (runs, n, 2) or the same for all runs, (1, n, 2)."""
    if isinstance(tensor, WeightTensor | StepTensor):
        return tensor.weigh(reader, axis, weights[0])
    tables = zip(reader.tables(tensor), tensor.digits, strict=True)
    return [weigh_groups(table[part], axis, weights, digit.magnitude()) for table, digit in tables]


def _joined(*axes: EqAxis) -> Axis:
    """The axis of all combinations of indices, the last one running fastest: a point if all but the first are powers of two."""
    axes = tuple(axis for axis in axes if axis.length > 1) or axes[:1]
    if all(axis.length == 1 << axis.bits for axis in axes[1:]):
        return EqAxis(math.prod(axis.length for axis in axes), tuple(x for axis in reversed(axes) for x in axis.point))
    return VectorAxis(outer_product(axes))


def _product_axis(length: int, first: Sequence[K], second: Sequence[K]) -> VectorAxis:
    """w(x) = eq(first, x) eq(second, x)."""
    left, right = (EqAxis(length, tuple(point)).vector() for point in (first, second))
    return VectorAxis(product(left, right))


def _require_shape(tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise ValueError(f"{tensor.name}: expected shape {shape}, got {tensor.shape}")
