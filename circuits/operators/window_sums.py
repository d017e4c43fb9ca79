"""Sums over windows along one axis, as a matrix of integers that is never written down, and its transpose.

Row k of the matrix has factors[k] on the entries starts[k], ..., stops[k] - 1 and zeros elsewhere. Neither end of the windows
ever moves backwards, so the windows that hold an entry are consecutive, too: both the matrix and its transpose take differences
of prefix sums, of integers as well as of weights in K; or, of small windows at equal distances, sums of slices.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from zkds.field import P
from zkds.integers.intervals import Interval
from zkds.integers.limbs import I64
from zkds.native import U64, field
from zkds.tensors.axes import Axis, VectorAxis
from zkds.tensors.contraction import times_power_of_two

MAX_SUM = 1 << 30  # of factors along an axis: sums of halves of field elements fit 63 bits
HALF_BITS = 32
MOST_ADDED = 8  # entries of a window that are added up one by one


class Windows:
    """Windows of an axis of `length` entries: starts[k], ..., stops[k] - 1, none empty, each with a factor of at least 1.

    starts, stops, factors   (count,) int64. Raises ValueError for windows that are none, that leave the axis or move backwards.
    """

    def __init__(self, length: int, starts: I64, stops: I64, factors: I64) -> None:
        if not starts.size or starts.min() < 0 or (starts >= stops).any() or stops.max() > length:
            raise ValueError(f"windows: expected intervals of {length} entries, none empty")
        if any((side[1:] < side[:-1]).any() for side in (starts, stops)):
            raise ValueError("windows: expected ends that never decrease")
        if factors.shape != starts.shape or factors.min() < 1:
            raise ValueError(f"windows: expected {len(starts)} positive factors")
        if max(length, len(starts)) * int(factors.max()) >= MAX_SUM:
            raise ValueError(f"windows: expected sums of factors below {MAX_SUM}")
        self.length = length
        self.count = len(starts)
        self.starts = starts
        self.stops = stops
        self.factors = factors

    @property
    def is_identity(self) -> bool:
        """Whether every entry is a window, with the factor 1."""
        entries = np.arange(self.length)
        same = np.array_equal(self.starts, entries) and np.array_equal(self.stops, entries + 1)
        return same and bool((self.factors == 1).all())

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
        return _along(self.factors, axis, values) * _interval_sums(values, axis, self.starts, self.stops)

    def spread(self, values: I64, axis: int) -> I64:
        """(.., count, ..) -> (.., length, ..), the transpose: for every entry, the sum of factor times value of its windows."""
        return _interval_sums(values * _along(self.factors, axis, values), axis, *self._windows_of_entries)

    def sums_axis(self, weights: Axis) -> VectorAxis:
        """`sums` of weights on the entries: those on the values that are spread."""
        return joined_halves(self.sums(halves(weights.vector()), 0))

    def spread_axis(self, weights: Axis) -> VectorAxis:
        """`spread` of weights on the windows' sums: those on the entries."""
        return joined_halves(self.spread(halves(weights.vector()), 0))

    @cached_property
    def _windows_of_entries(self) -> tuple[I64, I64]:
        """For every entry the first window that holds it, and the first one after it that does not."""
        entries = np.arange(self.length)
        first = np.searchsorted(self.stops, entries, side="right")
        last = np.searchsorted(self.starts, entries, side="right")
        return first, last


def _interval_sums(values: I64, axis: int, starts: I64, stops: I64) -> I64:
    """For every k the sum of the entries starts[k], ..., stops[k] - 1 along an axis; int64, modulo 2^64 in between."""
    if (stops == starts + 1).all():
        return values.take(starts, axis=axis)
    lengths, steps = np.unique(stops - starts), np.unique(np.diff(starts))
    if len(lengths) == len(steps) == 1 and 0 < lengths[0] <= MOST_ADDED and steps[0] > 0:  # windows like each other
        inside = [slice(None)] * values.ndim
        total: I64 = np.zeros(1, dtype=np.int64)
        for first in range(int(starts[0]), int(stops[0])):
            inside[axis] = slice(first, first + int(starts[-1] - starts[0]) + 1, int(steps[0]))
            total = total + values[tuple(inside)]
        return total
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
