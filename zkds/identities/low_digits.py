"""Exact sums of the low digits of products, for the carries of a layer's identities: products of integer matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zkds.identities.products import Products
from zkds.integers.limbs import I64
from zkds.native import exact
from zkds.native.exact import ArrayProducts, Width
from zkds.tensors.tensor import Reader, Tensor

SUM_BITS = 62


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
        widths = _widths(left, count), _widths(right, count)
        terms = products.terms * min(count, len(left.digits), len(right.digits))
        bits = sum(max(width.bits for width in side) for side in widths)
        if bits + max(terms - 1, 0).bit_length() > SUM_BITS:
            names = f"{left.name}, {right.name}"
            raise ValueError(f"{names}: sums of {products.terms} products of digits exceed 2^{SUM_BITS}")
        return cls(reader.tables(left)[:count], reader.tables(right)[:count], widths)

    def sums(self, where: ArrayProducts, count: int) -> list[I64]:
        """For d < count, sum_(i + j = d) left_i right_j, entry by entry of the factors' first axis."""
        left = [where.left(digit) for digit in self.left]
        right = [where.right(digit) for digit in self.right]
        totals = [np.zeros((len(left[0]), *where.shape), dtype=np.int64) for _ in range(count)]
        for view in where.products:
            exact.digits(left, view.left, right, view.right, self.widths, totals, view.out)
        return [where.result(total) for total in totals]


def _widths(tensor: Tensor, count: int) -> list[Width]:
    return [Width.of(digit.low, digit.high) for digit in tensor.digits[:count]]
