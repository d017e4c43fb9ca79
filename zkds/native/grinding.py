"""Proof of work: SHA-256(seed | nonce) with a number of leading zero bits."""

import hashlib

SEED_BYTES = 32


def leading_zero_bits(seed: bytes, nonce: int) -> int:
    """The number of leading zero bits of SHA-256(seed | nonce), nonce as 8 bytes, little-endian."""
    digest = hashlib.sha256(seed + nonce.to_bytes(8, "little")).digest()
    return 256 - int.from_bytes(digest, "big").bit_length()


def find_nonce(seed: bytes, bits: int) -> int:
    """The smallest nonce that reaches `bits` leading zero bits."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"find_nonce: expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
    nonce = 0
    while leading_zero_bits(seed, nonce) < bits:
        nonce += 1
    return nonce
