"""Average pooling over windows side by side, of 2^k x 2^k entries.

    y = the sum over every window, with 2 k more fractional bits;    dx = dy over its window, with 2 k more fractional bits

The division is a move of the binary point: nothing is rounded and nothing committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zkds.circuits.arithmetic.fixed_point import Place
from zkds.circuits.operators.average_pool import AveragePooled, Repeated
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
    require_count,
    require_dimension,
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.pooling import repeat_entries, window_sums
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported, covered, require_values, window_size
from zkds.integers.limbs import I64
from zkds.tensors.tensor import Tensor

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class AveragePool(Operator):
    """Windows of size x size entries side by side, which cover the input; size a power of two."""

    KIND: ClassVar[str] = "average pool"

    size: int

    def __post_init__(self) -> None:
        require_dimension("size", self.size, least=2)
        if self.size & (self.size - 1):
            raise ValueError(f"size: expected a power of two, got {self.size}")

    @property
    def bits(self) -> int:
        """log2 of the number of entries of a window."""
        return 2 * (self.size.bit_length() - 1)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        channels, height, width = inputs[0]
        if height % self.size or width % self.size:
            raise ValueError(f"size: expected a divisor of the sides of {inputs[0]}, got {self.size}")
        return channels, height // self.size, width // self.size

    def output_bits(self, inputs: Sequence[int]) -> int:
        return inputs[0] + self.bits

    def input_delta_bits(self, delta_bits: int) -> int:
        return delta_bits + self.bits

    def numbers(self) -> tuple[int, ...]:
        return (self.size,)

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 1)
        return cls(numbers[0])

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        return Forward(window_sums(inputs[0], (self.size, self.size)))

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        return Backward([repeat_entries(delta, (self.size, self.size)) if placed.wanted[0] else None])

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        return BuiltAveragePool(self, placed, inputs[0])

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.AvgPool2d(self.size)


class BuiltAveragePool(Built):
    """The relation of an average pool: that of linear tensors."""

    def __init__(self, operator: AveragePool, placed: Placed, inputs: Tensor) -> None:
        self.placed = placed
        self.size = operator.size
        self.output = AveragePooled(f"{placed.name}: output", inputs, operator.size)

    def backward(self, delta: Tensor) -> BuiltBackward:
        wanted = self.placed.wanted[0]
        return BuiltBackward([Repeated(f"{self.placed.name}: delta", delta, self.size) if wanted else None])


def _average_pool(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    require_values(name, given, padding=(0, 0), ceil_mode=False, divisor_override=None)
    return _of_size(importer, name, importer.image(name, given["self"]), window_size(name, given))


def _adaptive_average_pool(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    """Windows of equal sizes only."""
    images, output = importer.image(name, given["self"]), given["output_size"]
    size = images.shape[1] // output[0] if output[0] > 0 else 0
    if size < 1 or images.shape[1:] != (size * output[0], size * output[1]):
        raise Unsupported(f"{name}: expected square windows of one size, got {images.shape[1:]} to {output}")
    return _of_size(importer, name, images, size)


def _of_size(importer: Importer, name: str, images: Traced, size: int) -> Traced:
    if size == 1:
        return images
    if size & (size - 1):
        raise Unsupported(f"{name}: expected windows whose size is a power of two, got {size}")
    return importer.add(name, AveragePool(size), [importer.crop(name, images, covered(images.shape, size))])


IMPORTS: dict[str, Handler] = {
    "aten.avg_pool2d.default": _average_pool,
    "aten.adaptive_avg_pool2d.default": _adaptive_average_pool,
}
