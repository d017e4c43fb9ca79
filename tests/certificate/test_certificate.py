"""Certificates end to end through bytes: results bit for bit those of the semantics, and everything that a verifier may pin."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.harness.certificates import IMAGES, NETWORKS, SEED, TINY, Case, honest, opening, private_model, rejection, weights
from zkds.circuits import probe
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.proving import network_inputs, prove_certificate
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import SharpnessStatement, StatementError
from zkds.circuits.certificate.verifying import (
    LIMITS,
    PINS,
    Pins,
    Status,
    ThresholdRejected,
    hidden,
    read_statement,
    verify_certificate,
)
from zkds.circuits.metric.results import Results
from zkds.circuits.networks.weights import model_digest
from zkds.dataset.membership import Membership
from zkds.dataset.sampling import batches
from zkds.errors import PinMismatch, ProofRejected, StatementMismatch
from zkds.statement import Mode, Statement

KINDS = [(sharpness, perturbation) for sharpness in ("ASAM", "SAM") for perturbation in ("SAM", "ASAM")]


def configuration(sharpness, perturbation, **fields):
    return Configuration.of(
        **{"steps": 2, "batch_size": 2, "learning_rate": "0.01", "sharpness": sharpness, "perturbation": perturbation} | fields
    )


CASES = {
    "max pool, three steps": Case("max", "images", configuration("ASAM", "SAM", steps=3)),
    "max pool alone, SAM, ASAM": Case("max alone", "normalised images", configuration("SAM", "ASAM", batch_size=1)),
    "average pool, SAM, zero-knowledge": Case("average", "images", configuration("SAM", "SAM"), zero_knowledge=True),
    "average pool, normalised, ASAM": Case("average", "normalised images", configuration("ASAM", "ASAM")),
    "features of many classes": Case("many classes", "features of many classes", configuration("ASAM", "SAM")),
    "layers named as parts of the circuit": Case("names of the circuit", "features", zero_knowledge=True),
    "private model": Case("max", "images", private=True, zero_knowledge=True),
    "hidden value": Case("dense", "features", tau=Fraction(1 << 11), zero_knowledge=True),
}


def expected_results(case):
    """What the semantics computes from the records that the seed names, which are read from the data as it was given."""
    opened = opening(case.source)
    indices = batches(case.seed, opened.root.count, case.configuration.steps, case.configuration.batch_size)
    _, records = Membership.open(opened, indices)
    inputs, labels = network_inputs(opened.root.schema, records)
    run = probe.run(NETWORKS[case.network], weights(case.network), inputs, labels, case.configuration)
    shown = {"values": (run.value,)} if case.tau is None else {"threshold": int(case.tau * (1 << 48))}
    labels, margin = run.distinct_labels, run.largest_margin
    return Results(run.total_loss, run.correct, run.saturated, run.below_eps, labels, margin, **shown)


def own_model(case):
    """What a verifier pins."""
    if case.private:
        return private_model(case.network).root()
    return NETWORKS[case.network], weights(case.network)


PORTABLE = "average pool, SAM, zero-knowledge"  # the one that is made with the portable kernels as well


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name != PORTABLE)) for name in CASES])
def test_results_are_those_of_the_semantics(name):
    case = CASES[name]
    proof, statement = honest(case)
    asked = Fraction(1 << 11), Fraction(1 << 11), Fraction(0)
    pins = Pins(own_model(case), opening(case.source).root, case.seed, case.configuration, *asked)
    verdict = verify_certificate(proof, pins, strict=True, allow_plain=not case.zero_knowledge)
    assert verdict.statement == statement == read_statement(proof)[1]
    assert verdict.statement.results == expected_results(case)
    assert verdict.status is Status.ACCEPTED and verdict.accepted and verdict.bits > 100
    assert verdict.chosen_by_prover == verdict.without_limit == ()
    assert verdict.mode is (Mode.ZERO_KNOWLEDGE if case.zero_knowledge else Mode.PLAIN)
    assert sum(verdict.sizes.values()) == len(proof)


def test_network_inputs_are_those_of_the_schema():
    opened, chosen = opening("normalised images"), [0, 5, 11]
    _, records = Membership.open(opened, [chosen])
    inputs, labels = network_inputs(opened.root.schema, records)
    slope, constant = opened.root.schema.affine(0)
    assert np.array_equal(inputs[0], IMAGES[chosen].astype(np.int64) * slope + constant)
    assert labels.tolist() == [[0, 2, 2]]


# ---- pins ------------------------------------------------------------------------------------------------------------


def other_weights(network):
    """One weight is one unit larger."""
    found = {name: values.copy() for name, values in weights(network).items()}
    next(iter(found.values())).reshape(-1)[0] += 1
    return found


def wrong_pins():
    model = (NETWORKS["dense"], weights("dense"))
    return {
        "one weight": (Pins(model=(NETWORKS["dense"], other_weights("dense"))), "model"),
        "network": (Pins(model=(NETWORKS["max"], weights("max"))), "model"),
        "private model": (Pins(model=model_digest(*model)), "kind of model"),
        "data": (Pins(root=opening("images").root), "data root"),
        "seed": (Pins(seed=SEED[::-1]), "seed"),
        "configuration": (Pins(configuration=replace(TINY.configuration, rho=Fraction(1, 21))), "probe"),
    }


@pytest.mark.parametrize("pin", wrong_pins())
def test_a_proof_about_something_else_is_rejected_by_name(pin):
    pins, reason = wrong_pins()[pin]
    error = rejection(honest(TINY)[0], pins=pins)
    assert isinstance(error, PinMismatch) and error.reason == reason


def test_another_probe_in_words():
    asked = replace(TINY.configuration, rho=Fraction(1, 21), batch_size=16)
    error = rejection(honest(TINY)[0], pins=Pins(configuration=asked))
    assert str(error) == "probe: the proof has B=2, rho=0.05; you asked for B=16, rho=1/21"


def everything():
    """Pins and limits that TINY's certificate meets, as fields of Pins."""
    return {
        **{"model": own_model(TINY), "root": honest(TINY)[1].root, "seed": SEED, "configuration": TINY.configuration},
        **{"tau": Fraction(1 << 11), "max_loss": Fraction(1 << 11), "min_accuracy": Fraction(0)},
    }


@pytest.mark.slow
def test_accepted_takes_everything():
    """All but one, and one alone: valid, and the verdict names what is missing. None at all: nothing is pinned."""
    proof, given = honest(TINY)[0], everything()
    names = {field: name for name, field in (PINS | LIMITS).items()}
    assert list(names) == list(given)
    for field, name in names.items():
        for pins, missing in (
            ({**given, field: None}, [name]),
            ({field: given[field]}, [n for n in names.values() if n != name]),
        ):
            verdict = verify_certificate(proof, Pins(**pins), allow_plain=True)
            assert verdict.status is Status.VALID and not verdict.accepted
            assert [*verdict.chosen_by_prover, *verdict.without_limit] == missing
    verdict = verify_certificate(proof, allow_plain=True)
    assert verdict.status is Status.NOTHING_PINNED and not verdict.accepted
    assert verdict.chosen_by_prover == tuple(PINS) and verdict.without_limit == tuple(LIMITS)


def test_strict_needs_everything():
    proof, given = honest(TINY)[0], everything()
    assert verify_certificate(proof, Pins(**given), strict=True, allow_plain=True).accepted
    for field in given:
        with pytest.raises(ValueError, match=f"strict: expected everything to be given, {field} as well"):
            verify_certificate(proof, Pins(**{**given, field: None}), strict=True, allow_plain=True)


@pytest.mark.parametrize("field, number", [("tau", -1), ("tau", 4096), ("max_loss", -1), ("max_loss", 1 << 60)])
def test_limits_that_no_result_can_reach(field, number):
    with pytest.raises(ValueError, match=f"{field}: expected 0 to 4096 nats, got "):
        Pins(**{field: Fraction(number)})


def test_the_least_accuracy_is_a_share():
    for number in (Fraction(95), Fraction(-1, 10)):
        with pytest.raises(ValueError, match="min_accuracy: expected a number between 0 and 1, got "):
            Pins(min_accuracy=number)


def test_results_are_exact():
    proof, statement = honest(TINY)
    verdict = verify_certificate(proof, allow_plain=True)
    results = statement.results
    assert verdict.value == Fraction(results.values[0], 1 << 48) and verdict.threshold is None
    assert verdict.loss == Fraction(results.total_loss, statement.samples << 48)
    assert verdict.accuracy == Fraction(results.correct, statement.samples)
    hidden_value = verify_certificate(honest(CASES["hidden value"])[0])
    assert hidden_value.value is None and hidden_value.threshold == 1 << 11


def test_plain_proofs_must_be_asked_for():
    with pytest.raises(StatementMismatch, match="mode: expected zero-knowledge, got plain"):
        verify_certificate(honest(TINY)[0])


# ---- thresholds ------------------------------------------------------------------------------------------------------


def exactly(integer):
    return Fraction(integer, 1 << 48)


@pytest.mark.slow
def test_tau_at_the_value_and_below_it():
    proof, statement = honest(TINY)
    (value,) = statement.results.values
    verify_certificate(proof, Pins(tau=exactly(value)), allow_plain=True)
    for tau in (exactly(value - 1), exactly(value) - Fraction(1, 10**40), Fraction(0)):
        error = rejection(proof, pins=Pins(tau=tau))
        assert isinstance(error, ThresholdRejected) and error.reason == "value above tau"
        assert error.expected != f"at most {error.actual}"


@pytest.mark.slow
def test_hidden_value_at_the_threshold_and_above_it():
    (value,) = honest(TINY)[1].results.values
    proof, statement = honest(replace(TINY, tau=exactly(value)))
    assert (statement.results.values, statement.results.threshold) == (None, value)
    verify_certificate(proof, Pins(tau=exactly(value)), allow_plain=True)
    error = rejection(proof, pins=Pins(tau=exactly(value - 1)))
    assert isinstance(error, ThresholdRejected) and error.reason == "proven threshold above tau"
    with pytest.raises(StatementError, match="tau: the value is above it"):
        honest(replace(TINY, tau=exactly(value - 1)))
    with pytest.raises(StatementError, match="tau: expected a number below 4096"):
        hidden(honest(TINY)[1], Fraction(4096))
    with pytest.raises(StatementError, match="tau: the value is above it"):
        hidden(statement, Fraction(1))  # of a statement that hides its value already


@pytest.mark.slow
def test_loss_and_accuracy():
    proof, statement = honest(TINY)
    loss = Fraction(statement.results.total_loss, statement.samples << 48)
    accuracy = Fraction(statement.results.correct, statement.samples)
    verify_certificate(proof, Pins(max_loss=loss, min_accuracy=accuracy), allow_plain=True)
    least = Fraction(1, 10**40)
    assert rejection(proof, pins=Pins(max_loss=loss - least)).reason == "loss above the maximum"
    assert rejection(proof, pins=Pins(min_accuracy=accuracy + least)).reason == "accuracy below the minimum"


# ---- a header replaced -----------------------------------------------------------------------------------------------


def with_statement(proof, statement):
    """The proof with the header of another statement, whose circuit has the same shape."""
    head = 13  # magic, version, mode
    length = int.from_bytes(proof[head : head + 8], "little")
    encoding = statement.encode()
    return proof[:head] + len(encoding).to_bytes(8, "little") + encoding + proof[head + 8 + length :]


def other_statements():
    statement = honest(TINY)[1]
    results = statement.results
    return {
        "value": replace(statement, results=replace(results, values=(results.values[0] - 1,))),
        "loss": replace(statement, results=replace(results, total_loss=results.total_loss - 1)),
        "correct": replace(statement, results=replace(results, correct=results.correct + 1)),
        "saturated": replace(statement, results=replace(results, saturated=results.saturated + 1)),
        "below eps": replace(statement, results=replace(results, below_eps=results.below_eps + 1)),
        "labels": replace(statement, results=replace(results, labels=results.labels - 1)),
        "margin": replace(statement, results=replace(results, margin=results.margin + 1)),
        "seed": replace(statement, seed=SEED[::-1]),
        "seed source": replace(statement, seed_given=False),
        "model": replace(statement, model=bytes(32)),
        "data": replace(statement, root=replace(statement.root, tree_root=bytes(32))),
        "rho": replace(statement, configuration=replace(statement.configuration, rho=Fraction(1, 21))),
        "eps": replace(statement, configuration=replace(statement.configuration, eps=Fraction(1, 10**6))),
        "sharpness": replace(statement, configuration=replace(statement.configuration, sharpness="SAM")),
        "network": replace(statement, network=NETWORKS["names of the circuit"]),
    }


@pytest.mark.parametrize("part", other_statements())
def test_the_header_of_another_statement(part):
    statement = other_statements()[part]
    forged = with_statement(honest(TINY)[0], statement)
    assert read_statement(forged)[1] == statement
    assert isinstance(rejection(forged), ProofRejected)


def test_the_relation_is_a_function_of_the_statement():
    """Prover and verifier lay out the same columns, and the statement's encoding is what the transcript binds."""
    statement = honest(TINY)[1]
    first, second = (Statement(DirectionalSharpness(SharpnessStatement.decode(statement.encode()))) for _ in range(2))
    assert first.layout.encode() == second.layout.encode() and first.sections == second.sections
    assert first.sections["relation"] == statement.encode()


@pytest.mark.slow
def test_two_proofs_of_one_statement_differ():
    case = replace(TINY, zero_knowledge=True)
    first, statement = honest(case)
    second, again = prove_certificate(
        NETWORKS["dense"], weights("dense"), opening("features"), case.configuration, SEED, seed_given=True
    )
    body = 13 + 8 + len(statement.encode())
    assert statement == again and first[:body] == second[:body] and first[body:][:2048] != second[body:][:2048]
