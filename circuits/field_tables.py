"""Tables of field elements from arrays of integers, as the sumchecks take them; elementwise, by the C core.

A flat table pads every axis but the first to a power of two, with zeros: the last axis has the lowest index bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.tensors import Axis, axes_table, ones_axis
from zkds.field import K, P, to_pairs
from zkds.integers.limbs import I64
from zkds.native import U64, field

LANES = 8


def canonical(values: I64) -> U64:
    """Integers of absolute value below p, modulo p."""
    return np.ascontiguousarray(np.where(values < 0, values + P, values)).astype(np.uint64)


def flat(values: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """The flat table of an array that is broadcast to `shape`."""
    sides = tuple(1 << (length - 1).bit_length() for length in shape[1:])
    values = np.broadcast_to(values, shape)
    if sides == tuple(shape[1:]):
        return np.ascontiguousarray(values).reshape(-1)
    result = np.zeros((shape[0], *sides), dtype=values.dtype)
    result[tuple(slice(length) for length in shape)] = values
    return result.reshape(-1)


def real_tables(tables: Sequence[U64]) -> U64:
    """Flat tables of F, of one length, as tables of K: (number, m, 2, 8), blocked."""
    length = len(tables[0])
    whole, rest = divmod(length, LANES)
    result = np.zeros((len(tables), whole + (rest > 0), 2, LANES), dtype=np.uint64)
    for blocked, table in zip(result, tables, strict=True):
        blocked[:whole, 0] = table[: whole * LANES].reshape(-1, LANES)
        blocked[whole:, 0, :rest] = table[whole * LANES :]
    return result


def weighed(digits: Sequence[I64], weights: Sequence[K], shape: Sequence[int]) -> U64:
    """The flat table of sum_j weights_j digits_j: blocked (m, 2, 8)."""
    tables = real_tables([flat(canonical(digit), shape) for digit in digits])
    (table,) = field.k_matmul(to_pairs(weights)[None], tables)
    return np.ascontiguousarray(table)


def scale_outer(tables: U64, axes: Sequence[Axis], inner: Sequence[int]) -> None:
    """Flat tables (number, m, 2, 8) over axes and then `inner`: in place, every entry times the product of its weights."""
    size = math.prod(1 << (length - 1).bit_length() for length in inner)
    if len(axes) == 1 and size % LANES == 0:
        for weight, rows in zip(axes[0].vector(), np.split(tables, axes[0].length, axis=1), strict=True):
            for row in rows:
                field.k_scale(row, weight, out=row)
        return
    weights = axes_table([*axes, *map(ones_axis, inner)])[: tables.shape[1]]
    for table in tables:
        field.k_mul(table, weights, out=table)
