"""The geometry of a convolution along one spatial axis: which output, tap and input belong together.

Output y meets input u at tap d where u = y stride + d - padding lies inside the input; everything outside is exact zero and is
no term of any sum. Each of the three sums of a layer fixes one of the three axes at a random point and sums over the others:

    values            sum over taps      of outputs        at a point of the outputs
    input gradient    sum over taps      of inputs         at a point of the inputs
    weight gradient   sum over outputs   of taps           at a point of the taps

The relation as a 0/1 tensor R[y, d, u] has at most one 1 for any two of its indices, so weights along one axis, spread over the
other two, are a matrix with one weight or zero in each place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkds.native import U64


@dataclass(frozen=True)
class Window:
    """One axis: `outputs` positions of a kernel that moves by `stride` over `inputs` entries with `padding` zeros at both ends.

    Fewer outputs than fit are allowed: what a pooling layer leaves out is never computed. Raises ValueError for more.
    """

    inputs: int
    kernel: int
    stride: int
    padding: int
    outputs: int

    def __post_init__(self) -> None:
        for name in ("inputs", "kernel", "stride", "outputs"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a positive int, got {getattr(self, name)!r}")
        if type(self.padding) is not int or self.padding < 0:
            raise ValueError(f"padding: expected an int of at least 0, got {self.padding!r}")
        most = (self.inputs + 2 * self.padding - self.kernel) // self.stride + 1
        if self.outputs > most:
            raise ValueError(f"outputs: expected at most {most}, got {self.outputs}")

    @property
    def _triples(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """All (output, tap, input) that belong together, as three arrays of one length."""
        outputs, taps = np.meshgrid(np.arange(self.outputs), np.arange(self.kernel), indexing="ij")
        inputs = outputs * self.stride + taps - self.padding
        inside = (inputs >= 0) & (inputs < self.inputs)
        return outputs[inside], taps[inside], inputs[inside]

    def by_outputs(self, weights: U64) -> U64:
        """(outputs, 2) pairs -> (kernel, inputs, 2): weight of the output at which a tap meets an input, or zero."""
        outputs, taps, inputs = self._triples
        matrix = np.zeros((self.kernel, self.inputs, 2), dtype=np.uint64)
        matrix[taps, inputs] = weights[outputs]
        return matrix

    def by_inputs(self, weights: U64) -> U64:
        """(inputs, 2) pairs -> (kernel, outputs, 2): weight of the input that a tap meets at an output, or zero."""
        outputs, taps, inputs = self._triples
        matrix = np.zeros((self.kernel, self.outputs, 2), dtype=np.uint64)
        matrix[taps, outputs] = weights[inputs]
        return matrix

    def by_taps(self, weights: U64) -> U64:
        """(kernel, 2) pairs -> (outputs, inputs, 2): weight of the tap at which an output meets an input, or zero."""
        outputs, taps, inputs = self._triples
        matrix = np.zeros((self.outputs, self.inputs, 2), dtype=np.uint64)
        matrix[outputs, inputs] = weights[taps]
        return matrix

    @property
    def most_terms_of_an_output(self) -> int:
        """The largest number of taps that meet an input at one output."""
        first = np.arange(self.outputs) * self.stride - self.padding  # the input at tap 0
        return _longest(np.maximum(0, -first), np.minimum(self.kernel, self.inputs - first))

    @property
    def most_terms_of_an_input(self) -> int:
        """The largest number of outputs that one input goes into."""
        last = np.arange(self.inputs) + self.padding  # stride times the output at tap 0
        return _longest(
            np.maximum(0, -((self.kernel - 1 - last) // self.stride)), np.minimum(self.outputs, last // self.stride + 1)
        )

    @property
    def most_terms_of_a_tap(self) -> int:
        """The largest number of outputs at which one tap meets an input."""
        before = self.padding - np.arange(self.kernel)  # stride times the output that meets input 0
        return _longest(
            np.maximum(0, -(-before // self.stride)), np.minimum(self.outputs, -(-(self.inputs + before) // self.stride))
        )


def _longest(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> int:
    """The length of the longest of the ranges [start, end)."""
    return int((ends - starts).max(initial=0))


@dataclass(frozen=True)
class Geometry:
    """The sizes of one layer's convolution for all passes of a trajectory of `steps` steps.

    passes: 2 steps - 1, the first ones of all steps, then the second ones of all but the last.
    """

    steps: int
    batch: int
    channels_in: int
    channels_out: int
    rows: Window
    columns: Window

    @property
    def passes(self) -> int:
        return 2 * self.steps - 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(P, B, Cin, H, W)"""
        return (self.passes, self.batch, self.channels_in, self.rows.inputs, self.columns.inputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(P, B, Cout, Y, X)"""
        return (self.passes, self.batch, self.channels_out, self.rows.outputs, self.columns.outputs)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(Cout, Cin, taps, taps), without an axis of passes or steps."""
        return (self.channels_out, self.channels_in, self.rows.kernel, self.columns.kernel)
