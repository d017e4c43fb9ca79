"""The tables of smooth functions: against decimals, and so far from ties that their bound decides every rounding."""

from __future__ import annotations

import random
from decimal import Decimal, localcontext

import numpy as np
import pytest

from zkds.circuits.arithmetic import smooth_tables
from zkds.circuits.arithmetic.smooth_tables import FUNCTIONS
from zkds_verify.operators import smooth as reference

pytestmark = pytest.mark.any_kernels  # nothing here runs native code

EVERY = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
UNIT = 2.0**-128  # of unrounded values


def sample(function, count):
    """Cells of every kind: at both ends, around 0, at the asymptotes' edges, and random ones."""
    side, edge = function.rows // 2, 1 << function.cell_bits
    cells = {side + sign * c + shift for c in (0, 1, side - edge, side - 1) for sign in (-1, 1) for shift in (-1, 0, 1)}
    cells |= set(random.Random(1).sample(range(function.rows), count))
    return sorted(cell for cell in cells if 0 <= cell < function.rows)


def columns(function):
    tables = function.tables
    return [tables.value, tables.first, tables.second, tables.third]


@EVERY
def test_entries_are_those_of_decimals(function):
    cells = sample(function, 120)
    expected = [reference.entry(function.name, cell) for cell in cells]
    assert [tuple(int(column[cell]) for column in columns(function)) for cell in cells] == expected


@EVERY
def test_shapes_and_types(function):
    assert all(c.shape == (function.rows,) and c.dtype == np.int64 and not c.flags.writeable for c in columns(function))
    assert function.rows <= 1 << 16
    assert (function.bound, function.cell_bits) == (reference.BOUND[function.name], reference.CELL_BITS[function.name])
    assert function.tables is function.tables


@EVERY
def test_no_rounding_is_close(function):
    """Between an unrounded value and the nearest tie lie 2^-60, far more than the proven error 2^-76."""
    for derivatives, places in zip(
        zip(*smooth_tables.unrounded(function), strict=True), (32, 30, 16 + function.cell_bits, 7), strict=True
    ):
        size = 1 << 128 - places
        assert min(abs(value % size - size // 2) for value in derivatives) * UNIT > 2.0**-60


@EVERY
def test_unrounded_values_are_within_their_bound(function):
    unrounded = smooth_tables.unrounded(function)
    with localcontext(prec=reference.DIGITS + 10):
        for cell in sample(function, 60):
            middle = Decimal(2 * cell + 1) / 2 ** (function.cell_bits + 1) - function.bound
            series = reference.real_function(function.name, [middle, Decimal(1), Decimal(0), Decimal(0)])
            for n, (value, factor) in enumerate(zip(unrounded[cell], (1, 1, 2, 6), strict=True)):
                assert abs(value / Decimal(2) ** 128 - series[n] * factor) < Decimal(2) ** -76


@EVERY
def test_asymptotes_are_near(function):
    """Where an asymptote stands for the function, the two are within 2^-32, their derivatives within 2^-32."""
    with localcontext(prec=reference.DIGITS + 10):
        for sign in (-1, 1):
            at = Decimal(sign * (function.bound - 1))
            f, first, *_ = reference.real_function(function.name, [at, Decimal(1), Decimal(0), Decimal(0)])
            right = at if function.identity else Decimal(1)
            assert abs(f - (right if sign > 0 else function.left)) < Decimal(2) ** -32
            assert abs(first - int(sign > 0 and function.identity)) < Decimal(2) ** -32
