"""A Merkle tree over salted leaves, in Python, until the commitment's tree replaces it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from zkds.errors import CommitmentRejected


def leaf_digest(salt: bytes, data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + salt + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def siblings(positions: Sequence[int], log_length: int) -> list[tuple[int, int]]:
    """(level, index) of the digests that a verifier lacks, in the order in which they are sent."""
    missing = []
    known = sorted(positions)
    for level in range(log_length):
        have = set(known)
        missing += [(level, index ^ 1) for index in known if index ^ 1 not in have]
        known = sorted({index >> 1 for index in known})
    return missing


class MerkleTree:
    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.levels = [list(leaves)]
        while len(self.levels[-1]) > 1:
            below = self.levels[-1]
            self.levels.append([_node(below[i], below[i + 1]) for i in range(0, len(below), 2)])

    @property
    def root(self) -> bytes:
        return self.levels[-1][0]

    def proof(self, positions: Sequence[int]) -> bytes:
        return b"".join(self.levels[level][index] for level, index in siblings(positions, len(self.levels) - 1))


def verify(root: bytes, log_length: int, leaves: Mapping[int, bytes], proof: bytes) -> None:
    known = dict(leaves)
    parts = iter(proof[i : i + 32] for i in range(0, len(proof), 32))
    for _ in range(log_length):
        for index in sorted(known):
            if index ^ 1 not in known:
                known[index ^ 1] = next(parts)
        known = {index >> 1: _node(known[index], known[index | 1]) for index in known if not index & 1}
    if known[0] != root:
        raise CommitmentRejected("Ligero: Merkle root", root.hex(), known[0].hex())
