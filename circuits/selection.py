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
from numpy.typing import NDArray

from zkds import sumcheck
from zkds.circuits.axes import Axis, VectorAxis, eq_axes, padded, split_point, variables
from zkds.circuits.contraction import canonical
from zkds.circuits.field_tables import weighed
from zkds.circuits.pooling import pooled_axes, repeat_entries, repeated_shape
from zkds.circuits.tensors import Combination, Committed, ProverContext, Reader, Tensor, TensorClaim, VerifierContext
from zkds.claims import Value
from zkds.commit.layout import Column
from zkds.field import ONE, K, block, dot, to_pairs, unblock
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.lookup import ExplicitTable, Lookup
from zkds.native import U32, U64, field

BIT = LimbFormat(DIGIT_BITS, 1, signed=False)
BYTE = LimbFormat(DIGIT_BITS, 8, signed=False)


class Masked(Tensor):
    """mask * values, each value repeated over a window of size x size entries of the last two axes.

    mask      a tensor of the result's shape whose entries are proved to be 0 or 1 elsewhere
    values    of the same shape, or with the last two axes divided by `size`
    digits, interval   of the result, where more is known than that it is a value or zero
    """

    def __init__(
        self,
        name: str,
        mask: Committed,
        values: Tensor,
        size: int = 1,
        digits: Sequence[Interval] | None = None,
        interval: Interval | None = None,
    ) -> None:
        if mask.shape != repeated_shape(values.shape, size):
            raise ValueError(f"{name}: expected a mask of shape {repeated_shape(values.shape, size)}, got {mask.shape}")
        self.name = name
        self.shape = mask.shape
        self.mask = mask
        self.values = values
        self.size = size
        self.digits = tuple(digit.with_zero() for digit in (values.digits if digits is None else digits))
        self.interval = (values.interval if interval is None else interval).with_zero()

    def tables(self, reader: Reader) -> list[I64]:
        (mask,) = self.mask.tables(reader)
        return [mask * repeat_entries(digit, self.size) for digit in self.values.tables(reader)]

    def prove_claims(self, context: ProverContext) -> None:
        claims = context.book.take(self)
        if not claims:
            return
        combination = Combination.draw(context, self, claims)
        weights = combination.weight_tables()
        (mask,) = (padded(context.reader.read(name), self.shape) for name in self.mask.columns.names)
        digits = [field_table(repeat_entries(digit, self.size)) for digit in self.values.tables(context.reader)]
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
        context.book.add(self.values, pooled_axes(axes, self.size), digit_weights, factors[1])

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
        context.book.add(self.values, pooled_axes(axes, self.size), combination.weights_at(points), value)


class Relu:
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


class RecordElements(LimbColumns):
    """The column of membership that holds the records' elements, as a tensor of bytes under its own name."""

    def __init__(self, column: Column) -> None:
        super().__init__(column.name, BYTE, column.shape)
        self.names = (column.name,)


class InputTensor(Tensor):
    """x = multiplier_c u + offset_c in every pass, (P, B, C, H, W); u the stored elements of step p or p - T.

    elements      (T, B, C, H, W) or (T, B, d) bytes; with `element_bytes` 2 one more axis, the low byte first
    multipliers, offsets   integers of each channel (of each of d features), digit by digit balanced: -2^15 <= digit < 2^15
    """

    def __init__(
        self, name: str, elements: Committed, element_bytes: int, multipliers: Sequence[int], offsets: Sequence[int]
    ) -> None:
        shape = elements.shape if element_bytes == 1 else elements.shape[:-1]
        if element_bytes not in (1, 2) or (element_bytes == 2 and elements.shape[-1] != 2):
            raise ValueError(f"{name}: expected elements of 1 or 2 bytes")
        if len(multipliers) != shape[2] or len(offsets) != shape[2]:
            raise ValueError(f"{name}: expected {shape[2]} multipliers and offsets, got {len(multipliers)} and {len(offsets)}")
        steps, batch, channels, *spatial = shape
        self.name = name
        self._channels = channels
        self.elements = elements
        self.element_bytes = element_bytes
        self.steps = steps
        self.shape = (2 * steps - 1, batch, channels, *(spatial or (1, 1)))
        slopes, constants = (np.array(values, dtype=np.int64) for values in (multipliers, offsets))
        extremes = [int(bound) for values in (slopes, constants) for bound in (values.min(), values.max())]
        count = max(map(_digit_count, extremes))
        self._multipliers, self._offsets = balanced_digits(slopes, count), balanced_digits(constants, count)
        most = (1 << 8 * element_bytes) - 1
        self.interval = _hull(slopes, constants, most)
        pairs = zip(self._multipliers, self._offsets, strict=True)
        self.digits = tuple(_hull(slope, constant, most) for slope, constant in pairs)

    def tables(self, reader: Reader) -> list[I64]:
        (stored,) = self.elements.tables(reader)
        if self.element_bytes == 2:
            stored = stored[..., 0] + (stored[..., 1] << np.int64(8))
        steps = stored.reshape(self.steps, *self.shape[1:])
        passes = np.concatenate([steps, steps[:-1]])
        tables = []
        for m, n in zip(self._multipliers, self._offsets, strict=True):
            tables.append(passes * m[:, None, None] + n[:, None, None])
        return tables

    def prove_claims(self, context: ProverContext) -> None:
        for claim in context.book.take(self):
            axes, constant = self._reduced(claim)
            context.book.add(self.elements, axes, [ONE], claim.value - constant)

    def verify_claims(self, context: VerifierContext) -> None:
        for claim in context.book.take(self):
            axes, constant = self._reduced(claim)
            context.book.add(self.elements, axes, [ONE], claim.value - constant)

    def _reduced(self, claim: TensorClaim[Value]) -> tuple[list[Axis], K]:
        """The claim's weights on the elements, and what it says of the offsets."""
        by_pass, batch, channels = claim.axes[:3]
        spatial: list[Axis] = list(claim.axes[3:])
        scales, shifts = (weighed(d, claim.digit_weights, (self._channels,)) for d in (self._multipliers, self._offsets))
        by_channel = block(channels.vector())
        constant = K(*field.k_dot(by_channel, shifts).tolist())
        for axis in (by_pass, batch, *spatial):
            constant = constant * axis.total()
        weights = field.k_mul(by_channel, scales)
        if len(self.elements.shape) - (self.element_bytes == 2) == 3:  # a vector of features: one row, one column
            factor = spatial[0].total() * spatial[1].total()
            weights, spatial = field.k_scale(weights, to_pairs([factor])[0]), []
        axes: list[Axis] = [self._folded(by_pass), batch, VectorAxis(unblock(weights, self._channels)), *spatial]
        return (axes if self.element_bytes == 1 else [*axes, VectorAxis.of([1, 256])]), constant

    def _folded(self, by_pass: Axis) -> VectorAxis:
        """Both passes of a step see the same records: their weights are added."""
        weights = by_pass.vector()
        folded = weights[: self.steps].copy()
        second = np.ascontiguousarray(weights[self.steps :])
        folded[: len(second)] = field.add(np.ascontiguousarray(folded[: len(second)]), second)
        return VectorAxis(folded)


def balanced_digits(values: I64, count: int) -> list[I64]:
    """`count` digits in [-2^15, 2^15) with sum_j digit_j 2^(16 j) = value, lowest first; the top one takes what is left."""
    half = np.int64(1 << (DIGIT_BITS - 1))
    digits = []
    for _ in range(count - 1):
        digit = ((values + half) & np.int64((1 << DIGIT_BITS) - 1)) - half
        digits.append(digit)
        values = (values - digit) >> np.int64(DIGIT_BITS)
    return [*digits, values]


def _digit_count(value: int) -> int:
    """The least number of balanced digits whose top one is balanced too."""
    count, low, high = 1, -(1 << (DIGIT_BITS - 1)), (1 << (DIGIT_BITS - 1)) - 1
    while not low <= value <= high:
        count, low, high = count + 1, (low << DIGIT_BITS) + low, (high << DIGIT_BITS) + high
    return count


def _hull(slopes: I64, constants: I64, most: int) -> Interval:
    """The hull of slope u + constant over all channels and 0 <= u <= most."""
    ends = constants + slopes * np.int64(most)
    return Interval(min(int(constants.min()), int(ends.min())), max(int(constants.max()), int(ends.max())))


def field_table(values: NDArray[np.int64]) -> U64:
    """A tensor of small integers as elements of F over the padded index space, flat."""
    return padded(canonical(values), values.shape)
