"""Integers wider than 64 bits as sums of digits: value = sum_d 2^(16 d) sums_d, int64 arrays of one shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.integers.identity import DIGIT_BITS
from zkds.integers.limbs import I64

_INT64 = np.iinfo(np.int64)


def round_sums(sums: Sequence[I64], shift: int) -> tuple[I64, I64]:
    """(floor((value + half) / 2^shift), (value + half) mod 2^shift) with half = 2^(shift - 1), 1 <= shift <= 60.

    sums: int64 arrays below 2^62 in absolute value. A quotient that needs more than 63 bits becomes the largest or the smallest
    int64: no declared width holds it.
    """
    if not 1 <= shift <= 60:
        raise ValueError(f"shift: expected 1 to 60, got {shift}")
    whole, bits = divmod(shift, DIGIT_BITS)
    digits, top = _canonical(sums, shift, whole + 1)
    quotient, fits = top, np.ones(top.shape, dtype=np.bool_)
    upper = [(digit, DIGIT_BITS) for digit in reversed(digits[whole + 1 :])]
    for digit, width in [*upper, (digits[whole] >> np.int64(bits), DIGIT_BITS - bits)]:
        limit = np.int64(1 << (62 - width))
        fits &= (-limit <= quotient) & (quotient < limit)
        quotient = (quotient << np.int64(width)) | digit
    remainder = digits[whole] & np.int64((1 << bits) - 1)
    for digit in reversed(digits[:whole]):
        remainder = (remainder << np.int64(DIGIT_BITS)) | digit
    return np.where(fits, quotient, np.where(top < 0, _INT64.min, _INT64.max)), remainder


def _canonical(sums: Sequence[I64], shift: int, at_least: int) -> tuple[list[I64], I64]:
    """value + 2^(shift - 1) as digits from 0 to 2^16 - 1, lowest first, `at_least` of them, and what is left above them."""
    whole, bits = divmod(shift - 1, DIGIT_BITS)
    digits: list[I64] = []
    carry = np.zeros_like(sums[0])
    for d in range(max(len(sums), at_least)):
        if d < len(sums):
            carry = carry + sums[d]
        if d == whole:
            carry = carry + np.int64(1 << bits)
        digits.append(carry & np.int64((1 << DIGIT_BITS) - 1))
        carry = carry >> np.int64(DIGIT_BITS)
    return digits, carry
