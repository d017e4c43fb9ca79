"""Merkle trees over a power of two of digests, opened at many positions at once.

A node is SHA-256(0x01 | left | right); leaves are hashed with the prefix 0x00 by whoever makes them. A proof for sorted
distinct positions holds the digests that the verifier cannot compute, level by level from the leaves up and from left to
right in each level: nothing can be left out of it and nothing added to it.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence

import numpy as np

from zkds.errors import CommitmentRejected, MalformedProof
from zkds.native import U8
from zkds.native.sha256 import DIGEST_BYTES, merkle_nodes


def node_digest(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def missing_nodes(positions: Sequence[int], leaves: int) -> list[int]:
    """The numbers (root 1, children 2 i and 2 i + 1, leaves from `leaves` on) of the digests in a proof, in order.

    Raises ValueError unless the positions are increasing and below `leaves`, a power of two.
    """
    if leaves < 1 or leaves & (leaves - 1):
        raise ValueError(f"leaves: expected a power of two, got {leaves}")
    if not positions or positions[0] < 0 or positions[-1] >= leaves:
        raise ValueError(f"positions: expected some in [0, {leaves})")
    if any(a >= b for a, b in itertools.pairwise(positions)):
        raise ValueError("positions: expected them distinct and increasing")
    missing: list[int] = []
    level = [leaves + position for position in positions]
    while level[0] > 1:
        known = set(level)
        missing += [node ^ 1 for node in level if node ^ 1 not in known]
        level = sorted({node >> 1 for node in level})
    return missing


class MerkleTree:
    """All nodes, 64 bytes a leaf."""

    def __init__(self, leaves: U8) -> None:
        """leaves: (n, 32) uint8, n a power of two."""
        self._nodes = merkle_nodes(leaves)

    @property
    def root(self) -> bytes:
        return bytes(self._nodes[1].tobytes())

    def proof(self, positions: Sequence[int]) -> bytes:
        """The missing digests for sorted distinct positions, 32 bytes each."""
        missing = missing_nodes(positions, len(self._nodes) // 2)
        return bytes(self._nodes[np.array(missing, dtype=np.int64)].tobytes())


def proof_bytes(positions: Sequence[int], leaves: int) -> int:
    """The length of the proof for these positions."""
    return DIGEST_BYTES * len(missing_nodes(positions, leaves))


def expected_proof_bytes(count: int, leaves: int) -> int:
    """The mean length of the proof for `count` distinct uniform positions: a digest for every child that holds none of them,
    below a node that does. leaves: a power of two."""
    missing, size = 0.0, 1
    while size < leaves:
        missing += leaves / size * (_chance_of_none(count, leaves, size) - _chance_of_none(count, leaves, 2 * size))
        size *= 2
    return DIGEST_BYTES * round(missing)


def _chance_of_none(count: int, leaves: int, size: int) -> float:
    """That none of `count` distinct uniform leaves is one of `size` given ones."""
    if count + size > leaves:
        return 0.0
    return math.prod(1 - size / (leaves - j) for j in range(count))


def verify(root: bytes, leaves: int, positions: Sequence[int], digests: Sequence[bytes], proof: bytes) -> None:
    """Check that the leaves at `positions` have these digests.

    Raises MalformedProof for a proof of the wrong length, CommitmentRejected("Merkle root mismatch").
    """
    missing = missing_nodes(positions, leaves)
    if len(proof) != DIGEST_BYTES * len(missing):
        raise MalformedProof("Merkle proof length", DIGEST_BYTES * len(missing), len(proof))
    known = {node: proof[DIGEST_BYTES * i : DIGEST_BYTES * (i + 1)] for i, node in enumerate(missing)}
    level = [leaves + position for position in positions]
    known.update(zip(level, digests, strict=True))
    while level[0] > 1:
        level = sorted({node >> 1 for node in level})
        for node in level:
            known[node] = node_digest(known[2 * node], known[2 * node + 1])
    if known[1] != root:
        raise CommitmentRejected("Merkle root mismatch", root.hex(), known[1].hex())
