"""Whole certificates of a network with an implicit layer, and provers that get its norms or factors wrong."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.harness import certificates
from tests.harness.certificates import Case, cheat, rejection
from tests.harness.cheating import FALSE_CLAIM, NOT_IN_TABLE
from tests.harness.whole_proof import LIGERO_REASON
from zkds.circuits import probe
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.circuits.networks.graph import chain
from zkds.circuits.operators import implicit as rule
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.relu import Relu
from zkds.errors import StatementMismatch
from zkds.identities.balanced_digits import BalancedFormat

pytestmark = pytest.mark.slow

ASAM = Configuration.of(steps=3, batch_size=2, learning_rate="0.01")
NETWORK = chain(
    (4, 1, 1), ("fc1", Convolution.dense(5, (4, 1, 1))), Relu(), ("fc2", Convolution.dense(2, (5, 1, 1), bias=False))
)
CASE = Case("implicit", "features", ASAM)
# Overlapping windows with padding; all layers are implicit.
CONVOLUTIONS = chain(
    (1, 6, 6),
    ("conv1", Convolution.over((1, 6, 6), 3, (4, 3), (2, 3), (1, 1))),
    Relu(),
    ("conv2", Convolution.over((3, 3, 2), 2, (2, 2), padding=(1, 0))),
    ("fc", Convolution.dense(3, (2, 4, 1), bias=False)),
)
IMAGES = Case("implicit convolutions", "images", replace(ASAM, sharpness="SAM"))
CASES = {
    "ASAM": CASE,
    "SAM": replace(CASE, configuration=replace(ASAM, sharpness="SAM")),
    "private model, hidden value": replace(CASE, private=True, tau=Fraction(3)),
    "two steps": replace(CASE, configuration=replace(ASAM, steps=2)),
    "convolutions": IMAGES,
    "convolutions, private model, hidden value": replace(IMAGES, private=True, tau=Fraction(3)),
}


def make_small(monkeypatch):
    """Larger layers of the networks are implicit."""
    monkeypatch.setattr(rule, "MIN_WEIGHTS", 20)
    monkeypatch.setattr(rule, "WEIGHTS_A_PRODUCT", 0)
    monkeypatch.setitem(certificates.NETWORKS, "implicit", NETWORK)
    monkeypatch.setitem(certificates.NETWORKS, "implicit convolutions", CONVOLUTIONS)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make_small(monkeypatch)


@pytest.mark.parametrize("name", CASES)
def test_honest_certificates_are_accepted(name):
    case = CASES[name]
    implicit = {"implicit": ["fc1.weight"], "implicit convolutions": ["conv1.weight", "conv2.weight", "fc.weight"]}
    assert list(certificates.NETWORKS[case.network].implicit(case.configuration)) == implicit[case.network]
    proof, statement = certificates.honest(replace(case, zero_knowledge=True))
    assert verify_certificate(proof, Pins(allow_saturated=True)).statement == statement


def test_asam_perturbations_have_no_implicit_layer():
    assert not NETWORK.implicit(replace(ASAM, perturbation="ASAM"))


@pytest.mark.parametrize("case, reason", [(CASE, "parameters"), (IMAGES, "grinding nonce before LogUp: beta")])
def test_an_implicit_layer_declared_explicit(monkeypatch, case, reason):
    """By another rule than the verifier's, the columns are others, and no proof of them is one of the statement's.

    Where the vector has as many rows all the same, it is the number of challenges before the lookups that differs.
    """
    monkeypatch.setattr(rule, "MIN_WEIGHTS", 1 << 16)
    proof = cheat(case).proof()
    monkeypatch.setattr(rule, "MIN_WEIGHTS", 20)
    assert rejection(proof).reason == reason


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
    "V of the weights at the start": (CASE, "scaled_squares", of_the_start),
    "V one more": (CASE, "scaled_squares", one_more),
    "Q one more": (CASE, "gradient_squares", one_more),
    "E^ of another kappa": (CASE, "perturbation_factor", another_kappa),
    "Q of a convolution one more": (IMAGES, "gradient_squares", one_more),
    "E^ of a convolution of another kappa": (IMAGES, "perturbation_factor", another_kappa),
}


@pytest.mark.parametrize("cheat_name", CHEATS)
def test_wrong_norms_and_factors_are_rejected(lenient, cheat_name):
    case, name, wrong = CHEATS[cheat_name]
    lenient.setattr(probe, name, wrong(getattr(probe, name)))
    found = cheat(case)
    assert rejection(found.proof()).reason == FALSE_CLAIM
    assert rejection(found.proof(zero_knowledge=True)).reason == LIGERO_REASON


@pytest.mark.parametrize(
    "case, digits",
    [(CASE, f"fc1.weight: {word} digits") for word in ("start", "input", "delta", "update")]
    + [(IMAGES, f"conv1.weight: {word} digits") for word in ("input", "delta")],
)
def test_digits_that_are_not_the_values_are_rejected(lenient, case, digits):
    """Digits of another number, with the coefficients and sums that belong to them: the polynomials are of other matrices."""
    split = BalancedFormat.split

    def wrong(number, name, values):
        return split(number, name, values + (name == digits))

    lenient.setattr(BalancedFormat, "split", wrong)
    found = cheat(case)
    assert rejection(found.proof()).reason == FALSE_CLAIM


def test_another_start_is_not_the_given_model():
    """Nothing is committed of w_0 but its digits; a proof of another one is sound, and not about the verifier's weights."""
    weights = certificates.weights("implicit")
    other = {name: values + (name == "fc1.weight") for name, values in weights.items()}
    proof = cheat(CASE, model=other).proof()
    error = rejection(proof, pins=Pins(model=(NETWORK, weights), allow_saturated=True))
    assert isinstance(error, StatementMismatch) and error.reason == "public model: weights of fc1.weight"


def test_start_digits_outside_their_table_are_rejected(monkeypatch):
    """digit_0 + 81 and digit_1 - 1 make the same integer, and all sums are of them: only the lookup knows."""
    split = BalancedFormat.split

    def wrong(number, name, values):
        cells = split(number, name, values)
        if name == "fc1.weight: start digits":
            place = int(np.argmax(cells[1].reshape(-1) > 0))
            cells[0].flat[place] += 81
            cells[1].flat[place] -= 1
        return cells

    monkeypatch.setattr(BalancedFormat, "split", wrong)
    assert rejection(cheat(CASE).proof()).reason == NOT_IN_TABLE


REASONS = {
    FALSE_CLAIM,
    "fc1.weight: scaled gradient: square of the product",
    "fc1.weight: gradient: product of the factors",
}


@pytest.mark.long
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
