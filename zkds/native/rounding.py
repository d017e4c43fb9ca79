"""Binding of the rounding family: exact sums of integers rounded once, entry by entry, in 128-bit arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.native import array, check, ffi, lib, pointer
from zkds.native.columns import MAX_DIMENSIONS

I64 = NDArray[np.int64]

PARTS = ("hi", "lo", "left", "right", "addend")


def round_total(parts: Sequence[I64 | None], addend_shift: int, shift: int) -> tuple[I64, I64]:
    """(floor((total + half) / 2^shift), (total + half) mod 2^shift) with half = 2^(shift - 1), 1 <= shift <= 62, of

        total = hi 2^32 + lo + left right + addend 2^addend_shift

    parts: hi, lo, left, right, addend, int64 arrays of any strides, broadcast to one shape; None: 0. The total is below 2^126
    in absolute value (the caller's promise). A quotient that is no int64 becomes the nearest one. 0 <= addend_shift < 64.
    """
    shape = np.broadcast_shapes(*(part.shape for part in parts if part is not None))
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"shape: expected at most {MAX_DIMENSIONS} dimensions, got {len(shape)}")
    value, remainder = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
    if not value.size:
        return value, remainder
    keep: list[Any] = []
    fields = {name: _strided(name, part, shape, keep) for name, part in zip(PARTS, parts, strict=True) if part is not None}
    sides = np.array(shape, dtype=np.uint64)
    code = lib.zkds_round(
        ffi.new("struct zkds_total *", fields | {"addend_shift": addend_shift}),
        pointer(sides, "uint64_t *"),
        len(shape),
        shift,
        pointer(value, "int64_t *"),
        pointer(remainder, "int64_t *"),
    )
    check(code, "rounding.round_total")
    del keep
    return value, remainder


def _strided(name: str, values: I64, shape: tuple[int, ...], keep: list[Any]) -> dict[str, Any]:
    if values.dtype != np.int64:
        raise ValueError(f"{name}: expected int64, got {values.dtype}")
    values = np.broadcast_to(values, shape)
    strides = np.array(values.strides, dtype=np.int64) // np.int64(values.itemsize)
    keep += [values, strides]
    return {"values": ffi.cast("int64_t *", values.ctypes.data), "strides": pointer(strides, "int64_t *")}


def sum_of_squares(values: I64) -> int:
    """sum v^2 over all entries, |v| <= 2^47 (the caller's promise), fewer than 2^32 of them."""
    values = np.ascontiguousarray(values)
    array("values", values, np.int64)
    out = ffi.new("uint64_t[2]")
    check(lib.zkds_sum_of_squares(_first(values), values.size, out), "rounding.sum_of_squares")
    return int(out[0]) + (int(out[1]) << 64)


def value_range(values: I64) -> tuple[int, int]:
    """The least and the largest of at least one value, of any strides."""
    values = np.ascontiguousarray(values)
    array("values", values, np.int64)
    least, largest = ffi.new("int64_t *"), ffi.new("int64_t *")
    check(lib.zkds_range(_first(values), values.size, least, largest), "rounding.value_range")
    return int(least[0]), int(largest[0])


def _first(values: I64) -> Any:
    return ffi.cast("int64_t *", values.ctypes.data)
