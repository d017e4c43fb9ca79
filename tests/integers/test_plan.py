"""Plans of limbs and carries: the table of the specification, soundness, completeness, and the forgery that they exclude."""

from dataclasses import replace

import numpy as np
import pytest

from tests.reference import rounding as reference
from tests.reference.rounding import IN_USE
from zkds.errors import PlanRejected
from zkds.field import P
from zkds.integers.limbs import LimbFormat, WitnessOverflow
from zkds.integers.plan import RoundingPlan, largest_sound_carry_width, plan_check, plan_rounding


def plan_in_use(limb_bits, limbs, terms=4096, shift=32):
    width = IN_USE[limb_bits, limbs]
    return plan_rounding(limb_bits=limb_bits, shift=shift, terms=terms, left_width=width, right_width=width, output_width=width)


def naive(plan: RoundingPlan) -> RoundingPlan:
    """The plan with every carry in as many full limbs as the forgery needs: what one gets by not thinking about widths."""
    limbs = -(-(61 - plan.limb_bits + 1) // plan.limb_bits)
    carry = LimbFormat(plan.limb_bits, limbs * plan.limb_bits, signed=True)
    return replace(plan, carries=tuple(carry for _ in plan.carries))


@pytest.mark.parametrize(
    ("limb_bits", "limbs", "log_sums", "carry_widths", "largest", "lookups"),
    [
        (16, 3, [44, 45, 45, 44, 42], [29, 30, 30, 30], 45, 13),
        (16, 4, [44, 45, 46, 46, 45, 40, 34], [29, 30, 31, 31, 30, 26], 45, 18),
        (22, 2, [56, 56, 54], [35, 35], 39, 8),
        (22, 3, [56, 57, 57, 50, 42], [35, 36, 36, 30], 39, 13),
    ],
)
def test_the_table_of_the_specification(limb_bits, limbs, log_sums, carry_widths, largest, lookups):
    plan = plan_in_use(limb_bits, limbs)
    assert plan.left.limbs == limbs
    assert [(interval.magnitude() - 1).bit_length() for interval in plan.sum_intervals()] == log_sums
    assert [carry.width for carry in plan.carries] == carry_widths
    assert largest_sound_carry_width(plan) == largest
    assert plan.lookups_per_value == lookups
    assert plan.remainder.limb_widths == ((16, 16) if limb_bits == 16 else (22, 10))


@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_coefficient_intervals_are_attained(limb_bits, limbs):
    """The bounds that soundness rests on are those of real limbs, by enumeration of the corners."""
    plan = plan_in_use(limb_bits, limbs, terms=3)
    extremes = [(interval.low, interval.high) for interval in plan.left.coefficient_intervals]
    for position, interval in enumerate(plan.sum_intervals()):
        pairs = [(i, position - i) for i in range(limbs) if 0 <= position - i < limbs]
        corners = [[a * b for a in extremes[i] for b in extremes[j]] for i, j in pairs]
        assert interval.low == 3 * sum(min(products) for products in corners)
        assert interval.high == 3 * sum(max(products) for products in corners)


@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_residuals_stay_below_p_and_one_more_bit_of_carry_would_not(limb_bits, limbs):
    plan = plan_in_use(limb_bits, limbs)
    assert max(plan.residual_bounds()) < P
    widest = largest_sound_carry_width(plan)
    plan_check(replace(plan, carries=tuple(LimbFormat(limb_bits, widest, signed=True) for _ in plan.carries)))
    one_more = tuple(LimbFormat(limb_bits, widest + 1, signed=True) for _ in plan.carries)
    with pytest.raises(PlanRejected, match=r"soundness of coefficient 0: bound: expected below 2\^61 - 1"):
        plan_check(replace(plan, carries=one_more))


@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_the_wrapped_carry_forgery_is_real_for_full_carry_limbs_and_refused_by_the_plan(limb_bits, limbs):
    plan = plan_in_use(limb_bits, limbs, terms=2)
    careless = naive(plan)
    left, right = [(3 << 32) + 1, -(5 << 30)], [(7 << 20) + 1, 12345]
    honest = reference.witness(plan, left, right)
    forged = reference.wrapped_carry_forgery(plan, honest)
    assert forged.output == honest.output + 2**29 and forged.remainder == honest.remainder - 1
    assert forged.carries[0] == honest.carries[0] - 2 ** (61 - limb_bits)
    assert [f == h for f, h in zip(forged.carries, honest.carries, strict=True)].count(False) == (61 - 1) // limb_bits

    residuals = reference.residuals(plan, left, right, forged)
    assert any(residuals) and not any(e % P for e in residuals)  # false over the integers, true modulo p
    assert not any(reference.residuals(plan, left, right, honest))

    def fits(formats, carries):
        return [number.interval.low <= q <= number.interval.high for number, q in zip(formats, carries, strict=True)]

    assert all(fits(careless.carries, forged.carries))  # so a careless plan accepts it
    with pytest.raises(PlanRejected, match="soundness of coefficient 0"):
        plan_check(careless)
    assert not fits(plan.carries, forged.carries)[0]  # and the plan in use has no room for it
    plan_check(plan)


def test_the_forgery_of_the_specification():
    plan = plan_in_use(22, 2)
    honest = reference.witness(plan, [12345678901], [98765432])
    forged = reference.wrapped_carry_forgery(plan, honest)
    assert [f - h for f, h in zip(forged.carries, honest.carries, strict=True)] == [-(2**39), -(2**17)]


def changed(plan, **fields):
    return replace(plan, **fields)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda p: changed(p, remainder=LimbFormat(22, 33, signed=False)),
            "width of remainder: expected exactly 32 bits, got 33",
        ),
        (
            lambda p: changed(p, remainder=LimbFormat(22, 44, signed=False)),
            "width of remainder: expected exactly 32 bits, got 44",
        ),
        (
            lambda p: changed(p, remainder=LimbFormat(22, 31, signed=False)),
            "width of remainder: expected exactly 32 bits, got 31",
        ),
        (lambda p: changed(p, remainder=LimbFormat(22, 32, signed=True)), "remainder: expected an unsigned format"),
        (lambda p: changed(p, carries=p.carries[:1]), "number of carries: expected 2, got 1"),
        (lambda p: changed(p, carries=(*p.carries, p.carries[0])), "number of carries: expected 2, got 3"),
        (
            lambda p: changed(p, carries=(LimbFormat(22, 34, True), p.carries[1])),
            "completeness of carry 0: width: expected at least 35",
        ),
        (lambda p: changed(p, carries=(p.carries[0], LimbFormat(22, 35, False))), "carry 1: expected a signed format"),
        (lambda p: changed(p, carries=(p.carries[0], LimbFormat(16, 35, True))), "limb_bits of carry 1: expected 22, got 16"),
        (lambda p: changed(p, output=LimbFormat(16, 44, True)), "limb_bits of output: expected 22, got 16"),
        (lambda p: changed(p, terms=0), "terms: expected 1 to"),
        (lambda p: changed(p, terms=1 << 18), "soundness of coefficient 0: bound"),
        (lambda p: changed(p, shift=0), "shift: expected 1 to 60 bits, got 0"),
        (lambda p: changed(p, shift=33), "width of remainder: expected exactly 33 bits, got 32"),
    ],
)
def test_plan_check_names_what_is_wrong(change, reason):
    plan = plan_in_use(22, 2)
    plan_check(plan)
    with pytest.raises(PlanRejected) as caught:
        plan_check(change(plan))
    assert str(caught.value).startswith(reason)


def test_too_many_terms_have_no_plan():
    plan_in_use(16, 3, terms=1 << 26)
    with pytest.raises(PlanRejected, match="soundness of coefficient"):
        plan_in_use(16, 3, terms=1 << 29)
    with pytest.raises(PlanRejected, match="soundness of coefficient"):
        plan_in_use(22, 3, terms=1 << 16)


@pytest.mark.parametrize("shift", [1, 5, 16, 21, 22, 23, 44, 60])
@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_every_shift(limb_bits, limbs, shift):
    plan = plan_in_use(limb_bits, limbs, terms=5, shift=shift)
    assert sum(half << (limb_bits * j) for j, half in enumerate(plan.half_coefficients)) == 1 << (shift - 1)
    assert plan.remainder.limb_widths[-1] == (shift - 1) % limb_bits + 1


def test_encoding_is_canonical_and_distinguishes():
    plan = plan_in_use(22, 2)
    assert plan.encode() == plan_in_use(22, 2).encode()
    variants = [plan_in_use(22, 2, terms=4095), plan_in_use(22, 2, shift=31), plan_in_use(16, 3), naive(plan)]
    assert len({plan.encode(), *(variant.encode() for variant in variants)}) == 5


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("limb_bits", "width"), [(16, 48), (16, 60), (22, 44), (22, 32), (22, 10), (16, 16), (3, 7), (1, 1)])
def test_limb_format(limb_bits, width, signed):
    number = LimbFormat(limb_bits, width, signed)
    low, high = number.interval.low, number.interval.high
    values = np.array([low, low + 1, low // 3, 0, high // 3, high - 1, high], dtype=np.int64).clip(low, high)
    limbs = number.split("x", values)
    assert len(limbs) == number.limbs and sum(number.limb_widths) == width
    for limb, bits in zip(limbs, number.limb_widths, strict=True):
        assert int(limb.max()) < 1 << bits
    assert (number.join(limbs) == values).all()
    polynomial = number.coefficients(limbs)
    for entry, value in enumerate(values.tolist()):
        assert sum(int(c[entry]) << (limb_bits * j) for j, c in enumerate(polynomial)) == value
    with pytest.raises(WitnessOverflow) as caught:
        number.split("weights", np.array([[0, 0], [0, high + 1]], dtype=np.int64))
    assert str(caught.value) == f"weights: the value at index (1, 1) does not fit {width} bits"
    assert caught.value.index == (1, 1)


def test_misuse():
    with pytest.raises(PlanRejected, match="width: expected 1 to 60 bits, got 61"):
        LimbFormat(16, 61, True)
    with pytest.raises(PlanRejected, match="limb_bits: expected 1 to 22, got 23"):
        LimbFormat(23, 46, True)
    with pytest.raises(TypeError, match="width: expected an int, got float"):
        LimbFormat(16, 48.0, True)
    with pytest.raises(TypeError, match="terms: expected an int, got str"):
        plan_rounding(limb_bits=16, shift=32, terms="many", left_width=48, right_width=48, output_width=48)
    with pytest.raises(TypeError, match="x: expected an int64 array, got int32"):
        LimbFormat(16, 48, True).split("x", np.zeros(3, dtype=np.int32))
