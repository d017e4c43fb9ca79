"""Rows of K: arithmetic and transforms against polynomials in Python integers, on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

from tests.reference import polynomials as slow
from zkds.field import ONE, ZERO, K, P, from_pairs, to_pairs
from zkds.zk.pads import SecretStream
from zkds.zk.rows import add, combine, encode, evaluate, interpolate, multiply, subtract, total

pytestmark = pytest.mark.usefixtures("instruction_set")


def sample(count: int, seed: int = 0) -> list[K]:
    edge = [ZERO, ONE, K(P - 1), K(0, P - 1), K(P - 1, P - 1)]
    return (edge + SecretStream(bytes([seed] * 32)).elements(count))[:count]


def test_arithmetic() -> None:
    a, b = sample(23), sample(23, 1)[::-1]
    left, right = to_pairs(a), to_pairs(b)
    assert from_pairs(add(left, right)) == [x + y for x, y in zip(a, b, strict=True)]
    assert from_pairs(subtract(left, right)) == [x - y for x, y in zip(a, b, strict=True)]
    assert from_pairs(multiply(left, right)) == [x * y for x, y in zip(a, b, strict=True)]
    assert from_pairs(multiply(left, right[:1])) == [x * b[0] for x in a]
    assert total(left) == sum(a, ZERO)
    assert total(left[:0]) == ZERO


def test_combine() -> None:
    rows = [sample(5, seed) for seed in range(4)]
    coefficients = sample(4, 9)
    expected = [sum((c * row[j] for c, row in zip(coefficients, rows, strict=True)), ZERO) for j in range(5)]
    assert from_pairs(combine(coefficients, np.stack([to_pairs(row) for row in rows]))) == expected
    assert from_pairs(combine([], np.zeros((0, 3, 2), dtype=np.uint64))) == [ZERO] * 3


@pytest.mark.parametrize("width", [1, 2, 4, 32])
def test_transforms(width: int) -> None:
    rows = [sample(width, seed) for seed in range(3)]
    coefficients = interpolate(np.stack([to_pairs(row) for row in rows]))
    length = 4 * width
    wide, codewords = evaluate(coefficients, 3 + width.bit_length() - 1), encode(coefficients, 1 + width.bit_length())
    for row, mine, values, codeword in zip(rows, coefficients, wide, codewords, strict=True):
        expected = slow.interpolate(row)
        assert from_pairs(mine) == expected
        assert from_pairs(values) == [slow.evaluate(expected, point) for point in slow.group(8 * width)]
        assert from_pairs(codeword) == [slow.evaluate(expected, point) for point in slow.odd_powers(length)]
        assert from_pairs(values[::8]) == row


def test_codewords_lie_off_the_groups_of_messages_and_masks() -> None:
    length, row = 64, 8
    assert not set(slow.odd_powers(length)) & set(slow.group(2 * row))
    assert set(slow.group(row)) == set(slow.group(2 * row)[::2])
