"""Hostile model files, made by code: archives, pickles and headers of any shape, and the list that the tests run through.

`HOSTILE` maps a name to (makes the bytes from those of a good checkpoint, what the message must say).
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

# ---- archives ----


@dataclass(frozen=True)
class Member:
    """As torch writes it; what is given beside name and data is written instead of the truth, in one header or in both."""

    name: bytes
    data: bytes
    local_name: bytes | None = None
    local_flags: int | None = None
    descriptor: bytes | None = None
    padding: bytes = b""
    after: bytes = b""  # behind the member, in front of the next
    method: int = 0
    flags: int = 0x808
    external: int = 0
    crc: int | None = None
    offset: int | None = None


@dataclass(frozen=True)
class Archive:
    members: list[Member]
    before: bytes = b""
    after: bytes = b""
    comment: bytes = b""
    end_64: dict[int, int] = field(default_factory=dict)  # index of a field -> what to write there
    count: int | None = None

    def encode(self) -> bytes:
        out, directory = bytearray(self.before), bytearray()
        for member in self.members:
            offset = len(out) if member.offset is None else member.offset
            crc = zlib.crc32(member.data) if member.crc is None else member.crc
            size, name = len(member.data), member.name if member.local_name is None else member.local_name
            flags = member.flags if member.local_flags is None else member.local_flags
            numbers = (0, 0, 0) if member.flags & 8 else (crc, size, size)
            local = (b"PK\3\4", 0, flags, member.method, 0, 0, *numbers, len(name), len(member.padding))
            out += struct.pack("<4s5H3I2H", *local) + name + member.padding + member.data
            if member.flags & 8:
                truth = struct.pack("<4s3I", b"PK\7\10", crc, size, size)
                out += truth if member.descriptor is None else member.descriptor
            out += member.after
            central = (b"PK\1\2", 0, 3, 0, member.flags, member.method, 0, 0, crc, size, size, len(member.name), 0, 0, 0, 0)
            directory += struct.pack("<4sBB5H3I5H2I", *central, member.external, offset) + member.name
        count = len(self.members) if self.count is None else self.count
        start, end = len(out), len(out) + len(directory)
        end_64 = [b"PK\6\6", 44, 0x1E, 3, 45, 0, 0, count, count, len(directory), start, b"PK\6\7", 0, end, 1]
        for index, value in self.end_64.items():
            end_64[index] = value
        records = struct.pack("<4sQBBHIIQQQQ4sIQI", *end_64)
        record = (b"PK\5\6", 0, 0, count, count, len(directory), start, len(self.comment))
        return bytes(out + directory + records + struct.pack("<4s4H2IH", *record) + self.comment + self.after)


def members_of(data: bytes) -> list[Member]:
    """The members of a good archive, to be written again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [Member(info.filename.encode(), archive.read(info)) for info in archive.infolist()]


# ---- pickles ----


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def sequence(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def dictionary(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in items.items()) + b"u"


def storage(key: str, count: int, kind: str = "FloatStorage", location: str = "cpu") -> bytes:
    return sequence(text("storage"), named("torch", kind), text(key), text(location), integer(count)) + b"Q"


HOOKS = named("collections", "OrderedDict") + b")R"


def tensor(where: bytes, shape: bytes, stride: bytes, *more: bytes, offset: int = 0) -> bytes:
    arguments = sequence(where, integer(offset), shape, stride, b"\x89", HOOKS, *more)
    return named("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def integers(*values: int) -> bytes:
    return sequence(*map(integer, values))


def file_of(pickle: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """A file of torch.save; opcodes stand between the protocol and the end."""
    members = [Member(b"m/data.pkl", b"\x80\2" + pickle + b"."), Member(b"m/byteorder", b"little")]
    members += [Member(f"m/data/{key}".encode(), data) for key, data in (storages or {}).items()]
    return Archive([*members, Member(b"m/version", b"3\n")]).encode()


def state_of(value: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """A checkpoint of digits-mlp whose fc1.bias is this, all else zeros."""
    shapes = {"fc1.weight": (32, 64), "fc2.weight": (10, 32), "fc2.bias": (10,)}
    items = [text("fc1.bias") + value]
    for name, shape in shapes.items():
        items.append(text(name) + tensor(storage("999", 1), integers(*shape), integers(*(0,) * len(shape))))
    pickle = dictionary(arch=text("digits-mlp"), state_dict=b"}(" + b"".join(items) + b"u")
    return file_of(pickle, (storages or {}) | {"999": bytes(4)})


def shared_tuples(depth: int = 400) -> bytes:
    """(t, t) of t = (s, s) of ...: 2^depth empty tuples to whoever walks through it."""
    return b")" + b"".join(
        b"q" + bytes([place]) + b"h" + bytes([place]) + b"\x86" if place < 256 else b"\x85" for place in range(depth)
    )


def _again_and_again(large: bytes, use: bytes) -> bytes:
    """A large object, put into the memo, and used as often as the number of steps allows."""
    return large + b"q\0" + use * 30_000


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


# ---- the list ----

Change = Callable[[bytes], bytes]


def _members(change: Callable[[list[Member]], list[Member]], **archive: object) -> Change:
    return lambda good: Archive(change(members_of(good)), **archive).encode()  # type: ignore[arg-type]


def _first(**changes: object) -> Change:
    def change(members: list[Member]) -> list[Member]:
        return [replace(members[0], **changes), *members[1:]]  # type: ignore[arg-type]

    return _members(change)


def _added(name: bytes, data: bytes = b"") -> Change:
    return _members(lambda members: [*members, Member(name, data)])


def _again(name: Callable[[bytes], bytes]) -> Change:
    """A second member with the name of the first storage, or nearly, and other bytes."""

    def change(members: list[Member]) -> list[Member]:
        first = next(member for member in members if member.name.endswith(b"/data/0"))
        return [*members, Member(name(first.name), bytes(len(first.data)))]

    return _members(change)


def _made(data: bytes) -> Change:
    return lambda _: data


_ONE = {"0": bytes(8)}
_PLACE = storage("0", 2)

ARCHIVES: dict[str, tuple[Change, str]] = {
    "two members of one name": (_again(lambda name: name), "archive: two members m/data/0, with or without regard to case"),
    "names that differ in case": (_again(bytes.upper), "archive: two members M/DATA/0, with or without regard to case"),
    "a directory with another name": (_first(local_name=b"m/data.pkk"), "archive: m/data.pkl: its two headers differ"),
    "a directory with other flags": (_first(local_flags=8), "archive: m/data.pkl: its two headers differ"),
    "another descriptor": (_first(descriptor=bytes(16)), "archive: m/data.pkl: its descriptor and its header differ"),
    "a wrong checksum": (_first(crc=5), "archive: m/data.pkl: damaged, its checksum differs"),
    "padding that is none": (_first(padding=b"FB\4\0abcd"), "archive: m/data.pkl: its header has fields that torch doesn't"),
    "bytes between members": (_first(after=b"hidden"), "where the member before ends"),
    "a member within another": (_first(offset=7), "archive: m/data.pkl: expected it at byte 0"),
    "bytes in front": (_members(lambda members: members, before=b"#!/bin/sh\n"), "expected a file of torch.save"),
    "bytes after the end": (_members(lambda members: members, after=b"\n"), "archive: expected its end record at the end"),
    "a comment": (_members(lambda members: members, comment=b"c"), "archive: expected its end record at the end"),
    "a second archive": (lambda good: good + good, "archive: expected its directory"),
    "another end of zip64": (
        _members(lambda members: members, end_64={10: 0}),
        "archive: its end record of zip64 says",
    ),
    "a directory without end": (
        lambda good: Archive([Member(b"m/" + b"x" * 60_000, b""), *members_of(good)]).encode(),
        "archive: its directory has more bytes than its members need",
    ),
    "another count": (lambda good: Archive(members_of(good), count=3).encode(), "archive: its directory has more bytes than"),
    "an encrypted member": (_first(flags=0x809), "archive: expected members without compression or encryption"),
    "a symbolic link": (_first(external=0o120777 << 16), "archive: expected plain files as members"),
    "two folders": (_added(b"n/version", b"3\n"), "archive: expected all members in one folder"),
    "a path upwards": (_added(b"m/../x"), "archive: m/../x: expected the name of a file in a folder"),
    "a backslash": (_added(b"m\\x"), "archive: a member's name isn't printable ASCII"),
    "an unknown member": (_added(b"m/hooks.py"), "archive: unknown member hooks.py"),
    "a program's member": (_added(b"m/archive_format", b"pt2"), "exported program: archive: unknown member data.pkl"),
    "a storage without a tensor": (_added(b"m/data/999", bytes(4)), "data/999: expected a tensor in it, the pickle names none"),
    "two versions": (_added(b"m/.data/version", b"3\n"), "archive: expected a member version, at one place"),
    "a version from the future": (
        _members(
            lambda members: [replace(member, data=b"99\n") if b"version" in member.name else member for member in members]
        ),
        "version: expected what torch writes there",
    ),
}

PICKLES: dict[str, tuple[Change, str]] = {
    "a long tuple, called again and again": (
        _made(file_of(_again_and_again(b"(" + b"K\1" * 300_000 + b"t", named("torch", "Size") + b"h\0\x85R"))),
        "torch.Size: expected a tuple of integers",
    ),
    "long arguments, given again and again": (
        _made(file_of(_again_and_again(b"(" + b"N" * 300_000 + b"t", named("torch", "Size") + b"h\0R"))),
        "data.pkl: expected a call that makes a tensor",
    ),
    "a large state, set again and again": (
        _made(
            file_of(
                _again_and_again(
                    b"}(" + b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(200_000)) + b"u", HOOKS + b"h\0b"
                )
            )
        ),
        "data.pkl: expected no attribute but _metadata",
    ),
    "a long key, named again and again": (
        _made(
            file_of(
                _again_and_again(
                    text("0" * 4_000_000),
                    sequence(text("storage"), named("torch", "FloatStorage"), b"h\0", text("cpu"), integer(1)) + b"Q",
                )
            )
        ),
        "data.pkl: expected the reference to a storage",
    ),
    "prefixes without end": (
        _made(file_of(dictionary(**{"module." * 1_000_000: b"N"}, model_state_dict=b"}" + text("module." * 999_999) + b"Ns"))),
        "state_dict: expected at most 16384 names of at most 400 letters",
    ),
    "names without end": (
        _made(file_of(dictionary(state_dict=b"}(" + b"".join(text(str(n)) + b"N" for n in range(200_000)) + b"u"))),
        "state_dict: expected at most 16384 names of at most 400 letters",
    ),
    "memo bomb": (_made(file_of(b"]r\xff\xff\xff\x7f")), "data.pkl: expected the memo to be filled in order"),
    "memo read before it is written": (_made(file_of(b"h\0")), "data.pkl: expected a place of the memo that is filled"),
    "shared tuples": (_made(file_of(shared_tuples())), "checkpoint: expected a state_dict"),
    "shared tuples as a key": (
        _made(file_of(b"}" + shared_tuples() + b"Ns")),
        "expected strings or integers of 64 bits as",
    ),
    "shared tuples as a name": (
        _made(file_of(dictionary(arch=shared_tuples(), state_dict=b"}"))),
        "arch: expected the name of an architecture",
    ),
    "shared tuples as a shape": (
        _made(state_of(tensor(_PLACE, shared_tuples(), integers(1)), _ONE)),
        "tensor: expected an offset, a shape and a stride",
    ),
    "shared tuples as a storage": (
        _made(state_of(shared_tuples() + b"Q")),
        "data.pkl: expected the reference to a storage that torch.save writes",
    ),
    "nested lists": (_made(file_of(b"]" * 100_000 + b"a" * 99_999)), "checkpoint: expected a state_dict"),
    "nested tuples": (_made(file_of(b")" + b"\x85" * 200_000)), "checkpoint: expected a state_dict"),
    "nested marks": (_made(file_of(b"(" * 200_000)), "data.pkl: expected one object"),
    "too many steps": (_made(file_of(b"N" * (1 << 20))), "data.pkl: expected at most 1048576 opcodes"),
    "an endless integer": (_made(file_of(b"\x8a\xff" + bytes(255))), "data.pkl: expected integers of at most 9 bytes"),
    "a text beyond the end": (_made(file_of(b"X\xff\xff\xff\xff")), "data.pkl: truncated"),
    "a text that isn't UTF-8": (_made(file_of(b"X\1\0\0\0\xff")), "data.pkl: expected strings in UTF-8"),
    "integers as names": (
        _made(file_of(dictionary(arch=text("digits-mlp"), state_dict=b"}K\1Ns"))),
        "state_dict: expected a dictionary from names, which are strings, to tensors",
    ),
    "a name twice": (
        _made(file_of(b"}(" + (text("arch") + text("mlp")) * 2 + b"u")),
        "data.pkl: a dictionary has a key twice: arch",
    ),
    "bytes after the end": (_made(file_of(b"N.N")), "data.pkl: expected one object, and no bytes after it"),
    "two objects": (_made(file_of(b"NN")), "data.pkl: expected one object, and no bytes after it"),
    "an empty stack": (_made(file_of(b"a")), "data.pkl: expected an object on the stack"),
    "an opcode of Python's": (_made(file_of(b"}\x94")), "data.pkl: opcode 148 at byte 3 isn't one that torch.save writes"),
    "an instance": (_made(file_of(named("collections", "OrderedDict") + b")\x81")), "data.pkl: opcode 129 at byte 28"),
    "a call of eval": (_made(file_of(named("builtins", "eval") + b")R")), "a pickled module, builtins.eval"),
    "a call within a checkpoint": (
        _made(state_of(named("os", "system") + sequence(text("false")) + b"R")),
        "expected tensors and plain containers only, got os.system",
    ),
    "a call of what is no function": (_made(file_of(text("eval") + b")R")), "data.pkl: expected a call that makes a tensor"),
    "a filled OrderedDict": (
        _made(file_of(named("collections", "OrderedDict") + sequence(b"]") + b"R")),
        "collections.OrderedDict: expected an empty one",
    ),
    "an attribute of a state_dict": (
        _made(file_of(HOOKS + dictionary(keys=b"N") + b"b")),
        "data.pkl: expected no attribute but _metadata",
    ),
    "an attribute of a tensor": (
        _made(state_of(tensor(_PLACE, integers(2), integers(1)) + dictionary(_metadata=b"}") + b"b", _ONE)),
        "data.pkl: expected an object of type OrderedDict",
    ),
    "a tensor of zeros, without end": (
        _made(state_of(tensor(_PLACE, integers(1 << 31), integers(0)), _ONE)),
        "expected shape (32,), got (2147483648,)",
    ),
    "a stride of 2^63": (_made(state_of(tensor(_PLACE, integers(1), integers(1 << 63)), _ONE)), "tensor: expected an offset"),
    "a negative stride": (_made(state_of(tensor(_PLACE, integers(2), integers(-1)), _ONE)), "tensor: expected an offset"),
    "a tensor beyond its storage": (
        _made(state_of(tensor(_PLACE, integers(2), integers(1), offset=1), _ONE)),
        "tensor: expected it within the 2 elements of its storage",
    ),
    "a negated tensor": (
        _made(state_of(tensor(_PLACE, integers(2), integers(1), dictionary(neg=b"\x88")), _ONE)),
        "tensor: expected the arguments that torch.save writes for a plain one",
    ),
    "a tensor without values": (
        _made(state_of(tensor(storage("0", 2, location="meta"), integers(2), integers(1)), _ONE)),
        "data.pkl: expected the reference to a storage",
    ),
    "one storage as two types": (
        _made(state_of(sequence(storage("0", 2), storage("0", 1, "DoubleStorage")), _ONE)),
        "data/0: expected the 2 numbers of one type that the archive has",
    ),
    "a storage of another size": (_made(state_of(storage("0", 3), _ONE)), "data/0: expected the 2 numbers of one type"),
    "a storage that is not there": (_made(state_of(storage("1", 3))), "archive: expected a member data/1"),
    "two state_dicts": (
        _made(file_of(dictionary(arch=text("digits-mlp"), state_dict=b"}", model_state_dict=b"}"))),
        "checkpoint: expected either state_dict or model_state_dict, got both",
    ),
    "a name that no terminal shows": (
        _made(file_of(dictionary(arch=text("\x1b[2J\ud800"), state_dict=b"}"))),
        "checkpoint: names an architecture (a name of other than",
    ),
}

_ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
_NUMBERS = json.dumps(_ENTRY).encode()

SAFETENSORS: dict[str, tuple[Change, str]] = {
    "a header beyond the end": (_made(struct.pack("<Q", 1 << 30) + b"{}"), "safetensors: expected a header of at most"),
    "a header that is nested": (
        _made(safetensors(b'{"a":' + b"[" * 100_000)),
        "header: expected at most 64 values",
    ),
    "a tensor twice": (
        _made(safetensors(b'{"a":' + _NUMBERS + b',"a":' + _NUMBERS + b"}", bytes(8))),
        "the name a stands twice",
    ),
    "tensors that overlap": (_made(safetensors({"a": _ENTRY, "b": _ENTRY}, bytes(8))), "expected the tensors to fill the file"),
    "bytes that no tensor has": (_made(safetensors({"a": _ENTRY}, bytes(9))), "expected the tensors to fill the file"),
    "fewer bytes than the shape": (
        _made(safetensors({"a": _ENTRY | {"shape": [3]}}, bytes(8))),
        "safetensors: a: expected as many bytes as its shape has",
    ),
    "an unknown type": (
        _made(safetensors({"a": _ENTRY | {"dtype": "F4"}}, bytes(8))),
        "a: dtype: expected F64 or",
    ),
    "an unknown field": (_made(safetensors({"a": _ENTRY | {"scale": 2}}, bytes(8))), "safetensors: a: unknown field scale"),
    "metadata that is no text": (_made(safetensors({"__metadata__": {"arch": 1}})), "__metadata__: expected a string"),
}

HOSTILE = {
    **{f"archive: {name}": case for name, case in ARCHIVES.items()},
    **{f"pickle: {name}": case for name, case in PICKLES.items()},
    **{f"safetensors: {name}": case for name, case in SAFETENSORS.items()},
}
