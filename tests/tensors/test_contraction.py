"""Contractions with weights in K against plain integers, at the largest values that are exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import field as reference
from zkds.field import K, P, from_pairs, unblock
from zkds.integers.intervals import Interval
from zkds.native import field
from zkds.tensors.axes import EqAxis, VectorAxis
from zkds.tensors.contraction import (
    combine,
    multiply,
    outer_product,
    padded_pairs,
    product,
    sums_by_index,
    weigh,
    weigh_groups,
    weighted_sum,
)


def elements(generator, *shape):
    """Elements of K, a third of them with the largest parts."""
    pairs = generator.integers(0, P, (*shape, 2), dtype=np.uint64)
    return np.where(generator.integers(0, 3, (*shape, 1)) == 0, np.uint64(P - 1), pairs)


def scaled(weight, number):
    return (int(weight[0]) * number % P, int(weight[1]) * number % P)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 61), st.integers(0, 2))
def test_integers_with_weights(seed, count, bits, axis):
    generator = np.random.default_rng(seed)
    magnitude = (1 << bits) - 2
    shape = [2, 3]
    shape.insert(axis, count)
    values = generator.integers(-magnitude, magnitude + 1, shape)
    values.flat[0], values.flat[-1] = magnitude, -magnitude
    weights = elements(generator, count)
    found = weigh(values, axis, weights, magnitude)
    for i, j in np.ndindex(2, 3):
        column = np.moveaxis(values, axis, -1)[i, j].tolist()
        total = (0, 0)
        for weight, number in zip(weights.tolist(), column, strict=True):
            total = reference.k_add(total, scaled(weight, number))
        assert tuple(found[i, j].tolist()) == total


@pytest.mark.parametrize("own", [1, 3])
def test_integers_with_weights_of_every_run(own):
    """An axis of three runs of four entries, with weights of each run or the same for all."""
    generator = np.random.default_rng(own)
    values, weights = generator.integers(-99, 100, (2, 12, 5)), elements(generator, own, 4)
    found = weigh_groups(values, 1, weights, 99)
    assert found.shape == (2, 3, 5, 2)
    for run in range(3):
        assert (found[:, run] == weigh(values[:, 4 * run : 4 * run + 4], 1, weights[run % own], 99)).all()


def test_an_axis_of_no_whole_runs_is_refused():
    with pytest.raises(ValueError, match="reshape"):
        weigh_groups(np.zeros((5, 1), dtype=np.int64), 0, np.zeros((1, 2, 2), dtype=np.uint64), 1)


def test_products_with_broadcasting():
    generator = np.random.default_rng(2)
    left, right = elements(generator, 3, 1, 4), elements(generator, 5, 1)
    found = product(left, right)
    assert found.shape == (3, 5, 4, 2)
    for i, j, k in np.ndindex(3, 5, 4):
        assert K(*found[i, j, k].tolist()) == K(*left[i, 0, k].tolist()) * K(*right[j, 0].tolist())


def test_sums_by_index():
    generator = np.random.default_rng(3)
    values, indices = elements(generator, 50), generator.integers(0, 6, 50)
    expected = [K(0)] * 7
    for index, value in zip(indices.tolist(), from_pairs(values), strict=True):
        expected[index] = expected[index] + value
    assert from_pairs(sums_by_index(values, indices, 7)) == expected


def test_the_longest_sum_by_index():
    """2^21 halves of 32 bits are 2^53, and no more are added up."""
    count = 1 << 21
    values = np.full((count, 2), P - 1, dtype=np.uint64)
    found = sums_by_index(values, np.zeros(count, dtype=np.int64), 1)
    assert found.tolist() == [[-count % P, -count % P]]
    with pytest.raises(ValueError, match=r"values: expected at most 2\^21, got 2097153"):
        sums_by_index(np.zeros((count + 1, 2), dtype=np.uint64), np.zeros(count + 1, dtype=np.int64), 1)


def test_integers_beyond_p_are_refused():
    with pytest.raises(ValueError, match="magnitude: expected integers below p, got up to 2305843009213693951"):
        weigh(np.zeros((4, 1), dtype=np.int64), 0, np.zeros((4, 2), dtype=np.uint64), P)


@pytest.mark.parametrize("inner", [1, 2, 3, 4, 8, 21, 300])
@pytest.mark.parametrize("count", [1, 700])  # more than a lazy sum takes
def test_every_kernel_weighs_the_largest_integers(kernels, inner, count):
    generator = np.random.default_rng(inner)
    values = generator.integers(1 - P, P, (2, 3, count, inner))
    values[0], values[1, :, ::2] = P - 1, 1 - P
    weights = np.full((3, count, 2), P - 1, dtype=np.uint64)
    weights[1:] = elements(generator, 2, count)
    found = field.weigh(values, weights)
    for o, run, i in [(0, 0, 0), (0, 2, inner - 1), (1, 0, inner // 2), (1, 1, inner - 1)]:
        column = [v % P for v in values[o, run, :, i].tolist()]
        expected = reference.k_dot(list(map(tuple, weights[run].tolist())), [(v, 0) for v in column])
        assert tuple(found[o, run, i].tolist()) == expected
    assert (field.weigh(values, weights[1:2])[:, 1] == found[:, 1]).all()


def test_matrices_over_k():
    generator = np.random.default_rng(1)
    left, right = elements(generator, 2, 3, 11), elements(generator, 11, 5)
    found = multiply(left, right)
    for i, j, k in np.ndindex(2, 3, 5):
        expected = reference.k_dot([tuple(map(int, x)) for x in left[i, j]], [tuple(map(int, x)) for x in right[:, k]])
        assert tuple(found[i, j, k].tolist()) == expected


def test_sums_over_weights_of_all_axes():
    generator = np.random.default_rng(2)
    shape = (2, 3, 5)
    axes = [VectorAxis(elements(generator, length)) for length in shape[:2]]
    axes.append(EqAxis(5, tuple(from_pairs(elements(generator, 3)))))
    tables = [generator.integers(-9, 10, shape) for _ in range(2)]
    digit_weights = from_pairs(elements(generator, 2))
    vectors = [from_pairs(axis.vector()) for axis in axes]
    expected, products = K(0), from_pairs(outer_product(axes))
    for flat, (i, j, k) in enumerate(np.ndindex(*shape)):
        weight = vectors[0][i] * vectors[1][j] * vectors[2][k]
        assert products[flat] == weight
        value = digit_weights[0] * int(tables[0][i, j, k]) + digit_weights[1] * int(tables[1][i, j, k])
        expected = expected + weight * value
    assert weighted_sum(tables, [Interval(-9, 9)] * 2, axes, digit_weights) == expected


def test_arrays_of_k_are_padded_and_combined():
    generator = np.random.default_rng(3)
    tables = [elements(generator, 3, 5) for _ in range(2)]
    weights = from_pairs(elements(generator, 2))
    combined = combine(tables, weights)
    flat = from_pairs(unblock(padded_pairs(combined)))
    for i, j in np.ndindex(4, 8):
        parts = [K(*map(int, table[i, j])) for table in tables] if i < 3 and j < 5 else [K(0), K(0)]
        assert flat[8 * i + j] == weights[0] * parts[0] + weights[1] * parts[1]
