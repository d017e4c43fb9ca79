"""Exact sums of the low digits of products, for the carries of a layer's identities: products of integer matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from zkds.identities.products import Products
from zkds.integers.limbs import I64
from zkds.native import exact
from zkds.native.exact import ArrayProducts, Width
from zkds.tensors.tensor import Reader, Tensor

SUM_BITS = 62
ALL = slice(None)
AT_ONCE = 1 << 21  # entries of an operand: memory for fewer is used again and again, and fits a cache


@dataclass(frozen=True, repr=False)
class LowDigits:
    """The lowest digits of both operands: left_0, ..., right_0, ..., int64, and their widths."""

    left: list[I64]
    right: list[I64]
    widths: tuple[list[Width], list[Width]]

    @classmethod
    def of(cls, products: Products, reader: Reader, count: int) -> LowDigits:
        """`count` digits of each operand, or all. Raises ValueError if sums of their products need not fit."""
        left, right = products.left, products.right
        return cls(reader.tables(left)[:count], reader.tables(right)[:count], _checked_widths(products, count))

    def sums(self, where: ArrayProducts, count: int) -> list[I64]:
        """For d < count, sum_(i + j = d) left_i right_j, entry by entry of the factors' first axis."""
        left = [where.left(digit) for digit in self.left]
        right = [where.right(digit) for digit in self.right]
        totals = [np.zeros((len(left[0]), *where.shape), dtype=np.int64) for _ in range(count)]
        for view in where.products:
            exact.digits(left, view.left, right, view.right, self.widths, totals, view.out)
        return [where.result(total) for total in totals]


def sums_by_entry(
    products: Products, reader: Reader, where: ArrayProducts, count: int, left: slice = ALL, right: slice = ALL
) -> list[I64]:
    """For d < count, sum_(i + j = d) left_i right_j, entry by entry of these parts of the factors' first axes.

    Large operands are read and multiplied one entry after the other.
    """
    factors = products.left, products.right
    parts = [range(*part.indices(tensor.shape[0])) for part, tensor in zip((left, right), factors, strict=True)]
    if max(math.prod(tensor.shape) for tensor in factors) <= AT_ONCE:
        digits = LowDigits.of(products, reader, count)
        return replace(digits, left=[d[left] for d in digits.left], right=[d[right] for d in digits.right]).sums(where, count)
    widths = _checked_widths(products, count)
    found: list[list[I64]] = []
    for places in zip(*parts, strict=True):
        entries = (reader.tables_at(tensor, place)[:count] for tensor, place in zip(factors, places, strict=True))
        own_left, own_right = ([digit[None] for digit in digits] for digits in entries)
        found.append(LowDigits(own_left, own_right, widths).sums(where, count))
    return [np.concatenate(digit) for digit in zip(*found, strict=True)]


def _checked_widths(products: Products, count: int) -> tuple[list[Width], list[Width]]:
    """Of the low digits; raises ValueError if sums of their products need not fit."""
    left, right = products.left, products.right
    widths = _widths(left, count), _widths(right, count)
    terms = products.terms * min(count, len(left.digits), len(right.digits))
    bits = sum(max(width.bits for width in side) for side in widths)
    if bits + max(terms - 1, 0).bit_length() > SUM_BITS:
        names = f"{left.name}, {right.name}"
        raise ValueError(f"{names}: sums of {products.terms} products of digits exceed 2^{SUM_BITS}")
    return widths


def _widths(tensor: Tensor, count: int) -> list[Width]:
    return [Width.of(digit.low, digit.high) for digit in tensor.digits[:count]]
