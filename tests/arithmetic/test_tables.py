"""The tables of exponential and logarithm: against decimals, and so far from ties that their bound decides every rounding."""

import functools
import itertools
import random
from decimal import ROUND_HALF_UP, Decimal, localcontext

import numpy as np
import pytest

from zkds.circuits.arithmetic import tables

pytestmark = pytest.mark.any_kernels

SAMPLE = sorted({0, 1, 2, 255, 256, 257, 65535, *random.Random(3).sample(range(65536), 300)})
UNROUNDED_BITS = 112


def exponentials(shift):
    """exp(-k / 2^shift), in units of 2^-112, unrounded."""
    coarse, fine = tables.exponential_factors(shift)
    return [a * b >> UNROUNDED_BITS for a in coarse for b in fine]


@functools.cache
def minus_log_inverses():
    """-ln(INV[c] / 2^32), in units of 2^-112, unrounded: the same floors as the table's, on Python integers."""
    logarithms = itertools.accumulate(map(log_step, range(2**16, 2**17 - 1)), initial=0)
    inverses = tables.inverses().tolist()
    return [value - log1p(inverses[c] * (2**16 + c) - 2**48) for c, value in enumerate(logarithms)]


def log_step(n):
    odd = 2 * n + 1
    first = (2 << UNROUNDED_BITS) // odd
    return first + first // (3 * odd**2) + first // (5 * odd**4)


def log1p(d):
    return (d << UNROUNDED_BITS - 48) - (d * d << UNROUNDED_BITS - 97) + (d**3 >> 144 - UNROUNDED_BITS) // 3


def decimal_round(value):
    return int(value.to_integral_value(rounding=ROUND_HALF_UP))


@pytest.fixture(autouse=True)
def precise():
    with localcontext(prec=60):
        yield


def test_shapes_and_types():
    for table, rows in ((tables.exp_int, 4096), (tables.exp_hi, 65536), (tables.exp_lo, 65536)):
        assert table().shape == (rows,) and table().dtype == np.int64
        assert table()[0] == (2**58 if rows == 4096 else 2**48) and (np.diff(table()) <= 0).all() and table().min() >= 0
    for table in (tables.inverses, tables.log_table):
        assert table().shape == (65536,) and table().dtype == np.int64
    assert tables.exp_hi() is tables.exp_hi() and not tables.exp_hi().flags.writeable


def test_every_whole_exponential():
    expected = [decimal_round(2**58 * (-Decimal(k)).exp()) for k in range(4096)]
    assert tables.exp_int().tolist() == expected
    assert tables.exp_int()[40] == 1 and not tables.exp_int()[41:].any()


@pytest.mark.parametrize(("table", "shift"), [(tables.exp_hi, 16), (tables.exp_lo, 32)])
def test_fractional_exponentials(table, shift):
    for k in SAMPLE:
        assert table()[k] == decimal_round(2**48 * (Decimal(-k) / 2**shift).exp())


def test_every_inverse():
    assert tables.inverses().tolist() == [-(-(2**48) // (2**16 + c)) for c in range(65536)]


def test_logarithms():
    for c in SAMPLE:
        inverse = Decimal(int(tables.inverses()[c])) / 2**32
        assert tables.log_table()[c] == decimal_round(-(2**48) * inverse.ln())
    assert decimal_round(2**48 * Decimal(2).ln()) == tables.LN2


@pytest.mark.parametrize(
    ("table", "values"),
    [(tables.exp_hi, exponentials(16)), (tables.exp_lo, exponentials(32)), (tables.log_table, minus_log_inverses())],
    ids=["hi", "lo", "log"],
)
def test_entries_are_the_rounded_values(table, values):
    low_bits = UNROUNDED_BITS - tables.TABLE_BITS
    assert table().tolist() == [value + (1 << low_bits - 1) >> low_bits for value in values]


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        (tables.whole_exponentials(), tables.WHOLE_BITS),
        (exponentials(16), tables.TABLE_BITS),
        (exponentials(32), tables.TABLE_BITS),
        (minus_log_inverses(), tables.TABLE_BITS),
        ([tables.log_of_two()], tables.TABLE_BITS),
    ],
    ids=["int", "hi", "lo", "log", "ln2"],
)
def test_no_rounding_is_close(values, bits):
    """Between an unrounded value and the nearest tie lie 2^-75, far more than the proven error 2^-93."""
    low_bits = UNROUNDED_BITS - bits
    tie = 1 << (low_bits - 1)
    assert min(abs(value % (1 << low_bits) - tie) for value in values) > 1 << (UNROUNDED_BITS - 75)


def test_unrounded_values_are_within_their_bound():
    bound = Decimal(2) ** -93
    unit = Decimal(2) ** -UNROUNDED_BITS
    hi, lo, logs = exponentials(16), exponentials(32), minus_log_inverses()
    for k in SAMPLE:
        assert abs(hi[k] * unit - (Decimal(-k) / 2**16).exp()) < bound
        assert abs(lo[k] * unit - (Decimal(-k) / 2**32).exp()) < bound
        assert abs(logs[k] * unit + (Decimal(int(tables.inverses()[k])) / 2**32).ln()) < bound
