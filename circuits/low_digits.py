"""Exact sums of the low digits of products, for the carries of a layer's identities: float64 matrix products, pass by pass."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np

from zkds.circuits.contraction import F64
from zkds.circuits.sums import Products
from zkds.circuits.tensors import Reader
from zkds.circuits.windows import Geometry
from zkds.integers.limbs import I64
from zkds.integers.products import FLOAT_BITS
from zkds.native import threads

Arrange = Callable[[F64], F64]  # one pass of an operand as a matrix


@dataclass(frozen=True)
class LowDigits:
    """The lowest digits of both operands: left_0, ..., right_0, ..., int64."""

    left: list[I64]
    right: list[I64]

    @classmethod
    def of(cls, products: Products, reader: Reader, count: int) -> LowDigits:
        """`count` digits of each operand, or all. Raises ValueError if sums of their products need not be exact."""
        left, right = products.left, products.right
        for d in range(count):
            pairs = [(i, d - i) for i in range(len(left.digits)) if 0 <= d - i < len(right.digits)]
            bound = sum(left.digits[i].magnitude() * right.digits[j].magnitude() for i, j in pairs)
            if bound * products.terms >= 1 << FLOAT_BITS:
                names = f"{left.name}, {right.name}"
                raise ValueError(f"{names}: sums of {products.terms} products of digits exceed 2^{FLOAT_BITS}")
        return cls(reader.tables(left)[:count], reader.tables(right)[:count])

    def sums(self, index: int, count: int, arrange_left: Arrange, arrange_right: Arrange) -> list[F64]:
        """Of pass number `index`, for d < count, sum_(i + j = d) left_i @ right_j of the digits as matrices."""
        left = [arrange_left(digit[index].astype(np.float64)) for digit in self.left]
        right = [arrange_right(digit[index].astype(np.float64)) for digit in self.right]
        totals: list[F64] = [np.zeros((left[0].shape[0], right[0].shape[1])) for _ in range(count)]
        for (i, a), (j, b) in product(enumerate(left), enumerate(right)):
            if i + j < count:
                totals[i + j] += a @ b
        return totals


def over_passes(work: Callable[[int], None], count: int) -> None:
    """work(0), ..., work(count - 1) on as many threads as the C core uses: numpy lets go of the interpreter in its loops."""
    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(work, range(count)))


def patches(geometry: Geometry, values: F64) -> F64:
    """(B, C, H, W) -> (C taps taps, B Y X): what every tap meets at every output position."""
    by_column = geometry.columns.taps(values)  # B, C, H, e, X
    by_row = geometry.rows.taps(np.moveaxis(by_column, 2, -1))  # B, C, e, X, d, Y
    ordered = by_row.transpose(1, 4, 2, 0, 5, 3)  # C, d, e, B, Y, X
    kernel = geometry.rows.kernel * geometry.columns.kernel
    return np.ascontiguousarray(ordered).reshape(values.shape[1] * kernel, -1)


def channels_first(values: F64) -> F64:
    """(B, C, Y, X) -> (C, B Y X)"""
    return np.ascontiguousarray(values.swapaxes(0, 1)).reshape(values.shape[1], -1)


def scatter(geometry: Geometry, values: F64) -> F64:
    """(C taps taps, B Y X) -> (B, C, H, W): every tap's share added to the input that it meets."""
    rows, columns = geometry.rows, geometry.columns
    shape = (geometry.channels_in, rows.kernel, columns.kernel, geometry.batch, rows.outputs, columns.outputs)
    by_column = columns.scatter(values.reshape(shape).transpose(0, 1, 3, 4, 2, 5))  # C, d, B, Y, W
    by_row = rows.scatter(by_column.transpose(0, 2, 4, 1, 3))  # C, B, W, H
    return by_row.transpose(1, 0, 3, 2)
