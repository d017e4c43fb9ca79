"""Secret randomness: uniform elements of K from the operating system's entropy, and pads that are used once.

`SecretStream` expands 32 bytes of `os.urandom` by SHAKE256, long requests by AES-256 in counter mode under keys drawn from
that sponge, and cuts field elements out by rejection. A stream is never seeded from a statement or a witness: two proofs of
the same statement must not share a pad, or their difference would show the difference of their messages.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from Crypto.Cipher import AES
from Crypto.Hash import SHAKE256

from zkds.field import K, P, from_pairs
from zkds.native import U64

SEED_BYTES = 32
DOMAIN = b"zkds secret stream v2"
KEY_BYTES = 32
LONGEST_DIRECT = 1 << 10  # bytes; longer requests are expanded by AES
BYTES_A_KEY = 1 << 16  # 2^12 blocks: a permutation differs from a function by at most 2^(2 * 12 - 129) = 2^-105


def keystream(key: bytes, count: int) -> bytes:
    """AES-256 in counter mode, from 0: for one use of the key."""
    return AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=0).encrypt(bytes(count))


class SecretStream:
    """An endless stream of secret bytes and uniform field elements; `seed` is for tests only."""

    def __init__(self, seed: bytes | None = None) -> None:
        if seed is not None and len(seed) != SEED_BYTES:
            raise ValueError(f"seed: expected {SEED_BYTES} bytes, got {len(seed)}")
        self._sponge = SHAKE256.new(DOMAIN)
        self._sponge.update(os.urandom(SEED_BYTES) if seed is None else seed)

    def bytes(self, count: int) -> bytes:
        if count <= LONGEST_DIRECT:
            return self._sponge.read(count)
        return b"".join(
            keystream(self._sponge.read(KEY_BYTES), min(BYTES_A_KEY, count - start)) for start in range(0, count, BYTES_A_KEY)
        )

    def field(self, count: int) -> U64:
        """(count,) uniform elements of F, canonical: draws of 8 bytes cut to 61 bits; p itself is drawn again."""
        values = self._draw(count)
        while (rejected := values == P).any():
            values[rejected] = self._draw(int(rejected.sum()))
        return values

    def pairs(self, *shape: int) -> U64:
        """(*shape, 2) uniform elements of K."""
        return self.field(2 * int(np.prod(shape, dtype=np.int64))).reshape(*shape, 2)

    def elements(self, count: int) -> list[K]:
        """`count` uniform elements of K."""
        return from_pairs(self.pairs(count))

    def _draw(self, count: int) -> U64:
        return np.frombuffer(self.bytes(8 * count), dtype="<u8") & np.uint64(P)


class OneTimePads:
    """The pads of one proof: handed out once, to one channel."""

    def __init__(self, pads: Sequence[K]) -> None:
        self._pads: Sequence[K] | None = pads

    def take(self) -> Sequence[K]:
        """The pads. Raises RuntimeError the second time: messages under equal pads show their difference."""
        if self._pads is None:
            raise RuntimeError("one-time pads: already used for a proof")
        pads, self._pads = self._pads, None
        return pads


def byte_strings(stream: SecretStream, count: int, size: int) -> list[bytes]:
    """What `count` calls of `stream.bytes(size)` give, size <= LONGEST_DIRECT, from fewer reads of the sponge."""
    if not 1 <= size <= LONGEST_DIRECT:
        raise ValueError(f"size: expected 1 to {LONGEST_DIRECT}, got {size}")
    at_once = LONGEST_DIRECT // size
    runs = [stream.bytes(size * min(at_once, count - first)) for first in range(0, count, at_once)]
    return [run[j : j + size] for run in runs for j in range(0, len(run), size)]
