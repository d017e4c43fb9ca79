"""Polynomials whose coefficients are digits: intervals of what is computed from them, and their committed coefficients.

A number in balanced digits of base X (balanced_digits.py) is the value at X of a polynomial with coefficients of X / 2 at most;
sums of products of such numbers are values of polynomials whose coefficients are small as well. Where they stay between -2^59
and 2^59 they can be committed, and equality of polynomials modulo p is equality over the integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import zip_longest

from zkds.errors import ConstraintRejected
from zkds.field import ONE, K
from zkds.integers.intervals import Interval
from zkds.integers.limbs import MAX_WIDTH
from zkds.tensors.axes import EqAxis

COEFFICIENT_WIDTH = MAX_WIDTH
MAX_COEFFICIENT = (1 << (COEFFICIENT_WIDTH - 1)) - 1
ZERO_INTERVAL = Interval(0, 0)
HALF = K(2).inverse()

Intervals = Sequence[Interval]  # of the coefficients of a polynomial, lowest first


def product_intervals(left: Intervals, right: Intervals) -> list[Interval]:
    """Of the product of two polynomials with independent coefficients."""
    return list(_product_intervals(tuple(left), tuple(right)))


@lru_cache(maxsize=256)  # layers and steps share most of them, and a plan, its check and its witness all
def _product_intervals(left: tuple[Interval, ...], right: tuple[Interval, ...]) -> tuple[Interval, ...]:
    low, high = ([0] * (len(left) + len(right) - 1) for _ in range(2))
    for i, a in enumerate(left):
        if a == ZERO_INTERVAL:
            continue
        for j, b in enumerate(right, i):  # plain integers: a plan takes some 100,000 of these products
            corners = (a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high)
            low[j] += min(corners)
            high[j] += max(corners)
    return tuple(Interval(*bounds) for bounds in zip(low, high, strict=True))


def sum_intervals(left: Intervals, right: Intervals) -> list[Interval]:
    """Of the sum of two polynomials."""
    return [a + b for a, b in zip_longest(left, right, fillvalue=ZERO_INTERVAL)]


def magnitude(intervals: Intervals) -> int:
    """The largest absolute value of a coefficient."""
    return max(interval.magnitude() for interval in intervals)


def integer_digits(value: int, base: int) -> list[int]:
    """A positive integer as sum_j digit_j base^j, lowest first, with digits from -floor((base - 1) / 2) to floor(base / 2)."""
    low, digits = -((base - 1) // 2), []
    while value:
        digit = (value - low) % base + low
        digits.append(digit)
        value = (value - digit) // base
    return digits


def power_axis(count: int, gamma: K) -> tuple[EqAxis, K]:
    """Weights and a factor: factor * weights(m) = gamma^m for m < count. A point, so that claims stay claims at points.

    gamma^m = prod_b (1 + g_b) eq(y, m) with g_b = gamma^(2^b) and y_b = g_b / (1 + g_b). Raises ConstraintRejected if some g_b
    is -1, for count gammas at most.
    """
    point, factor, power = [], ONE, gamma
    for _ in range((count - 1).bit_length()):
        if not power + 1:
            raise ConstraintRejected("powers of a challenge: not a point", "none", "-1")
        point.append(power * (power + 1).inverse())
        factor, power = factor * (power + 1), power * power
    return EqAxis(count, tuple(point)), factor
