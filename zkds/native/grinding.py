"""Proof of work: SHA-256(seed | nonce) with a number of leading zero bits."""

import hashlib

from zkds.native import check, ffi, lib

SEED_BYTES = 32
MAX_BITS = 32


def leading_zero_bits(seed: bytes, nonce: int) -> int:
    """The number of leading zero bits of SHA-256(seed | nonce), nonce as 8 bytes, little-endian."""
    digest = hashlib.sha256(seed + nonce.to_bytes(8, "little")).digest()
    return 256 - int.from_bytes(digest, "big").bit_length()


def find_nonce(seed: bytes, bits: int) -> int:
    """The smallest nonce that reaches `bits` leading zero bits (at most 32)."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"find_nonce: expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
    if not 0 <= bits <= MAX_BITS:
        raise ValueError(f"find_nonce: expected 0 to {MAX_BITS} bits, got {bits}")
    nonce = ffi.new("uint64_t *")
    check(lib.zkds_grind(ffi.from_buffer("uint8_t[]", seed), bits, nonce), "find_nonce")
    return int(nonce[0])
