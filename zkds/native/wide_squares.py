"""Binding of the exact sum of squares of products of two matrices, one that moves and one of low rank."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.native import array, check, ffi, lib, pointer

I64 = NDArray[np.int64]

FACTOR_BITS = int(lib.ZKDS_SQUARES_FACTOR_BITS)
WORD_BITS = 64

Factors = tuple[I64, I64]  # left (rank, rows), right (rank, columns)


def sum_of_squared_products(start: I64, shift: int, moved: Factors, gradient: Factors) -> int:
    """sum over all entries of ((2^shift start - L^T R) (L'^T R'))^2, (L, R) = moved and (L', R') = gradient, exactly.

    start (rows, columns); all arrays int64, C order, of entries below 2^51 in absolute value. Raises ValueError for others.
    """
    rows, columns = array("start", start, np.int64, (None, None)).shape
    keep: list[Any] = []
    outers = [_outer(name, factors, rows, columns, keep) for name, factors in (("moved", moved), ("gradient", gradient))]
    words = np.zeros(int(lib.ZKDS_SQUARES_WORDS), dtype=np.uint64)
    code = lib.zkds_sum_of_squared_products(
        pointer(start, "int64_t *"), rows, columns, shift, *outers, pointer(words, "uint64_t *")
    )
    check(code, "sum of squared products")
    return sum(word << WORD_BITS * i for i, word in enumerate(words.tolist()))


def _outer(name: str, factors: Factors, rows: int, columns: int, keep: list[Any]) -> Any:
    """The C structure; keep: what has to outlive it."""
    left, right = factors
    rank = len(left)
    array(f"{name}: left", left, np.int64, (rank, rows))
    array(f"{name}: right", right, np.int64, (rank, columns))
    fields = {"left": pointer(left, "int64_t *"), "right": pointer(right, "int64_t *"), "rank": rank}
    structure = ffi.new("struct zkds_outer *", fields)
    keep.append(structure)
    return structure
