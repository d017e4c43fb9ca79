"""Slow twins of zkds.zk.rows: polynomials over K by their definition, in Python integers."""

from __future__ import annotations

from collections.abc import Sequence

from zkds.field import ONE, ZERO, K, root_of_unity


def group(order: int) -> list[K]:
    """The powers of the root of this order (a power of two), 1 first."""
    root, points = root_of_unity(order.bit_length() - 1), [ONE]
    while len(points) < order:
        points.append(points[-1] * root)
    return points


def odd_powers(length: int) -> list[K]:
    """The odd powers of the root of order 2 length."""
    return group(2 * length)[1::2]


def evaluate(coefficients: Sequence[K], point: K) -> K:
    value = ZERO
    for coefficient in reversed(coefficients):
        value = value * point + coefficient
    return value


def interpolate(values: Sequence[K]) -> list[K]:
    """The coefficients of the polynomial of least degree with these values on the group of their number (inverse DFT)."""
    points, count = group(len(values)), len(values)
    scale = K(count).inverse()
    return [sum((value * points[-i * j % count] for j, value in enumerate(values)), ZERO) * scale for i in range(count)]
