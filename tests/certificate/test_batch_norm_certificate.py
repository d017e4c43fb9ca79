"""Certificates of networks with batch norm: the constants are the model's, and nobody can put others in their place."""

from dataclasses import replace

import numpy as np
import pytest

from tests.harness.certificates import NETWORKS, Case, cheat, honest, opening, private_model, rejection, weights
from tests.harness.sweeps import long_but
from tests.harness.whole_proof import LIGERO_REASON
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.circuits.models.private_model import OpenedModel
from zkds.circuits.networks.weights import model_digest
from zkds.errors import StatementMismatch

pytestmark = pytest.mark.slow

CASE = Case("batch norm", "images")
CONSTANTS = [name for name, _ in NETWORKS["batch norm"].constants]
PUBLIC = Pins(model=(NETWORKS["batch norm"], weights("batch norm")))


def one_unit_more(name):
    found = {key: values.copy() for key, values in weights("batch norm").items()}
    found[name][-1] += 1
    return found


@pytest.mark.parametrize("zero_knowledge", [False, True])
def test_a_public_model(zero_knowledge):
    proof, statement = honest(replace(CASE, zero_knowledge=zero_knowledge))
    pins = replace(PUBLIC, root=opening("images").root)
    assert verify_certificate(proof, pins, allow_plain=not zero_knowledge).statement == statement


def test_a_private_model():
    proof, statement = honest(replace(CASE, private=True, zero_knowledge=True))
    assert verify_certificate(proof, Pins(model=private_model("batch norm").root())).statement == statement


@pytest.mark.parametrize("name", CONSTANTS)
def test_the_digest_binds_the_constants(name):
    network = NETWORKS["batch norm"]
    assert model_digest(network, one_unit_more(name)) != model_digest(network, weights("batch norm"))
    changed = OpenedModel(network, one_unit_more(name), private_model("batch norm").randomness)
    assert changed.root() != private_model("batch norm").root()


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_stale_constant_of_a_public_model(name):
    """Committed and used throughout: whoever has the model notices."""
    proof = cheat(CASE, model=one_unit_more(name)).proof()
    error = rejection(proof, pins=PUBLIC)
    assert isinstance(error, StatementMismatch) and error.reason == f"public model: weights of {name}"


@pytest.mark.parametrize("name", long_but(["bn.running_var"], CONSTANTS))
def test_a_stale_constant_of_a_private_model(lenient, name):
    """The chunks of the root's model are shown, and the bytes of another constant are in the columns."""
    found = cheat(replace(CASE, private=True), model=one_unit_more(name))
    columns = found.relation.private_model.weights[name].bytes.columns.split(one_unit_more(name)[name])
    found.columns |= columns
    assert rejection(found.proof()).reason == "private model: linear claim"
    assert rejection(found.proof(zero_knowledge=True)).reason == LIGERO_REASON


def test_constants_are_no_parameters():
    network = NETWORKS["batch norm"]
    assert [name for name, _ in network.parameters] == ["conv.weight", "bn.weight", "bn.bias", "fc.weight", "fc.bias"]
    assert CONSTANTS == ["bn.running_mean", "bn.running_var"]
    found = cheat(CASE)
    names = {tensor.name for tensor in found.relation.tensors}
    for name in CONSTANTS:
        assert {each for each in names if each.startswith(f"{name}: ")} == {f"{name}: constant"}
    assert np.array_equal(found.trajectory.weights["bn.running_mean"], weights("batch norm")["bn.running_mean"])
