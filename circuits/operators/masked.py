"""What stands between two convolutions and is never committed as such: selected values, and the network's input.

Masked        mask * (a tensor repeated over windows): the ReLU's output, and every delta that goes back through a mask; one
              sumcheck of degree 3, of weight times mask times value, for all claims on it
Relu          the sign of a committed tensor, one more cell for each entry, tied to the top limb by a table
InputTensor   the network's input in every pass: an affine map, in integers, of the committed elements of the records;
              claims on it are claims on the elements
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds import sumcheck
from zkds.circuits.operators.pooling import Window, pooled_axes, repeat_entries, repeated_shape
from zkds.commit.layout import Column
from zkds.field import ONE, dot
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.lookup import ExplicitTable, Lookup
from zkds.native import U32
from zkds.tensors.axes import eq_axes, padded, split_point, variables
from zkds.tensors.circuit import ProvedByLookups
from zkds.tensors.field_tables import field_table
from zkds.tensors.tensor import Combination, Committed, ProverContext, Reader, Tensor, VerifierContext

BIT = LimbFormat(DIGIT_BITS, 1, signed=False)


class Masked(Tensor):
    """mask * values, each value repeated over a window of the last two axes.

    mask      a tensor of the result's shape whose entries are proved to be 0 or 1 elsewhere
    values    of the same shape, or with the last two axes divided by the window's
    digits, interval   of the result, where more is known than that it is a value or zero
    """

    def __init__(
        self,
        name: str,
        mask: Committed,
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
        (mask,) = (padded(context.reader.read(name), self.shape) for name in self.mask.columns.names)
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


class Relu(ProvedByLookups):
    """max(v, 0) of a committed signed tensor: bit = [v >= 0] from the top limb, output = bit * v.

    In offset-binary, v >= 0 exactly if the top limb is at least half its range: the pair (top limb, bit) is looked up in the
    table of all such pairs, which is the range check of the top limb as well.
    """

    def __init__(self, name: str, values: Committed) -> None:
        number = values.columns.format
        if not number.signed:
            raise ValueError(f"{name}: expected a signed tensor, {values.name} is not")
        self.name = name
        self.values = values
        self.bit = Committed(LimbColumns(f"{name}: bit", BIT, values.shape))
        top = Interval(0, number.coefficient_intervals[-1].high)
        digits = (*number.coefficient_intervals[:-1], top)
        self.output = Masked(f"{name}: output", self.bit, values, digits=digits, interval=Interval(0, number.interval.high))

    @property
    def columns(self) -> list[Column]:
        return self.bit.columns.columns

    @property
    def tensors(self) -> tuple[Committed, ...]:
        return self.values, self.bit

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        return (self.lookup,)

    @property
    def lookup(self) -> Lookup:
        """(top limb, bit) of every entry; the top limb has no other lookup."""
        number = self.values.columns.format
        limbs = np.arange(1 << number.top_bits, dtype=np.uint32)
        table = ExplicitTable.of(np.stack([limbs, limbs >> np.uint32(number.top_bits - 1)], axis=1))
        return Lookup(table, self.values.columns.names[-1], self.bit.columns.names)

    def witness(self, reader: Reader) -> dict[str, U32]:
        """The column of bits, from the columns of the values."""
        number = self.values.columns.format
        (name,) = self.bit.columns.names
        return {name: reader.read(self.values.columns.names[-1]) >> np.uint32(number.top_bits - 1)}
