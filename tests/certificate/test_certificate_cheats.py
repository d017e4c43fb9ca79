"""Provers of certificates that do one thing wrongly and everything behind it consistently: rejected, for the exact reason.

The wrong step is patched into the semantics, or the statement says something else than what was computed; the rest of the
trajectory, the witness and the carries follow as well as they can. Which identities are false over the integers is checked
beside: only those of the step.
"""

from dataclasses import replace
from math import isqrt

import numpy as np
import pytest

from tests.harness.certificates import (
    CONFIGURATION,
    NETWORKS,
    SEED,
    TINY,
    Case,
    broken_identities,
    cheat,
    honest,
    opening,
    private_model,
    rejection,
    weights,
)
from tests.harness.whole_proof import LIGERO_REASON
from tests.operators.test_cheating_layers import patch_selection
from zkds.circuits import probe
from zkds.circuits.arithmetic.exact import Operand, Wide
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.circuits.metric import perturbation
from zkds.circuits.models.private_model import OpenedModel
from zkds.circuits.networks.weights import model_digest
from zkds.circuits.operators.convolution import exact as convolution_sums
from zkds.dataset.membership import Membership
from zkds.dataset.sampling import batches
from zkds.errors import StatementMismatch

pytestmark = pytest.mark.slow

FALSE_CLAIM = "batching: final claim"
KINDS = ("weight", "bias")
STEPS, BATCH = CONFIGURATION.steps, CONFIGURATION.batch_size


def rejected(found, reason, broken=None, hidden_reason=None):
    """`broken`: the identities that are false over the integers, by the ends of their names.

    hidden_reason: in zero-knowledge mode, where only equations between public values have names; None: not tried.
    """
    if broken is not None:
        names = broken_identities(found)
        assert names and all(any(name.endswith(end) for end in broken) for name in names), names
    assert rejection(found.proof()).reason == reason
    if hidden_reason is not None:
        assert rejection(found.proof(zero_knowledge=True)).reason == hidden_reason


def indices(seed=SEED):
    return batches(seed, opening("features").root.count, STEPS, BATCH)


def test_the_same_prover_is_accepted_if_nothing_is_wrong(lenient):
    found = cheat()
    assert broken_identities(found) == []
    verdict = verify_certificate(found.proof(), allow_plain=True)
    assert verdict.statement == honest(TINY)[1]


# ---- records ----------------------------------------------------------------------------------------------------------


def test_the_batches_of_another_seed():
    """Others of the committed records, with their own commitments and Merkle proof."""

    def digests(found):
        return Membership(opening("features").root, found)._siblings

    others = map(indices, (bytes([k]) * 32 for k in range(1, 256)))
    other = next(found for found in others if digests(found) == digests(indices()) and set(found[0]) != set(indices()[0]))
    rejected(cheat(records=other), "membership: Merkle root", hidden_reason="membership: Merkle root")


def test_the_batches_in_another_order():
    rejected(cheat(records=indices()[::-1]), "membership: Merkle root", hidden_reason="membership: Merkle root")


def test_a_repeated_record():
    with pytest.raises(ValueError, match="expected no index twice"):
        cheat(records=[indices()[0], indices()[0]])


def test_the_contents_of_other_records():
    """The commitments that the seed asks for are shown, and other records are in the columns."""
    found = cheat(records=indices()[::-1])
    honest_relation = cheat().relation
    rejected(replace(found, relation=honest_relation), "membership: linear claim")


def test_records_that_the_network_does_not_see(lenient):
    first = ["hidden: forward", "hidden.weight: gradient", "hidden.weight: update"]
    rejected(cheat(inputs=lambda values: values + 1), FALSE_CLAIM, first)


@pytest.mark.parametrize("committed", [False, True], ids=["in the probe", "in the record as well"])
def test_a_swapped_label(lenient, committed):
    found = cheat(labels=lambda labels: 1 - labels)
    if committed:
        found.columns["record labels"] = 1 - found.columns["record labels"]
        rejected(found, "membership: linear claim")
    else:
        rejected(found, FALSE_CLAIM, ["softmax: label"], hidden_reason=LIGERO_REASON)


# ---- results ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field, amount, identity",
    [
        ("values", -1, "statistic: value"),
        ("values", -(1 << 40), "statistic: value"),
        ("total_loss", -1, "statistic: total loss"),
        ("correct", 1, "statistic: correct"),
        ("saturated", 1, "statistic: saturated, count"),
        ("below_eps", 1, "statistic: below eps, count"),
        ("labels", -1, "distinct labels: count"),
    ],
)
def test_better_results(lenient, field, amount, identity):
    def better(results):
        changed = (results.values[0] + amount,) if field == "values" else getattr(results, field) + amount
        return replace(results, **{field: changed})

    rejected(cheat(results=better), FALSE_CLAIM, [identity], hidden_reason=LIGERO_REASON if amount == -1 else None)


def test_a_value_above_the_threshold(lenient):
    """The margin is negative, and wraps around its width."""

    def hidden(results):
        return replace(results, values=None, threshold=results.values[0] - 1)

    rejected(cheat(results=hidden), FALSE_CLAIM, ["statistic: threshold"])


# ---- weights ----------------------------------------------------------------------------------------------------------


def one_unit_more(network="dense"):
    found = {name: values.copy() for name, values in weights(network).items()}
    found["hidden.weight"].reshape(-1)[5] += 1
    return found


def test_weights_that_the_digest_is_not_of():
    """Nobody notices without the model; whoever has it, does."""
    proof = cheat(model=one_unit_more()).proof()
    assert verify_certificate(proof, allow_plain=True).chosen_by_prover[0] == "model"
    error = rejection(proof, pins=Pins(model=(NETWORKS["dense"], weights("dense"))))
    assert isinstance(error, StatementMismatch) and error.reason == "public model: weights of hidden.weight"


def without_relu(hidden, relu, last):
    return hidden, replace(last, inputs=(1,))


def without_bias(hidden, relu, last):
    return replace(hidden, operator=replace(hidden.operator, bias=False)), relu, last


def renamed(hidden, relu, last):
    return replace(hidden, name="other"), relu, last


@pytest.mark.parametrize("change", [without_relu, without_bias, renamed])
def test_a_network_that_the_digest_is_not_of(change):
    """The statement has the digest of the verifier's model and another network: without the ReLU, or with other parameters."""
    network = NETWORKS["dense"]
    other = replace(network, nodes=change(*network.nodes))
    model = {name: weights("dense")[name.replace("other", "hidden")] for name, _ in other.parameters}
    proof = cheat(network=other, model=model).proof()
    assert verify_certificate(proof, allow_plain=True).statement.model == model_digest(network, weights("dense"))
    error = rejection(proof, pins=Pins(model=(network, weights("dense"))))
    assert isinstance(error, StatementMismatch) and error.reason == "network"


def test_a_private_model_with_other_weights(lenient):
    """The chunks of the root's model are shown, and the bytes of other weights are in the columns."""
    found = cheat(replace(TINY, private=True), model=one_unit_more())
    columns = found.relation.private_model.weights["hidden.weight"].bytes.columns.split(one_unit_more()["hidden.weight"])
    rejected(replace(found, columns=found.columns | columns), "private model: linear claim", hidden_reason=LIGERO_REASON)


def test_a_private_model_that_the_root_is_not_of(monkeypatch):
    """Other weights and their own chunks."""
    root = private_model("dense").root()
    other = OpenedModel.commit(NETWORKS["dense"], one_unit_more())
    monkeypatch.setattr(OpenedModel, "root", lambda self: root)
    found = cheat(replace(TINY, private=True), model=one_unit_more(), opened_model=other)
    rejected(found, "private model: root", hidden_reason="private model: root")


# ---- steps of the trajectory ------------------------------------------------------------------------------------------


def test_a_perturbation_of_zero(lenient):
    """E = 0 is committed, and the second pass is at w_t."""
    unpatched = perturbation.perturb

    def none(*arguments):
        found = unpatched(*arguments)
        zero = {name: replace(rounded, value=rounded.value * 0) for name, rounded in found.perturbation.items()}
        return replace(found, perturbation=zero)

    lenient.setattr(probe, "perturb", none)
    names = [f"norms: perturbation of {name}" for name, _ in NETWORKS["dense"].parameters]
    rejected(cheat(), FALSE_CLAIM, names, hidden_reason=LIGERO_REASON)


def test_a_smaller_perturbation(lenient):
    """The norm is rounded up, so that kappa and E are smaller than they should be."""
    lenient.setattr(perturbation, "isqrt", lambda square: isqrt(square) + 1)
    rejected(cheat(), FALSE_CLAIM, ["norms: norm: square", "norms: norm: rest"])


def test_the_second_pass_at_the_first_one_s_weights(lenient):
    unpatched = probe._Probe._perturbed

    def skipped(self, *arguments):
        unpatched(self, *arguments)
        return self.weights

    lenient.setattr(probe._Probe, "_perturbed", skipped)
    rejected(cheat(), FALSE_CLAIM, [": forward", ": input gradient"])


def test_stale_weights(lenient):
    unpatched = probe._Probe._first_pass

    def stale(self, step):
        self.weights = self.initial
        return unpatched(self, step)

    lenient.setattr(probe._Probe, "_first_pass", stale)
    scaled = [f"norms: scaled of {name}" for name, _ in NETWORKS["dense"].parameters]
    rejected(cheat(), FALSE_CLAIM, [": forward", ": input gradient", *scaled])


def test_no_update(lenient):
    """U = 0 is committed."""
    unpatched = probe._Probe._second_pass

    def none(self, *arguments):
        updates = unpatched(self, *arguments)
        for name in updates:
            self.stacks.arrays[f"{name}: update"][...] = 0
        return {name: value * 0 for name, value in updates.items()}

    lenient.setattr(probe._Probe, "_second_pass", none)
    rejected(cheat(), FALSE_CLAIM, [": update"])


# ---- selections and padding -------------------------------------------------------------------------------------------


def constant_convolution(bias):
    """Weights of the network with a max pool whose convolution is bias / 2^8, rounded, everywhere."""
    found = {name: values.copy() for name, values in weights("max").items()}
    found["conv.weight"][:] = 0
    found["conv.bias"][:] = bias
    return found


@pytest.mark.parametrize(
    "bias, place, chosen",
    [
        (1 << 30, lambda w: w.shape[-1] - 1 - w[..., ::-1].argmax(axis=-1), lambda v: v >= 0),
        (0, lambda w: w.argmax(axis=-1), lambda v: v > 0),
        (-256, lambda w: w.argmax(axis=-1), lambda v: v >= -1),
    ],
    ids=["the last of equal maxima", "nothing at zero", "something at minus one"],
)
def test_wrong_selections(lenient, bias, place, chosen):
    patch_selection(lenient, place, chosen)
    hidden_reason = LIGERO_REASON if bias > 0 else None
    rejected(cheat(Case("max"), model=constant_convolution(bias)), FALSE_CLAIM, hidden_reason=hidden_reason)


def test_values_in_the_padding(lenient):
    unpatched = convolution_sums.image_operand

    def filled(images, window):
        honest, inside = unpatched(images, window), unpatched(np.ones_like(images), window).framed.values
        return convolution_sums.Images(window, honest.size, Operand.of(honest.framed.values + (1 - inside)))

    lenient.setattr(convolution_sums, "image_operand", filled)
    rejected(cheat(Case("max")), FALSE_CLAIM, ["conv: forward", "conv.weight: gradient", "conv.weight: update"])


# ---- roundings --------------------------------------------------------------------------------------------------------


def patched_rounding(monkeypatch, call, change):
    """Wide.round of call number `call` gives change(value, remainder, shift)."""
    unpatched, calls = Wide.round, iter(range(1 << 30))

    def wrong(self, shift):
        value, remainder = unpatched(self, shift)
        return change(value, remainder, shift) if next(calls) == call else (value, remainder)

    monkeypatch.setattr(Wide, "round", wrong)


def roundings(monkeypatch):
    count = [0]
    unpatched = Wide.round

    def counted(self, shift):
        count[0] += 1
        return unpatched(self, shift)

    with monkeypatch.context() as patched:
        patched.setattr(Wide, "round", counted)
        cheat()
    return count[0]


def down(value, remainder, shift):
    """Rounded down: one less where it was rounded up."""
    return value - (remainder < 1 << (shift - 1)), remainder


def wrapped(multiple, power):
    """value + 2^(power - shift) and a remainder less by 2^power mod p: the identity holds modulo p in one entry, not over Z."""

    def change(value, remainder, shift):
        place = int(np.argmax(remainder >= multiple))
        value, remainder = value.copy(), remainder.copy()
        value.reshape(-1)[place] += 1 << (power - shift)
        remainder.reshape(-1)[place] -= multiple
        return value, remainder

    return change


CHANGES = {"down": down, "value + p": wrapped(1, 61), "value + 2^64": wrapped(8, 64)}


@pytest.mark.parametrize("change", CHANGES)
def test_one_wrong_rounding(lenient, change):
    """In one rounding of the trajectory; several of them, drawn with a kept seed."""
    count = roundings(lenient)
    for call in np.random.default_rng(8).permutation(count)[:2]:
        with lenient.context() as patched:
            patched_rounding(patched, int(call), CHANGES[change])
            found = cheat()
        broken = broken_identities(found)
        assert len(broken) == 1, (call, broken)
        assert rejection(found.proof()).reason == FALSE_CLAIM, (call, broken)
