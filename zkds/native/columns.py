"""Binding of the columns family: tensors of integers as digits in the committed vector, and how often it holds which cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.native import U32, U64, array, check, ffi, lib, pointer

I64 = NDArray[np.int64]

MAX_DIMENSIONS = int(lib.ZKDS_MAX_DIMENSIONS)


@dataclass(frozen=True)
class Digits:
    """Digit j of a value v is floor((v + offset) / radix^j) mod radix, for j < count, if 0 <= v + offset < reach.

    2 <= radix <= 2^32, 0 <= offset and reach <= 2^63.
    """

    count: int
    radix: int
    offset: int
    reach: int

    def _struct(self) -> Any:
        return ffi.new(
            "struct zkds_digits *", {"count": self.count, "radix": self.radix, "offset": self.offset, "reach": self.reach}
        )


@dataclass(frozen=True, eq=False, repr=False)
class Boxes:
    """Parts of a tensor of this shape that overlap nowhere: entries starts[b] + x, 0 <= x < sides[b]; (boxes, dimensions)."""

    shape: tuple[int, ...]
    starts: U64
    sides: U64

    def __post_init__(self) -> None:
        for name, given in (("starts", self.starts), ("sides", self.sides)):
            array(name, given, np.uint64, (len(self.sides), len(self.shape)))
        if len(self.shape) > MAX_DIMENSIONS:
            raise ValueError(f"shape: expected at most {MAX_DIMENSIONS} dimensions, got {len(self.shape)}")
        if (self.sides == 0).any() or (self.starts + self.sides > np.array(self.shape, dtype=np.uint64)).any():
            raise ValueError(f"boxes: expected parts of {self.shape}")

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Boxes:
        """The tensor itself, none of whose dimensions is 0."""
        return cls(shape, np.zeros((1, len(shape)), dtype=np.uint64), np.array([shape], dtype=np.uint64))

    @cached_property
    def cells(self) -> U64:
        """Of every box."""
        cells: U64 = self.sides.prod(axis=1)
        return cells

    def _struct(self, values: I64, places: U64, vector: U32) -> tuple[Any, Any]:
        """The C structure, and what has to outlive it."""
        if values.dtype != np.int64 or values.shape != self.shape:
            raise ValueError(f"values: expected int64 of shape {self.shape}, got {values.dtype} of {values.shape}")
        array("vector", vector, np.uint32, (None,))
        array("places", places, np.uint64, (None, len(self.sides)))
        if (places + self.cells > len(vector)).any():
            raise ValueError(f"places: expected boxes within {len(vector)} cells")
        strides = np.array(values.strides, dtype=np.int64) // np.int64(values.itemsize)
        keep: list[Any] = [strides]
        structure = self.struct(keep)
        structure.strides = pointer(strides, "int64_t *")
        structure.places = pointer(places, "uint64_t *")
        return structure, keep

    def struct(self, keep: list[Any]) -> Any:
        """The C structure without strides and places; what has to outlive it is added to `keep`."""
        keep += [self.starts, self.sides]
        fields = {
            "dimensions": len(self.shape),
            "count": len(self.sides),
            "starts": pointer(self.starts, "uint64_t *"),
            "sides": pointer(self.sides, "uint64_t *"),
        }
        return ffi.new("struct zkds_boxes *", fields)


def write(values: I64, digits: Digits, boxes: Boxes, places: U64, vector: U32) -> bool:
    """Put digit j of box b's entries at vector[places[j, b]:]; whether all values have such digits, else cells are unspecified.

    values: of the boxes' shape, with any strides; places: (digits, boxes) uint64.
    """
    fits = ffi.new("int *")
    structure, keep = boxes._struct(values, places, vector)
    _require_digits(digits, places)
    code = lib.zkds_write_digits(_entries(values), digits._struct(), structure, pointer(vector, "uint32_t *"), fits)
    check(code, "columns.write")
    del keep
    return bool(fits[0])


def read(vector: U32, digits: Digits, boxes: Boxes, places: U64, values: I64) -> None:
    """Entries of `values` that lie in a box become the values of their digits, modulo 2^64. Arguments as for `write`."""
    structure, keep = boxes._struct(values, places, vector)
    _require_digits(digits, places)
    code = lib.zkds_read_digits(pointer(vector, "uint32_t *"), digits._struct(), structure, _entries(values))
    check(code, "columns.read")
    del keep


def split(values: I64, digits: Digits) -> list[U32] | None:
    """The digits of every value, lowest first: arrays of the values' shape. None if a value has no such digits."""
    cells = np.empty((digits.count, *values.shape), dtype=np.uint32)
    if values.size:
        places = np.arange(digits.count, dtype=np.uint64)[:, None] * np.uint64(values.size)
        if not write(values, digits, Boxes.whole(values.shape), places, cells.reshape(-1)):
            return None
    return list(cells)


def add_histogram(vector: U32, starts: U64, lengths: U64, counts: U32) -> bool:
    """counts[cell] += 1 for every cell of the runs vector[starts[r] :][: lengths[r]].

    starts, lengths: uint64. False, with counts unspecified, if a cell is not below len(counts).
    """
    array("vector", vector, np.uint32, (None,))
    array("counts", counts, np.uint32, (None,))
    array("starts", starts, np.uint64, (None,))
    array("lengths", lengths, np.uint64, (len(starts),))
    if (starts + lengths > len(vector)).any():
        raise ValueError(f"runs: expected cells below {len(vector)}")
    found = ffi.new("int *")
    code = lib.zkds_histogram(
        pointer(vector, "uint32_t *"),
        pointer(starts, "uint64_t *"),
        pointer(lengths, "uint64_t *"),
        len(starts),
        pointer(counts, "uint32_t *"),
        len(counts),
        found,
    )
    check(code, "columns.add_histogram")
    return bool(found[0])


def _require_digits(digits: Digits, places: U64) -> None:
    if len(places) != digits.count:
        raise ValueError(f"places: expected {digits.count} rows, got {len(places)}")


def _entries(values: I64) -> Any:
    return ffi.cast("int64_t *", values.ctypes.data)
