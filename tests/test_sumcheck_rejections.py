"""Sumcheck: cheating provers, one rejection reason at a time, and misuse of the API."""

import random

import numpy as np
import pytest

from tests.reference import sumcheck as reference
from tests.test_sumcheck import entries, random_point, random_table
from zkds import sumcheck
from zkds.channel import DryRun, ProverChannel, VerifierChannel
from zkds.errors import ConstraintRejected, MalformedProof
from zkds.field import ONE, ZERO
from zkds.hidden import Hidden
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk.ligero import check_plain

# ---- cheating provers ---------------------------------------------------------------------------------------------------

VARIABLES = 5
PRODUCT = [(ONE, (0, 1))]


class CheatingChannel(ProverChannel):
    """Adds 1 to one element of one message."""

    def __init__(self, message, element):
        super().__init__(Transcript(), ProofWriter(), None)
        self.left, self.element = message, element

    def send(self, label, values):
        values = list(values)
        if self.left == 0:
            values[self.element] = values[self.element] + ONE
        self.left -= 1
        super().send(label, values)


def relation_proof(channel, eq_point):
    """The sumcheck and the values of both tables. Returns (claim, proof)."""
    rng = random.Random(5)
    tables = [random_table(rng, VARIABLES, "k") for _ in range(2)]
    claim = reference.full_sum([entries(table, VARIABLES) for table in tables], PRODUCT, eq_point)
    _, finals = sumcheck.prove(channel, tables, PRODUCT, eq_point, name="test")
    channel.send("values", finals)
    return claim, channel.writer.to_bytes()


def check_relation(claim, proof, eq_point):
    """Raises ConstraintRejected, or MalformedProof."""
    channel = VerifierChannel(Transcript(), ProofReader(proof))
    _, final = sumcheck.verify(channel, Hidden.public(claim), VARIABLES, 2, eq_point, name="test")
    left, right = channel.receive("values", 2)
    channel.reader.finish()
    channel.assert_zero(final - channel.product(left, right), "test: final claim")
    check_plain(channel.constraints)


EQ_POINTS = [None, random_point(random.Random(8), VARIABLES)]


@pytest.mark.parametrize("eq_point", EQ_POINTS)
def test_honest_relation(eq_point):
    check_relation(*relation_proof(CheatingChannel(-1, 0), eq_point), eq_point)


@pytest.mark.parametrize("eq_point", EQ_POINTS)
@pytest.mark.parametrize("message", range(VARIABLES + 1))
@pytest.mark.parametrize("element", [0, 1])
def test_a_changed_message_is_rejected(eq_point, message, element):
    """Every element of every round polynomial, and of the final values."""
    claim, proof = relation_proof(CheatingChannel(message, element), eq_point)
    with pytest.raises(ConstraintRejected) as rejection:
        check_relation(claim, proof, eq_point)
    assert rejection.value.reason == "test: final claim"


@pytest.mark.parametrize("eq_point", EQ_POINTS)
def test_a_wrong_claim_is_rejected(eq_point):
    claim, proof = relation_proof(CheatingChannel(-1, 0), eq_point)
    with pytest.raises(ConstraintRejected) as rejection:
        check_relation(claim + ONE, proof, eq_point)
    assert rejection.value.reason == "test: final claim"


def test_another_eq_point_is_rejected():
    claim, proof = relation_proof(CheatingChannel(-1, 0), EQ_POINTS[1])
    with pytest.raises(ConstraintRejected):
        check_relation(claim, proof, (*EQ_POINTS[1][:-1], EQ_POINTS[1][-1] + ONE))


def test_a_truncated_proof_is_rejected():
    claim, proof = relation_proof(CheatingChannel(-1, 0), None)
    with pytest.raises(MalformedProof, match="truncated at values"):
        check_relation(claim, proof[:-1], None)
    with pytest.raises(MalformedProof, match="truncated at test: round polynomial"):
        check_relation(claim, proof[:40], None)


# ---- misuse -------------------------------------------------------------------------------------------------------------


def channel():
    return ProverChannel(Transcript(), ProofWriter(), None)


def table():
    return np.zeros((4, 2, 8), dtype=np.uint64)


def read_only():
    values = table()
    values.flags.writeable = False
    return values


def twice():
    values = table()
    return [values, values]


@pytest.mark.parametrize(
    ("tables", "terms", "keywords", "error", "message"),
    [
        ([], PRODUCT, {}, ValueError, "tables: expected at least one table"),
        ([table(), [1]], PRODUCT, {}, TypeError, r"tables\[1\]: expected a numpy array of uint64, got list"),
        ([table(), table().astype(float)], PRODUCT, {}, TypeError, r"tables\[1\]: expected dtype uint64, got float64"),
        ([table(), table()[0]], PRODUCT, {}, ValueError, r"tables\[1\]: expected shape \(n, 2, 8\), got \(2, 8\)"),
        ([table(), table()], PRODUCT, {"variables": 4}, ValueError, r"tables\[0\]: expected at most 2\^4 entries, got 32"),
        ([table(), table()], [], {}, ValueError, "terms: expected at least one term"),
        ([table(), table()], [(1, (0, 1))], {}, TypeError, r"terms\[0\]: expected a coefficient in K, got int"),
        ([table(), table()], [(ONE, ())], {}, ValueError, r"terms\[0\]: expected 1 to 4 factors, got 0"),
        ([table(), table()], [(ONE, (0,) * 5)], {}, ValueError, r"terms\[0\]: expected 1 to 4 factors, got 5"),
        ([table(), table()], [(ONE, (0, 2))], {}, ValueError, r"terms\[0\]: expected table indices from 0 to 1, got 2"),
        ([table(), read_only()], PRODUCT, {}, ValueError, r"tables\[1\]: expected a writable array"),
        (twice(), PRODUCT, {}, ValueError, r"tables\[0\] and tables\[1\] share memory"),
        ([table(), table()], PRODUCT, {"eq_point": [ONE] * 4}, ValueError, r"tables\[0\]: expected at most 2\^4 entries"),
        (
            [table(), table()],
            PRODUCT,
            {"eq_point": [ONE, ONE, ZERO, ONE, ONE]},
            ValueError,
            r"eq_point: eq point has a zero coordinate \(bit 2\)",
        ),
    ],
)
def test_prover_misuse_is_named(tables, terms, keywords, error, message):
    with pytest.raises(error, match=message):
        sumcheck.prove(channel(), tables, terms, name="test", **keywords)


def test_verifier_misuse_is_named():
    for degree in (0, 5):
        with pytest.raises(ValueError, match=f"degree: expected 1 to 4, got {degree}"):
            sumcheck.verify(DryRun(), Hidden.public(ZERO), 5, degree, name="test")
    with pytest.raises(ValueError, match="eq_point: expected 3 coordinates, got 2"):
        sumcheck.verify(DryRun(), Hidden.public(ZERO), 3, 2, [ONE, ONE], name="test")


def test_a_zero_coordinate_is_a_rejection():
    """A challenge may be zero, once in 2^122 draws; the verifier must not trip over it."""
    with pytest.raises(ConstraintRejected) as caught:
        sumcheck.verify(DryRun(), Hidden.public(ZERO), 2, 2, [ONE, ZERO], name="test")
    assert caught.value.reason == "test: eq point has a zero coordinate"
