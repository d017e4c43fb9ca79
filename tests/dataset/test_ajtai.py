"""Ajtai commitments: the kernel and the matrix against slow twins, the two bounds, the security estimate."""

import random

import numpy as np
import pytest

from tests.reference import dataset as slow
from zkds.dataset import ajtai, sis
from zkds.field import P
from zkds.native import ajtai as native


@pytest.mark.parametrize(
    ("count", "length", "width"), [(1, 1, 1), (5, 3, 2), (4, 7, 16), (33, 40, 17), (37, 20, 128), (0, 4, 8)]
)
def test_multiply_is_the_product_of_integers(kernels, count, length, width):
    rng = random.Random(count)
    values = [[rng.choice([0, 1, 255, rng.randrange(256)]) for _ in range(length)] for _ in range(count)]
    entries = [[rng.choice([0, 1, P - 1, rng.randrange(P)]) for _ in range(width)] for _ in range(length)]
    byte_strings = np.array(values, dtype=np.uint8).reshape(count, length)
    found = native.multiply(byte_strings, np.array(entries, dtype=np.uint64))
    assert found.tolist() == slow.multiply(values, entries)


def test_multiply_does_not_overflow_at_the_largest_length(kernels):
    length = native.MAX_LENGTH
    byte_strings = np.full((1, length), 255, dtype=np.uint8)
    for entry in (P - 1, (1 << 32) - 1, (1 << 61) - (1 << 32)):
        found = native.multiply(byte_strings, np.full((length, 1), entry, dtype=np.uint64))
        assert found.tolist() == [[255 * length * entry % P]]


def test_multiply_names_misuse():
    good = np.zeros((2, 3), dtype=np.uint8), np.zeros((3, 4), dtype=np.uint64)
    with pytest.raises(TypeError, match="byte_strings: expected dtype uint8"):
        native.multiply(good[0].astype(np.int64), good[1])
    with pytest.raises(TypeError, match="matrix: expected dtype uint64"):
        native.multiply(good[0], good[1].astype(np.int64))
    with pytest.raises(ValueError, match=r"matrix: expected shape \(3, n\), got \(2, 4\)"):
        native.multiply(good[0], np.ascontiguousarray(good[1][:2]))
    with pytest.raises(ValueError, match="byte_strings: expected a length from 1 to 524288, got 0"):
        native.multiply(np.zeros((2, 0), dtype=np.uint8), np.zeros((0, 4), dtype=np.uint64))
    with pytest.raises(ValueError, match="matrix: expected at least one column"):
        native.multiply(good[0], np.zeros((3, 0), dtype=np.uint64))
    with pytest.raises(ValueError, match="byte_strings: expected a C-contiguous array"):
        native.multiply(np.zeros((3, 2), dtype=np.uint8).T, good[1])


def test_matrix_is_the_documented_stream():
    assert ajtai.MATRIX_SEED == slow.MATRIX_SEED
    assert ajtai.matrix(9).tolist() == slow.matrix(9)
    assert (ajtai.matrix(5) == ajtai.matrix(9)[:5]).all()
    assert not ajtai.matrix(9).flags.writeable
    with pytest.raises(ValueError, match="length: expected 1 to"):
        ajtai.matrix(0)


def test_matrix_leaves_out_p(monkeypatch):
    """p itself comes once in 2^61 draws, so the stream is made up here."""

    class Sponge:
        def __init__(self):
            numbers = [P, 5, P | 7 << 61, *range(100, 300)]
            self.data = b"".join(number.to_bytes(8, "little") for number in numbers)

        def read(self, length):
            piece, self.data = self.data[:length], self.data[length:]
            return piece

    monkeypatch.setattr(ajtai.SHAKE256, "new", lambda seed: Sponge())
    found = ajtai.matrix.__wrapped__(1).tolist()
    assert found == [[5, *range(100, 100 + 127)]]


def test_commit_is_the_twin():
    byte_strings = np.frombuffer(random.Random(2).randbytes(3 * 50), dtype=np.uint8).reshape(3, 50)
    assert ajtai.commit(byte_strings).tolist() == slow.multiply(byte_strings.tolist(), slow.matrix(50))


@pytest.mark.parametrize(("count", "log2_squared"), [(1, 0), (2, 2), (3, 4), (50000, 32), (1 << 20, 40)])
def test_randomness_meets_the_leftover_hash_bound(count, log2_squared):
    wanted = 61 * 128 + 256 + log2_squared
    assert 8 * ajtai.randomness_bytes(count) >= wanted > 8 * (ajtai.randomness_bytes(count) - 1)
    assert 2**log2_squared >= count**2 > 2 ** (log2_squared - 1) * (count > 1)
    with pytest.raises(ValueError, match="count: expected at least one record, got 0"):
        ajtai.randomness_bytes(0)


def test_randomness_is_fresh():
    first, second = ajtai.draw_randomness(4, 100), ajtai.draw_randomness(4, 100)
    assert first.shape == (4, 100) and (first != second).any(axis=1).all()


def test_binding_by_the_infinity_norm_estimate():
    assert sis.binding_bits(sis.CLASSICAL) == pytest.approx(151.8, abs=1)
    assert sis.binding_bits(sis.QUANTUM) == pytest.approx(137.8, abs=1)
    assert sis.euclidean_bits(sis.CLASSICAL) > 120
    assert sis.euclidean_bits(sis.QUANTUM) > 110
    assert sis.binding_bits(sis.CLASSICAL, rows=64) < sis.binding_bits(sis.CLASSICAL, rows=96) < 130
    assert sis.binding_bits(sis.CLASSICAL, bound=511) < sis.binding_bits(sis.CLASSICAL)


def test_root_hermite_factor_of_block_size_is_the_known_one():
    """Chen 2013: delta(100) = 1.0094, delta(200) = 1.0063 to four places."""
    assert 2 ** sis.log2_delta(100) == pytest.approx(1.0094, abs=2e-4)
    assert 2 ** sis.log2_delta(200) == pytest.approx(1.0063, abs=2e-4)
