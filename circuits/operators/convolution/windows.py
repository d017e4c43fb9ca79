"""The geometry of a convolution along one spatial axis: which output, tap and input belong together.

Output y meets input u at tap d where u = y stride + d dilation - before lies inside the input; everything outside is exact zero
and is no term of any sum. Each of the three sums of a layer fixes one of the three axes at a random point and sums over the
others:

    values            sum over taps      of outputs        at a point of the outputs
    input gradient    sum over taps      of inputs         at a point of the inputs
    weight gradient   sum over outputs   of taps           at a point of the taps

So weights along two of the axes are multiplied where they meet, and added up along the third. That takes one product for each
pair of an output and a tap, and no table of outputs and inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkds.integers.limbs import I64
from zkds.native import U64, field
from zkds.tensors.axes import Axis, EqAxis, VectorAxis
from zkds.tensors.contraction import multiply, product, sums_by_index

CHUNK = 1 << 18  # meetings whose products are in memory at a time
RUN = 8  # outputs that are made by one matrix: as many columns as the C core multiplies at a time


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
    def reached(self) -> int:
        """From the first tap of the first output to the last tap of the last one, both included."""
        return (self.outputs - 1) * self.stride + self.extent

    @property
    def entries(self) -> int:
        """What the sums of weights below cost: pairs of an output and a tap, and the entries of the axes with their zeros."""
        return self.outputs * self.kernel + 2 * (self.inputs + self.outputs) + self.reached

    @property
    def exchanged(self) -> Window:
        """Outputs as taps and taps as outputs: the same inputs meet."""
        return Window(self.inputs, self.outputs, self.dilation, self.before, self.kernel, self.stride)

    # ---- weights along two axes, summed over what meets along the third ------------------------------------------------

    def on_inputs(self, outputs: U64, taps: U64) -> U64:
        """(outputs, 2) and (kernel, 2) pairs -> (inputs, 2): sum of outputs[y] taps[d] over all y, d that meet an input."""
        total = np.zeros((self.inputs + 1, 2), dtype=np.uint64)
        size = max(1, CHUNK // self.kernel)
        for first in range(0, self.outputs, size):
            chunk = range(first, min(first + size, self.outputs))
            products = multiply(outputs[first : chunk.stop, None], taps[None]).reshape(-1, 2)
            total = field.add(total, sums_by_index(products, self._inputs_at(chunk).ravel(), self.inputs + 1))
        return np.ascontiguousarray(total[:-1])

    def on_outputs(self, inputs: U64, taps: U64) -> U64:
        """(.., inputs, 2) and (kernel, 2) pairs -> (.., outputs, 2): sum of inputs[u] taps[d] over all u, d that meet output y.

        On `exchanged`, with weights of the outputs in place of the taps', these are the sums on taps. Outputs that lie a
        multiple of the dilation apart in the inputs are made together, by one small matrix for all runs of them.
        """
        if self.kernel == 1:
            reached = _framed(inputs, self.before, (self.outputs - 1) * self.stride + 1)[..., :: self.stride, :]
            return np.ascontiguousarray(reached) if taps.tolist() == [[1, 0]] else product(reached, taps)
        common = math.gcd(self.stride, self.dilation)
        apart = min(self.dilation // common, self.outputs)  # so many outputs lie between two that are made together
        together = min(RUN, -(-self.outputs // apart))
        runs = -(-self.outputs // (apart * together))
        step = self.stride // common
        reach = (together - 1) * step + self.kernel
        framed = _framed(inputs, self.before, (runs * together * apart - 1) * self.stride + self.extent)
        seen = np.zeros((reach, together, 2), dtype=np.uint64)
        for place in range(together):
            seen[place * step : place * step + self.kernel, place] = taps
        windows = _strided(framed, (runs, apart * together * self.stride), (apart, self.stride), (reach, self.dilation))
        sums = multiply(windows, seen).swapaxes(-3, -2)  # (.., runs, apart, together, 2) pairs
        return np.ascontiguousarray(sums.reshape(*inputs.shape[:-2], -1, 2)[..., : self.outputs, :])

    def of_inputs(self, weights: U64) -> U64:
        """(.., inputs, 2) pairs -> (.., outputs, kernel, 2): the weight of the input that a tap meets at an output, or zero."""
        framed = _framed(weights, 0, self.inputs + 1)
        return np.ascontiguousarray(framed[..., self._inputs_at(range(self.outputs)), :])

    def met(self, outputs: EqAxis, taps: EqAxis) -> Axis:
        """`on_inputs` of two points: one of the inputs where outputs or taps are the inputs, one by one."""
        if not self.before and self.kernel == 1 and self.outputs == self.inputs and (self.stride == 1 or self.inputs == 1):
            return outputs
        if not self.before and self.outputs == 1 and self.kernel == self.inputs and (self.dilation == 1 or self.inputs == 1):
            return taps
        return VectorAxis(self.on_inputs(outputs.vector(), taps.vector()))

    def _inputs_at(self, outputs: range) -> I64:
        """(outputs, kernel): which input each tap meets, or `inputs` for a zero."""
        first = np.arange(outputs.start, outputs.stop) * self.stride - self.before
        places = first[:, None] + np.arange(self.kernel) * self.dilation
        return np.where((places >= 0) & (places < self.inputs), places, self.inputs)

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


def one_by_one(length: int) -> Window:
    """The window that sees every input alone."""
    return Window(length, 1, 1, 0, length)


def _framed(values: U64, before: int, length: int) -> U64:
    """(.., n, 2) pairs behind `before` zeros, and as many zeros behind them, or so many left out, that the axis is `length`."""
    *lead, count, _ = values.shape
    if not before and length <= count:
        return values[..., :length, :]
    framed = np.zeros((*lead, length, 2), dtype=np.uint64)
    framed[..., before : before + count, :] = values[..., : max(0, length - before), :]
    return framed


def _strided(values: U64, *axes: tuple[int, int]) -> U64:
    """(.., n, 2) pairs -> (.., counts of the axes, 2): a view, in which index i of an axis is `distance` i entries further."""
    *lead, entry, part = values.strides
    shape = (*values.shape[:-2], *(count for count, _ in axes), 2)
    return np.lib.stride_tricks.as_strided(
        values, shape, (*lead, *(entry * distance for _, distance in axes), part), writeable=False
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
