"""The geometry of a convolution along one spatial axis: which output, tap and input belong together.

Output y meets input u at tap d where u = y stride + d dilation - before lies inside the input; everything outside is exact zero
and is no term of any sum. Each of the three sums of a layer fixes one of the three axes at a random point and sums over the
others:

    values            sum over taps      of outputs        at a point of the outputs
    input gradient    sum over taps      of inputs         at a point of the inputs
    weight gradient   sum over outputs   of taps           at a point of the taps

The relation as a 0/1 tensor R[y, d, u] has at most one 1 for any two of its indices, so weights along one axis, spread over the
other two, are a matrix with one weight or zero in each place. Such matrices are the prover's: a verifier has weights along two
axes and needs their sums over what meets along the third (`on_inputs`, `on_outputs`), which cost one product for each meeting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkds.integers.limbs import I64
from zkds.native import U64, field
from zkds.tensors.contraction import product, sums_by_index

CHUNK = 1 << 18  # meetings whose products are in memory at a time


@dataclass(frozen=True)
class Window:
    """One axis: `outputs` positions, `stride` apart, of a kernel whose taps are `dilation` apart, over `inputs` entries.

    `before` zeros are in front of the inputs, and as many behind them as the last output's taps reach. Raises ValueError unless
    all are positive ints, `before` at least 0.
    """

    inputs: int
    kernel: int
    stride: int
    before: int
    outputs: int
    dilation: int = 1

    def __post_init__(self) -> None:
        sizes = (self.inputs, self.kernel, self.stride, self.outputs, self.dilation)
        for name, size in zip(("inputs", "kernel", "stride", "outputs", "dilation"), sizes, strict=True):
            if type(size) is not int or size < 1:
                raise ValueError(f"{name}: expected a positive int, got {size!r}")
        if type(self.before) is not int or self.before < 0:
            raise ValueError(f"before: expected an int of at least 0, got {self.before!r}")

    @property
    def extent(self) -> int:
        """From the first tap to the last, both included."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def meetings(self) -> int:
        """The pairs of an output and a tap, some of which meet zeros: what the sums of weights below cost."""
        return self.outputs * self.kernel

    def _meetings(self, outputs: range) -> tuple[I64, I64, I64]:
        """All (output, tap, input) of these outputs that belong together, as three arrays of one length."""
        y, d = np.meshgrid(np.arange(outputs.start, outputs.stop), np.arange(self.kernel), indexing="ij")
        u = y * self.stride + d * self.dilation - self.before
        inside = (u >= 0) & (u < self.inputs)
        return y[inside], d[inside], u[inside]

    @property
    def _chunks(self) -> list[range]:
        """The outputs, so many at a time that their meetings are about CHUNK."""
        size = max(1, CHUNK // self.kernel)
        return [range(first, min(first + size, self.outputs)) for first in range(0, self.outputs, size)]

    # ---- weights along one axis, spread over the two others: the prover's ----------------------------------------------

    def by_outputs(self, weights: U64) -> U64:
        """(outputs, 2) pairs -> (kernel, inputs, 2): weight of the output at which a tap meets an input, or zero."""
        outputs, taps, inputs = self._meetings(range(self.outputs))
        matrix = np.zeros((self.kernel, self.inputs, 2), dtype=np.uint64)
        matrix[taps, inputs] = weights[outputs]
        return matrix

    def by_inputs(self, weights: U64) -> U64:
        """(inputs, 2) pairs -> (kernel, outputs, 2): weight of the input that a tap meets at an output, or zero."""
        outputs, taps, inputs = self._meetings(range(self.outputs))
        matrix = np.zeros((self.kernel, self.outputs, 2), dtype=np.uint64)
        matrix[taps, outputs] = weights[inputs]
        return matrix

    def by_taps(self, weights: U64) -> U64:
        """(kernel, 2) pairs -> (outputs, inputs, 2): weight of the tap at which an output meets an input, or zero."""
        outputs, taps, inputs = self._meetings(range(self.outputs))
        matrix = np.zeros((self.outputs, self.inputs, 2), dtype=np.uint64)
        matrix[outputs, inputs] = weights[taps]
        return matrix

    # ---- weights along two axes, summed over what meets along the third ------------------------------------------------

    def on_inputs(self, outputs: U64, taps: U64) -> U64:
        """(outputs, 2) and (kernel, 2) pairs -> (inputs, 2): sum of outputs[y] taps[d] over all y, d that meet an input."""
        total = np.zeros((self.inputs, 2), dtype=np.uint64)
        for chunk in self._chunks:
            y, d, u = self._meetings(chunk)
            total = field.add(total, sums_by_index(product(outputs[y], taps[d]), u, self.inputs))
        return total

    def on_outputs(self, inputs: U64, taps: U64) -> U64:
        """(inputs, 2) and (kernel, 2) pairs -> (outputs, 2): sum of inputs[u] taps[d] over all u, d that meet an output."""
        total = np.zeros((self.outputs, 2), dtype=np.uint64)
        for chunk in self._chunks:
            y, d, u = self._meetings(chunk)
            total = field.add(total, sums_by_index(product(inputs[u], taps[d]), y, self.outputs))
        return total

    # ---- how many terms a sum has ---------------------------------------------------------------------------------------

    @property
    def most_terms_of_an_output(self) -> int:
        """The largest number of taps that meet an input at one output."""
        first = np.arange(self.outputs) * self.stride - self.before  # the input at tap 0
        return _longest(
            np.maximum(0, -(first // self.dilation)), np.minimum(self.kernel, -((first - self.inputs) // self.dilation))
        )

    @property
    def most_terms_of_a_tap(self) -> int:
        """The largest number of outputs at which one tap meets an input."""
        before = self.before - np.arange(self.kernel) * self.dilation  # stride times the output that meets input 0
        return _longest(
            np.maximum(0, -(-before // self.stride)), np.minimum(self.outputs, -(-(self.inputs + before) // self.stride))
        )

    @property
    def most_terms_of_an_input(self) -> int:
        """The largest number of outputs that one input goes into.

        With g = gcd(stride, dilation), input u meets output y at tap d if (u + before) / g = y stride / g + d dilation / g: one
        solution in ints, and all others by stride / g more taps and dilation / g fewer outputs.
        """
        common = math.gcd(self.stride, self.dilation)
        more_taps, fewer_outputs = self.stride // common, self.dilation // common
        places = np.arange(self.inputs) + self.before
        places = places[places % common == 0] // common
        taps = places * pow(fewer_outputs, -1, more_taps) % more_taps  # the first tap that meets the input at any place
        outputs = (places - taps * fewer_outputs) // more_taps
        return _longest(
            np.maximum(0, -((self.outputs - 1 - outputs) // fewer_outputs)),
            np.minimum(-((taps - self.kernel) // more_taps), outputs // fewer_outputs + 1),
        )


def _longest(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> int:
    """The length of the longest of the ranges [start, end)."""
    return int((ends - starts).max(initial=0))


@dataclass(frozen=True)
class Geometry:
    """The sizes of one layer's convolution for all passes of a trajectory of `steps` steps.

    passes: 2 steps - 1, the first ones of all steps, then the second ones of all but the last. groups: into so many equal runs
    the channels in and out are cut; every run of outputs sees its run of inputs alone. Raises ValueError if that does not go.
    """

    steps: int
    batch: int
    channels_in: int
    channels_out: int
    rows: Window
    columns: Window
    groups: int = 1

    def __post_init__(self) -> None:
        if type(self.groups) is not int or self.groups < 1 or self.channels_in % self.groups or self.channels_out % self.groups:
            channels = f"{self.channels_in} and {self.channels_out}"
            raise ValueError(f"groups: expected a divisor of {channels} channels, got {self.groups!r}")

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
        """(Cout, Cin / groups, taps, taps), without an axis of passes or steps."""
        return (self.channels_out, self.channels_in // self.groups, self.rows.kernel, self.columns.kernel)
