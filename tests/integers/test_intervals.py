"""Exact intervals against enumeration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkds.integers.intervals import Interval

small = st.tuples(st.integers(-9, 9), st.integers(0, 6)).map(lambda pair: Interval(pair[0], pair[0] + pair[1]))


def members(interval):
    return range(interval.low, interval.high + 1)


def hull(values):
    values = list(values)
    return Interval(min(values), max(values))


@given(small, small)
def test_operations_are_the_hull_of_all_results(a, b):
    pairs = [(x, y) for x in members(a) for y in members(b)]
    assert a + b == hull(x + y for x, y in pairs)
    assert a - b == hull(x - y for x, y in pairs)
    assert a * b == hull(x * y for x, y in pairs)
    assert -a == hull(-x for x in members(a))


@given(small, st.integers(0, 5))
def test_times_a_number_of_terms_is_their_sum(a, terms):
    total = Interval.point(0)
    for _ in range(terms):
        total = total + a
    assert a.times(terms) == total


@given(small)
def test_magnitude_and_zero(a):
    assert a.magnitude() == max(abs(x) for x in members(a))
    assert a.with_zero() == hull([*members(a), 0])


def test_ranges_of_bits():
    assert Interval.unsigned(4) == Interval(0, 15)
    assert Interval.signed(4) == Interval(-8, 7)
    assert Interval.signed(1) == Interval(-1, 0)


def test_misuse():
    with pytest.raises(ValueError, match=r"expected low <= high, got 2 > 1"):
        Interval(2, 1)
    with pytest.raises(TypeError, match="Interval high: expected an int, got float"):
        Interval(2, 3.0)
