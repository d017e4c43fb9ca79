"""The tables of the exponential and the logarithm, by integer arithmetic alone: the same bits on every machine.

At 48 fractional bits, EXP_INT at 58, every entry the real value rounded to the nearest integer:

    EXP_INT[k] = round(2^58 exp(-k))          k < 2^12    the whole part of the argument
    EXP_HI[k]  = round(2^48 exp(-k / 2^16))   k < 2^16    its upper 16 fractional bits
    EXP_LO[k]  = round(2^48 exp(-k / 2^32))   k < 2^16    its lower 16 fractional bits
    INV[c]     = ceil(2^48 / (2^16 + c))      c < 2^16    33 bits: INV[0] = 2^32
    LOGT[c]    = round(-2^48 ln(INV[c] / 2^32))
    LN2        = round(2^48 ln 2)

Error. Values are first found as integers in units of 2^-112, each step rounded down:

- exp(-x), 0 <= x < 1, by its Taylor series: the floor of a term and the error of the term before it (times x / n < 1) make less
  than 2 units a term, the first omitted term less than one: 36 terms, below 80 units. EXP_HI and EXP_LO are products of two
  such values <= 1, below 161 units with the product's floor; EXP_INT is a power, below 4096 * 81 units.
- ln((n + 1) / n) = 2 artanh(z), z = 1 / (2n + 1) < 2^-17, by three terms of its series: the floors make less than 6 units, what
  is omitted at most 2 z^7 / 7 (1 + 2^-30) < 2^-120 < 1 unit; 2^16 of them, below 2^19 units.
- ln(1 + d / 2^48), d < 2^17, by three terms: below 2 units.

So an unrounded value is off by less than 2^19 units = 2^-93, and its rounding to 48 or 58 bits is right unless the real value
lies within 2^-93 of the middle between two of them; tests/arithmetic/test_tables.py shows that none is within 2^-75.

An entry of EXP_INT is thus off by at most 2^-59; one of EXP_HI or EXP_LO by 2^-49, so by 2^-47.5 and 2^-48.9 of itself at most.
For 0 <= u = int + hi / 2^16 + lo / 2^32 the product of three entries, rounded to 58 bits after each multiplication, is within
3 * 2^-59 + 2^-47 exp(-u) of exp(-u): the first entry and two roundings, the factors being at most 1, and the other two entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate

import numpy as np

from zkds.integers.limbs import I64

TABLE_BITS = 48  # fractional bits of every entry but those of EXP_INT
WHOLE_BITS = 58  # of these: exp(-k) is small, and losses are not wanted to 2^-48 but to a part of themselves
INT_ROWS = 1 << 12
ROWS = 1 << 16  # of the other tables
INVERSE_BITS = 32  # INV[c] / 2^32 is about 2^16 / (2^16 + c)

_BITS = 112  # fractional bits of unrounded values
_ONE = 1 << _BITS
_EXPONENTIAL_TERMS = 36  # 1 / 36! < 2^-112
_SIDE = 1 << 8  # a table of ROWS products is made from two of this size
_DIGIT_BITS, _DIGITS = 28, 4  # of a factor
_LIMB_BITS = 44  # of a logarithm: a rest below 2^18 and a limb fit int64
_MIDDLE_BITS = _BITS - TABLE_BITS - _LIMB_BITS  # of the middle limb below an entry's


@cache
def exp_int() -> I64:
    """EXP_INT (2^12,) int64, read-only. Zero from k = 41."""
    return _rounded(whole_exponentials(), WHOLE_BITS)


@cache
def exp_hi() -> I64:
    """EXP_HI (2^16,) int64, read-only."""
    return _read_only(_rounded_products(*exponential_factors(16)))


@cache
def exp_lo() -> I64:
    """EXP_LO (2^16,) int64, read-only."""
    return _read_only(_rounded_products(*exponential_factors(32)))


@cache
def inverses() -> I64:
    """INV (2^16,) int64, read-only."""
    divisors = np.arange(ROWS, 2 * ROWS, dtype=np.int64)
    return _read_only(-(-(np.int64(1) << np.int64(TABLE_BITS)) // divisors))


@cache
def log_table() -> I64:
    """LOGT (2^16,) int64, read-only.

    INV[c] (2^16 + c) = 2^48 + d with 0 <= d < 2^17, so -ln(INV[c] / 2^32) is ln((2^16 + c) / 2^16) - ln(1 + d / 2^48).
    """
    divisors = np.arange(ROWS, 2 * ROWS, dtype=np.int64)
    steps = _log_steps(divisors[:-1])
    excesses = _log1p(inverses() * divisors - (np.int64(1) << np.int64(TABLE_BITS)))
    low, middle, high = (np.cumsum(np.append(0, step)) - excess for step, excess in zip(steps, excesses, strict=True))
    middle = middle + (low >> np.int64(_LIMB_BITS))
    half = np.int64(1 << _MIDDLE_BITS - 1)
    return _read_only((middle + half >> np.int64(_MIDDLE_BITS)) + (high << np.int64(_LIMB_BITS - _MIDDLE_BITS)))


def whole_exponentials() -> list[int]:
    """exp(-k) for k < 2^12, in units of 2^-112, unrounded."""
    step = _exponential(1, 0)
    return list(accumulate(range(INT_ROWS - 1), lambda value, _: value * step >> _BITS, initial=_ONE))


def exponential_factors(shift: int) -> tuple[list[int], list[int]]:
    """exp(-256 i / 2^shift) and exp(-j / 2^shift) for i, j < 2^8, in units of 2^-112, unrounded: shift >= 16.

    exp(-(256 i + j) / 2^shift) is the floor of their product / 2^112.
    """
    return [_exponential(k * _SIDE, shift) for k in range(_SIDE)], [_exponential(k, shift) for k in range(_SIDE)]


def _rounded_products(left: Sequence[int], right: Sequence[int]) -> I64:
    """a b / 2^224 rounded to 48 fractional bits for all a in left and b in right, both at most 2^112: (products,) int64.

    Exact: by digits of 28 bits, the highest of which holds the rest. Sums of four products and a carry stay below 2^61.
    """
    a, b = (np.array([_digits(value) for value in values], dtype=np.int64).T for values in (left, right))
    carry = np.zeros((len(left), len(right)), dtype=np.int64)
    for place in range(2 * _DIGITS - 1):
        low = max(0, place - _DIGITS + 1)
        column: I64 = carry + sum(np.multiply.outer(a[i], b[place - i]) for i in range(low, min(place, _DIGITS - 1) + 1))
        carry = column >> np.int64(_DIGIT_BITS)
    spare = np.int64(2 * _BITS - TABLE_BITS - _DIGIT_BITS * (2 * _DIGITS - 2))  # bits of the last column below an entry's
    return (column + (np.int64(1) << spare - 1) >> spare).reshape(-1)


def _digits(value: int) -> list[int]:
    mask = (1 << _DIGIT_BITS) - 1
    return [value >> _DIGIT_BITS * j & mask for j in range(_DIGITS - 1)] + [value >> _DIGIT_BITS * (_DIGITS - 1)]


def log_of_two() -> int:
    """ln 2 in units of 2^-112, unrounded: 2 artanh(1/3), within 100 units."""
    total, power, n = 0, 2 * _ONE // 3, 1
    while power:
        total += power // n
        power, n = power // 9, n + 2
    return total


def _exponential(numerator: int, shift: int) -> int:
    """exp(-x) for 0 <= x = numerator / 2^shift <= 1."""
    total, term = _ONE, _ONE
    for n in range(1, _EXPONENTIAL_TERMS):
        term = (term * numerator >> shift) // n
        if not term:
            break
        total += -term if n % 2 else term
    return total


Limbs = tuple[I64, I64, I64]  # of 44 bits each, lowest first: numbers in units of 2^-112


def _log_steps(n: I64) -> Limbs:
    """ln((n + 1) / n) for 2^16 <= n < 2^17: with odd = 2 n + 1 the floors of 2 / odd, and of it by 3 odd^2 and by 5 odd^4."""
    odd = 2 * n + 1
    zero = np.zeros_like(n)
    first = _divided((zero, zero, zero + (2 * _ONE >> 2 * _LIMB_BITS)), odd)
    by_square = _divided(_divided(first, odd), odd)
    third = _divided(by_square, 3)
    fifth = _divided(_divided(_divided(by_square, odd), odd), 5)
    low, middle, high = (a + b + c for a, b, c in zip(first, third, fifth, strict=True))
    return low, middle, high


def _divided(value: Limbs, divisor: I64 | int) -> Limbs:
    """The floor of value / divisor, for divisors below 2^18: a floor of a floor is that of the product of the divisors."""
    rest: I64 = np.zeros_like(value[0])
    quotients = []
    for limb in reversed(value):
        part = (rest << np.int64(_LIMB_BITS)) | limb
        quotients.append(part // divisor)
        rest = part - quotients[-1] * divisor
    high, middle, low = quotients
    return low, middle, high


def _log1p(d: I64) -> Limbs:
    """ln(1 + d / 2^48) for 0 <= d < 2^17. The lowest limb may be negative."""
    cube = (d * d * d >> np.int64(144 - _BITS)) // 3
    return cube - (d * d << np.int64(_BITS - 97)), d << np.int64(_BITS - 48 - _LIMB_BITS), np.zeros_like(d)


def _round_entry(value: int, bits: int = TABLE_BITS) -> int:
    return value + (1 << _BITS - bits - 1) >> _BITS - bits


def _rounded(values: Iterable[int], bits: int = TABLE_BITS) -> I64:
    return _read_only(np.array([_round_entry(value, bits) for value in values], dtype=np.int64))


def _read_only(table: I64) -> I64:
    table.setflags(write=False)
    return table


LN2 = _round_entry(log_of_two())
