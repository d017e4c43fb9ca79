"""Exact products of integer matrices: against Python ints, on every instruction set, at the ends of all widths."""

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.harness.kernels import with_all
from zkds.native import exact
from zkds.native.exact import View


def entries(generator, bits, shape):
    """Entries of all magnitudes from -2^bits to 2^bits - 1, the ends among them."""
    values = generator.integers(-(2**bits), 2**bits, shape) >> generator.integers(0, bits + 1, shape)
    values.flat[0], values.flat[-1] = -(2**bits), 2**bits - 1
    return values


def wide(left, right, bits):
    """(batches, m, k) and (batches, k, n) plain arrays -> (batches, m, n) Python ints."""
    (batches, rows, terms), columns = left.shape, right.shape[2]
    hi, lo = (np.full((batches, rows, columns), -1, dtype=np.int64) for _ in range(2))
    out = View.of_matrix(rows, columns)
    exact.wide(left, View.of_matrix(rows, terms), right, View.of_matrix(terms, columns), bits, hi, lo, out)
    assert not (lo >> 32).any()
    return ((hi.astype(object) << 32) + lo).tolist()


def digits(left, right, bits, count):
    (batches, rows, terms), columns = left[0].shape, right[0].shape[2]
    sums = [np.full((batches, rows, columns), -1, dtype=np.int64) for _ in range(count)]
    views = View.of_matrix(rows, terms), View.of_matrix(terms, columns), View.of_matrix(rows, columns)
    exact.digits(left, views[0], right, views[1], bits, sums, views[2])
    return [total.tolist() for total in sums]


def clipped(left, right):
    return np.clip(left.astype(object) @ right.astype(object), -(2**94), 2**94).tolist()


SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 40))


@seed(1)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(SHAPES, st.integers(0, 51), st.integers(0, 51), st.integers(1, 2), st.integers(0, 2**32))
def test_wide_products(shape, left_bits, right_bits, batches, random_seed):
    rows, terms, columns = shape
    generator = np.random.default_rng(random_seed)
    left, right = (
        entries(generator, left_bits, (batches, rows, terms)),
        entries(generator, right_bits, (batches, terms, columns)),
    )
    expected = clipped(left, right)
    assert all(found == expected for found in with_all(lambda: wide(left, right, (left_bits, right_bits))))


@seed(2)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(SHAPES, st.tuples(*[st.integers(1, 3)] * 3), st.integers(0, 24), st.integers(0, 2**32))
def test_digit_products(shape, counts, bits, random_seed):
    rows, terms, columns = shape
    generator = np.random.default_rng(random_seed)
    left = [entries(generator, 31, (2, rows, terms)) for _ in range(counts[0])]
    right = [entries(generator, bits, (2, terms, columns)) for _ in range(counts[1])]
    expected = [np.zeros((2, rows, columns), dtype=object) for _ in range(counts[2])]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            if i + j < counts[2]:
                expected[i + j] = expected[i + j] + a.astype(object) @ b.astype(object)
    for found in with_all(lambda: digits(left, right, (31, bits), counts[2])):
        assert found == [total.tolist() for total in expected]


@pytest.mark.parametrize("shape", [(49, 257, 129), (7, 600, 17), (100, 3, 300)])
def test_several_blocks_and_chunks(kernels, shape):
    rows, terms, columns = shape
    generator = np.random.default_rng(rows)
    left, right = entries(generator, 44, (1, rows, terms)), entries(generator, 40, (1, terms, columns))
    assert wide(left, right, (44, 40)) == clipped(left, right)
    small = entries(generator, 16, (1, rows, terms)), entries(generator, 16, (1, terms, columns))
    assert digits([small[0]], [small[1]], (16, 16), 1) == [(small[0] @ small[1]).tolist()]


@pytest.mark.parametrize("signs", [(-1, -1), (-1, 1), (1, 1)])
def test_longest_sums_of_the_largest_products(kernels, signs):
    """2^11 products of +-2^51: sums of 2^113 become +-2^94; and of the largest that still fit."""
    left, right = (
        np.full(shape, -(2**51) if sign < 0 else 2**51 - 1)
        for sign, shape in zip(signs, ((1, 2, 2048), (1, 2048, 9)), strict=True)
    )
    assert wide(left, right, (51, 51)) == [[[signs[0] * signs[1] * 2**94] * 9] * 2]
    left, right = left >> 10, right >> 9
    assert wide(left, right, (41, 42)) == clipped(left, right)
    digit = [np.full(shape, -(2**25)) for shape in ((1, 1, 2048), (1, 2048, 1))]
    assert digits([digit[0]], [digit[1]], (25, 25), 1) == [[[[2**61]]]]


@pytest.mark.parametrize("distance", [-1, 0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_around_the_largest_wide_value(kernels, sign, distance):
    left = np.array([[[sign * 2**47, sign]]], dtype=np.int64)
    right = np.array([[[2**47], [distance]]], dtype=np.int64)
    assert wide(left, right, (48, 48)) == [[[sign * min(2**94, 2**94 + distance)]]]


def test_views(kernels):
    """Entries that repeat, rows and columns in any order, results spread out; nothing else is written."""
    values, other = np.arange(10, dtype=np.int64)[None], np.arange(100, 103, dtype=np.int64)[None]
    left = View(np.array([3, 0, 0]), np.array([2, 2, 5]))
    right = View(np.array([0, 1, 0]), np.array([1, 0]))
    out = View(np.array([20, 10, 0]), np.array([1, 3]))
    hi, lo = np.full((1, 24), 7), np.full((1, 24), 7)
    exact.wide(values, left, other, right, (4, 7), hi, lo, out)
    matrix, second = values[0][left.rows[:, None] + left.columns], other[0][right.rows[:, None] + right.columns]
    places = out.rows[:, None] + out.columns
    assert (lo[0][places] == matrix @ second).all() and not hi[0][places].any()
    untouched = np.setdiff1d(np.arange(24), places)
    assert (lo[0][untouched] == 7).all() and (hi[0][untouched] == 7).all()


def test_empty_sums_and_results(kernels):
    assert wide(np.zeros((1, 2, 0), np.int64), np.zeros((1, 0, 3), np.int64), (1, 1)) == [[[0] * 3] * 2]
    assert wide(np.zeros((0, 2, 1), np.int64), np.zeros((0, 1, 3), np.int64), (1, 1)) == []
    assert wide(np.zeros((1, 0, 1), np.int64), np.zeros((1, 1, 3), np.int64), (1, 1)) == [[]]


@pytest.mark.parametrize("value", [2**20, -(2**20) - 1, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("place", [0, 5, 299])
def test_entries_wider_than_declared_are_refused(kernels, value, place):
    good, bad = np.zeros((1, 300, 40), np.int64), np.zeros((1, 2, 300), np.int64)
    bad[0, 1, place] = value
    for call in (lambda: wide(bad, good, (20, 20)), lambda: digits([bad], [good], (20, 20), 1)):
        with pytest.raises(ValueError, match="the C core rejected an argument"):
            call()
    good, bad = np.zeros((1, 2, 300), np.int64), np.zeros((1, 300, 40), np.int64)
    bad[0, place, 11] = value
    with pytest.raises(ValueError, match="the C core rejected an argument"):
        wide(good, bad, (20, 20))


ONE = np.ones((1, 1, 1), np.int64)
VIEW = View.of_matrix(1, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: wide(ONE, ONE, (52, 1)), ValueError, r"bits: expected 0 to 51, got \(52, 1\)"),
        (lambda: digits([ONE], [ONE], (32, 1), 1), ValueError, r"bits: expected 0 to 31, got \(32, 1\)"),
        (
            lambda: wide(np.ones((1, 1, 2049), np.int64), np.ones((1, 2049, 1), np.int64), (51, 51)),
            ValueError,
            "bits: sums of 2049 products of 51 and 51 bits need more than 113",
        ),
        (
            lambda: digits([np.ones((1, 1, 2), np.int64)], [np.ones((1, 2, 1), np.int64)], (31, 31), 1),
            ValueError,
            "bits: sums of 2 products of 31 and 31 bits need more than 62",
        ),
        (lambda: digits([ONE] * 9, [ONE], (1, 1), 1), ValueError, "left: expected 1 to 8 arrays, got 9"),
        (lambda: digits([ONE], [ONE], (1, 1), 0), ValueError, "sums: expected 1 to 8 arrays, got 0"),
        (
            lambda: exact.wide(ONE, VIEW, ONE, View.of_matrix(2, 1), (1, 1), ONE, ONE, VIEW),
            ValueError,
            r"views: \(1, 1\) times \(2, 1\) is no \(1, 1\)",
        ),
        (
            lambda: exact.wide(ONE, View.of_matrix(1, 2), ONE, View.of_matrix(2, 1), (1, 1), ONE, ONE, VIEW),
            ValueError,
            "left: expected 2 entries in a batch, got 1",
        ),
        (lambda: wide(ONE.astype(np.int32), ONE, (1, 1)), TypeError, "left: expected dtype int64, got int32"),
        (lambda: exact.wide(ONE, VIEW, ONE[:0], VIEW, (1, 1), ONE, ONE, VIEW), ValueError, "right: expected 1 batches, got 0"),
        (
            lambda: exact.digits([ONE], VIEW, [ONE, ONE[0]], VIEW, (1, 1), [ONE], VIEW),
            ValueError,
            r"right: expected arrays of one shape, got \(1, 1, 1\) and \(1, 1\)",
        ),
        (lambda: View(np.array([-1]), np.array([0])), ValueError, "rows: expected offsets of at least 0, got -1"),
    ],
)
def test_misuse_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
