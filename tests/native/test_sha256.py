"""The hashing kernels against hashlib, on every instruction set."""

import hashlib

import numpy as np
import pytest

from zkds import native
from zkds.native.grinding import find_nonce, leading_zero_bits
from zkds.native.sha256 import merkle_nodes


@pytest.mark.parametrize("log_leaves", [0, 1, 2, 5, 6, 7, 11])
def test_merkle_nodes_are_hashlib(instruction_set, log_leaves):
    leaves = np.random.default_rng(log_leaves).integers(0, 256, size=(1 << log_leaves, 32), dtype=np.uint8)
    nodes = merkle_nodes(leaves)
    assert np.array_equal(nodes[len(leaves) :], leaves)
    for i in range(1, len(leaves)):
        children = nodes[2 * i].tobytes() + nodes[2 * i + 1].tobytes()
        assert nodes[i].tobytes() == hashlib.sha256(b"\x01" + children).digest()


@pytest.mark.parametrize("bits", [0, 1, 7, 11])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_smallest_nonce_is_found(instruction_set, bits, threads):
    before = native.threads()
    native.set_threads(threads)
    try:
        for number in range(3):
            seed = hashlib.sha256(bytes([number])).digest()
            nonce = 0
            while leading_zero_bits(seed, nonce) < bits:
                nonce += 1
            assert find_nonce(seed, bits) == nonce
    finally:
        native.set_threads(before)


def test_a_nonce_beyond_one_wave():
    seed = hashlib.sha256(b"eighteen bits").digest()
    nonce = find_nonce(seed, 18)
    assert leading_zero_bits(seed, nonce) >= 18


def test_misuse_is_named():
    with pytest.raises(ValueError, match="seed of 32 bytes"):
        find_nonce(b"short", 4)
    with pytest.raises(ValueError, match="0 to 32 bits"):
        find_nonce(bytes(32), 33)
    with pytest.raises(ValueError, match="power of two"):
        merkle_nodes(np.zeros((3, 32), dtype=np.uint8))
    with pytest.raises(TypeError, match="leaves: expected dtype uint8"):
        merkle_nodes(np.zeros((4, 32), dtype=np.uint64))
