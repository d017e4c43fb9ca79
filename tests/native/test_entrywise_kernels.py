"""Sums of products of digits, entry by entry: every instruction set against Python ints."""

import math

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.harness.kernels import with_all
from zkds.commit.layout import Column, Layout, boxes_of
from zkds.native import entrywise
from zkds.native.columns import Boxes
from zkds.native.entrywise import CellSum, Product, Result

ENDS = [0, 1, -1, 2**31, -(2**31), 2**63 - 1, -(2**63)]


def wrapped(value):
    """The int64 of a Python int, modulo 2^64."""
    return (value + 2**63) % 2**64 - 2**63


def numbers(generator, shape):
    """int64 of all magnitudes, the ends of some ranges among them."""
    found = generator.integers(-(2**63), 2**63 - 1, shape, endpoint=True) >> generator.integers(0, 64, shape)
    found.reshape(-1)[: len(ENDS)] = ENDS[: found.size]
    return found


def strided(values, generator):
    """The same array with its axes in another order in memory."""
    order = generator.permutation(values.ndim)
    return np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order))


@seed(20264)
@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 2**32))
def test_sums_of_products_are_those_of_python_ints(shape, start):
    shape, generator = tuple(shape), np.random.default_rng(start)
    layout = Layout([Column("before", (5,)), Column("a", shape), Column("b", shape)])
    vector = generator.integers(0, 2**32, layout.cells, dtype=np.uint32)
    scales = tuple(int(scale) for scale in generator.choice([1, -1, 3, -(2**40)], 2))
    places = np.stack([layout.offsets(name) for name in "ab"]).astype(np.uint64)
    arrays = [strided(numbers(generator, shape), generator) for _ in range(2)]
    broadcast = np.broadcast_to(numbers(generator, shape[:1]).reshape(-1, *(1,) * (len(shape) - 1)), shape)
    operands = [CellSum(-7, scales, places), CellSum(5, (), places[:0]), *arrays, broadcast]
    digits = [layout.read(vector, name).astype(object) for name in "ab"]
    exact = [digits[0] * scales[0] + digits[1] * scales[1] - 7, 5, *(array.astype(object) for array in (*arrays, broadcast))]
    results = []
    for bits, chained in ((0, False), (16, True), (48, True), (63, False)):
        factors = generator.choice([1, -1, 2**20, -(2**63)], 6).tolist()
        products = list(map(Product, factors, [(), (1,), (0, 2), (2, 3), (3, 4), (0, 0)]))
        results.append((products, bits, chained))
    expected, rest = [], 0
    for products, bits, chained in results:
        sums = np.zeros(shape, dtype=object) + (rest if chained else 0)
        for product in products:
            sums = sums + product.factor * math.prod(exact[k] for k in product.operands)
        sums = np.vectorize(wrapped, otypes=[object])(sums)
        rest = sums >> bits
        expected.append((rest, not (sums & ((1 << bits) - 1)).any()))

    def evaluated():
        found = [Result(own, strided(np.zeros(shape, np.int64), generator), bits, chained) for own, bits, chained in results]
        return found, entrywise.evaluate(vector, boxes_of(shape).places, operands, found)

    for found, exact_ones in with_all(evaluated):
        assert [result.values.tolist() for result in found] == [values.tolist() for values, _ in expected]
        assert exact_ones == [whole for _, whole in expected]


def test_large_tensors_are_cut_into_tasks():
    """More entries than a task has, more than a chunk in the last of them, runs that chunks don't follow."""
    shape, generator = (3, 41, 601), np.random.default_rng(3)
    left, right = (numbers(generator, shape[::-1]).T for _ in range(2))
    expected = (left * right + 3) >> 8

    def evaluated():
        result = Result([Product(1, (0, 1)), Product(3)], np.zeros(shape, dtype=np.int64), 8)
        entrywise.evaluate(np.zeros(0, dtype=np.uint32), Boxes.whole(shape), [left, right], [result])
        return result.values

    assert all((values == expected).all() for values in with_all(evaluated))


def test_wrong_arguments_are_refused():
    vector, boxes, values = np.zeros(4, dtype=np.uint32), Boxes.whole((3,)), np.zeros(3, dtype=np.int64)
    cells = CellSum(0, (1,), np.array([[2]], dtype=np.uint64))
    with pytest.raises(ValueError, match="expected boxes within 4 cells"):
        entrywise.evaluate(vector, boxes, [cells], [])
    with pytest.raises(ValueError, match="expected operands below 1"):
        entrywise.evaluate(vector, boxes, [values], [Result([Product(1, (1,))], values)])
    with pytest.raises(ValueError, match="expected int64 of shape"):
        entrywise.evaluate(vector, boxes, [values[:2]], [])
    with pytest.raises(ValueError, match="at most"):
        entrywise.evaluate(vector, boxes, [values] * 129, [])
    with pytest.raises(ValueError, match="may be written"):
        entrywise.evaluate(vector, boxes, [values], [Result([], np.broadcast_to(values[0], 3))])
    with pytest.raises(ValueError, match="rejected an argument"):
        entrywise.evaluate(vector, boxes, [values], [Result([], values, 64)])
