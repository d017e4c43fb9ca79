"""Binding of the squares family: sums of squares of products of two polynomials, entry by entry, chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.native import array, check, ffi, lib, pointer

I16 = NDArray[np.int16]
I64 = NDArray[np.int64]

MAX_TERMS = int(lib.ZKDS_SQUARES_MAX_TERMS)


@dataclass(frozen=True, repr=False)
class LowRank:
    """sum_r outer_r(row) inner_r(column), of polynomials.

    outer   (rows, all, digits) int16, of which the first `rank` count
    inner   (rank, digits, columns) int16
    """

    outer: I16
    inner: I16

    def __post_init__(self) -> None:
        array("outer", self.outer, np.int16, (None, None, None))
        array("inner", self.inner, np.int16, (None, None, None))
        if self.outer.shape[1] < len(self.inner):
            raise ValueError(f"outer: expected at least {len(self.inner)} polynomials a row, got {self.outer.shape[1]}")

    @property
    def terms(self) -> int:
        return self.outer.shape[2] + self.inner.shape[1] - 1 if len(self.inner) else 0


def product_squares(
    weights: I16, stride: int, scale: I16, update: LowRank, gradient: LowRank, chunk_log: int, terms: int
) -> I64:
    """Coefficients of sum (w g)^2 over every chunk of 2^chunk_log entries: (chunks, terms).

    w = scale(X) sum_j weights[:, j, :] X^(stride j) - update, g = gradient; weights (rows, digits, columns) int16, columns a
    power of two. No coefficient of w or g may reach 2^15, of w g 2^31, of a sum 2^63: the caller answers for that.
    Raises ValueError for other shapes.
    """
    rows, count, columns = array("weights", weights, np.int16, (None, None, None)).shape
    array("scale", scale, np.int16, (None,))
    for part in (update, gradient):
        if len(part.outer) != rows or (len(part.inner) and part.inner.shape[2] != columns):
            raise ValueError(f"low rank: expected {rows} rows and {columns} columns")
    out = np.empty((-(-rows * columns >> chunk_log), terms), dtype=np.int64)
    job = ffi.new("struct zkds_product_squares *")
    job.rows, job.columns, job.weights = rows, columns, pointer(weights, "int16_t *")
    job.weight_digits, job.stride = count, stride
    job.scale, job.scale_terms = pointer(scale, "int16_t *"), len(scale)
    job.chunk_log, job.terms = chunk_log, terms
    _fill(job.update, update)
    _fill(job.gradient, gradient)
    check(lib.zkds_product_squares(job, pointer(out, "int64_t *")), "squares.product_squares")
    return out


def _fill(row: Any, part: LowRank) -> None:
    row.rank, row.inner_digits = len(part.inner), part.inner.shape[1]
    row.outer_digits, row.outer_row = part.outer.shape[2], part.outer.shape[1] * part.outer.shape[2]
    row.outer, row.inner = pointer(part.outer, "int16_t *"), pointer(part.inner, "int16_t *")
