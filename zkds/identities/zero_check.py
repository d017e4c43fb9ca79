"""Quadratic expressions in two tensors that vanish at every index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkds import sumcheck
from zkds.field import ZERO, K
from zkds.hidden import Hidden
from zkds.integers.limb_columns import Points
from zkds.sumcheck import Table, Term
from zkds.tensors.axes import split_point, variables
from zkds.tensors.tensor import (
    ProverContext,
    VerifierContext,
)


@dataclass(frozen=True)
class ZeroCheck:
    """A quadratic expression in two tensors that vanishes at every index: its multilinear extension at a random point is zero.

    terms   of the expression: coefficients and the numbers, 0 or 1, of the tensors that are multiplied; zero where both are
    """

    name: str
    shape: tuple[int, ...]
    terms: list[Term]

    def prove(self, context: ProverContext, points: Points, tables: Sequence[Table]) -> tuple[Points, list[K]]:
        """The point at which the sumcheck ends, by axis, and the values of both tensors there, which are sent."""
        end, values = sumcheck.prove(context.channel, tables, self.terms, _index_point(points), name=self.name)
        context.channel.send(f"{self.name}: values", values)
        return split_point(self.shape, end), values

    def verify(self, context: VerifierContext, points: Points) -> tuple[Points, list[Hidden]]:
        channel, zero = context.channel, Hidden.public(ZERO)
        end, final = sumcheck.verify(channel, zero, variables(self.shape), 2, _index_point(points), name=self.name)
        values = channel.receive(f"{self.name}: values", 2)
        for coefficient, factors in self.terms:
            first, *second = (values[j] for j in factors)
            final = final - (channel.product(first, second[0]) if second else first) * coefficient
        channel.assert_zero(final, self.name)
        return split_point(self.shape, end), values


def _index_point(points: Points) -> list[K]:
    """The point of the flat padded index: the last axis has the lowest bits."""
    return [coordinate for point in reversed(points) for coordinate in point]
