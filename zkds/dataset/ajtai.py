"""Ajtai commitments of records: h = A (x | rnd) mod p, bytes against a public matrix A in F^(n x m).

Binding: two openings of one h differ by a short vector (entries up to 255 in absolute value) in the kernel of A, a solution of
the short integer solution problem, SIS (Ajtai 1996); `sis.py` estimates its cost. Hiding: for x fixed and rnd uniform bytes,
(A, A (x | rnd)) is within 2^-129 / N of uniform by the leftover hash lemma (Impagliazzo, Levin, Luby 1989; the maps
rnd -> A rnd are universal because differences of bytes are invertible mod p), if

    8 |rnd| >= 61 n + 256 + 2 log2 N

so all N commitments together are within 2^-129, on average over A. The opening is linear in the committed bytes: that is why
a membership proof needs no hash in its circuit. Randomness is never used twice, not even for one record in two versions
of a data set.
"""

from __future__ import annotations

import functools
import hashlib
import os

import numpy as np
from Crypto.Hash import SHAKE256

from zkds.field import P
from zkds.native import U8, U64, array, field
from zkds.native import ajtai as native

ROWS = 128  # n
MATRIX_SEED = hashlib.sha256(b"zkds ajtai matrix v1").digest()  # a protocol constant: nobody chose it
HIDING_BITS = 256  # the statistical distance is at most 2^-(HIDING_BITS / 2 + 1)
FIELD_BITS = 61
PIECE = 1 << 16  # entries of A that are made, or weighed, at once


def randomness_bytes(count: int) -> int:
    """|rnd| for a data set of `count` records."""
    if count < 1:
        raise ValueError(f"count: expected at least one record, got {count}")
    bits = FIELD_BITS * ROWS + HIDING_BITS + (count * count - 1).bit_length()  # ceil(2 log2 N), exactly
    return -(-bits // 8)


@functools.lru_cache(maxsize=2)
def matrix(length: int) -> U64:
    """The transpose of A for byte strings of `length` bytes: (length, ROWS) uint64, canonical, read-only.

    Entry (j, k) is number j * ROWS + k of the stream SHAKE256(MATRIX_SEED), read in pieces of 8 bytes (little-endian), each cut
    to its low 61 bits, those equal to p left out. A shorter matrix is a prefix of a longer one.
    """
    if not 1 <= length <= native.MAX_LENGTH:
        raise ValueError(f"length: expected 1 to {native.MAX_LENGTH} bytes, got {length}")
    entries: U64 = np.empty(length * ROWS, dtype=np.uint64)
    stream, filled = SHAKE256.new(MATRIX_SEED), 0
    while filled < len(entries):
        piece = np.frombuffer(stream.read(8 * min(PIECE, len(entries) - filled)), dtype="<u8") & np.uint64(P)
        piece = piece[piece != P]
        entries[filled : filled + len(piece)] = piece
        filled += len(piece)
    columns = entries.reshape(length, ROWS)
    columns.flags.writeable = False
    return columns


def draw_randomness(count: int, length: int) -> U8:
    """(count, length) uniform bytes from the operating system."""
    return np.frombuffer(os.urandom(count * length), dtype=np.uint8).reshape(count, length)


def commit(byte_strings: U8) -> U64:
    """h_i = A z_i for the rows z_i = x_i | rnd_i: (count, m) uint8 -> (count, ROWS) uint64, canonical."""
    array("byte_strings", byte_strings, np.uint8, (None, None))
    return native.multiply(byte_strings, matrix(byte_strings.shape[1]))


def weighted_sums(rows: U64, weights: U64) -> U64:
    """sum_k weights[k] rows[:, k]: (count, n) canonical in F times (n, 2) pairs -> (count, 2) pairs."""
    sums = np.empty((len(rows), 2), dtype=np.uint64)
    step = max(1, PIECE // max(1, rows.shape[1]))
    for first in range(0, len(rows), step):
        part = np.ascontiguousarray(rows[first : first + step])
        for k in range(2):
            products = field.f_mul(part.reshape(-1), np.tile(weights[:, k], len(part)))
            sums[first : first + step, k] = _sum_rows(products.reshape(part.shape))
    return sums


def _sum_rows(values: U64) -> U64:
    """The sum of each row mod p: (count, n) canonical, n < 2^28 -> (count,) canonical."""
    low = (values & np.uint64((1 << 32) - 1)).sum(axis=1)
    high = (values >> np.uint64(32)).sum(axis=1)  # times 2^32: its bits 29 and up wrap around once
    total: U64 = low + ((high & np.uint64((1 << 29) - 1)) << np.uint64(32)) + (high >> np.uint64(29))
    return total % np.uint64(P)
