"""Rounding of integers wider than 64 bits against Python ints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkds.integers.digit_sums import round_sums

pytestmark = pytest.mark.any_kernels

sums = st.one_of(st.integers(-(2**62) + 1, 2**62 - 1), st.integers(-3, 3), st.integers(-(2**33), 2**33))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(sums, min_size=1, max_size=8), st.integers(1, 60))
def test_the_quotient_and_the_remainder_or_the_end_of_int64(digits, shift):
    value = sum(digit << 16 * d for d, digit in enumerate(digits))
    exact = (value + (1 << (shift - 1))) >> shift
    quotient, remainder = (int(x[0]) for x in round_sums([np.array([digit]) for digit in digits], shift))
    assert remainder == (value + (1 << (shift - 1))) % (1 << shift)
    if -(1 << 62) <= exact < 1 << 62:
        assert quotient == exact
    else:
        assert quotient == (2**63 - 1 if exact > 0 else -(2**63))


def test_ties_go_upwards():
    quotient, remainder = round_sums([np.array([-24, -8, 7, 8, 24])], 4)
    assert quotient.tolist() == [-1, 0, 0, 1, 2] and remainder.tolist() == [0, 0, 15, 0, 0]


@pytest.mark.parametrize("shift", [0, 61])
def test_misuse(shift):
    with pytest.raises(ValueError, match=f"shift: expected 1 to 60, got {shift}"):
        round_sums([np.zeros(1, dtype=np.int64)], shift)
