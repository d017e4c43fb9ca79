"""Plans of rounded sums of products: the table of the specification, what their checks refuse, and the forgery they exclude."""

import functools
import itertools

import numpy as np
import pytest

from tests.harness.limbs import join
from tests.harness.whole_proof import carrying_relation, honest_columns, with_plan
from tests.reference import rounding as reference
from zkds.errors import PlanRejected
from zkds.field import P
from zkds.identities.matrix_product import MatrixProduct
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.identity import IdentityPlan
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import MAX_WIDTH, LimbFormat
from zkds.tensors.tensor import Committed

pytestmark = pytest.mark.any_kernels

WIDTHS = [30, 48, 60]  # two, three and four limbs


def rounding_of(width, terms=4096, shift=32):
    return MatrixProduct(1, terms, 1, width=width, shift=shift).rounding


def full_limbs(plan):
    """The plan with every carry in full limbs, all that it takes: what one gets by not thinking about widths."""
    return IdentityPlan(plan.groups, tuple(LimbFormat(16, 16 * carry.limbs, signed=True) for carry in plan.carries))


def largest_sound_width(rounding, group):
    """The widest carry of one group that the check lets pass, the others as they are."""
    for width in range(MAX_WIDTH, 0, -1):
        carries = list(rounding.plan.carries)
        carries[group] = LimbFormat(16, width, carries[group].signed)
        try:
            IdentityPlan(rounding.plan.groups, tuple(carries)).check(rounding.digits, rounding.total)
        except PlanRejected:
            continue
        return width
    return 0


@pytest.mark.parametrize(
    ("width", "log_sums", "groups", "carries", "largest", "lookups"),
    [
        (30, [44, 42, 38], (1,), [28], [44], 6),
        (48, [44, 45, 45, 44, 42], (2, 1), [29, 30], [29, 45], 9),
        (60, [44, 45, 46, 46, 45, 40, 34], (2, 1, 1, 1), [29, 30, 31, 30], [29, 44, 45, 45], 14),
    ],
)
def test_the_table_of_the_specification(width, log_sums, groups, carries, largest, lookups):
    rounding = rounding_of(width)
    products = rounding.products[0].products
    for d, expected in enumerate(log_sums):
        pairs = [(i, d - i) for i in range(len(products.left.digits)) if 0 <= d - i < len(products.right.digits)]
        assert (sum(extreme(products, i, j, max) for i, j in pairs) - 1).bit_length() == expected
    assert rounding.plan.groups == groups
    assert [carry.width for carry in rounding.plan.carries] == carries
    assert [largest_sound_width(rounding, g) for g in range(len(groups))] == largest
    assert rounding.remainder.format.limb_widths == (16, 16)
    assert sum(part.format.limbs for part in (*rounding.parts, rounding.output.columns)) == lookups


def extreme(products, i, j, best):
    """The largest or smallest sum of up to `terms` products of digits i and j, of all corners."""
    left, right = products.left.digits[i], products.right.digits[j]
    corners = [a * b for a, b in itertools.product((left.low, left.high), (right.low, right.high))]
    return products.terms * best(0, *corners)


@pytest.mark.parametrize("width", WIDTHS)
def test_digit_intervals_are_attained(width):
    """The bounds that soundness rests on are those of real limbs, by enumeration of the corners."""
    rounding = rounding_of(width, terms=3, shift=36)
    products, output = rounding.products[0].products, rounding.output
    for d, interval in enumerate(rounding.digits):
        pairs = [(i, d - i) for i in range(len(products.left.digits)) if 0 <= d - i < len(products.right.digits)]
        low = sum(extreme(products, i, j, min) for i, j in pairs)
        high = sum(extreme(products, i, j, max) for i, j in pairs)
        half = 1 << 3 if d == 2 else 0
        remainder = (1 << (16, 16, 4)[d]) - 1 if d < 3 else 0
        limb = output.digits[d - 2] if 0 <= d - 2 < len(output.digits) else None
        below, above = (limb.low << 4, limb.high << 4) if limb else (0, 0)
        assert (interval.low, interval.high) == (low + half - remainder - above, high + half - below)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_equation_reaches_p_and_one_more_bit_of_carry_would(width):
    rounding = rounding_of(width)
    rounding.check()
    for group in range(len(rounding.plan.groups)):
        carries = list(rounding.plan.carries)
        carries[group] = LimbFormat(16, largest_sound_width(rounding, group) + 1, carries[group].signed)
        with pytest.raises(PlanRejected, match="can wrap around p"):
            IdentityPlan(rounding.plan.groups, tuple(carries)).check(rounding.digits, rounding.total)


# ---- the forgery by wrapped carries -----------------------------------------------------------------------------------


@functools.cache
def honest(width):
    relation = MatrixProduct(1, 2, 1, width=width, shift=36)
    return relation, honest_columns(relation)


def careless(relation):
    number = relation.output.columns.format
    return with_plan(
        MatrixProduct(1, 2, 1, width=number.width, shift=relation.rounding.shift), full_limbs(relation.rounding.plan)
    )


def left_over(relation, columns):
    """What must be zero over the integers, at entry (0, 0)."""
    sums = reference.digit_sums(relation, columns, 0, 0)
    return reference.residuals(relation.rounding.plan, sums, reference.carries_at(relation, columns, (0, 0)))


def fits(relation, columns):
    """Whether all carries are within their formats."""
    carries = zip(relation.rounding.plan.carries, reference.carries_at(relation, columns, (0, 0)), strict=True)
    return all(number.interval.low <= value <= number.interval.high for number, value in carries)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("width", [48, 60])
def test_the_wrapped_carry_forgery_is_real_for_full_carry_limbs_and_refused_by_the_plan(width, sign):
    relation, columns = honest(width)
    assert not any(left_over(relation, columns)) and fits(relation, columns)
    weak = careless(relation)
    true = reference.with_carries(weak, columns)
    forged = reference.forged(weak, columns, sign)
    output, remainder = relation.output.columns, relation.rounding.remainder
    for part, step in ((output, sign << 25), (remainder, -sign)):
        assert join(part.format, part.limbs(forged)) - join(part.format, part.limbs(columns)) == step
    moved = zip(*(reference.carries_at(weak, found, (0, 0)) for found in (forged, true)), strict=True)
    assert [a - b for a, b in moved] == [sign << 29, sign << 13 if width == 48 else 0]

    residuals = left_over(weak, forged)
    assert residuals[0] == -sign * P and not any(residual % P for residual in residuals)  # false over the integers
    assert fits(weak, forged)  # so a careless plan accepts it
    with pytest.raises(PlanRejected, match="the group of digits that begins at 0 can wrap around p"):
        weak.check()
    assert not all(
        number.interval.low <= value <= number.interval.high
        for number, value in zip(relation.rounding.plan.carries, reference.carries_at(weak, forged, (0, 0)), strict=True)
    )  # and the plan in use has no room for it
    relation.check()


def test_without_low_digits_the_forgery_needs_no_carry():
    _, columns = honest(48)
    weak = with_plan(MatrixProduct(1, 2, 1, width=48, shift=36), IdentityPlan((), ()))
    assert left_over(weak, reference.forged(weak, columns)) == [-P]
    with pytest.raises(PlanRejected, match="a value of 96 bits needs more low digits"):
        weak.check()


# ---- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [(33, False), (48, False), (31, False), (32, True)])
def test_a_remainder_of_another_format_is_refused(number):
    rounding = rounding_of(48)
    rounding.check()
    rounding.remainder = LimbColumns("remainder", LimbFormat(16, *number), rounding.output.shape)
    with pytest.raises(PlanRejected, match="expected a remainder of exactly 32 unsigned bits"):
        rounding.check()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: IdentityPlan(p.groups, p.carries[:1]), "2 groups but 1 carries"),
        (lambda p: IdentityPlan(p.groups[:1], p.carries), "1 groups but 2 carries"),
        (lambda p: IdentityPlan(p.groups[:1], p.carries[:1]), "needs more low digits"),
        (lambda p: IdentityPlan((1, 1), p.carries), "needs more low digits"),
        (lambda p: IdentityPlan((4,), p.carries[:1]), "expected groups of 1 to 3 digits"),
        (lambda p: IdentityPlan((3,), p.carries[:1]), "the group of digits that begins at 0 can wrap around p"),
        (lambda p: IdentityPlan(p.groups, (p.carries[0], LimbFormat(16, 48, True))), "begins at 2 can wrap around p"),
    ],
)
def test_a_plan_that_proves_less_is_refused(change, reason):
    relation = carrying_relation()
    plan = relation.rounding.plan
    assert plan.groups == (2, 1)
    with pytest.raises(PlanRejected, match=reason):
        with_plan(relation, change(plan)).check()


def test_a_plan_for_shorter_sums_is_refused():
    short, long = rounding_of(48, terms=1, shift=36), carrying_relation(1, 1 << 16, 1)
    assert (short.plan.groups, long.rounding.plan.groups) == ((1, 2), (1, 1, 1, 1))
    with pytest.raises(PlanRejected, match="needs more low digits"):
        with_plan(long, short.plan).check()


def test_sums_with_too_many_terms_have_no_plan():
    relation = MatrixProduct(1, 1, 1)
    relation.products.terms = 1 << 24
    RoundedSum("sum", relation.output, 32, relation.products).check()
    relation.products.terms = 1 << 30
    with pytest.raises(PlanRejected, match="no groups of the lowest 4 digits stay below p"):
        RoundedSum("sum", relation.output, 32, relation.products)


@pytest.mark.parametrize("shift", [1, 5, 16, 17, 32, 44, 60])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_shift(width, shift):
    relation = MatrixProduct(2, 5, 2, width=width, shift=shift)
    relation.check()
    assert relation.rounding.remainder.format.limb_widths[-1] == (shift - 1) % 16 + 1
    columns = honest_columns(relation)
    for index in np.ndindex(2, 2):
        sums = reference.digit_sums(relation, columns, *index)
        assert not any(reference.residuals(relation.rounding.plan, sums, reference.carries_at(relation, columns, index)))


def test_encoding_is_canonical_and_distinguishes():
    rounding = rounding_of(48)
    assert rounding.encode() == rounding_of(48).encode()
    weak = careless(MatrixProduct(1, 4096, 1, width=48, shift=32)).rounding
    variants = [rounding_of(48, shift=31), rounding_of(48, terms=1), rounding_of(60), weak]
    assert len({rounding.encode(), *(variant.encode() for variant in variants)}) == 5


def test_misuse():
    output = Committed(LimbColumns("out", LimbFormat(16, 20, True), (3,)))
    with pytest.raises(ValueError, match="sum: expected products or a linear term"):
        RoundedSum("sum", output, 4, None)
    with pytest.raises(PlanRejected, match="expected a rounding of 1 to 60 bits, got 61"):
        rounding_of(48, shift=61)
