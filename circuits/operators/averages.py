"""Means over windows of rows and columns: which windows, what their sums are divided by, exact integers, virtual tensors.

The number that a window's sum is divided by is the product of one number for its rows and one for its columns, in every pool of
torch (`sliding`, `adaptive`). So with the least common multiples R and C of these, a mean is

    1 / (R C)  sum over its rows y  R / rows(y)  sum over its columns x  C / columns(x)  value(y, x)

a sum with public integer factors, exact and never committed (`WindowSums`), over one divisor R C for all windows. If that is a
power of two, the sum is the mean with more fractional bits; else the quotient is rounded once
(zkds/identities/rounded_quotient.py). The deltas of the values are the transpose (`WindowSpread`), over the same divisor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np

from zkds.circuits.arithmetic.exact import Rounded
from zkds.circuits.operators.window_sums import Windows
from zkds.claims import Value
from zkds.field import ZERO, K
from zkds.identities.rounded_quotient import MAX_DIVISOR
from zkds.integers.intervals import Interval
from zkds.integers.limbs import I64
from zkds.tensors.axes import Axis
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Reader, Tensor, TensorClaim


@dataclass(frozen=True)
class AxisMeans:
    """Means along one axis: the sums of `windows`, all over the same `divisor`."""

    windows: Windows
    divisor: int

    @classmethod
    def of(cls, length: int, starts: I64, stops: I64, divisors: I64) -> AxisMeans:
        """The sum over window k, starts[k] to stops[k] - 1, over divisors[k]. Raises ValueError above MAX_DIVISOR."""
        common = 1
        for divisor in np.unique(divisors).tolist():
            common = lcm(common, divisor)
            if common > MAX_DIVISOR:
                raise ValueError(f"windows: expected a common divisor of at most {MAX_DIVISOR}, got {common} or more")
        return cls(Windows(length, starts, stops, common // divisors), common)


def sliding(
    length: int, kernel: int, stride: int, padding: int, *, ceil_mode: bool = False, count_include_pad: bool = True
) -> AxisMeans:
    """The windows of torch's avg_pool2d along one axis.

    Window k begins at k stride - padding. With `ceil_mode` the last one may end behind the padding, if it does not begin in the
    right one. Sums are over the number of the window's places up to the padding's end, or, unless `count_include_pad`, of its
    entries (ATen/native/cpu/AvgPoolKernel.cpp). Raises ValueError for windows that torch refuses.
    """
    if min(kernel, stride) < 1 or not 0 <= padding <= kernel // 2:
        given = f"{kernel}, {stride}, {padding}"
        raise ValueError(f"expected kernel and stride of at least 1, padding of at most half the kernel, got {given}")
    span = length + 2 * padding - kernel
    count = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= length + padding:
        count -= 1
    if count < 1:
        raise ValueError(f"expected windows that fit {length} entries and the padding, got {kernel} and {padding}")
    begins = np.arange(count) * stride - padding
    ends = np.minimum(begins + kernel, length + padding)
    starts, stops = np.maximum(begins, 0), np.minimum(ends, length)
    return AxisMeans.of(length, starts, stops, ends - begins if count_include_pad else stops - starts)


def adaptive(length: int, outputs: int) -> AxisMeans:
    """The windows of torch's adaptive_avg_pool2d along one axis.

    Window k holds the entries from floor(k length / outputs) up to ceil((k + 1) length / outputs), without that. One
    output is the mean of all entries; as many as entries are the entries themselves.
    """
    if outputs < 1:
        raise ValueError(f"expected at least 1 output, got {outputs}")
    windows = np.arange(outputs)
    starts, stops = windows * length // outputs, -(-(windows + 1) * length // outputs)
    return AxisMeans.of(length, starts, stops, stops - starts)


def divided(axis: AxisMeans, divisor: int) -> AxisMeans:
    """The same windows, their sums over `divisor` whatever they count (torch's divisor_override); for one of the two axes."""
    windows = axis.windows
    return AxisMeans.of(windows.length, windows.starts, windows.stops, np.full(windows.count, divisor))


@dataclass(frozen=True)
class Means:
    """Means over windows of the last two axes."""

    rows: AxisMeans
    columns: AxisMeans

    @property
    def divisor(self) -> int:
        """Of all sums."""
        return self.rows.divisor * self.columns.divisor

    @property
    def is_exact(self) -> bool:
        """Whether the divisor is a power of two, and the division a move of the binary point by `bits`."""
        return self.divisor & (self.divisor - 1) == 0

    @property
    def bits(self) -> int:
        """The binary logarithm of the divisor, if it is a power of two."""
        if not self.is_exact:
            raise ValueError(f"expected a divisor that is a power of two, got {self.divisor}")
        return self.divisor.bit_length() - 1

    @property
    def changes_nothing(self) -> bool:
        """Whether each mean is that of one entry, in its place."""
        axes = (self.rows, self.columns)
        return self.divisor == 1 and all(axis.windows.is_identity for axis in axes)

    @property
    def totals(self) -> Interval:
        """The hull of the sums of the factors in one window."""
        return self.rows.windows.totals * self.columns.windows.totals

    @property
    def entry_totals(self) -> Interval:
        """The hull of the sums of the factors at one entry."""
        return self.rows.windows.entry_totals * self.columns.windows.entry_totals

    def sums(self, values: I64) -> I64:
        """(.., H, W) -> (.., h, w): the divisor times the means, exactly."""
        return self.rows.windows.sums(self.columns.windows.sums(values, -1), -2)

    def spread(self, deltas: I64) -> I64:
        """(.., h, w) -> (.., H, W): the divisor times the deltas of the values, from those of the means, exactly."""
        return self.columns.windows.spread(self.rows.windows.spread(deltas, -2), -1)

    def sums_axes(self, axes: Sequence[Axis]) -> list[Axis]:
        """The weights on deltas of the means, of weights on what they are spread to."""
        return [*axes[:-2], self.rows.windows.sums_axis(axes[-2]), self.columns.windows.sums_axis(axes[-1])]

    def spread_axes(self, axes: Sequence[Axis]) -> list[Axis]:
        """The weights on the values, of weights on their sums."""
        return [*axes[:-2], self.rows.windows.spread_axis(axes[-2]), self.columns.windows.spread_axis(axes[-1])]


def round_quotient(dividend: I64, divisor: int) -> Rounded:
    """floor((dividend + floor(divisor / 2)) / divisor), to nearest with halves up, and what is left of the numerator."""
    value, remainder = np.divmod(dividend + np.int64(divisor // 2), np.int64(divisor))
    return Rounded(value, remainder)


class WindowSums(LinearTensor):
    """The divisor times the means over windows of the last two axes."""

    def __init__(self, name: str, values: Tensor, means: Means) -> None:
        self.name = name
        self.values = values
        self.sources = (values,)
        self.means = means
        self.shape = (*values.shape[:-2], means.rows.windows.count, means.columns.windows.count)
        self.digits = tuple(digit * means.totals for digit in values.digits)
        self.interval = values.interval * means.totals

    def tables(self, reader: Reader) -> list[I64]:
        return [self.means.sums(digit) for digit in reader.tables(self.values)]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        return [Term(self.values, self.means.spread_axes(claim.axes), claim.digit_weights)], ZERO


class WindowSpread(LinearTensor):
    """The divisor times the deltas of the values, from those of their means over windows of the last two axes."""

    def __init__(self, name: str, deltas: Tensor, means: Means) -> None:
        self.name = name
        self.deltas = deltas
        self.sources = (deltas,)
        self.means = means
        self.shape = (*deltas.shape[:-2], means.rows.windows.length, means.columns.windows.length)
        self.digits = tuple(digit * means.entry_totals for digit in deltas.digits)
        self.interval = deltas.interval * means.entry_totals

    def tables(self, reader: Reader) -> list[I64]:
        return [self.means.spread(digit) for digit in reader.tables(self.deltas)]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        return [Term(self.deltas, self.means.sums_axes(claim.axes), claim.digit_weights)], ZERO
