"""Sumcheck: both sides through bytes, every degree, with and without eq, against a slow sum."""

import random

import numpy as np
import pytest

from zkds import sumcheck
from zkds.channel import DryRun, ProverChannel, VerifierChannel
from zkds.field import ONE, ZERO, K, P, block, from_pairs, to_pairs, unblock
from zkds.hidden import Hidden
from zkds.multilinear import eq_at, evaluate
from zkds.proof import ProofReader, ProofWriter
from zkds.transcript import Transcript


def random_k(rng):
    return K(rng.randrange(P), rng.randrange(P))


def random_point(rng, variables):
    return tuple(random_k(rng) for _ in range(variables))


def random_table(rng, variables, kind, length=None):
    length = 1 << variables if length is None else length
    if kind == "u32":
        return np.array([rng.randrange(2**32) for _ in range(length)], dtype=np.uint32)
    if kind == "f":
        return np.array([rng.choice([0, 1, P - 1, rng.randrange(P)]) for _ in range(length)], dtype=np.uint64)
    return block(to_pairs([random_k(rng) for _ in range(length)]))


def entries(table, variables):
    """The 2^variables elements of a table of any kind."""
    values = from_pairs(unblock(table)) if table.ndim == 3 else [K(v) for v in table.tolist()]
    return (values + [ZERO] * (1 << variables))[: 1 << variables]


def term_sum(values, terms):
    """sum_t coefficient_t prod_j values[j]"""
    total = ZERO
    for coefficient, factors in terms:
        product = coefficient
        for j in factors:
            product = product * values[j]
        total = total + product
    return total


def slow_sum(tables, terms, variables, eq_point=None):
    columns = [entries(table, variables) for table in tables]
    total = ZERO
    for x in range(1 << variables):
        weight = ONE if eq_point is None else eq_at(eq_point, [x >> b & 1 for b in range(variables)])
        total = total + weight * term_sum([column[x] for column in columns], terms)
    return total


def prove_bytes(tables, terms, eq_point=None, variables=None):
    writer = ProofWriter()
    channel = ProverChannel(Transcript(), writer, None)
    point, finals = sumcheck.prove(channel, tables, terms, eq_point, name="test", variables=variables)
    return writer.to_bytes(), point, finals


def verify_bytes(proof, claim, variables, degree, eq_point=None):
    reader = ProofReader(proof)
    channel = VerifierChannel(Transcript(), reader)
    point, final = sumcheck.verify(channel, Hidden.public(claim), variables, degree, eq_point, name="test")
    reader.finish()
    assert len(channel.budget.terms) == variables
    return point, final.evaluate({j: ZERO for j in range(channel.constraints.messages)})


TERMS = {
    1: [((0,), 3), ((2,), 5)],
    2: [((0, 1), 1), ((1, 2), 7), ((0,), 2)],
    3: [((0, 1, 2), 1), ((1, 1), 4)],
    4: [((0, 1, 2, 2), 9), ((0, 0, 0), 1), ((1,), 1)],
}


@pytest.mark.parametrize("eq", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("variables", [0, 1, 2, 3, 4, 5, 8])
def test_round_trip(variables, degree, eq):
    rng = random.Random(variables * 100 + degree * 10 + eq)
    kinds = ["k", "f", "u32"] if variables % 2 else ["k", "k", "k"]
    tables = [random_table(rng, variables, kind) for kind in kinds]
    terms = [(K(c) if c < 3 else random_k(rng), factors) for factors, c in TERMS[degree]]
    eq_point = random_point(rng, variables) if eq else None
    claim = slow_sum(tables, terms, variables, eq_point)
    copies = [table.copy() for table in tables]
    proof, point, finals = prove_bytes(tables, terms, eq_point, variables)
    verified_point, final = verify_bytes(proof, claim, variables, degree, eq_point)
    assert verified_point == point
    assert finals == [evaluate(table, point) for table in copies]
    assert final == term_sum(finals, terms)


def test_dry_run_needs_no_proof():
    dry = DryRun()
    sumcheck.verify(dry, Hidden.public(ZERO), 5, 3, random_point(random.Random(1), 5), name="test")
    assert dry.constraints.messages == 15 and len(dry.budget.terms) == 5
