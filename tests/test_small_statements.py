"""Statements of a few cells, lookups alone, and their whole proofs: tables of every width, columns of any shape, both modes.

Tables of limbs of 16 bits make vectors longer than 2^16 cells; here the vector fits one row of the commitment, or a few.
"""

import random

import numpy as np
import pytest

from tests.harness.whole_proof import assert_rejected_in_both_modes, reject
from zkds import lookup
from zkds.channel import DryRun
from zkds.commit.layout import Column, Layout
from zkds.commit.parameters import choose
from zkds.conversation import converse
from zkds.field import ZERO
from zkds.lookup import ExplicitTable, Lookup, RangeTable
from zkds.prover import prove_vector
from zkds.statement import Mode, Statement
from zkds.transcript import Transcript
from zkds.verifier import verify

NOT_IN_TABLE = "LogUp: what is looked up is not what the tables hold"
SHAPES = [(1,), (2,), (3,), (7, 5), (33,), (1, 1, 3), (255,), (257,), (1025,)]


class Equations(DryRun):
    """A dry run whose equations mean something: hidden values have their variables, public values are computed."""

    def receive(self, label, count):
        return self._hidden([ZERO] * count)

    def public(self, compute):
        return compute()


class Lookups:
    """A relation that says nothing but that its columns are rows of their tables."""

    name = "lookups"

    def __init__(self, columns, lookups):
        self.columns = columns
        self.lookups = lookups

    def encode(self):
        return b"lookups"

    def check(self):
        pass

    def prove(self, channel, layout, vector):
        return []

    def verify(self, channel, layout):
        return []


def random_rows(rng, width):
    rows = {tuple(rng.randrange(2**32) for _ in range(width)) for _ in range(rng.choice([1, 2, 9]))}
    return np.array(sorted(rows), dtype=np.uint32)


def random_statement(seed):
    """(statement, complete vector) of one to three lookups with different tables."""
    rng = random.Random(seed)
    columns, lookups, tensors = [], [], {}
    for number in range(rng.randint(1, 3)):
        width = rng.choice([0, 1, 2, 3])
        bits = rng.choice([0, 1, 3, 8])
        rows = random_rows(rng, width) if width else np.arange(1 << bits, dtype=np.uint32)[:, None]
        table = ExplicitTable.of(rows) if width else RangeTable(bits)
        shape = rng.choice(SHAPES)
        chosen = rows[[rng.randrange(len(rows)) for _ in range(int(np.prod(shape)))]]
        names = [f"{number}/{k}" for k in range(rows.shape[1])]
        for name, values in zip(names, chosen.T, strict=True):
            columns.append(Column(name, shape))
            tensors[name] = values.reshape(shape)
        lookups.append(Lookup(table, names[0], tuple(names[1:])))
    rng.shuffle(columns)
    statement = Statement(Lookups(columns, lookups))
    vector = statement.vector(tensors)
    lookup.multiplicities(statement.lookups, statement.layout, vector)
    return statement, vector


def change_a_cell(statement, vector, seed):
    """A copy in which one cell that a column owns is another one."""
    rng = random.Random(seed)
    box = rng.choice(statement.layout.boxes(rng.choice(statement.layout.columns).name))
    changed = vector.copy()
    changed[box.offset + rng.randrange(1 << box.log_size)] ^= np.uint32(1 << rng.randrange(32))
    return changed


@pytest.mark.parametrize("seed", range(16))
def test_accepted_as_they_are_and_not_with_any_other_cell(seed):
    statement, vector = random_statement(seed)
    for zero_knowledge in (True, False):
        verify(prove_vector(statement, vector, zero_knowledge=zero_knowledge), statement.relation, allow_plain=True)
    changed = change_a_cell(statement, vector, seed)  # of a column or of the multiplicities, not both: false in any case
    assert_rejected_in_both_modes(statement.relation, changed, NOT_IN_TABLE)


@pytest.mark.slow
def test_a_table_of_many_more_rows_than_cells():
    statement = Statement(Lookups([Column("x", (3,))], [Lookup(RangeTable(22), "x")]))
    vector = statement.vector({"x": np.array([0, (1 << 22) - 1, 5], dtype=np.uint32)})
    lookup.multiplicities(statement.lookups, statement.layout, vector)
    verify(prove_vector(statement, vector, zero_knowledge=False), statement.relation, allow_plain=True)
    statement.layout.write(vector, "x", np.array([0, 1 << 22, 5], dtype=np.uint32))
    proof = prove_vector(statement, vector, zero_knowledge=False)
    assert reject(proof, statement.relation, allow_plain=True).reason == NOT_IN_TABLE


@pytest.mark.parametrize("seed", range(16))
def test_every_message_and_every_product_is_in_an_equation(seed):
    dry_run = Equations()
    converse(dry_run, random_statement(seed)[0], Mode.ZERO_KNOWLEDGE)
    constraints = dry_run.constraints
    used = {v for _, expression in constraints.equations for v, c in expression.coefficients.items() if c}
    products = {t for t in range(len(constraints.products)) if -1 - t in used}
    assert products == set(range(len(constraints.products)))
    factors = {message for t in products for message in constraints.products[t]}
    assert set(range(constraints.messages)) <= used | factors


@pytest.mark.parametrize("part", ["mode", "relation", "parameters", "layout", "lookups"])
def test_every_challenge_depends_on_every_part_of_the_statement(part):
    def first_challenge(statement, mode):
        transcript = Transcript()
        statement.bind(transcript, mode)
        return transcript.challenge("test")

    statement, other = random_statement(0)[0], random_statement(0)[0]
    if part == "relation":
        other.relation.encode = lambda: b"other lookups"
    elif part == "parameters":
        other.parameters = choose(statement.layout.cells + 1)
    elif part == "layout":
        other.layout = Layout([Column(f"{c.name}'", c.shape) for c in statement.layout.columns])
    elif part == "lookups":
        other.lookups = other.lookups * 2
    expected = first_challenge(statement, Mode.ZERO_KNOWLEDGE)
    assert first_challenge(random_statement(0)[0], Mode.ZERO_KNOWLEDGE) == expected
    assert first_challenge(other, Mode.PLAIN if part == "mode" else Mode.ZERO_KNOWLEDGE) != expected
