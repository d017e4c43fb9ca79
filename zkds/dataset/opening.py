"""`data.open`: the private half of a commitment, the records and their randomness (mode 0600).

    bytes   content
    8       "zkdsopen"
    8       version, 1
    8       N
    8       length of the schema, then the schema
    N m     x_i | rnd_i for all i
    32 N    SHA-256 of each h_i (the tree's leaves)
    32      SHA-256 of all bytes before

Numbers are 8 bytes, little-endian. The file streams in and out in chunks; a reader checks its size, its checksum and, for the
records that it opens, that they lead to their leaves.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from zkds.dataset import ajtai
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import MAX_SCHEMA_BYTES, Schema
from zkds.dataset.tree import DIGEST_BYTES, Tree, leaf_digests
from zkds.errors import FileError, MalformedProof
from zkds.input import open_regular
from zkds.native import U8, U64
from zkds.wire import encode_number

MAGIC = b"zkdsopen"
VERSION = 1
READ_BYTES = 1 << 22


class OpeningError(FileError):
    """A `data.open` that is damaged, of another version, or of another `data.root`."""


def _header(count: int, schema: Schema) -> bytes:
    encoded = schema.encode()
    return MAGIC + encode_number(VERSION) + encode_number(count) + encode_number(len(encoded)) + encoded


class OpeningWriter:
    """Writes the content of `data.open` to a file: `add` all chunks of byte strings, then `finish`."""

    def __init__(self, file: BinaryIO, count: int, schema: Schema) -> None:
        self._file = file
        self._count = count
        self._schema = schema
        self._checksum = hashlib.sha256()
        self._digests: list[bytes] = []
        self._write(_header(count, schema))

    def _write(self, data: bytes | memoryview) -> None:
        self._checksum.update(data)
        self._file.write(data)

    def add(self, byte_strings: U8) -> None:
        """The next records: (k, m) uint8, rows x_i | rnd_i."""
        self._write(byte_strings.data)
        self._digests.append(leaf_digests(ajtai.commit(byte_strings)))

    def finish(self) -> DataRoot:
        """Ends the file and returns the data root."""
        digests = b"".join(self._digests)
        if len(digests) != DIGEST_BYTES * self._count:
            raise ValueError(f"data.open: expected {self._count} records, got {len(digests) // DIGEST_BYTES}")
        self._write(digests)
        self._file.write(self._checksum.digest())
        return DataRoot(self._count, self._schema, Tree(digests).root)


class Opening:
    """A `data.open` file, open for reading. Use as a context manager, or `close` it.

    root    the DataRoot that it opens
    tree    the Merkle tree over all commitments
    """

    def __init__(self, path: str | Path, expected: DataRoot | None = None) -> None:
        """Raises OSError, or OpeningError if the file is damaged or does not open `expected`; both name the file.

        What the header says is compared with the root and with the file's size before the rest is read.
        """
        self._path = path
        self._file: BinaryIO = open_regular(path, "no such file; zkds commit writes it beside data.root")
        try:
            count, schema, self._start = self._read_header()
            if expected is not None and (count, schema) != (expected.count, expected.schema):
                raise self._of_another_root()
            self._width = schema.record_bytes + ajtai.randomness_bytes(count)
            self._check_size(count)
            self._check_checksum()
            self.tree = Tree(self._read_at(self._start + count * self._width, count * DIGEST_BYTES))
            self.root = DataRoot(count, schema, self.tree.root)
            if expected is not None and self.root.digest() != expected.digest():
                raise self._of_another_root()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Opening:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def open(self, indices: Sequence[int]) -> tuple[U8, U64]:
        """The byte strings x_i | rnd_i of these records and their commitments: (k, m) uint8 and (k, n) uint64.

        Raises OpeningError if one does not lead to its leaf.
        """
        for index in indices:
            if not 0 <= index < self.root.count:
                raise ValueError(f"indices: expected 0 to {self.root.count - 1}, got {index}")
        rows = b"".join(self._read_at(self._start + index * self._width, self._width) for index in indices)
        byte_strings = np.frombuffer(rows, dtype=np.uint8).reshape(len(indices), self._width)
        commitments = ajtai.commit(byte_strings)
        found = leaf_digests(commitments)
        for k, index in enumerate(indices):
            if found[DIGEST_BYTES * k : DIGEST_BYTES * (k + 1)] != self.tree.leaf(index):
                raise self._error(f"record {index} does not lead to its leaf")
        return byte_strings, commitments

    def _of_another_root(self) -> OpeningError:
        remedy = "use the pair that one `zkds commit` wrote; if --overwrite was interrupted, commit again"
        return self._error(f"belongs to another data.root: {remedy}")

    def _error(self, reason: str) -> OpeningError:
        return OpeningError(f"{self._path}: {reason}")

    def _read_at(self, position: int, count: int) -> bytes:
        self._file.seek(position)
        data = self._file.read(count)
        if len(data) != count:
            raise self._error("truncated")
        return data

    def _read_header(self) -> tuple[int, Schema, int]:
        fixed = len(MAGIC) + 24
        start = self._read_at(0, fixed)
        version, count, schema_bytes = (int.from_bytes(start[i : i + 8], "little") for i in (8, 16, 24))
        if start[: len(MAGIC)] != MAGIC or version != VERSION:
            raise self._error(f"not a data.open of version {VERSION}")
        if schema_bytes > min(MAX_SCHEMA_BYTES, self._size()):
            raise self._error("truncated")
        encoding = self._read_at(fixed, schema_bytes)
        try:
            schema = Schema.decode(encoding)
            DataRoot(count, schema, bytes(DIGEST_BYTES))
        except (MalformedProof, ValueError) as error:
            raise self._error(str(error)) from None
        return count, schema, fixed + schema_bytes

    def _size(self) -> int:
        return self._file.seek(0, io.SEEK_END)

    def _check_size(self, count: int) -> None:
        expected = self._start + count * (self._width + DIGEST_BYTES) + DIGEST_BYTES
        if self._size() != expected:
            raise self._error(f"expected {expected} bytes for {count} records, got {self._size()}")

    def _check_checksum(self) -> None:
        left = self._size() - DIGEST_BYTES
        checksum = hashlib.sha256()
        self._file.seek(0)
        while left:
            data = self._file.read(min(READ_BYTES, left))
            if not data:
                raise self._error("truncated")
            checksum.update(data)
            left -= len(data)
        if self._file.read() != checksum.digest():
            raise self._error("checksum differs, the file is damaged")
