"""A rounded product of matrices on Python integers, entry by entry: digit sums, carries, the forgery by wrapped carries.

Digits of 16 bits: an identity is sum_d 2^(16 d) e_d = 0, its groups and carries as in docs/protocol.md, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import numpy as np

from tests.harness.limbs import join
from zkds.field import P
from zkds.identities.matrix_product import MatrixProduct
from zkds.integers.identity import IdentityPlan
from zkds.integers.limb_columns import LimbColumns
from zkds.native import U32

Digits = list[int]


def round_half_up(value: int, shift: int) -> int:
    """The integer nearest to value / 2^shift, ties upwards."""
    return (value + (1 << (shift - 1))) // (1 << shift)


def digits_at(part: LimbColumns, columns: Mapping[str, U32], index: tuple[int, ...]) -> Digits:
    """The digits of one entry: its limbs, the offset subtracted from the top one."""
    digits = [int(columns[name][index]) for name in part.names]
    digits[-1] -= part.format.top_offset
    return digits


def value_of(digits: Digits) -> int:
    return sum(digit << 16 * j for j, digit in enumerate(digits))


def add(sums: Digits, digits: Digits, factor: int, first: int) -> Digits:
    """sums + factor 2^(16 first) digits"""
    shifted = [0] * first + [factor * digit for digit in digits]
    return [a + b for a, b in zip_longest(sums, shifted, fillvalue=0)]


def digit_sums(relation: MatrixProduct, columns: Mapping[str, U32], row: int, column: int) -> Digits:
    """e_0, e_1, ... of sum_k left right + half - rem - 2^shift out at one entry of the product."""
    left, right, shift = relation.left.columns, relation.right.columns, relation.rounding.shift
    sums: Digits = []
    for k in range(relation.left.shape[1]):
        b = digits_at(right, columns, (k, column))
        for i, a in enumerate(digits_at(left, columns, (row, k))):
            sums = add(sums, b, a, i)
    sums = add(sums, [1 << (shift - 1) % 16], 1, (shift - 1) // 16)
    sums = add(sums, digits_at(relation.rounding.remainder, columns, (row, column)), -1, 0)
    return add(sums, digits_at(relation.output.columns, columns, (row, column)), -(1 << shift % 16), shift // 16)


def groups(plan: IdentityPlan, sums: Digits) -> list[tuple[int, int]]:
    """(sum_i 2^(16 i) e_(f + i), 2^(16 k)) of every group of k digits that begins at f."""
    found, first = [], 0
    for size in plan.groups:
        found.append((value_of(sums[first : first + size]), 1 << 16 * size))
        first += size
    return found


def carries_modulo_p(plan: IdentityPlan, sums: Digits) -> list[int]:
    """The carries with which all groups vanish modulo p, of the least absolute value; true ones are among these."""
    carries, carry = [], 0
    for group, base in groups(plan, sums):
        carry = (carry + group) * pow(base, -1, P) % P
        carry = carry - P if carry > P // 2 else carry
        carries.append(carry)
    return carries


def residuals(plan: IdentityPlan, sums: Digits, carries: Sequence[int]) -> list[int]:
    """What must be zero, over the integers: the identity's value and, for each group, what its carries leave of it."""
    left, incoming = [value_of(sums)], 0
    for (group, base), carry in zip(groups(plan, sums), carries, strict=True):
        left.append(incoming + group - base * carry)
        incoming = carry
    return left


def carries_at(relation: MatrixProduct, columns: Mapping[str, U32], index: tuple[int, ...]) -> list[int]:
    return [value_of(digits_at(carry, columns, index)) for carry in relation.rounding.carries]


def with_carries(relation: MatrixProduct, columns: Mapping[str, U32]) -> dict[str, U32]:
    """`columns` with the carries that satisfy the relation modulo p; a carry's top limb takes all that is left over.

    Raises OverflowError if a limb would have to be negative: then the format has no cell for it, in range or not.
    """
    result = {name: values.copy() for name, values in columns.items()}
    for carry in relation.rounding.carries:
        result |= {name: np.zeros(relation.output.shape, dtype=np.uint32) for name in carry.names}
    for index in np.ndindex(*relation.output.shape):
        values = carries_modulo_p(relation.rounding.plan, digit_sums(relation, columns, *index))
        for carry, value in zip(relation.rounding.carries, values, strict=True):
            rest = value + carry.format.offset
            for name in carry.names[:-1]:
                result[name][index] = rest % (1 << 16)
                rest >>= 16
            result[carry.names[-1]][index] = rest
    return result


def forged(relation: MatrixProduct, columns: Mapping[str, U32], sign: int = 1) -> dict[str, U32]:
    """Another output at (0, 0) for which the identity holds modulo p, with the carries that belong to it.

    out + 2^(61 - shift) and rem - 1 change sum - rem - 2^shift out by 1 - 2^61 = -p; with sign -1 the reverse. Raises what
    `LimbFormat.split` raises if one of them has no room.
    """
    result = {name: values.copy() for name, values in columns.items()}
    rounding = relation.rounding
    changes = [(relation.output.columns, sign << (61 - rounding.shift)), (rounding.remainder, -sign)]
    for part, change in changes:
        values = join(part.format, part.limbs(columns))
        values[0, 0] += change
        result |= part.split(values)
    return with_carries(relation, result)
