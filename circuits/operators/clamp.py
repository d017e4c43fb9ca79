"""Clamps: Hardtanh and ReLU6, torch's clamp.

    y = min(max(x, low), high);    dx = dy strictly between the bounds, 0 at and beyond them; with `inclusive` dy at a bound too

as PyTorch's derivatives: hardtanh and relu6 pass nothing on at a bound, clamp does. Nothing is rounded but the bounds.

The relation: u = x - low' and v = x - high' are committed with their signs p and q (circuits/operators/relu.py), x is virtual,

    x = low' + u = high' + v,    y = (p - q) x + q high + (1 - p) low,    dx = (p - q) dy

where p = [x >= low'] and q = [x >= high'] are those of the derivative: low' = low + 1 and high' = high, with `inclusive` low
and high + 1. At a bound itself both sides of the choice have the same y. For given x all cells are unique.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, CONVOLUTION, Place, round_rational
from zkds.circuits.operators.elementwise import BuiltElementwise, Elementwise
from zkds.circuits.operators.masked import Masked
from zkds.circuits.operators.operator import (
    Backward,
    BuiltBackward,
    Forward,
    GradientKind,
    Placed,
    Scope,
    Shape,
    read_bool,
    require_bool,
    require_count,
)
from zkds.circuits.operators.relu import Sign
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported
from zkds.identities.equal import Equal
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.tensors.linear import Addend, AffineTensor, SumTensor
from zkds.tensors.tensor import Committed, Tensor

if TYPE_CHECKING:
    from torch import nn

RANGE = CONVOLUTION.interval  # of bounds
NUMBER_OFFSET = 1 << 63  # of a bound in the canonical encoding


@dataclass(frozen=True)
class Clamp(Elementwise):
    """min(max(x, low), high), entry by entry. low, high: [32], of the format CONVOLUTION; inclusive: see above."""

    KIND: ClassVar[str] = "clamp"

    low: int
    high: int
    inclusive: bool = False

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if type(bound) is not int:
                raise TypeError(f"{name}: expected an int, got {bound!r}")
            if not RANGE.low <= bound <= RANGE.high:
                raise ValueError(f"{name}: expected at least -1024 and below 1024, got {bound / (1 << ACTIVATION_BITS)}")
        if self.low >= self.high:
            raise ValueError(f"high: expected more than low, {self.low}, got {self.high}")
        require_bool("inclusive", self.inclusive)

    @classmethod
    def of(cls, low: Fraction | None, high: Fraction | None, *, inclusive: bool = False) -> Self:
        """Bounds rounded to 32 fractional bits, halves up; None for none: the least or the largest number of the format."""
        bounds = (None if bound is None else round_rational(bound * (1 << ACTIVATION_BITS)) for bound in (low, high))
        least, most = bounds
        return cls(RANGE.low if least is None else least, RANGE.high if most is None else most, inclusive)

    def numbers(self) -> tuple[int, ...]:
        return (self.low + NUMBER_OFFSET, self.high + NUMBER_OFFSET, int(self.inclusive))

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 3)
        return cls(numbers[0] - NUMBER_OFFSET, numbers[1] - NUMBER_OFFSET, read_bool("inclusive", numbers[2]))

    def bounds(self, placed: Placed) -> tuple[int, int]:
        """low and high in units of the input's last place."""
        extra = placed.input_bits[0] - ACTIVATION_BITS
        return self.low << extra, self.high << extra

    def thresholds(self, placed: Placed) -> tuple[int, int]:
        """low' and high': deltas pass where low' <= x < high'."""
        low, high = self.bounds(placed)
        return (low, high + 1) if self.inclusive else (low + 1, high)

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        from_low, from_high = (inputs[0] - np.int64(threshold) for threshold in self.thresholds(placed))
        signs = {"past low": (from_low >= 0).astype(np.uint8), "past high": (from_high >= 0).astype(np.uint8)}
        return Forward(np.clip(inputs[0], *self.bounds(placed)), {"from low": from_low, "from high": from_high} | signs)

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        return Backward([delta * (ahead.values["past low"] - ahead.values["past high"]) if placed.wanted[0] else None])

    def relate(self, placed: Placed, scope: Scope) -> BuiltElementwise:
        return BuiltClamp(self, placed, scope)

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        from zkds.circuits.operators.torch_functions import Function

        low, high = (bound / (1 << ACTIVATION_BITS) for bound in (self.low, self.high))
        return Function(lambda x: x.clamp(low, high)) if self.inclusive else nn.Hardtanh(low, high)


class BuiltClamp(BuiltElementwise):
    """The relation of a clamp."""

    def __init__(self, operator: Clamp, placed: Placed, scope: Scope) -> None:
        self.placed = placed
        name = placed.name
        shape = (scope.schedule.passes, scope.schedule.batch_size, *placed.inputs[0])
        width = CONVOLUTION.width + 1 + placed.input_bits[0] - ACTIVATION_BITS
        number = LimbFormat(CONVOLUTION.limb_bits, width, signed=True)
        signs, copies = [], []
        for bound, threshold in zip(("low", "high"), operator.thresholds(placed), strict=True):
            distance = Committed(LimbColumns(f"{name}: from {bound}", number, shape))
            signs.append(Sign(f"{name}: sign from {bound}", distance, f"{name}: past {bound}"))
            copies.append(AffineTensor(f"{name}: argument by {bound}", [(distance, 1)], threshold))
        self.argument, other = copies
        past_low, past_high = (sign.bit for sign in signs)
        low, high = operator.bounds(placed)
        between = Interval(low, high)
        self.mask = SumTensor(f"{name}: mask", [Addend(past_low), Addend(past_high, sign=-1)])
        inside = Masked(f"{name}: inside", self.mask, self.argument, interval=between)
        addends = [(inside, 1), (past_high, high), (past_low, -low)]
        self.output = AffineTensor(f"{name}: output", addends, low, between)
        self.components = [*signs, Equal(f"{name}: distance", self.argument, other)]

    def backward(self, delta: Tensor) -> BuiltBackward:
        wanted = self.placed.wanted[0]
        return BuiltBackward([Masked(f"{self.placed.name}: delta", self.mask, delta) if wanted else None])


def _relu6(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    return _add(importer, name, given, 0, 6)


def _hardtanh(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    return _add(importer, name, given, given["min_val"], given["max_val"])


def _clamp(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    return _add(importer, name, given, given.get("min"), given.get("max"), inclusive=True)


def _add(
    importer: Importer, name: str, given: Mapping[str, Any], low: float | None, high: float | None, inclusive: bool = False
) -> Traced:
    values = importer.traced(name, given["self"])
    least, most = (None if bound is None else Fraction(bound) for bound in (low, high))
    try:
        operator = Clamp.of(least, most, inclusive=inclusive)
    except ValueError as error:
        raise Unsupported(f"{name}: {error}") from None
    return importer.add(name, operator, [values], values.record)


IMPORTS: dict[str, Handler] = {
    "aten.relu6.default": _relu6,
    "aten.relu6_.default": _relu6,
    "aten.hardtanh.default": _hardtanh,
    "aten.hardtanh_.default": _hardtanh,
    "aten.clamp.default": _clamp,
    "aten.clamp_.default": _clamp,
    "aten.clip.default": _clamp,
    "aten.clamp_min.default": _clamp,
    "aten.clamp_max.default": _clamp,
}
