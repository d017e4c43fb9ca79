"""The rounding relation on Python integers, one entry at a time: honest witnesses, residuals, and the wrapped carry forgery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zkds.integers.limbs import I64, LimbFormat
from zkds.integers.matrix_product import MatrixProduct
from zkds.integers.plan import RoundingPlan
from zkds.native import U32

IN_USE = {(16, 3): 48, (16, 4): 60, (22, 2): 44, (22, 3): 60}  # (limb bits, limbs): width of a value


def round_half_up(value: int, shift: int) -> int:
    """The integer nearest to value / 2^shift, ties upwards."""
    return (value + (1 << (shift - 1))) // (1 << shift)


@dataclass(frozen=True)
class Entry:
    output: int
    remainder: int
    carries: tuple[int, ...]


def polynomial(number: LimbFormat, value: int) -> list[int]:
    """The coefficients of v(X): limbs of value + offset, the offset subtracted from the top one."""
    limbs = [(value + number.offset) >> (j * number.limb_bits) & ((1 << bits) - 1) for j, bits in enumerate(number.limb_widths)]
    limbs[-1] -= number.top_offset
    return limbs


def differences(plan: RoundingPlan, left: list[int], right: list[int], output: int, remainder: int) -> list[int]:
    """The coefficients of D(X) = C + half - Rem - 2^(s mod l) X^(s div l) Out."""
    d = list(plan.half_coefficients)
    for a, b in zip(left, right, strict=True):
        for i, x in enumerate(polynomial(plan.left, a)):
            for j, y in enumerate(polynomial(plan.right, b)):
                d[i + j] += x * y
    for j, x in enumerate(polynomial(plan.remainder, remainder)):
        d[j] -= x
    for j, x in enumerate(polynomial(plan.output, output)):
        d[plan.shift // plan.limb_bits + j] -= x << plan.shift % plan.limb_bits
    return d


def witness(plan: RoundingPlan, left: list[int], right: list[int]) -> Entry:
    """The one witness of an entry sum_k left[k] right[k]."""
    total = sum(a * b for a, b in zip(left, right, strict=True))
    output = round_half_up(total, plan.shift)
    remainder = total + (1 << (plan.shift - 1)) - (output << plan.shift)
    carries, carry = [], 0
    for d in differences(plan, left, right, output, remainder)[:-1]:
        carry, rest = divmod(carry - d, 1 << plan.limb_bits)
        assert rest == 0
        carries.append(carry)
    return Entry(output, remainder, tuple(carries))


def residuals(plan: RoundingPlan, left: list[int], right: list[int], entry: Entry) -> list[int]:
    """The coefficients of D(X) - (X - 2^l) Q(X) over the integers; all zero exactly for the true witness."""
    d = differences(plan, left, right, entry.output, entry.remainder)
    q = [0, *entry.carries, 0]
    return [d[j] - q[j] + (q[j + 1] << plan.limb_bits) for j in range(len(d))]


def wrapped_carry_forgery(plan: RoundingPlan, honest: Entry, sign: int = 1) -> Entry:
    """Another entry whose residuals vanish modulo p: C + half - rem - 2^s out changes by sign (1 - 2^61) = -sign p.

    With sign 1: out + 2^(61 - s), rem - 1, q_j - 2^(61 - l (j + 1)) while that is above 1; with -1 the reverse. Only limbs
    that have room may change: bit 61 - s of out + offset and the low limb of rem decide (see `forgeable_factors`).
    """
    bit = 61 - plan.shift
    carries = list(honest.carries)
    for j, change in enumerate(carry_changes(plan, sign)):
        carries[j] += change
    forged = Entry(honest.output + (sign << bit), honest.remainder - sign, tuple(carries))
    for number, old, new in (
        (plan.output, honest.output, forged.output),
        (plan.remainder, honest.remainder, forged.remainder),
    ):
        differing = [x != y for x, y in zip(polynomial(number, old), polynomial(number, new), strict=True)]
        assert sum(differing) == 1, "a digit of out or rem overflows into the next: choose other factors"
    return forged


def carry_changes(plan: RoundingPlan, sign: int) -> list[int]:
    """What the forgery adds to q_0, q_1, ...: d_0 changes by sign = -2^l q_0 modulo p, and the middle d_j not at all."""
    return [-sign << (61 - plan.limb_bits * (j + 1)) for j in range(60 // plan.limb_bits)]


def forgeable_factors(sign: int) -> tuple[I64, I64]:
    """A (1, 2) and B (2, 1) whose rounded product has bit 29 clear (sign 1) or set (sign -1), and room in rem's low limb."""
    bit = 0 if sign == 1 else 1 << 29
    left = np.array([[(3 << 32) + 1, -(5 << 30)]], dtype=np.int64)
    right = np.array([[bit + (7 << 20) + 1], [12345]], dtype=np.int64)
    return left, right


def wrap_carries(relation: MatrixProduct, columns: Mapping[str, U32], sign: int) -> dict[str, U32]:
    """`columns` with the forgery in entry (0, 0) of out, rem and the carries; a carry's top limb takes all that is left over.

    Raises OverflowError if a limb would have to be negative: then the format has no cell for it, in range or not.
    """
    plan, rounding = relation.plan, relation.rounding
    forged = {name: values.copy() for name, values in columns.items()}
    bit = 61 - plan.shift
    position = rounding.output.names[bit // plan.limb_bits]
    forged[position][0, 0] = int(columns[position][0, 0]) + (sign << bit % plan.limb_bits)
    low_remainder = rounding.remainder.names[0]
    forged[low_remainder][0, 0] = int(columns[low_remainder][0, 0]) - sign
    for carry, change in zip(rounding.carries, carry_changes(plan, sign), strict=False):
        value = int(carry.format.join(carry.limbs(columns))[0, 0]) + carry.format.offset + change
        for name in carry.names[:-1]:
            forged[name][0, 0] = value % (1 << plan.limb_bits)
            value >>= plan.limb_bits
        forged[carry.names[-1]][0, 0] = value
    return forged
