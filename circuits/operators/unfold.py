"""Entries of the last two axes laid out window by window, and the transpose; separable in rows and columns.

    entries[.., h kh + i, w kw + j] = values[.., row that tap i of window h meets, column that tap j of window w meets]

or a public constant, where a tap meets no row or no column: padding. Windows may overlap, be dilated and differ in size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zkds.circuits.operators.window_sums import halves, joined_halves
from zkds.claims import Value
from zkds.field import ONE, ZERO, K, dot
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limbs import I64
from zkds.tensors.axes import Axis, VectorAxis
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Reader, Tensor, TensorClaim

PADDING = -1  # in the place of an entry that a tap meets
MAX_TAPS = 1 << 22  # of all windows along an axis


class Taps:
    """Which entry of an axis of `length` entries each tap of each window meets: (windows, taps) int64, PADDING for none.

    Raises ValueError for entries that are not there, no window, windows that meet no entry, and more than MAX_TAPS taps.
    """

    def __init__(self, length: int, entries: I64) -> None:
        if entries.ndim != 2 or not entries.size or entries.min() < PADDING or entries.max() >= length:
            raise ValueError(f"taps: expected windows of entries below {length}")
        if (entries == PADDING).all(axis=1).any():
            raise ValueError("taps: expected windows that meet an entry, at least one lies in the padding")
        self.length = length
        self.entries = entries
        self.windows, self.taps = entries.shape

    @classmethod
    def sliding(
        cls, length: int, taps: int, *, stride: int, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
    ) -> Taps:
        """Tap i of window h meets entry h stride + i dilation - padding, as in torch's max_pool2d.

        With `ceil_mode` a last window may end beyond the padding, if it starts before the padding at the end. Raises ValueError
        for windows that torch refuses, and as above.
        """
        if min(taps, stride, dilation) < 1:
            raise ValueError(f"taps: expected at least 1, and steps of at least 1, got {taps}, {stride} and {dilation}")
        if not 0 <= padding <= taps // 2:
            raise ValueError(f"taps: expected padding of 0 to half of {taps}, got {padding}")
        reach = dilation * (taps - 1) + 1
        windows = (length + 2 * padding - reach + (stride - 1 if ceil_mode else 0)) // stride + 1
        if ceil_mode and (windows - 1) * stride >= length + padding:
            windows -= 1
        if windows < 1:
            raise ValueError(f"taps: expected windows that fit {length} entries, got a reach of {reach}")
        _require_bounded(windows, taps)
        entries = np.arange(windows)[:, None] * stride + np.arange(taps) * dilation - padding
        return cls(length, np.where((entries >= 0) & (entries < length), entries, PADDING))

    @classmethod
    def adaptive(cls, length: int, windows: int) -> Taps:
        """Window h meets the entries from floor(h length / windows) to below ceil((h + 1) length / windows).

        Smaller windows than the largest one have padding at the end.
        """
        if windows < 1:
            raise ValueError(f"taps: expected at least one window, got {windows}")
        _require_bounded(windows, 1)
        starts = np.arange(windows) * length // windows
        ends = -(-np.arange(1, windows + 1) * length // windows)
        taps = int((ends - starts).max())
        _require_bounded(windows, taps)
        entries = starts[:, None] + np.arange(taps)
        return cls(length, np.where(entries < ends[:, None], entries, PADDING))

    @property
    def is_padded(self) -> bool:
        return bool((self.entries == PADDING).any())

    @cached_property
    def is_tiling(self) -> bool:
        """Whether every entry is met once, in order: nothing moves."""
        return np.array_equal(self.entries.reshape(-1), np.arange(self.length))

    @property
    def uses(self) -> Interval:
        """The hull of the numbers of taps that meet an entry."""
        counts = np.bincount(self.entries[self.entries != PADDING], minlength=self.length)
        return Interval(int(counts.min()), int(counts.max()))

    def unfold(self, values: I64, axis: int, padding: int) -> I64:
        """(.., length, ..) -> (.., windows taps, ..)"""
        if self.is_tiling:
            return values
        shape = list(values.shape)
        shape[axis] = 1
        framed = np.concatenate([values, np.full(shape, padding, dtype=np.int64)], axis)
        unfolded: I64 = framed.take(self.entries.reshape(-1), axis)  # PADDING is the last entry
        return unfolded

    def fold(self, entries: I64, axis: int) -> I64:
        """(.., windows taps, ..) -> (.., length, ..), the transpose: the sum over all taps that meet an entry, exact."""
        if self.is_tiling:
            return entries
        flat = self.entries.reshape(-1)
        order = np.argsort(flat, kind="stable")[np.count_nonzero(flat == PADDING) :]
        found, starts = np.unique(flat[order], return_index=True)
        sums = np.add.reduceat(entries.take(order, axis), starts, axis)
        shape = list(sums.shape)
        shape[axis] = self.length
        result = np.zeros(shape, dtype=np.int64)
        np.moveaxis(result, axis, 0)[found] = np.moveaxis(sums, axis, 0)
        return result

    def fold_axis(self, weights: Axis) -> VectorAxis:
        """The weights on the entries, of weights on the taps."""
        return joined_halves(self.fold(halves(weights.vector()), 0))

    def unfold_axis(self, weights: Axis) -> VectorAxis:
        """The weights on the taps, of weights on the entries that they meet; 0 in the padding."""
        framed = np.concatenate([weights.vector(), np.zeros((1, 2), dtype=np.uint64)])  # PADDING is the last entry
        return VectorAxis(framed.take(self.entries.reshape(-1), axis=0))


@dataclass(frozen=True)
class Unfolding:
    """The taps along the last two axes."""

    rows: Taps
    columns: Taps

    @property
    def window(self) -> tuple[int, int]:
        return self.rows.taps, self.columns.taps

    @property
    def is_padded(self) -> bool:
        return self.rows.is_padded or self.columns.is_padded

    @property
    def is_tiling(self) -> bool:
        """Whether the windows are all entries once: `window` cuts the values themselves into windows."""
        return self.rows.is_tiling and self.columns.is_tiling

    @property
    def uses(self) -> Interval:
        """The hull of the numbers of taps that meet a value."""
        return self.rows.uses * self.columns.uses

    def unfold(self, values: I64, padding: int) -> I64:
        """(.., H, W) -> (.., h kh, w kw)"""
        return self.columns.unfold(self.rows.unfold(values, -2, padding), -1, padding)

    def fold(self, entries: I64) -> I64:
        """(.., h kh, w kw) -> (.., H, W), the transpose."""
        return self.rows.fold(self.columns.fold(entries, -1), -2)

    def fold_axes(self, axes: Sequence[Axis]) -> list[Axis]:
        """The weights on values, of weights on the entries."""
        return [*axes[:-2], self.rows.fold_axis(axes[-2]), self.columns.fold_axis(axes[-1])]

    def unfold_axes(self, axes: Sequence[Axis]) -> list[Axis]:
        """The weights on the entries, of weights on what they add up to."""
        return [*axes[:-2], self.rows.unfold_axis(axes[-2]), self.columns.unfold_axis(axes[-1])]


class Unfolded(LinearTensor):
    """The entries of all windows, with the constant `padding` where a tap meets none."""

    def __init__(self, name: str, values: Tensor, unfolding: Unfolding, padding: int) -> None:
        rows, columns = unfolding.rows, unfolding.columns
        if values.shape[-2:] != (rows.length, columns.length):
            raise ValueError(f"{name}: expected {rows.length} rows and {columns.length} columns, got {values.shape}")
        self.name = name
        self.values = values
        self.sources = (values,)
        self.unfolding = unfolding
        self.shape = (*values.shape[:-2], rows.windows * rows.taps, columns.windows * columns.taps)
        self._padding = _digits(padding, len(values.digits))
        self.digits, self.interval = values.digits, values.interval
        if unfolding.is_padded:
            self.digits = tuple(map(_hull, values.digits, self._padding))
            self.interval = _hull(values.interval, padding)

    def tables(self, reader: Reader) -> list[I64]:
        pairs = zip(self.values.tables(reader), self._padding, strict=True)
        return [self.unfolding.unfold(digit, padding) for digit, padding in pairs]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        axes = self.unfolding.fold_axes(claim.axes)
        padding = dot(claim.digit_weights, self._padding)
        constant = padding * (_total(claim.axes) - _total(axes))
        return [Term(self.values, axes, claim.digit_weights)], constant


class Folded(LinearTensor):
    """The sum over all windows' entries that are one value: the transpose of unfolding."""

    def __init__(self, name: str, entries: Tensor, unfolding: Unfolding) -> None:
        rows, columns = unfolding.rows, unfolding.columns
        if entries.shape[-2:] != (rows.windows * rows.taps, columns.windows * columns.taps):
            raise ValueError(f"{name}: expected the entries of {rows.windows} x {columns.windows} windows, got {entries.shape}")
        self.name = name
        self.entries = entries
        self.sources = (entries,)
        self.unfolding = unfolding
        self.shape = (*entries.shape[:-2], rows.length, columns.length)
        self.digits = tuple(digit * unfolding.uses for digit in entries.digits)
        self.interval = entries.interval * unfolding.uses

    def tables(self, reader: Reader) -> list[I64]:
        return [self.unfolding.fold(digit) for digit in self.entries.tables(reader)]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        return [Term(self.entries, self.unfolding.unfold_axes(claim.axes), claim.digit_weights)], ZERO


def _require_bounded(windows: int, taps: int) -> None:
    if windows * taps > MAX_TAPS:
        raise ValueError(f"taps: expected at most {MAX_TAPS} along an axis, got {windows} windows of {taps}")


def _digits(value: int, count: int) -> list[int]:
    """`count` digits of a constant, lowest first: in [0, 2^16) but for the top one, which takes what is left."""
    digits = [value >> DIGIT_BITS * j & (1 << DIGIT_BITS) - 1 for j in range(count - 1)]
    return [*digits, value >> DIGIT_BITS * (count - 1)]


def _total(axes: Sequence[Axis]) -> K:
    """The sum of all weights."""
    product = ONE
    for axis in axes:
        product = product * axis.total()
    return product


def _hull(interval: Interval, value: int) -> Interval:
    return Interval(min(interval.low, value), max(interval.high, value))


def sliding_unfolding(
    size: Sequence[int],
    window: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> Unfolding:
    """The windows of torch's max_pool2d on images of `size` (rows, columns); see `Taps.sliding`."""
    rows, columns = (
        Taps.sliding(length, taps, stride=step, padding=border, dilation=distance, ceil_mode=ceil_mode)
        for length, taps, step, border, distance in zip(size, window, stride, padding, dilation, strict=True)
    )
    return Unfolding(rows, columns)


def adaptive_unfolding(size: Sequence[int], outputs: Sequence[int]) -> Unfolding:
    """The windows of torch's adaptive_max_pool2d."""
    rows, columns = (Taps.adaptive(length, windows) for length, windows in zip(size, outputs, strict=True))
    return Unfolding(rows, columns)
