"""Operators that work entry by entry, by cells of their own that make their argument: it is the input, or stands for it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from zkds.circuits.operators.operator import Built, Operator, Placed, Scope, Shape
from zkds.circuits.operators.parameter import Parameter
from zkds.identities.equal import Equal
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Tensor


class Elementwise(Operator):
    """A function of one entry."""

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return inputs[0]

    @abstractmethod
    def relate(self, placed: Placed, scope: Scope) -> BuiltElementwise:
        """The relation between the argument and the output."""

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        built = self.relate(placed, scope)
        built.take(inputs[0])
        return built

    def represent(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor | None]) -> Built | None:
        built = self.relate(placed, scope)
        built.supplied = built.argument
        return built


class BuiltElementwise(Built):
    """The relation of a function of one entry.

    argument   x, virtual
    """

    placed: Placed
    argument: Tensor
    components: list[Component]

    def take(self, inputs: Tensor) -> None:
        """Say that x is this tensor."""
        self.components.append(Equal(f"{self.placed.name}: copy", self.argument, inputs))
