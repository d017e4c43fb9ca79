"""Two tensors of one shape that are equal, however they are made."""

from __future__ import annotations

from zkds.claims import Value
from zkds.errors import PlanRejected
from zkds.field import P
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import I64
from zkds.tensors.axes import eq_axes
from zkds.tensors.circuit import Component
from zkds.tensors.contraction import weighted_sum
from zkds.tensors.tensor import (
    Book,
    Committed,
    ProverContext,
    Reader,
    Tensor,
    VerifierContext,
    draw_points,
    value_weights,
)


class Equal(Component):
    """left = right for every entry: their multilinear extensions agree at a random point, whose value is sent once.

    Equality modulo p is one of integers, since |left - right| < p by the tensors' intervals (`check`). Raises ValueError for
    different shapes.
    """

    def __init__(self, name: str, left: Tensor, right: Tensor) -> None:
        if left.shape != right.shape:
            raise ValueError(f"{name}: expected tensors of one shape, got {left.shape} and {right.shape}")
        self.name = name
        self.left = left
        self.right = right

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.left, self.right

    def check(self) -> None:
        """Raise PlanRejected unless |left - right| < p."""
        if (self.left.interval - self.right.interval).magnitude() >= P:
            raise PlanRejected(f"{self.name}: the tensors may differ by p or more, and are compared modulo p")

    def prove(self, context: ProverContext) -> None:
        """The prover's side: a claim on both."""
        points = draw_points(context, self.name, self.left.shape)
        axes = eq_axes(self.left.shape, points)
        value = weighted_sum(context.reader.tables(self.left), self.left.digits, axes, value_weights(self.left))
        context.channel.send(f"{self.name}: value", [value])
        self._claims(context.book, points, value)

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side."""
        points = draw_points(context, self.name, self.left.shape)
        (value,) = context.channel.receive(f"{self.name}: value", 1)
        self._claims(context.book, points, value)

    def _claims(self, book: Book[Value], points: Points, value: Value) -> None:
        for tensor in self.tensors:
            book.add(tensor, eq_axes(tensor.shape, points), value_weights(tensor), value)


class Copy(Equal):
    """A committed tensor with the values of another one, which has no limbs of its own."""

    def __init__(self, name: str, copy: Committed, original: Tensor) -> None:
        super().__init__(name, copy, original)
        self.copy = copy

    def witness(self, reader: Reader) -> list[tuple[LimbColumns, I64]]:
        """The copy."""
        return [(self.copy.columns, self.right.integers(reader))]
