"""Bindings: rows of coefficients, their values on the coset, hashed columns, and the tables of the recursive opening.

The coset is r^(2 j + 1), j < n, r = root_of_unity(1 + log2 n); the value at j is stored at s, the log2 n bits of j mirrored.
Column s < n/2 of a matrix holds the values of all rows at s and at n - 1 - s, which is the inverse point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zkds.native import U8, U32, U64, array, check, ffi, lib, pointer
from zkds.native.ntt import tables
from zkds.native.sha256 import DIGEST_BYTES

SALT_BYTES = 32


@dataclass(frozen=True, repr=False)
class Matrix:
    """Rows of polynomials over K of degree below 2^log_data + tail; what is encoded, committed and opened.

    cells        (count,) uint32; packed row r has cells 2 r k + j as real parts and (2 r + 1) k + j as imaginary parts, k =
                 2^log_data, zero beyond; count <= 2 k packed_rows
    packed_rows  rows made from cells; they come first
    elements     (element_rows * k / 8, 2, 8) blocked rows of K
    tails        (packed_rows + element_rows, tail, 2) pairs: the coefficients from k on
    log_size     log2 n
    """

    cells: U32
    packed_rows: int
    elements: U64
    tails: U64
    log_data: int
    log_size: int

    def __post_init__(self) -> None:
        if not 6 <= self.log_data < self.log_size <= 24:
            raise ValueError(f"matrix: expected 6 <= log_data < log_size <= 24, got {self.log_data}, {self.log_size}")
        array("cells", self.cells, np.uint32, (None,))
        if self.packed_rows < 0 or len(self.cells) > self.packed_rows << (self.log_data + 1):
            raise ValueError(f"cells: expected at most {self.packed_rows} * 2^{self.log_data + 1}, got {len(self.cells)}")
        array("elements", self.elements, np.uint64, (None, 2, 8))
        if len(self.elements) % (1 << self.log_data - 3):
            raise ValueError(f"elements: expected rows of 2^{self.log_data - 3} vectors, got {len(self.elements)} vectors")
        array("tails", self.tails, np.uint64, (self.rows, None, 2))
        if self.rows < 1:
            raise ValueError("matrix: expected at least one row")

    @property
    def element_rows(self) -> int:
        return len(self.elements) >> (self.log_data - 3)

    @property
    def rows(self) -> int:
        return self.packed_rows + self.element_rows

    @property
    def tail(self) -> int:
        return int(self.tails.shape[1])

    def _struct(self) -> Any:
        return ffi.new(
            "struct zkds_matrix *",
            {
                "cells": pointer(self.cells, "uint32_t *"),
                "cell_count": len(self.cells),
                "packed_rows": self.packed_rows,
                "elements": pointer(self.elements, "uint64_t *"),
                "element_rows": self.element_rows,
                "tails": pointer(self.tails, "uint64_t *"),
                "tail": self.tail,
                "log_data": self.log_data,
                "log_size": self.log_size,
            },
        )

    def column_digests(self, salt_seed: bytes | None) -> U8:
        """(n/2, 32): SHA-256 of every column; the salt of column s is SHA-256(salt_seed | s), zero without a seed."""
        if salt_seed is not None and len(salt_seed) != SALT_BYTES:
            raise ValueError(f"salt_seed: expected {SALT_BYTES} bytes, got {len(salt_seed)}")
        digests = np.empty((1 << self.log_size - 1, DIGEST_BYTES), dtype=np.uint8)
        roots = tables(self.log_size)
        seed = ffi.NULL if salt_seed is None else ffi.from_buffer("uint8_t[]", salt_seed)
        matrix = self._struct()
        check(
            lib.zkds_commit_columns(roots.pointer, roots.log_size, matrix, seed, pointer(digests, "uint8_t *")),
            "commit_columns",
        )
        return digests

    def columns(self, positions: U32) -> U64:
        """(count, rows, 2, 2): for each of the increasing positions and each row, the values at s and at its inverse point."""
        array("positions", positions, np.uint32, (None,))
        columns = np.empty((len(positions), self.rows, 2, 2), dtype=np.uint64)
        roots = tables(self.log_size)
        code = lib.zkds_open_columns(
            roots.pointer,
            roots.log_size,
            self._struct(),
            pointer(positions, "uint32_t *"),
            len(positions),
            pointer(columns, "uint64_t *"),
        )
        check(code, "open_columns")
        return columns

    def combine(self, weights: U64) -> tuple[U64, U64]:
        """sum of weight * row: (k/8, 2, 8) blocked and the (tail, 2) pairs beyond. weights: (2 packed_rows + element_rows, 2)
        pairs, for the real and the imaginary part of each packed row, then for the rows of K."""
        array("weights", weights, np.uint64, (2 * self.packed_rows + self.element_rows, 2))
        combined = np.empty((1 << self.log_data - 3, 2, 8), dtype=np.uint64)
        tail = np.empty((self.tail, 2), dtype=np.uint64)
        code = lib.zkds_combine_rows(
            self._struct(), pointer(weights, "uint64_t *"), pointer(combined, "uint64_t *"), pointer(tail, "uint64_t *")
        )
        check(code, "combine_rows")
        return combined, tail


def combine_columns(columns: U64, direct: U64, conjugate: U64) -> U64:
    """(count, 2, 2): for each column of (count, rows, 2, 2) values (c, d), the sums over rows of a c + b conj(d) and of
    a d + b conj(c). direct (a) and conjugate (b): (rows, 2) pairs."""
    array("columns", columns, np.uint64, (None, None, 2, 2))
    count, rows = columns.shape[:2]
    array("direct", direct, np.uint64, (rows, 2))
    array("conjugate", conjugate, np.uint64, (rows, 2))
    out = np.empty((count, 2, 2), dtype=np.uint64)
    code = lib.zkds_combine_columns(
        pointer(columns, "uint64_t *"),
        count,
        rows,
        pointer(direct, "uint64_t *"),
        pointer(conjugate, "uint64_t *"),
        pointer(out, "uint64_t *"),
    )
    check(code, "combine_columns")
    return out


def power_weights(points: U64, coefficients: U64, size: int) -> U64:
    """(size, 2): sum_j coefficients[j] * points[j]^x for x < size; pairs throughout."""
    array("points", points, np.uint64, (None, 2))
    array("coefficients", coefficients, np.uint64, (len(points), 2))
    out = np.empty((size, 2), dtype=np.uint64)
    code = lib.zkds_power_weights(
        pointer(points, "uint64_t *"), pointer(coefficients, "uint64_t *"), len(points), pointer(out, "uint64_t *"), size
    )
    check(code, "power_weights")
    return out


def evaluate_powers(polynomial: U64, points: U64) -> U64:
    """(count, 2): sum_x polynomial[x] * points[j]^x; pairs throughout."""
    array("polynomial", polynomial, np.uint64, (None, 2))
    array("points", points, np.uint64, (None, 2))
    out = np.empty_like(points)
    code = lib.zkds_evaluate_powers(
        pointer(polynomial, "uint64_t *"),
        len(polynomial),
        pointer(points, "uint64_t *"),
        len(points),
        pointer(out, "uint64_t *"),
    )
    check(code, "evaluate_powers")
    return out


def half_round(x: U64, y: U64) -> U64:
    """(2, 2) pairs: for blocked tables of 2^m vectors, the sums over all other index bits of x y with the highest bit 0
    and of its leading coefficient in that bit."""
    array("x", x, np.uint64, (None, 2, 8))
    array("y", y, np.uint64, x.shape)
    message = np.empty((2, 2), dtype=np.uint64)
    code = lib.zkds_half_round(pointer(x, "uint64_t *"), pointer(y, "uint64_t *"), _half(x), pointer(message, "uint64_t *"))
    check(code, "half_round")
    return message


def bind_half(table: U64, r: U64) -> U64:
    """Bind the highest index bit of a blocked table to r, a (2,) pair: the lower half, overwritten, as a view."""
    array("table", table, np.uint64, (None, 2, 8))
    array("r", r, np.uint64, (2,))
    half = _half(table)
    check(lib.zkds_bind_half(pointer(table, "uint64_t *"), half, pointer(r, "uint64_t *")), "bind_half")
    return table[:half]


def _half(table: U64) -> int:
    if len(table) % 2:
        raise ValueError(f"table: expected an even number of vectors, got {len(table)}")
    return len(table) // 2
