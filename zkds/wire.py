"""The wire format: a sequence of fixed-width, little-endian fields in transcript order.

The verifier always knows what comes next and how long it is, so nothing in a proof describes itself and nothing needs to
be trusted: `ProofReader` hands out exact numbers of bytes, rejects field elements that are not canonical, and `finish`
rejects trailing bytes. Reading never allocates more than the bytes that are there.
"""

import numpy as np

from zkds.errors import MalformedProof
from zkds.field import ELEMENT_BYTES, K, P
from zkds.native import U64


class ProofWriter:
    """Collects the fields of a proof."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.sizes: dict[str, int] = {}  # bytes by label, for `inspect`

    def write(self, label: str, data: bytes) -> None:
        self._parts.append(data)
        self.sizes[label] = self.sizes.get(label, 0) + len(data)

    def to_bytes(self) -> bytes:
        return b"".join(self._parts)


class ProofReader:
    """Reads the fields of a proof from untrusted bytes. Every error is a MalformedProof."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self.sizes: dict[str, int] = {}

    @property
    def remaining(self) -> int:
        return len(self._data) - self._position

    def read(self, label: str, count: int) -> bytes:
        if count > self.remaining:
            raise MalformedProof(f"truncated at {label}", f"{count} bytes", f"{self.remaining} bytes")
        data = self._data[self._position : self._position + count]
        self._position += count
        self.sizes[label] = self.sizes.get(label, 0) + count
        return data

    def read_elements(self, label: str, count: int) -> list[K]:
        """`count` elements of K, 16 bytes each."""
        return [K(re, im) for re, im in self.read_pairs(label, count).tolist()]

    def read_pairs(self, label: str, count: int) -> U64:
        """`count` elements of K as (count, 2) pairs."""
        return self.read_field(label, 2 * count).reshape(count, 2)

    def read_field(self, label: str, count: int) -> U64:
        """`count` elements of F, 8 bytes each, canonical."""
        values = np.frombuffer(self.read(label, count * ELEMENT_BYTES // 2), dtype="<u8").astype(np.uint64)
        if count and int(values.max()) >= P:
            raise MalformedProof(f"non-canonical field element in {label}", "below 2^61 - 1", int(values.max()))
        return values

    def finish(self) -> None:
        if self.remaining:
            raise MalformedProof("trailing bytes", 0, self.remaining)


def encode_number(value: int) -> bytes:
    """A number in [0, 2^64) as 8 bytes, little-endian: the only encoding of numbers in this package."""
    return value.to_bytes(8, "little")


def read_number(reader: ProofReader, label: str) -> int:
    return int.from_bytes(reader.read(label, 8), "little")
