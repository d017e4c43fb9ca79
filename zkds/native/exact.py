"""Binding of the exact family: products of integer matrices, with sums wider than 64 bits, or digit by digit.

A matrix is an int64 array seen through two tables of offsets: entry (r, c) is the array's entry number rows[r] + columns[c], in
C order. So the windows of a convolution are a matrix without being copied. A batch of matrices is an array whose first axis
counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.native import array, check, ffi, lib, pointer

I64 = NDArray[np.int64]

WIDE_BITS = int(lib.ZKDS_EXACT_WIDE_BITS)
DIGIT_BITS = int(lib.ZKDS_EXACT_DIGIT_BITS)
MAX_DIGITS = int(lib.ZKDS_EXACT_MAX_DIGITS)
MAX_SUM_BITS = 113  # of a wide sum


@dataclass(frozen=True)
class Width:
    """Of an array's entries: at least -2^bits, or 0 if they are unsigned, and below 2^bits."""

    bits: int
    signed: bool = True

    @classmethod
    def of(cls, low: int, high: int) -> Width:
        """The least that holds all integers from low to high."""
        return cls(max(high, -low, 0).bit_length(), low < 0)


@dataclass(frozen=True)
class View:
    """Where a matrix has its entries within one array of a batch: rows (n,) and columns (m,), int64 offsets, none negative."""

    rows: I64
    columns: I64

    def __post_init__(self) -> None:
        for name, offsets in (("rows", self.rows), ("columns", self.columns)):
            array(name, offsets, np.int64, (None,))
            if len(offsets) and int(offsets.min()) < 0:
                raise ValueError(f"{name}: expected offsets of at least 0, got {int(offsets.min())}")

    @classmethod
    def of_matrix(cls, rows: int, columns: int) -> View:
        """A plain (rows, columns) array."""
        return cls(columns * np.arange(rows, dtype=np.int64), np.arange(columns, dtype=np.int64))

    @property
    def transposed(self) -> View:
        return View(self.columns, self.rows)

    @property
    def size(self) -> int:
        """The entries that an array must have at least."""
        return int(self.rows.max()) + int(self.columns.max()) + 1 if len(self.rows) and len(self.columns) else 0


def wide(left: I64, left_view: View, right: I64, right_view: View, bits: tuple[int, int], hi: I64, lo: I64, out: View) -> None:
    """hi 2^32 + lo = left @ right, 0 <= lo < 2^32, for every batch; sums beyond +-2^94 become +-2^94.

    left, right, hi, lo: int64 arrays (batches, ...). bits: -2^bits <= entries < 2^bits, up to WIDE_BITS for each factor, and up
    to MAX_SUM_BITS for a sum. Raises ValueError for other entries.
    """
    if not all(0 <= width <= WIDE_BITS for width in bits):
        raise ValueError(f"bits: expected 0 to {WIDE_BITS}, got {bits}")
    terms = len(left_view.columns)
    if sum(bits) + max(terms - 1, 0).bit_length() > MAX_SUM_BITS:
        raise ValueError(f"bits: sums of {terms} products of {bits[0]} and {bits[1]} bits need more than {MAX_SUM_BITS}")
    _require_views(left_view, right_view, out)
    batches = len(left)
    widths = [Width(width) for width in bits]
    factors = [
        _factors([left], left_view, widths[:1], batches, "left"),
        _factors([right], right_view, widths[1:], batches, "right"),
    ]
    for name, values in (("hi", hi), ("lo", lo)):
        _require_array(name, values, out, batches)
    view, keep = _view(out, hi)
    code = lib.zkds_exact_wide(factors[0][0], factors[1][0], batches, view, pointer(hi, "int64_t *"), pointer(lo, "int64_t *"))
    check(code, "exact.wide")
    del keep


def digits(
    left: Sequence[I64],
    left_view: View,
    right: Sequence[I64],
    right_view: View,
    widths: tuple[Sequence[Width], Sequence[Width]],
    sums: Sequence[I64],
    out: View,
) -> None:
    """sums[d] = sum over i + j = d of left[i] @ right[j], for every batch and every d < len(sums).

    All arrays int64, (batches, ...); left and right: up to MAX_DIGITS each, sums: twice as many. widths: of the entries of each
    array of left and right, up to DIGIT_BITS. Raises ValueError for other entries and if sums might reach 2^62.
    """
    for name, arrays, most in (("left", left, MAX_DIGITS), ("right", right, MAX_DIGITS), ("sums", sums, 2 * MAX_DIGITS)):
        if not 1 <= len(arrays) <= most:
            raise ValueError(f"{name}: expected 1 to {most} arrays, got {len(arrays)}")
    if (len(widths[0]), len(widths[1])) != (len(left), len(right)):
        raise ValueError(f"widths: expected {len(left)} and {len(right)}, got {len(widths[0])} and {len(widths[1])}")
    bits = max(width.bits for width in widths[0]), max(width.bits for width in widths[1])
    if not all(0 <= width.bits <= DIGIT_BITS for side in widths for width in side):
        raise ValueError(f"widths: expected 0 to {DIGIT_BITS} bits, got {bits}")
    terms = len(left_view.columns) * min(len(left), len(right))
    if sum(bits) + max(terms - 1, 0).bit_length() > 62:
        raise ValueError(f"widths: sums of {terms} products of {bits[0]} and {bits[1]} bits need more than 62")
    _require_views(left_view, right_view, out)
    batches = len(left[0])
    factors = [_factors(left, left_view, widths[0], batches, "left"), _factors(right, right_view, widths[1], batches, "right")]
    for values in sums:
        _require_array("sums", values, out, batches)
    view, keep = _view(out, sums[0])
    targets = ffi.new("int64_t *[]", [pointer(values, "int64_t *") for values in sums])
    code = lib.zkds_exact_digits(factors[0][0], len(left), factors[1][0], len(right), batches, view, targets, len(sums))
    check(code, "exact.digits")
    del keep


def _require_views(left: View, right: View, out: View) -> None:
    shapes = [(len(view.rows), len(view.columns)) for view in (left, right, out)]
    if shapes[0][1] != shapes[1][0] or shapes[2] != (shapes[0][0], shapes[1][1]):
        raise ValueError(f"views: {shapes[0]} times {shapes[1]} is no {shapes[2]}")


def _require_array(name: str, values: I64, view: View, batches: int) -> None:
    array(name, values, np.int64)
    if len(values) != batches:
        raise ValueError(f"{name}: expected {batches} batches, got {len(values)}")
    if batches and values.size // batches < view.size:
        raise ValueError(f"{name}: expected {view.size} entries in a batch, got {values.size // batches}")


def _view(view: View, values: I64) -> tuple[Any, Any]:
    """The C structure and what has to outlive it."""
    rows, columns = pointer(view.rows, "int64_t *"), pointer(view.columns, "int64_t *")
    batch = values.size // len(values) if len(values) else 0
    fields = {"rows": len(view.rows), "columns": len(view.columns), "row": rows, "column": columns, "batch": batch}
    return ffi.new("struct zkds_view *", fields), (rows, columns)


def _factors(arrays: Sequence[I64], view: View, widths: Sequence[Width], batches: int, name: str) -> tuple[Any, list[Any]]:
    """An array of C structures and what has to outlive it. All arrays have one shape."""
    keep: list[Any] = []
    fields = []
    for values, width in zip(arrays, widths, strict=True):
        _require_array(name, values, view, batches)
        if values.shape != arrays[0].shape:
            raise ValueError(f"{name}: expected arrays of one shape, got {arrays[0].shape} and {values.shape}")
        structure, offsets = _view(view, values)
        keep += [structure, offsets]
        place = {"values": pointer(values, "int64_t *"), "view": structure[0]}
        fields.append({**place, "bits": width.bits, "is_unsigned": not width.signed})
    return ffi.new("struct zkds_factor[]", fields), keep


@dataclass(frozen=True)
class MatrixProduct:
    """Where a product has its factors and its result."""

    left: View
    right: View
    out: View


@dataclass(frozen=True)
class ArrayProducts:
    """Sums of products of two arrays' entries as products of matrices.

    products      where a batch of the factors and the result, laid out, have the matrices; entries that none reaches are zero
    left, right   a factor -> (batches, ..) int64, laid out
    shape         of a batch of the result, laid out
    result        (batches, *shape) -> the result
    """

    products: Sequence[MatrixProduct]
    left: Callable[[NDArray[Any]], I64]
    right: Callable[[NDArray[Any]], I64]
    shape: tuple[int, ...]
    result: Callable[[I64], I64]
