"""LeakyReLU with a rational slope.

    y = x where x > 0, round(slope x) elsewhere;    dx = dy where x > 0, round(slope dy) elsewhere

as in PyTorch, whose derivative at 0 is the slope. The slope is an integer with 32 fractional bits, from 0 to 1; y has 32
fractional bits and dx those of the scores' deltas, one rounding each. Where x > 0 nothing is lost unless x or dy have more.

The relation: x - 1 is committed with its sign p = [x > 0] (circuits/operators/relu.py), x itself is virtual; y and dx are

    round((slope + (2^32 - slope) p) x, 32),    round((slope + (2^32 - slope) p) dy, 32)

For given x and dy all cells are unique.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import products
from zkds.circuits.arithmetic.fixed_point import (
    ACTIVATION_BITS,
    CONVOLUTION,
    DELTA,
    Place,
    require_format,
    round_rational,
)
from zkds.circuits.operators.elementwise import BuiltElementwise, Elementwise
from zkds.circuits.operators.operator import (
    Backward,
    BuiltBackward,
    Forward,
    GradientKind,
    Placed,
    Scope,
    Shape,
    require_count,
)
from zkds.circuits.operators.relu import Sign
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported
from zkds.identities.block import Block
from zkds.identities.expressions import Identity, tensor
from zkds.identities.gadget import round_identity
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.tensors.linear import AffineTensor
from zkds.tensors.tensor import Committed, Tensor

if TYPE_CHECKING:
    from torch import nn

SLOPE_BITS = 32
ONE = 1 << SLOPE_BITS


@dataclass(frozen=True)
class LeakyRelu(Elementwise):
    """x or slope x, entry by entry. slope: [32], from 0 to 1."""

    KIND: ClassVar[str] = "leaky relu"
    ROUNDS: ClassVar[bool] = True

    slope: int

    def __post_init__(self) -> None:
        if type(self.slope) is not int:
            raise TypeError(f"slope: expected an int, got {self.slope!r}")
        if not 0 <= self.slope <= ONE:
            raise ValueError(f"slope: expected 0 to 1, got {self.slope / ONE}")

    @classmethod
    def of(cls, slope: Fraction) -> Self:
        """The slope rounded to 32 fractional bits, halves up."""
        return cls(round_rational(slope * ONE))

    def numbers(self) -> tuple[int, ...]:
        return (self.slope,)

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 1)
        return cls(numbers[0])

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        positive = inputs[0] > 0
        y, remainder = self._scaled(positive, inputs[0], _forward_shift(placed))
        require_format(y, CONVOLUTION, "leaky relu", place)
        signs = {"positive": positive.astype(np.uint8)}
        return Forward(y, {"less one": inputs[0] - 1, "forward: remainder": remainder} | signs)

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        if not placed.wanted[0]:
            return Backward([None])
        found, remainder = self._scaled(ahead.values["positive"], delta, _backward_shift(placed))
        require_format(found, DELTA, "input delta", place)
        return Backward([found], {"input delta": found, "input gradient: remainder": remainder})

    def _scaled(self, positive: NDArray[Any], values: I64, shift: int) -> tuple[I64, I64]:
        return products(np.where(positive, np.int64(ONE), np.int64(self.slope)), values).round(shift)

    def relate(self, placed: Placed, scope: Scope) -> BuiltElementwise:
        return BuiltLeakyRelu(self, placed, scope)

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.LeakyReLU(self.slope / ONE)


class BuiltLeakyRelu(BuiltElementwise):
    """The relation of a LeakyReLU."""

    def __init__(self, operator: LeakyRelu, placed: Placed, scope: Scope) -> None:
        self.operator = operator
        self.placed = placed
        name = placed.name
        shape = (scope.schedule.passes, scope.schedule.batch_size, *placed.inputs[0])
        width = CONVOLUTION.width + 1 + placed.input_bits[0] - ACTIVATION_BITS
        less_one = Committed(LimbColumns(f"{name}: less one", LimbFormat(CONVOLUTION.limb_bits, width, signed=True), shape))
        self.sign = Sign(f"{name}: sign", less_one, f"{name}: positive")
        self.argument = AffineTensor(f"{name}: argument", [(less_one, 1)], 1)
        self.output = scope.output(placed)
        self.components = [
            self.sign,
            self._rounded("forward", self.argument, self.output, _forward_shift(placed)),
        ]

    def backward(self, delta: Tensor) -> BuiltBackward:
        if not self.placed.wanted[0]:
            return BuiltBackward([None])
        found = Committed(LimbColumns(f"{self.placed.name}: input delta", DELTA, delta.shape))
        return BuiltBackward([found], [self._rounded("input gradient", delta, found, _backward_shift(self.placed))])

    def _rounded(self, what: str, values: Tensor, output: Tensor, shift: int) -> Block:
        """output = round((slope + (2^32 - slope) p) values, shift)."""
        name, slope = f"{self.placed.name}: {what}", self.operator.slope
        number = LimbFormat(CONVOLUTION.limb_bits, shift, signed=False)
        remainder = Committed(LimbColumns(f"{name}: remainder", number, values.shape))
        exact = tensor(self.sign.bit) * tensor(values) * (ONE - slope) + tensor(values) * slope
        stated = round_identity(exact, shift, tensor(output), tensor(remainder))
        return Block(name, [Identity(name, values.shape, stated)])


def _forward_shift(placed: Placed) -> int:
    """From the bits of slope x to those of y."""
    return SLOPE_BITS + placed.input_bits[0] - ACTIVATION_BITS


def _backward_shift(placed: Placed) -> int:
    """From the bits of slope dy to those of the scores' deltas."""
    return SLOPE_BITS + placed.delta_bits


def _leaky_relu(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    values = importer.traced(name, given["self"])
    try:
        operator = LeakyRelu.of(Fraction(given["negative_slope"]))
    except ValueError as error:
        raise Unsupported(f"{name}: {error}") from None
    return importer.add(name, operator, [values], values.record)


IMPORTS: dict[str, Handler] = {"aten.leaky_relu.default": _leaky_relu, "aten.leaky_relu_.default": _leaky_relu}
