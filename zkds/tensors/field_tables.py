"""Tables of field elements from arrays of integers, as the sumchecks take them; elementwise, by the C core.

A flat table pads every axis but the first to a power of two, with zeros: the last axis has the lowest index bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zkds.field import K, to_pairs
from zkds.integers.limbs import I64
from zkds.native import U64, field
from zkds.tensors.axes import Axis, EqAxis, axes_table, ones_axis

LANES = 8


def flat_length(shape: Sequence[int]) -> int:
    """The number of entries of a flat table."""
    return shape[0] * math.prod(1 << (length - 1).bit_length() for length in shape[1:])


def flat_tables(digits: Sequence[I64], shape: Sequence[int]) -> U64:
    """The flat tables of integers of absolute value below p, which are broadcast to `shape`, modulo p.

    (number, entries) uint64, with zeros up to a multiple of 8 entries.
    """
    sides = (shape[0], *(1 << (length - 1).bit_length() for length in shape[1:]))
    entries = math.prod(sides)
    result = np.empty((len(digits), -(-entries // LANES) * LANES), dtype=np.uint64)
    result[:, entries:] = 0
    for row, digit in zip(result, digits, strict=True):
        field.f_table(np.broadcast_to(digit, shape), sides, row)
    return result


def weighed(digits: Sequence[I64], weights: Sequence[K], shape: Sequence[int]) -> U64:
    """The flat table of sum_j weights_j digits_j: blocked (m, 2, 8)."""
    (table,) = field.f_matmul(to_pairs(weights)[None], flat_tables(digits, shape))
    return np.ascontiguousarray(table)


def scale_outer(tables: U64, axes: Sequence[Axis], inner: Sequence[int]) -> None:
    """Flat tables (number, m, 2, 8) over axes and then `inner`: in place, every entry times the product of its weights."""
    if not sum(axis.bits for axis in axes) and all(isinstance(axis, EqAxis) for axis in axes):
        return  # a point without coordinates weighs 1
    size = math.prod(1 << (length - 1).bit_length() for length in inner)
    if len(axes) == 1 and size % LANES == 0:
        for weight, rows in zip(axes[0].vector(), np.split(tables, axes[0].length, axis=1), strict=True):
            for row in rows:
                field.k_scale(row, weight, out=row)
        return
    weights = axes_table([*axes, *map(ones_axis, inner)])[: tables.shape[1]]
    for table in tables:
        field.k_mul(table, weights, out=table)


def field_table(values: NDArray[np.int64]) -> U64:
    """A tensor of small integers as elements of F: a flat table, up to its last entry."""
    table: U64 = flat_tables([values], values.shape)[0, : flat_length(values.shape)]
    return table
