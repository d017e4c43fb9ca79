"""The three sums of a convolution as products of matrices, for exact matrix products (zkds/native/exact.py).

The matrices are views: tables of offsets into arrays that stay as they are, but for a frame of zeros around every image. With
y, d, u an output, a tap and an input along one axis, u = y stride + d dilation - before (circuits/operators/convolution/
windows.py):

    values            (o; c, d, e) weights times (c, d, e; b, y, x) framed inputs
    weight gradient   (o; b, y, x) deltas times (b, y, x; c, d, e) framed inputs
    input gradient    (c; o, d, e) weights times (o, d, e; b, u, v) framed deltas, one product for each remainder of (u, v)
                      modulo the strides: only some taps meet such inputs. Along an axis in which no input is met twice there is
                      nothing to sum: (c, d; o) weights times (o; b, y) deltas are framed inputs

o, c are the channels of one group. Passes and groups are the batches of the matrices, so that arrays of several groups are laid
out with the groups before the records.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.operators.convolution.windows import Geometry, Window
from zkds.integers.limbs import I64
from zkds.native.exact import ArrayProducts, MatrixProduct, View


def _one() -> I64:
    """The offsets of one entry."""
    return np.zeros(1, dtype=np.int64)


@dataclass(frozen=True)
class Frame:
    """Zeros around the entries of one axis: its length with them, and how many of them come first."""

    length: int
    before: int


@dataclass(frozen=True)
class Phase:
    """One axis of a product for the input gradient: which taps, framed outputs and framed inputs are counted by its rows, by
    the terms of its sums and by its columns.

    Tap row_taps[m] + term_taps[q] takes framed output term_outputs[q] + column_outputs[n] to framed input row_inputs[m] +
    column_inputs[n].
    """

    row_taps: I64 = field(default_factory=_one)
    row_inputs: I64 = field(default_factory=_one)
    term_taps: I64 = field(default_factory=_one)
    term_outputs: I64 = field(default_factory=_one)
    column_outputs: I64 = field(default_factory=_one)
    column_inputs: I64 = field(default_factory=_one)


@dataclass(frozen=True)
class Axis:
    """One axis of a convolution: the frames of the factors and of the input gradient, and its phases."""

    window: Window

    @cached_property
    def inputs(self) -> Frame:
        """Of what the taps meet at the outputs."""
        window = self.window
        return Frame(max(window.before + window.inputs, window.reached), window.before)

    @cached_property
    def _met_once(self) -> bool:
        """Whether no input is met by two taps: that of a dense layer, or of windows side by side."""
        return self.window.most_terms_of_an_input <= 1

    @cached_property
    def input_gradient(self) -> Frame:
        """Of the result."""
        return self.inputs if self._met_once else Frame(self.window.inputs, 0)

    @cached_property
    def outputs(self) -> Frame:
        """Of what the taps meet at the inputs."""
        if self._met_once:
            return Frame(self.window.outputs, 0)
        first = min((int(phase.column_outputs[0]) for phase in self._sums), default=0)
        last = max((int(phase.column_outputs[-1] + phase.term_outputs[0]) for phase in self._sums), default=0)
        before = max(0, -first)
        return Frame(before + max(self.window.outputs, last + 1), before)

    @cached_property
    def phases(self) -> list[Phase]:
        """All inputs that a tap can meet."""
        if not self._met_once:
            return [replace(phase, column_outputs=phase.column_outputs + self.outputs.before) for phase in self._sums]
        window = self.window
        taps, outputs = np.arange(window.kernel, dtype=np.int64), np.arange(window.outputs, dtype=np.int64)
        inputs = {"row_inputs": taps * window.dilation, "column_inputs": outputs * window.stride}
        return [Phase(row_taps=taps, column_outputs=outputs, **inputs)]

    @cached_property
    def _sums(self) -> list[Phase]:
        """The inputs by their remainder modulo the stride, which fixes the taps that meet them; outputs may be negative."""
        window, phases = self.window, []
        places = np.arange(window.kernel, dtype=np.int64) * window.dilation  # of the taps
        for remainder in np.unique(places % window.stride).tolist():
            taps = np.flatnonzero(places % window.stride == remainder)
            inputs = np.arange((remainder - window.before) % window.stride, window.inputs, window.stride, dtype=np.int64)
            if len(inputs):
                to_last = (places[taps[-1]] - places[taps]) // window.stride  # so many outputs later than at the last tap
                outputs = (inputs + window.before - places[taps[-1]]) // window.stride
                phases.append(Phase(term_taps=taps, term_outputs=to_last, column_outputs=outputs, column_inputs=inputs))
        return phases


@dataclass(frozen=True)
class ConvolutionViews:
    """The views of a convolution of `batch` records; arrays (P, B, C, H, W), weights (P, Cout, Cin / groups, taps, taps)."""

    batch: int
    channels_in: int
    channels_out: int
    groups: int
    rows: Window
    columns: Window

    @cached_property
    def values(self) -> ArrayProducts:
        """weights (Cout, Cin kernel), framed inputs (Cin kernel, B outputs) -> (B, Cout, Y, X)."""
        left = View.of_matrix(self._outs, self._ins * self._taps)
        place = MatrixProduct(left, self.patches, self._outputs)
        shape = (self.batch, self._outs, self.rows.outputs, self.columns.outputs)
        return ArrayProducts([place], self._group_weights, self.frame_inputs, shape, self._join_channels)

    @cached_property
    def weight_gradient(self) -> ArrayProducts:
        """deltas (Cout, B outputs), framed inputs (B outputs, Cin kernel) -> the weights' shape."""
        out = View.of_matrix(self._outs, self._ins * self._taps)
        place = MatrixProduct(self._outputs, self.patches.transposed, out)
        shape = (self._outs, self._ins, self.rows.kernel, self.columns.kernel)
        return ArrayProducts([place], self._group_channels, self.frame_inputs, shape, self._join_weights)

    @cached_property
    def input_gradient(self) -> ArrayProducts:
        """weights (Cin, Cout taps), framed deltas (Cout taps, B inputs) -> (B, Cin, H, W), zero where no product reaches."""
        places = [self._phase(rows, columns) for rows, columns in itertools.product(self._rows.phases, self._columns.phases)]
        shape = (self.batch, self._ins, self._rows.input_gradient.length, self._columns.input_gradient.length)
        return ArrayProducts(places, self._group_weights, self._frame_outputs, shape, self._input_gradients)

    # ---- layouts ---------------------------------------------------------------------------------------------------------

    def frame_inputs(self, values: NDArray[Any]) -> I64:
        """(P, B, Cin, H, W) -> (P groups, B, Cin / groups, ..), int64, with the zeros that the windows reach."""
        return _framed(self._group_channels(values), self._rows.inputs, self._columns.inputs)

    def fold(self, patches: I64) -> I64:
        """(B Y X, Cin kernel) -> (B, Cin, H, W): the sum of what all patches have at an input. Without groups."""
        rows, columns = self.rows, self.columns
        parts = patches.reshape(self.batch, rows.outputs, columns.outputs, self._ins, rows.kernel, columns.kernel)
        parts = parts.transpose(4, 5, 0, 3, 1, 2)
        framed = np.zeros((self.batch, self._ins, self._rows.inputs.length, self._columns.inputs.length), dtype=np.int64)
        for (d, e), part in zip(np.ndindex(parts.shape[:2]), parts.reshape(-1, *parts.shape[2:]), strict=True):
            seen = (
                slice(tap * window.dilation, tap * window.dilation + (window.outputs - 1) * window.stride + 1, window.stride)
                for tap, window in ((d, rows), (e, columns))
            )
            framed[:, :, *seen] += part
        top, left = self._rows.inputs.before, self._columns.inputs.before
        return framed[:, :, top : top + rows.inputs, left : left + columns.inputs]

    def _frame_outputs(self, values: NDArray[Any]) -> I64:
        """(P, B, Cout, Y, X), likewise, with zeros wherever a tap meets an input and there is no output."""
        return _framed(self._group_channels(values), self._rows.outputs, self._columns.outputs)

    def _input_gradients(self, values: I64) -> I64:
        """(P groups, B, Cin / groups, ..) -> (P, B, Cin, H, W), the frames cut off."""
        (top, left), (rows, columns) = (
            (self._rows.input_gradient.before, self._columns.input_gradient.before),
            (self.rows.inputs, self.columns.inputs),
        )
        return self._join_channels(values[..., top : top + rows, left : left + columns])

    def _group_channels(self, values: NDArray[Any]) -> I64:
        """(P, B, C, h, w) -> (P groups, B, C / groups, h, w), int64; a copy if there are several groups."""
        passes, batch, channels, *size = values.shape
        split = values.reshape(passes, batch, self.groups, channels // self.groups, *size).swapaxes(1, 2)
        return np.ascontiguousarray(split, dtype=np.int64).reshape(passes * self.groups, batch, -1, *size)

    def _join_channels(self, values: I64) -> I64:
        """The inverse."""
        batches, batch, channels, *size = values.shape
        split = values.reshape(batches // self.groups, self.groups, batch, channels, *size).swapaxes(1, 2)
        return np.ascontiguousarray(split).reshape(batches // self.groups, batch, self.groups * channels, *size)

    def _group_weights(self, values: NDArray[Any]) -> I64:
        """(P, Cout, ..) -> (P groups, Cout / groups, ..), int64."""
        passes, _, *rest = values.shape
        return np.ascontiguousarray(values, dtype=np.int64).reshape(passes * self.groups, self._outs, *rest)

    def _join_weights(self, values: I64) -> I64:
        """The inverse."""
        batches, _, *rest = values.shape
        return values.reshape(batches // self.groups, self.channels_out, *rest)

    # ---- matrices of one group -------------------------------------------------------------------------------------------

    def _phase(self, rows: Phase, columns: Phase) -> MatrixProduct:
        kernel = self.columns.kernel
        weights = View(
            _offsets((self._ins, self._taps), (rows.row_taps, kernel), (columns.row_taps, 1)),
            _offsets((self._outs, self._ins * self._taps), (rows.term_taps, kernel), (columns.term_taps, 1)),
        )
        height, width = self._rows.outputs.length, self._columns.outputs.length
        deltas = View(
            _offsets((self._outs, height * width), (rows.term_outputs, width), (columns.term_outputs, 1)),
            _offsets((self.batch, self._outs * height * width), (rows.column_outputs, width), (columns.column_outputs, 1)),
        )
        height, width = self._rows.input_gradient.length, self._columns.input_gradient.length
        inputs = View(
            _offsets((self._ins, height * width), (rows.row_inputs, width), (columns.row_inputs, 1)),
            _offsets((self.batch, self._ins * height * width), (rows.column_inputs, width), (columns.column_inputs, 1)),
        )
        return MatrixProduct(weights, deltas, inputs)

    @cached_property
    def _rows(self) -> Axis:
        return Axis(self.rows)

    @cached_property
    def _columns(self) -> Axis:
        return Axis(self.columns)

    @property
    def _ins(self) -> int:
        return self.channels_in // self.groups

    @property
    def _outs(self) -> int:
        return self.channels_out // self.groups

    @property
    def _taps(self) -> int:
        return self.rows.kernel * self.columns.kernel

    @cached_property
    def patches(self) -> View:
        """(Cin kernel, B outputs) of the framed inputs: what every tap meets at every output."""
        height, width, rows, columns = self._rows.inputs.length, self._columns.inputs.length, self.rows, self.columns
        return View(
            _offsets((self._ins, height * width), (rows.kernel, rows.dilation * width), (columns.kernel, columns.dilation)),
            _offsets(
                (self.batch, self._ins * height * width), (rows.outputs, rows.stride * width), (columns.outputs, columns.stride)
            ),
        )

    @cached_property
    def _outputs(self) -> View:
        """(Cout, B outputs) of an array (B, Cout, Y, X)."""
        size = self.rows.outputs * self.columns.outputs
        return View(_offsets((self._outs, size)), _offsets((self.batch, self._outs * size), (size, 1)))


@lru_cache(maxsize=256)
def views(batch: int, channels_in: int, channels_out: int, groups: int, rows: Window, columns: Window) -> ConvolutionViews:
    """The views of a convolution, made once."""
    return ConvolutionViews(batch, channels_in, channels_out, groups, rows, columns)


def _offsets(*axes: tuple[int | I64, int]) -> I64:
    """The offsets of all entries of a grid, in C order: (positions along an axis, or their number; offset of one step) each."""
    total = np.zeros(1, dtype=np.int64)
    for positions, step in axes:
        steps = np.arange(positions, dtype=np.int64) if isinstance(positions, int) else positions
        total = (total[:, None] + step * steps).reshape(-1)
    return total


def _framed(values: I64, rows: Frame, columns: Frame) -> I64:
    """(.., h, w) placed into the frames of both axes."""
    *lead, height, width = values.shape
    if (height, width) == (rows.length, columns.length):
        return values
    framed = np.zeros((*lead, rows.length, columns.length), dtype=np.int64)
    framed[..., rows.before : rows.before + height, columns.before : columns.before + width] = values
    return framed


def layer_views(geometry: Geometry) -> ConvolutionViews:
    """The matrices of one pass of a layer."""
    channels = geometry.channels_in, geometry.channels_out
    return views(geometry.batch, *channels, geometry.groups, geometry.rows, geometry.columns)
