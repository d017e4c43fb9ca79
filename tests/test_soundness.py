"""The budget: arithmetic, the grinding rule, its cap, and the refusal below the target."""

from __future__ import annotations

import math

import pytest

from zkds.errors import InsufficientSecurity
from zkds.field import P
from zkds.soundness import ALGEBRAIC_BITS, LOG2_K, MAX_GRINDING, TARGET_BITS, Budget, ErrorTerm, algebraic, total_bits


def term(bits: float, grinding: int = 0, name: str = "x") -> ErrorTerm:
    return ErrorTerm(name, bits, "formula", "source", grinding)


def test_the_total_is_that_of_the_sum_of_the_errors() -> None:
    assert total_bits([term(101), term(101)]) == 100
    assert total_bits([term(101), term(90, 11)]) == 100
    assert total_bits([term(100)] * 1024) == 90
    assert total_bits([]) == math.inf
    assert total_bits([term(3), term(5000)]) == 3


def test_field_terms() -> None:
    assert pytest.approx(2 * math.log2(P)) == LOG2_K
    light = algebraic("light", 2, "2 / |K|", "s")
    assert light.bits == pytest.approx(121) and light.grinding == 0
    heavy = algebraic("heavy", 2.0**20, "f", "s")
    assert heavy.bits == pytest.approx(102) and heavy.grinding == 6


@pytest.mark.parametrize("log_numerator", range(39))
def test_grinding_is_the_least_that_reaches_the_level(log_numerator: int) -> None:
    made = algebraic("t", 2.0**log_numerator, "f", "s")
    assert made.total_bits >= ALGEBRAIC_BITS
    assert made.grinding == 0 or made.total_bits - 1 < ALGEBRAIC_BITS
    assert made.grinding <= MAX_GRINDING


def test_grinding_has_a_cap() -> None:
    with pytest.raises(InsufficientSecurity) as caught:
        algebraic("too heavy", 2.0**40, "f", "s")
    assert caught.value.reason == "too heavy: grinding"
    assert caught.value.actual > MAX_GRINDING


def test_require() -> None:
    budget = Budget()
    budget.add(term(TARGET_BITS + 1))
    assert budget.require() == TARGET_BITS + 1
    budget.add(term(TARGET_BITS + 1))
    assert budget.require() == TARGET_BITS
    budget.add(term(TARGET_BITS + 1))
    with pytest.raises(InsufficientSecurity) as caught:
        budget.require()
    found = (caught.value.reason, caught.value.expected, caught.value.actual)
    assert found == ("soundness budget", "at least 100.0 bits", "99.42 bits")
    assert budget.require(99.0) < TARGET_BITS


def test_a_total_that_is_no_number_is_refused() -> None:
    budget = Budget()
    budget.add(term(math.nan))
    with pytest.raises(InsufficientSecurity):
        budget.require()


def test_lines_group_by_name_weakest_first() -> None:
    budget = Budget()
    for made in (term(110, name="strong"), term(105, 2, name="weak"), term(106, name="weak")):
        budget.add(made)
    weak, strong = budget.lines()
    assert (weak.name, weak.count, weak.weakest.bits) == ("weak", 2, 106)
    assert (strong.name, strong.count, strong.total_bits) == ("strong", 1, 110)
    assert weak.total_bits == pytest.approx(-math.log2(2**-107 + 2**-106))
