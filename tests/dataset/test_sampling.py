"""Batches: the permutation against the stored vectors and a full shuffle, and its uniformity on a small case."""

import collections
import json

import pytest

from tests.harness.shell import ROOT
from tests.reference import dataset as slow
from zkds.dataset.sampling import batches, permutation_prefix

SEED = bytes(range(32))
VECTORS = json.loads((ROOT / "tests/vectors/sampling.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["count"]))
def test_vectors(vector):
    prefix = vector["prefix"]
    assert permutation_prefix(bytes.fromhex(vector["seed"]), vector["count"], len(prefix)) == prefix


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 65, 500])
def test_prefixes_of_the_full_shuffle(count):
    full = slow.permutation(SEED, count)
    assert sorted(full) == list(range(count))
    for length in {0, 1, count // 2, count}:
        assert permutation_prefix(SEED, count, length) == full[:length]


def test_depends_on_seed_and_count():
    found = {tuple(permutation_prefix(seed, count, 20)) for seed in (SEED, SEED[::-1]) for count in (1000, 1001)}
    assert len(found) == 4


def test_every_permutation_is_about_equally_likely():
    """6000 seeds over the 24 permutations of four: chi-squared, 23 degrees of freedom, far from its tail."""
    seen = collections.Counter(tuple(permutation_prefix(i.to_bytes(32, "little"), 4, 4)) for i in range(6000))
    assert len(seen) == 24
    assert sum((count - 250) ** 2 / 250 for count in seen.values()) < 50


def test_large_counts_cost_only_the_prefix():
    prefix = permutation_prefix(SEED, (1 << 64) - 1, 5)
    assert len(set(prefix)) == 5 and max(prefix) > 1 << 60


def test_batches_are_consecutive_blocks():
    prefix = permutation_prefix(SEED, 100, 15)
    assert batches(SEED, 100, 3, 5) == [prefix[:5], prefix[5:10], prefix[10:]]
    assert sorted(index for batch in batches(SEED, 12, 3, 4) for index in batch) == list(range(12))


def test_misuse_is_named():
    with pytest.raises(ValueError, match="batches: 3 batches of 5 need 15 records, there are 14"):
        batches(SEED, 14, 3, 5)
    with pytest.raises(ValueError, match="batches: expected positive steps and batch size, got 0 and 5"):
        batches(SEED, 14, 0, 5)
    with pytest.raises(ValueError, match="seed: expected 32 bytes, got 31"):
        batches(SEED[1:], 14, 1, 5)
    with pytest.raises(TypeError, match="seed: expected bytes, got str"):
        permutation_prefix("0" * 32, 14, 1)
    with pytest.raises(ValueError, match="length: expected 0 to the 14 records, got 15"):
        permutation_prefix(SEED, 14, 15)
