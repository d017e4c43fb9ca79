"""Binding of the ajtai family: byte strings times a matrix over F."""

import numpy as np

from zkds.native import U8, U64, array, check, lib, pointer

MAX_LENGTH = 1 << int(lib.ZKDS_AJTAI_MAX_LOG_LENGTH)


def multiply(byte_strings: U8, matrix: U64) -> U64:
    """byte_strings * matrix mod p: (count, length) uint8 times (length, width) canonical uint64 -> (count, width) uint64.

    1 <= length <= MAX_LENGTH, width >= 1; ValueError otherwise.
    """
    array("byte_strings", byte_strings, np.uint8, (None, None))
    count, length = byte_strings.shape
    array("matrix", matrix, np.uint64, (length, None))
    width = matrix.shape[1]
    if not 1 <= length <= MAX_LENGTH:
        raise ValueError(f"byte_strings: expected a length from 1 to {MAX_LENGTH}, got {length}")
    if width < 1:
        raise ValueError("matrix: expected at least one column")
    out = np.empty((count, width), dtype=np.uint64)
    code = lib.zkds_ajtai_multiply(
        pointer(byte_strings, "uint8_t *"), count, length, pointer(matrix, "uint64_t *"), width, pointer(out, "uint64_t *")
    )
    check(code, "ajtai.multiply")
    return out
