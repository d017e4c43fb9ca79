"""Exact sums of products of int64 operands, wider than 64 bits, at the speed of floating-point matrix products.

An operand is cut into pieces: balanced digits of p bits, |digit| <= 2^(p - 1), value = sum_i digit_i 2^(p i). Pieces are
float64 matrices, and if the sum of the absolute products of two pieces is at most 2^53, their matrix product is exact in
float64: in every order of summation, with or without fused multiply-adds, each partial sum is an integer of at most 2^53. How
many pieces are taken depends on the operands' actual magnitudes; the result does not, it is the exact sum.

`Wide` holds such sums: (hi, lo), value = hi 2^32 + lo, 0 <= lo < 2^32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product as pairs

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from zkds.integers.limbs import I64

F64 = NDArray[np.float64]

FLOAT_BITS = 53
WORD_BITS = 32
WIDE_BITS = 94  # a Wide holds |value| <= 2^94, so that a bias and half a unit can be added
ESTIMATE_BITS = 130  # so large may sums be for a float64 estimate to tell whether they fit a Wide
MAX_SHIFT = 62
MAX_PIECES = 4
SQUARES_CHUNK = 1 << 14  # entries whose squared 24-bit halves can be added up in an int64

_WORD = np.int64(WORD_BITS)
_LOW = np.int64((1 << WORD_BITS) - 1)
_INT64 = np.iinfo(np.int64)


@dataclass(frozen=True)
class Wide:
    """Integers of at most 2^94 in absolute value: hi, lo int64 arrays of one shape, value = hi 2^32 + lo, 0 <= lo < 2^32."""

    hi: I64
    lo: I64

    @classmethod
    def of(cls, values: I64, shift: int = 0) -> Wide:
        """values 2^shift, for |values| 2^shift < 2^94 (the caller's promise) and 0 <= shift < 64."""
        total = Sum(values.shape)
        total.add(values, shift)
        return total.wide()

    def __add__(self, other: Wide) -> Wide:
        """Exact if the sum is below 2^94 in absolute value."""
        return _carried(self.hi + other.hi, self.lo + other.lo)

    def reshape(self, *shape: int) -> Wide:
        return Wide(self.hi.reshape(shape), self.lo.reshape(shape))

    def round(self, shift: int) -> tuple[I64, I64]:
        """(floor((value + half) / 2^shift), (value + half) mod 2^shift) with half = 2^(shift - 1), 1 <= shift <= 62.

        A quotient that is no int64 becomes the nearest int64: no declared width holds it.
        """
        if not 1 <= shift <= MAX_SHIFT:
            raise ValueError(f"shift: expected 1 to {MAX_SHIFT}, got {shift}")
        moved = _carried(self.hi, self.lo + np.int64(1 << (shift - 1)))
        if shift >= WORD_BITS:
            upper = shift - WORD_BITS
            remainder = ((moved.hi & np.int64((1 << upper) - 1)) << _WORD) | moved.lo
            return moved.hi >> np.int64(upper), remainder
        remainder = moved.lo & np.int64((1 << shift) - 1)
        limit = np.int64(1 << (31 + shift))
        quotient = (moved.hi << np.int64(WORD_BITS - shift)) | (moved.lo >> np.int64(shift))
        if moved.hi.size and (int(moved.hi.max()) >= limit or int(moved.hi.min()) < -limit):
            quotient = np.where(moved.hi >= limit, _INT64.max, np.where(moved.hi < -limit, _INT64.min, quotient))
        return quotient, remainder


def _carried(hi: I64, lo: I64) -> Wide:
    """hi 2^32 + lo for any int64 lo."""
    return Wide(hi + (lo >> _WORD), lo & _LOW)


class Sum:
    """A sum of shifted int64 terms, modulo 2^96: the true sum, if that is below 2^94 in absolute value."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._hi = np.zeros(shape, dtype=np.int64)
        self._lo = np.zeros(shape, dtype=np.int64)  # of at most 2^31 terms below 2^32

    def add(self, values: I64, shift: int) -> None:
        """Add values 2^shift, 0 <= shift < 96."""
        if shift >= WORD_BITS:
            self._hi += values << np.int64(shift - WORD_BITS)
        else:
            self._hi += values >> np.int64(WORD_BITS - shift)
            self._lo += (values & np.int64((1 << (WORD_BITS - shift)) - 1)) << np.int64(shift)

    def wide(self) -> Wide:
        return _carried(self._hi, self._lo)


class Operand:
    """An int64 array as a factor of exact products, cut into float64 matrices on demand.

    `arrange` makes the matrix out of each piece, and may repeat, reorder and zero-pad its entries (im2col).
    """

    def __init__(self, values: I64, arrange: Callable[[F64], F64]) -> None:
        self._values = values
        self._arrange = arrange
        self._cut: dict[int, list[F64]] = {}
        self.bits = magnitude(values).bit_length()

    def piece_bits(self, count: int) -> int:
        """p for `count` pieces: |values| < 2^bits <= 2^(p count - 1), so the top digit too is at most 2^(p - 1)."""
        return -(-(self.bits + 1) // count)

    def pieces(self, count: int) -> list[F64]:
        """The matrices of the digits, lowest first."""
        if count not in self._cut:
            self._cut[count] = [self._arrange(piece) for piece in balanced_digits(self._values, self.piece_bits(count), count)]
        return self._cut[count]


def balanced_digits(values: I64, bits: int, count: int) -> Iterator[F64]:
    """`count` arrays: values = sum_i digit_i 2^(bits i), with -2^(bits - 1) <= digit_i < 2^(bits - 1) except in the top one."""
    half, mask = np.int64(1 << (bits - 1)), np.int64((1 << bits) - 1)
    for _ in range(count - 1):
        digit = ((values + half) & mask) - half
        yield digit.astype(np.float64)
        values = (values - digit) >> np.int64(bits)
    yield values.astype(np.float64)


def magnitude(values: I64) -> int:
    """The largest absolute value, 0 for none."""
    return max(int(values.max()), -int(values.min())) if values.size else 0


def piece_counts(left: Operand, right: Operand, terms: int) -> tuple[int, int]:
    """The cheapest numbers of pieces for which sums of `terms` products are exact in float64."""
    counts = [(i, j) for i in range(1, MAX_PIECES + 1) for j in range(1, MAX_PIECES + 1)]
    for count in sorted(counts, key=lambda count: (count[0] * count[1], abs(count[0] - count[1]))):
        bits = (left.piece_bits(count[0]) - 1) + (right.piece_bits(count[1]) - 1)
        if terms << bits <= 1 << FLOAT_BITS:
            return count
    raise ValueError(f"exact sums of {terms} products of {left.bits} and {right.bits} bits need more than {MAX_PIECES} pieces")


def combine(left: Operand, right: Operand, terms: int, multiply: Callable[[F64, F64], F64]) -> Wide:
    """The exact bilinear form that `multiply` computes on float64 matrices, each result a sum of at most `terms` products.

    Results of 2^94 or more become +-2^94, which no format holds after the roundings of the semantics.
    """
    left_count, right_count = piece_counts(left, right, terms)
    left_bits, right_bits = left.piece_bits(left_count), right.piece_bits(right_count)
    bound = terms << (left.bits + right.bits)
    if bound >> ESTIMATE_BITS:
        raise ValueError(f"expected sums below 2^{ESTIMATE_BITS}, got {terms} products of {left.bits} and {right.bits} bits")
    total, estimate = None, None
    for (i, a), (j, b) in pairs(enumerate(left.pieces(left_count)), enumerate(right.pieces(right_count))):
        partial = multiply(a, b)
        shift = left_bits * i + right_bits * j
        total = total or Sum(partial.shape)
        total.add(partial.astype(np.int64), shift)
        if bound >> WIDE_BITS:
            estimate = np.ldexp(partial, shift) + (0 if estimate is None else estimate)
    assert total is not None
    return total.wide() if estimate is None else _saturated(total.wide(), estimate)


def _saturated(total: Wide, estimate: F64) -> Wide:
    """`total` is right modulo 2^96, and `estimate` within 2^82 (2^-48 of the largest partial sum): where it is below 2^94, so
    are both, and `total` is the sum.
    """
    limit = np.ldexp(1.0, WIDE_BITS)
    large = np.abs(estimate) >= limit
    hi = np.where(large, np.where(estimate > 0, 1, -1) * np.int64(1 << (WIDE_BITS - WORD_BITS)), total.hi)
    return Wide(hi, np.where(large, 0, total.lo))


def products(left: I64, right: I64) -> Wide:
    """left * right entry by entry, with broadcasting. Raises ArithmeticError unless all products are below 2^94.

    By halves of 32 bits; hi is right modulo 2^64 and so, products being as small as they are, right.
    """
    if magnitude(left) * magnitude(right) >= 1 << WIDE_BITS:
        raise ArithmeticError("products: expected factors whose products are below 2^94")
    left_hi, left_lo = left >> _WORD, left & _LOW
    right_hi, right_lo = right >> _WORD, right & _LOW
    low = left_lo.view(np.uint64) * right_lo.view(np.uint64)
    hi = (low >> np.uint64(WORD_BITS)).view(np.int64)
    lo = (low & np.uint64(_LOW)).view(np.int64)
    hi += left_hi * right_lo
    hi += left_lo * right_hi
    hi += (left_hi * right_hi) << _WORD
    return Wide(hi, lo)


def sum_of_squares(values: I64) -> int:
    """sum v^2 over all entries, for |v| <= 2^47."""
    if magnitude(values) > 1 << 47:
        raise ArithmeticError("sum_of_squares: expected values of at most 2^47")
    flat = values.ravel()
    total = 0
    for start in range(0, flat.size, SQUARES_CHUNK):
        chunk = flat[start : start + SQUARES_CHUNK]
        high, low = chunk >> np.int64(24), chunk & np.int64((1 << 24) - 1)
        total += (int(high @ high) << 48) + (int(high @ low) << 25) + int(low @ low)
    return total


@dataclass(frozen=True)
class Window:
    """The geometry of one convolution: kernel, stride and zero padding along (rows, columns), and the output's (rows, columns).

    The output may stop short of what would fit: rows and columns that nothing uses are not computed.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    output: tuple[int, int]

    @property
    def padded(self) -> tuple[int, int]:
        """The rows and columns of an input that is padded and, at the far end, cut or extended to what the output uses."""
        rows, columns = (s * (n - 1) + k for k, s, n in zip(self.kernel, self.stride, self.output, strict=True))
        return rows, columns

    def columns(self, images: F64) -> F64:
        """(B, C, H, W) -> (C kernel, B output): column (b, y, x) holds the entries under the window at (y, x)."""
        batch, channels = images.shape[:2]
        framed = np.zeros((batch, channels, *self.padded))
        inside, source = self._overlap(images.shape[2:])
        framed[:, :, *inside] = images[:, :, *source]
        windows = sliding_window_view(framed, self.kernel, axis=(2, 3))[:, :, :: self.stride[0], :: self.stride[1]]
        return windows.transpose(1, 4, 5, 0, 2, 3).reshape(channels * self.kernel[0] * self.kernel[1], -1)

    def scatter(self, columns: F64, batch: int, size: tuple[int, int]) -> F64:
        """The transpose of `columns`: (C kernel, B output) -> (C, B, *size), adding up what falls onto one entry."""
        taps = columns.reshape(-1, *self.kernel, batch, *self.output)
        framed = np.zeros((len(taps), batch, *self.padded))
        for y in range(self.kernel[0]):
            for x in range(self.kernel[1]):
                framed[:, :, self._taps(y, 0), self._taps(x, 1)] += taps[:, y, x]
        inside, source = self._overlap(size)
        images = np.zeros((len(taps), batch, *size))
        images[:, :, *source] = framed[:, :, *inside]
        return images

    def _taps(self, offset: int, axis: int) -> slice:
        """Where tap `offset` of the windows lies along an axis of the padded input."""
        return slice(offset, offset + self.stride[axis] * (self.output[axis] - 1) + 1, self.stride[axis])

    def _overlap(self, size: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Slices of the padded and of the plain input that are the same entries."""
        ends = [min(n, total - pad) for n, total, pad in zip(size, self.padded, self.padding, strict=True)]
        inside = tuple(slice(pad, pad + end) for pad, end in zip(self.padding, ends, strict=True))
        return inside, tuple(slice(0, end) for end in ends)


def image_operand(images: I64, window: Window) -> Operand:
    """(B, C, H, W) as the matrix of its windows."""
    return Operand(images, window.columns)


def channel_operand(values: I64) -> Operand:
    """(B, C, H, W) as the matrix (C, B H W)."""
    return Operand(values, lambda piece: piece.transpose(1, 0, 2, 3).reshape(piece.shape[1], -1))


def kernel_operand(weights: I64) -> Operand:
    """(C_out, C_in, kernel) as the matrix (C_out, C_in kernel)."""
    return Operand(weights, lambda piece: piece.reshape(len(piece), -1))


def convolution(weights: Operand, images: Operand, terms: int, batch: int, output: tuple[int, int]) -> Wide:
    """sum over input channels and taps, (B, C_out, *output); `terms` = C_in kernel."""
    total = combine(weights, images, terms, np.matmul)
    return _batch_first(total, batch, output)


def input_gradient(weights: Operand, deltas: Operand, terms: int, batch: int, window: Window, size: tuple[int, int]) -> Wide:
    """The transposed convolution, (B, C_in, *size); `terms` = C_out kernel."""
    total = combine(
        weights, deltas, terms, lambda w, dz: window.scatter(w.T @ dz, batch, size).reshape(-1, batch * size[0] * size[1])
    )
    return _batch_first(total, batch, size)


def weight_gradient(deltas: Operand, images: Operand, terms: int, shape: tuple[int, ...]) -> Wide:
    """sum over records and output positions, of the weights' shape; `terms` = B output."""
    return combine(deltas, images, terms, lambda dz, columns: dz @ columns.T).reshape(*shape)


def _batch_first(total: Wide, batch: int, size: tuple[int, int]) -> Wide:
    """(C, B size) -> (B, C, *size)."""

    def move(part: I64) -> I64:
        return np.ascontiguousarray(part.reshape(-1, batch, *size).transpose(1, 0, 2, 3))

    return Wide(move(total.hi), move(total.lo))
