"""Whole certificates of a network with an implicit layer, and provers that get its norms or factors wrong."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bench.work.__main__ import dense, features, statement_of
from tests.harness import certificates
from tests.harness.certificates import Case, cheat, rejection
from tests.harness.cheating import FALSE_CLAIM, NOT_IN_TABLE
from tests.harness.limbs import completed
from tests.harness.sweeps import long_but
from tests.harness.whole_proof import LIGERO_REASON
from zkds.circuits import probe
from zkds.circuits.arithmetic.exact import Operand
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.circuits.networks.graph import chain
from zkds.circuits.operators import implicit as rule
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.convolution import implicit as sums
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
ROUNDED = Case("implicit convolutions", "images", ASAM)
CASES = {
    "ASAM": CASE,
    "SAM": replace(CASE, configuration=replace(ASAM, sharpness="SAM")),
    "private model, hidden value": replace(CASE, private=True, tau=Fraction(3)),
    "two steps": replace(CASE, configuration=replace(ASAM, steps=2)),
    "convolutions": IMAGES,
    "convolutions, private model, hidden value": replace(IMAGES, private=True, tau=Fraction(3)),
    "rounded updates": ROUNDED,
    "rounded updates, private model, hidden value": replace(ROUNDED, private=True, tau=Fraction(3)),
}


def make_small(monkeypatch):
    """Larger layers of the networks are implicit."""
    monkeypatch.setattr(rule, "MIN_WEIGHTS", 20)
    monkeypatch.setattr(rule, "WEIGHTS_A_PRODUCT", 0)
    monkeypatch.setattr(rule, "WEIGHTS_AN_ENTRY", 0)
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


def test_layers_of_many_products_have_a_circuit():
    """Digits of w_t have up to 27 bits: a sum of 2^18 products of them with those of an input would have no plan."""
    configuration = Configuration.of(steps=2, batch_size=9)
    DirectionalSharpness(statement_of(dense(180_000, 80, 2), configuration, features(180_000))).check()
    side = AveragePool.side_by_side((1024, 16, 16), 16)
    first, last = Convolution.over((1, 16, 16), 1024, (1, 1)), Convolution.dense(100, (1024, 1, 1))
    DirectionalSharpness(statement_of(chain((1, 16, 16), ("first", first), side, ("last", last)), configuration)).check()


@pytest.mark.parametrize(
    "case, reason",
    [
        (CASE, "parameters"),
        (IMAGES, "grinding nonce before LogUp: beta"),
        (ROUNDED, "parameters"),
    ],
)
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


def without_corrections(forward_sum):
    """z of w_t alone in second passes; H is right."""
    return lambda start, *rest: (start, forward_sum(start, *rest)[1])


def moved_otherwise(change):
    """w_(t + 1), which all that follows sees, is not w_t - U; the remainders are those of U."""

    def of(rounded):
        def wrong(weight, update, place):
            return change(rounded, weight, update, place)

        return wrong

    return of


def one_more_weight(rounded, weight, update, place):
    moved, remainder = rounded(weight, update, place)
    values = moved.start.values.copy()
    values.flat[3] += 1
    return replace(moved, start=Operand.of(values)), remainder


def of_shifted_patches(rounded, weight, update, place):
    return rounded(weight, replace(update, patches=np.roll(update.patches, 1, axis=0)), place)


def not_moved(rounded, weight, update, place):
    return weight, rounded(weight, update, place)[1]


CHEATS = {
    "V of the weights at the start": (CASE, "scaled_squares", of_the_start),
    "V one more": (CASE, "scaled_squares", one_more),
    "Q one more": (CASE, "gradient_squares", one_more),
    "E^ of another kappa": (CASE, "perturbation_factor", another_kappa),
    "Q of a convolution one more": (IMAGES, "gradient_squares", one_more),
    "E^ of a convolution of another kappa": (IMAGES, "perturbation_factor", another_kappa),
    "V of one more, rounded updates": (ROUNDED, "scaled_squares", one_more),
    "a weight that moves by one more": (ROUNDED, "ImplicitWeight.rounded", moved_otherwise(one_more_weight)),
    "U of shifted patches": (ROUNDED, "ImplicitWeight.rounded", moved_otherwise(of_shifted_patches)),
    "a weight that is not moved": (ROUNDED, "ImplicitWeight.rounded", moved_otherwise(not_moved)),
    "no correction by E^": (ROUNDED, "forward_sum", without_corrections),
}


def cheated(lenient, cheat_name):
    case, name, wrong = CHEATS[cheat_name]
    owner = {"ImplicitWeight.rounded": rule.ImplicitWeight, "forward_sum": sums}.get(name, probe)
    name = name.rpartition(".")[2]
    lenient.setattr(owner, name, wrong(getattr(owner, name)))
    return cheat(case)


@pytest.mark.parametrize("cheat_name", CHEATS)
def test_wrong_norms_and_factors_are_rejected(lenient, cheat_name):
    assert rejection(cheated(lenient, cheat_name).proof()).reason == FALSE_CLAIM


@pytest.mark.parametrize("cheat_name", long_but(["V one more"], CHEATS))
def test_they_are_rejected_in_zero_knowledge_as_well(lenient, cheat_name):
    assert rejection(cheated(lenient, cheat_name).proof(zero_knowledge=True)).reason == LIGERO_REASON


@pytest.mark.parametrize(
    "case, digits",
    [(CASE, f"fc1.weight: {word} digits") for word in ("start", "input", "delta", "update")]
    + [(IMAGES, f"conv1.weight: {word} digits") for word in ("input", "delta")]
    + [(ROUNDED, f"conv1.weight: {word}") for word in ("input digits", "delta digits", "weights")],
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


@pytest.mark.parametrize("case, digits", [(CASE, "fc1.weight: start digits"), (ROUNDED, "conv1.weight: weights")])
def test_digits_outside_their_table_are_rejected(monkeypatch, case, digits):
    """digit_0 + base and digit_1 - 1 make the same integer, and all sums are of them: only the lookup knows."""
    split = BalancedFormat.split

    def wrong(number, name, values):
        cells = split(number, name, values)
        if name == digits:
            place = int(np.argmax(cells[1].reshape(-1) > 0))
            cells[0].flat[place] += number.base
            cells[1].flat[place] -= 1
        return cells

    monkeypatch.setattr(BalancedFormat, "split", wrong)
    assert rejection(cheat(case).proof()).reason == NOT_IN_TABLE


def test_a_stale_weight_is_rejected():
    """The digits of w_1 in place of those of w_2, with V of them: U of the step between is not 0, z is of another weight."""
    found = cheat(ROUNDED)
    columns = dict(found.columns)
    for name in columns:
        if name.startswith("conv1.weight: weights/"):
            columns[name] = columns[name].copy()
            columns[name][2] = columns[name][1]
    squares = [part for part in found.relation.components if part.name == "conv1.weight: scaled gradient"]
    assert rejection(replace(found, columns=completed(columns, *squares)).proof()).reason == FALSE_CLAIM


def test_a_start_that_is_not_the_private_models_is_rejected():
    """w_0 of the weights of all steps, and all that follows from it, one more than the committed one in an entry."""
    weights = certificates.weights("implicit convolutions")
    other = weights["conv1.weight"].copy()
    other.flat[0] += 1
    found = cheat(replace(ROUNDED, private=True), model=weights | {"conv1.weight": other})
    assert rejection(found.proof()).reason == FALSE_CLAIM


REASONS = {
    FALSE_CLAIM,
    "fc1.weight: scaled gradient: square of the product",
    "fc1.weight: gradient: product of the factors",
    "conv1.weight: scaled gradient: square of the product",
}


@pytest.mark.long
@pytest.mark.parametrize(
    "case, beginnings",
    [(CASE, [f"fc1.weight: {letter}" for letter in "scg"]), (ROUNDED, ["conv1.weight: update:", "conv1.weight: weights"])],
)
def test_every_column_of_the_layer_has_one_value(case, beginnings):
    honest = cheat(case)
    generator = np.random.default_rng(4)
    rows = {lookup.primary: lookup.table.rows for lookup in honest.relation.lookups}
    names = [name for name in honest.columns if name.startswith(tuple(beginnings))]
    kinds = {name.split("/")[0]: name for name in generator.permutation(sorted(names)).tolist()}
    assert len(kinds) >= (6 if case is CASE else 3)
    for column in kinds.values():
        found = replace(honest, columns=dict(honest.columns))
        cells = found.columns[column] = found.columns[column].copy()
        flat = cells.reshape(-1)
        index = generator.integers(len(flat))
        flat[index] = flat[index] + 1 if flat[index] + 1 < rows[column] else flat[index] - 1
        assert rejection(found.proof()).reason in REASONS, column
