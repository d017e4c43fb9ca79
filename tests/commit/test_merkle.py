"""Merkle trees and their multi-proofs."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkds.commit import merkle
from zkds.errors import CommitmentRejected, MalformedProof


def tree_of(count):
    leaves = [hashlib.sha256(bytes([i, 7])).digest() for i in range(count)]
    return leaves, merkle.MerkleTree(np.frombuffer(b"".join(leaves), dtype=np.uint8).reshape(-1, 32))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 7), st.data())
def test_proofs_of_any_positions_are_accepted(log_leaves, data):
    count = 1 << log_leaves
    positions = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    leaves, tree = tree_of(count)
    proof = tree.proof(positions)
    assert len(proof) == merkle.proof_bytes(positions, count)
    merkle.verify(tree.root, count, positions, [leaves[i] for i in positions], proof)


def test_order_of_the_proof():
    leaves, tree = tree_of(8)
    a = merkle.node_digest
    pairs = [a(leaves[i], leaves[i + 1]) for i in range(0, 8, 2)]
    assert tree.root == a(a(pairs[0], pairs[1]), a(pairs[2], pairs[3]))
    assert tree.proof([1, 6, 7]) == leaves[0] + pairs[1] + pairs[2]


def test_changes_are_rejected():
    leaves, tree = tree_of(16)
    positions = [3, 4, 10]
    digests, proof = [leaves[i] for i in positions], tree.proof(positions)
    for at in range(0, len(proof), 31):
        changed = bytearray(proof)
        changed[at] ^= 1
        with pytest.raises(CommitmentRejected) as error:
            merkle.verify(tree.root, 16, positions, digests, bytes(changed))
        assert error.value.reason == "Merkle root mismatch"
    with pytest.raises(CommitmentRejected, match="Merkle root mismatch"):
        merkle.verify(tree.root, 16, [3, 5, 10], digests, tree.proof([3, 5, 10]))
    for wrong in (proof[:-32], proof + bytes(32), proof[:-1]):
        with pytest.raises(MalformedProof) as malformed:
            merkle.verify(tree.root, 16, positions, digests, wrong)
        assert malformed.value.reason == "Merkle proof length"


@pytest.mark.parametrize("positions", [[], [2, 1], [1, 1], [16], [-1]])
def test_bad_positions_are_misuse(positions):
    with pytest.raises(ValueError, match="positions: expected"):
        merkle.missing_nodes(positions, 16)
