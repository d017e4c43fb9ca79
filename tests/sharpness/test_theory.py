"""The paper's Lemma 1 and Theorem 2 as numbers: every mini-batch of a small data set, with this package's measures."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.harness.sharpness_networks import dense, features, trained
from zkds.sharpness import Objective, gradient_coherence, gradient_sharpness

pytestmark = pytest.mark.any_kernels

RHO = 0.05


@pytest.fixture(autouse=True)
def fixed_generator() -> None:
    torch.manual_seed(6)


def mean_square_sharpness(model: nn.Module, x: Tensor, y: Tensor, size: int, kind: Any = "sam", eta: float = 0.0) -> float:
    """E[s^2] over all mini-batches of `size` examples, without replacement."""
    subsets = [list(chosen) for chosen in itertools.combinations(range(len(y)), size)]
    objectives = (Objective(model, (x[chosen], y[chosen]), dtype=torch.float64) for chosen in subsets)
    return sum(gradient_sharpness(each, kind, rho=RHO, eta=eta) ** 2 for each in objectives) / len(subsets)


@pytest.mark.parametrize("steps", [0, 60])
@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_theorem_2(size: int, steps: int) -> None:
    """S_rms^2 - S^2 = rho^2 (N - B) / (B (N - 1)) (1 / N) sum ||g_i||^2 (1 - c_g): exact, for any network."""
    x, y = features(6)
    model = trained(dense(), x, y, steps)
    objective = Objective(model, (x, y), dtype=torch.float64)
    gap = mean_square_sharpness(model, x, y, size) - gradient_sharpness(objective, "sam", rho=RHO) ** 2
    mean_square = mean_square_sharpness(model, x, y, 1) / RHO**2  # of the examples' gradients
    factor = RHO**2 * (6 - size) / (size * 5) * mean_square
    assert gap == pytest.approx(factor * (1 - gradient_coherence(objective)), rel=1e-9, abs=1e-18)


@pytest.mark.parametrize(("kind", "eta"), [("sam", 0.0), ("asam", 0.1)])
@pytest.mark.parametrize("size", [1, 3])
def test_lemma_1(size: int, kind: Any, eta: float) -> None:
    """2 rho^2 mu L <= E[s^2 | w] <= rho^2 (2 L_s + sigma^2 / B) L along a trajectory of SAM, and the remark's bounds for ASAM.

    Softmax regression, whose smoothness is known: the Hessian of cross-entropy in the logits is at most 1/2 (Boehning 1992), so
    L_s = lambda_max(X^T X / N) / 2. mu and sigma are the best ones for the points of the trajectory.
    """
    x, y = features(7)
    x = torch.cat([x, torch.ones(7, 1)], dim=1)
    smoothness = torch.linalg.eigvalsh(x.double().T @ x.double() / 7).max().item() / 2
    points = [point(model, x, y, size, kind, eta) for model in trajectory(x, y)]
    mu = min(p["gradient"] / (2 * p["loss"]) for p in points)
    sigma = max(p["noise"] / p["loss"] for p in points)
    largest = max(p["largest"] for p in points)
    lower = 2 * RHO**2 * mu * (eta**2 if kind == "asam" else 1)
    upper = RHO**2 * (2 * smoothness + sigma / size) * (largest**2 if kind == "asam" else 1)
    for p in points:
        assert lower * p["loss"] <= p["sharpness"] <= upper * p["loss"]


def point(model: nn.Module, x: Tensor, y: Tensor, size: int, kind: Any, eta: float) -> dict[str, float]:
    """At the weights of one step: loss, ||g||^2, E||g_i - g||^2, E[s^2], and the largest entry of T_w."""
    objective = Objective(model, (x, y), dtype=torch.float64)
    loss, _ = objective.value_and_gradient(objective.network.initial)
    gradient = gradient_sharpness(objective, "sam", rho=1.0) ** 2
    return {
        "loss": loss,
        "gradient": gradient,
        "noise": mean_square_sharpness(model, x, y, 1) / RHO**2 - gradient,
        "sharpness": mean_square_sharpness(model, x, y, size, kind, eta),
        "largest": max(parameter.abs().max().item() for parameter in model.parameters()) + eta,
    }


def trajectory(x: Tensor, y: Tensor) -> list[nn.Module]:
    """Softmax regression after 0, 20, ..., 80 steps of full-batch SAM."""
    models = []
    weight = torch.randn(3, x.shape[1])
    for step in range(81):
        if step % 20 == 0:
            model = nn.Linear(x.shape[1], 3, bias=False)
            model.weight.data = weight.clone()
            models.append(model)
        perturbed = weight
        for rate in (0.05, -0.5):  # the ascent, then the descent from there
            leaf = perturbed.clone().requires_grad_()
            (g,) = torch.autograd.grad(nn.functional.cross_entropy(x @ leaf.T, y), leaf)
            perturbed = weight + rate * (g / g.norm() if rate > 0 else g)
        weight = perturbed
    return models
