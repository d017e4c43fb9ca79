"""Digits of tensors in the committed vector, and how often it holds which cells: every instruction set against Python ints."""

import itertools

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.harness.kernels import use, with_all
from zkds.commit.layout import Column, Layout
from zkds.native import columns
from zkds.native.columns import Boxes, Digits


def digits_of(value, digits):
    rest, found = value + digits.offset, []
    for _ in range(digits.count):
        found.append(rest % digits.radix)
        rest //= digits.radix
    return found


def values_of(generator, digits, shape):
    """Values that fit, of all magnitudes, the least and the largest among them."""
    low, high = -digits.offset, digits.reach - 1 - digits.offset
    values = np.array([int(generator.integers(low, high + 1)) >> int(generator.integers(0, 62)) for _ in range(np.prod(shape))])
    values = values.clip(low, high).astype(np.int64).reshape(shape)
    values.flat[0], values.flat[-1] = low, high
    return values


FORMATS = [
    Digits(3, 1 << 16, 1 << 43, 1 << 44),  # limbs of a signed value
    Digits(3, 1 << 20, 1 << 59, 1 << 60),
    Digits(1, 1 << 32, 0, 1 << 32),
    Digits(4, 3, 40, 81),  # balanced digits
    Digits(7, 243, 121 * sum(243**j for j in range(7)), 243**7),
    Digits(3, 65535, 0, 65535**3),
    Digits(63, 2, 1 << 62, 1 << 63),
    Digits(2, 1 << 32, 1 << 62, 1 << 63),
    Digits(39, 3, 0, 3**39),
]


@pytest.mark.parametrize("digits", FORMATS, ids=lambda digits: f"{digits.count} of {digits.radix}")
def test_digits_are_those_of_python_ints(digits):
    values = values_of(np.random.default_rng(1), digits, (3, 33))
    for cells in with_all(lambda: columns.split(values, digits)):
        found = [[int(limb.flat[i]) for limb in cells] for i in range(values.size)]
        assert found == [digits_of(value, digits) for value in values.reshape(-1).tolist()]


@pytest.mark.parametrize("digits", FORMATS, ids=lambda digits: f"{digits.count} of {digits.radix}")
@pytest.mark.parametrize("beyond", [-1, 1])
def test_values_without_digits_are_refused(digits, beyond):
    low, high = -digits.offset, digits.reach - 1 - digits.offset
    outside = low - 1 if beyond < 0 else high + 1
    if not -(2**63) <= outside < 2**63:
        pytest.skip("no int64 lies outside")
    for index in (0, 40, 99):
        values = np.full(100, high, dtype=np.int64)
        values[index] = outside
        assert with_all(lambda given=values: columns.split(given, digits)) == [None] * len(with_all(lambda: None))


def layout_of(shape, count):
    return Layout([Column("before", (5,)), *(Column(f"x/{j}", shape) for j in range(count)), Column("behind", (2, 3))])


@seed(20261)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.sampled_from(FORMATS[:5]), st.integers(0, 2**32))
def test_every_digit_is_written_to_its_place(shape, digits, start):
    """In every box of every column, and nowhere else; from arrays of any strides, and back."""
    shape, generator = tuple(shape), np.random.default_rng(start)
    layout = layout_of(shape, digits.count)
    names = [f"x/{j}" for j in range(digits.count)]
    values = values_of(generator, digits, shape)
    expected = np.full(layout.cells, 7, dtype=np.uint32)
    for name, limb in zip(names, columns.split(values, digits), strict=True):
        layout.write(expected, name, limb)
    order = generator.permutation(len(shape))
    strided = np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order))

    def there_and_back():
        vector = np.full(layout.cells, 7, dtype=np.uint32)
        assert layout.write_digits(vector, names, strided, digits)
        return vector, layout.read_digits(vector, names, digits)

    for vector, back in with_all(there_and_back):
        assert (vector == expected).all() and (back == values).all()


def test_large_tensors_are_cut_into_tasks():
    """Boxes of more cells than a task has, whose runs a task's end cuts."""
    digits, shape = FORMATS[0], (5, 3 << 13, 7)
    layout, generator = layout_of(shape, 3), np.random.default_rng(2)
    values = generator.integers(-(1 << 43), 1 << 43, shape)
    names = [f"x/{j}" for j in range(3)]
    expected = np.zeros(layout.cells, dtype=np.uint32)
    for j, name in enumerate(names):
        layout.write(expected, name, ((values + (1 << 43)) >> (16 * j)) & 0xFFFF)

    def write():
        vector = np.zeros(layout.cells, dtype=np.uint32)
        assert layout.write_digits(vector, names, values, digits)
        return vector, layout.read_digits(vector, names, digits)

    for vector, back in with_all(write):
        assert (vector == expected).all() and (back == values).all()


def test_a_single_number():
    assert [limb.tolist() for limb in columns.split(np.array(-3, dtype=np.int64), Digits(4, 3, 40, 81))] == [1, 0, 1, 1]


def test_repeated_entries():
    """A tensor that is broadcast along an axis."""
    digits, layout = FORMATS[0], layout_of((6, 5), 3)
    column = np.arange(-3, 3, dtype=np.int64)[:, None]
    vectors = [np.zeros(layout.cells, dtype=np.uint32) for _ in range(2)]
    for vector, values in zip(vectors, (np.broadcast_to(column, (6, 5)), np.repeat(column, 5, axis=1)), strict=True):
        assert layout.write_digits(vector, ["x/0", "x/1", "x/2"], values, digits)
    assert (vectors[0] == vectors[1]).all()


def test_histogram():
    vector = np.array([3, 0, 9, 3, 7], dtype=np.uint32)
    starts, lengths = np.array([0, 3], dtype=np.uint64), np.array([2, 2], dtype=np.uint64)
    counts = np.zeros(8, dtype=np.uint32)
    assert columns.add_histogram(vector, starts, lengths, counts)
    assert counts.tolist() == [1, 0, 0, 2, 0, 0, 0, 1]
    assert not columns.add_histogram(vector, starts, np.array([3, 2], dtype=np.uint64), counts)


@pytest.mark.parametrize(("bound", "last"), [(5, 4), (1 << 20, 1 << 19)])
def test_large_histogram(bound, last):
    """Runs that tasks cut, and that several of them lie in one; tables that are added up, and one that is too large for it."""
    generator = np.random.default_rng(3)
    vector = generator.integers(0, last, 5 << 20, dtype=np.uint32)
    ends = np.sort(generator.integers(0, len(vector), 200)).astype(np.uint64)
    starts, lengths = ends[:-1], np.diff(ends)
    counted = np.concatenate([vector[int(a) : int(a + n)] for a, n in zip(starts, lengths, strict=True)])

    def count():
        counts = np.ones(bound, dtype=np.uint32)
        return columns.add_histogram(vector, starts, lengths, counts), counts

    for found, counts in with_all(count):
        assert found and (counts == np.bincount(counted, minlength=bound) + 1).all()
    vector[int(ends[-1]) - 1] = bound
    for threads in (1, 3):
        with use("portable", threads):
            assert not count()[0]


def test_misuse():
    digits, values = Digits(2, 1 << 16, 0, 1 << 32), np.zeros((2, 3), dtype=np.int64)
    boxes, places, vector = Boxes.whole((2, 3)), np.array([[0], [6]], dtype=np.uint64), np.zeros(12, dtype=np.uint32)
    assert columns.write(values, digits, boxes, places, vector)
    with pytest.raises(ValueError, match="places: expected boxes within 11 cells"):
        columns.write(values, digits, boxes, places, vector[:11])
    with pytest.raises(ValueError, match=r"values: expected int64 of shape \(2, 3\), got int64 of \(3, 2\)"):
        columns.write(values.T, digits, boxes, places, vector)
    with pytest.raises(ValueError, match="places: expected 3 rows, got 2"):
        columns.read(vector, Digits(3, 4, 0, 64), boxes, places, values)
    with pytest.raises(ValueError, match=r"boxes: expected parts of \(2, 3\)"):
        Boxes((2, 3), np.array([[1, 0]], dtype=np.uint64), np.array([[2, 3]], dtype=np.uint64))
    with pytest.raises(ValueError, match="shape: expected at most 16 dimensions, got 17"):
        Boxes.whole((1,) * 17)
    for radix, reach in itertools.product((1, 1 << 33), (4, (1 << 63) + 1)):
        with pytest.raises(ValueError, match="the C core rejected an argument"):
            columns.split(values, Digits(2, radix, 0, reach))
    one = np.array([1], dtype=np.uint64)
    with pytest.raises(ValueError, match="runs: expected cells below 12"):
        columns.add_histogram(vector, one * 8, one * 5, np.zeros(1, dtype=np.uint32))
