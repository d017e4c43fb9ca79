"""Binding of the cells family: the committed vector against sums of eq weights on aligned subcubes.

A chunk is 8 * 2^streamed cells: `streamed` index bits, 3, 4, ..., are bound before anything is stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkds.native import U32, U64, array, check, ffi, lib, pointer

MAX_STREAMED = 6
MAX_VARIABLES = 40


@dataclass(frozen=True)
class PieceArrays:
    """Piece j: the weights claim_weights[claims[j]] * scales[j] * eq(point, x) on the cells offsets[j] + x.

    Its point is coordinates[firsts[j] : firsts[j + 1]]; its offset is a multiple of 2^len(point).

    offsets (n,) uint64, firsts (n + 1,) uint64, coordinates (m, 2) uint64, scales (n, 2) uint64, claims (n,) uint32,
    claim_weights (c, 2) uint64; elements of K as pairs.
    """

    offsets: U64
    firsts: U64
    coordinates: U64
    scales: U64
    claims: U32
    claim_weights: U64

    def __post_init__(self) -> None:
        count = len(self.offsets)
        array("offsets", self.offsets, np.uint64, (None,))
        array("firsts", self.firsts, np.uint64, (count + 1,))
        array("coordinates", self.coordinates, np.uint64, (None, 2))
        array("scales", self.scales, np.uint64, (count, 2))
        array("claims", self.claims, np.uint32, (count,))
        array("claim_weights", self.claim_weights, np.uint64, (None, 2))
        if self.firsts[0] != 0 or self.firsts[-1] != len(self.coordinates) or (self.firsts[1:] < self.firsts[:-1]).any():
            raise ValueError("firsts: expected to rise from 0 to the number of coordinates")
        if count and int(self.claims.max()) >= len(self.claim_weights):
            raise ValueError(f"claims: expected numbers below {len(self.claim_weights)}, got {int(self.claims.max())}")

    def _struct(self) -> Any:
        """The C structure; valid as long as this object."""
        return ffi.new(
            "struct zkds_pieces *",
            {
                "count": len(self.offsets),
                "offsets": pointer(self.offsets, "uint64_t *"),
                "firsts": pointer(self.firsts, "uint64_t *"),
                "coordinates": pointer(self.coordinates, "uint64_t *"),
                "scales": pointer(self.scales, "uint64_t *"),
                "claims": pointer(self.claims, "uint32_t *"),
                "claim_weights": pointer(self.claim_weights, "uint64_t *"),
            },
        )


def _streamed(streamed: int, least: int) -> int:
    if not least <= streamed <= MAX_STREAMED:
        raise ValueError(f"streamed: expected {least} to {MAX_STREAMED}, got {streamed}")
    return streamed


def correlate(vector: U32, streamed: int, pieces: PieceArrays) -> U64:
    """The bilinear form of the streamed bits, (2^streamed, 2^streamed, 2).

    Entry (i, j) is the sum of V[x + 8 i] W[x + 8 j] over all x whose streamed bits are 0.
    vector (cells,) uint32, zero beyond; W is the sum of all pieces' weights; 1 <= streamed <= MAX_STREAMED.
    """
    array("vector", vector, np.uint32, (None,))
    side = 1 << _streamed(streamed, 1)
    form = np.empty((side, side, 2), dtype=np.uint64)
    code = lib.zkds_cells_correlate(
        pointer(vector, "uint32_t *"), len(vector), streamed, pieces._struct(), pointer(form, "uint64_t *")
    )
    check(code, "cells.correlate")
    return form


def fold(vector: U32, point: U64, vectors: int) -> U64:
    """V with the streamed bits bound to `point` (streamed, 2): a blocked table of `vectors` vectors, zero-filled."""
    array("vector", vector, np.uint32, (None,))
    array("point", point, np.uint64, (None, 2))
    table = np.empty((vectors, 2, 8), dtype=np.uint64)
    code = lib.zkds_cells_fold(
        pointer(vector, "uint32_t *"),
        len(vector),
        _streamed(len(point), 0),
        pointer(point, "uint64_t *"),
        pointer(table, "uint64_t *"),
        vectors,
    )
    check(code, "cells.fold")
    return table


def weights(pieces: PieceArrays, point: U64, vectors: int) -> U64:
    """W with the streamed bits bound to `point` (streamed, 2): a blocked table of `vectors` vectors."""
    array("point", point, np.uint64, (None, 2))
    table = np.empty((vectors, 2, 8), dtype=np.uint64)
    code = lib.zkds_cells_weights(
        pieces._struct(), _streamed(len(point), 0), pointer(point, "uint64_t *"), pointer(table, "uint64_t *"), vectors
    )
    check(code, "cells.weights")
    return table


def evaluate(pieces: PieceArrays, point: U64) -> U64:
    """The multilinear extension of W at `point` (variables, 2): one pair (2,)."""
    array("point", point, np.uint64, (None, 2))
    if len(point) > MAX_VARIABLES:
        raise ValueError(f"point: expected at most {MAX_VARIABLES} coordinates, got {len(point)}")
    value = np.empty(2, dtype=np.uint64)
    code = lib.zkds_cells_evaluate(pieces._struct(), pointer(point, "uint64_t *"), len(point), pointer(value, "uint64_t *"))
    check(code, "cells.evaluate")
    return value


def box_weights(lengths: Sequence[int], point: U64, scales: U64) -> U64:
    """The weights of a tensor's binary boxes at a point, scales[j] times all of them for each j: (scales x boxes, 2) pairs.

    lengths of the dimensions; point (sum of their bits, 2). There are prod popcount(length) boxes.
    """
    if not all(1 <= length < 1 << MAX_VARIABLES for length in lengths):
        raise ValueError(f"lengths: expected 1 to 2^{MAX_VARIABLES} - 1, got {tuple(lengths)}")
    array("point", point, np.uint64, (sum((length - 1).bit_length() for length in lengths), 2))
    array("scales", scales, np.uint64, (None, 2))
    boxes = math.prod(length.bit_count() for length in lengths)
    sides = np.array(lengths, dtype=np.uint64)
    result = np.empty((len(scales) * boxes, 2), dtype=np.uint64)
    inputs = (pointer(sides, "uint64_t *"), len(sides), pointer(point, "uint64_t *"), pointer(scales, "uint64_t *"))
    check(lib.zkds_box_weights(*inputs, len(scales), pointer(result, "uint64_t *")), "cells.box_weights")
    return result
