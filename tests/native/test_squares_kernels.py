"""Sums of squares of products of polynomials: every set of kernels against Python integers, at the ends of what they take."""

from __future__ import annotations

import numpy as np
import pytest

from tests.harness.kernels import with_all
from tests.reference.squares import plus, spread, times
from zkds.native import squares

SHAPES = [  # rows, columns, ranks, digits of weights, outer and inner digits, stride, log of a chunk
    (3, 128, (4, 2), 3, (4, 6), 3, 5),
    (2, 64, (0, 1), 1, (1, 1), 1, 20),
    (5, 8, (2, 3), 2, (3, 9), 5, 4),
    (3, 1, (1, 1), 5, (2, 4), 2, 0),
    (1, 256, (1, 8), 5, (8, 22), 5, 7),
    (3, 1024, (2, 3), 2, (2, 3), 2, 11),
]


def job(shape, bits, rng):
    rows, columns, (updates, gradients), weights, (outer, inner), stride, log = shape

    def draw(*lengths):
        return rng.integers(-(1 << bits), 1 << bits, lengths, endpoint=True).astype(np.int16)

    update = squares.LowRank(draw(rows, updates + 1, outer), draw(updates, inner, columns))
    gradient = squares.LowRank(draw(rows, gradients, outer), draw(gradients, inner, columns))
    scale = np.array([1, -2, 1], dtype=np.int16)
    terms = 2 * (max(stride * (weights - 1) + 3, update.terms) + gradient.terms - 1) + 2
    return draw(rows, weights, columns), stride, scale, update, gradient, log, terms


def low_rank(part, row, column):
    total = [0]
    for outer, inner in zip(part.outer[row].tolist(), part.inner[:, :, column].tolist(), strict=False):
        total = plus(total, times(outer, inner))
    return total


def slow(weights, stride, scale, update, gradient, log, terms):
    rows, _, columns = weights.shape
    out = [[0] * terms for _ in range(-(-rows * columns >> log))]
    for row, column in np.ndindex(rows, columns):
        own = times(scale.tolist(), spread(weights[row, :, column].tolist(), stride))
        w = plus(own, [-c for c in low_rank(update, row, column)])
        product = times(w, low_rank(gradient, row, column))
        chunk = row * columns + column >> log
        out[chunk] = plus(out[chunk], times(product, product))
    return out


@pytest.mark.parametrize("bits", [0, 1, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_kernels_agree_with_integers(shape, bits):
    given = job(shape, bits, np.random.default_rng(1))
    expected = slow(*given)
    for found in with_all(lambda: squares.product_squares(*given)):
        assert found.tolist() == expected


@pytest.mark.parametrize(
    "shape",
    [
        (2, 64, (24, 65), 2, (5, 7), 3, 6),
        (2, 8, (25, 130), 2, (30, 28), 5, 4),
        (1, 128, (64, 23), 1, (1, 40), 2, 7),
        (3, 1, (40, 24), 2, (33, 1), 2, 0),
    ],
)
def test_many_rows_of_small_digits(shape):
    """As many as tiles of bytes take, in one chunk or more, and one fewer."""
    given = job(shape, 0, np.random.default_rng(2))
    expected = slow(*given)
    for found in with_all(lambda: squares.product_squares(*given)):
        assert found.tolist() == expected


def test_products_beyond_doubles():
    """|w g| up to 2^30: their squares, summed, need up to 62 bits; some blocks go through doubles, others do not."""
    weights = np.full((2, 1, 64), 2**14, dtype=np.int16)
    weights[1] = 3
    zero = np.zeros((2, 1, 1), dtype=np.int16)
    update = squares.LowRank(zero, np.zeros((0, 1, 64), dtype=np.int16))
    gradient = squares.LowRank(zero + np.int16(2), np.full((1, 1, 64), 2**13 - 1, dtype=np.int16))
    given = (weights, 1, np.array([1], dtype=np.int16), update, gradient, 2, 1)
    expected = slow(*given)
    assert max(map(max, expected)) > 2**57
    for found in with_all(lambda: squares.product_squares(*given)):
        assert found.tolist() == expected


def test_what_is_refused():
    weights, stride, scale, update, gradient, log, terms = job(SHAPES[0], 1, np.random.default_rng(1))
    with pytest.raises(ValueError, match="the C core rejected an argument"):
        squares.product_squares(weights, stride, scale, update, gradient, log, 5)
    with pytest.raises(ValueError, match="low rank: expected 2 rows and 128 columns"):
        squares.product_squares(np.ascontiguousarray(weights[:2]), stride, scale, update, gradient, log, terms)
    with pytest.raises(ValueError, match="outer: expected at least 4 polynomials a row, got 3"):
        squares.LowRank(np.ascontiguousarray(update.outer[:, :3]), update.inner)


def constant(value, shape):
    return np.full(shape, value, dtype=np.int16)


def nothing(rows, columns):
    return squares.LowRank(constant(0, (rows, 1, 1)), constant(0, (0, 1, columns)))


@pytest.mark.parametrize("value", [127, 128, 129, 255, 256, 32511, 32512, 32639, 32640, 32641, 32767])
def test_products_at_the_ends_of_two_bytes(value):
    """Of an entry, w g = +-value, each sign in a chunk of its own: tiles of bytes take products up to 127 2^8 + 127."""
    weights = np.array([value, -value], dtype=np.int16)[:, None, None] + constant(0, (2, 1, 1024))
    one = squares.LowRank(constant(1, (2, 1, 1)), constant(1, (1, 1, 1024)))
    given = (weights, 1, constant(1, (1,)), nothing(2, 1024), one, 10, 1)
    for found in with_all(lambda: squares.product_squares(*given)):
        assert found.tolist() == [[1024 * value**2]] * 2


def test_blocks_of_all_sizes_in_one_chunk():
    """Products of one, two and four bytes, so that every way to add squares has a part in one sum."""
    sizes = np.repeat([3, 100, 2**13, 2**14, 2**15 - 1, 5], 64).astype(np.int16)
    weights = np.concatenate([sizes, constant(7, (640,))])[None, None]
    factor = squares.LowRank(constant(1, (1, 1, 1)), constant(2**13 - 1, (1, 1, 1024)))
    for inner, scale in [(factor, 1), (squares.LowRank(constant(1, (1, 1, 1)), constant(1, (1, 1, 1024))), 1)]:
        given = (weights, 1, constant(scale, (1,)), nothing(1, 1024), inner, 20, 1)
        expected = slow(*given)
        for found in with_all(lambda given=given: squares.product_squares(*given)):
            assert found.tolist() == expected


def test_more_records_than_a_byte_holds():
    """200 records with 3 digits each, all of one sign: 600 terms of a coefficient."""
    update, gradient = (
        squares.LowRank(constant(sign, (2, 200, 3)), np.concatenate([constant(1, (150, 4, 64)), constant(-1, (50, 4, 64))]))
        for sign in (-1, 1)
    )
    given = (constant(5, (2, 1, 64)), 1, constant(1, (1,)), update, gradient, 6, 21)
    expected = slow(*given)
    for found in with_all(lambda: squares.product_squares(*given)):
        assert found.tolist() == expected


def test_digits_that_are_zero_everywhere():
    weights, stride, scale, update, gradient, log, terms = job(SHAPES[0], 0, np.random.default_rng(1))
    weights[:, 1:] = 0
    update.outer[:, :, 1:] = 0
    gradient.outer[:, :, 2:], gradient.inner[:, 3:] = 0, 0
    given = (weights, stride, scale, update, gradient, log, terms)
    expected = slow(*given)
    for found in with_all(lambda: squares.product_squares(*given)):
        assert found.tolist() == expected
    gradient.outer[:] = 0
    for found in with_all(lambda: squares.product_squares(*given)):
        assert not found.any()
