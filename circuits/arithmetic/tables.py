"""The tables of the exponential and the logarithm, by integer arithmetic alone: the same bits on every machine.

All at 48 fractional bits, every entry the real value rounded to the nearest integer:

    EXP_INT[k] = round(2^48 exp(-k))          k < 2^12    the whole part of the argument
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

So an unrounded value is off by less than 2^19 units = 2^-93, and its rounding to 48 bits is right unless the real value lies
within 2^-93 of the middle between two of them; tests/arithmetic/test_tables.py shows that none is within 2^-75.

An entry is thus off by at most 2^-49, and for 0 <= u = int + hi / 2^16 + lo / 2^32 the product of three entries, rounded to
nearest after each multiplication, by less than 5 * 2^-49 from exp(-u): three table errors, the other factors being at most 1,
and two roundings.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import accumulate

import numpy as np

from zkds.integers.limbs import I64

TABLE_BITS = 48  # fractional bits of every entry
INT_ROWS = 1 << 12
ROWS = 1 << 16  # of the other tables
INVERSE_BITS = 32  # INV[c] / 2^32 is about 2^16 / (2^16 + c)

_BITS = 112  # fractional bits of unrounded values
_ONE = 1 << _BITS
_EXPONENTIAL_TERMS = 36  # 1 / 36! < 2^-112
_SIDE = 1 << 8  # a table of ROWS products is made from two of this size


@cache
def exp_int() -> I64:
    """EXP_INT (2^12,) int64, read-only. Zero from k = 34."""
    return _rounded(whole_exponentials())


@cache
def exp_hi() -> I64:
    """EXP_HI (2^16,) int64, read-only."""
    return _rounded(exponentials(16))


@cache
def exp_lo() -> I64:
    """EXP_LO (2^16,) int64, read-only."""
    return _rounded(exponentials(32))


@cache
def inverses() -> I64:
    """INV (2^16,) int64, read-only."""
    divisors = np.arange(ROWS, 2 * ROWS, dtype=np.int64)
    return _read_only(-(-(np.int64(1) << np.int64(TABLE_BITS)) // divisors))


@cache
def log_table() -> I64:
    """LOGT (2^16,) int64, read-only."""
    return _rounded(minus_log_inverses())


def whole_exponentials() -> list[int]:
    """exp(-k) for k < 2^12, in units of 2^-112, unrounded."""
    step = _exponential(1, 0)
    return list(accumulate(range(INT_ROWS - 1), lambda value, _: value * step >> _BITS, initial=_ONE))


def exponentials(shift: int) -> list[int]:
    """exp(-k / 2^shift) for k < 2^16, in units of 2^-112, unrounded: shift >= 16."""
    coarse = [_exponential(k * _SIDE, shift) for k in range(_SIDE)]
    fine = [_exponential(k, shift) for k in range(_SIDE)]
    return [a * b >> _BITS for a in coarse for b in fine]


def minus_log_inverses() -> list[int]:
    """-ln(INV[c] / 2^32) for c < 2^16, in units of 2^-112, unrounded.

    INV[c] (2^16 + c) = 2^48 + d with 0 <= d < 2^17, so this is ln((2^16 + c) / 2^16) - ln(1 + d / 2^48).
    """
    divisors = np.arange(ROWS, 2 * ROWS, dtype=np.int64)
    excesses = (inverses() * divisors - (np.int64(1) << np.int64(TABLE_BITS))).tolist()
    logarithms = accumulate(map(_log_step, range(ROWS, 2 * ROWS - 1)), initial=0)
    return [logarithm - _log1p(d) for logarithm, d in zip(logarithms, excesses, strict=True)]


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


def _log_step(n: int) -> int:
    """ln((n + 1) / n) for n >= 2^16."""
    odd = 2 * n + 1
    first = 2 * _ONE // odd
    square = odd * odd
    return first + first // (3 * square) + first // (5 * square * square)


def _log1p(d: int) -> int:
    """ln(1 + d / 2^48) for 0 <= d < 2^17."""
    return (d << _BITS - 48) - (d * d << _BITS - 97) + (d * d * d >> 144 - _BITS) // 3


def _round_entry(value: int) -> int:
    return value + (1 << _BITS - TABLE_BITS - 1) >> _BITS - TABLE_BITS


def _rounded(values: Iterable[int]) -> I64:
    return _read_only(np.array([_round_entry(value) for value in values], dtype=np.int64))


def _read_only(table: I64) -> I64:
    table.setflags(write=False)
    return table


LN2 = _round_entry(log_of_two())
