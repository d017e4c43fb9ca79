"""Weights from a file: torch's zip format, of which only what a state_dict has is accepted, or safetensors.

Nothing is executed.
"""

import json
import zipfile
from collections import namedtuple
from math import isfinite, prod
from struct import unpack

from zkds_verify.rejection import NotAProof

MOST_BYTES = 2**31
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
# values: floats, row-major
Values = namedtuple("Values", "shape values")
Storage = namedtuple("Storage", "kind name")
KINDS = {"DoubleStorage": "d", "FloatStorage": "f", "HalfStorage": "e", "BFloat16Storage": "b", "LongStorage": "q"}
SAFE_KINDS = {"F64": "d", "F32": "f", "F16": "e", "BF16": "b", "I64": "q"}
SIZES = {"d": 8, "f": 4, "e": 2, "b": 2, "q": 8}


def refuse(what):
    raise NotAProof(f"model file: {what}")


def numbers(kind, data):
    if kind == "b":  # the upper half of a float32
        data = b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
        kind = "f"
    return unpack(f"<{len(data) // SIZES[kind]}{kind}", data)


def read(path):
    """Name -> Values, without a prefix that all names share."""
    with open(path, "rb") as file:
        start = file.read(4)
    try:
        found = read_torch(path) if start == b"PK\3\4" else read_safetensors(path)
    except (KeyError, IndexError, ValueError, TypeError, zipfile.BadZipFile) as error:
        refuse(f"cannot be read ({type(error).__name__}: {error})")
    while prefix := next((p for p in PREFIXES if found and all(name.startswith(p) for name in found)), None):
        found = {name[len(prefix) :]: value for name, value in found.items()}
    return found


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    size = int.from_bytes(data[:8], "little")
    if len(data) > MOST_BYTES or not 0 < size <= len(data) - 8:
        refuse("neither torch's zip format nor safetensors")
    header, body, found = json.loads(data[8 : 8 + size]), data[8 + size :], {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        kind, (start, end), shape = SAFE_KINDS[entry["dtype"]], entry["data_offsets"], tuple(entry["shape"])
        if not 0 <= start <= end <= len(body) or end - start != SIZES[kind] * prod(shape):
            refuse(f"{name}: size")
        found[name] = Values(shape, numbers(kind, body[start:end]))
    return found


def read_torch(path):
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        if len(set(members)) != len(members) or sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
            refuse("names or size of its members")
        (pickled,) = (name for name in members if name.endswith("/data.pkl"))
        folder = pickled[: -len("data.pkl")]
        saved = Unpickler(archive.read(pickled)).load()
        if isinstance(saved, dict) and isinstance(saved.get("state_dict"), dict):
            saved = saved["state_dict"]
        if not isinstance(saved, dict) or not all(isinstance(name, str) for name in saved):
            refuse("no state_dict")
        return {name: contents(archive, folder, t) for name, t in saved.items() if isinstance(t, Rebuilt)}


Rebuilt = namedtuple("Rebuilt", "storage offset shape stride")


def contents(archive, folder, tensor):
    storage, offset, shape, stride = tensor
    every = numbers(storage.kind, archive.read(f"{folder}data/{storage.name}"))
    places = [offset]
    for length, step in zip(shape, stride, strict=True):
        places = [place + step * i for place in places for i in range(length)]
    if any(place < 0 for place in places):
        refuse("stride")
    return Values(tuple(shape), tuple(every[place] for place in places))


class Unpickler:
    """The opcodes that torch.save writes for dictionaries of tensors, strings and numbers."""

    def __init__(self, data):
        self.data, self.place, self.stack, self.marks, self.memo = data, 0, [], [], {}

    def take(self, size):
        taken = self.data[self.place : self.place + size]
        if len(taken) != size:
            refuse("pickle: truncated")
        self.place += size
        return taken

    def number(self, size, *, signed=False):
        return int.from_bytes(self.take(size), "little", signed=signed)

    def line(self):
        end = self.data.index(b"\n", self.place)
        taken, self.place = self.data[self.place : end], end + 1
        return taken.decode()

    def above_mark(self):
        mark = self.marks.pop()
        found, self.stack = self.stack[mark:], self.stack[:mark]
        return found

    def load(self):
        while (opcode := self.take(1)) != b".":
            if opcode not in OPCODES:
                refuse(f"pickle: opcode {opcode!r}")
            OPCODES[opcode](self)
        return self.stack.pop()

    def push(self, value):
        self.stack.append(value)

    def pop(self, count):
        found = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return found

    def set_items(self, items):
        target = self.stack[-1]
        if not isinstance(target, dict):
            refuse("pickle: items of no dictionary")
        target.update(zip(items[::2], items[1::2], strict=True))

    def append(self, items):
        if not isinstance(self.stack[-1], list):
            refuse("pickle: items of no list")
        self.stack[-1].extend(items)

    def reduce(self):
        function, arguments = self.pop(2)
        if function == ("global", "collections OrderedDict"):
            self.push({})
        elif function == ("global", "torch._utils _rebuild_tensor_v2"):
            storage, offset, shape, stride = arguments[:4]
            self.push(Rebuilt(storage, offset, shape, stride))
        elif function == ("global", "torch._utils _rebuild_parameter"):
            self.push(arguments[0])
        else:
            refuse(f"pickle: calls {function}")

    def persistent(self):
        kind, storage, name, *_ = self.pop(1)[0]
        word = storage[1].rsplit(" ", 1)[-1]
        if kind != "storage" or word not in KINDS or not str(name).isdecimal():
            refuse(f"pickle: storage {storage}")
        self.push(Storage(KINDS[word], name))

    def build(self):
        self.pop(1)  # an OrderedDict's attributes, `_metadata`


OPCODES = {
    b"\x80": lambda s: s.number(1),
    b"}": lambda s: s.push({}),
    b"]": lambda s: s.push([]),
    b")": lambda s: s.push(()),
    b"(": lambda s: s.marks.append(len(s.stack)),
    b"t": lambda s: s.push(tuple(s.above_mark())),
    b"\x85": lambda s: s.push(tuple(s.pop(1))),
    b"\x86": lambda s: s.push(tuple(s.pop(2))),
    b"\x87": lambda s: s.push(tuple(s.pop(3))),
    b"u": lambda s: s.set_items(s.above_mark()),
    b"s": lambda s: s.set_items(s.pop(2)),
    b"e": lambda s: s.append(s.above_mark()),
    b"a": lambda s: s.append(s.pop(1)),
    b"X": lambda s: s.push(s.take(s.number(4)).decode()),
    b"\x8c": lambda s: s.push(s.take(s.number(1)).decode()),
    b"c": lambda s: s.push(("global", f"{s.line()} {s.line()}")),
    b"J": lambda s: s.push(s.number(4, signed=True)),
    b"K": lambda s: s.push(s.number(1)),
    b"M": lambda s: s.push(s.number(2)),
    b"\x8a": lambda s: s.push(s.number(s.number(1), signed=True)),
    b"G": lambda s: s.push(unpack(">d", s.take(8))[0]),
    b"\x88": lambda s: s.push(True),
    b"\x89": lambda s: s.push(False),
    b"N": lambda s: s.push(None),
    b"Q": Unpickler.persistent,
    b"R": Unpickler.reduce,
    b"b": Unpickler.build,
    b"q": lambda s: s.memo.__setitem__(s.number(1), s.stack[-1]),
    b"r": lambda s: s.memo.__setitem__(s.number(4), s.stack[-1]),
    b"\x94": lambda s: s.memo.__setitem__(len(s.memo), s.stack[-1]),
    b"h": lambda s: s.push(s.memo[s.number(1)]),
    b"j": lambda s: s.push(s.memo[s.number(4)]),
}


def all_finite(values):
    return all(isfinite(value) for value in values)
