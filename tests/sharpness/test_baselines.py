"""Static sharpness, worst case and coherence, each against a second implementation of its definition."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.harness.model_snapshot import same, snapshot
from tests.harness.sharpness_networks import convolutional, dense, features, images, trained
from tests.reference import sharpness as reference
from zkds.sharpness import (
    Objective,
    baselines,
    evaluate,
    gradient_coherence,
    gradient_sharpness,
    worst_case_sharpness,
)
from zkds.sharpness.baselines import PASSES

pytestmark = pytest.mark.any_kernels


@pytest.fixture(autouse=True)
def fixed_generator() -> None:
    torch.manual_seed(5)


def test_loss_and_accuracy() -> None:
    model, (x, y) = convolutional(), images(30)
    found = evaluate(model, (x, y), dtype=torch.float64, batch_size=7)
    function, w, _ = reference.flat_function(model)
    losses = [reference.loss(function, w, x[i : i + 1], y[i : i + 1]).item() for i in range(30)]
    assert found.losses.tolist() == pytest.approx(losses)
    assert found.loss == pytest.approx(sum(losses) / 30)
    assert found.correct.tolist() == (function(w, x).argmax(1) == y).tolist()
    assert found.accuracy == sum(found.correct.tolist()) / 30


@pytest.mark.parametrize("kind", ["sam", "asam"])
@pytest.mark.parametrize(("scale", "eta"), [("all", 0.0), ("weights", 0.0), ("weights", 0.01)])
def test_static_sharpness_by_finite_differences(kind: Any, scale: Any, eta: float) -> None:
    model, (x, y) = dense(), features(12)
    objective = Objective(model, (x, y), batch_size=5, dtype=torch.float64)
    found = gradient_sharpness(objective, kind, rho=0.1, scale=scale, eta=eta)
    assert found == pytest.approx(reference.static_sharpness(model, x, y, kind, 0.1, scale, eta), rel=1e-7)


def test_coherence_by_the_gram_matrix() -> None:
    x, y = features(15)
    for model in (dense(), trained(dense(), x, y)):
        found = gradient_coherence(Objective(model, (x, y), dtype=torch.float64))
        assert found == pytest.approx(reference.coherence(model, x, y))
        assert 0 <= found <= 1


def test_equal_examples_are_coherent() -> None:
    x, y = torch.ones(4, 6), torch.ones(4, dtype=torch.int64)
    assert gradient_coherence(Objective(dense(), (x, y), dtype=torch.float64)) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["sam", "asam"])
@pytest.mark.parametrize("rho", [0.05, 1.0])
def test_worst_case_by_searching_the_circle(kind: Any, rho: float) -> None:
    model = nn.Linear(1, 2, bias=False)  # its loss is convex
    x, y = torch.randn(9, 1), torch.arange(9) % 2
    found = worst_case_sharpness(Objective(model, (x, y), dtype=torch.float64), kind, rho=rho, steps=40)
    expected = reference.worst_case_of_two_weights(model, x, y, kind, rho)
    assert found == pytest.approx(expected, rel=1e-4)
    assert expected > 1e-4


@pytest.mark.parametrize("kind", ["sam", "asam"])
def test_worst_case_is_worse_than_one_step_of_the_gradient(kind: Any) -> None:
    """The ascent beats eps of equation 2, and for a small radius both are the sharpness of Definitions 3 and 4."""
    x, y = features()
    model = trained(dense(), x, y, steps=20)
    objective = Objective(model, (x, y), dtype=torch.float64)
    function, w, names = reference.flat_function(model)
    g = reference.gradient(function, w, x, y)
    eps = reference.perturbation(w, g, reference.operator(w, names, kind, "all", 0.0), 0.5)
    rise = reference.loss(function, w + eps, x, y) - reference.loss(function, w, x, y)
    assert worst_case_sharpness(objective, kind, rho=0.5) > rise.item() > 0
    small = worst_case_sharpness(objective, kind, rho=1e-5)
    assert small == pytest.approx(gradient_sharpness(objective, kind, rho=1e-5), rel=1e-3)


def test_worst_case_starts_elsewhere_too() -> None:
    """At a minimum the gradient is 0, and only a random start finds a rise."""
    model = Flat()
    x, y = torch.ones(2, 1), torch.tensor([0, 1])
    objective = Objective(model, (x, y), dtype=torch.float64)
    assert worst_case_sharpness(objective, "sam", rho=1.0, restarts=1) == 0
    assert worst_case_sharpness(objective, "sam", rho=1.0, restarts=2) > 0.1


class Flat(nn.Module):
    """Logits (w, -w) at w = 0 with both labels present: a stationary point, the minimum."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.w * x, -self.w * x], dim=1)


def test_all_together() -> None:
    model, data = convolutional(), images(20)
    objective = Objective(model, data, dtype=torch.float64)
    found = baselines(model, data, dtype=torch.float64)
    assert found.to_dict() == {
        "loss": evaluate(model, data, dtype=torch.float64).loss,
        "accuracy": evaluate(model, data, dtype=torch.float64).accuracy,
        "sam": gradient_sharpness(objective, "sam"),
        "asam": gradient_sharpness(objective, "asam"),
        "worst_case": worst_case_sharpness(objective, "sam"),
        "magnitude_aware_worst_case": worst_case_sharpness(objective, "asam"),
        "gradient_coherence": gradient_coherence(objective),
    }


def test_progress_counts_every_example_of_every_pass() -> None:
    calls: list[tuple[int, int]] = []
    baselines(dense(), features(10), batch_size=4, progress=lambda done, total: calls.append((done, total)))
    assert {total for _, total in calls} == {PASSES * 10}
    assert calls[0] == (4, PASSES * 10) and calls[-1] == (PASSES * 10, PASSES * 10)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


def test_passes_of_any_size_give_the_same() -> None:
    model, data = convolutional(), images(20)
    one, all_ = (Objective(model, data, batch_size=size, dtype=torch.float64) for size in (3, 64))
    assert gradient_sharpness(one, "asam") == pytest.approx(gradient_sharpness(all_, "asam"))
    assert worst_case_sharpness(one, "asam", steps=3) == pytest.approx(worst_case_sharpness(all_, "asam", steps=3))


def test_leave_everything_as_it_was() -> None:
    model, data = convolutional().train(), images(10)
    before = snapshot(model)
    baselines(model, data)
    assert same(before, snapshot(model))


def test_a_failure_leaves_everything_as_it_was() -> None:
    model, (x, y) = convolutional().train(), images(10)
    y[9] = 5
    before = snapshot(model)
    for measure in (evaluate, baselines):
        with pytest.raises(ValueError, match=r"^labels: expected 0 to 4, the model's classes; record 9 has another$"):
            measure(model, (x, y))
    assert same(before, snapshot(model))


# ---- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.0, -1.0, float("inf"), float("nan")])
def test_radius_that_is_refused(rho: float) -> None:
    objective = Objective(dense(), features())
    for measure in (gradient_sharpness, worst_case_sharpness):
        with pytest.raises(ValueError, match=f"^rho: expected a positive number, got {rho}$"):
            measure(objective, "sam", rho=rho)


def test_numbers_that_are_refused() -> None:
    objective = Objective(dense(), features())
    for name in ("steps", "restarts"):
        with pytest.raises(ValueError, match=f"^{name}: expected a positive int, got 0$"):
            worst_case_sharpness(objective, "sam", **{name: 0})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^batch_size: expected a positive int, got 0$"):
        Objective(dense(), features(), batch_size=0)


def test_loss_that_is_not_finite() -> None:
    x, y = features()
    x[3] = torch.inf
    with pytest.raises(ValueError, match=r"^model: loss nan on the data set, expected a finite number$"):
        evaluate(dense(), (x, y))
    with pytest.raises(ValueError, match=r"^model: loss nan on the data set, expected a finite number$"):
        gradient_sharpness(Objective(dense(), (x, y)), "sam")


def test_coherence_without_gradients() -> None:
    model, x = Flat(), torch.zeros(3, 1)
    with pytest.raises(ValueError, match=f"^{re.escape('gradient coherence: undefined, every gradient is 0')}$"):
        gradient_coherence(Objective(model, (x, np.zeros(3, dtype=np.int64))))
