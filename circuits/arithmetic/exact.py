"""Exact sums of products of int64 operands, wider than 64 bits, by exact matrix products (zkds/native/exact.py).

An operand is an array and its width: how many bits its largest entry takes. Products of matrices are exact for widths of up to
51 bits and sums of up to 113; wider operands have no place in the formats of the semantics.

`Wide` holds such sums: hi 2^32 + lo, 0 <= lo < 2^32, and what is added to that before it is rounded (zkds/native/rounding.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkds.integers.limbs import I64
from zkds.native import exact, rounding
from zkds.native.exact import MatrixProduct, View
from zkds.native.rounding import round_total, value_range

WORD_BITS = 32
WIDE_BITS = 94  # a Wide holds |value| <= 2^94, so that a bias and half a unit can be added
MAX_SHIFT = 62

GRAM_CHUNK = 1 << 16

Integers = NDArray[np.object_]  # of Python ints, for what exceeds 63 bits

_WORD = np.int64(WORD_BITS)
_LOW = np.int64((1 << WORD_BITS) - 1)
_HALF = np.int64(26)
_LOW_HALF = np.int64((1 << 26) - 1)


class SumTooWide(ArithmeticError):
    """Products whose sum might need more bits than exact products hold."""


@dataclass(frozen=True, repr=False)
class Wide:
    """Integers of at most 2^94 in absolute value, at every entry hi 2^32 + lo + left right + addend 2^shift.

    Arrays are int64 and broadcast to one shape; each of the three parts may be missing (None). Nothing is computed before a
    rounding, which does all of it in one pass.
    """

    hi: I64 | None = None
    lo: I64 | None = None  # 0 <= lo < 2^32
    factors: tuple[I64, I64] | None = None
    addend: I64 | None = None
    shift: int = 0

    @classmethod
    def of(cls, values: I64, shift: int = 0) -> Wide:
        """values 2^shift, for |values| 2^shift < 2^94 (the caller's promise) and 0 <= shift < 64."""
        return cls(addend=values, shift=shift)

    def __add__(self, other: Wide) -> Wide:
        """Exact if the sum is below 2^94 in absolute value. Raises ValueError for two products or two addends."""
        if any(a is not None and b is not None for a, b in ((self.factors, other.factors), (self.addend, other.addend))):
            raise ValueError("sum: expected one product and one addend at most")
        hi, lo = self.hi, self.lo
        if hi is None or lo is None:
            hi, lo = other.hi, other.lo
        elif other.hi is not None and other.lo is not None:
            hi, lo = _carried(hi + other.hi, lo + other.lo)
        added = self if self.addend is not None else other
        return Wide(hi, lo, self.factors or other.factors, added.addend, added.shift)

    def shifted(self, shift: int) -> Wide:
        """2^shift times as much, exact if that is below 2^94 in absolute value; 0 <= shift < 64."""
        hi, lo = self.words
        if shift >= WORD_BITS:
            return Wide((hi << np.int64(shift)) + (lo << np.int64(shift - WORD_BITS)), np.zeros_like(lo))
        return Wide((hi << np.int64(shift)) + (lo >> np.int64(WORD_BITS - shift)), (lo << np.int64(shift)) & _LOW)

    @property
    def words(self) -> tuple[I64, I64]:
        """The values as hi 2^32 + lo. By Python ints, if there are other parts: what is large is rounded as it is."""
        if self.hi is not None and self.lo is not None and self.factors is None and self.addend is None:
            return self.hi, self.lo
        values = self.integers()
        return (values >> WORD_BITS).astype(np.int64), (values & ((1 << WORD_BITS) - 1)).astype(np.int64)

    def integers(self) -> Integers:
        """As Python ints."""
        parts = (self.hi, self.lo, *(self.factors or (None, None)), self.addend)
        hi, lo, left, right, addend = (0 if part is None else part.astype(object) for part in parts)
        found: Integers = np.asarray(hi * (1 << WORD_BITS) + lo + left * right + addend * (1 << self.shift), dtype=object)
        return found

    def reshape(self, *shape: int) -> Wide:
        """In another shape."""
        hi, lo = self.words
        return Wide(hi.reshape(shape), lo.reshape(shape))

    def round(self, shift: int) -> tuple[I64, I64]:
        """(floor((value + half) / 2^shift), (value + half) mod 2^shift) with half = 2^(shift - 1), 1 <= shift <= 62.

        A quotient that is no int64 becomes the nearest int64: no declared width holds it.
        """
        if not 1 <= shift <= MAX_SHIFT:
            raise ValueError(f"shift: expected 1 to {MAX_SHIFT}, got {shift}")
        left, right = self.factors or (None, None)
        return round_total((self.hi, self.lo, left, right, self.addend), self.shift, shift)


def _carried(hi: I64, lo: I64) -> tuple[I64, I64]:
    """hi 2^32 + lo for any int64 lo."""
    return hi + (lo >> _WORD), lo & _LOW


@dataclass(frozen=True, repr=False)
class Operand:
    """An int64 array as a factor of exact products: contiguous, and every |entry| below 2^bits."""

    values: I64
    bits: int

    @classmethod
    def of(cls, values: I64) -> Operand:
        return cls(np.ascontiguousarray(values), magnitude(values).bit_length())


def magnitude(values: I64) -> int:
    """The largest absolute value, 0 for none."""
    least, largest = value_range(values) if values.size else (0, 0)
    return max(largest, -least)


def multiply(left: Operand, right: Operand, where: Sequence[MatrixProduct], shape: tuple[int, ...]) -> Wide:
    """The products of matrices in two operands, in an array of this shape; zero where no product reaches.

    The first axis of each array counts batches of matrices. Results of 2^94 or more become +-2^94, which no format holds after
    the roundings of the semantics.
    Raises SumTooWide, an ArithmeticError, for operands of more than 51 bits or sums that might need more than 113.
    """
    hi, lo = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for place in where:
        terms = len(place.left.columns)
        bits = left.bits, right.bits
        _require_bits(bits, terms)
        exact.wide(left.values, place.left, right.values, place.right, bits, hi, lo, place.out)
    return Wide(hi, lo)


def products(left: I64, right: I64) -> Wide:
    """left * right entry by entry, with broadcasting. Raises ArithmeticError unless all products are below 2^94."""
    if magnitude(left) * magnitude(right) >= 1 << WIDE_BITS:
        raise ArithmeticError("products: expected factors whose products are below 2^94")
    return Wide(factors=(left, right))


def matrix_product(left: I64, right: I64) -> Wide:
    """left @ right, (R, K) and (K, C) -> (R, C). Results of 2^94 or more become +-2^94.

    Raises SumTooWide as `multiply` does.
    """
    (rows, inner), columns = left.shape, right.shape[1]
    place = MatrixProduct(View.of_matrix(rows, inner), View.of_matrix(inner, columns), View.of_matrix(rows, columns))
    found = multiply(Operand.of(left[None]), Operand.of(right[None]), [place], (1, rows, columns))
    return found.reshape(rows, columns)


def gram(left: I64, right: I64) -> Integers:
    """left @ right^T, (R, K) and (S, K) -> (R, S) of Python ints: exact, for entries of at most 51 bits.

    In halves of at most 26 bits of the left factor and runs of 2^16 terms, so that no sum reaches 2^93.
    """
    total: Integers = np.zeros((len(left), len(right)), dtype=object)
    for start in range(0, left.shape[1], GRAM_CHUNK):
        columns = slice(start, start + GRAM_CHUNK)
        factor = np.ascontiguousarray(right[:, columns].T)
        for half, shift in ((left[:, columns] >> _HALF, int(_HALF)), (left[:, columns] & _LOW_HALF, 0)):
            total += matrix_product(half, factor).integers() << shift
    return total


def round_integers(values: Integers, shift: int) -> tuple[Integers, Integers]:
    """What `Wide.round` returns, of Python ints, which stay Python ints; shift >= 1."""
    moved = values + (1 << (shift - 1))
    return moved >> shift, moved & ((1 << shift) - 1)


def inner_products(left: I64, right: I64) -> Wide:
    """sum_k left[n, k] right[n, k] for every row n: (N, K) arrays -> (N,).

    Results of 2^94 or more become +-2^94. Raises SumTooWide as `multiply` does.
    """
    operands = Operand.of(left), Operand.of(right)
    rows, terms = left.shape
    bits = operands[0].bits, operands[1].bits
    _require_bits(bits, terms)
    hi, lo = np.zeros((rows, 1), dtype=np.int64), np.zeros((rows, 1), dtype=np.int64)
    row, column, one = View.of_matrix(1, terms), View.of_matrix(terms, 1), View.of_matrix(1, 1)
    exact.wide(operands[0].values, row, operands[1].values, column, bits, hi, lo, one)
    return Wide(hi[:, 0], lo[:, 0])


def _require_bits(bits: tuple[int, int], terms: int) -> None:
    if max(bits) > exact.WIDE_BITS or sum(bits) + (terms - 1).bit_length() > exact.MAX_SUM_BITS:
        raise SumTooWide(f"expected operands of {exact.WIDE_BITS} bits, got {terms} products of {bits[0]} and {bits[1]}")


def sum_of_squares(values: I64) -> int:
    """sum v^2 over all entries, for |v| <= 2^47."""
    if magnitude(values) > 1 << 47:
        raise ArithmeticError("sum_of_squares: expected values of at most 2^47")
    return rounding.sum_of_squares(values)


@dataclass(frozen=True, repr=False)
class Rounded:
    """A rounded tensor and the remainder of its rounding."""

    value: I64
    remainder: I64
