"""Reads files of safetensors: a JSON header that says of each tensor its type, its shape and where its bytes lie.

    8 bytes     length of the header, little-endian
    header      {"__metadata__": {text: text}, NAME: {"dtype": "F32", "shape": [...], "data_offsets": [begin, end]}, ...}
    the rest    the tensors' bytes, row-major, without a gap

Metadata changes no weight; an entry "arch" of it names the architecture, as in a checkpoint.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable
from typing import IO, Any

from zkds.circuits.model_files.stored_tensors import BFLOAT16, MAX_DIMENSIONS, MAX_NUMBER, Budget, Storage, StoredTensor, width
from zkds.circuits.model_files.strict_json import fields, integer, mapping, one_of, read_json, sequence, shown, texts

MAX_HEADER_BYTES = 1 << 22
METADATA = "__metadata__"
TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def is_safetensors(start: bytes) -> bool:
    """Whether a file that starts with these bytes, 9 or more, is one: no other that holds models has a brace there."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 40


def read_safetensors(stream: IO[bytes]) -> dict[str, Any]:
    """{"state_dict": name -> StoredTensor, "arch": name if the file says it}. Raises ValueError if the file is damaged."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    if length > min(MAX_HEADER_BYTES, size - 8):
        raise ValueError(f"safetensors: expected a header of at most {MAX_HEADER_BYTES} bytes within the file, got {length}")
    header = mapping(read_json(stream.read(length), "safetensors: header"), "safetensors: header")
    metadata = mapping(header.pop(METADATA, {}), METADATA)
    texts(list(metadata.values()), METADATA)
    return {"state_dict": _tensors(stream, header, 8 + length, size), "arch": metadata.get("arch")}


def _tensors(stream: IO[bytes], header: dict[str, Any], start: int, size: int) -> dict[str, StoredTensor]:
    budget = Budget()
    places: list[tuple[int, int]] = []
    tensors = {}
    for name, entry in header.items():
        element, shape, begin, end = _entry(name, entry)
        if end - begin != width(element) * math.prod(shape):
            raise ValueError(f"safetensors: {shown(name)}: expected as many bytes as its shape has")
        places.append((begin, end))
        storage = Storage(element, math.prod(shape), _reader(stream, start + begin, end - begin), budget)
        tensors[name] = StoredTensor(storage, 0, shape, _row_major(shape))
    ends = [0, *(end for _, end in sorted(places))]
    if [begin for begin, _ in sorted(places)] != ends[:-1] or ends[-1] != size - start:
        raise ValueError("safetensors: expected the tensors to fill the file, without a gap and without an overlap")
    return tensors


def _entry(name: str, value: Any) -> tuple[str, tuple[int, ...], int, int]:
    """(type, shape, where the bytes begin and end)"""
    where = f"safetensors: {shown(name)}"
    entry = fields(value, where, "dtype shape data_offsets")
    element = TYPES[one_of(entry["dtype"], f"{where}: dtype", tuple(TYPES))]
    shape, offsets = (sequence(entry[key], where) for key in ("shape", "data_offsets"))
    numbers = [integer(number, where) for number in (*shape, *offsets)]
    if len(shape) > MAX_DIMENSIONS or len(offsets) != 2 or not all(0 <= number <= MAX_NUMBER for number in numbers):
        raise ValueError(f"{where}: expected a shape and two offsets, of numbers from 0 to {MAX_NUMBER}")
    return element, tuple(shape), offsets[0], offsets[1]


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    if 0 in shape:
        return (0,) * len(shape)
    return tuple(itertools.accumulate(reversed(shape[1:]), int.__mul__, initial=1))[::-1] if shape else ()


def _reader(stream: IO[bytes], start: int, size: int) -> Callable[[], bytes]:
    def read() -> bytes:
        stream.seek(start)
        data = stream.read(size)
        if len(data) != size:
            raise ValueError("safetensors: truncated")
        return data

    return read
