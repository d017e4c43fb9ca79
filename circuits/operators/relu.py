"""ReLU: max(x, 0).

    y = bit x,    bit = [x >= 0];    dx = bit dy

In PyTorch the derivative at 0 is 0, here a 0 that was rounded from either side passes its delta on (docs/fixed-point.md).
The relation: in offset-binary x >= 0 exactly if the top limb is at least half its range, so the pair (top limb, bit) is looked
up in the table of all such pairs, which is the range check of the top limb as well. Its input must be committed in limbs of its
own; one that isn't (a sum, an average pool) is committed again, as a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from zkds.circuits.arithmetic.fixed_point import Place
from zkds.circuits.operators.masked import BIT, Masked
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
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.tracing import Handler, Importer, Traced
from zkds.identities.equal import Copy
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.lookup import ExplicitTable, Lookup
from zkds.tensors.circuit import ProvedByLookups
from zkds.tensors.tensor import Committed, Tensor

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Relu(Operator):
    """max(x, 0), entry by entry."""

    KIND: ClassVar[str] = "relu"

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return inputs[0]

    def numbers(self) -> tuple[int, ...]:
        return ()

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 0)
        return cls()

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        bit = inputs[0] >= 0
        return Forward(inputs[0] * bit, {"bit": bit.astype(np.uint8)})

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        return Backward([delta * ahead.values["bit"] if placed.wanted[0] else None])

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        return BuiltRelu(placed, scope, inputs[0])

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.ReLU()


class BuiltRelu(Built):
    """The relation of a ReLU."""

    def __init__(self, placed: Placed, scope: Scope, inputs: Tensor) -> None:
        self.placed = placed
        name = placed.name
        copies: list[Copy] = []
        if not (isinstance(inputs, Committed) and inputs.columns.format.signed and scope.claim_sign(inputs)):
            copy = Committed(LimbColumns(f"{name}: input", _format_of(inputs), inputs.shape))
            copies.append(Copy(f"{name}: copy", copy, inputs))
            scope.claim_sign(copy)
            inputs = copy
        self.sign = Sign(f"{name}: sign", inputs, f"{name}: bit")
        number = inputs.columns.format
        digits = (*number.coefficient_intervals[:-1], Interval(0, number.coefficient_intervals[-1].high))
        interval = Interval(0, number.interval.high)
        self.output = Masked(f"{name}: output", self.sign.bit, inputs, digits=digits, interval=interval)
        self.components = [*copies, self.sign]

    def backward(self, delta: Tensor) -> BuiltBackward:
        wanted = self.placed.wanted[0]
        return BuiltBackward([Masked(f"{self.placed.name}: delta", self.sign.bit, delta) if wanted else None])


class Sign(ProvedByLookups):
    """The bit [v >= 0] of every entry of a committed signed tensor, tied to its top limb by a table."""

    def __init__(self, name: str, values: Committed, bit: str) -> None:
        if not values.columns.format.signed:
            raise ValueError(f"{name}: expected a signed tensor, {values.name} is not")
        self.name = name
        self.values = values
        self.bit = Committed(LimbColumns(bit, BIT, values.shape))

    @property
    def tensors(self) -> list[Tensor]:
        return [self.values, self.bit]

    @property
    def lookups(self) -> list[Lookup]:
        """(top limb, bit) of every entry; the top limb has no other lookup."""
        top = self.values.columns.format.top_bits
        limbs = np.arange(1 << top, dtype=np.uint32)
        table = ExplicitTable.of(np.stack([limbs, limbs >> np.uint32(top - 1)], axis=1))
        return [Lookup(table, self.values.columns.names[-1], self.bit.columns.names)]


def _format_of(tensor: Tensor) -> LimbFormat:
    """The least signed format for all values of a tensor."""
    low, high = tensor.interval.low, tensor.interval.high
    return LimbFormat(16, max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1, signed=True)


def _relu(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    values = importer.traced(name, given["self"])
    return importer.add(name, Relu(), [values], values.record)


IMPORTS: dict[str, Handler] = {"aten.relu.default": _relu, "aten.relu_.default": _relu}
