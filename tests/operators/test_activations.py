"""Clamps, LeakyReLU and smooth functions: the semantics against Python ints and decimals, and against torch's autograd."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.alone import CONFIGURATION, placed
from tests.reference.operators import smooth as reference
from tests.reference.operators.clamp import clamp
from tests.reference.operators.leaky_relu import leaky
from zkds.circuits.arithmetic.fixed_point import Overflow, Place
from zkds.circuits.operators import smooth
from zkds.circuits.operators.clamp import Clamp
from zkds.circuits.operators.leaky_relu import LeakyRelu
from zkds.circuits.operators.operator import gradient_kinds
from zkds_verify.integers import rounded

ONE = 1 << 32
LARGEST = 1 << 42
PLACE = Place(0)
SMOOTH = (smooth.Gelu(), smooth.GeluTanh(), smooth.Sigmoid(), smooth.Silu(), smooth.Tanh())
HALF = Fraction(1, 2)
RELU6 = Clamp.of(Fraction(0), Fraction(6))
CLAMPS = (RELU6, Clamp.of(-HALF, Fraction(1, 3)), Clamp.of(-HALF, HALF, inclusive=True), Clamp.of(None, -HALF, inclusive=True))
EVERY_SMOOTH = pytest.mark.parametrize("operator", SMOOTH, ids=lambda operator: operator.KIND)


def both(operator, x, delta, bits=32, delta_bits=0):
    """y and dx of arrays of any one length."""
    here = placed((len(x), 1, 1), bits, delta_bits, operator.output_bits([bits]))
    x, delta = (np.array(values, dtype=np.int64).reshape(1, -1, 1, 1) for values in (x, delta))
    ahead = operator.forward(here, [x], {}, PLACE)
    behind = operator.backward(here, [x], ahead, delta, gradient_kinds(CONFIGURATION)[0], PLACE)
    return ahead.output.reshape(-1), behind.deltas[0].reshape(-1)


def autograd(operator, x):
    """y and dy/dx of numbers [32], in float64."""
    given = torch.tensor(x / ONE, dtype=torch.float64, requires_grad=True)
    y = operator.module([(1, 1, 1)])(given)
    (derivative,) = torch.autograd.grad(y.sum(), given)
    return y.detach().numpy(), derivative.numpy()


def near(points, distance=2):
    """Those numbers and their neighbours, within the format."""
    found = {point + step for point in points for step in range(-distance, distance + 1)}
    return sorted(x for x in found if -LARGEST <= x < LARGEST)


# ---- smooth functions -------------------------------------------------------------------------------------------------------


def edges(operator):
    """Both ends of the format, of the cells and of the asymptotes, 0, and edges and middles of some cells."""
    function = operator.FUNCTION
    cell, bound = 1 << 32 - function.cell_bits, function.bound
    whole = [sign * units * ONE for sign in (-1, 1) for units in (bound - 1, bound, bound + 1, 1023)]
    cells = [c * cell // 2 + part * cell // 256 for c in (-1001, -3, -2, -1, 0, 1, 2, 3, 1234) for part in (0, 1, 127, 128)]
    return near([-LARGEST, LARGEST - 1, *whole, *cells])


@EVERY_SMOOTH
def test_smooth_functions_against_decimals(operator):
    x = edges(operator)
    generator = np.random.default_rng(1)
    delta = generator.integers(-(1 << 44), 1 << 44, len(x))
    for bits in (0, 4):
        expected = [reference.smooth(operator.KIND, number) for number in x]
        y, dx = both(operator, x, delta, delta_bits=bits)
        assert y.tolist() == [value for value, _ in expected]
        slopes = [slope for _, slope in expected]
        assert dx.tolist() == [rounded(s * int(d), 30 + bits)[0] for s, d in zip(slopes, delta, strict=True)]


@EVERY_SMOOTH
def test_smooth_functions_against_autograd(operator):
    """f within 2^-31 and f' within 2^-29 of float64's, which are exact to 2^-43 or better here."""
    bound, generator = operator.FUNCTION.bound, np.random.default_rng(2)
    dense = generator.integers(-3 * ONE, 3 * ONE, 200_000)
    wide = generator.integers(-(bound + 2) * ONE, (bound + 2) * ONE, 200_000)
    x = np.concatenate([dense, wide, edges(operator), generator.integers(-LARGEST, LARGEST, 1000)])
    found = smooth.smooth(operator.FUNCTION, x)
    y, derivative = autograd(operator, x)
    assert np.abs(found.output / ONE - y).max() < 2.0**-31
    assert np.abs(found.slope / (1 << 30) - derivative).max() < 2.0**-29


@EVERY_SMOOTH
def test_what_is_committed_fits_its_format(operator):
    """Over whole tables: curvatures, slopes and steps of the cells' ends."""
    function = operator.FUNCTION
    first = np.arange(function.rows, dtype=np.int64) * (1 << 32 - function.cell_bits) - function.bound * ONE
    for x in (first, first + (1 << 32 - function.cell_bits) - 1):
        found = smooth.smooth(function, x)
        for values, width in ((found.curvature, smooth.CURVATURE_WIDTH), (found.step, smooth.STEP_WIDTH)):
            assert -(1 << width - 1) <= values.min() and values.max() < 1 << width - 1
        raised = found.slope + smooth.SLOPE_OFFSET
        assert raised.min() >= 0 and raised.max() < 1 << smooth.SLOPE_WIDTH


@EVERY_SMOOTH
def test_arguments_of_more_bits_are_rounded_first(operator):
    x = [n for base in (-ONE, 0, 5, 3 * ONE // 7) for n in range(base * 16 - 9, base * 16 + 9)]
    expected = [reference.smooth(operator.KIND, rounded(number, 4)[0])[0] for number in x]
    assert both(operator, x, [0] * len(x), bits=36)[0].tolist() == expected
    with pytest.raises(Overflow, match=f"{operator.KIND}, step 0"):
        both(operator, [LARGEST * 16 - 8], [0], bits=36)


def test_deltas_that_leave_their_format():
    """GELU's derivative exceeds 1 near 1.4: the largest deltas grow there."""
    with pytest.raises(Overflow, match="input delta, step 0"):
        both(smooth.Gelu(), [3 * ONE // 2], [(1 << 45) - 1])


# ---- clamps -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", CLAMPS, ids=str)
@pytest.mark.parametrize("bits", [32, 36])
def test_clamps_against_python_ints(operator, bits):
    low, high = (bound << bits - 32 for bound in (operator.low, operator.high))
    x = near([low, high, 0, -LARGEST, LARGEST - 1, 12345])
    delta = np.arange(1, len(x) + 1)
    expected = [clamp(number, low, high, operator.inclusive) for number in x]
    y, dx = both(operator, x, delta, bits)
    assert y.tolist() == [value for value, _ in expected]
    assert dx.tolist() == [int(d) * passes for d, (_, passes) in zip(delta, expected, strict=True)]


@pytest.mark.parametrize("operator", CLAMPS, ids=str)
def test_clamps_are_torchs_at_the_bounds_too(operator):
    x = np.array(near([operator.low, operator.high, 0, ONE]))
    y, derivative = autograd(operator, x)
    found = both(operator, x, [1] * len(x))
    assert (found[0] == y * ONE).all()
    assert (found[1] == derivative).all()


def test_bounds():
    assert (RELU6.low, RELU6.high, RELU6.inclusive) == (0, 6 * ONE, False)
    assert Clamp.of(Fraction(-1, 3), Fraction(1, 3)) == Clamp(-1431655765, 1431655765)
    assert Clamp.of(None, None, inclusive=True) == Clamp(-LARGEST, LARGEST - 1, True)
    for operator in CLAMPS:
        assert Clamp.of_numbers(operator.numbers()) == operator
        assert all(0 <= number < 1 << 64 for number in operator.numbers())
    with pytest.raises(ValueError, match=r"high: expected more than low"):
        Clamp.of(HALF, HALF)
    with pytest.raises(ValueError, match=r"high: expected at least -1024 and below 1024, got 1024\.0"):
        Clamp.of(HALF, Fraction(1024))
    with pytest.raises(TypeError, match=r"low: expected an int, got 0\.5"):
        Clamp(0.5, 1)
    with pytest.raises(ValueError, match="clamp: expected 3 numbers, got 2"):
        Clamp.of_numbers((1 << 63, (1 << 63) + 1))
    with pytest.raises(ValueError, match="inclusive: expected 0 or 1, got 2"):
        Clamp.of_numbers((1 << 63, (1 << 63) + 1, 2))


# ---- LeakyReLU --------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.integers(0, ONE),
    st.lists(st.one_of(st.integers(-4, 4), st.integers(-LARGEST, LARGEST - 1)), min_size=1, max_size=20),
    st.sampled_from([0, 2, 4]),
    st.sampled_from([0, 2]),
)
def test_leaky_relu_against_python_ints(slope, x, extra, delta_bits):
    operator = LeakyRelu(slope)
    delta = [number * 5 // 3 % (1 << 45) - (1 << 44) for number in x]
    y, dx = both(operator, x, delta, 32 + extra, delta_bits)
    assert y.tolist() == [leaky(number, slope, number, 32 + extra)[0] for number in x]
    assert dx.tolist() == [leaky(n, slope, d, 32 + delta_bits)[0] for n, d in zip(x, delta, strict=True)]


def test_leaky_relu_against_autograd():
    operator = LeakyRelu.of(Fraction(1, 100))
    x = np.concatenate([near([0, ONE, -ONE]), np.random.default_rng(3).integers(-LARGEST, LARGEST, 10_000)])
    y, derivative = autograd(operator, x)
    found = both(operator, x, [1 << 40] * len(x))
    assert np.abs(found[0] - y * ONE).max() <= 0.5
    assert np.abs(found[1] - derivative * (1 << 40)).max() <= 0.5
    assert derivative[x == 0] == operator.slope / ONE and found[1][x == 0] == rounded(operator.slope << 40, 32)[0]


def test_slopes():
    assert LeakyRelu.of(Fraction(1, 100)).slope == 42949673
    assert LeakyRelu.of_numbers((7,)) == LeakyRelu(7) and LeakyRelu(7).numbers() == (7,)
    for slope in (-1, ONE + 1):
        with pytest.raises(ValueError, match="slope: expected 0 to 1"):
            LeakyRelu(slope)
    with pytest.raises(TypeError, match=r"slope: expected an int, got 0\.5"):
        LeakyRelu(0.5)
    with pytest.raises(ValueError, match="leaky relu: expected 1 numbers, got 0"):
        LeakyRelu.of_numbers(())
