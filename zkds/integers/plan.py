"""The plan of a rounding: which limbs and carries prove out = round_half_up(C / 2^s) over the integers.

C = sum_{k < terms} a_k b_k is virtual (up to 132 bits, far above p = 2^61 - 1). With l-bit limbs the factors are polynomials
a_k(X), b_k(X) with a(2^l) = a, C(X) = sum_k a_k(X) b_k(X), and round_half_up is floor((C + 2^(s-1)) / 2^s). The relation is

    D(X) = C(X) + half(X) - Rem(X) - 2^(s mod l) X^(s div l) Out(X) = (X - 2^l) Q(X)                                  (1)

with half(X) = 2^((s-1) mod l) X^((s-1) div l), Rem exactly s unsigned bits and Q(X) = sum_j q_j X^j the carries. At X = 2^l it
says C + 2^(s-1) = Rem + 2^s Out, hence Out is the rounded value and nothing else is. (1) is checked modulo p at one random
point; `plan_check` says when this is enough.

A plan is a function of public numbers alone; prover and verifier build it by `plan_rounding` and the verifier checks it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zkds.errors import PlanRejected
from zkds.field import P
from zkds.integers.intervals import Interval
from zkds.integers.limbs import MAX_WIDTH, LimbFormat

MAX_TERMS = 1 << 32
ENCODING_VERSION = 1


@dataclass(frozen=True)
class RoundingPlan:
    """Every public choice of one rounding of sums of products.

    shift      s, the number of bits that are rounded away, at least 1
    terms      the number of products in a sum
    left       the format of a_k
    right      the format of b_k
    output     the format of out
    remainder  the format of rem
    carries    the formats of q_0, q_1, ..., q_(degree - 1)

    The fields are not checked here but by `plan_check`: tests hold unsound plans against it.
    """

    shift: int
    terms: int
    left: LimbFormat
    right: LimbFormat
    output: LimbFormat
    remainder: LimbFormat
    carries: tuple[LimbFormat, ...]

    @property
    def limb_bits(self) -> int:
        """l, the width of a limb and the base 2^l of every polynomial."""
        return self.left.limb_bits

    @property
    def degree(self) -> int:
        """The largest degree that D(X) can have."""
        return max(
            self.left.limbs + self.right.limbs - 2,
            self.shift // self.limb_bits + self.output.limbs - 1,
            self.remainder.limbs - 1,
            (self.shift - 1) // self.limb_bits,
        )

    @property
    def half_coefficients(self) -> tuple[int, ...]:
        """The coefficients of half(X), whose value at 2^l is 2^(s - 1)."""
        coefficients = [0] * (self.degree + 1)
        coefficients[(self.shift - 1) // self.limb_bits] = 1 << ((self.shift - 1) % self.limb_bits)
        return tuple(coefficients)

    @property
    def lookups_per_value(self) -> int:
        """Range checks for one rounded value: the limbs of out, rem and the carries."""
        return sum(number.limbs for number in (self.output, self.remainder, *self.carries))

    def sum_intervals(self) -> list[Interval]:
        """The exact interval of every coefficient of C(X), for factors whose limbs are in range."""
        intervals = [Interval.point(0)] * (self.degree + 1)
        for i, left in enumerate(self.left.coefficient_intervals):
            for j, right in enumerate(self.right.coefficient_intervals):
                intervals[i + j] = intervals[i + j] + (left * right).times(self.terms)
        return intervals

    def difference_intervals(self) -> list[Interval]:
        """The exact interval of every coefficient d_j of D(X), for arbitrary committed limbs within their widths."""
        intervals = [
            coefficient + Interval.point(half)
            for coefficient, half in zip(self.sum_intervals(), self.half_coefficients, strict=True)
        ]
        for j, limb in enumerate(self.remainder.coefficient_intervals):
            intervals[j] = intervals[j] - limb
        for j, limb in enumerate(self.output.coefficient_intervals):
            position = self.shift // self.limb_bits + j
            intervals[position] = intervals[position] - limb.times(1 << (self.shift % self.limb_bits))
        return intervals

    def honest_carry_intervals(self) -> list[Interval]:
        """Intervals of the honest carries: q_0 = -d_0 / 2^l, q_j = (q_(j-1) - d_j) / 2^l, exact divisions."""
        carries: list[Interval] = []
        previous = Interval.point(0)
        for difference in self.difference_intervals()[:-1]:
            previous = (previous - difference).multiples_divided(1 << self.limb_bits)
            carries.append(previous)
        return carries

    def residual_bounds(self) -> list[int]:
        """B(d_j) + B(q_(j-1)) + 2^l B(q_j) for every j: what `plan_check` compares with p."""
        carries = [0, *(number.interval.magnitude() for number in self.carries), 0]
        return [
            difference.magnitude() + carries[j] + (carries[j + 1] << self.limb_bits)
            for j, difference in enumerate(self.difference_intervals())
        ]

    def encode(self) -> bytes:
        """Canonical: version, shift, terms (8 bytes); formats of left, right, output, remainder, number of carries, theirs."""
        head = bytes((ENCODING_VERSION, self.shift)) + self.terms.to_bytes(8, "little")
        numbers = b"".join(number.encode() for number in (self.left, self.right, self.output, self.remainder))
        return head + numbers + bytes((len(self.carries),)) + b"".join(carry.encode() for carry in self.carries)


def plan_rounding(
    *, limb_bits: int, shift: int, terms: int, left_width: int, right_width: int, output_width: int
) -> RoundingPlan:
    """The plan with the narrowest carries, for signed factors and results of these widths. It has passed `plan_check`.

    Raises TypeError for arguments that are not ints, PlanRejected (a ValueError) if there is no sound plan.
    """
    for name, number in (("shift", shift), ("terms", terms)):
        if not isinstance(number, int):
            raise TypeError(f"{name}: expected an int, got {type(number).__name__}")
    _require(1 <= shift <= 60, "shift", "1 to 60 bits", shift)
    _require(1 <= terms <= MAX_TERMS, "terms", f"1 to {MAX_TERMS}", terms)
    without_carries = RoundingPlan(
        shift=shift,
        terms=terms,
        left=LimbFormat(limb_bits, left_width, signed=True),
        right=LimbFormat(limb_bits, right_width, signed=True),
        output=LimbFormat(limb_bits, output_width, signed=True),
        remainder=LimbFormat(limb_bits, shift, signed=False),
        carries=(),
    )
    widths = [interval.signed_width() for interval in without_carries.honest_carry_intervals()]
    plan = replace(without_carries, carries=tuple(LimbFormat(limb_bits, width, signed=True) for width in widths))
    plan_check(plan)
    return plan


def plan_check(plan: RoundingPlan) -> None:
    """Raise PlanRejected unless (1) modulo p, with every limb in its range, implies (1) over the integers, for every witness.

    Claim. Let every committed limb be within its width (the lookups prove it), let e_j = d_j - q_(j-1) + 2^l q_j with
    q_(-1) = q_degree = 0 be the coefficients of D(X) - (X - 2^l) Q(X), computed over the integers, and let B(.) be the largest
    absolute value of an interval. If

        B(d_j) + B(q_(j-1)) + 2^l B(q_j) < p    for every j = 0, ..., degree                                         (2)

    then e_j = 0 modulo p for all j implies D(X) = (X - 2^l) Q(X) over the integers.

    Proof. By the triangle inequality |e_j| <= B(d_j) + B(q_(j-1)) + 2^l B(q_j) < p, and the only multiple of p strictly between
    -p and p is 0. So e_j = 0 over the integers for every j, which is (1), coefficient by coefficient.

    Consequences. At X = 2^l: C + 2^(s-1) = rem + 2^s out with 0 <= rem < 2^s (rem has exactly s unsigned bits), so
    out = floor((C + 2^(s-1)) / 2^s) and rem are unique; from j = 0 upwards the carries are unique, and limbs are unique for
    their value: given the factors, the relation has exactly one witness. Nothing about honest provers enters the proof.

    (2) cannot be relaxed much: the intervals of d_j, q_(j-1) and q_j are independent, and where e_j = +-p is within reach
    there are forgeries: for s = 32, (out + 2^29, rem - 1, q_j - 2^(61 - l (j + 1))) changes C + half - rem - 2^s out by -p.

    Completeness. Honest carries are computed exactly, from below: `honest_carry_intervals` bounds them by induction over j
    (q_j = (q_(j-1) - d_j) / 2^l, an exact division because D(2^l) = 0), and each committed width must contain its interval.
    The top equation d_degree = q_(degree - 1) then holds by itself. Whether `out` fits its width depends on the witness:
    the prover checks it (WitnessOverflow).
    """
    _check_shape(plan)
    for j, bound in enumerate(plan.residual_bounds()):
        _require(bound < P, f"soundness of coefficient {j}: bound", "below 2^61 - 1", bound)
    for j, (carry, honest) in enumerate(zip(plan.carries, plan.honest_carry_intervals(), strict=True)):
        _require(
            carry.interval.contains(honest),
            f"completeness of carry {j}: width",
            f"at least {honest.signed_width()} bits",
            carry.width,
        )


def _check_shape(plan: RoundingPlan) -> None:
    """What (1) needs of a plan before its bounds mean anything."""
    limb_bits = plan.limb_bits
    _require(1 <= plan.shift <= 60, "shift", "1 to 60 bits", plan.shift)
    _require(1 <= plan.terms <= MAX_TERMS, "terms", f"1 to {MAX_TERMS}", plan.terms)
    for name, number in (("left", plan.left), ("right", plan.right), ("output", plan.output), ("remainder", plan.remainder)):
        _require(number.limb_bits == limb_bits, f"limb_bits of {name}", limb_bits, number.limb_bits)
    _require(not plan.remainder.signed, "remainder", "an unsigned format", "a signed one")
    _require(plan.remainder.width == plan.shift, "width of remainder", f"exactly {plan.shift} bits", plan.remainder.width)
    _require(len(plan.carries) == plan.degree, "number of carries", plan.degree, len(plan.carries))
    for j, carry in enumerate(plan.carries):
        _require(carry.limb_bits == limb_bits, f"limb_bits of carry {j}", limb_bits, carry.limb_bits)
        _require(carry.signed, f"carry {j}", "a signed format", "an unsigned one")


def _require(condition: bool, what: str, expected: object, actual: object) -> None:
    if not condition:
        raise PlanRejected(f"{what}: expected {expected}, got {actual}")


def largest_sound_carry_width(plan: RoundingPlan) -> int:
    """The largest width that all carries could have together before `plan_check` refuses; how much room a plan has.

    Raises PlanRejected if not even one bit is sound.
    """
    for width in range(MAX_WIDTH, 0, -1):
        carries = tuple(LimbFormat(plan.limb_bits, width, signed=True) for _ in plan.carries)
        if max(replace(plan, carries=carries).residual_bounds()) < P:
            return width
    raise PlanRejected("soundness: expected some carry width to be sound, got none")
