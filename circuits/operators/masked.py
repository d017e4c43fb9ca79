"""Selected values, which are never committed as such: a ReLU's output, and every delta that goes back through a mask.

All claims on such a tensor are reduced by one sumcheck of degree 3, of weight times mask times value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds import sumcheck
from zkds.circuits.operators.pooling import Window, pooled_axes, repeat_entries, repeated_shape
from zkds.field import ONE, dot
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limbs import I64, LimbFormat
from zkds.tensors.axes import eq_axes, padded, split_point, variables
from zkds.tensors.field_tables import field_table
from zkds.tensors.tensor import Combination, ProverContext, Reader, Tensor, VerifierContext

BIT = LimbFormat(DIGIT_BITS, 1, signed=False)


class Masked(Tensor):
    """mask * values, each value repeated over a window of the last two axes.

    mask      a tensor of the result's shape, of one digit, whose entries are proved to be 0 or 1 elsewhere
    values    of the same shape, or with the last two axes divided by the window's
    digits, interval   of the result, where more is known than that it is a value or zero
    """

    def __init__(
        self,
        name: str,
        mask: Tensor,
        values: Tensor,
        window: Window = (1, 1),
        digits: Sequence[Interval] | None = None,
        interval: Interval | None = None,
    ) -> None:
        if mask.shape != repeated_shape(values.shape, window):
            raise ValueError(f"{name}: expected a mask of shape {repeated_shape(values.shape, window)}, got {mask.shape}")
        self.name = name
        self.shape = mask.shape
        self.mask = mask
        self.values = values
        self.sources = (mask, values)
        self.window = window
        self.digits = tuple(digit.with_zero() for digit in (values.digits if digits is None else digits))
        self.interval = (values.interval if interval is None else interval).with_zero()

    def tables(self, reader: Reader) -> list[I64]:
        (mask,) = self.mask.tables(reader)
        return [mask * repeat_entries(digit, self.window) for digit in self.values.tables(reader)]

    def prove_claims(self, context: ProverContext) -> None:
        claims = context.book.take(self)
        if not claims:
            return
        combination = Combination.draw(context, self, claims)
        weights = combination.weight_tables()
        (mask,) = (padded(bits.astype(np.uint32), self.shape) for bits in self.mask.tables(context.reader))
        digits = [field_table(repeat_entries(digit, self.window)) for digit in self.values.tables(context.reader)]
        count = len(digits)
        terms = [(ONE, (j, count, count + 1 + j)) for j in range(count)]
        tables = [*weights, mask, *digits]
        point, finals = sumcheck.prove(context.channel, tables, terms, name=self.name, variables=variables(self.shape))
        points = split_point(self.shape, point)
        digit_weights = combination.weights_at(points)
        factors = [finals[count], dot(digit_weights, finals[count + 1 :])]
        context.channel.send(f"{self.name}: factors", factors)
        axes = eq_axes(self.shape, points)
        context.book.add(self.mask, axes, [ONE], factors[0])
        context.book.add(self.values, pooled_axes(axes, self.window), digit_weights, factors[1])

    def verify_claims(self, context: VerifierContext) -> None:
        claims = context.book.take(self)
        if not claims:
            return
        channel = context.channel
        combination = Combination.draw(context, self, claims)
        point, final = sumcheck.verify(channel, combination.value, variables(self.shape), 3, name=self.name)
        mask, value = channel.receive(f"{self.name}: factors", 2)
        channel.assert_zero(final - channel.product(mask, value), f"{self.name}: product of the factors")
        points = split_point(self.shape, point)
        axes = eq_axes(self.shape, points)
        context.book.add(self.mask, axes, [ONE], mask)
        context.book.add(self.values, pooled_axes(axes, self.window), combination.weights_at(points), value)
