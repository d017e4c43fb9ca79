"""The loss, the statistic and the perturbation, each alone, at their limits."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zkds.sharpness.loss import example_losses
from zkds.sharpness.perturbation import Scaling, norm
from zkds.sharpness.statistic import fluctuation, ratio

pytestmark = pytest.mark.any_kernels

finite = st.floats(-50, 50, width=32)


def exact(logits: list[float], label: int) -> tuple[Decimal, list[Decimal]]:
    """The loss and its gradient in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        powers = [Decimal(z).exp() for z in logits]
        total = sum(powers)
        probabilities = [power / total for power in powers]
        deltas = [p - (i == label) for i, p in enumerate(probabilities)]
        return total.ln() - Decimal(logits[label]), deltas


@given(st.lists(finite, min_size=2, max_size=6), st.integers(0, 5), st.sampled_from([torch.float32, torch.float64]))
def test_loss_and_gradient_have_full_relative_precision(logits: list[float], label: int, dtype: torch.dtype) -> None:
    """Also where the loss is 1e-40: nothing cancels."""
    label %= len(logits)
    z = torch.tensor([logits], dtype=dtype, requires_grad=True)
    loss = example_losses(z, torch.tensor([label]))
    loss.sum().backward()
    expected, deltas = exact(logits, label)
    tolerance = 300 * torch.finfo(dtype).eps  # the logits' differences, up to 100, are rounded
    smallest = torch.finfo(dtype).tiny
    assert loss.item() == pytest.approx(float(expected), rel=tolerance, abs=smallest)
    assert z.grad is not None
    assert z.grad[0].tolist() == [pytest.approx(float(delta), rel=tolerance, abs=smallest) for delta in deltas]


def test_huge_logits_do_not_overflow() -> None:
    z = torch.tensor([[1000.0, -1000.0, 0.0]], requires_grad=True)
    assert example_losses(z, torch.tensor([1])).tolist() == [2000.0]
    assert example_losses(z, torch.tensor([0])).tolist() == [0.0]
    example_losses(z, torch.tensor([1])).sum().backward()
    assert z.grad is not None and z.grad.tolist() == [[1.0, -1.0, 0.0]]


@given(st.lists(st.tuples(st.floats(0, 1e3), st.just(0.0) | st.floats(1e-30, 1e3)), min_size=2, max_size=12))
def test_statistics(history: list[tuple[float, float]]) -> None:
    sharpness, losses = zip(*history, strict=True)
    ratios = [s * s / (loss if loss > 0 else 2.0**-32) for s, loss in history]
    assert fluctuation("log_ratio", sharpness, losses) == pytest.approx(np.std([math.log(r + 1e-12) for r in ratios]))
    assert fluctuation("raw", sharpness, losses) == pytest.approx(np.std(sharpness))
    assert fluctuation("log", sharpness, losses) == pytest.approx(np.std([math.log(s + 1e-12) for s in sharpness]))


def test_constant_history_does_not_fluctuate() -> None:
    assert all(fluctuation(statistic, [0.25] * 4, [0.5] * 4) == 0 for statistic in ("log_ratio", "raw", "log"))  # type: ignore[arg-type]


def test_a_loss_of_zero_counts_as_one_unit() -> None:
    assert ratio(2.0**-16, 0.0) == 1.0
    assert ratio(0.5, 2.0**-40) == 2.0**38  # other losses are taken as they are, smaller ones too


@pytest.mark.parametrize("kind", ["sam", "asam"])
def test_no_gradient_no_perturbation(kind: str) -> None:
    w, gradients = [torch.tensor([1.0, -2.0])], [torch.zeros(2)]
    Scaling(kind).perturb(["weight"], w, gradients, 0.05)  # type: ignore[arg-type]
    assert gradients[0].tolist() == [1.0, -2.0]


def test_asam_leaves_weights_of_zero_alone() -> None:
    w, gradients = [torch.tensor([0.0, 0.0])], [torch.ones(2)]
    Scaling("asam").perturb(["weight"], w, gradients, 0.05)
    assert gradients[0].tolist() == [0.0, 0.0]


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=5), st.sampled_from([0.0, 0.1]), st.data())
def test_perturbation_maximises_the_linear_model(w: list[float], eta: float, data: st.DataObject) -> None:
    """||T_w^-1 eps|| = rho and <g, eps> = rho ||T_w g||, the definition of ASAM's step (Kwon et al., equation 6)."""
    g = data.draw(st.lists(st.floats(0.1, 2), min_size=len(w), max_size=len(w)))
    parameter, gradient = torch.tensor(w, dtype=torch.float64), torch.tensor(g, dtype=torch.float64)
    scaling = Scaling("asam", "all", eta)
    perturbed = [gradient.clone()]
    scaling.perturb(["weight"], [parameter], perturbed, 0.05)
    eps = perturbed[0] - parameter
    length = scaling.norm(["weight"], [parameter], [gradient])
    assert torch.dot(eps, gradient).item() == pytest.approx(0.05 * length, rel=1e-6, abs=1e-12)


def test_norm_of_entries_whose_squares_underflow() -> None:
    tensors = [torch.full((3,), 1e-30), torch.full((1,), 1e-30)]
    assert norm(tensors) == pytest.approx(2e-30, rel=1e-6)
