"""Exact wide sums: against Python ints, up to the largest operands, and past the point where they are refused."""

import random

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from zkds.circuits.arithmetic import exact
from zkds.circuits.arithmetic.exact import (
    Operand,
    SumTooWide,
    Wide,
    gram,
    inner_products,
    matrix_product,
    products,
    round_integers,
    sum_of_squares,
)
from zkds.native.exact import MatrixProduct, View


def wide(values):
    """A Wide of Python ints."""
    hi = np.array([value >> 32 for value in values], dtype=np.int64)
    return Wide(hi, np.array([value & 0xFFFFFFFF for value in values], dtype=np.int64))


def integers(found):
    assert all(0 <= low < 1 << 32 for low in found.words[1].ravel().tolist())
    return found.integers().ravel().tolist()


def random_array(source, bits, shape):
    """Entries of all magnitudes up to 2^bits - 1, the extremes among them."""
    size = int(np.prod(shape))
    entries = [source.getrandbits(bits) * source.choice((1, -1)) >> source.randrange(bits) for _ in range(size)]
    entries[0] = (2**bits - 1) * source.choice((1, -1))
    return np.array(entries, dtype=np.int64).reshape(shape)


@seed(1)
@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(-(2**94), 2**94), min_size=1, max_size=8), st.integers(1, 62))
def test_rounding(values, shift):
    quotient, remainder = wide(values).round(shift)
    for value, q, r in zip(values, quotient.tolist(), remainder.tolist(), strict=True):
        expected, expected_remainder = divmod(value + 2 ** (shift - 1), 2**shift)
        assert q == max(-(2**63), min(2**63 - 1, expected))
        assert r == expected_remainder


@seed(7)
@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(-(2**94), 2**94), min_size=1, max_size=8), st.integers(0, 63))
def test_shifts(values, shift):
    smaller = [value >> shift for value in values]
    assert integers(wide(smaller).shifted(shift)) == [value << shift for value in smaller]
    assert wide(values).integers().tolist() == values


def test_rounding_of_python_ints():
    values = np.array([-(2**200) - 1, 2**7, 2**7 - 1, -(2**7)], dtype=object)
    quotient, remainder = round_integers(values, 8)
    assert quotient.tolist() == [-(2**192), 1, 0, 0] and remainder.tolist() == [2**7 - 1, 0, 2**8 - 1, 0]


@pytest.mark.parametrize("shift", [0, 63, -1])
def test_rounding_refuses_other_shifts(shift):
    with pytest.raises(ValueError, match="shift: expected 1 to 62"):
        wide([1]).round(shift)


@seed(2)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 62), st.integers(0, 40), st.integers(0, 2**32))
def test_sums_are_rounded_as_they_are(shift, addend_shift, random_seed):
    """Products, their factors and an addend broadcast, and words of any strides: no part is rounded before they are added."""
    source = random.Random(random_seed)
    left, right = random_array(source, 46, (3, 1, 2)), random_array(source, 46, (4, 1))
    addend = random_array(source, 50, (3, 1, 1))
    values = [source.getrandbits(93) * source.choice((1, -1)) for _ in range(24)]
    words = wide(values).words
    other = Wide(*(part.reshape(2, 4, 3).T for part in words))
    total = products(left, right) + Wide.of(addend, addend_shift) + other
    exact_sums = left.astype(object) * right + addend.astype(object) * 2**addend_shift + other.integers()
    assert (total.integers() == exact_sums).all()
    value, remainder = total.round(shift)
    expected, rest = round_integers(exact_sums, shift)
    assert (value == expected.clip(-(2**63), 2**63 - 1)).all() and (remainder == rest).all()
    assert value.flags.c_contiguous and value.shape == (3, 4, 2)


def test_sums_of_two_products_are_refused():
    one = np.ones(1, dtype=np.int64)
    for part in (products(one, one), Wide.of(one)):
        with pytest.raises(ValueError, match="one product and one addend"):
            part + part


@seed(3)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 62), st.integers(1, 62), st.integers(0, 2**32))
def test_products(left_bits, right_bits, random_seed):
    source = random.Random(random_seed)
    left, right = random_array(source, left_bits, (3, 1)), random_array(source, right_bits, (4,))
    if left_bits + right_bits > 94:
        with pytest.raises(ArithmeticError, match="products"):
            products(left, right)
        return
    expected = [a * b for a in left.ravel().tolist() for b in right.tolist()]
    assert integers(products(left, right)) == expected


@seed(5)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 51), st.integers(1, 51), st.integers(1, 70), st.integers(0, 1000))
def test_inner_products(left_bits, right_bits, terms, random_seed):
    source = random.Random(random_seed)
    left, right = (random_array(source, bits, (3, terms)) for bits in (left_bits, right_bits))
    expected = (left.astype(object) * right).sum(axis=1).tolist()
    assert integers(inner_products(left, right)) == [max(-(2**94), min(2**94, total)) for total in expected]


@seed(4)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 51), st.integers(1, 51), st.integers(1, 30), st.integers(0, 2**32))
def test_matrix_products(left_bits, right_bits, inner, random_seed):
    source = random.Random(random_seed)
    left, right = random_array(source, left_bits, (3, inner)), random_array(source, right_bits, (inner, 2))
    place = MatrixProduct(View.of_matrix(3, inner), View.of_matrix(inner, 2), View.of_matrix(3, 2))
    found = integers(exact.multiply(Operand.of(left[None]), Operand.of(right[None]), [place], (1, 3, 2)))
    expected = (left.astype(object) @ right.astype(object)).ravel().tolist()
    assert found == [max(-(2**94), min(2**94, wanted)) for wanted in expected]


@seed(8)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 51), st.integers(1, 51), st.integers(1, 30), st.integers(0, 2**32))
def test_grams(left_bits, right_bits, inner, random_seed):
    source = random.Random(random_seed)
    left, right = random_array(source, left_bits, (3, inner)), random_array(source, right_bits, (2, inner))
    assert (gram(left, right) == left.astype(object) @ right.T.astype(object)).all()
    total = left.astype(object) @ right.T.astype(object)
    assert integers(matrix_product(left, right.T)) == [max(-(2**94), min(2**94, value)) for value in total.ravel()]


def test_grams_of_long_rows():
    """The largest entries, in more than one run of terms."""
    length = exact.GRAM_CHUNK + 3
    row = np.full((1, length), 2**51 - 1)
    found = gram(np.concatenate([row, -row]), row)
    assert found.tolist() == [[length * (2**51 - 1) ** 2], [-length * (2**51 - 1) ** 2]]


def test_wider_operands_are_refused():
    place = MatrixProduct(*[View.of_matrix(1, 1)] * 3)
    small, large = Operand.of(np.full((1, 1, 1), 1)), Operand.of(np.full((1, 1, 1), 2**51))
    with pytest.raises(SumTooWide, match="expected operands of 51 bits, got 1 products of 1 and 52"):
        exact.multiply(small, large, [place], (1, 1, 1))


@pytest.mark.parametrize("bits", [1, 20, 46])
@pytest.mark.parametrize("count", [1, 1 << 16, (1 << 16) + 1])
def test_sum_of_squares(bits, count):
    generator = np.random.default_rng(bits)
    values = generator.integers(-(2**bits), 2**bits, (count,))
    assert sum_of_squares(values) == sum(value * value for value in values.tolist())
    extreme = np.full((count, 1), -(2**47))
    assert sum_of_squares(extreme) == count << 94


def test_sum_of_squares_refuses_larger_values():
    with pytest.raises(ArithmeticError, match="sum_of_squares"):
        sum_of_squares(np.array([2**47 + 1]))


def test_sums_of_nothing():
    empty = np.zeros(0, dtype=np.int64)
    assert sum_of_squares(empty) == 0 and exact.magnitude(empty) == 0
    assert Wide(empty, empty).round(5)[0].size == 0
