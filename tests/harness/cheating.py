"""Provers that do one thing wrongly and everything else as well as it can be done."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.harness.whole_proof import reject
from tests.reference.claims import claim_sum, committed
from zkds.channel import ProverChannel, VerifierChannel
from zkds.field import ONE, ZERO
from zkds.integers.identity import IdentityPlan
from zkds.integers.limbs import LimbFormat
from zkds.lookup import MULTIPLICITIES, LookupPlan, NotInTable, multiplicities
from zkds.prover import prove_vector
from zkds.statement import Statement
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk import ligero

FALSE_CLAIM = "batching: final claim"
NOT_IN_TABLE = "LogUp: what is looked up is not what the tables hold"


def dishonest_vector(statement, columns):
    """The columns, and the best multiplicities: rows that are in no table are not counted."""
    vector = statement.vector(columns)
    try:
        multiplicities(statement.lookups, statement.layout, vector)
        return vector
    except NotInTable:
        pass
    side = LookupPlan(statement.lookups, statement.layout).table_side
    counts = np.zeros(side.rows, dtype=np.int64)
    offsets = dict(zip(side.tables, side.offsets, strict=True))
    for lookup in statement.lookups:
        rows = list(zip(*(columns[name].reshape(-1).tolist() for name in (lookup.primary, *lookup.secondary)), strict=True))
        numbers = row_numbers(lookup.table)
        np.add.at(counts, [offsets[lookup.table] + numbers[row] for row in rows if row in numbers], 1)
    statement.layout.write(vector, MULTIPLICITIES, counts)
    return vector


@functools.cache
def row_numbers(table):
    columns = (column.tolist() for column in table.columns())
    return {row: number for number, row in enumerate(zip(*columns, strict=True))}


def reason_of(relation, columns, *, zero_knowledge=False, channel=ProverChannel):
    """The reason for which a proof with these columns is rejected."""
    statement = Statement(relation)
    vector = dishonest_vector(statement, columns)
    proof = prove_vector(statement, vector, zero_knowledge=zero_knowledge, channel_type=channel)
    return reject(proof, relation, allow_plain=True).reason


def false_claims(columns: dict[str, np.ndarray], prover, verifier) -> list[str]:
    """What is wrong with these columns apart from lookups: the reasons of false equations, and "claim" for a false claim.

    The conversation of the relation alone, in plain mode, with its claims held against the columns themselves: what a whole
    proof adds are lookups and the opening.
    """
    layout, vector = committed(prover, columns)
    writer = ProofWriter()
    prover.prove(ProverChannel(Transcript(), writer, None), layout, vector)
    channel = VerifierChannel(Transcript(), ProofReader(writer.to_bytes()))
    claims = verifier.verify(channel, layout)
    channel.reader.finish()
    found = ligero.violated(channel.constraints, [ZERO] * channel.constraints.messages)
    return [*found, *("claim" for claim in claims if claim_sum(claim, vector) != claim.value.constant)]


def reason_of_cells(relation, columns):
    """As `reason_of`; without lookups and an opening, which take half the time, where the relation alone says it."""
    found = false_claims(columns, relation, relation)
    if not found:
        return reason_of(relation, columns)
    return FALSE_CLAIM if found[0] == "claim" else found[0]


@pytest.fixture
def lenient(monkeypatch):
    """A witness for anything: values wrapped into their formats, carries rounded down."""
    split = LimbFormat.split

    def wrapped(self, name, values):
        return split(self, name, ((values + self.offset) & ((1 << self.width) - 1)) - self.offset)

    monkeypatch.setattr(LimbFormat, "split", wrapped)
    monkeypatch.setattr(IdentityPlan, "require_exact", lambda self, exact: None)
    return monkeypatch


def lying(label, position, amount=ONE):
    """A channel that moves one value of the first message with this label."""

    class Lying(ProverChannel):
        done = False

        def send(self, name, values):
            if name == label and not self.done:
                self.done = True
                values = [value + amount * (j == position) for j, value in enumerate(values)]
            super().send(name, values)

    return Lying
