"""One step of training: its integers are those of a probe's passes; dishonest proofs are rejected by name."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.harness.certificates import CONFIGURATION, NETWORKS, SEED, broken_identities, opening, weights
from tests.harness.cheating import FALSE_CLAIM, dishonest_vector, lenient
from zkds.circuits import probe
from zkds.circuits.models.public_model import NAME as MODEL
from zkds.circuits.networks.weights import model_digest
from zkds.circuits.probe_records import network_inputs
from zkds.circuits.training import step as semantics
from zkds.circuits.training.proving import prove_step, verify_step
from zkds.circuits.training.relation import StepStatement, TrainingStep
from zkds.circuits.training.step import Descent
from zkds.dataset.membership import Membership
from zkds.dataset.sampling import batches
from zkds.errors import ProofRejected, StatementMismatch
from zkds.prover import prove_vector
from zkds.statement import Statement

__all__ = ["lenient"]

DESCENT = Descent.of(batch_size=2, learning_rate="0.01")
SOURCES = {"max": "images", "average": "images", "dense": "features", "batch norm": "images"}


def records_of(name, indices=None):
    """(membership, its columns, inputs, labels) of the seed's batch, or of other records."""
    opened = opening(SOURCES[name])
    named = batches(SEED, opened.root.count, 1, DESCENT.batch_size)
    membership, columns = Membership.open(opened, named if indices is None else indices)
    return membership, columns, *network_inputs(opened.root.schema, columns)


def step_of(name, before=None, indices=None):
    _, _, inputs, labels = records_of(name, indices)
    return semantics.run(NETWORKS[name], weights(name) if before is None else before, inputs, labels, DESCENT)


def both(name):
    """Steps on the first batch of a probe, from the perturbed weights of its first step and from the model; the probe."""
    opened = opening(SOURCES[name])
    _, columns = Membership.open(opened, batches(SEED, opened.root.count, 2, DESCENT.batch_size))
    inputs, labels = network_inputs(opened.root.schema, columns)
    twice = probe.run(NETWORKS[name], weights(name), inputs, labels, CONFIGURATION)
    perturbed = weights(name) | {parameter: twice.weights_at(parameter, 2) for parameter, _ in NETWORKS[name].parameters}
    steps = [semantics.run(NETWORKS[name], start, inputs[:1], labels[:1], DESCENT) for start in (perturbed, weights(name))]
    return *steps, twice


def verdict(name, proof, before=None, after=None, seed=SEED, descent=DESCENT):
    before = weights(name) if before is None else before
    after = step_of(name).after if after is None else after
    root = opening(SOURCES[name]).root
    return verify_step(proof, NETWORKS[name], before, after, root, descent, seed, allow_plain=True)


def rejection(*arguments, **options):
    with pytest.raises(ProofRejected) as found:
        verdict(*arguments, **options)
    return found.value.reason


# ---- semantics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_a_step_from_perturbed_weights_is_a_probe_s_second_pass(name):
    """Value by value: outputs, deltas, scores, updates and what they are rounded with."""
    found, _, twice = both(name)
    second = {key: value[2:] if len(value) == 3 else value[:1] for key, value in twice.values.items()}
    assert all(np.array_equal(value, second[key]) for key, value in found.values.items())
    for part in ("logit_delta", "logit_delta_remainder", "maximum", "exponential", "exponential_sum", "logits"):
        assert np.array_equal(getattr(found, part), getattr(twice, part)[2:])
    for parameter, _ in NETWORKS[name].parameters:
        assert np.array_equal(found.after[parameter], twice.weights_at(parameter, 2) - twice.values[f"{parameter}: update"][0])


@pytest.mark.parametrize("name", SOURCES)
def test_a_step_from_the_model_is_a_probe_s_first_pass_but_for_the_learning_rate(name):
    _, found, twice = both(name)
    for node in NETWORKS[name].names:
        assert np.array_equal(found.values[f"{node}: output"][0], twice.values[f"{node}: output"][0])
    for part in ("maximum", "exponential", "exponential_sum", "logits"):
        assert np.array_equal(getattr(found, part)[0], getattr(twice, part)[0])
    for parameter, _ in NETWORKS[name].parameters:
        wanted = float(DESCENT.learning_rate) * twice.values[f"{parameter}: gradient"][0] * 2.0**-4
        assert np.allclose(found.values[f"{parameter}: update"][0], wanted, rtol=1e-6, atol=64)


# ---- honest proofs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_honest_steps_are_accepted(name):
    proved = prove_step(NETWORKS[name], weights(name), opening(SOURCES[name]), DESCENT, SEED, zero_knowledge=name == "dense")
    assert all(np.array_equal(proved.after[key], value) for key, value in step_of(name).after.items())
    assert verdict(name, proved.proof).bits >= 100


def test_steps_follow_each_other():
    first = prove_step(NETWORKS["dense"], weights("dense"), opening("features"), DESCENT, SEED, zero_knowledge=False)
    other = bytes(32)
    second = prove_step(NETWORKS["dense"], first.after, opening("features"), DESCENT, other, zero_knowledge=False)
    assert second.statement.before == first.statement.after
    verdict("dense", second.proof, first.after, second.after, other)


# ---- dishonest ones ---------------------------------------------------------------------------------------------------


def forged(name, *, step=None, before=None, claimed=None, indices=None, change=None):
    """(proof, names of the identities that its columns break) of `name`'s step, consistent but for what is given.

    step      what the columns hold; before: w_0 in the columns; claimed: (before, after) of the statement
    indices   of the committed and shown records
    change    of the columns
    """
    membership, records, _, _ = records_of(name, indices)
    step = step_of(name, before, indices) if step is None else step
    start = weights(name) if before is None else before
    digests = [model_digest(NETWORKS[name], w) for w in (claimed or (weights(name), step.after))]
    statement = StepStatement(NETWORKS[name], DESCENT, opening(SOURCES[name]).root, SEED, *digests)
    relation = TrainingStep(statement, membership=membership)
    columns = relation.columns_of(step, start, records)
    if change is not None:
        change(relation, columns)
    whole = Statement(relation)
    broken = broken_identities(SimpleNamespace(relation=relation, columns=columns))
    return prove_vector(whole, dishonest_vector(whole, columns), zero_knowledge=False), broken


def test_a_wrong_update_is_no_rounded_gradient(lenient):
    """The update one more, the weights after it one less: all else stays as it is."""
    honest = step_of("dense")
    parameter = NETWORKS["dense"].parameters[0][0]
    values, after = dict(honest.values), dict(honest.after)
    values[f"{parameter}: update"] = values[f"{parameter}: update"].copy()
    values[f"{parameter}: update"].flat[0] += 1
    after[parameter] = after[parameter].copy()
    after[parameter].flat[0] -= 1
    proof, broken = forged("dense", step=replace(honest, values=values, after=after))
    assert broken == [f"{parameter}: update"]
    assert rejection("dense", proof, after=after) == FALSE_CLAIM


def test_weights_that_did_not_move(lenient):
    """The model after the step is the one before: the updates are right, and nobody takes them."""
    proof, broken = forged("dense", step=replace(step_of("dense"), after=weights("dense")))
    assert broken == [f"moved weights: {parameter}" for parameter, _ in NETWORKS["dense"].parameters]
    assert rejection("dense", proof, after=weights("dense")) == FALSE_CLAIM


def test_stale_weights_are_not_those_of_the_digest():
    """The pass is made from weights of a step before; the statement names those that the verifier has."""
    later = step_of("dense").after
    moved = step_of("dense", before=later)
    proof, _ = forged("dense", before=weights("dense"), step=step_of("dense"), claimed=(later, moved.after))
    found = rejection("dense", proof, before=later, after=moved.after)
    assert found.startswith(f"{MODEL}: weights of ")


def test_other_weights_after_the_step_are_not_those_of_the_proof():
    proof, _ = forged("dense")
    with pytest.raises(StatementMismatch, match="relation"):
        verdict("dense", proof, after=step_of("dense", before=step_of("dense").after).after)
    other = step_of("dense", before=step_of("dense").after).after
    proof, broken = forged("dense", claimed=(weights("dense"), other))
    assert not broken
    assert rejection("dense", proof, after=other).startswith(f"{MODEL}: weights of ")


def test_another_batch_is_not_the_seed_s():
    named = batches(SEED, 12, 1, 2)[0]
    other = [[index for index in range(12) if index not in named][:2]]
    step = step_of("dense", indices=other)
    proof, broken = forged("dense", indices=other)
    assert not broken and rejection("dense", proof, after=step.after) == "membership: Merkle root"


def test_other_records_than_those_shown():
    """The commitments shown are the seed's records', the committed bytes, and all that is computed, others'."""
    named = batches(SEED, 12, 1, 2)[0]
    other = [[index for index in range(12) if index not in named][:2]]
    step = step_of("dense", indices=other)
    honest, _, _, _ = records_of("dense")
    _, columns, _, _ = records_of("dense", other)
    digests = [model_digest(NETWORKS["dense"], w) for w in (weights("dense"), step.after)]
    statement = StepStatement(NETWORKS["dense"], DESCENT, opening("features").root, SEED, *digests)
    relation = TrainingStep(statement, membership=honest)
    whole = Statement(relation)
    vector = dishonest_vector(whole, relation.columns_of(step, weights("dense"), columns))
    assert rejection("dense", prove_vector(whole, vector, zero_knowledge=False), after=step.after) == "membership: linear claim"


def test_a_label_of_one_s_own():
    def relabelled(relation, columns):
        name = relation.labels.labels.columns.names[0]
        columns[name] = 1 - columns[name]

    proof, broken = forged("dense", change=relabelled)
    assert "softmax: label" in broken and rejection("dense", proof) == FALSE_CLAIM


@pytest.mark.parametrize(("field", "value"), [("learning_rate", "9"), ("batch_size", 0)])
def test_what_no_step_is_proved_with(field, value):
    with pytest.raises(ValueError, match=field):
        Descent.of(**{field: value})
