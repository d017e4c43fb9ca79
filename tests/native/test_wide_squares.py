"""The exact sum of squares of products of two matrices against Python integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.kernels import with_all
from zkds import native
from zkds.native.wide_squares import FACTOR_BITS, sum_of_squared_products

LARGEST = (1 << FACTOR_BITS) - 1


def expected(start, shift, moved, gradient):
    w = start.astype(object) * 2**shift - moved[0].T.astype(object) @ moved[1].astype(object)
    g = gradient[0].T.astype(object) @ gradient[1].astype(object)
    return int(((w * g) ** 2).sum())


def factors(generator, rank, rows, columns, bits):
    return tuple(generator.integers(-(1 << bits) + 1, 1 << bits, (rank, length)) for length in (rows, columns))


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 600), st.integers(0, 5), st.integers(1, 5), st.integers(0, 49))
def test_random_matrices(seed, rows, columns, rank, gradient_rank, shift):
    generator = np.random.default_rng(seed)
    bits = generator.integers(1, FACTOR_BITS + 1, 3)
    start = generator.integers(-(1 << bits[0]) + 1, 1 << bits[0], (rows, columns))
    moved, gradient = (factors(generator, r, rows, columns, b) for r, b in ((rank, bits[1]), (gradient_rank, bits[2])))
    if not rank:
        moved = np.zeros((0, rows), dtype=np.int64), np.zeros((0, columns), dtype=np.int64)
    assert sum_of_squared_products(start, shift, moved, gradient) == expected(start, shift, moved, gradient)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_entries(sign, threads):
    before = native.threads()
    native.set_threads(threads)
    start, columns = np.full((3, 5), LARGEST), (np.full((40, 3), -sign * LARGEST), np.full((40, 5), LARGEST))
    try:
        assert sum_of_squared_products(start, 49, columns, columns) == expected(start, 49, columns, columns)
    finally:
        native.set_threads(before)


# bits of start, moved and gradient: within two limbs of 52 bits, just within and just beyond them
SIZES = [((44, 28, 43), (46, 43)), ((51, 49, 50), (50, 49)), ((51, 51, 51), (51, 51)), ((51, 40, 40), (51, 51))]


@pytest.mark.parametrize(("moved_bits", "gradient_bits"), SIZES)
@pytest.mark.parametrize("columns", [1, 8, 23, 8200])
def test_all_kernels_agree_with_integers(columns, moved_bits, gradient_bits):
    generator = np.random.default_rng(columns)

    def draw(bits, *shape):
        values = generator.integers(-(1 << bits) + 1, 1 << bits, shape)
        return np.where(generator.integers(0, 8, shape) == 0, np.sign(values) * ((1 << bits) - 1), values)

    start = draw(moved_bits[0], 2, columns)
    moved = draw(moved_bits[1], 3, 2), draw(moved_bits[2], 3, columns)
    gradient = draw(gradient_bits[0], 4, 2), draw(gradient_bits[1], 4, columns)
    moved[0][1, :] = 0
    for shift in (0, 30, 49):
        value = expected(start, shift, moved, gradient)
        for found in with_all(lambda shift=shift: sum_of_squared_products(start, shift, moved, gradient)):
            assert found == value


def test_the_largest_entries_of_two_limbs():
    """w and g of +-2 (2^51 - 1)^2, just below 2^103."""
    left, zero = np.array([[LARGEST, -LARGEST]] * 2), np.zeros((2, 1024), dtype=np.int64)
    for sign in (1, -1):
        factor = left, np.full((2, 1024), sign * LARGEST)
        for found in with_all(lambda factor=factor: sum_of_squared_products(zero, 0, factor, factor)):
            assert found == 2048 * (2 * LARGEST**2) ** 4


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("value", [1 << FACTOR_BITS, -(1 << FACTOR_BITS)])
def test_wider_entries_are_refused(place, value):
    arrays = [np.ones((2, 3), dtype=np.int64), *(np.ones((1, length), dtype=np.int64) for length in (2, 3, 2, 3))]
    arrays[place][-1, -1] = value
    with pytest.raises(ValueError, match="sum of squared products"):
        sum_of_squared_products(arrays[0], 0, tuple(arrays[1:3]), tuple(arrays[3:]))


def test_other_shapes_are_refused():
    start, rows, columns = (np.ones(shape, dtype=np.int64) for shape in ((2, 3), (1, 2), (1, 3)))
    with pytest.raises(ValueError, match="moved: right"):
        sum_of_squared_products(start, 0, (rows, rows), (rows, columns))
    with pytest.raises(ValueError, match="gradient: left"):
        sum_of_squared_products(start, 0, (rows, columns), (columns, columns))
    for shift in (-1, 50):
        with pytest.raises(ValueError, match="sum of squared products"):
            sum_of_squared_products(start, shift, (rows, columns), (rows, columns))
