"""Average pools: means over windows of rows and columns, of any size, stride and padding, adaptive and global ones.

The number that a window's sum is divided by is the product of one number for its rows and one for its columns, in every pool of
torch (`sliding`, `adaptive`). So with the least common multiples R and C of these, d = R C is the divisor of all windows:

    D[h, w] = sum over the window's rows i and columns j of R / rows(h) C / columns(w) x[i, j]            exact
    E[i, j] = sum over the windows h, w that hold i, j of R / rows(h) C / columns(w) dy[h, w]             exact

    y = D,  with log2 d more fractional bits;   dx = E, with log2 d more                                  if d is a power of two
    y = round(D / d)  [32];                     dx = round(E / d)  [e]                                    else

In the first case nothing is rounded and nothing committed, in the second the quotients and one cell for each remainder
(zkds/identities/rounded_quotient.py), by d times a power of two where x, or dy, has more fractional bits.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, CONVOLUTION, DELTA, LIMB_BITS, Place, require_format
from zkds.circuits.operators.averages import (
    Means,
    WindowSpread,
    WindowSums,
    adaptive,
    divided,
    round_quotient,
    sliding,
)
from zkds.circuits.operators.operator import (
    Backward,
    Built,
    BuiltBackward,
    Forward,
    GradientKind,
    Operator,
    Pair,
    Placed,
    Scope,
    Shape,
    read_bool,
    require_bool,
    require_count,
    require_dimension,
    require_pair,
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported, of_lines, require_values
from zkds.identities.rounded_quotient import MAX_DIVISOR, RoundedQuotient
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, MAX_WIDTH, LimbFormat
from zkds.tensors.tensor import Committed, Tensor

if TYPE_CHECKING:
    from torch import nn


MAX_SIDE = 1 << 13  # rows and columns of inputs and outputs: a stranger's description is checked window by window


class WindowMeans(Operator):
    """Means over windows of inputs of `size` (rows, columns)."""

    size: Pair

    @cached_property
    @abstractmethod
    def means(self) -> Means:
        """Which windows. Raises ValueError for windows that torch refuses."""

    def _check_means(self) -> None:
        """Raise ValueError for windows that torch refuses, or whose divisor or whose factors are too large."""
        largest = max(self.means.divisor, self.means.totals.high, self.means.entry_totals.high)
        if largest > MAX_DIVISOR:
            raise ValueError(f"windows: expected a divisor and sums of factors of at most {MAX_DIVISOR}, got {largest}")

    @property
    def rounds(self) -> bool:
        return not self.means.is_exact

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        channels, *size = inputs[0]
        if tuple(size) != self.size:
            raise ValueError(f"size: expected that of its input {inputs[0]}, got {self.size}")
        return channels, self.means.rows.windows.count, self.means.columns.windows.count

    def output_bits(self, inputs: Sequence[int]) -> int:
        return ACTIVATION_BITS if self.rounds else inputs[0] + self.means.bits

    def input_delta_bits(self, delta_bits: int) -> int:
        return 0 if self.rounds else delta_bits + self.means.bits

    def windows(self, inputs: Sequence[Shape]) -> tuple[int, ...]:
        return tuple(axis.windows.length + axis.windows.count for axis in (self.means.rows, self.means.columns))

    def table_rows(self, placed: Placed) -> int:
        if not self.rounds:
            return 0
        return forward_divisor(self.means, placed) + backward_divisor(self.means, placed)

    # ---- semantics ----

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        _require_sums(inputs[0], self.means.totals, "average pool: input", place)
        sums = self.means.sums(inputs[0])
        if not self.rounds:
            return Forward(sums)
        found = round_quotient(sums, forward_divisor(self.means, placed))
        require_format(found.value, CONVOLUTION, "average pool", place)
        return Forward(found.value, {"forward: remainder": found.remainder})

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        if not placed.wanted[0]:
            return Backward([None])
        _require_sums(delta, self.means.entry_totals, "average pool: delta", place)
        spread = self.means.spread(delta)
        if not self.rounds:
            return Backward([spread])
        found = round_quotient(spread, backward_divisor(self.means, placed))
        require_format(found.value, DELTA, "input delta", place)
        values = {"input delta": found.value, "input gradient: remainder": found.remainder}
        return Backward([found.value], values)

    # ---- relation ----

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        return BuiltMeans(self.means, placed, scope, inputs[0])


@dataclass(frozen=True)
class AveragePool(WindowMeans):
    """torch's avg_pool2d.

    kernel, stride, padding   (vertical, horizontal); zeros on both sides
    ceil_mode                 whether a last window may reach behind the padding
    count_include_pad         whether the zeros of the padding count in a mean
    divisor                   by which every sum is divided, whatever it counts; 0 for none
    """

    KIND: ClassVar[str] = "average pool"

    size: Pair
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor: int = 0

    def __post_init__(self) -> None:
        _require_sides("size", self.size)
        require_pair("kernel", self.kernel)
        require_pair("stride", self.stride)
        require_pair("padding", self.padding, 0)
        require_bool("ceil_mode", self.ceil_mode)
        require_bool("count_include_pad", self.count_include_pad)
        require_dimension("divisor", self.divisor, 0)
        self._check_means()

    @classmethod
    def side_by_side(cls, inputs: Shape, size: int) -> Self:
        """Windows of size x size entries at distance `size`."""
        return cls(inputs[1:], (size, size), (size, size))

    @cached_property
    def means(self) -> Means:
        rows, columns = (
            sliding(*axis, ceil_mode=self.ceil_mode, count_include_pad=self.count_include_pad)
            for axis in zip(self.size, self.kernel, self.stride, self.padding, strict=True)
        )
        return Means(divided(rows, self.divisor), divided(columns, 1)) if self.divisor else Means(rows, columns)

    def numbers(self) -> tuple[int, ...]:
        pairs = (*self.size, *self.kernel, *self.stride, *self.padding)
        return (*pairs, int(self.ceil_mode), int(self.count_include_pad), self.divisor)

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 11)
        *pairs, ceil_mode, count_include_pad, divisor = numbers
        size, kernel, stride, padding = ((pairs[j], pairs[j + 1]) for j in (0, 2, 4, 6))
        flags = read_bool("ceil_mode", ceil_mode), read_bool("count_include_pad", count_include_pad)
        return cls(size, kernel, stride, padding, *flags, divisor)

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        options = (self.ceil_mode, self.count_include_pad, self.divisor or None)
        return nn.AvgPool2d(self.kernel, self.stride, self.padding, *options)


@dataclass(frozen=True)
class AdaptiveAveragePool(WindowMeans):
    """torch's adaptive_avg_pool2d to `outputs` (rows, columns); one output is the mean of all."""

    KIND: ClassVar[str] = "adaptive average pool"

    size: Pair
    outputs: Pair

    def __post_init__(self) -> None:
        _require_sides("size", self.size)
        _require_sides("outputs", self.outputs)
        self._check_means()

    @cached_property
    def means(self) -> Means:
        rows, columns = (adaptive(*axis) for axis in zip(self.size, self.outputs, strict=True))
        return Means(rows, columns)

    def numbers(self) -> tuple[int, ...]:
        return (*self.size, *self.outputs)

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 4)
        height, width, rows, columns = numbers
        return cls((height, width), (rows, columns))

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.AdaptiveAvgPool2d(self.outputs)


class BuiltMeans(Built):
    """The relation of means: of linear tensors alone, if they are exact; else of quotients of these."""

    def __init__(self, means: Means, placed: Placed, scope: Scope, inputs: Tensor) -> None:
        self.means = means
        self.placed = placed
        self.inputs = inputs
        if means.is_exact:
            self.output: Tensor = WindowSums(f"{placed.name}: output", inputs, means)
            return
        self.output = scope.output(placed)
        sums = WindowSums(f"{placed.name}: sums", inputs, means)
        divisor = forward_divisor(means, placed)
        self.components = [RoundedQuotient(f"{placed.name}: forward", self.output, sums, divisor)]

    def backward(self, delta: Tensor) -> BuiltBackward:
        name = self.placed.name
        if not self.placed.wanted[0]:
            return BuiltBackward([None])
        if self.means.is_exact:
            return BuiltBackward([WindowSpread(f"{name}: delta", delta, self.means)])
        found = Committed(LimbColumns(f"{name}: input delta", DELTA, self.inputs.shape))
        spread = WindowSpread(f"{name}: spread", delta, self.means)
        divisor = backward_divisor(self.means, self.placed)
        return BuiltBackward([found], [RoundedQuotient(f"{name}: input gradient", found, spread, divisor)])


def forward_divisor(means: Means, placed: Placed) -> int:
    """Of sums of inputs, for quotients of 32 fractional bits."""
    return means.divisor << placed.input_bits[0] - ACTIVATION_BITS


def backward_divisor(means: Means, placed: Placed) -> int:
    """Of sums of deltas, for quotients of as many fractional bits as the deltas of the scores."""
    return means.divisor << placed.delta_bits


def _require_sides(what: str, sides: Pair) -> None:
    require_pair(what, sides)
    if max(sides) > MAX_SIDE:
        raise ValueError(f"{what}: expected at most {MAX_SIDE}, got {max(sides)}")


def _require_sums(values: I64, totals: Interval, tensor: str, place: Place) -> None:
    """Raise Overflow for values whose sums, with factors of such totals, might need more than 64 bits."""
    width = min(MAX_WIDTH, 64 - totals.high.bit_length())
    require_format(values, LimbFormat(LIMB_BITS, width, signed=True), tensor, place)


# ---- import from programs of torch.export ----


def _average_pool(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    images = importer.image(name, given["self"])
    kernel, padding, divisor = given["kernel_size"], given["padding"], given.get("divisor_override")
    stride = given["stride"] or kernel
    if divisor is not None and divisor < 1:
        raise Unsupported(f"{name}: expected a divisor_override of at least 1, got {divisor}")
    options = (padding, given["ceil_mode"], given["count_include_pad"], divisor or 0)
    found = _operator(name, images, AveragePool, kernel, stride, *options)
    ends = int(found.means.rows.windows.stops[-1]), int(found.means.columns.windows.stops[-1])
    if padding == (0, 0) and ends != images.shape[1:]:
        with suppress(Unsupported):  # what no window reaches need not be computed, if the pool alone takes it
            images = importer.crop(name, images, ends)
            found = _operator(name, images, AveragePool, kernel, stride, *options)
    return _added(importer, name, found, images)


def _adaptive_average_pool(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    images = importer.image(name, given["self"])
    return _added(importer, name, _means_to(name, images, given["output_size"]), images)


def _mean(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    """Over rows, columns or both, of images as an operator made them, or flattened to (channels, positions)."""
    require_values(name, given, dtype=None)
    values = importer.traced(name, given["self"])
    channels, *size = values.shape
    rank, dims = 1 + len(values.record), given["dim"] or ()
    if any(not -rank <= axis < rank for axis in dims):
        raise ValueError(f"{name}: dim: expected dimensions from {-rank} to {rank - 1}, got {dims}")
    axes = {axis % rank for axis in dims}
    if values.record == values.shape and axes in ({2}, {3}, {2, 3}):
        outputs = (1 if 2 in axes else size[0], 1 if 3 in axes else size[1])
    elif values.record == (channels, math.prod(size)) and axes == {2}:
        outputs = (1, 1)
    else:
        raise Unsupported(f"{name}: expected a mean over rows or columns of records (C, H, W), or over both")
    kept = [1 if axis in axes else length for axis, length in enumerate(values.record, 1)]
    left = [length for axis, length in enumerate(values.record, 1) if axis not in axes]
    record = tuple(kept if given["keepdim"] else left)
    return _added(importer, name, _means_to(name, values, outputs), values, record)


def _means_to(name: str, values: Traced, outputs: Pair) -> WindowMeans:
    """Windows side by side, where the outputs divide the sides: one description for all ways to write it."""
    size = values.shape[1:]
    if min(outputs) < 1 or any(length % count for length, count in zip(size, outputs, strict=True)):
        return _operator(name, values, AdaptiveAveragePool, outputs)
    kernel = size[0] // outputs[0], size[1] // outputs[1]
    return _operator(name, values, AveragePool, kernel, kernel)


def _operator(name: str, values: Traced, kind: Callable[..., WindowMeans], *fields: Any) -> WindowMeans:
    try:
        return kind(values.shape[1:], *fields)
    except ValueError as error:
        raise Unsupported(f"{name}: {error}") from None


def _added(
    importer: Importer, name: str, operator: WindowMeans, values: Traced, record: tuple[int, ...] | None = None
) -> Traced:
    """A pool that changes nothing needs no node."""
    if operator.means.changes_nothing:
        return replace(values, record=values.shape if record is None else record)
    return importer.add(name, operator, [values], record)


IMPORTS: dict[str, Handler] = {
    "aten.avg_pool2d.default": _average_pool,
    "aten.adaptive_avg_pool2d.default": _adaptive_average_pool,
    "aten.avg_pool1d.default": of_lines(_average_pool),
    "aten.adaptive_avg_pool1d.default": of_lines(_adaptive_average_pool),
    "aten.mean.dim": _mean,
}
