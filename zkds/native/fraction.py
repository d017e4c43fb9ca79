"""Bindings: trees of fractions, the sumchecks of their layers, and histograms (native/api/fraction.h has the formulas).

Tables of K are blocked, (vectors, 2, 8) uint64. The table of a layer's children holds the two children of parent vector w as
the vectors 2w and 2w + 1. A point is (n, 2) uint64, a scalar of K (real part, imaginary part).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.native import U32, U64, array, check, ffi, lib, pointer

Pair = tuple[int, int]

SEGMENT = np.dtype([(name, np.uint64) for name in ("first", "end", "re", "im", "width", "second", "third")])
MAX_WIDTH = 3
LANES = 8


class Leaves:
    """The denominators constant - v0 - beta^2 v1 - beta^3 v2 of a leaf space, formed from cells when they are needed.

    cells      (n,) uint32; leaf x has v0 = cells[x]
    segments   (s,) SEGMENT: leaves [first, end) have the constant (re, im) and `width` columns, the second and third from
               cells `second` and `third`; width 0 reads no cell. Sorted and contiguous.
    """

    def __init__(self, cells: U32, segments: NDArray[Any], beta2: Pair, beta3: Pair) -> None:
        array("cells", cells, np.uint32, (None,))
        array("segments", segments, SEGMENT, (None,))
        _check_segments(segments, len(cells))
        self._kept = (cells, segments)
        self._beta2, self._beta3 = beta2, beta3
        self.first, self.end = int(segments["first"][0]), int(segments["end"][-1])

    def struct(self, shift: Pair = (0, 0)) -> Any:
        """The C structure, valid as long as this object; `shift` is added to every leaf."""
        cells, segments = self._kept
        return ffi.new(
            "zkds_leaves *",
            {
                "cells": pointer(cells, "uint32_t *"),
                "segments": pointer(segments, "zkds_leaf_segment *"),
                "segment_count": len(segments),
                "beta2": self._beta2,
                "beta3": self._beta3,
                "shift": shift,
            },
        )

    def require(self, first_leaf: int, count: int) -> None:
        if first_leaf % LANES or not self.first <= first_leaf <= first_leaf + count <= self.end:
            raise ValueError(f"first_leaf: {count} leaves from {first_leaf} are not in [{self.first}, {self.end})")


def _check_segments(segments: NDArray[Any], cells: int) -> None:
    if not len(segments):
        raise ValueError("segments: expected at least one")
    first, end, width = segments["first"], segments["end"], segments["width"]
    if (first >= end).any() or (first[1:] != end[:-1]).any():
        raise ValueError("segments: expected non-empty, contiguous ranges")
    if int(width.max()) > MAX_WIDTH:
        raise ValueError(f"segments: expected at most {MAX_WIDTH} columns, got {int(width.max())}")
    size = end - first
    for least, last in ((1, end), (2, segments["second"] + size), (3, segments["third"] + size)):
        used = last[width >= least]
        if len(used) and int(used.max()) > cells:
            raise ValueError(f"segments: expected cells below {cells}, got {int(used.max()) - 1}")


def aligned_table(vectors: int) -> U64:
    """An uninitialised (vectors, 2, 8) table that begins at a multiple of 64 bytes."""
    memory = np.empty(16 * vectors + 8, dtype=np.uint64)
    skip = -memory.ctypes.data % 64 // 8
    return memory[skip : skip + 16 * vectors].reshape(vectors, 2, LANES)


def _words(table: U64) -> Any:
    """The C pointer to the table's memory; a quarter of a microsecond, which matters for a few hundred short calls."""
    return ffi.from_buffer("uint64_t[]", table)


def _table(name: str, table: U64, vectors: int) -> Any:
    array(name, table, np.uint64, (None, 2, LANES))
    if len(table) < vectors:
        raise ValueError(f"{name}: expected at least {vectors} vectors, got {len(table)}")
    return _words(table)


def leaf_values(leaves: Leaves, first_leaf: int, out: U64) -> None:
    """The denominators of the leaves from first_leaf, a multiple of 8, into `out`."""
    leaves.require(first_leaf, LANES * len(out))
    check(lib.zkds_leaf_values(leaves.struct(), first_leaf, len(out), _table("out", out, 0)), "leaf_values")


def build_levels(levels: Sequence[tuple[U64, U64]], leaves: Leaves | None = None, first_leaf: int = 0) -> None:
    """The levels (p, q) of a tree from the lowest up, each half as long as the one before, a power of two of vectors.

    The first level is two above the leaves 1 / denominator from first_leaf on, a multiple of 8, or given if there are none.
    """
    vectors = len(levels[0][0])
    if vectors & (vectors - 1) or not vectors >> (len(levels) - 1):
        raise ValueError(f"levels: expected a power of two of vectors, at least 2^{len(levels) - 1}, got {vectors}")
    if leaves is not None:
        leaves.require(first_leaf, 4 * LANES * vectors)
    p = [_table(f"levels[{j}]: p", level[0], vectors >> j) for j, level in enumerate(levels)]
    q = [_table(f"levels[{j}]: q", level[1], vectors >> j) for j, level in enumerate(levels)]
    struct = ffi.NULL if leaves is None else leaves.struct()
    code = lib.zkds_fraction_levels(
        struct, first_leaf, ffi.new("uint64_t *[]", p), ffi.new("uint64_t *[]", q), len(levels), vectors
    )
    check(code, "build_levels")


class LayerPoint:
    """The eq point of a layer's sumcheck, (n, 2) with n >= 4; round j binds index bit 3 + j."""

    def __init__(self, point: U64) -> None:
        array("point", point, np.uint64, (None, 2))
        if len(point) < 4:
            raise ValueError(f"point: expected at least 4 coordinates, got {len(point)}")
        self._point = point
        self.rounds = len(point) - 3

    def arguments(self, round_number: int) -> tuple[Any, Any, int]:
        """lanes, rest and rest_count of a round."""
        bit = 4 + round_number
        return _words(self._point), _words(self._point[bit:]), len(self._point) - bit

    def input_vectors(self, round_number: int, folds: bool) -> int:
        """Child vectors that a round reads: two a parent; twice as many if it first folds the variable before."""
        return 4 << (self.rounds - 1 - round_number + folds)


def fraction_round(p: U64, q: U64, lam: Pair, merge: bool, point: LayerPoint, number: int) -> U64:
    """The sums of round `number` of p0 q1 + p1 q0 + lambda q0 q1 at 0 and at infinity, (2, 2)."""
    sums = np.empty((2, 2), dtype=np.uint64)
    count = point.input_vectors(number, False)
    code = lib.zkds_fraction_round(
        _table("p", p, count), _table("q", q, count), ffi.NULL, lam, int(merge), ffi.NULL, ffi.NULL,
        *point.arguments(number), _words(sums),
    )  # fmt: skip
    check(code, "fraction_round")
    return sums


def fraction_fold_round(
    p: U64, q: U64, r: Pair, lam: Pair, merge: bool, p_out: U64, q_out: U64, point: LayerPoint, number: int
) -> U64:
    """Bind the variable of round number - 1 to r, into p_out and q_out, and return the sums of round `number`."""
    sums = np.empty((2, 2), dtype=np.uint64)
    count = point.input_vectors(number, True)
    code = lib.zkds_fraction_round(
        _table("p", p, count), _table("q", q, count), r, lam, int(merge),
        _table("p_out", p_out, count // 2), _table("q_out", q_out, count // 2),
        *point.arguments(number), _words(sums),
    )  # fmt: skip
    check(code, "fraction_fold_round")
    return sums


def leaf_parents_round(leaves: Leaves, lam: Pair, first_leaf: int, point: LayerPoint) -> U64:
    """`fraction_round` number 0 of a layer whose children are the parents of leaves, from first_leaf on; p1 is to be merged."""
    sums = np.empty((2, 2), dtype=np.uint64)
    leaves.require(first_leaf, 2 * LANES * point.input_vectors(0, False))
    code = lib.zkds_leaf_parents_round(
        leaves.struct(), first_leaf, ffi.NULL, lam, ffi.NULL, ffi.NULL, *point.arguments(0), _words(sums)
    )
    check(code, "leaf_parents_round")
    return sums


def leaf_parents_fold_round(
    leaves: Leaves, lam: Pair, first_leaf: int, r: Pair, p_out: U64, q_out: U64, point: LayerPoint
) -> U64:
    """Bind the variable of round 0 of such a layer to r, into p_out and q_out, and return the sums of round 1."""
    sums = np.empty((2, 2), dtype=np.uint64)
    count = point.input_vectors(1, True)
    leaves.require(first_leaf, 2 * LANES * count)
    code = lib.zkds_leaf_parents_round(
        leaves.struct(), first_leaf, r, lam, _table("p_out", p_out, count // 2), _table("q_out", q_out, count // 2),
        *point.arguments(1), _words(sums),
    )  # fmt: skip
    check(code, "leaf_parents_fold_round")
    return sums


def fraction_last_fold(p: U64, q: U64, r: Pair, lam: Pair, merge: bool, p_out: U64, q_out: U64) -> None:
    """Bind the last vector variable: two parents into one."""
    code = lib.zkds_fraction_last_fold(
        _table("p", p, 4), _table("q", q, 4), r, lam, int(merge),
        _table("p_out", p_out, 2), _table("q_out", q_out, 2),
    )  # fmt: skip
    check(code, "fraction_last_fold")


def leaf_round(leaves: Leaves, shift: Pair, first_leaf: int, point: LayerPoint) -> U64:
    """The sums of round 0 of (q0 + shift)(q1 + shift), q being leaves from first_leaf."""
    sums = np.empty((2, 2), dtype=np.uint64)
    leaves.require(first_leaf, LANES * point.input_vectors(0, False))
    code = lib.zkds_leaf_round(leaves.struct(shift), first_leaf, ffi.NULL, ffi.NULL, *point.arguments(0), _words(sums))
    check(code, "leaf_round")
    return sums


def leaf_fold_round(leaves: Leaves, shift: Pair, first_leaf: int, r: Pair, out: U64, point: LayerPoint) -> U64:
    """Bind the variable of round 0 to r, from the leaves into `out`, and return the sums of round 1."""
    sums = np.empty((2, 2), dtype=np.uint64)
    count = point.input_vectors(1, True)
    leaves.require(first_leaf, LANES * count)
    code = lib.zkds_leaf_round(
        leaves.struct(shift), first_leaf, r, _table("out", out, count // 2),
        *point.arguments(1), _words(sums),
    )  # fmt: skip
    check(code, "leaf_fold_round")
    return sums


def product_fold_round(q: U64, r: Pair, out: U64, point: LayerPoint, number: int) -> U64:
    """Bind the variable of round number - 1 to r, from q into `out`, and return the sums of round `number` of q0 q1."""
    sums = np.empty((2, 2), dtype=np.uint64)
    count = point.input_vectors(number, True)
    code = lib.zkds_product_round(
        _table("q", q, count), r, _table("out", out, count // 2),
        *point.arguments(number), _words(sums),
    )  # fmt: skip
    check(code, "product_fold_round")
    return sums


def product_last_fold(q: U64, r: Pair, out: U64) -> None:
    """Bind the last vector variable: two parents into one."""
    check(lib.zkds_product_last_fold(_table("q", q, 4), r, _table("out", out, 2)), "product_last_fold")
