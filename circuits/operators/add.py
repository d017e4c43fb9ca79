"""Residual addition: the sum of any number of branches.

    s = sum_i 2^(bits - bits_i) x_i,    dx_i = ds

The relation: behind a convolution or another rounded operator without other consumers, `s` is committed in place of the last
branch's z, which is virtual, z = s - (the other branches): no cell more. Otherwise s itself is virtual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, CONVOLUTION, Place, require_format
from zkds.circuits.operators.affine import with_constant
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
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported
from zkds.integers.limbs import I64, LimbFormat
from zkds.tensors.linear import Addend, SumTensor
from zkds.tensors.tensor import Tensor

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Add(Operator):
    """The sum of two or more inputs of one shape."""

    KIND: ClassVar[str] = "add"
    INPUTS: ClassVar[int | None] = None

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if any(shape != inputs[0] for shape in inputs):
            raise ValueError(f"inputs: expected one shape, got {', '.join(map(str, inputs))}")
        return inputs[0]

    def numbers(self) -> tuple[int, ...]:
        return ()

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 0)
        return cls()

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        total = sum((x << shift for x, shift in zip(inputs, _shifts(placed), strict=True)), start=0 * inputs[0])
        width = CONVOLUTION.width + placed.output_bits - ACTIVATION_BITS
        require_format(total, LimbFormat(CONVOLUTION.limb_bits, width, signed=True), "sum", place)
        return Forward(total)

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        return Backward([delta if wanted else None for wanted in placed.wanted])

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        return BuiltAdd(placed, SumTensor(f"{placed.name}: output", zip(inputs, _shifts(placed), strict=True)))

    def represent(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor | None]) -> Built | None:
        if set(placed.input_bits) != {ACTIVATION_BITS}:
            return None
        output = scope.output(placed)
        others = [Addend(x, sign=-1) for x in inputs if x is not None]
        return BuiltAdd(placed, output, SumTensor(f"{placed.name}: last branch", [Addend(output), *others]))

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from zkds.circuits.operators.torch_functions import Function

        return Function(lambda *branches: reduce(add, branches))


class BuiltAdd(Built):
    """The relation of an addition: that of linear tensors."""

    def __init__(self, placed: Placed, output: Tensor, supplied: Tensor | None = None) -> None:
        self.placed = placed
        self.output = output
        self.supplied = supplied

    def backward(self, delta: Tensor) -> BuiltBackward:
        return BuiltBackward([delta if wanted else None for wanted in self.placed.wanted])


def _shifts(placed: Placed) -> list[int]:
    """From the bits of each input to those of the sum."""
    return [placed.output_bits - bits for bits in placed.input_bits]


def _add(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    mapped = with_constant(importer, name, given)
    if mapped is not None:
        return mapped
    if given["alpha"] != 1:
        raise Unsupported(f"{name}: expected alpha 1; others aren't supported")
    branches = [importer.traced(name, given[argument]) for argument in ("self", "other")]
    if branches[0].record != branches[1].record:
        raise Unsupported(f"{name}: expected records of one shape, got {branches[0].record} and {branches[1].record}")
    return importer.add(name, Add(), branches, branches[0].record)


IMPORTS: dict[str, Handler] = {"aten.add.Tensor": _add, "aten.add_.Tensor": _add}
