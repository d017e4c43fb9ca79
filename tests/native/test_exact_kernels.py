"""Exact products of integer matrices: against Python ints, on every instruction set, at the ends of all widths."""

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.harness.kernels import with_all
from zkds.native import exact
from zkds.native.exact import View, Width


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
    widths = [Width(bits[0])] * len(left), [Width(bits[1])] * len(right)
    exact.digits(left, views[0], right, views[1], widths, sums, views[2])
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


# ---- shapes and widths that tiles of bytes take (AMX) ----------------------------------------------------------------------


def summed(left, right, count):
    """The slow twin of `digits`, of Python ints."""
    sums = [np.zeros((*left[0].shape[:2], right[0].shape[2]), dtype=object) for _ in range(count)]
    for i, j in np.ndindex(len(left), len(right)):
        if i + j < count:
            sums[i + j] += left[i].astype(object) @ right[j].astype(object)
    return [total.tolist() for total in sums]


def digits_of(left, right, widths, count):
    (batches, rows, terms), columns = left[0].shape, right[0].shape[2]
    sums = [np.full((batches, rows, columns), -1, dtype=np.int64) for _ in range(count)]
    views = View.of_matrix(rows, terms), View.of_matrix(terms, columns), View.of_matrix(rows, columns)
    exact.digits(left, views[0], right, views[1], widths, sums, views[2])
    return [total.tolist() for total in sums]


def within(generator, width, shape):
    low = -(2**width.bits) if width.signed else 0
    values = generator.integers(low, 2**width.bits, shape)
    values.flat[0], values.flat[-1] = low, 2**width.bits - 1
    return values


@pytest.mark.parametrize("shape", [(8, 16, 600), (17, 70, 65), (130, 33, 17), (9, 600, 13)])
def test_digits_of_all_widths(shape):
    """Each of its own width and sign; less than a tile of rows, terms or columns, and more than a block."""
    rows, terms, columns = shape
    generator = np.random.default_rng(terms)
    unsigned = [Width(bits, signed=False) for bits in (0, 8, 16)]
    widths = [Width(0), Width(7), unsigned[1], Width(31)], [unsigned[2], unsigned[0], Width(15)]
    left = [within(generator, width, (2, rows, terms)) for width in widths[0]]
    right = [within(generator, width, (2, terms, columns)) for width in widths[1]]
    expected = summed(left, right, 7)
    assert all(found == expected for found in with_all(lambda: digits_of(left, right, widths, 7)))
    assert all(found == expected[:2] for found in with_all(lambda: digits_of(left, right, widths, 2)))


def test_as_many_digits_of_the_largest_bytes_as_there_may_be(kernels):
    """64 products of 255 and 255, 512 times: the largest sum of products of bytes, in 32 bits."""
    count, terms = exact.MAX_DIGITS, 520
    left, right = np.full((1, 8, terms), 255), np.full((1, terms, 16), 255)
    width = Width(8, signed=False)
    found = digits_of([left] * count, [right] * count, ([width] * count, [width] * count), 2 * count)
    pairs = [*range(1, count + 1), *range(count - 1, -1, -1)]
    assert found == [[[[number * terms * 255**2] * 16] * 8] for number in pairs]


@pytest.mark.parametrize(("terms", "bits"), [(256, (24, 24)), (300, (51, 1)), (8192, (50, 50)), (8193, (47, 25))])
def test_wide_products_of_words(terms, bits):
    """The largest of both signs, and of other sizes; longer sums than tiles take."""
    generator = np.random.default_rng(terms)
    left, right = entries(generator, bits[0], (1, 9, terms)), entries(generator, bits[1], (1, terms, 30))
    left[0, 0], left[0, 1] = -(2 ** bits[0]), 2 ** bits[0] - 1
    right[0, :, 0], right[0, :, 1] = -(2 ** bits[1]), 2 ** bits[1] - 1
    expected = clipped(left, right)
    assert all(found == expected for found in with_all(lambda: wide(left, right, bits)))


def test_views_of_tiles(kernels):
    """Lanes or terms side by side, both, neither; entries that repeat."""
    generator = np.random.default_rng(1)
    values = generator.integers(-(2**20), 2**20, (2, 5000))
    run, spread, mixed = np.arange(70), 7 * np.arange(70), generator.permutation(np.repeat(np.arange(35), 2))
    for rows, terms, columns in ((spread, run, run), (run, spread, spread), (spread, spread, run), (mixed, mixed, mixed)):
        left, right, out = View(rows, 100 + terms), View(200 + terms, columns), View(70 * np.arange(70), np.arange(70))
        sums = np.zeros((2, 70, 70), dtype=np.int64)
        exact.digits([values], left, [values], right, ([Width(20)], [Width(20)]), [sums], out)
        expected = [own[rows[:, None] + 100 + terms] @ own[200 + terms[:, None] + columns] for own in values]
        assert (sums == expected).all()


@pytest.mark.parametrize(("width", "value"), [(Width(8, signed=False), -1), (Width(8, signed=False), 256), (Width(8), -257)])
def test_wider_digits_are_refused(kernels, width, value):
    good, bad = np.zeros((1, 300, 40), np.int64), np.zeros((1, 9, 300), np.int64)
    bad[0, 8, 299] = value
    with pytest.raises(ValueError, match="the C core rejected an argument"):
        digits_of([bad], [good], ([width], [Width(1)]), 1)
    turned = [np.ascontiguousarray(side.swapaxes(1, 2)) for side in (good, bad)]
    with pytest.raises(ValueError, match="the C core rejected an argument"):
        digits_of(turned[:1], turned[1:], ([Width(1)], [width]), 1)


ONE = np.ones((1, 1, 1), np.int64)
WIDTHS = [Width(1)], [Width(1)]
VIEW = View.of_matrix(1, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: wide(ONE, ONE, (52, 1)), ValueError, r"bits: expected 0 to 51, got \(52, 1\)"),
        (lambda: digits([ONE], [ONE], (32, 1), 1), ValueError, r"widths: expected 0 to 31 bits, got \(32, 1\)"),
        (
            lambda: wide(np.ones((1, 1, 2049), np.int64), np.ones((1, 2049, 1), np.int64), (51, 51)),
            ValueError,
            "bits: sums of 2049 products of 51 and 51 bits need more than 113",
        ),
        (
            lambda: digits([np.ones((1, 1, 2), np.int64)], [np.ones((1, 2, 1), np.int64)], (31, 31), 1),
            ValueError,
            "widths: sums of 2 products of 31 and 31 bits need more than 62",
        ),
        (lambda: digits([ONE] * 65, [ONE], (1, 1), 1), ValueError, "left: expected 1 to 64 arrays, got 65"),
        (
            lambda: exact.digits([ONE], VIEW, [ONE], VIEW, (WIDTHS[0], []), [ONE], VIEW),
            ValueError,
            "widths: expected 1 and 1, got 1 and 0",
        ),
        (lambda: digits([ONE], [ONE], (1, 1), 0), ValueError, "sums: expected 1 to 128 arrays, got 0"),
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
            lambda: exact.digits([ONE], VIEW, [ONE, ONE[0]], VIEW, (WIDTHS[0], WIDTHS[0] * 2), [ONE], VIEW),
            ValueError,
            r"right: expected arrays of one shape, got \(1, 1, 1\) and \(1, 1\)",
        ),
        (lambda: View(np.array([-1]), np.array([0])), ValueError, "rows: expected offsets of at least 0, got -1"),
    ],
)
def test_misuse_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
