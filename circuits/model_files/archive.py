"""The zip archives that torch writes, read so strictly that every other reader sees the same members.

A reader of zip files may start at the end of the file or at its beginning, believe the directory or the headers in front of the
members, compare names with or without their case, take the first or the last of two members of one name. A file that means
something else to each is easily made. So here the members, the directory and its end must tile the file without a gap, both
headers of a member must agree, and names must differ by more than their case:

    member ...        local header, name, padding; the bytes, not compressed; perhaps the descriptor that repeats CRC and size
    directory         one header for each member, in the same order
    end               the record of an archive without a comment, perhaps after the one of zip64 with the same numbers

All members lie in one folder, whose name is free. Nothing is larger than 4 GiB. Checksums are compared when a file is opened.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

MAX_FILE_BYTES = (1 << 32) - 2  # sizes above it are in zip64 fields
MAX_MEMBERS = (1 << 16) - 2
MAX_BYTES_READ = 1 << 29  # of all members of a file together
MAX_NAME_BYTES = 400
CHUNK_BYTES = 1 << 20

LOCAL = struct.Struct("<4s2HHHHIIIHH")  # signature, version and flags, method, time, date, CRC, sizes, lengths
CENTRAL = struct.Struct("<4sBB2HHHHIIIHHHHHII")
DESCRIPTOR = struct.Struct("<4sIII")
END = struct.Struct("<4sHHHHIIH")
END_64 = struct.Struct("<4sQBBHIIQQQQ4sIQI")  # the record of zip64 and what points to it

HAS_DESCRIPTOR = 1 << 3
UTF8 = 1 << 11
FILE_TYPE, DIRECTORY = 0o170000 << 16, 1 << 4  # in a member's attributes: of Unix, of DOS
SMALL_MEMBERS = {
    "version": re.compile(rb"([1-9]|10)\n"),
    ".data/version": re.compile(rb"([1-9]|10)\n"),
    ".data/serialization_id": re.compile(rb"[0-9]{1,64}"),
    ".format_version": re.compile(rb"1"),
    ".storage_alignment": re.compile(rb"[1-9][0-9]{0,5}"),
}

_NAME = re.compile(r"[ -\[\]-~]+")  # printable ASCII without the backslash


@contextlib.contextmanager
def open_archive(file: str | Path | IO[bytes]) -> Iterator[Archive]:
    """An archive of torch.save or torch.export.save. Raises ValueError if the file is no such archive, or damaged."""
    with contextlib.ExitStack() as stack:
        yield Archive(stack.enter_context(open_regular(file)) if isinstance(file, str | Path) else file)


def open_regular(path: str | Path) -> IO[bytes]:
    """Opens a file to read it. Raises ValueError for a device, a pipe or a folder, OSError if it can't be opened."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # asked first: opening a pipe waits for its other end
        raise ValueError("expected a regular file")
    return open(path, "rb")


class Archive:
    """The members of an archive, by their names within its folder."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._unread = MAX_BYTES_READ
        members = _members(stream)
        folder = next(iter(members)).partition("/")[0]
        if any(not name.startswith(f"{folder}/") for name in members):
            raise ValueError("archive: expected all members in one folder")
        self._members = {name.partition("/")[2]: member for name, member in members.items()}
        if "byteorder" in self and self.read("byteorder", most=64) != b"little":
            raise ValueError("byteorder: expected little")
        if ("version" in self) == (".data/version" in self):
            raise ValueError("archive: expected a member version, at one place")
        for name, expected in SMALL_MEMBERS.items():
            if name in self and not expected.fullmatch(self.read(name, most=64)):
                raise ValueError(f"{name}: expected what torch writes there")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> tuple[str, ...]:
        """The members, in the order of the file, without the folder."""
        return tuple(self._members)

    def require_only(self, known: re.Pattern[str]) -> None:
        """Raises ValueError, naming it, for a member whose whole name `known` doesn't match."""
        for name in self._members:
            if not known.fullmatch(name):
                raise ValueError(f"archive: unknown member {name}")

    def size(self, name: str) -> int:
        """Bytes of a member. Raises ValueError if there is none."""
        return self._member(name).size

    def read(self, name: str, *, most: int = MAX_BYTES_READ) -> bytes:
        """The bytes of a member.

        Raises ValueError if there is none, if it has more than `most` bytes, or if more than 512 MiB of this archive are read.
        """
        member = self._member(name)
        if member.size > most:
            raise ValueError(f"{name}: expected at most {most} bytes, got {member.size}")
        if member.size > self._unread:
            raise ValueError(f"archive: expected at most {MAX_BYTES_READ} bytes of weights")
        self._unread -= member.size
        return _read(self._stream, member.start, member.size)

    def _member(self, name: str) -> _Member:
        if name not in self._members:
            raise ValueError(f"archive: expected a member {name}")
        return self._members[name]


class _Member(NamedTuple):
    """start: of the bytes, in the file"""

    start: int
    size: int


class _Header(NamedTuple):
    """What both headers of a member say of it; the directory's has the right CRC and size."""

    version: int
    flags: int
    method: int
    time: int
    date: int
    name: bytes
    crc: int
    size: int


def _members(stream: IO[bytes]) -> dict[str, _Member]:
    """name -> member, after all checks of the file's structure."""
    members: dict[str, _Member] = {}
    folded: set[str] = set()
    directory, directory_start = _directory(stream)
    position = 0
    for header, offset in directory:
        name = _checked_name(header.name)
        if name.lower() in folded:
            raise ValueError(f"archive: two members {name}, with or without regard to case")
        folded.add(name.lower())
        if offset != position:
            raise ValueError(f"archive: {name}: expected it at byte {position}, where the member before ends, got {offset}")
        member, position = _member(stream, header, offset, name)
        members[name] = member
    if position != directory_start:
        raise ValueError(
            f"archive: expected the directory at byte {position}, where the last member ends, got {directory_start}"
        )
    return members


def _directory(stream: IO[bytes]) -> tuple[list[tuple[_Header, int]], int]:
    """(the directory's headers with the offsets of the members, where the directory starts)"""
    size = stream.seek(0, os.SEEK_END)
    if not END.size <= size <= MAX_FILE_BYTES:
        raise ValueError(f"archive: expected from {END.size} to {MAX_FILE_BYTES} bytes, got {size}")
    signature, *disks, count, length, start, comment = END.unpack(_read(stream, size - END.size, END.size))
    if signature != b"PK\5\6" or comment:
        raise ValueError("archive: expected its end record at the end of the file; the file is truncated, or was extended")
    if disks != [0, 0, count] or not 1 <= count <= MAX_MEMBERS:
        raise ValueError(f"archive: expected from 1 to {MAX_MEMBERS} members in one part")
    if length > count * (CENTRAL.size + MAX_NAME_BYTES):
        raise ValueError("archive: its directory has more bytes than its members need")
    after = size - END.size - start - length
    if after == END_64.size:
        _check_end_64(_read(stream, start + length, after), count, length, start)
    elif after != 0 or _read(stream, max(0, size - END.size - 20), 4) == b"PK\6\7":  # 20: of a pointer to a record of zip64
        raise ValueError("archive: expected its directory right in front of its end record")
    return _headers(_read(stream, start, length), count), start


def _check_end_64(data: bytes, count: int, length: int, start: int) -> None:
    """The end record of zip64, and the pointer to it, must say what the other end record says."""
    signature, rest, _, _, _, *numbers = END_64.unpack(data)
    expected = [0, 0, count, count, length, start, b"PK\6\7", 0, start + length, 1]
    if signature != b"PK\6\6" or rest != 44 or numbers != expected:
        raise ValueError("archive: its end record of zip64 says something else than the other one")


def _headers(data: bytes, count: int) -> list[tuple[_Header, int]]:
    headers, position = [], 0
    for _ in range(count):
        if position + CENTRAL.size > len(data):
            raise ValueError("archive: its directory is truncated")
        (signature, _, _, version, flags, method, time, date, crc, packed, size, *lengths, disk, internal, external, offset) = (
            CENTRAL.unpack_from(data, position)
        )
        name_length, extra, comment = lengths
        name = data[position + CENTRAL.size : position + CENTRAL.size + name_length]
        position += CENTRAL.size + name_length
        if signature != b"PK\1\2" or extra or comment or disk or internal or position > len(data):
            raise ValueError("archive: its directory isn't one that torch writes")
        if external & DIRECTORY or external & FILE_TYPE not in (0, stat.S_IFREG << 16):
            raise ValueError("archive: expected plain files as members")
        if method or packed != size or flags & ~(HAS_DESCRIPTOR | UTF8):
            raise ValueError("archive: expected members without compression or encryption")
        headers.append((_Header(version, flags, method, time, date, name, crc, size), offset))
    if position != len(data):
        raise ValueError("archive: its directory has more bytes than its members need")
    return headers


def _member(stream: IO[bytes], header: _Header, offset: int, name: str) -> tuple[_Member, int]:
    """The member of a header of the directory, and where it ends. Raises ValueError unless its local header agrees."""
    local = _read(stream, offset, LOCAL.size)
    signature, version, flags, method, time, date, crc, packed, size, name_length, extra_length = LOCAL.unpack(local)
    rest = _read(stream, offset + LOCAL.size, name_length + extra_length)
    descriptor = bool(header.flags & HAS_DESCRIPTOR)
    numbers = (0, 0, 0) if descriptor else (header.crc, header.size, header.size)
    found = _Header(version, flags, method, time, date, rest[:name_length], header.crc, header.size)
    if signature != b"PK\3\4" or found != header or (crc, packed, size) != numbers:
        raise ValueError(f"archive: {name}: its two headers differ")
    padding = rest[name_length:]
    if padding and padding != b"FB" + struct.pack("<H", len(padding) - 4) + b"Z" * (len(padding) - 4):
        raise ValueError(f"archive: {name}: its header has fields that torch doesn't write")
    start = offset + LOCAL.size + len(rest)
    end = start + header.size
    if descriptor:
        numbers = (header.crc, header.size, header.size)
        if _read(stream, end, DESCRIPTOR.size) != DESCRIPTOR.pack(b"PK\7\10", *numbers):
            raise ValueError(f"archive: {name}: its descriptor and its header differ")
        end += DESCRIPTOR.size
    if _checksum(stream, start, header.size) != header.crc:
        raise ValueError(f"archive: {name}: damaged, its checksum differs")
    return _Member(start, header.size), end


def _checksum(stream: IO[bytes], start: int, size: int) -> int:
    checksum = 0
    for place in range(start, start + size, CHUNK_BYTES):
        checksum = zlib.crc32(_read(stream, place, min(CHUNK_BYTES, start + size - place)), checksum)
    return checksum


def _checked_name(name: bytes) -> str:
    text = name.decode("ascii", "replace")
    if len(name) > MAX_NAME_BYTES or not _NAME.fullmatch(text):
        raise ValueError("archive: a member's name isn't printable ASCII, or has a backslash or too many letters")
    parts = text.split("/")
    if len(parts) < 2 or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(f"archive: {text}: expected the name of a file in a folder")
    return text


def _read(stream: IO[bytes], start: int, size: int) -> bytes:
    """Exactly these bytes of the file."""
    data = b""
    if start >= 0:
        stream.seek(start)
        data = stream.read(size)
    if len(data) != size:
        raise ValueError("archive: expected a whole file, got a truncated or damaged one")
    return data
