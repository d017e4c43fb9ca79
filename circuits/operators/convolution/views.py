"""The three sums of a convolution as products of matrices, for exact matrix products (zkds/native/exact.py).

The matrices are views: tables of offsets into arrays that stay as they are, but for a frame of zeros around every image. With
y, d, u an output, a tap and an input along one axis, u = y stride + d - padding (circuits/operators/convolution/windows.py):

    values            (o; c, d, e) weights times (c, d, e; b, y, x) framed inputs
    weight gradient   (o; b, y, x) deltas times (b, y, x; c, d, e) framed inputs
    input gradient    (c; o, d, e) weights times (o, d, e; b, u, v) framed deltas, one product for each remainder of (u, v)
                      modulo the strides: only every stride-th tap meets such an input
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.operators.convolution.windows import Geometry, Window
from zkds.integers.limbs import I64
from zkds.native.exact import MatrixProduct, View


def _one() -> I64:
    """The offsets of one entry."""
    return np.zeros(1, dtype=np.int64)


@dataclass(frozen=True)
class Phase:
    """One axis of a product for the input gradient: which taps, framed outputs and inputs are counted by its rows, by the terms
    of its sums and by its columns.

    Tap term_taps[q] takes column n's output to its input: framed output term_outputs[q] + column_outputs[n], input
    column_inputs[n]. An axis of one output has no sums: tap row_taps[m] takes that to input row_inputs[m].
    """

    row_taps: I64 = field(default_factory=_one)
    row_inputs: I64 = field(default_factory=_one)
    term_taps: I64 = field(default_factory=_one)
    term_outputs: I64 = field(default_factory=_one)
    column_outputs: I64 = field(default_factory=_one)
    column_inputs: I64 = field(default_factory=_one)


@dataclass(frozen=True)
class Axis:
    """One axis of a convolution and its frames."""

    window: Window

    @property
    def framed_inputs(self) -> int:
        window = self.window
        return max(window.padding + window.inputs, (window.outputs - 1) * window.stride + window.kernel)

    @property
    def zeros_before_outputs(self) -> int:
        """So many outputs before the first one would meet an input, had the kernel been there."""
        if self.window.outputs == 1:
            return 0
        return max(0, -((self.window.padding + 1 - self.window.kernel) // self.window.stride))

    @property
    def framed_outputs(self) -> int:
        if self.window.outputs == 1:
            return 1
        last = (self.window.inputs - 1 + self.window.padding) // self.window.stride
        return self.zeros_before_outputs + max(self.window.outputs, last + 1)

    @property
    def phases(self) -> list[Phase]:
        """All inputs that a tap can meet, by their remainder modulo the stride; those of a single output at once."""
        window, phases = self.window, []
        if window.outputs == 1:
            inputs = np.arange(min(window.inputs, window.kernel - window.padding), dtype=np.int64)
            return [Phase(row_taps=inputs + window.padding, row_inputs=inputs)]
        for remainder in range(min(window.stride, window.inputs)):
            inputs = np.arange(remainder, window.inputs, window.stride, dtype=np.int64)
            first = (remainder + window.padding) % window.stride
            taps = np.arange(first, window.kernel, window.stride, dtype=np.int64)
            if len(taps):
                last = len(taps) - 1
                before = last - np.arange(len(taps), dtype=np.int64)
                outputs = (inputs + window.padding - first) // window.stride - last + self.zeros_before_outputs
                phases.append(Phase(term_taps=taps, term_outputs=before, column_outputs=outputs, column_inputs=inputs))
        return phases


@dataclass(frozen=True)
class ConvolutionViews:
    """The views of a convolution of `batch` records; arrays (B, C, H, W), weights (Cout, Cin, taps, taps), all contiguous."""

    batch: int
    channels_in: int
    channels_out: int
    rows: Window
    columns: Window

    @cached_property
    def _axes(self) -> tuple[Axis, Axis]:
        return Axis(self.rows), Axis(self.columns)

    @cached_property
    def _framed_inputs(self) -> tuple[int, int]:
        return self._axes[0].framed_inputs, self._axes[1].framed_inputs

    @cached_property
    def _framed_outputs(self) -> tuple[int, int]:
        return self._axes[0].framed_outputs, self._axes[1].framed_outputs

    def frame_inputs(self, values: NDArray[Any]) -> I64:
        """(.., H, W) with the convolution's padding, int64."""
        return _framed(values, self._framed_inputs, (self.rows.padding, self.columns.padding))

    def frame_outputs(self, values: NDArray[Any]) -> I64:
        """(.., Y, X) with zeros wherever a tap meets an input and there is no output, int64."""
        before = (self._axes[0].zeros_before_outputs, self._axes[1].zeros_before_outputs)
        return _framed(values, self._framed_outputs, before)

    @cached_property
    def values(self) -> MatrixProduct:
        """weights (Cout, Cin kernel), framed inputs (Cin kernel, B outputs) -> (B, Cout, Y, X)."""
        left = View.of_matrix(self.channels_out, self.channels_in * self._taps)
        return MatrixProduct(left, self._patches, self._outputs)

    @cached_property
    def weight_gradient(self) -> MatrixProduct:
        """deltas (Cout, B outputs), framed inputs (B outputs, Cin kernel) -> the weights' shape."""
        out = View.of_matrix(self.channels_out, self.channels_in * self._taps)
        return MatrixProduct(self._outputs, self._patches.transposed, out)

    @cached_property
    def input_gradient(self) -> list[MatrixProduct]:
        """weights (Cin, Cout taps), framed deltas (Cout taps, B inputs) -> (B, Cin, H, W), zero where no product reaches."""
        return [self._phase(rows, columns) for rows, columns in product(self._axes[0].phases, self._axes[1].phases)]

    def _phase(self, rows: Phase, columns: Phase) -> MatrixProduct:
        height, width = self._framed_outputs
        frame, size = height * width, self.rows.inputs * self.columns.inputs
        kernel = self.columns.kernel
        weights = View(
            _offsets((self.channels_in, self._taps), (rows.row_taps, kernel), (columns.row_taps, 1)),
            _offsets((self.channels_out, self.channels_in * self._taps), (rows.term_taps, kernel), (columns.term_taps, 1)),
        )
        deltas = View(
            _offsets((self.channels_out, frame), (rows.term_outputs, width), (columns.term_outputs, 1)),
            _offsets((self.batch, self.channels_out * frame), (rows.column_outputs, width), (columns.column_outputs, 1)),
        )
        row, record = self.columns.inputs, self.channels_in * size
        inputs = View(
            _offsets((self.channels_in, size), (rows.row_inputs, row), (columns.row_inputs, 1)),
            _offsets((self.batch, record), (rows.column_inputs, row), (columns.column_inputs, 1)),
        )
        return MatrixProduct(weights, deltas, inputs)

    @property
    def _taps(self) -> int:
        return self.rows.kernel * self.columns.kernel

    @cached_property
    def _patches(self) -> View:
        """(Cin kernel, B outputs) of the framed inputs: what every tap meets at every output."""
        height, width = self._framed_inputs
        frame, rows, columns = height * width, self.rows, self.columns
        return View(
            _offsets((self.channels_in, frame), (rows.kernel, width), (columns.kernel, 1)),
            _offsets(
                (self.batch, self.channels_in * frame), (rows.outputs, rows.stride * width), (columns.outputs, columns.stride)
            ),
        )

    @cached_property
    def _outputs(self) -> View:
        """(Cout, B outputs) of an array (B, Cout, Y, X)."""
        size = self.rows.outputs * self.columns.outputs
        return View(_offsets((self.channels_out, size)), _offsets((self.batch, self.channels_out * size), (size, 1)))


@lru_cache(maxsize=256)
def views(batch: int, channels_in: int, channels_out: int, rows: Window, columns: Window) -> ConvolutionViews:
    """The views of a convolution, made once."""
    return ConvolutionViews(batch, channels_in, channels_out, rows, columns)


def _offsets(*axes: tuple[int | I64, int]) -> I64:
    """The offsets of all entries of a grid, in C order: (positions along an axis, or their number; offset of one step) each."""
    total = np.zeros(1, dtype=np.int64)
    for positions, step in axes:
        steps = np.arange(positions, dtype=np.int64) if isinstance(positions, int) else positions
        total = (total[:, None] + step * steps).reshape(-1)
    return total


def _framed(values: NDArray[Any], size: Sequence[int], before: Sequence[int]) -> I64:
    """(.., h, w) placed into zeros (.., *size) after `before` rows and columns."""
    if tuple(size) == values.shape[-2:]:
        return np.ascontiguousarray(values, dtype=np.int64)
    framed = np.zeros((*values.shape[:-2], *size), dtype=np.int64)
    framed[..., before[0] : before[0] + values.shape[-2], before[1] : before[1] + values.shape[-1]] = values
    return framed


def layer_views(geometry: Geometry) -> ConvolutionViews:
    """The matrices of one pass of a layer."""
    return views(geometry.batch, geometry.channels_in, geometry.channels_out, geometry.rows, geometry.columns)
