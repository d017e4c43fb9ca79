"""A relation made of some parts of the circuit, to be proved and verified end to end in the tests of these parts."""

from __future__ import annotations

from collections.abc import Sequence

from zkds.circuits.tensors import ProverContext, Reader, VerifierContext
from zkds.lookup import Lookup, RangeTable


class PartsRelation:
    """parts (`prove`, `verify`, `check`) over committed tensors; tensors in the order in which their claims are reduced.

    committed   LimbColumns of operands; all of their cells are range-checked
    lookups     column name -> Lookup, for columns that another table checks; a width of 0 in `unchecked` means no lookup at all
    """

    name = "parts"

    def __init__(self, parts, tensors, committed, lookups: Sequence[Lookup] = (), unchecked: Sequence[str] = ()):
        self.parts = parts
        self.tensors = tensors
        self.committed = committed
        self.other_lookups = list(lookups)
        self.unchecked = set(unchecked)

    @property
    def columns(self):
        return [column for owner in [*self.committed, *self.parts] for column in owner.columns]

    @property
    def lookups(self):
        widths = {name: width for owner in [*self.committed, *self.parts] for name, width in owner.widths.items()}
        others = {lookup.primary for lookup in self.other_lookups} | self.unchecked
        return [Lookup(RangeTable(width), name) for name, width in widths.items() if name not in others] + self.other_lookups

    def encode(self):
        return b"parts\0" + b"".join(part.encode() for part in self.parts)

    def check(self):
        for part in self.parts:
            part.check()

    def prove(self, channel, layout, vector):
        context = ProverContext(channel, layout, Reader(layout, vector))
        for part in self.parts:
            part.prove(context)
        for tensor in self.tensors:
            tensor.prove_claims(context)
        return context.book.finished()

    def verify(self, channel, layout):
        context = VerifierContext(channel, layout)
        for part in self.parts:
            part.verify(context)
        for tensor in self.tensors:
            tensor.verify_claims(context)
        return context.book.finished()
