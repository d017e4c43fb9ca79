"""Zero knowledge of whole certificates: simulated ones pass and show what real ones show; clear messages are accounted for.

The simulated certificates are about nothing: commitments of records and of a private model's chunks are uniform vectors that
nobody has an opening of, results are made up. What the simulator gets (certificate/simulator.py) is in `imagined`.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.harness.certificates import NETWORKS, RECORDS, Case, honest, opening, private_model, weights
from tests.harness.shell import ROOT
from zkds import verifier
from zkds.channel import VerifierChannel
from zkds.circuits.certificate.evaluations import Evaluation
from zkds.circuits.certificate.proving import prove_certificate
from zkds.circuits.certificate.simulator import Leakage, simulate_certificate
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.certificate.verifying import Pins, threshold_integer, verify_certificate
from zkds.circuits.metric.results import Results
from zkds.circuits.models.private_model import chunks, root_of
from zkds.circuits.networks.weights import model_digest
from zkds.commands.prove import STAGES
from zkds.dataset import ajtai
from zkds.dataset.membership import Revealed
from zkds.dataset.root import DataRoot
from zkds.dataset.tree import Tree, leaf_digests
from zkds.errors import ProofRejected
from zkds.transcript import Transcript
from zkds.zk.pads import SecretStream
from zkds.zk.simulator import ProgrammedTranscript

pytestmark = pytest.mark.slow

PROGRAM = b"program of a certificate"
TAU = Fraction(1 << 11)
CASES = {
    "public model": Case("dense", "features", zero_knowledge=True),
    "hidden value": Case(
        "dense", "features", tau=TAU, zero_knowledge=True, evaluations=(("features", RECORDS),), probes=2
    ),  # all: no path
    "private model": Case("max", "images", private=True, zero_knowledge=True),
}
REAL = ("hidden value", "private model")
MEMBERSHIP = ("membership: commitments", "membership: Merkle proof")
PREFIXES = ("", "probe 2: ", "evaluation 1: ")
FIXED = {*(prefix + label for prefix in PREFIXES for label in MEMBERSHIP), "private model: commitments"}  # as in every proof
NOT_UNIFORM = {"grinding nonce", "Ligero Merkle digests", "opening: Merkle proof", "recursion: Merkle proof"}
OF_LARGE_VECTORS = {"recursion: root"}  # the second level of the recursive opening: from 2^22 cells on


def uniform(count):
    """Commitments that nobody has an opening of: (count, ROWS)."""
    return SecretStream().field(count * ajtai.ROWS).reshape(count, ajtai.ROWS)


@functools.cache
def imagined(name):
    """(a statement with made-up results about records, and about a private model, that do not exist; its leakage)."""
    case = CASES[name]
    network, configuration = NETWORKS[case.network], case.configuration
    records = uniform(RECORDS)
    tree = Tree(leaf_digests(records))
    root = DataRoot(RECORDS, opening(case.source).root.schema, tree.root)
    model = uniform(chunks(network)) if case.private else weights(case.network)
    digest = root_of(network, model) if case.private else model_digest(network, model)
    shown = {"values": (5 << 40,) * case.probes} if case.tau is None else {"threshold": threshold_integer(case.tau)}
    results = Results(3 << 48, 1, 1, 2, 1, 1, **shown)
    others = tuple(Evaluation(root, count, 5 << 48, 1) for _, count in case.evaluations)
    statement = SharpnessStatement(
        network, configuration, root, case.seed, True, digest, case.private, results, others, case.probes
    )
    indices = [[i for batch in probe for i in batch] for probe in statement.probe_indices]
    probed = [Revealed(records[drawn], tree.proof(drawn)) for drawn in indices]
    evaluated = [Revealed(records[drawn], tree.proof(drawn)) for (drawn,) in statement.evaluated_indices]
    return statement, Leakage(probed, model, evaluated)


@functools.cache
def simulated(name):
    return simulate_certificate(PROGRAM, *imagined(name))


class Listening(VerifierChannel):
    """Keeps the words of 8 bytes of every message by label, and which messages were encrypted."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.words: dict[str, list[int]] = {}
        self.hidden: set[str] = set()

    def receive(self, label, count):
        self.hidden.add(label)
        return super().receive(label, count)

    def receive_elements(self, label, count):
        values = super().receive_elements(label, count)
        self.words.setdefault(label, []).extend(part for value in values for part in (value.re, value.im))
        return values

    def receive_pairs(self, label, count):
        values = super().receive_pairs(label, count)
        self.words.setdefault(label, []).extend(values.reshape(-1).tolist())
        return values

    def receive_bytes(self, label, count):
        data = super().receive_bytes(label, count)
        self.words.setdefault(label, []).extend(np.frombuffer(data, dtype="<u8").tolist())
        return data


def listen(proof, program=None, **options) -> Listening:
    """What the real verifier heard and accepted, under the real oracle or under a program."""
    channels = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifier, "VerifierChannel", lambda *arguments: channels.append(Listening(*arguments)) or channels[-1])
        patch.setattr(verifier, "Transcript", Transcript if program is None else lambda: ProgrammedTranscript(program))
        verify_certificate(proof, **options)
    return channels[0]


@functools.cache
def real(name):
    return listen(honest(CASES[name])[0])


@functools.cache
def fake(name):
    """The simulated certificate, as a verifier hears it that knows and pins everything, the public model's weights included."""
    case, (statement, leakage) = CASES[name], imagined(name)
    model = statement.model if case.private else (statement.network, leakage.model)
    limits = {"tau": TAU, "max_loss": Fraction(1), "min_accuracy": Fraction(0)}
    evaluations = tuple((other.root, other.samples) for other in statement.evaluations)
    limits |= {"evaluations": evaluations, "probes": case.probes, "allow_saturated": True}
    pins = Pins(model, statement.root, case.seed, case.configuration, **limits)
    return listen(simulated(name), PROGRAM, pins=pins, strict=True)


@pytest.mark.parametrize("name", CASES)
def test_the_real_verifier_accepts_under_the_program(name):
    assert fake(name).words


@pytest.mark.parametrize("name", CASES)
def test_and_not_under_the_real_oracle(name):
    for program in (None, PROGRAM + b"!"):
        with pytest.raises(ProofRejected):
            listen(simulated(name), program)


def test_the_simulator_has_no_other_model():
    statement, leakage = imagined("public model")
    with pytest.raises(ValueError, match="expected the commitments of a private model, or the weights of a public one"):
        simulate_certificate(PROGRAM, replace(statement, private_model=True), leakage)


@pytest.mark.parametrize("name", REAL)
def test_simulated_and_real_certificates_look_alike(name):
    """Same messages and lengths, Merkle digests apart; and high bits that are fair coins in both."""
    for label, words in real(name).words.items():
        others = fake(name).words[label]
        assert len(words) == len(others) or label in NOT_UNIFORM
        for values in (words, others):
            ones = sum(value >> 60 & 1 for value in values)
            assert abs(ones - len(values) / 2) < 5.5 * (len(values) / 4) ** 0.5 + 1 or label in NOT_UNIFORM, label
    assert list(real(name).words) == list(fake(name).words) and real(name).hidden == fake(name).hidden


def small_words(listening):
    """How many words are below 2^32, nonces apart."""
    return sum(word < 1 << 32 for label, words in listening.words.items() if label != "grinding nonce" for word in words)


@pytest.mark.parametrize("name", REAL)
def test_a_real_certificate_shows_no_small_numbers(name):
    """Records, labels, weights and everything between are small integers. Of fewer than 2^17 uniform words one is below 2^32
    in fewer than 1 of 4000 proofs."""
    assert sum(map(len, real(name).words.values())) < 1 << 17
    assert small_words(real(name)) == 0


def test_a_plain_certificate_does():
    assert small_words(listen(honest(Case("dense", "features"))[0], allow_plain=True)) > 500


def documented():
    """The clear messages in the table of docs/threat-model.md."""
    _, _, section = (ROOT / "docs/threat-model.md").read_text().partition("## What a certificate shows")
    rows = re.findall(r"^\| (`.*?) \|", section.partition("\n## ")[0], re.MULTILINE)
    return {label for row in rows for label in re.findall("`([^`]+)`", row)}


def test_every_clear_message_is_accounted_for():
    """A message that is not encrypted needs a reason, in the table of the threat model."""
    found = set(OF_LARGE_VECTORS)
    for name in REAL:
        heard, sizes = real(name), set(real(name).reader.sizes)
        assert not heard.hidden & {"header", "statement"}
        found |= sizes - heard.hidden
        assert set(heard.words) == sizes - {"header", "statement"}
    assert {re.sub("^(evaluation|probe) [0-9]+: ", r"\1 k: ", label) for label in found} == documented()


def test_two_certificates_share_nothing_but_the_commitments(monkeypatch):
    """One statement, one witness, two proofs: pads, blinding and salts of each are its own, of one draw of 32 bytes each."""
    name, draws, stages, urandom = "hidden value", [], [], os.urandom
    monkeypatch.setattr(os, "urandom", lambda count: draws.append(urandom(count)) or draws[-1])
    case = CASES[name]
    proof, statement = prove_certificate(
        NETWORKS[case.network],
        weights(case.network),
        opening(case.source),
        case.configuration,
        case.seed,
        seed_given=True,
        evaluations=[(opening(source), count) for source, count in case.evaluations],
        tau=case.tau,
        probes=case.probes,
        progress=stages.append,
    )
    assert [len(draw) for draw in draws] == [32, 32] and len(set(draws)) == 2
    assert statement == honest(case)[1] and stages == [stage for stage in STAGES if stage != "model"]
    first, second = real(name).words, listen(proof).words
    for label in first.keys() - {"grinding nonce"}:
        assert label in FIXED or not set(first[label]) & set(second[label]), label
    assert all(first[label] == second[label] for label in FIXED & first.keys())


def test_the_private_model_of_a_certificate_shows_the_same_commitments_always():
    words = real("private model").words["private model: commitments"]
    assert words == private_model("max").commitments().reshape(-1).tolist()
