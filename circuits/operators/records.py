"""What a network sees of the committed records: its input as a tensor, the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.claims import Value
from zkds.commit.layout import Column
from zkds.dataset.membership import Membership
from zkds.field import ONE, K, block, to_pairs, unblock
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.native import field
from zkds.tensors.axes import Axis, VectorAxis
from zkds.tensors.circuit import Component
from zkds.tensors.field_tables import weighed
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Committed, ProverContext, Reader, TensorClaim, VerifierContext

BYTE = LimbFormat(DIGIT_BITS, 8, signed=False)


class RecordColumn(LimbColumns):
    """A column of membership (zkds/dataset/membership.py) as a tensor of bytes under its own name."""

    def __init__(self, column: Column) -> None:
        super().__init__(column.name, BYTE, column.shape)
        self.names = (column.name,)


class Records(Component):
    """The committed records: their columns as tensors, which membership says are under the data root."""

    name = "records"

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self.elements, self.labels, self.randomness = (Committed(RecordColumn(column)) for column in membership.columns)

    @property
    def tensors(self) -> list[Committed]:
        return [self.elements, self.labels, self.randomness]

    def check(self) -> None:
        self.membership.check()

    def prove(self, context: ProverContext) -> None:
        claims = self.membership.prove(context.channel, context.layout, context.reader.vector)
        context.book.vector_claims.extend(claims)

    def verify(self, context: VerifierContext) -> None:
        context.book.vector_claims.extend(self.membership.verify(context.channel, context.layout))


class InputTensor(LinearTensor):
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
        self.sources = (elements,)
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

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
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
        if self.element_bytes == 2:
            axes.append(VectorAxis.of([1, 256]))
        return [Term(self.elements, axes, [ONE])], constant

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
