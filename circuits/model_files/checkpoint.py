"""Reads what `torch.save` wrote, as data: no code of the file is run, and torch isn't loaded.

A file of torch.save is a zip archive of uncompressed members:

    NAME/data.pkl     a pickle of the object, in which tensors are calls with references to storages
    NAME/data/KEY     the bytes of a storage
    NAME/byteorder    "little" (files of old versions have none), and a few others that say versions

A pickle is a program for a stack machine. Python's own machine runs all opcodes, with memory and recursion at the will of the
program. The one below runs those that torch.save writes (protocol 2), and no others: a bounded number of steps, each with
little work and memory of its own, even on an object that the memo gives again and again; no attribute is set, nothing is
imported, and the only things that can be called make tensors and plain containers. The memo is filled in order, and a key
stands in a dictionary once. Objects of the file are never hashed, compared or printed, but for keys, which are
strings and integers of 64 bits.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any, Final

from zkds.circuits.model_files.archive import Archive
from zkds.circuits.model_files.stored_tensors import BFLOAT16, MAX_DIMENSIONS, Budget, Storage, StoredTensor
from zkds.circuits.model_files.strict_json import shown

PICKLE = "data.pkl"
MEMBERS = re.compile(
    r"data\.pkl|data/[0-9]{1,9}|byteorder|version|\.data/serialization_id|\.format_version|\.storage_alignment"
)
MAX_PICKLE_BYTES = 1 << 24
MAX_STEPS = 1 << 20
MAX_INTEGER_BYTES = 9  # 64 bits without a sign
MAX_GLOBAL_BYTES = 200
MAX_ARGUMENTS = 7

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
TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
ATTRIBUTE = re.compile(r"_specialize_on|_dynamo_[a-z_]+")
KEY = re.compile(r"[0-9]{1,9}")
LOCATION = re.compile(r"(cpu|cuda|mps|xpu)(:[0-9]{1,3})?")


class ForeignObject(ValueError):
    """A pickle that names something else than tensors and plain containers.

    name    MODULE.NAME of it
    whole   whether it is the whole object of the file, and not an entry of a dictionary
    """

    def __init__(self, name: str, *, whole: bool) -> None:
        super().__init__(f"expected tensors and plain containers only, got {name}")
        self.name = name
        self.whole = whole


def read_object(archive: Archive) -> Any:
    """The object in an archive of torch.save: dictionaries, lists, tuples, strings, numbers, and tensors as `StoredTensor`.

    Raises ValueError if the archive isn't one of torch.save, is damaged, or holds more (`ForeignObject`).
    """
    archive.require_only(MEMBERS)
    machine = _Machine(archive)
    try:
        found = machine.run(archive.read(PICKLE, most=MAX_PICKLE_BYTES))
    except (IndexError, struct.error):  # of a stack, of the bytes
        raise ValueError(f"{PICKLE}: damaged") from None
    unused = [name for name in archive.names if name.startswith("data/") and name not in machine.storages]
    if unused:
        raise ValueError(f"{unused[0]}: expected a tensor in it, the pickle names none")
    return found


class _Global:
    """What a pickle may name: an inert mark. call: what becomes of it with arguments, where it may have any."""

    def __init__(self, call: Callable[..., Any] | None = None, element: str | None = None) -> None:
        self.call = call
        self.element = element  # of a type of storages


class _OrderedDict(dict[Any, Any]):
    """Apart from a plain one, since it alone may have the attribute _metadata, the versions of torch's modules."""


_MARK: Final = object()


class _Machine:
    """Runs one pickle. `_steps` names the opcodes; a step takes what it needs from the stack and pushes what it makes."""

    def __init__(self, archive: Archive) -> None:
        self.storages: dict[str, tuple[Storage, str]] = {}  # member -> storage, location
        self._archive = archive
        self._budget = Budget()
        self._data = b""
        self._position = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []  # lengths of the stack
        self._memo: list[Any] = []

    def run(self, data: bytes) -> Any:
        """The object that the pickle makes."""
        self._data = data
        if data[:2] != b"\x80\2":
            raise ValueError(f"{PICKLE}: expected a pickle of protocol 2, torch.save's default")
        self._position = 2
        for _ in range(MAX_STEPS):
            opcode = self._bytes(1)
            if opcode == b".":
                break
            step = _STEPS.get(opcode)
            if step is None:
                raise ValueError(f"{PICKLE}: opcode {opcode[0]} at byte {self._position - 1} isn't one that torch.save writes")
            step(self)
        else:
            raise ValueError(f"{PICKLE}: expected at most {MAX_STEPS} opcodes")
        if len(self._stack) != 1 or self._marks or self._position != len(data):
            raise ValueError(f"{PICKLE}: expected one object, and no bytes after it")
        return self._stack[0]

    # ---- reading and the stack ----

    def _bytes(self, count: int) -> bytes:
        data = self._data[self._position : self._position + count]
        if len(data) != count:
            raise ValueError(f"{PICKLE}: truncated")
        self._position += count
        return data

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._bytes(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        end = self._data.find(b"\n", self._position, self._position + MAX_GLOBAL_BYTES)
        text = self._data[self._position : end].decode("ascii", "replace")
        if end < 0 or not re.fullmatch(r"[A-Za-z0-9_.<>]+", text):
            raise ValueError(f"{PICKLE}: expected the name of a module or of something in it")
        self._position = end + 1
        return text

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise ValueError(f"{PICKLE}: expected an object on the stack")
        return self._stack.pop()

    def pop_to_mark(self) -> list[Any]:
        if not self._marks:
            raise ValueError(f"{PICKLE}: expected a mark on the stack")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _top(self, kind: type) -> Any:
        value = self.pop()
        if not isinstance(value, kind):
            raise ValueError(f"{PICKLE}: expected an object of type {kind.__name__.strip('_')} on the stack")
        self.push(value)
        return value

    # ---- one method for each kind of opcode ----

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def put(self, layout: str) -> None:
        if self._number(layout) != len(self._memo):
            raise ValueError(f"{PICKLE}: expected the memo to be filled in order")
        value = self.pop()
        self._memo.append(value)
        self.push(value)

    def get(self, layout: str) -> None:
        index = self._number(layout)
        if index >= len(self._memo):
            raise ValueError(f"{PICKLE}: expected a place of the memo that is filled")
        self.push(self._memo[index])

    def push_number(self, layout: str) -> None:
        self.push(self._number(layout))

    def push_integer(self) -> None:
        size = self._number("B")
        if size > MAX_INTEGER_BYTES:
            raise ValueError(f"{PICKLE}: expected integers of at most {MAX_INTEGER_BYTES} bytes")
        self.push(int.from_bytes(self._bytes(size), "little", signed=True))

    def push_string(self) -> None:
        try:
            self.push(self._bytes(self._number("<I")).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise ValueError(f"{PICKLE}: expected strings in UTF-8") from None

    def push_global(self) -> None:
        whole = not self._stack
        name = f"{self._line()}.{self._line()}"
        if name not in _GLOBALS:
            raise ForeignObject(name, whole=whole)
        self.push(_GLOBALS[name])

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def tuple_from_mark(self) -> None:
        self.push(tuple(self.pop_to_mark()))

    def append(self, values: list[Any]) -> None:
        self._top(list).extend(values)

    def set_items(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise ValueError(f"{PICKLE}: expected a value for each key")
        target = self._top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) is not str and (type(key) is not int or abs(key) >> 64):
                raise ValueError(f"{PICKLE}: expected strings or integers of 64 bits as keys of a dictionary")
            if key in target:
                raise ValueError(f"{PICKLE}: a dictionary has a key twice: {shown(str(key))}")
            target[key] = value

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        known = isinstance(function, _Global) and function.call is not None
        if not known or type(arguments) is not tuple or len(arguments) > MAX_ARGUMENTS:
            raise ValueError(f"{PICKLE}: expected a call that makes a tensor or a plain container")
        self.push(function.call(*arguments))

    def set_state(self) -> None:
        """Of an OrderedDict of torch's: _metadata, which changes no weight of the layers that there are."""
        state = self.pop()
        self._top(_OrderedDict)
        if type(state) is not dict or len(state) != 1 or not isinstance(state.get("_metadata"), dict):
            raise ValueError(f"{PICKLE}: expected no attribute but _metadata, of a state_dict")

    def storage(self) -> None:
        reference = self.pop()
        match reference if type(reference) is tuple else None:
            case ("storage", _Global(element=str(element)), str(key), str(location), int(count)):
                if KEY.fullmatch(key) and LOCATION.fullmatch(location):
                    self.push(self._storage(element, f"data/{key}", location, count))
                    return
        raise ValueError(f"{PICKLE}: expected the reference to a storage that torch.save writes")

    def _storage(self, element: str, name: str, location: str, count: int) -> Storage:
        if name not in self.storages:
            self.storages[name] = Storage.of_member(self._archive, name, element, self._budget), location
        storage, first_location = self.storages[name]
        if (storage.element, storage.count, first_location) != (element, count, location):
            raise ValueError(f"{name}: expected the {storage.count} numbers of one type that the archive has")
        return storage


def _ordered_dict(*arguments: Any) -> _OrderedDict:
    if arguments:
        raise ValueError("collections.OrderedDict: expected an empty one, filled later")
    return _OrderedDict()


def _counter(*arguments: Any) -> dict[Any, Any]:
    """collections.Counter, in the state of a scheduler."""
    match arguments:
        case (dict() as counts,):
            return dict(counts)  # a copy, as torch makes: what is set in one isn't set in the other
    raise ValueError("collections.Counter: expected a dictionary")


def _tensor(*arguments: Any) -> StoredTensor:
    """torch._utils._rebuild_tensor_v2. A seventh argument would hold bits that negate or conjugate."""
    match arguments:
        case (Storage() as storage, offset, shape, stride, bool(), _OrderedDict() as hooks) if not hooks:
            return StoredTensor(storage, offset, shape, stride)
    raise ValueError("tensor: expected the arguments that torch.save writes for a plain one")


def _parameter(*arguments: Any) -> StoredTensor:
    """torch._utils._rebuild_parameter"""
    match arguments:
        case (StoredTensor() as tensor, bool(), _OrderedDict() as hooks) if not hooks:
            return tensor
    raise ValueError("parameter: expected the arguments that torch.save writes for a plain one")


def _marked_tensor(*arguments: Any) -> StoredTensor:
    """torch._tensor._rebuild_from_type_v2: a tensor with attributes, of which torch.export leaves some that change nothing."""
    match arguments:
        case (_Global() as function, _Global() as kind, tuple() as rest, dict() as state) if (
            function is _GLOBALS["torch._utils._rebuild_tensor_v2"]
            and kind is _GLOBALS["torch.Tensor"]
            and all(isinstance(name, str) and ATTRIBUTE.fullmatch(name) for name in state)
        ):
            return _tensor(*rest)
    raise ValueError("tensor: expected one of torch's own type, with no attributes but those that torch.export leaves")


def _size(*arguments: Any) -> tuple[int, ...]:
    match arguments:
        case (tuple() as shape,) if len(shape) <= MAX_DIMENSIONS and all(type(length) is int for length in shape):
            return shape
    raise ValueError("torch.Size: expected a tuple of integers")


def _device(*arguments: Any) -> str:
    match arguments:
        case (str(kind),) | (str(kind), int()):
            return kind
    raise ValueError("torch.device: expected a name and a number")


_GLOBALS = {
    "collections.OrderedDict": _Global(_ordered_dict),
    "collections.Counter": _Global(_counter),
    "torch._utils._rebuild_tensor_v2": _Global(_tensor),
    "torch._utils._rebuild_parameter": _Global(_parameter),
    "torch._tensor._rebuild_from_type_v2": _Global(_marked_tensor),
    "torch.Tensor": _Global(),
    "torch.Size": _Global(_size),
    "torch.device": _Global(_device),
    **{f"torch.{name}": _Global(element=element) for name, element in STORAGE_TYPES.items()},
    **{f"torch.{name}": _Global() for name in TYPES},
}

_STEPS: dict[bytes, Callable[[_Machine], None]] = {
    b"(": _Machine.mark,
    b"q": lambda machine: machine.put("B"),
    b"r": lambda machine: machine.put("<I"),
    b"h": lambda machine: machine.get("B"),
    b"j": lambda machine: machine.get("<I"),
    b"N": lambda machine: machine.push(None),
    b"\x88": lambda machine: machine.push(True),
    b"\x89": lambda machine: machine.push(False),
    b"K": lambda machine: machine.push_number("B"),
    b"M": lambda machine: machine.push_number("<H"),
    b"J": lambda machine: machine.push_number("<i"),
    b"G": lambda machine: machine.push_number(">d"),
    b"\x8a": _Machine.push_integer,
    b"X": _Machine.push_string,
    b"c": _Machine.push_global,
    b"}": lambda machine: machine.push({}),
    b"]": lambda machine: machine.push([]),
    b")": lambda machine: machine.push(()),
    b"\x85": lambda machine: machine.tuple_of(1),
    b"\x86": lambda machine: machine.tuple_of(2),
    b"\x87": lambda machine: machine.tuple_of(3),
    b"t": _Machine.tuple_from_mark,
    b"a": lambda machine: machine.append([machine.pop()]),
    b"e": lambda machine: machine.append(machine.pop_to_mark()),
    b"s": lambda machine: machine.set_items([machine.pop(), machine.pop()][::-1]),
    b"u": lambda machine: machine.set_items(machine.pop_to_mark()),
    b"R": _Machine.call,
    b"b": _Machine.set_state,
    b"Q": _Machine.storage,
}
