"""`data.root`: the public commitment to a data set, a small text file with one canonical form.

    zkds data root v1
    digest <64 hex digits>       the data root; computed from all that follows, so it only guards against slips
    tree <64 hex digits>         root of the Merkle tree
    records <N>
    schema <hex digits>          canonical bytes of the schema
    matrix <n> <m> <64 hex>      rows and columns of A and its seed: protocol constants

    data root = SHA-256( "zkds data root v1" | N | length of schema | schema | n | m | seed of A | tree root )

with all numbers as 8 bytes, little-endian.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from zkds.dataset.ajtai import MATRIX_SEED, ROWS, randomness_bytes
from zkds.dataset.records import MAX_RECORDS
from zkds.dataset.schema import Schema
from zkds.dataset.tree import DIGEST_BYTES
from zkds.errors import FileError, MalformedProof
from zkds.wire import encode_number

ROOT_LABEL = "zkds data root v1"
MAX_ROOT_BYTES = (1 << 23) + (1 << 12)  # of the file: a schema may name a normalization pair for each of 2^18 features, in hex
NAMES = ("digest", "tree", "records", "schema", "matrix")


@dataclass(frozen=True)
class DataRoot:
    """count: number of records N; schema; tree_root: 32 bytes."""

    count: int
    schema: Schema
    tree_root: bytes

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 1 <= self.count <= MAX_RECORDS:
            raise ValueError(f"count: expected 1 to {MAX_RECORDS} records, got {self.count}")
        if not isinstance(self.tree_root, bytes) or len(self.tree_root) != DIGEST_BYTES:
            raise ValueError(f"tree_root: expected {DIGEST_BYTES} bytes")

    @property
    def randomness_bytes(self) -> int:
        """|rnd|"""
        return randomness_bytes(self.count)

    @property
    def committed_bytes(self) -> int:
        """m = |x| + |rnd|, the number of A's columns."""
        return self.schema.record_bytes + self.randomness_bytes

    def digest(self) -> bytes:
        """The data root: 32 bytes that bind all of this."""
        schema = self.schema.encode()
        parts = [ROOT_LABEL.encode(), encode_number(self.count), encode_number(len(schema)), schema]
        parts += [encode_number(ROWS), encode_number(self.committed_bytes), MATRIX_SEED, self.tree_root]
        return hashlib.sha256(b"".join(parts)).digest()

    def encode(self) -> bytes:
        """The bytes of the file."""
        lines = [
            ROOT_LABEL,
            f"digest {self.digest().hex()}",
            f"tree {self.tree_root.hex()}",
            f"records {self.count}",
            f"schema {self.schema.encode().hex()}",
            f"matrix {ROWS} {self.committed_bytes} {MATRIX_SEED.hex()}",
        ]
        return "".join(line + "\n" for line in lines).encode()

    @classmethod
    def decode(cls, data: bytes) -> DataRoot:
        """Parses untrusted bytes. Raises MalformedProof for all that `encode` does not write."""
        if len(data) > MAX_ROOT_BYTES:
            raise MalformedProof("data.root: size", f"at most {MAX_ROOT_BYTES} bytes", len(data))
        lines = data.split(b"\n")
        if lines[0] != ROOT_LABEL.encode():
            raise MalformedProof("data.root: first line", repr(ROOT_LABEL), "another one")
        pairs = [line.partition(b" ")[::2] for line in lines[1:-1]]
        if [name for name, _ in pairs] != [name.encode() for name in NAMES] or lines[-1]:
            raise MalformedProof("data.root: fields", " ".join(NAMES), "others")
        fields = dict(pairs)
        schema = Schema.decode(_hex(fields[b"schema"], "schema"))
        try:
            root = cls(_count(fields[b"records"]), schema, _hex(fields[b"tree"], "tree"))
        except ValueError as error:
            raise MalformedProof(f"data.root: {error}") from None
        if root.encode() != data:
            raise MalformedProof("data.root: canonical form", "the form that its content has", "another one")
        return root

    @classmethod
    def read(cls, path: str | Path) -> DataRoot:
        """Raises OSError, or FileError naming the file if `decode` refuses what is in it."""
        with open(path, "rb") as file:
            data = file.read(MAX_ROOT_BYTES + 1)
        try:
            return cls.decode(data)
        except MalformedProof as error:
            raise FileError(f"{path}: {error}") from None


def _hex(text: bytes, name: str) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise MalformedProof(f"data.root: {name}", "hex digits", "others") from None


def _count(text: bytes) -> int:
    if not text.isdigit() or len(text) > len(str(MAX_RECORDS)):
        raise MalformedProof("data.root: records", "a decimal number", "another text")
    return int(text)
