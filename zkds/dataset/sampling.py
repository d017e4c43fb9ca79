"""Which records make which batch: a pseudorandom permutation of [0, N), keyed by the public seed r.

Batch t is perm[t B], ..., perm[(t + 1) B - 1]. perm is the Fisher-Yates shuffle (Durstenfeld 1964) with draws from
SHAKE256(label | r | N): at position i = 0, 1, ... swap the entries i and j, j uniform in [i, N). Only the touched entries are
stored, so the first k positions cost O(k) for any N. A draw reads pieces of 8 bytes (little-endian), keeps the low
ceil(log2(N - i)) bits and rejects values >= N - i, so with an ideal stream every permutation is equally likely.
"""

from __future__ import annotations

import hashlib

from zkds.transcript import Stream

SAMPLING = "fisher-yates shake256 v1"  # its name in the statement
SAMPLING_LABEL = b"zkds batches: " + SAMPLING.encode()
SEED_BYTES = 32
PROBE_LABEL = b"zkds probe v1"


def permutation_prefix(seed: bytes, count: int, length: int) -> list[int]:
    """perm[0], ..., perm[length - 1] for N = count and the 32-byte seed r. A shorter prefix is a prefix of a longer one."""
    if not isinstance(seed, bytes):
        raise TypeError(f"seed: expected bytes, got {type(seed).__name__}")
    if len(seed) != SEED_BYTES:
        raise ValueError(f"seed: expected {SEED_BYTES} bytes, got {len(seed)}")
    if not 0 <= length <= count < 1 << 64:
        raise ValueError(f"length: expected 0 to the {count} records, got {length}")
    stream = Stream(hashlib.shake_256(SAMPLING_LABEL + seed + count.to_bytes(8, "little")))
    moved: dict[int, int] = {}  # entries that differ from their position
    prefix = []
    for i in range(length):
        remaining = count - i
        j = i + stream.below((remaining - 1).bit_length(), remaining)
        prefix.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return prefix


def probe_seed(seed: bytes, number: int) -> bytes:
    """The seed of probe `number`: r itself for number 0, then SHA-256(PROBE_LABEL | r | number as 8 bytes, little-endian)."""
    if not isinstance(seed, bytes):
        raise TypeError(f"seed: expected bytes, got {type(seed).__name__}")
    if len(seed) != SEED_BYTES:
        raise ValueError(f"seed: expected {SEED_BYTES} bytes, got {len(seed)}")
    return hashlib.sha256(PROBE_LABEL + seed + number.to_bytes(8, "little")).digest() if number else seed


def batches(seed: bytes, count: int, steps: int, batch_size: int) -> list[list[int]]:
    """The record indices of batches 0, ..., steps - 1; no record is in two.

    Raises ValueError if steps * batch_size > count, the number of records.
    """
    if steps < 1 or batch_size < 1:
        raise ValueError(f"batches: expected positive steps and batch size, got {steps} and {batch_size}")
    if steps * batch_size > count:
        raise ValueError(f"batches: {steps} batches of {batch_size} need {steps * batch_size} records, there are {count}")
    prefix = permutation_prefix(seed, count, steps * batch_size)
    return [prefix[t * batch_size : (t + 1) * batch_size] for t in range(steps)]
