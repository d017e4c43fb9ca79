"""Certificates of several probes: each is what one with its seed alone is, and every way to prove another mean is rejected.

A cheating prover's wrong step is patched into the semantics or into the statement; the rest follows as well as it can.
"""

from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from statistics import mean, stdev

import numpy as np
import pytest

from tests.harness.certificates import (
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
from tests.harness.twin import set_least_weights
from tests.harness.whole_proof import LIGERO_REASON
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.resources import is_small, prover_bytes
from zkds.circuits.certificate.statement import SharpnessStatement, StatementError
from zkds.circuits.certificate.verifying import Pins, Status, verify_certificate
from zkds.circuits.certificate.work import Work
from zkds.dataset.sampling import batches
from zkds.errors import PinMismatch

pytestmark = pytest.mark.slow

FALSE_CLAIM = "batching: final claim"
PROBES = replace(TINY, probes=3)


def seed_of(number):
    """Of a probe, from the specification."""
    return SEED if number == 1 else sha256(b"zkds probe v1" + SEED + (number - 1).to_bytes(8, "little")).digest()


# ---- honest proofs -----------------------------------------------------------------------------------------------------


def test_probes_are_those_of_their_seeds():
    """Each value is that of a certificate of one probe with its seed; all else is summed."""
    proof, statement = honest(PROBES)
    alone = [honest(replace(TINY, seed=seed_of(number)))[1] for number in (1, 2, 3)]
    assert statement.values == tuple(each.value for each in alone)
    assert statement.batches == [batch for each in alone for batch in each.batches]
    for name in ("correct", "saturated", "below_eps"):
        assert getattr(statement.results, name) == sum(getattr(each.results, name) for each in alone)
    losses = sum(each.results.total_loss for each in alone)
    assert abs(statement.results.total_loss - losses) <= 2  # one rounding in place of three
    assert statement.samples == 3 * alone[0].samples
    verdict = verify_certificate(proof, allow_plain=True)
    values = list(map(float, statement.values))
    assert float(verdict.value) == pytest.approx(mean(values)) and verdict.loss == statement.loss
    assert verdict.standard_error == pytest.approx(stdev(values) / 3**0.5)
    assert verify_certificate(honest(TINY)[0], allow_plain=True).standard_error is None


def test_the_mean_at_the_threshold_and_above_it():
    """tau has 48 fractional bits, rounded down: the sum of three values is at most three times it."""
    total = sum(honest(PROBES)[1].results.values)
    least = Fraction(-(-total // 3), 1 << 48)
    proof, statement = honest(replace(PROBES, tau=least))
    assert statement.values is None and statement.value is None and statement.standard_error is None
    verdict = verify_certificate(proof, Pins(tau=least, probes=3), allow_plain=True)
    assert verdict.threshold == least
    with pytest.raises(StatementError, match="tau: the value is above it"):
        honest(replace(PROBES, tau=least - Fraction(1, 1 << 48)))


def test_the_same_prover_is_accepted_if_nothing_is_wrong(lenient):
    for case in (PROBES, replace(PROBES, private=True, tau=Fraction(5), evaluations=(("features", 3),))):
        found = cheat(case)
        assert broken_identities(found) == []
        assert verify_certificate(found.proof(zero_knowledge=case.private), allow_plain=True).statement == honest(case)[1]


def test_one_probe_has_no_names_of_others():
    """And the others have all of its tensors but w_0; the results of all are the last one's."""
    own, more = ({column.name for column in DirectionalSharpness(honest(case)[1]).columns} for case in (TINY, PROBES))
    of_all = ("statistic: total loss", "distinct labels", "largest margin: excess", "largest margin: one widest")
    results = {name for name in own if name.startswith(of_all)}
    starts = {name for name in own if ": start/" in name}
    assert results and starts and {name for name in more if not name.startswith("probe ")} == own - results
    for number, expected in ((2, own - starts - results), (3, own - starts)):
        prefix = f"probe {number}: "
        assert {name.removeprefix(prefix) for name in more if name.startswith(prefix)} == expected


# ---- pins, limits, sizes -----------------------------------------------------------------------------------------------


def test_what_is_pinned():
    proof, statement = honest(PROBES)
    verdict = verify_certificate(proof, Pins(seed=SEED, configuration=statement.configuration), allow_plain=True)
    assert verdict.chosen_by_prover == ("model", "data", "probes") and verdict.status is Status.VALID
    assert "probes" not in verify_certificate(proof, Pins(probes=3), allow_plain=True).chosen_by_prover
    assert "probes" not in verify_certificate(honest(TINY)[0], allow_plain=True).chosen_by_prover
    for data, probes in ((proof, 2), (honest(TINY)[0], 3)):
        error = rejection(data, pins=Pins(probes=probes))
        assert isinstance(error, PinMismatch) and error.reason == "probes"
    limits = (Fraction(1 << 11), Fraction(1 << 11), Fraction(0))
    model = (NETWORKS["dense"], weights("dense"))
    pins = Pins(model, statement.root, SEED, statement.configuration, *limits)
    assert rejection(proof, pins=pins, strict=True).reason == "probes"
    given = replace(pins, probes=3)
    assert verify_certificate(proof, given, strict=True, allow_plain=True).status is Status.ACCEPTED
    with pytest.raises(ValueError, match="probes: expected a positive int"):
        Pins(probes=0)


def test_tau_is_compared_with_the_mean():
    proof, statement = honest(PROBES)
    assert max(statement.values) > statement.value
    verify_certificate(proof, Pins(tau=statement.value), allow_plain=True)
    assert rejection(proof, pins=Pins(tau=statement.value - Fraction(1, 1 << 60))).reason == "value above tau"


def test_probes_count_in_work_and_memory():
    statement = honest(TINY)[1]
    many = replace(statement, probes=40, results=replace(statement.results, values=(0,) * 40))
    assert Work.of(many).records == 40 * statement.samples and Work.of(many).nodes == 40 * Work.of(statement).nodes
    assert Work.of(many).record_bytes == 40 * Work.of(statement).record_bytes
    assert is_small(statement) and is_small(many)
    more = replace(statement, probes=3, results=replace(statement.results, values=(0,) * 3))
    assert prover_bytes(DirectionalSharpness(more)) > prover_bytes(DirectionalSharpness(statement))


@pytest.mark.parametrize("probes", [0, 65, True])
def test_numbers_of_probes(probes):
    with pytest.raises(StatementError, match="probes: expected 1 to 64"):
        replace(honest(TINY)[1], probes=probes)


def test_as_many_values_as_probes():
    with pytest.raises(StatementError, match="results: 1 values of 2 probes"):
        replace(honest(TINY)[1], probes=2)


# ---- cheating provers --------------------------------------------------------------------------------------------------


def rejected(found, reason, broken=None, hidden_reason=None):
    """As in test_certificate_cheats."""
    if broken is not None:
        assert broken_identities(found) == broken
    assert rejection(found.proof()).reason == reason
    if hidden_reason is not None:
        assert rejection(found.proof(zero_knowledge=True)).reason == hidden_reason


def indices_of(seed):
    configuration = TINY.configuration
    return batches(seed, opening("features").root.count, configuration.steps, configuration.batch_size)


def test_the_batches_of_another_probe(lenient):
    """The second one sees the records of the first, and so has its value; with their own commitments, and in the columns."""

    def again(number, indices, model):
        return indices_of(SEED) if number == 2 else indices, model

    found = cheat(PROBES, probed=again)
    assert found.statement.values[0] == found.statement.values[1]
    rejected(found, "probe 2: membership: Merkle root")
    honest_openings = cheat(PROBES, results=lambda true: found.statement.results).relation
    rejected(replace(found, relation=honest_openings), "probe 2: membership: linear claim")


def test_the_batches_of_another_seed(lenient):
    def of_number_7(number, indices, model):
        return indices_of(seed_of(7)) if number == 3 else indices, model

    rejected(cheat(PROBES, probed=of_number_7), "probe 3: membership: Merkle root")


def test_weights_that_moved_already(lenient):
    """The second probe starts where a step of the first one led."""
    moved = {name: weights("dense")[name] - cheat().trajectory.values[f"{name}: update"][0] for name in weights("dense")}
    found = cheat(PROBES, probed=lambda number, indices, model: (indices, moved if number == 2 else model))
    names = broken_identities(found)
    assert "probe 2: hidden: forward" in names and all(name.startswith("probe 2: ") for name in names)
    rejected(found, FALSE_CLAIM)


def test_weights_of_all_steps_that_start_elsewhere(monkeypatch, lenient):
    """The weights of a layer whose updates are rounded are the second probe's own, and consistent; but they begin at w_1."""
    set_least_weights(monkeypatch, 1)
    case = Case(probes=2)
    first = cheat(case).trajectory.values["conv.weight: weights"]
    moved = weights("max") | {"conv.weight": first[1]}
    found = cheat(case, probed=lambda number, indices, model: (indices, moved if number == 2 else model))
    assert not np.array_equal(first[0], first[1])
    rejected(found, FALSE_CLAIM, [])


def swapped(true):
    return replace(true, values=(true.values[1], true.values[0], *true.values[2:]))


@pytest.mark.parametrize(
    ("results", "broken"),
    [
        (swapped, ["statistic: value", "probe 2: statistic: value"]),
        (lambda true: replace(true, values=(true.values[0],) * 3), ["probe 2: statistic: value", "probe 3: statistic: value"]),
        (lambda true: replace(true, correct=true.correct + 1), ["probe 3: statistic: correct"]),
        (lambda true: replace(true, total_loss=true.total_loss * 2 // 3), ["probe 3: statistic: total loss"]),
        (lambda true: replace(true, saturated=true.saturated + 1), ["probe 3: statistic: saturated, count"]),
    ],
    ids=["swapped", "the first one three times", "one more correct", "a loss left out", "one more saturated"],
)
def test_other_results(lenient, results, broken):
    rejected(cheat(PROBES, results=results), FALSE_CLAIM, broken)


@pytest.mark.parametrize("counted", [(0, 2), (0, 0, 2)], ids=["left out", "counted twice"])
def test_a_probe_that_is_left_out_of_the_mean_or_counted_twice(lenient, counted):
    """tau is the mean of the values that are counted, below that of all: the margin is the one that they have."""
    values = honest(PROBES)[1].results.values
    tau = -(-sum(values[k] for k in counted) // len(counted))
    assert 3 * tau < sum(values)
    found = cheat(PROBES, results=lambda true: replace(true, values=None, threshold=tau))
    rejected(found, FALSE_CLAIM, ["probe 3: statistic: threshold"], LIGERO_REASON if counted == (0, 2) else None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda own: {"results": swapped(own.results)}, "grinding nonce before LogUp: beta"),  # other challenges
        (lambda own: {"probes": 2, "results": replace(own.results, values=own.results.values[:2])}, "parameters"),
        (lambda own: {"seed": seed_of(2)}, "membership: Merkle root"),
    ],
    ids=["values swapped", "one probe less", "the seed of the second"],
)
def test_an_honest_proof_with_another_statement(change, reason):
    """The statement's bytes are changed behind the proof's back."""
    proof, statement = honest(PROBES)
    other = replace(statement, **change(statement))
    old, new = (each.encode() for each in (statement, other))
    head = proof.index(old) - 8
    forged = proof[:head] + len(new).to_bytes(8, "little") + new + proof[head + 8 + len(old) :]
    assert SharpnessStatement.decode(new) == other
    assert rejection(forged).reason == reason
