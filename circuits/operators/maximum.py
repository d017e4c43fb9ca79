"""Max pooling: the largest entry of every window, with or without a ReLU.

    y[h, w] = max over window, and at least 0 with `relu`;    dx = sum of dy over the windows of which it is the first maximum

The first maximum is the first in row-major order; with `relu` it counts only if it is >= 0. ReLU before or behind a max pool
has the same values and, in PyTorch, where ReLU has the derivative 0 at 0, the same gradients: a window with a positive maximum
passes the gradient to its first entry with that maximum in both orders, another one passes nothing on. The relation is in
circuits/operators/max_pool.py; windows that lie side by side and cover the input need no copy of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, CONVOLUTION, DELTA, Place, require_format
from zkds.circuits.operators import max_pool
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
    require_elements,
    require_pair,
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.pooling import window_sums
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported, of_lines
from zkds.circuits.operators.unfold import Unfolding, adaptive_unfolding, sliding_unfolding
from zkds.errors import PlanRejected
from zkds.integers.limbs import I64, LimbFormat
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Tensor

if TYPE_CHECKING:
    from torch import nn


class Maximum(Operator):
    """The largest entries of windows of any kind; a ReLU behind them with `relu`."""

    relu: bool

    @abstractmethod
    def unfolding(self, size: Pair) -> Unfolding:
        """The windows on an input of `size` rows and columns. Raises ValueError if none fit."""

    @abstractmethod
    def with_relu(self) -> Maximum:
        """The same, and a ReLU behind it."""

    @abstractmethod
    def pool(self) -> nn.Module:
        """The torch module, without ReLU. Needs torch."""

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        channels, *size = inputs[0]
        unfolding = self.unfolding((size[0], size[1]))
        require_elements("entries of all windows", (channels, unfolding.rows.entries.size, unfolding.columns.entries.size))
        return channels, unfolding.rows.windows, unfolding.columns.windows

    def windows(self, inputs: Sequence[Shape]) -> tuple[int, ...]:
        unfolding = self.unfolding(inputs[0][1:])
        return tuple(axis.entries.size + axis.length for axis in (unfolding.rows, unfolding.columns))

    def unfolded(self, inputs: Sequence[Shape]) -> tuple[int, ...]:
        unfolding = self.unfolding(inputs[0][1:])
        return unfolding.rows.entries.size, unfolding.columns.entries.size

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        unfolding = self.unfolding(placed.inputs[0][1:])
        entries = unfolding.unfold(inputs[0], max_pool.padding_value(_width(placed)))
        mask = max_pool.first_maximum(entries, unfolding.window, relu=self.relu)
        output = window_sums(mask * entries, unfolding.window)
        difference = max_pool.differences(entries, mask, output, unfolding.window)
        return Forward(output, {"mask": mask.astype(np.uint8), "difference": difference})

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        if not placed.wanted[0]:
            return Backward([None])
        unfolding = self.unfolding(placed.inputs[0][1:])
        found = max_pool.backward(ahead.values["mask"], delta, unfolding)
        if not unfolding.is_tiling:
            number = LimbFormat(DELTA.limb_bits, DELTA.width + placed.delta_bits, signed=True)
            if unfolding.uses.high * number.interval.magnitude() >= 1 << 63:  # sums may have wrapped
                raise PlanRejected(f"{placed.name}: windows overlap too much for deltas of {number.width} bits")
            require_format(found, number, "delta", place)
        return Backward([found])

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        unfolding = self.unfolding(placed.inputs[0][1:])
        unfolded = max_pool.UnfoldedMaxPool(placed.name, inputs[0], unfolding, _width(placed), relu=self.relu)
        return BuiltMaxPool(placed, unfolding, unfolded.pool, [unfolded.tie, unfolded.pool])

    def represent(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor | None]) -> Built | None:
        unfolding = self.unfolding(placed.inputs[0][1:])
        if not unfolding.is_tiling:
            return None
        shape = (scope.schedule.passes, scope.schedule.batch_size, *placed.inputs[0])
        pool = max_pool.MaxPool(placed.name, shape, unfolding.window, _width(placed), relu=self.relu)
        built = BuiltMaxPool(placed, unfolding, pool, [pool])
        built.supplied = pool.values
        return built

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Sequential(self.pool(), nn.ReLU()) if self.relu else self.pool()


@dataclass(frozen=True)
class MaxPool(Maximum):
    """Windows that slide over the input, as in torch's MaxPool2d. Pairs are (vertical, horizontal)."""

    KIND: ClassVar[str] = "max pool"

    window: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil_mode: bool = False
    relu: bool = False

    def __post_init__(self) -> None:
        for name, pair, least in (
            ("window", self.window, 1),
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
            ("dilation", self.dilation, 1),
        ):
            require_pair(name, pair, least)
        require_bool("ceil_mode", self.ceil_mode)
        require_bool("relu", self.relu)

    @classmethod
    def side_by_side(cls, size: int, *, relu: bool = False) -> Self:
        """Windows of size x size entries."""
        return cls((size, size), (size, size), relu=relu)

    def unfolding(self, size: Pair) -> Unfolding:
        return sliding_unfolding(
            size,
            self.window,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )

    def with_relu(self) -> MaxPool:
        return replace(self, relu=True)

    def numbers(self) -> tuple[int, ...]:
        return (*self.window, *self.stride, *self.padding, *self.dilation, int(self.ceil_mode), int(self.relu))

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 10)
        window, stride, padding, dilation = ((numbers[j], numbers[j + 1]) for j in range(0, 8, 2))
        return cls(window, stride, padding, dilation, read_bool("ceil_mode", numbers[8]), read_bool("relu", numbers[9]))

    def pool(self) -> nn.Module:
        from torch import nn

        return nn.MaxPool2d(self.window, self.stride, self.padding, self.dilation, ceil_mode=self.ceil_mode)


@dataclass(frozen=True)
class AdaptiveMaxPool(Maximum):
    """As many windows as there shall be outputs, (vertical, horizontal), as in torch's AdaptiveMaxPool2d."""

    KIND: ClassVar[str] = "adaptive max pool"

    outputs: Pair
    relu: bool = False

    def __post_init__(self) -> None:
        require_pair("outputs", self.outputs)
        require_bool("relu", self.relu)

    def unfolding(self, size: Pair) -> Unfolding:
        return adaptive_unfolding(size, self.outputs)

    def with_relu(self) -> AdaptiveMaxPool:
        return replace(self, relu=True)

    def numbers(self) -> tuple[int, ...]:
        return (*self.outputs, int(self.relu))

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 3)
        return cls((numbers[0], numbers[1]), read_bool("relu", numbers[2]))

    def pool(self) -> nn.Module:
        from torch import nn

        return nn.AdaptiveMaxPool2d(self.outputs)


class BuiltMaxPool(Built):
    """The relation of a max pool."""

    def __init__(self, placed: Placed, unfolding: Unfolding, pool: max_pool.MaxPool, components: Sequence[Component]) -> None:
        self.placed = placed
        self.unfolding = unfolding
        self.pool = pool
        self.output = pool.output
        self.components = components

    def backward(self, delta: Tensor) -> BuiltBackward:
        if not self.placed.wanted[0]:
            return BuiltBackward([None])
        return BuiltBackward([max_pool.input_delta(f"{self.placed.name}: delta", self.pool, self.unfolding, delta)])


def _width(placed: Placed) -> int:
    """Of the input in bits, signed."""
    return CONVOLUTION.width + placed.output_bits - ACTIVATION_BITS


def _max_pool(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    window = given["kernel_size"]
    pool = MaxPool(window, given["stride"] or window, given["padding"], given["dilation"], given["ceil_mode"])
    images = importer.image(name, given["self"])
    if window == pool.stride == (1, 1) and pool.padding == (0, 0):
        return images
    if pool == MaxPool(window, window):  # what lies in no window need not be computed
        try:
            sides = images.shape[1] // window[0] * window[0], images.shape[2] // window[1] * window[1]
            images = importer.crop(name, images, sides)
        except Unsupported:
            pass
    return importer.add(name, pool, [images])


def _adaptive_max_pool(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    images = importer.image(name, given["self"])
    return importer.add(name, AdaptiveMaxPool(tuple(given["output_size"])), [images])


IMPORTS: dict[str, Handler] = {
    "aten.max_pool2d.default": _max_pool,
    "aten.adaptive_max_pool2d.default": _adaptive_max_pool,
    "aten.max_pool1d.default": of_lines(_max_pool),
}
