"""Number-theoretic transforms over K at roots of unity of norm 1."""

from typing import Any

import numpy as np

from zkds.field import root_of_unity, to_pairs
from zkds.native import U64, array, check, ffi, lib, pointer

SMALLEST_TABLES = 7
MAX_LOG_SIZE = 24


def aligned_words(count: int) -> U64:
    """`count` uninitialised uint64 at a multiple of 64 bytes, where the vector kernels read fastest."""
    memory = np.empty(count + 8, dtype=np.uint64)
    skip = -memory.ctypes.data % 64 // 8
    return memory[skip : skip + count]


class Tables:
    """The roots that transforms up to `2^log_size` points (on the coset) read. Immutable; share them with `tables`."""

    def __init__(self, log_size: int) -> None:
        self.log_size = log_size
        self.words = aligned_words(lib.zkds_ntt_tables_words(log_size))
        roots = to_pairs(root_of_unity(m) for m in range(log_size + 2))
        check(lib.zkds_ntt_tables(pointer(roots, "uint64_t *"), log_size, self.pointer), "ntt tables")

    @property
    def pointer(self) -> Any:
        return pointer(self.words, "uint64_t *")


_largest: list[Tables] = []


def tables(log_size: int) -> Tables:
    """Tables for at least `log_size`: made on the first request for a larger size, then kept for the process's life."""
    if not 0 <= log_size <= MAX_LOG_SIZE:
        raise ValueError(f"log_size: expected 0 to {MAX_LOG_SIZE}, got {log_size}")
    if not _largest or _largest[0].log_size < log_size:
        _largest[:] = [Tables(max(log_size, SMALLEST_TABLES))]
    return _largest[0]


def ntt(rows: U64, *, inverse: bool = False, coset: bool = False) -> U64:
    """Transform each row of a (rows, n, 2) array of pairs, n a power of two; a new array of the same shape.

    Forward: coefficients a -> values sum_m a_m x_j^m in natural order, at x_j = w^j with w = root_of_unity(log2 n), or on
    the coset x_j = r^(2 j + 1) with r = root_of_unity(1 + log2 n). Inverse: the way back.
    Raises TypeError for a wrong dtype, ValueError for a wrong shape.
    """
    array("rows", rows, np.uint64, (None, None, 2))
    size = rows.shape[1]
    log_size = size.bit_length() - 1
    if size != 1 << max(log_size, 0):
        raise ValueError(f"rows: expected a power of two of points, got {size}")
    roots = tables(log_size)
    out = np.empty_like(rows)
    twist = to_pairs([root_of_unity(log_size + 1)])
    code = lib.zkds_ntt(
        roots.pointer,
        roots.log_size,
        pointer(rows, "uint64_t *"),
        pointer(out, "uint64_t *"),
        len(rows),
        log_size,
        inverse,
        pointer(twist, "uint64_t *") if coset else ffi.NULL,
    )
    check(code, "ntt")
    return out
