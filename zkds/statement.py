"""What a proof is about: the relation, where its columns lie, how they are committed. Everything in here is public.

A `Statement` is computed from a relation by prover and verifier alike; the verifier never takes any part of it from a proof. A
proof begins with a header that repeats it, so that a proof for something else is refused by name before anything is checked:

    magic            8 bytes, "zkdsprf" and a zero byte
    version          4 bytes, little-endian
    mode             1 byte: 0 plain, 1 zero-knowledge
    relation         length (8 bytes, little-endian), the relation's encoding
    parameters       length (8 bytes, little-endian), the commitment parameters' encoding

The transcript absorbs all of it, and the encodings of the layout and of the lookups, before the first message.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim
from zkds.commit import parameters as commitment_parameters
from zkds.commit.layout import Column, Layout
from zkds.errors import MalformedProof, NotAProof, StatementMismatch
from zkds.field import K
from zkds.hidden import Hidden
from zkds.lookup import Lookup, multiplicity_column
from zkds.native import U32
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter

MAGIC = b"zkdsprf\0"
VERSION = 1
VERSION_BYTES = 4


class Mode(enum.Enum):
    """Whether messages are encrypted and the vector masked (zero-knowledge), or neither (plain)."""

    PLAIN = 0
    ZERO_KNOWLEDGE = 1


class Relation(Protocol):
    """What is proved of committed columns. A public object, equal for prover and verifier.

    name      for error messages and progress
    columns   the committed tensors
    lookups   the tables that columns are looked up in, at least one; every column that `prove` treats as a limb needs one
    encode    canonical bytes: two relations with equal encodings accept the same columns
    check     raises PlanRejected if the relation does not imply what it says (called by both sides)
    prove     the prover's protocol after the root, claims with values
    verify    the verifier's, claims with hidden values; runs on every kind of `VerifierEnd`
    """

    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> Sequence[Column]: ...
    @property
    def lookups(self) -> Sequence[Lookup]: ...
    def encode(self) -> bytes: ...
    def check(self) -> None: ...
    def prove(self, channel: ProverChannel, layout: Layout, vector: U32) -> list[Claim[K]]: ...
    def verify(self, channel: VerifierEnd, layout: Layout) -> list[Claim[Hidden]]: ...


class Statement:
    """A relation with its layout and commitment parameters. Raises PlanRejected if the relation's own check fails."""

    def __init__(self, relation: Relation) -> None:
        relation.check()
        self.relation = relation
        self.lookups = tuple(relation.lookups)
        looked_up = [lookup.primary for lookup in self.lookups]
        self.layout = Layout([*relation.columns, multiplicity_column(self.lookups)], checked=looked_up)
        self.parameters = commitment_parameters.choose(self.layout.cells)

    @cached_property
    def sections(self) -> dict[str, bytes]:
        """The encodings that the header repeats, by name."""
        return {"relation": self.relation.encode(), "parameters": self.parameters.encode()}

    def write_header(self, writer: ProofWriter, mode: Mode) -> None:
        writer.write("header", MAGIC + VERSION.to_bytes(4, "little") + bytes([mode.value]))
        for encoding in self.sections.values():
            writer.write("statement", len(encoding).to_bytes(8, "little") + encoding)

    def read_header(self, reader: ProofReader) -> Mode:
        """The mode of a proof of this statement.

        Raises NotAProof for bytes that are no proof of this version, StatementMismatch for another statement.
        """
        mode = _read_mode(reader)
        for name, encoding in self.sections.items():
            length = int.from_bytes(reader.read("statement", 8), "little")
            if length != len(encoding):
                raise StatementMismatch(f"length of {name}", len(encoding), length)
            if reader.read("statement", length) != encoding:
                raise StatementMismatch(name, "the verifier's own", "another one")
        return mode

    def bind(self, transcript: Transcript, mode: Mode) -> None:
        """Absorb the whole statement; the mode comes first."""
        transcript.absorb("mode", bytes([mode.value]))
        transcript.absorb("version", VERSION.to_bytes(4, "little"))
        for name, encoding in self.sections.items():
            transcript.absorb(name, encoding)
        transcript.absorb("layout", self.layout.encode())
        transcript.absorb("lookups", encode_lookups(self.lookups))

    def vector(self, columns: Mapping[str, NDArray[Any]]) -> U32:
        """(cells,) uint32, the given columns in their places and zero elsewhere. Multiplicities are not among them.

        Raises ValueError for missing or unknown columns, and what `Layout.write` raises.
        """
        wanted = {column.name for column in self.relation.columns}
        if wanted != set(columns):
            raise ValueError(f"columns: missing {sorted(wanted - set(columns))}, unknown {sorted(set(columns) - wanted)}")
        vector = np.zeros(self.layout.cells, dtype=np.uint32)
        for name, values in columns.items():
            self.layout.write(vector, name, values)
        return vector


def claimed_relation(data: bytes, limit: int) -> tuple[Mode, bytes]:
    """(mode, the relation's encoding) as a proof's header has them: what the bytes say that they prove, unchecked.

    For formats whose encoding says all that is needed to rebuild the relation. Raises NotAProof for bytes that are no proof of
    this version, MalformedProof for an encoding of more than `limit` bytes.
    """
    reader = ProofReader(data)
    mode = _read_mode(reader)
    length = int.from_bytes(reader.read("statement", 8), "little")
    if length > limit:
        raise MalformedProof("length of relation", f"at most {limit}", length)
    return mode, reader.read("statement", length)


def require_proof(data: bytes) -> None:
    """Raise NotAProof unless the bytes begin as a proof of this version does."""
    _read_mode(ProofReader(data))


def _read_mode(reader: ProofReader) -> Mode:
    """Magic, version and mode. Raises NotAProof for anything but a proof of this version, MalformedProof for another mode."""
    try:
        magic, number, mode = (reader.read("header", count) for count in (len(MAGIC), VERSION_BYTES, 1))
    except MalformedProof as error:
        raise NotAProof(error.reason, error.expected, error.actual) from None
    if magic != MAGIC:
        raise NotAProof("magic", "that of a proof", "another one")
    version = int.from_bytes(number, "little")
    if version != VERSION:
        raise NotAProof("version", VERSION, version)
    if mode[0] not in (Mode.PLAIN.value, Mode.ZERO_KNOWLEDGE.value):
        raise MalformedProof("mode", "0 or 1", mode[0])
    return Mode(mode[0])


def encode_lookups(lookups: Sequence[Lookup]) -> bytes:
    """Canonical bytes: number of lookups; for each the table, the primary column's name, number and names of secondary columns.

    Numbers are 8 bytes, little-endian; a table's encoding and a name follow their length.
    """

    def number(value: int) -> bytes:
        return value.to_bytes(8, "little")

    encoded = [number(len(lookups))]
    for lookup in lookups:
        names = [lookup.primary.encode(), *(name.encode() for name in lookup.secondary)]
        table, primary, *secondary = (number(len(data)) + data for data in (lookup.table.encode(), *names))
        encoded += [table, primary, number(len(secondary)), *secondary]
    return b"".join(encoded)
