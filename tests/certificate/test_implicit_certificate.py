"""Whole certificates of a network with an implicit layer, and provers that get its norms or factors wrong."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.harness import certificates
from tests.harness.certificates import Case, cheat, rejection
from tests.harness.cheating import FALSE_CLAIM
from tests.harness.whole_proof import LIGERO_REASON
from zkds.circuits import probe
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.circuits.networks.graph import chain
from zkds.circuits.operators import implicit as rule
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.relu import Relu
from zkds.identities.balanced_digits import BalancedFormat

pytestmark = pytest.mark.slow

ASAM = Configuration.of(steps=3, batch_size=2, learning_rate="0.01")
NETWORK = chain(
    (4, 1, 1), ("fc1", Convolution.dense(5, (4, 1, 1))), Relu(), ("fc2", Convolution.dense(2, (5, 1, 1), bias=False))
)
CASE = Case("implicit", "features", ASAM)
CASES = {
    "ASAM": CASE,
    "SAM": replace(CASE, configuration=replace(ASAM, sharpness="SAM")),
    "private model, hidden value": replace(CASE, private=True, tau=Fraction(3)),
    "two steps": replace(CASE, configuration=replace(ASAM, steps=2)),
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The larger layer of the network is implicit."""
    monkeypatch.setattr(rule, "MIN_WEIGHTS", 20)
    monkeypatch.setitem(certificates.NETWORKS, "implicit", NETWORK)


@pytest.mark.parametrize("name", CASES)
def test_honest_certificates_are_accepted(name):
    case = CASES[name]
    assert list(NETWORK.implicit(case.configuration)) == ["fc1.weight"]
    proof, statement = certificates.honest(replace(case, zero_knowledge=True))
    assert verify_certificate(proof, Pins(allow_saturated=True)).statement == statement


def test_asam_perturbations_have_no_implicit_layer():
    assert not NETWORK.implicit(replace(ASAM, perturbation="ASAM"))


def test_an_implicit_layer_declared_explicit(monkeypatch):
    """By another rule than the verifier's, the columns are others, and no proof of them is one of the statement's."""
    monkeypatch.setattr(rule, "MIN_WEIGHTS", 1 << 16)
    proof = cheat(CASE).proof()
    monkeypatch.setattr(rule, "MIN_WEIGHTS", 20)
    assert rejection(proof).reason == "parameters"


def of_the_start(squares):
    """V of w_0, in place of w_t."""
    return lambda weight, *rest: squares(replace(weight, updates=()), *rest)


def one_more(squares):
    def wrong(*arguments):
        value, remainder = squares(*arguments)
        return value + 1, remainder

    return wrong


def another_kappa(factor):
    return lambda kappa, *rest: factor(kappa + (kappa >> 4) + 1, *rest)


CHEATS = {
    "V of the weights at the start": ("scaled_squares", of_the_start),
    "V one more": ("scaled_squares", one_more),
    "Q one more": ("gradient_squares", one_more),
    "E^ of another kappa": ("perturbation_factor", another_kappa),
}


@pytest.mark.parametrize("cheat_name", CHEATS)
def test_wrong_norms_and_factors_are_rejected(lenient, cheat_name):
    name, wrong = CHEATS[cheat_name]
    lenient.setattr(probe, name, wrong(getattr(probe, name)))
    found = cheat(CASE)
    assert rejection(found.proof()).reason == FALSE_CLAIM
    assert rejection(found.proof(zero_knowledge=True)).reason == LIGERO_REASON


@pytest.mark.parametrize("digits", ["start digits", "input digits", "delta digits", "update digits"])
def test_digits_that_are_not_the_values_are_rejected(lenient, digits):
    """Digits of another number, with the coefficients and sums that belong to them: the polynomials are of other matrices."""
    split = BalancedFormat.split

    def wrong(number, name, values):
        return split(number, name, values + (name == f"fc1.weight: {digits}"))

    lenient.setattr(BalancedFormat, "split", wrong)
    found = cheat(CASE)
    assert rejection(found.proof()).reason == FALSE_CLAIM


REASONS = {
    FALSE_CLAIM,
    "fc1.weight: scaled gradient: square of the product",
    "fc1.weight: gradient: product of the factors",
}


def test_every_column_of_the_layer_has_one_value():
    honest = cheat(CASE)
    generator = np.random.default_rng(4)
    rows = {lookup.primary: lookup.table.rows for lookup in honest.relation.lookups}
    names = [name for name in honest.columns if name.startswith(("fc1.weight: s", "fc1.weight: c", "fc1.weight: g"))]
    kinds = {name.split("/")[0]: name for name in generator.permutation(sorted(names)).tolist()}
    assert len(kinds) >= 6
    for column in kinds.values():
        found = replace(honest, columns=dict(honest.columns))
        cells = found.columns[column] = found.columns[column].copy()
        flat = cells.reshape(-1)
        index = generator.integers(len(flat))
        flat[index] = flat[index] + 1 if flat[index] + 1 < rows[column] else flat[index] - 1
        assert rejection(found.proof()).reason in REASONS, column
