"""Rounded quotients: out = round(dividend / divisor) for every entry of a tensor, to nearest with halves up, without carries.

    Delta = dividend + floor(divisor / 2) - rem - divisor out = 0,      0 <= rem < divisor

so that for a given dividend out and rem are unique. Dividend and out are tensors of digits (zkds/tensors/tensor.py), virtual or
committed; rem is committed here, one cell for each entry, and looked up in the table of 0, ..., divisor - 1. Delta lies between
-p and p by the intervals of its operands (`check`), so it vanishes over the integers if it does modulo p: at a random point of
out's index the identity is linear in hidden values: the dividend, out, and a claim on the column of rem. Wider sums over
powers of two are the business of rounded_sum.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.claims import Claim, Value
from zkds.commit.layout import Layout
from zkds.errors import PlanRejected
from zkds.field import ONE, K, P
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import LimbFormat
from zkds.lookup import ExplicitTable, Lookup
from zkds.tensors.axes import eq_axes, ones
from zkds.tensors.circuit import Component
from zkds.tensors.contraction import weighted_sum
from zkds.tensors.tensor import (
    Book,
    Committed,
    ProverContext,
    Tensor,
    VerifierContext,
    draw_points,
    value_weights,
)

MAX_DIVISOR = 1 << DIGIT_BITS  # a remainder is one cell, looked up in a table of `divisor` rows


class RoundedQuotient(Component):
    """The identity of one rounded quotient `output`, with the column of its remainder; `dividend` has the same shape."""

    def __init__(self, name: str, output: Tensor, dividend: Tensor, divisor: int) -> None:
        if not 2 <= divisor <= MAX_DIVISOR:
            raise PlanRejected(f"{name}: expected a divisor of 2 to {MAX_DIVISOR}, got {divisor}")
        if output.shape != dividend.shape:
            raise ValueError(f"{name}: expected a dividend of shape {output.shape}, got {dividend.shape}")
        self.name = name
        self.output = output
        self.dividend = dividend
        self.divisor = divisor
        number = LimbFormat(DIGIT_BITS, (divisor - 1).bit_length(), signed=False)
        self.remainder = Committed(LimbColumns(f"{name}: remainder", number, output.shape))

    @property
    def tensors(self) -> list[Tensor]:
        """What is committed here, the output, the operand."""
        return [self.remainder, self.output, self.dividend]

    @property
    def lookups(self) -> list[Lookup]:
        """0 <= rem < divisor, in place of the range check."""
        (name,) = self.remainder.columns.names
        return [Lookup(ExplicitTable.of(np.arange(self.divisor, dtype=np.uint32)[:, None]), name)]

    def check(self) -> None:
        """Raise PlanRejected unless the identity's value stays between -p and p."""
        total = self.dividend.interval + Interval.point(self.divisor // 2)
        total = total - Interval(0, self.divisor - 1) - self.output.interval.times(self.divisor)
        if total.magnitude() >= P:
            raise PlanRejected(f"{self.name}: a quotient by {self.divisor} needs {total.magnitude().bit_length()} bits")

    # ---- protocol ----------------------------------------------------------------------------------------------------

    def prove(self, context: ProverContext) -> None:
        """The prover's side, after the root: claims on the operand, on a virtual output, and on the columns."""
        points = draw_points(context, self.name, self.output.shape)
        axes = eq_axes(self.output.shape, points)
        values = [
            weighted_sum(context.reader.tables(tensor), tensor.digits, axes, weights) for tensor, weights in self._operands()
        ]
        context.channel.send(f"{self.name}: values", values)
        self._claims(context.book, context.layout, points, values)

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side."""
        points = draw_points(context, self.name, self.output.shape)
        values = context.channel.receive(f"{self.name}: values", len(self._operands()))
        self._claims(context.book, context.layout, points, values)

    def _operands(self) -> list[tuple[Tensor, list[K]]]:
        """What lies in no column of this part, with digit weights: minus the divisor times a virtual output; the dividend."""
        operands = [(self.dividend, value_weights(self.dividend))]
        return operands if isinstance(self.output, Committed) else [(self.output, self._output_weights(-1)), *operands]

    def _output_weights(self, sign: int) -> list[K]:
        return [weight * (sign * self.divisor) for weight in value_weights(self.output)]

    def _claims(self, book: Book[Value], layout: Layout, points: Points, values: Sequence[Value]) -> None:
        """The claims on the operands; rem + divisor out = dividend + floor(divisor / 2) at the point, one on the columns."""
        for (tensor, weights), value in zip(self._operands(), values, strict=True):
            book.add(tensor, eq_axes(tensor.shape, points), weights, value)
        scales = [(self.remainder.columns.names[0], ONE)]
        constant = K(self.divisor // 2)
        if isinstance(self.output, Committed):
            output_weights = self.output.limb_weights(self._output_weights(1))
            scales += list(zip(self.output.columns.names, output_weights, strict=True))
            constant = constant + output_weights[-1] * self.output.columns.format.top_offset
        names, factors = zip(*scales, strict=True)
        total = values[0] + constant * ones(self.output.shape, points)
        for value in values[1:]:
            total = total + value
        book.vector_claims.append(Claim(lambda: layout.pieces(names, points, factors), total))
