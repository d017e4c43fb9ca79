"""A relation made of blocks of identities (zkds/identities/block.py), for the tests: end to end through bytes."""

from __future__ import annotations

from zkds.tensors.tensor import ColumnReader, ProverContext, VectorReader, VerifierContext


class BlocksRelation:
    """blocks, over committed tensors; lookups of the tensors default to their range checks.

    tensors   in the order in which their claims are reduced; the blocks' carries follow by themselves
    """

    name = "blocks"

    def __init__(self, blocks, tensors, lookups=None, columns=None):
        self.blocks = blocks
        self.tensors = [*tensors, *(carry for block in blocks for carry in block.committed)]
        given = [lookup for tensor in tensors for lookup in tensor.range_checks] if lookups is None else lookups
        self.lookups = [*given, *(lookup for block in blocks for lookup in block.lookups)]
        own = [column for tensor in tensors for column in tensor.columns.columns] if columns is None else columns
        self.columns = [*own, *(column for block in blocks for column in block.columns)]

    def encode(self):
        return b"blocks\0" + b"".join(plan.encode() for block in self.blocks for plan in block.plans)

    def check(self):
        for block in self.blocks:
            block.check()

    def complete(self, columns):
        """The columns with the carries of all blocks."""
        reader = ColumnReader(columns)
        for block in self.blocks:
            reader.add(block.witness(reader))
        return reader.columns

    def prove(self, channel, layout, vector):
        context = ProverContext(channel, layout, VectorReader(layout, vector))
        for block in self.blocks:
            block.prove(context)
        for tensor in self.tensors:
            tensor.prove_claims(context)
        return context.book.finished()

    def verify(self, channel, layout):
        context = VerifierContext(channel, layout)
        for block in self.blocks:
            block.verify(context)
        for tensor in self.tensors:
            tensor.verify_claims(context)
        return context.book.finished()
