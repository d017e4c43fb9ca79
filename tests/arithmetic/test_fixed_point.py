"""Formats and the configuration: derived integers against exact rationals, canonical bytes, errors that name the field."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from zkds.circuits.arithmetic.fixed_point import (
    CONVOLUTION,
    Configuration,
    Overflow,
    Place,
    require_format,
    require_unsigned,
    round_half_up,
)
from zkds.errors import MalformedProof
from zkds.integers.limbs import WitnessOverflow

pytestmark = pytest.mark.any_kernels

RATES = st.fractions(Fraction(1, 2**20), 8, max_denominator=10**9)


def nearest(value):
    """The integer q with value - 1/2 < q <= value + 1/2."""
    q = (2 * value.numerator + value.denominator) // (2 * value.denominator)
    assert value - Fraction(1, 2) < q <= value + Fraction(1, 2)
    return q


def test_defaults():
    configuration = Configuration.of()
    assert configuration == Configuration()
    assert (configuration.steps, configuration.batch_size, configuration.passes) == (5, 8, 9)
    assert (configuration.rho, configuration.learning_rate, configuration.eps) == (
        Fraction(5, 100),
        Fraction(1, 10**4),
        Fraction(1, 10**12),
    )
    assert (configuration.sharpness, configuration.perturbation) == ("ASAM", "SAM")
    assert configuration.second_bits == 56 and configuration.second_scale == nearest(Fraction(2**56, 10**4))
    assert configuration.rho_int == nearest(Fraction(2**32, 20))
    assert configuration.eps_int == nearest(Fraction(2**56 * 400, 8 * 10**12))
    assert configuration.update.width == 32 and configuration.update.signed


@seed(1)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(RATES)
def test_learning_rate(rate):
    configuration = Configuration.of(learning_rate=rate)
    e2 = configuration.second_bits
    assert rate * 2**e2 <= 2**43 < rate * 2 ** (e2 + 1)
    assert 2**42 <= configuration.second_scale <= 2**43 and configuration.second_scale == nearest(rate * 2**e2)
    assert 2 ** (configuration.update.width - 1) >= 16 * rate * 2**40, "an entry of the gradient may reach 16"


@seed(2)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.integers(2, 100), st.integers(1, 100), st.fractions(Fraction(1, 100), 7, max_denominator=10**6), RATES, st.integers(0, 3)
)
def test_bytes(steps, batch_size, rho, rate, choices):
    names = ("SAM", "ASAM")
    configuration = Configuration.of(
        steps=steps,
        batch_size=batch_size,
        rho=rho,
        learning_rate=rate,
        sharpness=names[choices & 1],
        perturbation=names[choices >> 1],
    )
    data = configuration.encode()
    assert Configuration.decode(data) == configuration
    for wrong in (data[:-1], data + b"\0", b"x" + data[1:]):
        with pytest.raises(MalformedProof):
            Configuration.decode(wrong)


@pytest.mark.parametrize("position", range(10))
def test_bytes_of_no_configuration(position):
    """Each number in turn replaced by 0 or by 2^64 - 1: no other configuration, and no crash."""
    data = Configuration.of().encode()
    start = len(data) - 80 + 8 * position
    for number in (bytes(8), b"\xff" * 8):
        changed = data[:start] + number + data[start + 8 :]
        try:
            found = Configuration.decode(changed)
        except MalformedProof:
            continue
        assert changed == found.encode() and position >= 8, "only the choices may be 0"


def test_fractions_in_lowest_terms_only():
    numbers = [5, 8, 2, 40, 1, 10**4, 1, 10**12, 0, 0]
    data = b"zkds configuration v1" + b"".join(number.to_bytes(8, "little") for number in numbers)
    with pytest.raises(MalformedProof, match="configuration: expected fractions in lowest terms"):
        Configuration.decode(data)


def test_all_exact_spellings():
    for rho in ("0.05", "5e-2", "1/20", Decimal("0.05"), Fraction(1, 20)):
        assert Configuration.of(rho=rho).rho == Fraction(1, 20)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"steps": 1}, ValueError, "steps: expected 2 to 1024, got 1"),
        ({"steps": "5"}, TypeError, "steps: expected an int, got str"),
        ({"steps": True}, TypeError, "steps: expected an int, got bool"),
        ({"batch_size": 0}, ValueError, "batch_size: expected 1 to 4096, got 0"),
        ({"rho": 0.05}, TypeError, "rho: expected a decimal string, an int, a Decimal or a Fraction, got float"),
        ({"rho": "abc"}, ValueError, "rho: expected a decimal number, got 'abc'"),
        ({"rho": "nan"}, ValueError, "rho: expected a decimal number, got 'nan'"),
        ({"rho": "inf"}, ValueError, "rho: expected a decimal number, got 'inf'"),
        ({"rho": "1/0"}, ValueError, "rho: expected a decimal number, got '1/0'"),
        ({"rho": 0}, ValueError, "rho: expected a positive number, got 0"),
        ({"rho": 8}, ValueError, "rho: expected at least 2^-33 and below 8, got 8"),
        ({"rho": "1e-11"}, ValueError, "rho: expected at least 2^-33 and below 8, got 1/100000000000"),
        ({"learning_rate": 0}, ValueError, "learning_rate: expected a positive number, got 0"),
        ({"learning_rate": "1e-7"}, ValueError, "learning_rate: expected 2^-20 to 8, got 1/10000000"),
        ({"learning_rate": 9}, ValueError, "learning_rate: expected 2^-20 to 8, got 9"),
        ({"eps": "1e-19"}, ValueError, "eps: expected about 2.8e-19 to 7.8e-05 for these batch_size and rho, got 1e-19"),
        ({"eps": "0.1"}, ValueError, "eps: expected about 2.8e-19 to 7.8e-05 for these batch_size and rho, got 0.1"),
        ({"eps": "1e-30"}, ValueError, "eps: expected numerator and denominator below 2^64, got 1/1" + 30 * "0"),
        ({"sharpness": "asam"}, ValueError, "sharpness: expected one of ASAM, SAM, got 'asam'"),
        ({"perturbation": None}, ValueError, "perturbation: expected one of SAM, ASAM, got None"),
    ],
)
def test_refused(arguments, error, message):
    with pytest.raises(error) as caught:
        Configuration.of(**arguments)
    assert str(caught.value) == message


def test_the_constructor_takes_fractions_only():
    with pytest.raises(TypeError, match=r"rho: expected a Fraction, got str; Configuration\.of takes decimal strings"):
        Configuration(rho="0.05")


@seed(3)
@settings(deadline=None, derandomize=True)
@given(st.integers(-(2**80), 2**80), st.integers(1, 70))
def test_round_half_up(value, shift):
    assert round_half_up(value, shift) == nearest(Fraction(value, 2**shift))


def test_overflow_names_layer_pass_tensor_and_index():
    values = np.zeros((2, 3), dtype=np.int64)
    values[1, 2] = 2**42
    require_format(values - 1, CONVOLUTION, "convolution", Place(0))
    with pytest.raises(Overflow) as caught:
        require_format(values, CONVOLUTION, "convolution", Place(3, True, "conv1"))
    expected = "convolution, conv1, second pass of step 3: the value at index (1, 2) does not fit 43 bits; smaller inputs, "
    expected += "weights or learning rates, or batch norm behind the layer, keep it in range"
    assert str(caught.value) == expected and isinstance(caught.value, WitnessOverflow)
    assert (caught.value.tensor, caught.value.place, caught.value.index) == ("convolution", Place(3, True, "conv1"), (1, 2))
    with pytest.raises(Overflow, match="kappa, step 1: the value at index \\(\\) does not fit 60 bits"):
        require_unsigned(2**60, 60, "kappa", Place(1))


def test_perturbations_have_the_width_that_rho_needs():
    """rho_int 2^8 < 2^36 for rho = 0.05; ASAM multiplies by a weight below 16."""
    assert Configuration.of().normalised_format.width == Configuration.of().perturbation_format.width == 37
    assert Configuration.of(perturbation="ASAM").perturbation_format.width == 41
    assert Configuration.of(rho=4).perturbation_format.width == 44
