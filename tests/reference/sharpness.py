"""Directional sharpness and the static baselines, written down from the paper: one flat vector of weights, nothing reused.

A model is a function `logits(w, x)` of a flat float64 vector w; the gradients are those of torch.autograd.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Function = Callable[[Tensor, Tensor], Tensor]


def flat_function(model: nn.Module, batch_norm: str = "eval") -> tuple[Function, Tensor, list[str]]:
    """A deep copy of the model in float64 as a function of one vector, the vector now, and the name of every entry."""
    copied = copy.deepcopy(model).double().eval()
    for module in copied.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(batch_norm == "train")
    named = [(name, p) for name, p in copied.named_parameters() if p.requires_grad]
    vector = torch.cat([p.detach().reshape(-1) for _, p in named])
    names = [name for name, p in named for _ in range(p.numel())]

    def logits(w: Tensor, x: Tensor) -> Tensor:
        pieces = w.split([p.numel() for _, p in named])
        values = {name: piece.reshape(p.shape) for (name, p), piece in zip(named, pieces, strict=True)}
        output: Tensor = torch.func.functional_call(copied, values, (x.double(),))
        return output

    return logits, vector, names


def loss(function: Function, w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Mean over the batch of logsumexp(z) - z[y]."""
    z = function(w, x)
    return sum((torch.logsumexp(z[b], 0) - z[b, y[b]] for b in range(len(y))), torch.zeros(())) / len(y)


def gradient(function: Function, w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    w = w.detach().clone().requires_grad_()
    loss(function, w, x, y).backward()
    assert w.grad is not None
    return w.grad


def operator(w: Tensor, names: Sequence[str], kind: str, scale: str, eta: float) -> Tensor:
    """The diagonal of T_w."""
    if kind == "sam":
        return torch.ones_like(w)
    scaled = torch.tensor([scale == "all" or "weight" in name for name in names])
    return torch.where(scaled, w.abs() + eta, torch.ones_like(w))


def perturbation(w: Tensor, g: Tensor, t: Tensor, rho: float) -> Tensor:
    """rho T_w^2 g / ||T_w g||, the maximiser of <g, eps> over ||T_w^-1 eps|| <= rho."""
    length = (t * g).square().sum().sqrt()
    return rho * t * (t * g) / length if length > 0 else torch.zeros_like(w)


def history(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    plan: Sequence[Sequence[int]],
    *,
    rho: float,
    learning_rate: float,
    sharpness: str,
    perturbed: str,
    scale: str,
    eta: float,
    batch_norm: str,
) -> list[dict[str, float]]:
    """Algorithm 1: sharpness, loss, ratio and accuracy of each step. `perturbed`: the kind of the update, sam or asam."""
    function, w, names = flat_function(model, batch_norm)
    steps = []
    for batch in plan:
        xb, yb = x[list(batch)], y[list(batch)]
        g = gradient(function, w, xb, yb)
        value = loss(function, w, xb, yb).item()
        s = rho * (operator(w, names, sharpness, scale, eta) * g).norm().item()
        guesses = function(w, xb).argmax(1)
        right = sum(int(guesses[b] == yb[b]) for b in range(len(yb))) / len(yb)
        steps.append({"sharpness": s, "loss": value, "ratio": s * s / (value or 2.0**-32), "accuracy": right})
        eps = perturbation(w, g, operator(w, names, perturbed, scale, eta), rho)
        w = w - learning_rate * gradient(function, w + eps, xb, yb)
    return steps


def fluctuation(history: Sequence[dict[str, float]], statistic: str) -> float:
    values = {
        "log_ratio": [math.log(step["ratio"] + 1e-12) for step in history],
        "raw": [step["sharpness"] for step in history],
        "log": [math.log(step["sharpness"] + 1e-12) for step in history],
    }[statistic]
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


# ---- on a whole data set -----------------------------------------------------------------------------------------------


def slope(function: Function, w: Tensor, x: Tensor, y: Tensor, step: float = 1e-5) -> Tensor:
    """The gradient of the mean loss by central differences: no autograd."""
    with torch.no_grad():
        units = torch.eye(len(w), dtype=w.dtype) * step
        rises = [loss(function, w + unit, x, y) - loss(function, w - unit, x, y) for unit in units]
    return torch.stack(rises) / (2 * step)


def static_sharpness(
    model: nn.Module, x: Tensor, y: Tensor, kind: str, rho: float, scale: str = "all", eta: float = 0.0
) -> float:
    """Definitions 3 and 4: rho ||T_w g||."""
    function, w, names = flat_function(model)
    return rho * (operator(w, names, kind, scale, eta) * slope(function, w, x, y)).norm().item()


def gram_matrix(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """G_ij = <g_i, g_j>, the gradients of single examples: (N, N) float64."""
    function, w, _ = flat_function(model)
    gradients = torch.stack([gradient(function, w, x[i : i + 1], y[i : i + 1]) for i in range(len(y))])
    return gradients @ gradients.T


def coherence(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Definition 7, by its first formula."""
    g = gram_matrix(model, x, y)
    count = len(y)
    return ((g.sum() / count**2) / (g.trace() / count)).item()


def worst_case_of_two_weights(model: nn.Module, x: Tensor, y: Tensor, kind: str, rho: float, angles: int = 720) -> float:
    """Definitions 1 and 2 for a network of two weights whose loss is convex: the maximum is on the circle. A grid of it."""
    function, w, names = flat_function(model)
    assert len(w) == 2
    t = operator(w, names, kind, "all", 0.0)
    turns = [2 * math.pi * k / angles for k in range(angles)]
    with torch.no_grad():
        points = [w + rho * t * torch.tensor([math.cos(a), math.sin(a)], dtype=w.dtype) for a in turns]
        return max(loss(function, point, x, y).item() for point in points) - loss(function, w, x, y).item()
