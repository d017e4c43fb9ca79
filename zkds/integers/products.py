"""Exact sums of products by floating-point matrix multiplication, and contractions of integer matrices with weights in K.

A float64 holds every integer up to 2^53, so a BLAS product of integer matrices is exact as long as no sum of absolute values
exceeds that; long sums are cut into chunks which are added as integers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.field import P, block, unblock
from zkds.integers.limbs import I64, LimbFormat
from zkds.native import U32, U64, field

FLOAT_BITS = 53
WEIGHT_BITS = 21  # an element of F is three parts of 21, 21 and 19 bits
WEIGHT_PARTS = 3


def exact_matmul(left: I64, right: I64, bound: int) -> I64:
    """left @ right over the integers, (I, K) x (K, J) -> (I, J) int64.

    bound: a bound on |left entry| * |right entry|, at most 2^53. Raises ValueError if it is larger, or if sums of K products
    within the bound need not fit int64.
    """
    terms = left.shape[1]
    if not 0 < bound <= 1 << FLOAT_BITS:
        raise ValueError(f"bound: expected 1 to 2^{FLOAT_BITS}, got {bound}")
    if terms * bound >= 1 << 63:
        raise ValueError(f"bound: {terms} products of {bound} do not fit int64")
    chunk = (1 << FLOAT_BITS) // bound
    total = np.zeros((left.shape[0], right.shape[1]), dtype=np.int64)
    for start in range(0, terms, chunk):
        part = left[:, start : start + chunk].astype(np.float64) @ right[start : start + chunk].astype(np.float64)
        total += part.astype(np.int64)
    return total


def limb_matmul(left: Sequence[I64], right: Sequence[I64], formats: tuple[LimbFormat, LimbFormat]) -> list[I64]:
    """The coefficients of sum_k a_k(X) b_k(X): from (I, K) coefficients of a and (K, J) of b, arrays (I, J) int64.

    Raises ValueError if a coefficient might not fit int64; after `plan_check` it does.
    """
    magnitudes = [[interval.magnitude() for interval in number.coefficient_intervals] for number in formats]
    shape = (left[0].shape[0], right[0].shape[1])
    coefficients = [np.zeros(shape, dtype=np.int64) for _ in range(len(left) + len(right) - 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            coefficients[i + j] += exact_matmul(a, b, magnitudes[0][i] * magnitudes[1][j])
    return coefficients


def contract(weights: U64, matrix: U32) -> U64:
    """sum_i weights[i] matrix[i, k] in K: blocked weights, I or more; (I, N) uint32 below 2^22 -> N entries, blocked."""
    rows, columns = matrix.shape
    pairs = unblock(weights, rows)
    chunk = 1 << (FLOAT_BITS - WEIGHT_BITS - 22)
    total = np.zeros((columns, 2), dtype=np.uint64)
    for start in range(0, rows, chunk):
        part = pairs[start : start + chunk]
        values = matrix[start : start + chunk].astype(np.float64)
        for shift in range(0, WEIGHT_PARTS * WEIGHT_BITS, WEIGHT_BITS):
            piece = (part >> np.uint64(shift)) & np.uint64((1 << WEIGHT_BITS) - 1)
            sums = (values.T @ piece.astype(np.float64)).astype(np.uint64)  # below 2^53
            total = field.add(total, times_power_of_two(sums, shift))
    return block(total)


def times_power_of_two(values: U64, exponent: int) -> U64:
    """2^exponent * values modulo p, for values below p and 0 <= exponent < 61: a rotation of 61 bits."""
    high = values >> np.uint64(61 - exponent)
    low = (values << np.uint64(exponent)) & np.uint64(P)
    return np.ascontiguousarray(high | low)
