"""Writes checkpoints of networks of the zoo, {"arch": name, "state_dict": ...}, as torch.save and safetensors do, without them.

The bytes are a function of the architecture and the values, whatever torch is installed, and no date is in them.
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.model_files.checkpoint import PICKLE
from zkds.circuits.model_files.safetensors import METADATA

Values = Mapping[str, NDArray[np.float64]]

FOLDER = "checkpoint"
ALIGNMENT = 8  # of the tensors in a file of safetensors


def checkpoint_bytes(architecture: str, state: Values) -> bytes:
    """As torch.save writes it: `torch.load` reads it, with weights_only too, and circuits/model_files/checkpoint.py."""
    members = {PICKLE: _pickle(architecture, state), "byteorder": b"little"}
    members |= {f"data/{key}": _float64(values) for key, values in enumerate(state.values())}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # ZipInfo's own date is the first of 1980
        for name, data in (members | {"version": b"3\n"}).items():
            archive.writestr(zipfile.ZipInfo(f"{FOLDER}/{name}"), data)
    return buffer.getvalue()


def safetensors_bytes(architecture: str, state: Values) -> bytes:
    """As safetensors writes it, with the architecture in its metadata."""
    ends = list(accumulate(values.nbytes for values in state.values()))
    header = {METADATA: {"arch": architecture}} | {
        name: {"dtype": "F64", "shape": values.shape, "data_offsets": [end - values.nbytes, end]}
        for (name, values), end in zip(state.items(), ends, strict=True)
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + b"".join(map(_float64, state.values()))


def _float64(values: NDArray[np.float64]) -> bytes:
    """Row-major, little-endian."""
    return values.astype("<f8").tobytes()


# ---- the pickle of a checkpoint: opcodes of protocol 2, without a memo ----

CALL, EMPTY_TUPLE, FALSE, MARK, TUPLE, EMPTY_DICT, SET_ITEMS, STORAGE, STOP = (
    b"R",
    b")",
    b"\x89",
    b"(",
    b"t",
    b"}",
    b"u",
    b"Q",
    b".",
)
ORDERED_DICT = b"ccollections\nOrderedDict\n" + EMPTY_TUPLE + CALL
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
DOUBLES = b"ctorch\nDoubleStorage\n"


def _pickle(architecture: str, state: Values) -> bytes:
    entries = b"".join(_text(name) + _tensor(str(key), values.shape) for key, (name, values) in enumerate(state.items()))
    state_dict = ORDERED_DICT + MARK + entries + SET_ITEMS
    document = EMPTY_DICT + MARK + _text("arch") + _text(architecture) + _text("state_dict") + state_dict + SET_ITEMS
    return b"\x80\2" + document + STOP


def _tensor(key: str, shape: Sequence[int]) -> bytes:
    """All of the storage of this key, row-major, without a gradient and without hooks."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    place = _tuple(_text("storage"), DOUBLES, _text(key), _text("cpu"), _integer(math.prod(shape)))
    sizes, steps = (_tuple(*map(_integer, numbers)) for numbers in (shape, strides))
    return REBUILD + _tuple(place + STORAGE, _integer(0), sizes, steps, FALSE, ORDERED_DICT) + CALL


def _tuple(*items: bytes) -> bytes:
    return MARK + b"".join(items) + TUPLE


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)
