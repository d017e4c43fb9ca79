"""Training for the experiments: SGD with momentum, Adam, or SAM over SGD; one thread; deterministic for a seed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.experiments.data import Images

EVALUATION_BATCH = 2000
STOP_RECORDS = 1000
STOP_CHECKS = 8  # an epoch


@dataclass(frozen=True)
class Recipe:
    """optimizer: sgd, adam or sam (arXiv 2010.01412, radius rho over SGD). decay: weight decay."""

    optimizer: str = "sgd"
    learning_rate: float = 0.02
    batch_size: int = 64
    epochs: int = 20
    decay: float = 0.0
    rho: float = 0.05
    momentum: float = 0.9


@dataclass(frozen=True)
class Stop:
    """A copy of the model is kept when its accuracy on the first STOP_RECORDS of these images first reaches `accuracy`."""

    x: Tensor
    y: Tensor
    accuracy: float


@dataclass(frozen=True)
class Training:
    """final: the model after the last epoch; stopped: the copies that were asked for and reached; checkpoints: the models at
    the end of the kept epochs."""

    final: nn.Module
    stopped: dict[str, nn.Module]
    checkpoints: dict[int, nn.Module]


def train(
    build: Callable[[], nn.Module],
    images: Images,
    recipe: Recipe,
    seed: int,
    *,
    stops: Mapping[str, Stop] | None = None,
    keep: Iterable[int] = (),
) -> Training:
    """Initial weights and the order of the records come from `seed`."""
    torch.manual_seed(seed)
    model = build()
    optimizer = _optimizer(model, recipe)
    waiting, kept = dict(stops or {}), set(keep)
    stopped: dict[str, nn.Module] = {}
    checkpoints: dict[int, nn.Module] = {}
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        batches = torch.randperm(len(images.y)).split(recipe.batch_size)
        for number, batch in enumerate(batches, start=1):
            _step(model, optimizer, images.x[batch], images.y[batch], recipe)
            if waiting and number % max(1, len(batches) // STOP_CHECKS) == 0:
                for name in [name for name, stop in waiting.items() if _reached(model, stop)]:
                    stopped[name] = copy.deepcopy(model).eval()
                    del waiting[name]
                model.train()
        if epoch in kept:
            checkpoints[epoch] = copy.deepcopy(model).eval()
    return Training(model.eval(), stopped, checkpoints)


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.decay)
    return torch.optim.SGD(model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.decay)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, recipe: Recipe) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    if recipe.optimizer == "sam":
        with torch.no_grad():
            gradients = [parameter.grad for parameter in model.parameters()]
            scale = recipe.rho / (math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients)) + 1e-12)
            before = [parameter.clone() for parameter in model.parameters()]
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.add_(gradient, alpha=scale)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), before, strict=True):
                parameter.copy_(value)
    optimizer.step()


def _reached(model: nn.Module, stop: Stop) -> bool:
    return evaluate(model, stop.x[:STOP_RECORDS], stop.y[:STOP_RECORDS])[1] >= stop.accuracy


@torch.no_grad()
def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """(mean cross entropy, accuracy)."""
    model.eval()
    loss, correct = 0.0, 0
    for part, labels in zip(x.split(EVALUATION_BATCH), y.split(EVALUATION_BATCH), strict=True):
        logits = model(part)
        loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
        correct += int((logits.argmax(1) == labels).sum())
    return loss / len(y), correct / len(y)


def quantized(model: nn.Module, bits: int) -> nn.Module:
    """A copy whose weight tensors are rounded to 2^bits - 1 levels each, symmetric about 0, the largest weight exact."""
    result = copy.deepcopy(model)
    levels = 2 ** (bits - 1) - 1
    with torch.no_grad():
        for parameter in result.parameters():
            if parameter.ndim > 1:
                step = parameter.abs().max() / levels
                parameter.copy_((parameter / step).round() * step)
    return result
