"""Writes sampling.json from the description in zkds/dataset/sampling.py: python tests/vectors/sampling.py"""

import hashlib
import json
import pathlib

LABEL = b"zkds batches: fisher-yates shake256 v1"
CASES = [(bytes(32), 1, 1), (bytes(32), 2, 2), (bytes(range(32)), 10, 10), (b"\xff" * 32, 1000, 12), (b"zkds" * 8, 50000, 40)]


def shuffle(seed: bytes, count: int, length: int) -> list[int]:
    """The first `length` entries of the shuffled list 0, ..., count - 1."""
    output = hashlib.shake_256(LABEL + seed + count.to_bytes(8, "little")).digest(1 << 16)
    position = 0
    entries = list(range(count))
    for i in range(length):
        size = count - i
        bits = 0
        while 1 << bits < size:
            bits += 1
        while True:
            step = int.from_bytes(output[position : position + 8], "little") % (1 << bits)
            position += 8
            if step < size:
                break
        entries[i], entries[i + step] = entries[i + step], entries[i]
    return entries[:length]


if __name__ == "__main__":
    cases = [{"seed": seed.hex(), "count": count, "prefix": shuffle(seed, count, length)} for seed, count, length in CASES]
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(cases, indent=1) + "\n")
