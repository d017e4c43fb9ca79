"""Training of one recipe: two epochs of warm-up, a cosine down to 0 by step, float32, no augmentation; deterministic.

Three points are kept: "accuracy", the first look that finds 90 % of the own labels learnt (where the paper stops some pairs),
"loss", the first that finds a loss of at most 0.01 (where it stops Table 1's), and "end"; and the ends of the epochs that the
recipe keeps, "epoch-N". A look evaluates LOOKED training images, at the end of every epoch and at every quarter when near.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.experiments.data import Images
from bench.experiments.training import evaluate
from bench.experiments_cifar.recipes import Recipe
from zkds.circuits.networks.torch_module import NetworkModule, build
from zkds.sharpness.perturbation import Scaling

WARM_UP = 2  # epochs
MOMENTUM = 0.9
RADII = {"sam": 0.05, "asam": 0.5}  # of the papers that introduced them
ACCURACY, LOSS = 0.9, 0.01
NEAR_ACCURACY, NEAR_LOSS = 0.85, 0.1  # of the running means
QUARTERS = 4
LOOKED = 2000

State = dict[str, Tensor]


@dataclass(frozen=True)
class Point:
    """epoch: how many epochs had passed, in fractions; state: on the CPU."""

    epoch: float
    state: State


@dataclass(frozen=True)
class Trained:
    """history: [mean loss, accuracy] of every epoch's training batches, in training mode. A run whose loss is not finite ends
    there and has no "end"."""

    points: dict[str, Point]
    history: list[list[float]]
    seconds: float  # of processor time


def train(recipe: Recipe, images: Images, device: str = "cpu", check: Callable[[], None] = lambda: None) -> Trained:
    """On the images as they are; the recipe's deviation has been applied. check: called at every step; may raise to end it."""
    started = time.process_time()
    torch.manual_seed(recipe.seed)
    run = _Run(recipe, images, build(recipe.architecture).to(device, memory_format=torch.channels_last))
    history: list[list[float]] = []
    while len(history) < recipe.epochs and (not history or math.isfinite(history[-1][0])):
        history.append(run.epoch(len(history), check))
    if math.isfinite(history[-1][0]):
        run.keep("end", recipe.epochs)
    return Trained(run.points, history, time.process_time() - started)


class _Run:
    def __init__(self, recipe: Recipe, images: Images, model: NetworkModule) -> None:
        self.recipe, self.images, self.model = recipe, images, model
        self.points: dict[str, Point] = {}
        self._batches = -(-len(images.y) // recipe.batch_size)
        self._optimizer = _optimizer(model, recipe)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)
        self._norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        if recipe.dropout:
            _drop_out(model, recipe.dropout)

    def _rate(self, step: int) -> float:
        warm, total = WARM_UP * self._batches, self.recipe.epochs * self._batches
        return (step + 1) / warm if step < warm else (1 + math.cos(math.pi * (step - warm) / max(1, total - warm))) / 2

    def epoch(self, number: int, check: Callable[[], None]) -> list[float]:
        """Its mean loss and accuracy in training mode."""
        self.model.train()
        loss, right, seen = 0.0, 0, 0
        quarter = max(1, self._batches // QUARTERS)
        for place, chosen in enumerate(torch.randperm(len(self.images.y)).split(self.recipe.batch_size), start=1):
            check()
            chosen = chosen.to(self.images.y.device)
            found, correct = self._step(self.images.x[chosen], self.images.y[chosen])
            loss, right, seen = loss + found * len(chosen), right + correct, seen + len(chosen)
            near = (right / seen >= NEAR_ACCURACY and "accuracy" not in self.points) or loss / seen <= NEAR_LOSS
            if place == self._batches or (near and place % quarter == 0):
                self._look(number + place / self._batches)
        if number + 1 in self.recipe.kept:
            self.keep(f"epoch-{number + 1}", number + 1)
        return [loss / seen, right / seen]

    def _look(self, epoch: float) -> None:
        if "accuracy" in self.points and "loss" in self.points:
            return
        loss, accuracy = evaluate(self.model, self.images.x[:LOOKED], self.images.y[:LOOKED])
        self.model.train()
        for name, reached in (("accuracy", accuracy >= ACCURACY), ("loss", loss <= LOSS)):
            if reached and name not in self.points:
                self.keep(name, epoch)

    def keep(self, name: str, epoch: float) -> None:
        state = {key: value.detach().cpu().clone() for key, value in self.model.state_dict().items()}
        self.points[name] = Point(epoch, state)

    def _step(self, x: Tensor, y: Tensor) -> tuple[float, int]:
        """Loss and correct answers of the batch before the step."""
        scores = self.model(x)
        loss = nn.functional.cross_entropy(scores, y)
        self._optimizer.zero_grad()
        loss.backward()
        if self.recipe.optimizer in RADII:
            self._sharpness_aware(x, y)
        self._optimizer.step()
        self._schedule.step()
        return loss.item(), int((scores.argmax(1) == y).sum())

    def _sharpness_aware(self, x: Tensor, y: Tensor) -> None:
        """Replaces the gradient at w by that at w + eps; running statistics stay those of w."""
        weights = dict(self.model.named_parameters())
        moved = [parameter.grad.clone() for parameter in weights.values() if parameter.grad is not None]
        with torch.no_grad():
            scaling = Scaling("asam" if self.recipe.optimizer == "asam" else "sam")
            scaling.perturb(list(weights), list(weights.values()), moved, RADII[self.recipe.optimizer])
            before = [parameter.clone() for parameter in weights.values()]
            _assign(weights.values(), moved)
        momenta = [norm.momentum for norm in self._norms]
        for norm in self._norms:
            norm.momentum = 0.0
        self._optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(x), y).backward()
        for norm, momentum in zip(self._norms, momenta, strict=True):
            norm.momentum = momentum
        _assign(weights.values(), before)


@torch.no_grad()
def _assign(parameters: Any, values: list[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), recipe.learning_rate, weight_decay=recipe.decay)
    return torch.optim.SGD(model.parameters(), recipe.learning_rate, momentum=MOMENTUM, weight_decay=recipe.decay)


def _drop_out(model: nn.Module, share: float) -> None:
    """The zoo's networks have no dropout: while this one trains, what enters its last layer is dropped."""
    *_, last = (module for module in model.modules() if isinstance(module, nn.Linear))
    last.register_forward_pre_hook(lambda module, inputs: nn.functional.dropout(inputs[0], share, module.training))


def restored(architecture: str, state: State) -> NetworkModule:
    """The network with these values, in evaluation mode."""
    model = build(architecture)
    model.load_state_dict(state)
    model.eval()
    return model
