"""Merkle trees of SHA-256 digests."""

import numpy as np

from zkds.native import U8, array, check, lib, pointer

DIGEST_BYTES = 32


def merkle_nodes(leaves: U8) -> U8:
    """(2 n, 32) digests from n leaf digests (n, 32), n a power of two: node 1 is the root, node i has the children 2 i and
    2 i + 1, the leaves are nodes n, n + 1, ...; node 0 is unused. A parent is SHA-256(0x01 | left | right)."""
    array("leaves", leaves, np.uint8, (None, DIGEST_BYTES))
    count = len(leaves)
    if count < 1 or count & (count - 1):
        raise ValueError(f"leaves: expected a power of two of digests, got {count}")
    nodes = np.empty((2 * count, DIGEST_BYTES), dtype=np.uint8)
    nodes[count:] = leaves
    check(lib.zkds_merkle(pointer(nodes, "uint8_t *"), count), "merkle_nodes")
    return nodes
