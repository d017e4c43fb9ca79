"""Multilinear extensions of tables.

The table of an n-variable function holds its values on {0, 1}^n in natural order: bit b of the index is variable b, bit 0
the least significant. A point is a sequence of elements of K, point[b] for variable b. eq(p, x) is the multilinear
extension of equality, prod_b (p_b x_b + (1 - p_b)(1 - x_b)).

Tables come in three kinds: K, blocked, (m, 2, 8) uint64; F, (n,) uint64; small integers, (n,) uint32. A table shorter than 2^n
is zero beyond its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkds.field import ONE, ZERO, K, Scalar, to_pairs
from zkds.native import U32, U64
from zkds.native import multilinear as native

LANE_VARIABLES = 3  # a vector holds eight elements: index bits 0, 1, 2
LANES = 1 << LANE_VARIABLES


def binding_order(variables: int) -> list[int]:
    """The index bits in the order in which a sumcheck binds them: 3, 4, ..., n - 1, then 0, 1, 2 (all ascending if n <= 3).

    The kernels fold adjacent vectors of eight elements, so the bits inside a vector come last.
    """
    if variables < 0:
        raise ValueError(f"binding_order: expected a number of variables >= 0, got {variables}")
    lanes = min(variables, LANE_VARIABLES)
    return [*range(LANE_VARIABLES, variables), *range(lanes)]


def eq_at(p: Sequence[Scalar], q: Sequence[Scalar]) -> K:
    """eq(p, q) for two points of one length."""
    if len(p) != len(q):
        raise ValueError(f"eq_at: expected points of one length, got {len(p)} and {len(q)} coordinates")
    product = ONE
    for a, b in zip(p, q, strict=True):
        ab = ONE * a * b
        product = product * (ab + ab + 1 - a - b)
    return product


def index_weight(point: Sequence[K], index: int) -> K:
    """eq(point, index): the product over bits b of coordinate b or one minus it. Bits beyond the point are ignored."""
    weight = ONE
    for b, coordinate in enumerate(point):
        weight = weight * (coordinate if index >> b & 1 else 1 - coordinate)
    return weight


def eq_table(point: Sequence[Scalar], scale: Scalar = ONE) -> U64:
    """scale * eq(point, x) for x = 0, ..., 2^n - 1, blocked: (max(1, 2^n / 8), 2, 8) uint64."""
    return native.eq_table(to_pairs(point), to_pairs([scale])[0])


def evaluate(table: U64 | U32, point: Sequence[Scalar]) -> K:
    """The multilinear extension of a table of any of the three kinds at `point`.

    Raises TypeError or ValueError if the table is of no such kind or longer than 2^len(point).
    """
    re, im = native.evaluate(table, to_pairs(point)).tolist()
    return K(re, im)


def evaluate_integers(values: Any, point: Sequence[Scalar]) -> K:
    """`evaluate` for a (n,) uint32 or uint64 array; refuses blocked tables of K."""
    if getattr(values, "ndim", 1) != 1:
        raise ValueError(f"values: expected a one-dimensional array, got shape {values.shape}")
    return evaluate(values, point)


def evaluate_scalars(values: Sequence[Scalar], point: Sequence[Scalar]) -> K:
    """The multilinear extension of the few values of a protocol: a sequence of at most 2^len(point) elements."""
    if len(values) > 1 << len(point):
        raise ValueError(f"values: expected at most 2^{len(point)} elements, got {len(values)}")
    layer = [ONE * value for value in values] or [ZERO]
    for coordinate in point:
        layer = layer + [ZERO] * (len(layer) % 2)
        layer = [low + coordinate * (high - low) for low, high in zip(layer[::2], layer[1::2], strict=True)]
    return layer[0]
