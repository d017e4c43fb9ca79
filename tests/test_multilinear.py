"""Multilinear extensions against their definition, for every kind of table and every instruction set."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.sumcheck import eq
from zkds.field import ONE, ZERO, K, P, block, from_pairs, to_pairs, unblock
from zkds.multilinear import binding_order, eq_at, eq_table, evaluate, evaluate_integers, evaluate_scalars


def random_elements(seed, count):
    rng = random.Random(seed)
    choices = [0, 1, P - 1]
    return [K(rng.choice([rng.randrange(P), *choices]), rng.choice([rng.randrange(P), *choices])) for _ in range(count)]


def by_definition(values, point):
    return sum((value * eq(point, x) for x, value in enumerate(values)), ZERO)


def test_binding_order():
    assert binding_order(0) == [] and binding_order(2) == [0, 1] and binding_order(3) == [0, 1, 2]
    assert binding_order(4) == [3, 0, 1, 2] and binding_order(7) == [3, 4, 5, 6, 0, 1, 2]
    with pytest.raises(ValueError, match="number of variables >= 0, got -1"):
        binding_order(-1)


@pytest.mark.parametrize("variables", [0, 1, 2, 3, 4, 7, 10, 11])
def test_eq_table(kernels, variables):
    point = random_elements(variables, variables)
    scale = K(3, 5)
    table = eq_table(point, scale)
    assert table.shape == (max(1, 2**variables // 8), 2, 8)
    values = from_pairs(unblock(table))
    indices = range(1 << variables) if variables < 8 else random.Random(1).sample(range(1 << variables), 50)
    assert all(values[x] == scale * eq(point, x) for x in indices)
    assert not any(values[1 << variables :])
    assert evaluate(eq_table(point), point) == eq_at(point, point)


@pytest.mark.parametrize(
    ("variables", "length"), [(0, 1), (1, 1), (3, 8), (3, 5), (5, 32), (6, 41), (11, 2048), (12, 2500), (13, 0)]
)
def test_evaluate(kernels, variables, length):
    point = random_elements(variables, variables)
    weights = from_pairs(unblock(eq_table(point)))
    elements = random_elements(length, length)
    integers = [value.re % 2**32 for value in elements]
    base = [value.re for value in elements]

    def expected(values):
        return sum((value * weight for value, weight in zip(values, weights, strict=False)), ZERO)

    assert evaluate(block(to_pairs(elements)), point) == expected(elements)
    assert evaluate(np.array(base, dtype=np.uint64), point) == expected(base)
    assert evaluate(np.array(integers, dtype=np.uint32), point) == expected(integers)
    assert evaluate_integers(np.array(integers, dtype=np.uint32), point) == expected(integers)
    assert evaluate_scalars(elements, point) == expected(elements)


def test_largest_values_do_not_overflow(kernels):
    largest = K(P - 1, P - 1)
    point = [largest] * 13
    table = block(to_pairs([largest] * 8192))
    assert evaluate(table, point) == largest
    assert evaluate(np.full(8192, P - 1, dtype=np.uint64), point) == K(-1)
    assert evaluate(np.full(8192, 2**32 - 1, dtype=np.uint32), point) == K(2**32 - 1)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.integers(0, 4).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, 2**32), st.integers(0, 2**n - 1))))
def test_extension_agrees_on_the_cube_and_is_linear(case):
    variables, seed, index = case
    values = random_elements(seed, 1 << variables)
    corner = [K(index >> b & 1) for b in range(variables)]
    assert evaluate(block(to_pairs(values)), corner) == values[index]
    point, other = random_elements(seed + 1, variables), random_elements(seed + 2, 1 << variables)
    total = block(to_pairs([a + 3 * b for a, b in zip(values, other, strict=True)]))
    assert evaluate(total, point) == by_definition(values, point) + 3 * by_definition(other, point)


def test_eq_at():
    p, q = random_elements(1, 5), random_elements(2, 5)
    assert eq_at(p, q) == eq_at(q, p) == evaluate(eq_table(p), q)
    assert eq_at([], []) == ONE and eq_at([K(5)], [1]) == K(5) and eq_at([K(5)], [0]) == K(-4)
    with pytest.raises(ValueError, match="points of one length, got 5 and 4 coordinates"):
        eq_at(p, q[:4])


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (np.zeros(9, dtype=np.uint32), ValueError, r"table: expected at most 2\^3 entries, got 9"),
        (np.zeros((2, 2, 8), dtype=np.uint64), ValueError, r"table: expected at most 2\^3 entries, got 16"),
        (np.zeros(8, dtype=np.int64), TypeError, "table: expected dtype uint64, got int64"),
        (np.zeros((2, 4), dtype=np.uint64), ValueError, r"table: expected shape \(n, 2, 8\)"),
        ([1, 2], TypeError, "table: expected a numpy array of uint64, got list"),
    ],
)
def test_misuse_is_named(table, error, message):
    with pytest.raises(error, match=message):
        evaluate(table, random_elements(1, 3))


def test_evaluate_integers_refuses_tables_of_k():
    with pytest.raises(ValueError, match="values: expected a one-dimensional array"):
        evaluate_integers(np.zeros((1, 2, 8), dtype=np.uint64), random_elements(1, 3))
