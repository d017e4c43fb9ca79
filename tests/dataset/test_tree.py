"""The Merkle tree for any number of leaves: against recursion, all subsets of small trees, every kind of bad proof."""

import hashlib
import itertools

import numpy as np
import pytest

from tests.reference import dataset as slow
from zkds.dataset.tree import Tree, compute_root, leaf_digests, level_lengths, siblings, verify_paths
from zkds.errors import CommitmentRejected, MalformedProof


def digests(count):
    return [hashlib.sha256(bytes([i])).digest() for i in range(count)]


def test_leaves_are_the_documented_hashes():
    commitments = np.array([[1, 2**61 - 2], [0, 7]], dtype=np.uint64)
    assert leaf_digests(commitments) == b"".join(slow.leaf(row) for row in commitments.tolist())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 31, 32, 33, 100])
def test_root_is_the_recursive_one(count):
    assert Tree(b"".join(digests(count))).root == slow.tree_root(digests(count))


@pytest.mark.parametrize("count", range(1, 8))
def test_every_subset_in_every_order_verifies(count):
    leaves = digests(count)
    tree = Tree(b"".join(leaves))
    for size in range(1, count + 1):
        for subset in itertools.combinations(range(count), size):
            proof = tree.proof(subset)
            assert tree.proof(subset[::-1]) == proof and len(proof) == 32 * len(siblings(subset, count))
            verify_paths(tree.root, count, {i: leaves[i] for i in reversed(subset)}, proof)


def test_no_digest_is_sent_twice_and_whole_trees_need_none():
    assert siblings([0, 1, 2, 3, 4], 5) == []
    assert siblings([4], 5) == [(2, 0)]
    assert siblings([0, 1], 5) == [(1, 1), (2, 1)]
    assert level_lengths(5) == [5, 3, 2, 1]


@pytest.mark.parametrize("count", [2, 5, 8, 11])
def test_swapped_leaf_index_sibling_or_count_is_rejected(count):
    leaves = digests(count)
    tree = Tree(b"".join(leaves))
    for index in range(count):
        proof = tree.proof([index])
        for other in range(count):
            if other != index:
                with pytest.raises(CommitmentRejected) as caught:
                    verify_paths(tree.root, count, {index: leaves[other]}, proof)
                assert caught.value.reason == "data set: Merkle root"
                with pytest.raises((CommitmentRejected, MalformedProof)):
                    verify_paths(tree.root, count, {other: leaves[index]}, proof)
        for position in range(0, len(proof), 7):
            changed = bytearray(proof)
            changed[position] ^= 1
            with pytest.raises(CommitmentRejected):
                verify_paths(tree.root, count, {index: leaves[index]}, bytes(changed))
        for wrong in (proof + bytes(32), proof + b"\0", proof[:-1]):
            with pytest.raises(MalformedProof) as malformed:
                compute_root(count, {index: leaves[index]}, wrong)
            assert malformed.value.reason == "data set: length of the Merkle proof"


def test_a_node_is_no_leaf():
    """Domain separation: the digests of level 1 do not pass as the leaves of a tree of half the size."""
    commitments = np.arange(8, dtype=np.uint64).reshape(4, 2)
    leaves = leaf_digests(commitments)
    left, right = (hashlib.sha256(leaves[64 * i : 64 * i + 64]).digest() for i in range(2))
    assert Tree(leaves).root != Tree(left + right).root


def test_misuse_is_named():
    with pytest.raises(ValueError, match="leaves: expected one or more digests of 32 bytes, got 0 bytes"):
        Tree(b"")
    with pytest.raises(ValueError, match="leaves: expected one or more digests"):
        Tree(bytes(33))
    with pytest.raises(ValueError, match="count: expected at least one leaf, got 0"):
        level_lengths(0)
    with pytest.raises(ValueError, match="indices: expected at least one"):
        siblings([], 3)
    with pytest.raises(ValueError, match="indices: expected 0 to 2, got 3"):
        siblings([0, 3], 3)
    with pytest.raises(ValueError, match="indices: expected 0 to 2, got -1"):
        siblings([-1], 3)
    with pytest.raises(ValueError, match="indices: expected no index twice"):
        siblings([1, 1], 3)
