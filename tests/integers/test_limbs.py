"""Limb formats against Python ints, and the extension of the ones of a committed shape."""

import numpy as np
import pytest

from tests.harness.limbs import join
from zkds.errors import PlanRejected
from zkds.field import K
from zkds.integers.limb_columns import LimbColumns, ones_at
from zkds.integers.limbs import LimbFormat, WitnessOverflow
from zkds.multilinear import evaluate_scalars

pytestmark = pytest.mark.any_kernels


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("limb_bits", "width"), [(16, 48), (16, 60), (22, 44), (22, 32), (22, 10), (16, 16), (3, 7), (1, 1)])
def test_limb_format(limb_bits, width, signed):
    number = LimbFormat(limb_bits, width, signed)
    low, high = number.interval.low, number.interval.high
    values = np.array([low, low + 1, low // 3, 0, high // 3, high - 1, high], dtype=np.int64).clip(low, high)
    limbs = number.split("x", values)
    assert len(limbs) == number.limbs and sum(number.limb_widths) == width
    for limb, bits in zip(limbs, number.limb_widths, strict=True):
        assert int(limb.max()) < 1 << bits
    assert (join(number, limbs) == values).all()
    polynomial = number.coefficients(limbs)
    for entry, value in enumerate(values.tolist()):
        assert sum(int(c[entry]) << (limb_bits * j) for j, c in enumerate(polynomial)) == value
    for coefficient, interval in zip(polynomial, number.coefficient_intervals, strict=True):
        assert interval.low <= coefficient.min() and coefficient.max() <= interval.high
    with pytest.raises(WitnessOverflow) as caught:
        number.split("weights", np.array([[0, 0], [0, high + 1]], dtype=np.int64))
    assert str(caught.value) == f"weights: the value at index (1, 1) does not fit {width} bits"
    assert caught.value.index == (1, 1)


def test_misuse():
    with pytest.raises(PlanRejected, match="width: expected 1 to 60 bits, got 61"):
        LimbFormat(16, 61, True)
    with pytest.raises(PlanRejected, match="limb_bits: expected 1 to 22, got 23"):
        LimbFormat(23, 46, True)
    with pytest.raises(TypeError, match="width: expected an int, got float"):
        LimbFormat(16, 48.0, True)
    with pytest.raises(TypeError, match="x: expected an int64 array, got int32"):
        LimbFormat(16, 48, True).split("x", np.zeros(3, dtype=np.int32))
    with pytest.raises(ValueError, match=r"x: expected shape \(2,\), got \(3,\)"):
        LimbColumns("x", LimbFormat(16, 48, True), (2,)).split(np.zeros(3, dtype=np.int64))


def test_ones_at():
    point = [K(3, 1), K(5), K(7, 2)]
    for length in range(5, 9):
        assert ones_at(length, point) == evaluate_scalars([1] * length, point)
