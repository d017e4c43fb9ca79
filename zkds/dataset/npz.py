"""`.npz` files, read strictly: every name once, and what a header says compared with the bytes that are there.

Nothing is allocated for an array before its shape, its dtype and the size of its member agree, and its member could come out of
its compressed bytes. Pickled objects are refused. Arrays mean what `numpy.load` says they mean: its reader reads them.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from zkds.errors import FileError
from zkds.input import open_regular

SUFFIX = ".npy"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that numpy writes
MAX_EXPANSION = 100  # of a compressed member beyond FREE_BYTES; deflate can do 1000, data sets don't
FREE_BYTES = 1 << 26
MAX_MEMBERS = 1 << 16
VERSION = (1, 0)  # numpy writes others only for structures
MAX_HEADER_BYTES = 1024
KINDS = {"O": "Python objects", "U": "text", "S": "text", "V": "structures", "c": "complex numbers", "M": "dates", "m": "dates"}


def read_arrays(path: str | Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """The arrays of these names. Raises OSError, or FileError naming the file, the array and the reason."""
    with open_regular(path) as file:
        with _as_file_error(path, "expected a .npz file as numpy.savez writes it"), zipfile.ZipFile(file) as archive:
            members = _members(path, archive)
            missing = [name for name in names if name not in members]
            if missing:
                found = ", ".join(_shown(name) for name in [*members][:20]) or "none"
                raise FileError(f"{path}: expected arrays {' and '.join(names)}, got {found}")
            return [_read(f"{path}: {name}", archive, members[name]) for name in names]


@contextlib.contextmanager
def _as_file_error(path: object, what: str) -> Iterator[None]:
    """Whatever a parser raises on damaged bytes becomes a FileError. Which exceptions those are nobody documents."""
    try:
        yield
    except (FileError, MemoryError):
        raise
    except Exception as error:
        raise FileError(f"{path}: {what}, this one is damaged or another kind ({type(error).__name__})") from None


def _members(path: str | Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Name without suffix -> entry, of all arrays."""
    entries = archive.infolist()
    if len(entries) > MAX_MEMBERS:
        raise FileError(f"{path}: expected at most {MAX_MEMBERS} arrays")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename.casefold().removesuffix(SUFFIX)
        if name in seen:
            raise FileError(
                f"{path}: two members are called {_shown(entry.filename)}, up to case and suffix; which one is meant?"
            )
        seen.add(name)
    return {e.filename.removesuffix(SUFFIX): e for e in entries if e.filename.endswith(SUFFIX)}


def _read(what: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    if entry.flag_bits & 1 or entry.compress_type not in METHODS:
        raise FileError(f"{what}: encrypted, or compressed in a way that numpy does not write")
    if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
        raise FileError(f"{what}: its sizes in the archive differ")
    if entry.file_size > FREE_BYTES + MAX_EXPANSION * entry.compress_size:
        sizes = f"{entry.file_size:,} bytes out of {entry.compress_size:,}"
        raise FileError(f"{what}: {sizes}, more than {MAX_EXPANSION} to 1; save it with numpy.savez, uncompressed")
    with _as_file_error(what, "expected an array as numpy saves it"):
        with archive.open(entry) as file:
            _check_header(what, file, entry.file_size)
        with archive.open(entry) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # the end of the member is where its checksum is compared
                raise FileError(f"{what}: has bytes after its array")
            return array


def _check_header(what: str, file: IO[bytes], size: int) -> None:
    """Raise unless the header describes numbers that fill the member exactly."""
    if np.lib.format.read_magic(file) != VERSION:
        raise FileError(f"{what}: expected an array of version {VERSION[0]}.{VERSION[1]}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=MAX_HEADER_BYTES)
    if dtype.kind not in "iufb":
        found = KINDS.get(dtype.kind, dtype.kind) + (" (saved with pickle)" if dtype.hasobject else "")
        hint = "; labels can be numbered by `names, y = numpy.unique(y, return_inverse=True)`" if dtype.kind in "OUS" else ""
        raise FileError(f"{what}: expected numbers, got {found}{hint}")
    if any(type(length) is not int or length < 0 for length in shape):
        raise FileError(f"{what}: expected lengths that are not negative")
    needed = file.tell() + math.prod(shape) * dtype.itemsize
    if needed != size:
        raise FileError(f"{what}: its header asks for {_count(needed)} bytes, {_count(size)} are there")


def _count(number: int) -> str:
    return f"{number:,}" if number < 1 << 64 else "more than 2^64"


def _shown(name: str) -> str:
    """The name of a member, which may be anything, for a message."""
    return name if len(name) <= 60 and name.isprintable() else f"{name[:60]!a}..."
