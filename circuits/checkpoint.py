"""Reads what `torch.save` wrote, as data: no code of the file is run, and torch isn't loaded.

A file of torch.save is a zip archive of uncompressed members:

    NAME/data.pkl     a pickle of the object, in which tensors are calls with references to storages
    NAME/data/KEY     the bytes of a storage
    NAME/byteorder    "little" (files of old versions have none)

A pickle is a program. Here it may build dicts, lists, tuples, strings and numbers, and call what torch calls to make tensors of
plain storages and parameters, all of it ours below; anything else that it names is an error.
"""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.graph import MAX_ELEMENTS

MAX_PICKLE_BYTES = 1 << 26
BFLOAT16: Final = "bfloat16"  # numpy has no such type

STORAGE_TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def load(path: str | Path) -> Any:
    """The object in the file, its tensors as float64 arrays (those of integers as they are).

    Raises ValueError if it isn't one of torch.save, is damaged, or holds more than tensors and plain containers.
    """
    with open_archive(path) as archive:
        return read_object(archive)


def read_object(archive: Archive) -> Any:
    """As `load`, of an open archive."""
    try:
        return _Unpickler(archive).load()
    except Exception as error:  # a damaged pickle makes the unpickler raise nearly anything
        raise ValueError(f"checkpoint: {error or type(error).__name__}") from None


def float64(data: bytes, element: str) -> NDArray[Any]:
    """Bytes of numbers of a type as float64, which holds every float exactly; integers and booleans stay what they are."""
    if element == BFLOAT16:
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    values = np.frombuffer(data, element)
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def strided(storage: NDArray[Any], offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> NDArray[Any]:
    """The tensor of `shape` that lies in a storage from `offset` on, with a step of `stride` elements along each axis.

    Raises ValueError if it reaches beyond the storage, or repeats its elements too often.
    """
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"tensor: expected an offset, a shape and a stride, got {offset}, {shape}, {stride}")
    if math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"tensor: expected at most {MAX_ELEMENTS} elements, got shape {shape}")
    if 0 in shape:
        return np.empty(shape, storage.dtype)
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if last >= len(storage):
        raise ValueError(f"tensor: expected it within the {len(storage)} elements of its storage, got shape {shape}")
    size = storage.itemsize
    view = np.lib.stride_tricks.as_strided(storage[offset:], shape, tuple(step * size for step in stride), writeable=False)
    return np.array(view)


@contextlib.contextmanager
def open_archive(file: str | Path | IO[bytes]) -> Iterator[Archive]:
    """An archive of torch.save or torch.export.save. Raises ValueError if the file is no such archive, or damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            if min((member.header_offset for member in archive.infolist()), default=0):
                raise zipfile.BadZipFile  # an archive within a truncated one
            yield Archive(archive)
    except (zipfile.BadZipFile, EOFError, RuntimeError, UnicodeDecodeError, struct.error):  # RuntimeError: encrypted
        raise ValueError("expected a whole file of torch.save or torch.export.save, got another one or a damaged one") from None


class Archive:
    """The members of an archive of torch's: all under one folder, none compressed."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        names = archive.namelist()
        self._folder = names[0].partition("/")[0] if names else ""
        if "byteorder" in self and self.read("byteorder", most=16) != b"little":
            raise ValueError("byteorder: expected little")

    def __contains__(self, name: str) -> bool:
        return f"{self._folder}/{name}" in self._archive.NameToInfo

    def read(self, name: str, *, most: int | None = None) -> bytes:
        """The bytes of a member; ValueError if there is none, if it's compressed, or has more than `most` bytes."""
        if name not in self:
            raise ValueError(f"archive: expected a member {name}")
        member = self._archive.getinfo(f"{self._folder}/{name}")
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name}: expected a member without compression")
        if most is not None and member.file_size > most:
            raise ValueError(f"{name}: expected at most {most} bytes, got {member.file_size}")
        return self._archive.read(member)


class _Callable(NamedTuple):
    """What a pickle may call. A tuple's attributes can't be set, so that it may do nothing else with it."""

    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


class _StorageType(NamedTuple):
    element: str


class _StateDict(dict[str, Any]):
    """In place of OrderedDict."""

    def __setstate__(self, state: object) -> None:
        """Drops the attribute _metadata, the versions of torch's modules."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: Archive) -> None:
        super().__init__(io.BytesIO(archive.read("data.pkl", most=MAX_PICKLE_BYTES)))
        self._archive = archive
        self._read: dict[str, NDArray[Any]] = {}
        self._globals = {
            ("collections", "OrderedDict"): _Callable(_StateDict),
            ("torch._utils", "_rebuild_tensor_v2"): _Callable(_rebuild_tensor),
            ("torch._utils", "_rebuild_parameter"): _Callable(_rebuild_parameter),
            **{("torch", name): _StorageType(element) for name, element in STORAGE_TYPES.items()},
        }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._globals:
            raise ValueError(f"expected tensors and plain containers only, got {module}.{name}")
        return self._globals[module, name]

    def persistent_load(self, reference: Any) -> NDArray[Any]:
        match reference:
            case ("storage", _StorageType(element), str(key), str(), int(count)):
                if key not in self._read:
                    self._read[key] = float64(self._archive.read(f"data/{key}"), element)
                if len(self._read[key]) != count:
                    raise ValueError(f"storage {key}: expected {count} elements, got {len(self._read[key])}")
                return self._read[key]
        raise ValueError("storage: expected the reference that torch.save writes")


def _rebuild_tensor(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *others: Any
) -> NDArray[Any]:
    """others: whether a gradient is required, hooks, metadata: of no use here"""
    del others
    if not isinstance(storage, np.ndarray):
        raise ValueError("tensor: expected a storage")
    return strided(storage, offset, shape, stride)


def _rebuild_parameter(values: NDArray[Any], *others: Any) -> NDArray[Any]:
    del others
    return values
