"""Tables of field elements from arrays of integers, as the sumchecks take them; elementwise, by the C core.

A pair of arrays (re, im) of canonical uint64 is an array of K. A flat table pads every axis but the first to a power of two,
with zeros: the last axis has the lowest index bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zkds.field import K, P, block, to_pairs, unblock
from zkds.integers.limbs import I64
from zkds.native import U64, field

LANES = 8
Pair: TypeAlias = tuple[U64, U64]


def canonical(values: I64) -> U64:
    """Integers of absolute value below p, modulo p."""
    return np.ascontiguousarray(np.where(values < 0, values + P, values)).astype(np.uint64)


def weigh(digits: Sequence[I64], weights: Sequence[K]) -> Pair:
    """sum_j weights_j digits_j, for arrays of one shape."""
    return weigh_elements([canonical(digit) for digit in digits], weights)


def weigh_elements(tables: Sequence[U64], weights: Sequence[K], rows: U64 | None = None) -> Pair:
    """sum_j weights_j tables_j, for arrays of F of one shape; times `rows`, pairs with as many axes (both may be broadcast)."""
    shape = tables[0].shape if rows is None else np.broadcast_shapes(tables[0].shape, rows.shape[:-1])
    totals: list[U64 | None] = [None, None]
    for table, weight in zip(tables, weights, strict=True):
        spread = np.ascontiguousarray(np.broadcast_to(table, shape))
        for part, factors in enumerate(_factors(weight, rows, shape)):
            product = field.f_mul(spread, factors, out=factors)
            total = totals[part]
            totals[part] = product if total is None else field.add(total, product, out=total)
    re, im = totals
    assert re is not None and im is not None
    return re, im


def _factors(weight: K, rows: U64 | None, shape: tuple[int, ...]) -> Pair:
    """Real and imaginary part of weight times rows, for every entry of `shape`: new arrays."""
    if rows is None:
        return np.full(shape, weight.re, dtype=np.uint64), np.full(shape, weight.im, dtype=np.uint64)
    scaled = unblock(field.k_scale(block(rows.reshape(-1, 2)), to_pairs([weight])[0]), rows.size // 2).reshape(rows.shape)
    re, im = (np.array(np.broadcast_to(scaled[..., part], shape), order="C") for part in (0, 1))
    return re, im


def added(total: Pair | None, part: Pair, shape: tuple[int, ...]) -> Pair:
    """total + part, which may be broadcast to `shape`; total, an array of its own of that shape, is overwritten."""
    spread = tuple(np.ascontiguousarray(np.broadcast_to(values, shape)) for values in part)
    if total is None:
        return spread[0], spread[1]
    return field.add(total[0], spread[0], out=total[0]), field.add(total[1], spread[1], out=total[1])


def flat(values: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """The flat table of an array that is broadcast to `shape`."""
    sides = tuple(1 << (length - 1).bit_length() for length in shape[1:])
    values = np.broadcast_to(values, shape)
    if sides == tuple(shape[1:]):
        return np.ascontiguousarray(values).reshape(-1)
    result = np.zeros((shape[0], *sides), dtype=values.dtype)
    result[tuple(slice(length) for length in shape)] = values
    return result.reshape(-1)


def flat_table(values: Pair, shape: Sequence[int]) -> U64:
    """The flat table of an array of K: blocked (m, 2, 8)."""
    parts = [flat(part, shape) for part in values]
    length = -(-len(parts[0]) // LANES) * LANES
    blocked = np.zeros((length // LANES, 2, LANES), dtype=np.uint64)
    for component, part in enumerate(parts):
        whole = len(part) // LANES
        blocked[:whole, component] = part[: whole * LANES].reshape(-1, LANES)
        if length > len(part):
            blocked[whole, component, : len(part) - whole * LANES] = part[whole * LANES :]
    return blocked


def multiply_table(left: U64, right: U64) -> U64:
    """The products of a flat table of F and a blocked one of K, which may be longer by less than eight entries."""
    padded = np.zeros(len(right) * LANES, dtype=np.uint64)
    padded[: len(left)] = left
    spread = np.ascontiguousarray(np.broadcast_to(padded.reshape(-1, 1, LANES), right.shape))
    return field.f_mul(spread, right)


def total_of(table: U64) -> K:
    """The sum of all entries of a blocked table of K."""
    ones = np.zeros_like(table)
    ones[:, 0] = 1
    return K(*field.k_dot(table, ones).tolist())
