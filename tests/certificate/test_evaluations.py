"""Evaluations: results are those of float64 on the records that the seed draws, and every way to prove others is rejected.

A cheating prover's wrong step is patched into the semantics or into the statement; the rest follows as well as it can.
"""

from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from math import comb, log

import numpy as np
import pytest

from tests.harness import certificates
from tests.harness.certificates import (
    FEATURES,
    IMAGES,
    LABELS,
    NETWORKS,
    SEED,
    TINY,
    Case,
    broken_identities,
    cheat,
    honest,
    opening,
    rejection,
    weights,
)
from tests.harness.whole_proof import LIGERO_REASON
from tests.reference.network import scores
from zkds.circuits import evaluation as semantics
from zkds.circuits import probe
from zkds.circuits.arithmetic.fixed_point import Configuration, Overflow, Place
from zkds.circuits.certificate import evaluations as limits
from zkds.circuits.certificate.bounds import hoeffding_accuracy, least_correct
from zkds.circuits.certificate.evaluations import Evaluation, decode_evaluations, encode_evaluations
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.resources import is_small, prover_bytes
from zkds.circuits.certificate.statement import SharpnessStatement, StatementError, require_evaluations
from zkds.circuits.certificate.verifying import EvaluationLimits, Pins, Status, read_statement, verify_certificate
from zkds.circuits.certificate.work import Work
from zkds.circuits.probe_records import network_inputs
from zkds.dataset.sampling import permutation_prefix
from zkds.errors import MalformedProof, PinMismatch

FALSE_CLAIM = "batching: final claim"
EVALUATED = replace(TINY, evaluations=(("features", 3), ("other features", 12), ("features", 3)))  # all 12: some are wrong


def expected_indices(source, count, number):
    """Which records, from the specification."""
    root = opening(source).root
    seed = sha256(b"zkds evaluation v1" + SEED + number.to_bytes(8, "little") + root.digest()).digest()
    return permutation_prefix(seed, root.count, count)


def float_results(network, source, inputs, classes, indices):
    """(mean loss, correct predictions) in float64, of inputs as the network sees them."""
    model = {name: values / 2.0**40 for name, values in weights(network).items()}
    z = scores(NETWORKS[network], model, inputs[indices])
    labels = (LABELS % classes)[indices]
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]
    return losses.mean(), int((z.argmax(axis=1) == labels).sum())


def features(source):
    found = {"features": FEATURES, "other features": FEATURES[::-1] / 2}[source]
    return (np.floor(found * 2**12 + 0.5) / 2**12).reshape(-1, 4, 1, 1)


# ---- honest proofs -----------------------------------------------------------------------------------------------------


def test_results_are_those_of_the_records_that_the_seed_draws():
    statement = honest(EVALUATED)[1]
    assert statement == read_statement(honest(EVALUATED)[0])[1]
    assert replace(statement, evaluations=()) == honest(TINY)[1]  # the probe's results are the same
    for number, (source, count) in enumerate(EVALUATED.evaluations, 1):
        found, indices = statement.evaluations[number - 1], expected_indices(source, count, number)
        assert statement.evaluated_indices[number - 1] == [indices]
        loss, correct = float_results("dense", source, features(source), 2, indices)
        assert float(found.loss) == pytest.approx(loss, abs=1e-7) and found.correct == correct
    assert statement.evaluated_indices[0] != statement.evaluated_indices[2]
    one, held_out, other = (found.loss for found in statement.evaluations)
    assert statement.gap == held_out - min(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("private", [False, True])
def test_images_in_zero_knowledge(private):
    case = Case("max", "images", private=private, zero_knowledge=True, evaluations=(("images", 4), ("normalised images", 3)))
    verdict = verify_certificate(honest(case)[0])
    assert verdict.bits > 100
    first, second = verdict.statement.evaluations
    loss, correct = float_results("max", "images", IMAGES / 255, 3, expected_indices("images", 4, 1))
    assert float(first.loss) == pytest.approx(loss, abs=1e-7) and first.correct == correct
    loss, correct = float_results("max", "images", (IMAGES / 255 - 0.45) / 0.22, 3, expected_indices("normalised images", 3, 2))
    assert float(second.loss) == pytest.approx(loss, abs=1e-6) and second.correct == correct


def test_no_evaluation_takes_no_cell():
    statement, evaluated = honest(TINY)[1], honest(EVALUATED)[1]
    own = DirectionalSharpness(statement)
    both = DirectionalSharpness(evaluated)
    added = [column for column in both.columns if column.name.startswith("evaluation ")]
    assert [column.name for column in own.columns] == [column.name for column in both.columns if column not in added]
    backwards = ("delta", "gradient", "update", "perturbation", "scaled", "normalised", "start")
    assert added and not [column.name for column in added if any(word in column.name for word in backwards)]


@pytest.mark.parametrize("network", ["max", "average", "batch norm"])
def test_integers_are_those_of_a_first_pass(network):
    """Of a probe's first step, at w_0: all values and losses of the same records."""
    configuration = Configuration.of(steps=2, batch_size=3)
    inputs = np.random.default_rng(2).integers(0, 1 << 32, (2, 3, 1, 6, 6))
    labels = np.arange(6).reshape(2, 3) % 3
    run = probe.run(NETWORKS[network], weights(network), inputs, labels, configuration)
    found = semantics.run(NETWORKS[network], weights(network), inputs[:1], labels[:1], Place())
    assert found.losses.tolist() == run.losses[:1].tolist()
    assert {name for name in run.values if name.endswith(": output")} <= set(found.values) <= set(run.values)
    assert all(np.array_equal(value[0], run.values[name][0]) for name, value in found.values.items())


def test_values_do_not_depend_on_how_many_records_are_computed_at_a_time(monkeypatch):
    inputs = np.random.default_rng(1).integers(0, 1 << 32, (1, 7, 1, 6, 6))
    labels = np.arange(7)[None] % 3
    found = [semantics.run(NETWORKS["max"], weights("max"), inputs, labels, Place())]
    monkeypatch.setattr(semantics, "CHUNK_VALUES", 400)  # two records
    found.append(semantics.run(NETWORKS["max"], weights("max"), inputs, labels, Place()))
    assert found[0].values.keys() == found[1].values.keys()
    assert all(np.array_equal(value, found[1].values[name]) for name, value in found[0].values.items())
    assert found[0].total_loss == found[1].total_loss
    with pytest.raises(Overflow, match=r"evaluation 4"):
        semantics.run(NETWORKS["max"], weights("max"), inputs + (1 << 50), labels, Place(evaluation=4))
    with pytest.raises(ValueError, match="labels: expected 0 to 2"):
        semantics.run(NETWORKS["max"], weights("max"), inputs, labels + 1, Place())


# ---- pins and limits ---------------------------------------------------------------------------------------------------


def root(source):
    return opening(source).root


PINNED = EVALUATED.evaluations


def pinned(pairs=PINNED):
    return tuple((root(source), count) for source, count in pairs)


def test_what_is_pinned_and_what_is_not():
    proof = honest(EVALUATED)[0]
    verdict = verify_certificate(proof, Pins(seed=SEED), allow_plain=True)
    assert verdict.chosen_by_prover == ("model", "data", "probe", "evaluations") and verdict.status is Status.VALID
    verdict = verify_certificate(proof, Pins(evaluations=pinned()), allow_plain=True)
    assert "evaluations" not in verdict.chosen_by_prover and verdict.status is Status.VALID
    assert "evaluations" not in verify_certificate(honest(TINY)[0], allow_plain=True).chosen_by_prover


@pytest.mark.parametrize(
    "pairs",
    [(), PINNED[:2], PINNED[1:], (PINNED[1], PINNED[0], PINNED[2]), (("features", 4), *PINNED[1:]), (*PINNED, PINNED[0])],
    ids=["none", "without the last", "without the first", "in another order", "of another size", "one more"],
)
def test_other_evaluations_than_those_asked_for(pairs):
    error = rejection(honest(EVALUATED)[0], pins=Pins(evaluations=pinned(pairs)))
    assert isinstance(error, PinMismatch) and error.reason == "evaluations"


def test_strict_accepts_no_evaluation_that_was_not_asked_for():
    statement = honest(EVALUATED)[1]
    pins = Pins(
        (NETWORKS["dense"], weights("dense")),
        statement.root,
        SEED,
        statement.configuration,
        *(Fraction(1 << 11), Fraction(1 << 11), Fraction(0)),
    )
    assert rejection(honest(EVALUATED)[0], pins=pins, strict=True).reason == "evaluations"
    given = replace(pins, evaluations=pinned())
    assert verify_certificate(honest(EVALUATED)[0], given, strict=True, allow_plain=True).status is Status.ACCEPTED


def test_limits():
    """Each holds at the proven number, and not one unit beyond."""
    proof, statement = honest(EVALUATED)
    held_out = statement.evaluations[1]
    training = max((statement.evaluations[0], statement.evaluations[2]), key=lambda found: found.loss)
    unit = Fraction(1, 1 << 60)
    reached = (
        EvaluationLimits(root("other features"), held_out.loss, held_out.accuracy),
        EvaluationLimits(root("features"), training.loss),
    )
    verify_certificate(proof, Pins(root=statement.root, limits=reached, max_gap=statement.gap), allow_plain=True)
    reason = "loss of an evaluation above the maximum"
    assert rejection(proof, pins=of("features", max_loss=training.loss - unit)).reason == reason
    assert rejection(proof, pins=Pins(root=statement.root, max_gap=statement.gap - unit)).reason == "gap above the maximum"
    assert held_out.correct < held_out.samples
    error = rejection(proof, pins=of("other features", min_accuracy=held_out.accuracy + unit))
    assert error.reason == "accuracy of an evaluation below the minimum"


def of(source, **fields):
    return Pins(limits=(EvaluationLimits(root(source), **fields),))


def test_limits_of_what_is_not_evaluated():
    proof = honest(EVALUATED)[0]
    assert rejection(proof, pins=of("images", max_loss=Fraction(1))).reason == "data set not evaluated"
    assert rejection(honest(TINY)[0], pins=Pins(root=root("features"), max_gap=Fraction(1))).reason == "no gap"
    for fields in ({"max_loss": Fraction(-1)}, {"min_accuracy": Fraction(2)}, {"max_loss": Fraction(4096)}):
        with pytest.raises(ValueError, match=f"{next(iter(fields))}: expected"):
            of("images", **fields)
    with pytest.raises(ValueError, match="max_gap: expected"):
        Pins(root=root("features"), max_gap=Fraction(4096))


def test_a_prover_who_probes_the_held_out_set_to_turn_the_gap_around():
    """The data set of the probe is the gap's training side, so a limit without it would ask for the wrong difference."""
    cases = [replace(EVALUATED, source=source) for source in ("features", "other features")]
    turned, straight = sorted(cases, key=lambda case: honest(case)[1].gap)
    limit = honest(turned)[1].gap
    assert honest(turned)[1].evaluations == honest(straight)[1].evaluations and limit < honest(straight)[1].gap
    pins = Pins(root=root(straight.source), evaluations=pinned(), max_gap=limit)
    assert rejection(honest(straight)[0], pins=pins).reason == "gap above the maximum"
    error = rejection(honest(turned)[0], pins=pins)
    assert isinstance(error, PinMismatch) and error.reason == "data root"
    with pytest.raises(ValueError, match=r"max_gap: expected the data root \(commitment\) as well"):
        Pins(evaluations=pinned(), max_gap=limit)


# ---- statements --------------------------------------------------------------------------------------------------------


def test_bytes_of_evaluations():
    evaluations = honest(EVALUATED)[1].evaluations
    encoded = encode_evaluations(evaluations)
    assert decode_evaluations(encoded) == evaluations
    for length in range(0, len(encoded), 97):
        with pytest.raises(MalformedProof):
            decode_evaluations(encoded[:length])
    with pytest.raises(MalformedProof, match="trailing"):
        decode_evaluations(encoded + b"\0")
    with pytest.raises(MalformedProof, match="evaluations"):
        decode_evaluations((limits.MAX_EVALUATIONS + 1).to_bytes(8, "little"))
    with pytest.raises(MalformedProof, match="length of an evaluated data root"):
        decode_evaluations((1).to_bytes(8, "little") + (limits.MAX_ROOT_BYTES + 1).to_bytes(8, "little"))


@pytest.mark.parametrize(
    "fields, error",
    [
        ({"samples": 0}, "expected 1 to 12 records"),
        ({"samples": 13}, "expected 1 to 12 records"),
        ({"samples": 2, "correct": 3}, "3 correct predictions of 2 records"),
        ({"samples": 2, "total_loss": 2 << 60}, "expected a mean loss below 4096 nats"),
        ({"samples": 2, "total_loss": -1}, "expected a mean loss below 4096 nats"),
    ],
)
def test_numbers_that_no_evaluation_has(fields, error):
    with pytest.raises(ValueError, match=error):
        Evaluation(root("features"), **fields)


def test_limits_of_statements(monkeypatch):
    network, own = NETWORKS["dense"], root("features")
    require_evaluations(network, (Evaluation(own, 12),) * 16)
    with pytest.raises(StatementError, match="evaluations: expected at most 16, got 17"):
        require_evaluations(network, (Evaluation(own, 1),) * 17)
    with pytest.raises(StatementError, match=r"network: expected an input of \(1, 6, 6\)"):
        require_evaluations(network, (Evaluation(root("images"), 1),))
    with pytest.raises(StatementError, match="network: 2 outputs, but the data set has 300 classes"):
        require_evaluations(network, (Evaluation(root("features of many classes"), 1),))
    many = Evaluation(replace(own, count=1 << 20), limits.MAX_EVALUATED)
    require_evaluations(network, (many,))
    with pytest.raises(StatementError, match="evaluations: records: expected at most"):
        require_evaluations(network, (many, Evaluation(own, 1)))
    monkeypatch.setattr("zkds.circuits.certificate.statement.MAX_EVALUATED_BYTES", 12 * own.committed_bytes - 1)
    with pytest.raises(StatementError, match="evaluations: bytes of records"):
        require_evaluations(network, (Evaluation(own, 12),))


def test_evaluations_count_in_work_and_memory():
    statement = honest(TINY)[1]
    many = replace(statement, evaluations=(Evaluation(replace(root("features"), count=1 << 20), 1 << 14),) * 1)
    assert Work.of(many).records == statement.samples + (1 << 14) and Work.of(many).seconds > Work.of(statement).seconds
    own, both = DirectionalSharpness(statement), DirectionalSharpness(many)
    assert prover_bytes(both) > prover_bytes(own)
    assert is_small(statement) and is_small(many)


# ---- cheating provers --------------------------------------------------------------------------------------------------


def rejected(found, reason, broken=None, hidden_reason=None):
    """As in test_certificate_cheats."""
    if broken is not None:
        assert broken_identities(found) == broken
    assert rejection(found.proof()).reason == reason
    if hidden_reason is not None:
        assert rejection(found.proof(zero_knowledge=True)).reason == hidden_reason


def changed(number, **fields):
    """The statement's evaluations, one of them changed: fields to functions of their true values."""

    def change(true):
        own = true[number - 1]
        new = {name: function(getattr(own, name)) for name, function in fields.items()}
        return (*true[: number - 1], replace(own, **new), *true[number:])

    return change


def test_the_same_prover_is_accepted_if_nothing_is_wrong(lenient):
    found = cheat(EVALUATED)
    assert broken_identities(found) == []
    assert verify_certificate(found.proof(), allow_plain=True).statement == honest(EVALUATED)[1]


@pytest.mark.slow
def test_other_records():
    """In another order than the seed's, with their own commitments; in the columns alone; those of another root."""

    def in_another_order(number, source, indices, model):
        return source, [indices[0][::-1]] if number == 1 else indices, model

    def of_another_root(number, source, indices, model):
        return "other features" if number == 1 else source, indices, model

    reason = "evaluation 1: membership: Merkle root"
    found = cheat(EVALUATED, evaluated=in_another_order)
    rejected(found, reason, hidden_reason=reason)
    rejected(replace(found, relation=cheat(EVALUATED).relation), "evaluation 1: membership: linear claim")
    rejected(cheat(EVALUATED, evaluated=of_another_root), reason)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields, identity",
    [
        ({"correct": lambda true: true + 1}, "correct"),
        ({"total_loss": lambda true: true - 1}, "total loss"),
        ({"total_loss": lambda true: 0}, "total loss"),
    ],
)
def test_better_results(lenient, fields, identity):
    found = cheat(EVALUATED, evaluations=changed(2, **fields))
    rejected(found, FALSE_CLAIM, [f"evaluation 2: softmax: {identity}"], hidden_reason=LIGERO_REASON)


@pytest.mark.slow
def test_a_prediction_that_is_not_the_network_s(lenient):
    """The label's class is selected, and counted, where another score is larger."""
    found = cheat(EVALUATED)
    labels, selectors = (found.columns[f"evaluation 2: {name}/0"] for name in ("softmax: labels", "scores: selectors"))
    wrong = cheat(EVALUATED, evaluations=changed(2, correct=lambda true: 12))
    wrong.columns["evaluation 2: scores: selectors/0"] = labels.copy()
    assert not np.array_equal(labels, selectors)
    names = broken_identities(wrong)
    assert names and set(names) <= {f"evaluation 2: scores: {name}" for name in ("maximum", "first maximum", "distance")}
    rejected(wrong, FALSE_CLAIM)


@pytest.mark.slow
def test_weights_of_a_later_step(lenient):
    """w_1 in place of w_0: losses after a step of training on the probe's records."""
    moved = {name: weights("dense")[name] - cheat().trajectory.values[f"{name}: update"][0] for name in weights("dense")}
    found = cheat(EVALUATED, evaluated=lambda number, source, indices, model: (source, indices, moved))
    names = broken_identities(found)
    assert names and all(name.endswith(": forward") and name.startswith("evaluation ") for name in names)
    rejected(found, FALSE_CLAIM, hidden_reason=LIGERO_REASON)


@pytest.mark.slow
def test_the_values_of_one_evaluation_in_another(lenient):
    """Both are of three records of one data set: all columns are exchanged, and the results; what is shown is not."""

    def exchanged(found):
        first, second, third = found
        return third, second, first

    honest_columns, forged = cheat(EVALUATED).columns, cheat(EVALUATED, evaluations=exchanged)
    for one, other in ("13", "31"):
        head = f"evaluation {one}: "
        forged.columns |= {
            name: honest_columns[f"evaluation {other}: {name.removeprefix(head)}"]
            for name in honest_columns
            if name.startswith(head)
        }
    rejected(forged, "evaluation 1: membership: linear claim", [])


@pytest.mark.slow
def test_any_of_equal_scores(lenient):
    """All scores are 0; the label's class is selected, and counted, where it is not the first."""
    zeros = {name: np.zeros_like(values) for name, values in weights("dense").items()}
    found = cheat(replace(TINY, evaluations=(("other features", 12),)), model=zeros)
    labels, first = (found.columns[f"evaluation 1: {name}/0"] for name in ("softmax: labels", "scores: selectors"))
    (evaluation,) = found.statement.evaluations
    assert evaluation.correct == labels[0].sum() == 6 and first[0].all()
    forged = cheat(found.case, model=zeros, evaluations=changed(1, correct=lambda true: 12))
    forged.columns["evaluation 1: scores: selectors/0"] = labels.copy()
    rejected(forged, FALSE_CLAIM, ["evaluation 1: scores: first maximum"], hidden_reason=LIGERO_REASON)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, identity",
    [
        (lambda inputs, labels: (inputs, (labels + 1) % 3), "softmax: label"),
        (lambda inputs, labels: (inputs + (1 << 20), labels), "conv: forward"),
    ],
    ids=["labels", "a normalization that the root does not have"],
)
def test_what_the_network_sees_of_other_records(lenient, change, identity):
    def seen(schema, columns, prefix=""):
        found = network_inputs(schema, columns, prefix)
        return change(*found) if prefix else found

    lenient.setattr(certificates, "network_inputs", seen)
    found = cheat(Case("max", evaluations=(("normalised images", 3),)))
    rejected(found, FALSE_CLAIM, [f"evaluation 1: {identity}"])


@pytest.mark.slow
def test_other_constants_than_the_model_s(lenient):
    def other(number, source, indices, model):
        return source, indices, model | {"bn.running_var": 2 * model["bn.running_var"]}

    found = cheat(Case("batch norm", evaluations=(("images", 3),)), evaluated=other)
    rejected(found, FALSE_CLAIM, ["evaluation 1: bn: scale"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda found: found[:2], "parameters"),
        (lambda found: (found[1], found[0], found[2]), "evaluation 1: membership: canonical commitments"),
        (lambda found: (replace(found[0], samples=4), *found[1:]), "parameters"),
        (lambda found: (replace(found[0], root=found[1].root), *found[1:]), "evaluation 1: membership: Merkle root"),
        (lambda found: (*found, found[0]), "parameters"),
    ],
    ids=["dropped", "in another order", "more records", "of another root", "one more"],
)
def test_an_honest_proof_with_another_statement(change, reason):
    """The statement's bytes are changed behind the proof's back."""
    proof, statement = honest(EVALUATED)
    other = replace(statement, evaluations=change(statement.evaluations))
    old, new = (each.encode() for each in (statement, other))
    head = proof.index(old) - 8
    forged = proof[:head] + len(new).to_bytes(8, "little") + new + proof[head + 8 + len(old) :]
    assert SharpnessStatement.decode(new) == other
    assert rejection(forged).reason == reason


# ---- bounds ------------------------------------------------------------------------------------------------------------


def tail(count, right, drawn, least):
    """Exactly."""
    ways = sum(comb(right, k) * comb(count - right, drawn - k) for k in range(least, drawn + 1))
    return Fraction(ways, comb(count, drawn))


@pytest.mark.parametrize("count", [1, 2, 9, 40])
def test_the_exact_bound(count):
    for drawn in {1, count // 2 or 1, count}:
        for correct in range(drawn + 1):
            expected = next(right for right in range(count + 1) if tail(count, right, drawn, correct) > Fraction(1, 100))
            assert least_correct(count, drawn, correct) == expected


def test_bounds_of_large_sets():
    """Between Hoeffding's bound and the sample; the whole set says all of itself."""
    for count, drawn, correct in ((10_000, 1000, 962), (1 << 32, 1 << 14, 16_000), (50_000, 1000, 1000), (50_000, 1000, 0)):
        assert hoeffding_accuracy(drawn, correct) <= least_correct(count, drawn, correct) / count <= correct / drawn
    assert least_correct(1000, 1000, 17) == 17
    assert tail(100, 1, 1, 1) == Fraction(1, 100) and least_correct(100, 1, 1) == 1  # what is alpha itself counts as above it
    bound = least_correct(10_000, 1000, 962)
    assert tail(10_000, bound - 1, 1000, 962) <= Fraction(1, 100) < tail(10_000, bound, 1000, 962)
    assert hoeffding_accuracy(1000, 962) == pytest.approx(0.962 - (log(100) / 2000) ** 0.5)
