"""Integer identities (zkds/integers/identity.py) against plain integers; forged carries where a plan is too weak."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.carries import carry_values
from zkds.errors import PlanRejected
from zkds.field import ZERO, K, P
from zkds.integers import identity, limbs
from zkds.integers.identity import IdentityPlan, plan_identity
from zkds.integers.intervals import Interval
from zkds.integers.limbs import LimbFormat


def rounding(
    left: LimbFormat, right: LimbFormat, terms: int, shift: int, output: LimbFormat
) -> tuple[list[Interval], Interval]:
    """Digit intervals and total interval of sum_k a_k b_k + half - rem - 2^shift out."""
    remainder = LimbFormat(16, shift, False)
    digits = [Interval(0, 0)] * (left.limbs + right.limbs + output.limbs + shift // 16)
    for i, a in enumerate(left.coefficient_intervals):
        for j, b in enumerate(right.coefficient_intervals):
            digits[i + j] += (a * b).times(terms)
    for i, r in enumerate(remainder.coefficient_intervals):
        digits[i] -= r
    for i, u in enumerate(output.coefficient_intervals):
        digits[i + shift // 16] -= u.times(1 << shift % 16)
    half = 1 << (shift - 1)
    digits[(shift - 1) // 16] += Interval.point(1 << (shift - 1) % 16)
    total = (left.interval * right.interval).times(terms) + Interval.point(half) - remainder.interval
    return digits, total - output.interval.times(1 << shift)


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 5000),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from([16, 20, 22]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_rounded_sums_of_products(left_width, right_width, terms, shift, output_width, limb_bits, rng):
    left, right = LimbFormat(16, left_width, True), LimbFormat(16, right_width, True)
    output = LimbFormat(16, output_width, True)
    digits, total = rounding(left, right, terms, shift, output)
    try:
        plan = plan_identity(digits, total, limb_bits)
    except PlanRejected:
        return
    assert plan.carry_limbs <= plan_identity(digits, total).carry_limbs
    plan.check(digits, total)
    a = [rng.randint(left.interval.low, left.interval.high) for _ in range(min(terms, 5))]
    b = [rng.randint(right.interval.low, right.interval.high) for _ in a]
    exact = sum(x * y for x, y in zip(a, b, strict=True)) + (1 << (shift - 1))
    out, rem = exact >> shift, exact % (1 << shift)
    if not output.interval.low <= out <= output.interval.high:
        return
    sums = digit_sums(left, right, output, a, b, out, rem, shift, len(digits))
    assert sum(e << (16 * d) for d, e in enumerate(sums)) == 0
    carries = carry_values(plan, [np.array([e]) for e in sums[: plan.low_digits]])
    for carry, number in zip(carries, plan.carries, strict=True):
        assert number.interval.low <= carry[0] <= number.interval.high
    gamma = K(rng.randrange(P), rng.randrange(P))
    value = ZERO
    for weight, e in zip(plan.digit_weights(gamma, len(sums)), sums, strict=True):
        value = value + weight * e
    for weight, carry in zip(plan.carry_weights(gamma), carries, strict=True):
        value = value + weight * int(carry[0])
    assert value == ZERO


def digit_sums(left, right, output, a, b, out, rem, shift, count):
    sums = [0] * count

    def digits_of(number, value):
        limbs = number.split("v", np.array([value], dtype=np.int64))
        return [int(c[0]) for c in number.coefficients(limbs)]

    for x, y in zip(a, b, strict=True):
        for i, u in enumerate(digits_of(left, x)):
            for j, v in enumerate(digits_of(right, y)):
                sums[i + j] += u * v
    for i, r in enumerate(digits_of(LimbFormat(16, shift, False), rem)):
        sums[i] -= r
    for i, u in enumerate(digits_of(output, out)):
        sums[i + shift // 16] -= u << shift % 16
    sums[(shift - 1) // 16] += 1 << (shift - 1) % 16
    return sums


def test_a_violated_identity_leaves_no_carries():
    """A multiple of p that is not zero: (i) holds, and no carry in its format satisfies (ii), for every forged carry."""
    left, right, output = LimbFormat(16, 41, True), LimbFormat(16, 44, True), LimbFormat(16, 41, True)
    digits, total = rounding(left, right, 400, 40, output)
    plan = plan_identity(digits, total)
    assert (plan.groups, plan.carry_limbs) == ((2,), 2)
    rng = random.Random(7)
    for _ in range(200):
        low = [rng.randint(digits[d].low, digits[d].high) for d in range(2)]
        group = low[0] + (low[1] << 16)
        solutions = [q for q in (group * pow(1 << 32, -1, P) % P, group * pow(1 << 32, -1, P) % P - P)]
        fitting = [q for q in solutions if plan.carries[0].interval.low <= q <= plan.carries[0].interval.high]
        assert all(q << 32 == group for q in fitting)
        assert bool(fitting) == (group % (1 << 32) == 0)


@pytest.mark.parametrize("prime", [31, 61, 127])
@pytest.mark.parametrize("limb_bits", [2, 3])
@pytest.mark.parametrize("most", [2, 3, 4, 6, 8])
def test_plans_modulo_a_tiny_prime_by_exhaustion(prime, limb_bits, most, monkeypatch):
    """Digits of two bits, three digit sums up to `most`, limbs of carries of two or three bits.

    Under a plan that passes its check an identity that holds has one tuple of carries, and one that does not hold has none;
    with wider carries, which the check refuses, some have.
    """
    monkeypatch.setattr(identity, "P", prime)
    monkeypatch.setattr(identity, "_planned", identity._planned.__wrapped__)  # plans of other primes are no plans
    for module in (identity, limbs):
        monkeypatch.setattr(module, "DIGIT_BITS", 2)
    digits, total = [Interval(-most, most)] * 3, Interval(-21 * most, 21 * most)
    plan = plan_identity(digits, total, limb_bits)
    assert solutions(plan, most, prime) == ({1}, {0})
    for group, wider in itertools.product(range(len(plan.carries)), range(1, 6)):
        carries = list(plan.carries)
        carries[group] = replace(carries[group], width=carries[group].width + wider)
        other = IdentityPlan(plan.groups, tuple(carries))
        try:
            other.check(digits, total)
        except PlanRejected:
            assert solutions(other, most, prime)[1] != {0}
        else:
            assert solutions(other, most, prime) == ({1}, {0})


def solutions(plan, most, prime):
    """How many carries an identity of three digits in base 4 has modulo a prime: if it holds, and if it does not."""
    sums = [np.arange(-most, most + 1)] * 3
    carries = [np.arange(carry.interval.low, carry.interval.high + 1) for carry in plan.carries]
    axes = np.meshgrid(*sums, *carries, indexing="ij", sparse=True)
    value = axes[0] + 4 * axes[1] + 16 * axes[2]
    accepted, incoming, first = value % prime == 0, 0, 0
    for size, carry in zip(plan.groups, axes[3:], strict=True):
        group = sum(4**i * axes[first + i] for i in range(size))
        accepted = accepted & ((incoming + group - 4**size * carry) % prime == 0)
        incoming, first = carry, first + size
    count = np.broadcast_to(accepted, [len(axis) for axis in (*sums, *carries)]).reshape(*value.shape[:3], -1).sum(axis=-1)
    holds = value.reshape(count.shape) == 0
    return set(count[holds].tolist()), set(count[~holds].tolist())


def test_plans_that_are_too_weak_are_refused():
    digits, total = rounding(LimbFormat(16, 41, True), LimbFormat(16, 44, True), 400, 40, LimbFormat(16, 41, True))
    plan = plan_identity(digits, total)
    with pytest.raises(PlanRejected, match="needs more low digits"):
        IdentityPlan((1,), plan.carries).check(digits, total)
    with pytest.raises(PlanRejected, match="can wrap around p"):
        IdentityPlan((2,), (LimbFormat(16, 48, True),)).check(digits, total)
    with pytest.raises(PlanRejected, match="can wrap around p"):
        plan.check([digits[0], digits[1].times(64), *digits[2:]], total)
    with pytest.raises(PlanRejected, match="1 groups but 2 carries"):
        IdentityPlan((2,), plan.carries * 2).check(digits, total)
    with pytest.raises(PlanRejected, match="groups of 1 to 3"):
        IdentityPlan((0,), plan.carries).check(digits, total)
    with pytest.raises(PlanRejected, match="too wide"):
        plan_identity(digits, Interval.signed(400))


def test_carries_of_a_wrong_witness_are_an_error():
    plan = IdentityPlan((1, 2), (LimbFormat(16, 20, True),) * 2)
    plan.require_exact([True, True])
    with pytest.raises(ValueError, match=r"digits 0 to 0 do not sum to a multiple of 2\^16"):
        plan.require_exact([False, False])
    with pytest.raises(ValueError, match=r"digits 1 to 2 do not sum to a multiple of 2\^32"):
        plan.require_exact([True, False])
