"""Sums over windows along one axis, as a matrix of integers that is never written down, and its transpose.

Row k of the matrix has factors[k] on the entries starts[k], ..., stops[k] - 1 and zeros elsewhere. Neither end of the windows
ever moves backwards, so the windows that hold an entry are consecutive, too: both the matrix and its transpose take differences
of prefix sums, of integers as well as of weights in K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from zkds.field import P
from zkds.integers.intervals import Interval
from zkds.integers.limbs import I64
from zkds.native import U64, field
from zkds.tensors.axes import Axis, VectorAxis
from zkds.tensors.contraction import times_power_of_two

MAX_SUM = 1 << 30  # of factors along an axis: sums of halves of field elements fit 63 bits
HALF_BITS = 32


@dataclass(frozen=True)
class Windows:
    """Windows of an axis of `length` entries: starts[k], ..., stops[k] - 1, none empty, each with a factor of at least 1.

    Raises ValueError for windows that are none, that leave the axis or that move backwards.
    """

    length: int
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    factors: tuple[int, ...]

    def __post_init__(self) -> None:
        ends = list(zip(self.starts, self.stops, strict=True))
        if not ends or not all(0 <= start < stop <= self.length for start, stop in ends):
            raise ValueError(f"windows: expected intervals of {self.length} entries, none empty, got {ends}")
        if any(before > after for side in (self.starts, self.stops) for before, after in pairwise(side)):
            raise ValueError(f"windows: expected ends that never decrease, got {ends}")
        if len(self.factors) != len(ends) or min(self.factors) < 1:
            raise ValueError(f"windows: expected {len(ends)} positive factors, got {self.factors}")
        if max(self.length, len(ends)) * max(self.factors) >= MAX_SUM:
            raise ValueError(f"windows: expected sums of factors below {MAX_SUM}")

    @property
    def count(self) -> int:
        return len(self.starts)

    @property
    def is_identity(self) -> bool:
        """Whether every entry is a window, with the factor 1."""
        ends = tuple(range(self.length + 1))
        return (self.starts, self.stops) == (ends[:-1], ends[1:]) and set(self.factors) == {1}

    @property
    def totals(self) -> Interval:
        """The hull of the matrix's row sums."""
        totals = self.sums(np.ones(self.length, dtype=np.int64), 0)
        return Interval(int(totals.min()), int(totals.max()))

    @property
    def entry_totals(self) -> Interval:
        """The hull of its column sums; 0 for an entry that is in no window."""
        totals = self.spread(np.ones(self.count, dtype=np.int64), 0)
        return Interval(int(totals.min()), int(totals.max()))

    def sums(self, values: I64, axis: int) -> I64:
        """(.., length, ..) -> (.., count, ..): for every window, factor times the sum of its entries."""
        return _along(self._factors, axis, values) * _interval_sums(values, axis, self.starts, self.stops)

    def spread(self, values: I64, axis: int) -> I64:
        """(.., count, ..) -> (.., length, ..), the transpose: for every entry, the sum of factor times value of its windows."""
        return _interval_sums(values * _along(self._factors, axis, values), axis, *self._windows_of_entries)

    def sums_axis(self, weights: Axis) -> VectorAxis:
        """`sums` of weights on the entries: those on the values that are spread."""
        return joined_halves(self.sums(halves(weights.vector()), 0))

    def spread_axis(self, weights: Axis) -> VectorAxis:
        """`spread` of weights on the windows' sums: those on the entries."""
        return joined_halves(self.spread(halves(weights.vector()), 0))

    @cached_property
    def _factors(self) -> I64:
        return np.array(self.factors, dtype=np.int64)

    @cached_property
    def _windows_of_entries(self) -> tuple[Sequence[int], Sequence[int]]:
        """For every entry the first window that holds it, and the first one after it that does not."""
        entries = np.arange(self.length)
        first = np.searchsorted(self.stops, entries, side="right")
        last = np.searchsorted(self.starts, entries, side="right")
        return first.tolist(), last.tolist()


def _interval_sums(values: I64, axis: int, starts: Sequence[int], stops: Sequence[int]) -> I64:
    """For every k the sum of the entries starts[k], ..., stops[k] - 1 along an axis; int64, modulo 2^64 in between."""
    if all(stop == start + 1 for start, stop in zip(starts, stops, strict=True)):
        return values.take(starts, axis=axis)
    shape = list(values.shape)
    shape[axis] += 1
    prefix = np.zeros(shape, dtype=np.int64)
    inner = [slice(None)] * values.ndim
    inner[axis] = slice(1, None)
    np.cumsum(values, axis=axis, out=prefix[tuple(inner)])
    sums: I64 = prefix.take(stops, axis=axis) - prefix.take(starts, axis=axis)
    return sums


def _along(vector: I64, axis: int, values: I64) -> I64:
    """A vector, so that it is broadcast along an axis of `values`."""
    return vector.reshape(-1, *(1,) * (values.ndim - 1 - axis % values.ndim))


def halves(weights: U64) -> I64:
    """(n, 2) elements of F -> (n, 2, 2) numbers below 2^32, the low half first."""
    low = weights & np.uint64((1 << HALF_BITS) - 1)
    return np.stack([low, weights >> np.uint64(HALF_BITS)], axis=-1).astype(np.int64)


def joined_halves(sums: I64) -> VectorAxis:
    """Sums of halves below 2^63 -> the weights that they are the halves of, modulo p."""
    low, high = np.moveaxis(sums.astype(np.uint64) % np.uint64(P), -1, 0)
    return VectorAxis(field.add(np.ascontiguousarray(low), times_power_of_two(high, HALF_BITS)))
