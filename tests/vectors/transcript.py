"""Writes transcript.json from the description in zkds/transcript.py, with hashlib alone: python tests/vectors/transcript.py"""

import hashlib
import json
import pathlib

P = 2**61 - 1


def entry(kind: bytes, label: str, data: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "little") + part for part in (kind, label.encode(), data))


def numbers(state: bytes, bits: int, bound: int):
    """8-byte pieces of the output, cut to `bits`, those not below `bound` left out."""
    output = hashlib.shake_256(state).digest(1 << 16)
    for i in range(0, len(output), 8):
        value = int.from_bytes(output[i : i + 8], "little") % (1 << bits)
        if value < bound:
            yield value


def run() -> dict[str, object]:
    state = entry(b"domain", "zkds", b"zkds transcript v1")
    state += entry(b"bytes", "statement", b"hello")
    state += entry(b"draw element of K", "alpha", b"")
    draws = numbers(state, 61, P)
    alpha = [next(draws), next(draws)]
    elements = [(1, 2), (P - 1, 0)]
    packed = b"".join(x.to_bytes(8, "little") for pair in elements for x in pair)
    state += entry(b"elements of K", "message", packed)
    state += entry(b"draw seed", "queries", b"")
    seed = hashlib.shake_256(state).digest(32)
    state += entry(b"draw positions", "queries", (20).to_bytes(8, "little") + (100).to_bytes(8, "little"))
    positions: set[int] = set()
    for value in numbers(state, 7, 100):
        if len(positions) < 20:
            positions.add(value)
    state += entry(b"draw element of K", "last", b"")
    draws = numbers(state, 61, P)
    return {
        "alpha": alpha,
        "seed": seed.hex(),
        "positions": sorted(positions),
        "last": [next(draws), next(draws)],
    }


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(run(), indent=1) + "\n")
