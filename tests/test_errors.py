"""Errors of another process are those that were raised there: proofs and audits run in workers."""

import pickle
from fractions import Fraction

import pytest

from zkds.circuits.arithmetic.fixed_point import Overflow, Place
from zkds.circuits.certificate.policy import Clause
from zkds.circuits.certificate.verifying import PolicyRejected, ThresholdRejected
from zkds.circuits.networks.grid import VanishingWeights
from zkds.errors import FileError, NotAProof, PinMismatch, PlanRejected, ProofRejected
from zkds.integers.limbs import WitnessOverflow

pytestmark = pytest.mark.any_kernels

ERRORS = (
    ProofRejected("reason"),
    ProofRejected("reason", "at most 3", 4),
    PinMismatch("seed", "00", "11"),
    ThresholdRejected("loss above the maximum", Fraction(1, 3), None),
    PolicyRejected([Clause("value", "at most 1", "2", met=False)]),
    VanishingWeights("weights that vanish on the grid", "none", "3 in fc1"),
    NotAProof("m.pt: not a proof file"),
    WitnessOverflow("x", (1, 2), 44),
    Overflow("update", Place(3, second=True, layer="fc1"), (0,), 40),
    FileError("m.pt: damaged"),
    PlanRejected("no plan"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_comes_from_a_worker_is_what_was_raised(error):
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error) and str(found) == str(error) and vars(found) == vars(error)
