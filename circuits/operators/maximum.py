"""Max pooling: the largest entry of every window, with or without a ReLU.

    y[h, w] = max over window, and at least 0 with `relu`;    dx = dy at the first maximum of its window, 0 elsewhere

The first maximum is the first in row-major order; with `relu` it counts only if it is >= 0. ReLU before or behind a max pool
has the same values and, in PyTorch, where ReLU has the derivative 0 at 0, the same gradients: a window with a positive maximum
passes the gradient to its first entry with that maximum in both orders, another one passes nothing on. The relation is in
circuits/operators/max_pool.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from zkds.circuits.arithmetic.fixed_point import CONVOLUTION, Place
from zkds.circuits.operators import max_pool
from zkds.circuits.operators.masked import Masked
from zkds.circuits.operators.operator import (
    Backward,
    Built,
    BuiltBackward,
    Forward,
    GradientKind,
    Operator,
    Placed,
    Scope,
    Shape,
    read_bool,
    require_bool,
    require_count,
    require_dimension,
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.pooling import repeat_entries, window_sums
from zkds.circuits.operators.tracing import Handler, Importer, Traced, covered, require_values, window_size
from zkds.identities.equal import Equal
from zkds.integers.limbs import I64
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Tensor

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class MaxPool(Operator):
    """Windows of size x size entries side by side, which cover the input."""

    KIND: ClassVar[str] = "max pool"

    size: int
    relu: bool = False

    def __post_init__(self) -> None:
        require_dimension("size", self.size, least=2)
        require_bool("relu", self.relu)

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.size, self.size

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        channels, height, width = inputs[0]
        if height % self.size or width % self.size:
            raise ValueError(f"size: expected a divisor of the sides of {inputs[0]}, got {self.size}")
        return channels, height // self.size, width // self.size

    def numbers(self) -> tuple[int, ...]:
        return (self.size, int(self.relu))

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 2)
        return cls(numbers[0], read_bool("relu", numbers[1]))

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        (values,) = inputs
        mask = max_pool.first_maximum(values, self.window, relu=self.relu)
        output = window_sums(mask * values, self.window)
        return Forward(
            output,
            {"mask": mask.astype(np.uint8), "difference": max_pool.differences(values, mask, output, self.window)},
        )

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        return Backward([ahead.values["mask"] * repeat_entries(delta, self.window) if placed.wanted[0] else None])

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        built = BuiltMaxPool(self, placed, scope)
        built.components = [Equal(f"{placed.name}: copy", built.pool.values, inputs[0]), *built.components]
        return built

    def represent(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor | None]) -> Built | None:
        return BuiltMaxPool(self, placed, scope)

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        pool = nn.MaxPool2d(self.size)
        return nn.Sequential(pool, nn.ReLU()) if self.relu else pool


class BuiltMaxPool(Built):
    """The relation of a max pool."""

    def __init__(self, operator: MaxPool, placed: Placed, scope: Scope) -> None:
        self.placed = placed
        shape = (scope.configuration.passes, scope.configuration.batch_size, *placed.inputs[0])
        width = CONVOLUTION.width + placed.output_bits - 32
        self.pool = max_pool.MaxPool(placed.name, shape, operator.window, width, relu=operator.relu)
        self.output = self.pool.output
        self.supplied = self.pool.values
        self.components: list[Component] = [self.pool]

    def backward(self, delta: Tensor) -> BuiltBackward:
        if not self.placed.wanted[0]:
            return BuiltBackward([None])
        return BuiltBackward([Masked(f"{self.placed.name}: delta", self.pool.mask, delta, self.pool.window)])


def _max_pool(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    require_values(name, given, padding=(0, 0), dilation=(1, 1), ceil_mode=False)
    size = window_size(name, given)
    images = importer.image(name, given["self"])
    if size == 1:
        return images
    return importer.add(name, MaxPool(size), [importer.crop(name, images, covered(images.shape, size))])


IMPORTS: dict[str, Handler] = {"aten.max_pool2d.default": _max_pool}
