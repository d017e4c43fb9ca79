"""The loss on a whole data set as a function of the weights; for the static baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zkds.sharpness.config import Parameters
from zkds.sharpness.examples import as_examples
from zkds.sharpness.network import Network, leaves


@dataclass(frozen=True)
class Evaluation:
    """losses: (N,) float64, nats; correct: (N,) bool, whether the first largest logit is the label's. Both on the CPU."""

    losses: Tensor
    correct: Tensor

    @property
    def loss(self) -> float:
        return self.losses.mean().item()

    @property
    def accuracy(self) -> float:
        return self.correct.double().mean().item()


class Objective:
    """L_D(w) for any weights w, of the data sets and models that `directional_sharpness` takes, which stay as they are.

    batch_size: examples in a pass, a matter of memory and speed: batch norm uses its running statistics, so no value depends
    on it. parameters: which are measured, as in `SharpnessConfig`. device, dtype: default the model's. progress: called with
    the number of examples of every pass.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Any,
        *,
        batch_size: int = 256,
        parameters: Parameters = "all",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(f"batch_size: expected a positive int, got {batch_size!r}")
        self.examples = as_examples(dataset)
        self.network = Network(model, parameters=parameters, device=device, dtype=dtype)
        self._batch_size = batch_size
        self._progress = progress

    def evaluate(self, parameters: Sequence[Tensor]) -> Evaluation:
        """Loss and correctness of every example."""
        with self.network.isolated(), torch.no_grad():
            found = [(losses.double().cpu(), correct.cpu()) for losses, correct in self._passes(parameters, self._batch_size)]
        evaluation = Evaluation(*map(torch.cat, zip(*found, strict=True)))
        _check_finite("loss", evaluation.loss)
        return evaluation

    def value_and_gradient(self, parameters: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
        """L_D(w) and its gradient, added up over the passes."""
        points = leaves(parameters)
        total, gradients = 0.0, [torch.zeros_like(w) for w in parameters]
        with self.network.isolated():
            for losses, _ in self._passes(points, self._batch_size):
                total += losses.detach().double().sum().item()
                parts = self.network.gradient(losses.sum() / self.examples.count, points)
                gradients = [gradient.add_(part) for gradient, part in zip(gradients, parts, strict=True)]
        _check_finite("loss", total)
        return total / self.examples.count, gradients

    def example_gradients(self, parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
        """The gradient of each example's loss, one after the other: N passes, room for one gradient. Iterate it isolated."""
        points = leaves(parameters)
        for losses, _ in self._passes(points, 1):
            yield self.network.gradient(losses.sum(), points)

    def _passes(self, parameters: Sequence[Tensor], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Losses and correctness of `size` examples at a time."""
        for indices, batch in self.examples.chunks(size):
            losses, correct, _ = self.network.losses(parameters, *batch, indices)
            yield losses, correct
            if self._progress:
                self._progress(len(indices))


def _check_finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"model: {what} {value} on the data set, expected a finite number")
