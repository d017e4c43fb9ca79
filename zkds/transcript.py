"""Fiat-Shamir: a duplex over SHAKE256 with typed, labelled, length-prefixed messages.

The input of the sponge is a sequence of entries [type][label][data], where [s] is the length of s in bytes as 8 bytes,
little-endian, then s; labels are UTF-8. The types:

    domain               the first entry: label "zkds", data DOMAIN
    bytes                absorbed bytes
    elements of K        absorbed elements, 16 bytes each
    draw element of K    data empty
    draw positions       data: count and bound, 8 bytes each, little-endian
    draw seed            data empty; what a proof of work is about

A draw appends its entry and reads SHAKE256 of the whole input so far as an unbounded output, in pieces of 8 bytes
(little-endian). All that was ever absorbed or drawn stays in the input, so every challenge depends on the statement and on
all messages before it. Field challenges are drawn by rejection, positions by rejection and without replacement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from zkds.field import K, P

DOMAIN = b"zkds transcript v1"


def _length(part: bytes) -> bytes:
    return len(part).to_bytes(8, "little")


@lru_cache(maxsize=4096)
def _head(kind: bytes, label: str) -> bytes:
    """[type][label] of an entry."""
    name = label.encode()
    return _length(kind) + kind + _length(name) + name


class Transcript:
    """The state that prover and verifier share. Both must make the same calls in the same order."""

    def __init__(self) -> None:
        self._sponge = hashlib.shake_256()
        self._append(b"domain", "zkds", DOMAIN)

    def _append(self, kind: bytes, label: str, data: bytes) -> None:
        self._sponge.update(_head(kind, label) + _length(data) + data)

    def absorb(self, label: str, data: bytes) -> None:
        self._append(b"bytes", label, data)

    def absorb_elements(self, label: str, elements: Sequence[K]) -> bytes:
        """Returns what was absorbed: the elements as they are on the wire."""
        data = b"".join([element.to_bytes() for element in elements])
        self._append(b"elements of K", label, data)
        return data

    def _draw(self, kind: bytes, label: str, data: bytes = b"") -> Stream:
        self._append(kind, label, data)
        return Stream(self._sponge.copy())

    def challenge(self, label: str) -> K:
        """A uniform element of K."""
        stream = self._draw(b"draw element of K", label)
        return K(stream.below(61, P), stream.below(61, P))

    def positions(self, label: str, count: int, bound: int) -> list[int]:
        """`count` distinct uniform positions below `bound`, sorted. Raises ValueError if there are not that many."""
        if not 0 <= count <= bound:
            raise ValueError(f"positions: expected 0 <= count <= {bound}, got {count}")
        shape = count.to_bytes(8, "little") + bound.to_bytes(8, "little")
        stream = self._draw(b"draw positions", label, shape)
        bits = max(1, (bound - 1).bit_length())
        chosen: set[int] = set()
        while len(chosen) < count:
            chosen.add(stream.below(bits, bound))
        return sorted(chosen)

    def seed(self, label: str) -> bytes:
        """32 bytes that depend on everything so far; what a proof of work is about."""
        return self._draw(b"draw seed", label).read(32)


class Stream:
    """The output of one draw, read piece by piece."""

    def __init__(self, sponge: hashlib._Hash) -> None:
        self._sponge = sponge
        self._output = b""
        self._position = 0

    def read(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._output):
            self._output = self._sponge.digest(max(64, 2 * end))  # type: ignore[call-arg]
        data = self._output[self._position : end]
        self._position = end
        return data

    def below(self, bits: int, bound: int) -> int:
        """Uniform below `bound` <= 2^bits, by rejection of 8-byte draws cut to their low `bits` <= 64 bits."""
        while True:
            value = int.from_bytes(self.read(8), "little") & ((1 << bits) - 1)
            if value < bound:
                return value
