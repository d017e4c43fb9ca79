"""The Merkle tree over the commitments h_i, for any number of leaves.

    leaf        SHA-256(0x00 | h_i), the n entries of h_i as 8 bytes each, little-endian
    node        SHA-256(0x01 | left | right)
    odd level   the last node of a level of odd length goes up unchanged

The number of leaves is bound by the data root, so it fixes the tree's shape, and an index fixes its path: nothing in a
path says left or right. One proof serves many indices and holds each digest once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from zkds.errors import CommitmentRejected, MalformedProof
from zkds.native import U8, U64
from zkds.native.sha256 import merkle_nodes

DIGEST_BYTES = 32


def leaf_digests(commitments: U64) -> bytes:
    """The digests of the rows of (count, n) uint64, one after the other."""
    data = memoryview(commitments.astype("<u8").tobytes())
    size = 8 * commitments.shape[1]
    return b"".join(hashlib.sha256(b"\x00" + data[i : i + size]).digest() for i in range(0, len(data), size))


def _node(children: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + children).digest()


def level_lengths(count: int) -> list[int]:
    """The number of nodes of each level, leaves first, root last."""
    if count < 1:
        raise ValueError(f"count: expected at least one leaf, got {count}")
    lengths = [count]
    while lengths[-1] > 1:
        lengths.append(-(-lengths[-1] // 2))
    return lengths


def _padded_nodes(leaves: bytes) -> tuple[U8, int]:
    """(nodes, number of the first leaf) of the tree with leaves added up to a power of two, numbered as in `merkle_nodes`: of
    the nodes of every level of ours, only the last one is another."""
    count = len(leaves) // DIGEST_BYTES
    padded = np.zeros((1 << (count - 1).bit_length(), DIGEST_BYTES), dtype=np.uint8)
    padded[:count] = np.frombuffer(leaves, dtype=np.uint8).reshape(count, DIGEST_BYTES)
    return merkle_nodes(padded), len(padded)


class Tree:
    """All levels, built from the leaves' digests."""

    def __init__(self, leaves: bytes) -> None:
        if not leaves or len(leaves) % DIGEST_BYTES:
            raise ValueError(f"leaves: expected one or more digests of {DIGEST_BYTES} bytes, got {len(leaves)} bytes")
        nodes, first = _padded_nodes(leaves)
        self._levels = [leaves]
        while len(self._levels[-1]) > DIGEST_BYTES:
            below, first = self._levels[-1], first // 2
            pairs, odd = divmod(len(below) // DIGEST_BYTES, 2)
            last_pair = below[2 * (pairs - 1) * DIGEST_BYTES : 2 * pairs * DIGEST_BYTES]
            lone = below[-DIGEST_BYTES:] if odd else b""
            self._levels.append(nodes[first : first + pairs - 1].tobytes() + _node(last_pair) + lone)

    @property
    def root(self) -> bytes:
        return self._levels[-1]

    def leaf(self, index: int) -> bytes:
        """The digest of leaf `index`."""
        return self._levels[0][DIGEST_BYTES * index : DIGEST_BYTES * (index + 1)]

    def proof(self, indices: Sequence[int]) -> bytes:
        """The digests that a verifier of these leaves lacks; see `siblings`."""
        count = len(self._levels[0]) // DIGEST_BYTES
        places = siblings(indices, count)
        return b"".join(self._levels[level][DIGEST_BYTES * i : DIGEST_BYTES * (i + 1)] for level, i in places)


def siblings(indices: Sequence[int], count: int) -> list[tuple[int, int]]:
    """(level, number) of the digests of a proof, in its order: by level, ascending. Indices may come in any order.

    Raises ValueError for no indices, or for one that is not in [0, count) or comes twice.
    """
    _check_indices(indices, count)
    known = sorted(indices)
    places = []
    for level, length in enumerate(level_lengths(count)[:-1]):
        places += [(level, sibling) for sibling in _missing(known, length)]
        known = sorted({i >> 1 for i in known})
    return places


def _check_indices(indices: Sequence[int], count: int) -> None:
    if not indices:
        raise ValueError("indices: expected at least one")
    outside = [i for i in indices if not 0 <= i < count]
    if outside:
        raise ValueError(f"indices: expected 0 to {count - 1}, got {outside[0]}")
    if len(set(indices)) != len(indices):
        raise ValueError("indices: expected no index twice")


def _missing(known: Sequence[int], length: int) -> Iterator[int]:
    """The siblings of known nodes that are in the level and not known."""
    present = set(known)
    return (i ^ 1 for i in known if i ^ 1 < length and i ^ 1 not in present)


def compute_root(count: int, leaves: Mapping[int, bytes], proof: bytes) -> bytes:
    """The root that these leaves' digests, by index, and a proof lead to. Raises MalformedProof for another length of proof."""
    places = siblings(list(leaves), count)
    if len(proof) != DIGEST_BYTES * len(places):
        raise MalformedProof("data set: length of the Merkle proof", DIGEST_BYTES * len(places), len(proof))
    parts = (proof[i : i + DIGEST_BYTES] for i in range(0, len(proof), DIGEST_BYTES))
    known = dict(leaves)
    for length in level_lengths(count)[:-1]:
        known |= {i: next(parts) for i in list(_missing(sorted(known), length))}
        lone = length - 1 if length % 2 else None  # has no sibling
        known = {i >> 1: known[i] if i == lone else _node(known[i] + known[i | 1]) for i in known if not i & 1}
    return known[0]


def verify_paths(root: bytes, count: int, leaves: Mapping[int, bytes], proof: bytes) -> None:
    """Check that the tree of `count` leaves under `root` has these digests at these indices.

    Raises CommitmentRejected ("data set: Merkle root") if not, MalformedProof for a proof of the wrong length.
    """
    found = compute_root(count, leaves, proof)
    if found != root:
        raise CommitmentRejected("data set: Merkle root", root.hex(), found.hex())
