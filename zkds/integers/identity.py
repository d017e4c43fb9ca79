"""Integer identities with few carries: divisible by p and by a power of two, and too small to be anything but zero.

An identity says Delta = 0 over the integers for every entry of a tensor, where Delta = sum_d e_d 2^(16 d) and each digit sum
e_d is an exact integer expression of committed limbs (sums of products of digits, and single digits). The proof has two parts:

  (i)  Delta = 0 mod p, which needs no committed cell at all;
  (ii) the lowest m digits are consecutive groups of 1 to 3; for group g, which begins at digit f and has k digits,

           q_(g-1) + sum_(i < k) 2^(16 i) e_(f + i) = 2^(16 k) q_g            (q_(-1) = 0; each carry q_g committed)

       mod p, and both sides together are smaller than p, so it holds over the integers.

(ii) says that 2^(16 m) divides Delta; p is odd, so p 2^(16 m) divides it; and the interval of Delta holds no multiple of that
but zero. Carries through every digit would be the case where m covers Delta without the help of p: for sums of products of 41
and 44 bits some 8 committed limbs of carries for a value, here 2.

With a challenge gamma all parts are one equation, sum_d weight_d e_d + sum_g carry_weight_g q_g = 0 in K:

    weight_d        2^(16 d), plus gamma^(g + 1) 2^(16 (d - f)) if d belongs to group g
    carry_weight_g  - gamma^(g + 1) 2^(16 k), plus gamma^(g + 2) if there is a group g + 1

a polynomial in gamma whose coefficients are (i) and the equations (ii). `IdentityPlan.check` repeats the argument with exact
intervals; the verifier runs it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zkds.errors import PlanRejected
from zkds.field import ZERO, K, P, powers
from zkds.integers.intervals import Interval
from zkds.integers.limbs import DIGIT_BITS as DIGIT_BITS
from zkds.integers.limbs import MAX_WIDTH, LimbFormat

MAX_GROUP = 3
MAX_LOW_DIGITS = 12
ZERO_INTERVAL = Interval(0, 0)


@dataclass(frozen=True)
class IdentityPlan:
    """How many low digits have to vanish, in which groups, and the format of each group's carry.

    groups     the number of digits of each group, lowest first
    carries    for each group, the format of its carry; the carry takes every value of the format's interval
    """

    groups: tuple[int, ...]
    carries: tuple[LimbFormat, ...]

    @property
    def low_digits(self) -> int:
        """m: 2^(16 m) is shown to divide the identity's value."""
        return sum(self.groups)

    @property
    def gamma_degree(self) -> int:
        """The degree in gamma of the combined equation."""
        return len(self.groups)

    @property
    def carry_limbs(self) -> int:
        """The number of committed cells for each entry."""
        return sum(carry.limbs for carry in self.carries)

    def digit_weights(self, gamma: K, count: int) -> list[K]:
        """weight_d for d = 0, ..., count - 1."""
        weights = [K(pow(2, DIGIT_BITS * d, P)) for d in range(count)]
        for first, size, power in self._placed(gamma):
            for i in range(min(size, count - first)):
                weights[first + i] = weights[first + i] + power * (1 << DIGIT_BITS * i)
        return weights

    def carry_weights(self, gamma: K) -> list[K]:
        """carry_weight_g for every group g."""
        gammas = [power for _, _, power in self._placed(gamma)]
        following = [*gammas[1:], ZERO]
        return [
            after - power * (1 << DIGIT_BITS * size) for power, after, size in zip(gammas, following, self.groups, strict=False)
        ]

    def _placed(self, gamma: K) -> Iterator[tuple[int, int, K]]:
        """(first digit, number of digits, gamma^(g + 1)) of every group."""
        first = 0
        for size, power in zip(self.groups, powers(gamma, len(self.groups) + 1)[1:], strict=True):
            yield first, size, power
            first += size

    def require_exact(self, exact: Sequence[bool]) -> None:
        """Raise ValueError unless every group of digit sums, with the carry that comes in, is a multiple of its power of 2."""
        if not all(exact):
            group = list(exact).index(False)
            first, size = sum(self.groups[:group]), self.groups[group]
            raise ValueError(
                f"identity: digits {first} to {first + size - 1} do not sum to a multiple of 2^{DIGIT_BITS * size}"
            )

    def check(self, digits: Sequence[Interval], total: Interval) -> None:
        """Raise PlanRejected unless the plan is sound for e_d in digits[d] (zero beyond) and a value in `total`."""
        if len(self.groups) != len(self.carries):
            raise PlanRejected(f"identity: {len(self.groups)} groups but {len(self.carries)} carries")
        if any(type(size) is not int or not 1 <= size <= MAX_GROUP for size in self.groups):
            raise PlanRejected(f"identity: expected groups of 1 to {MAX_GROUP} digits, got {self.groups}")
        modulus = P << (DIGIT_BITS * self.low_digits)
        if not -modulus < total.low <= total.high < modulus:
            raise PlanRejected(f"identity: a value of {total.magnitude().bit_length()} bits needs more low digits")
        incoming, first = ZERO_INTERVAL, 0
        for size, carry in zip(self.groups, self.carries, strict=True):
            group = _group_interval(digits, first, size) + incoming
            difference = group - carry.interval.times(1 << DIGIT_BITS * size)
            if not -P < difference.low <= difference.high < P:
                raise PlanRejected(f"identity: the group of digits that begins at {first} can wrap around p")
            incoming, first = carry.interval, first + size

    def encode(self) -> bytes:
        """Canonical: the number of groups, 1 byte; for each its number of digits, 1 byte, and its carry's format."""
        groups = zip(self.groups, self.carries, strict=True)
        return bytes([len(self.groups)]) + b"".join(bytes([size]) + carry.encode() for size, carry in groups)


def plan_identity(digits: Sequence[Interval], total: Interval, limb_bits: int = DIGIT_BITS) -> IdentityPlan:
    """The sound plan with the fewest committed carry limbs; ties go to fewer groups, then to longer first groups.

    digits      exact intervals of e_0, e_1, ...
    total       an interval of the identity's value
    limb_bits   of carries, where limbs of so many bits are fewer than those of 16; then it may be worth to show that one more
                low digit vanishes than has to: the carry behind it may be a limb shorter
    Raises PlanRejected if there is none. Identities of one layer are those of all others, and of every step: plans are kept.
    """
    return _planned(tuple(digits), total, limb_bits)


@functools.lru_cache(maxsize=1 << 12)
def _planned(digits: tuple[Interval, ...], total: Interval, limb_bits: int) -> IdentityPlan:
    needed = 0
    while total.magnitude() >= P << (DIGIT_BITS * needed):
        needed += 1
    if needed > MAX_LOW_DIGITS:
        raise PlanRejected(f"identity: a value of {total.magnitude().bit_length()} bits is too wide")
    most = needed + 1 if needed and limb_bits > DIGIT_BITS else needed
    ways = itertools.chain.from_iterable(map(_compositions, range(needed, most + 1)))
    plans = [plan for groups in ways if (plan := _with_groups(digits, groups, limb_bits)) is not None]
    if not plans:
        raise PlanRejected(f"identity: no groups of the lowest {needed} digits stay below p")
    best = min(plans, key=lambda plan: (plan.carry_limbs, len(plan.groups), [-size for size in plan.groups]))
    best.check(digits, total)
    return best


def _compositions(total: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as an ordered sum of 1 to MAX_GROUP."""
    if total == 0:
        yield ()
    for first in range(1, min(total, MAX_GROUP) + 1):
        for rest in _compositions(total - first):
            yield (first, *rest)


def _with_groups(digits: Sequence[Interval], groups: tuple[int, ...], limb_bits: int) -> IdentityPlan | None:
    """The plan with these groups and the narrowest carries, or None if a group could wrap around p."""
    carries: list[LimbFormat] = []
    incoming, first = ZERO_INTERVAL, 0
    for size in groups:
        group = _group_interval(digits, first, size) + incoming
        carry = _narrowest(Interval(-(-group.low >> DIGIT_BITS * size), group.high >> DIGIT_BITS * size), limb_bits)
        if carry is None:
            return None
        difference = group - carry.interval.times(1 << DIGIT_BITS * size)
        if not -P < difference.low <= difference.high < P:
            return None
        carries.append(carry)
        incoming, first = carry.interval, first + size
    return IdentityPlan(groups, tuple(carries))


def _narrowest(interval: Interval, limb_bits: int) -> LimbFormat | None:
    """The narrowest format that holds the interval, unsigned where nothing is negative; but a top limb of more than 16 bits is
    a whole one, so that there are few tables. None if no format is wide enough.
    """
    low, high = min(interval.low, interval.high), max(interval.low, interval.high)
    signed = low < 0
    width = max(high.bit_length(), (-low - 1).bit_length() if signed else 0) + signed
    if width > MAX_WIDTH:
        return None
    number = LimbFormat.within(limb_bits, max(width, 1), signed)
    whole = number.limbs * number.limb_bits
    return LimbFormat(number.limb_bits, whole, signed) if number.top_bits > DIGIT_BITS and whole <= MAX_WIDTH else number


def _group_interval(digits: Sequence[Interval], first: int, size: int) -> Interval:
    """The interval of sum_(i < size) 2^(16 i) e_(first + i)."""
    total = ZERO_INTERVAL
    for i in range(size):
        if first + i < len(digits):
            total = total + digits[first + i].times(1 << DIGIT_BITS * i)
    return total
