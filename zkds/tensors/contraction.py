"""Contractions with weights in K: of integer arrays and of arrays of K.

Arrays of K are pairs: a last axis (re, im) of canonical uint64. A float64 holds every integer up to 2^53, so that sums of parts
of few bits are exact in it; they are put together modulo p.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.field import K, P, block, unblock
from zkds.integers.intervals import Interval
from zkds.native import U64
from zkds.native import field as native
from zkds.tensors.axes import Axis

F64 = NDArray[np.float64]
FIELD_BITS = 61
FLOAT_BITS = 53
HALF_BITS = 32


def weigh(values: NDArray[Any], axis: int, weights: U64, magnitude: int) -> U64:
    """sum_n weights[n] values[.., n, ..] along one axis: (n, 2) pairs and integers -> (.., 2) pairs.

    magnitude: a bound on the values' absolute values, below p (ValueError).
    """
    return np.squeeze(weigh_groups(values, axis, weights[None], magnitude), axis)


def weigh_groups(values: NDArray[Any], axis: int, weights: U64, magnitude: int) -> U64:
    """The same for every run of entries along the axis: (runs, n, 2) pairs, an axis of runs times n -> one of their sums.

    Weights of a single run, (1, n, 2), are those of every run.
    """
    if magnitude >= P:
        raise ValueError(f"magnitude: expected integers below p, got up to {magnitude}")
    count = weights.shape[1]
    runs = values.shape[axis] // count
    outer, inner = values.shape[:axis], values.shape[axis + 1 :]
    flat = values.reshape(math.prod(outer), runs, count, math.prod(inner))
    sums = native.weigh(np.ascontiguousarray(flat, dtype=np.int64), np.ascontiguousarray(weights))
    return sums.reshape(*outer, runs, *inner, 2)


def multiply(left: U64, right: U64) -> U64:
    """The product of matrices over K: (.., I, N, 2) pairs and (N, J, 2) pairs -> (.., I, J, 2) pairs."""
    *lead, count, _ = left.shape
    columns = right.shape[1]
    tables = np.zeros((count, -(-columns // 8) * 8, 2), dtype=np.uint64)
    tables[:, :columns] = right
    blocked = np.ascontiguousarray(tables.reshape(count, -1, 8, 2).swapaxes(2, 3))
    product = native.k_matmul(np.ascontiguousarray(left).reshape(-1, count, 2), blocked)
    pairs = product.swapaxes(2, 3).reshape(len(product), tables.shape[1], 2)
    return np.ascontiguousarray(pairs[:, :columns]).reshape(*lead, columns, 2)


def _join(sums: F64, bits: int) -> U64:
    """sum_k 2^(bits k) sums[k] modulo p, for integers of absolute value <= 2^53."""
    total = np.zeros(sums.shape[1:], dtype=np.uint64)
    for k, part in enumerate(sums):
        total = native.add(total, times_power_of_two(canonical(part.astype(np.int64)), bits * k))
    return total


def times_power_of_two(values: U64, exponent: int) -> U64:
    """2^exponent * values modulo p, for values below p and 0 <= exponent < 61: a rotation of 61 bits."""
    high = values >> np.uint64(FIELD_BITS - exponent)
    low = (values << np.uint64(exponent)) & np.uint64(P)
    return np.ascontiguousarray(high | low)


def canonical(values: NDArray[np.int64]) -> U64:
    """Integers above -p and below p as elements of F."""
    return np.where(values < 0, values + P, values).astype(np.uint64)


def outer_product(axes: Sequence[Axis]) -> U64:
    """prod_d w_d(x_d) over the real indices, row-major: (prod lengths, 2) pairs."""
    table = np.array([[1, 0]], dtype=np.uint64)
    for axis in reversed(axes):
        table = multiply(axis.vector()[:, None], table[None]).reshape(-1, 2)
    return table


def scale(values: U64, factor: K) -> U64:
    """factor times an array of K, (.., 2) pairs."""
    flat = block(values.reshape(-1, 2))
    scaled = native.k_scale(flat, np.array([factor.re, factor.im], dtype=np.uint64))
    return unblock(scaled, values.size // 2).reshape(values.shape)


def product(left: U64, right: U64) -> U64:
    """Arrays of K entry by entry, with broadcasting: (.., 2) pairs each."""
    shape = np.broadcast_shapes(left.shape, right.shape)
    factors = (block(np.broadcast_to(factor, shape).reshape(-1, 2)) for factor in (left, right))
    return unblock(native.k_mul(*factors), math.prod(shape[:-1])).reshape(shape)


def scale_rows(values: U64, weights: U64) -> U64:
    """weights[i] values[i, ..]: (n, .., 2) pairs and (n, 2) pairs."""
    return product(values, weights.reshape(len(weights), *(1,) * (values.ndim - 2), 2))


def sums_by_index(values: U64, indices: NDArray[np.int64], length: int) -> U64:
    """(n, 2) pairs and n indices -> (length, 2) pairs: for every index, the sum of the values that have it.

    Raises ValueError for more than 2^21 values: their halves of 32 bits are added up in float64.
    """
    if len(values) > 1 << (FLOAT_BITS - HALF_BITS):
        raise ValueError(f"values: expected at most 2^{FLOAT_BITS - HALF_BITS}, got {len(values)}")
    low, high = values & np.uint64((1 << HALF_BITS) - 1), values >> np.uint64(HALF_BITS)
    halves = [[np.bincount(indices, half[:, part], length) for part in range(2)] for half in (low, high)]
    return np.ascontiguousarray(_join(np.array(halves), HALF_BITS).T)


def combine(tables: Sequence[U64], weights: Sequence[K]) -> U64:
    """sum_j weights[j] tables[j] for arrays of K."""
    total = scale(tables[0], weights[0])
    for table, weight in zip(tables[1:], weights[1:], strict=True):
        total = native.add(total, scale(table, weight))
    return total


def padded_pairs(values: U64) -> U64:
    """An array of K over the index space with every axis padded to a power of two, zero outside: (.., 2) pairs -> blocked."""
    shape = values.shape[:-1]
    sides = tuple(1 << (length - 1).bit_length() for length in shape)
    result = np.zeros((*sides, 2), dtype=np.uint64)
    result[tuple(slice(length) for length in shape)] = values
    return block(result.reshape(-1, 2))


def weighted_sum(tables: Sequence[NDArray[Any]], digits: Sequence[Interval], axes: Sequence[Axis], weights: Sequence[K]) -> K:
    """sum_x prod_d axes_d(x_d) sum_j weights_j tables_j(x): the value of a claim on a tensor with these digits."""
    lead, rest = axes[: len(axes) // 2], axes[len(axes) // 2 :]
    first, second = outer_product(lead), outer_product(rest)
    total = K(0)
    for table, digit, weight in zip(tables, digits, weights, strict=True):
        rows = weigh(table.reshape(len(first), len(second)), 1, second, digit.magnitude())
        total = total + weight * K(*native.k_dot(block(rows), block(first)).tolist())
    return total
