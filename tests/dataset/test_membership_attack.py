"""Membership inference from scores: AUC and best threshold against trying them all; the scores against a probe by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.statistics import auc_by_pairs, best_accuracy_by_trying
from zkds.sharpness import SharpnessConfig
from zkds.sharpness.membership import SCORES, attack, example_scores, membership

pytestmark = pytest.mark.any_kernels

NUMBERS = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=15)
CONFIG = SharpnessConfig(steps=4, learning_rate=0.01)


@given(NUMBERS, NUMBERS)
def test_attack_against_trying_every_threshold(members, others):
    result = attack("loss", members, others)
    assert result.auc == pytest.approx(auc_by_pairs(members, others))
    assert result.accuracy == pytest.approx(best_accuracy_by_trying(members, others))
    caught = sum(score <= result.threshold for score in members) / len(members)
    cleared = sum(score > result.threshold for score in others) / len(others)
    assert (caught + cleared) / 2 == pytest.approx(result.accuracy)


@pytest.fixture
def model():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)).double()


def by_hand(model, x, y, config):
    """The three scores of one example, with autograd on copies of the parameters."""
    weights = [parameter.detach().clone() for parameter in model.parameters()]

    def loss_and_gradient(weights):
        weights = [weight.clone().requires_grad_() for weight in weights]
        a, b, c, d = weights
        logits = torch.relu(x @ a.T + b) @ c.T + d
        loss = torch.logsumexp(logits, 0) - logits[y]
        return float(loss.detach()), torch.autograd.grad(loss, weights)

    logs, first = [], None
    for _ in range(config.steps):
        loss, gradient = loss_and_gradient(weights)
        sharpness = config.rho * math.sqrt(sum(float(((w * g) ** 2).sum()) for w, g in zip(weights, gradient, strict=True)))
        first = first or (loss, sharpness)
        logs.append(math.log(sharpness**2 / loss + 1e-12))
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradient))
        _, ascended = loss_and_gradient([w + config.rho * g / norm for w, g in zip(weights, gradient, strict=True)])
        weights = [w - config.learning_rate * g for w, g in zip(weights, ascended, strict=True)]
    mean = sum(logs) / len(logs)
    return (*first, math.sqrt(sum((value - mean) ** 2 for value in logs) / len(logs)))


def test_scores_of_examples(model):
    generator = torch.Generator().manual_seed(4)
    x, y = torch.randn(7, 5, dtype=torch.float64, generator=generator), torch.arange(7) % 3
    scores = example_scores(model, x, y, CONFIG)
    for example in range(7):
        expected = by_hand(model, x[example], int(y[example]), CONFIG)
        assert [scores[score][example] for score in SCORES] == pytest.approx(expected, rel=1e-9)


def test_no_example_depends_on_the_others_or_on_the_workers(model):
    x, y = torch.randn(60, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5)), torch.arange(60) % 3
    together, apart = example_scores(model, x, y, CONFIG, jobs=2), example_scores(model, x[51:], y[51:], CONFIG)
    for score in SCORES:
        np.testing.assert_array_equal(together[score][51:], apart[score])


def test_membership_finds_an_overfitted_model(model):
    generator = torch.Generator().manual_seed(6)
    x, y = torch.randn(40, 5, dtype=torch.float64, generator=generator), torch.randint(0, 3, (40,), generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x[:20]), y[:20]).backward()
        optimizer.step()
    attacks = membership(model, (x[:20], y[:20]), (x[20:], y[20:]), CONFIG)
    assert [each.score for each in attacks] == list(SCORES)
    assert attacks[0].auc > 0.8 and attacks[0].accuracy > 0.7


@pytest.mark.parametrize("members", [[], [math.nan], [[1.0]]])
def test_scores_that_are_none(members):
    with pytest.raises(ValueError, match="members: expected one finite score"):
        attack("loss", members, [1.0])


def test_examples_and_labels_must_match(model):
    with pytest.raises(ValueError, match="expected as many labels as examples, at least one, got 2 and 3"):
        example_scores(model, torch.zeros(3, 5), torch.zeros(2, dtype=torch.int64), CONFIG)
