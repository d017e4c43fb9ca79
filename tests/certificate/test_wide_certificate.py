"""Whole certificates whose remainders and carries have limbs of 20 or 22 bits, as those of large networks do."""

import functools

import numpy as np
import pytest

from tests.harness import certificates
from tests.harness.certificates import Case, cheat, rejection
from tests.harness.cheating import NOT_IN_TABLE
from tests.harness.sweeps import long_but
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.circuits.networks import circuit

pytestmark = pytest.mark.slow

CASES = {
    "max": Case("max", zero_knowledge=True),
    "average": Case("average", zero_knowledge=True, private=True),
    "batch norm": Case("batch norm", zero_knowledge=True),
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing that the session has made with other limbs."""
    monkeypatch.setattr(certificates, "honest", functools.cache(certificates.honest.__wrapped__))


def wide(monkeypatch, bits):
    monkeypatch.setattr(circuit, "WIDE_LIMBS", ((1, bits),))


@pytest.mark.parametrize("bits", long_but([20], [20, 22]))
@pytest.mark.parametrize("name", long_but(["average", "batch norm"], CASES))
def test_honest_certificates_are_accepted(monkeypatch, name, bits):
    wide(monkeypatch, bits)
    proof, statement = certificates.honest(CASES[name])
    assert verify_certificate(proof, Pins(allow_saturated=True)).statement == statement


def test_limbs_by_another_rule_are_another_statement(monkeypatch):
    """A prover cannot choose them: the verifier's columns and tables are others."""
    wide(monkeypatch, 20)
    proof = cheat(Case("max")).proof()
    monkeypatch.undo()
    assert rejection(proof).reason == "parameters"


@pytest.mark.parametrize("tensor", ["conv: forward: remainder", "fc.weight: scaled remainder"])
def test_a_limb_beyond_its_range_is_rejected(monkeypatch, tensor):
    """The same remainder, 2^20 more in its low limb and 1 less in the other one: only the lookup knows."""
    wide(monkeypatch, 20)
    found = cheat(Case("max"))
    low, high = (found.columns[f"{tensor}/{j}"] for j in range(2))
    place = int(np.argmax(high.reshape(-1) > 0))
    low.flat[place] += 1 << 20
    high.flat[place] -= 1
    assert rejection(found.proof()).reason == NOT_IN_TABLE
