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


@given(small, st.integers(1, 5))
def test_multiples_divided(a, divisor):
    quotients = [x // divisor for x in members(a) if x % divisor == 0]
    if quotients:
        assert a.multiples_divided(divisor) == hull(quotients)
    else:
        with pytest.raises(ValueError, match="expected low <= high"):
            a.multiples_divided(divisor)


@given(small)
def test_magnitude_and_signed_width(a):
    assert a.magnitude() == max(abs(x) for x in members(a))
    width = a.signed_width()
    assert Interval.signed(width).contains(a)
    assert width == 1 or not Interval.signed(width - 1).contains(a)


def test_ranges_of_bits():
    assert Interval.unsigned(4) == Interval(0, 15)
    assert Interval.signed(4) == Interval(-8, 7)
    assert Interval.signed(1) == Interval(-1, 0)
    assert Interval(2, 3).contains(Interval(3, 3)) and not Interval(2, 3).contains(Interval(3, 4))


def test_misuse():
    with pytest.raises(ValueError, match=r"expected low <= high, got 2 > 1"):
        Interval(2, 1)
    with pytest.raises(TypeError, match="Interval high: expected an int, got float"):
        Interval(2, 3.0)
