"""Roundings, sums of squares and ranges of arrays larger than a task, against Python ints; the extremes of every part."""

import numpy as np
import pytest

from zkds.native import rounding

EXTREMES = [-(2**63), 2**63 - 1, -1, 0, 1, 2**62, -(2**62)]


def spread(generator, shape):
    values = generator.integers(-(2**63), 2**63 - 1, shape, endpoint=True) >> generator.integers(0, 64, shape)
    values.reshape(-1)[: len(EXTREMES)] = EXTREMES
    return values


@pytest.mark.parametrize("shift", [1, 31, 32, 62])
def test_rounding_of_more_entries_than_a_task_has(shift):
    generator = np.random.default_rng(shift)
    shape = (5, 3, 2**12 + 1)
    hi, lo = (spread(generator, shape[::-1]).T for _ in range(2))
    left, right = spread(generator, shape), spread(generator, shape[1:])
    addend = spread(generator, (5, 3))[:, :, None]
    value, remainder = rounding.round_total((hi, lo, left >> 1, right >> 1, addend >> 1), 61, shift)
    for place in [tuple(generator.integers(0, shape)) for _ in range(300)] + [(0, 0, k) for k in range(8)] + [(4, 2, 2**12)]:
        p, q, _ = map(int, place)
        product = int(left[place] >> 1) * int(right[place[1:]] >> 1)
        total = (int(hi[place]) << 32) + int(lo[place]) + product + (int(addend[p, q, 0] >> 1) << 61)
        quotient, rest = divmod(total + (1 << shift - 1), 1 << shift)
        assert (value[place], remainder[place]) == (min(max(quotient, -(2**63)), 2**63 - 1), rest)


def test_missing_parts_and_few_entries():
    one = np.array(7, dtype=np.int64)
    assert [int(x) for x in rounding.round_total((None, None, one, one, None), 0, 1)] == [25, 0]
    assert [int(x) for x in rounding.round_total((None, None, None, None, one), 2, 3)] == [4, 0]
    empty = np.zeros((2, 0), dtype=np.int64)
    assert [x.shape for x in rounding.round_total((None, None, empty, one, None), 0, 1)] == [(2, 0)] * 2


def test_wrong_arguments_are_refused():
    one = np.ones((1,) * 17, dtype=np.int64)
    with pytest.raises(ValueError, match="16 dimensions"):
        rounding.round_total((None, None, None, None, one), 0, 1)
    with pytest.raises(ValueError, match="expected int64"):
        rounding.round_total((None, None, None, None, one[0].astype(np.int32)), 0, 1)
    for addend_shift, shift in ((64, 1), (-1, 1), (0, 0), (0, 63)):
        with pytest.raises(ValueError, match="rejected an argument"):
            rounding.round_total((None, None, None, None, one[0]), addend_shift, shift)


def test_sums_of_squares_and_ranges():
    generator = np.random.default_rng(7)
    values = generator.integers(-(2**47), 2**47, (3, 70000), endpoint=True)
    values[:, :8] = -(2**47)
    assert rounding.sum_of_squares(values.T) == sum(v * v for v in values.ravel().tolist())
    assert rounding.sum_of_squares(values[:0]) == 0
    wide = spread(generator, (3, 70000))
    assert rounding.value_range(wide.T) == (-(2**63), 2**63 - 1)
    assert rounding.value_range(wide[2:, 5:]) == (int(wide[2, 5:].min()), int(wide[2, 5:].max()))
