"""Transforms against the sums that define them, on every instruction set."""

import functools

import numpy as np
import pytest

from tests.harness.kernels import with_all
from zkds.field import K, P, from_pairs, root_of_unity
from zkds.native.ntt import ntt


def random_pairs(seed: int, *shape: int) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, P, size=(*shape, 2), dtype=np.uint64)
    edges = np.array([0, 1, P - 1], dtype=np.uint64)
    flat = values.reshape(-1)
    flat[:: max(1, flat.size // 50)] = edges[np.arange(len(flat[:: max(1, flat.size // 50)])) % 3]
    return values


def value_at(coefficients: list[K], point: K) -> K:
    total = K(0)
    for coefficient in reversed(coefficients):
        total = total * point + coefficient
    return total


@functools.cache
def some_values(log_size: int, coset: bool) -> dict[int, list[K]]:
    """position -> the values of both rows of `random_pairs(log_size, 2, size)`, all of a small size."""
    size = 1 << log_size
    polynomials = [from_pairs(row) for row in random_pairs(log_size, 2, size)]
    root = root_of_unity(log_size + coset)
    some = {0, 1, 2, size // 2, size // 3, size - 1} if size <= 1 << 10 else {size // 3, size - 1}
    positions = range(size) if size <= 64 else sorted(some)
    return {j: [value_at(each, root ** (2 * j + 1 if coset else j)) for each in polynomials] for j in positions}


@pytest.mark.parametrize("coset", [False, True])
@pytest.mark.parametrize("log_size", range(16))
def test_forward_is_evaluation(instruction_set, log_size, coset):
    values = ntt(random_pairs(log_size, 2, 1 << log_size), coset=coset)
    for j, expected in some_values(log_size, coset).items():
        assert from_pairs(values[:, j]) == expected


@pytest.mark.parametrize("coset", [False, True])
@pytest.mark.parametrize("log_size", [0, 1, 3, 5, 6, 7, 8, 11, 14, 17])
def test_inverse_undoes_forward(instruction_set, log_size, coset):
    rows = random_pairs(100 + log_size, 3, 1 << log_size)
    assert np.array_equal(ntt(ntt(rows, coset=coset), inverse=True, coset=coset), rows)
    assert np.array_equal(ntt(ntt(rows, inverse=True, coset=coset), coset=coset), rows)


def test_instruction_sets_and_threads_agree():
    rows = random_pairs(7, 5, 1 << 15)
    results = with_all(lambda: ntt(rows, coset=True))
    assert all(np.array_equal(result, results[0]) for result in results)


@pytest.mark.parametrize("coset", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("log_size", [16, 17])
def test_a_single_large_row_is_cut_into_tasks(log_size, inverse, coset):
    """And gets what it gets beside another one."""
    rows = random_pairs(log_size, 2, 1 << log_size)
    both = ntt(rows, inverse=inverse, coset=coset)
    for result in with_all(lambda: ntt(rows[:1].copy(), inverse=inverse, coset=coset)):
        assert np.array_equal(result[0], both[0])


def test_misuse_is_named():
    with pytest.raises(ValueError, match="power of two"):
        ntt(np.zeros((1, 12, 2), dtype=np.uint64))
    with pytest.raises(TypeError, match="rows: expected dtype uint64"):
        ntt(np.zeros((1, 8, 2), dtype=np.int64))
    with pytest.raises(ValueError, match="rows: expected shape"):
        ntt(np.zeros((8, 2), dtype=np.uint64))
