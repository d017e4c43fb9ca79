"""Static measures on the whole data set, to compare directional sharpness with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from zkds.sharpness.ascent import RESTARTS, STEPS, worst_case_sharpness
from zkds.sharpness.config import Kind, Parameters, Scale
from zkds.sharpness.examples import as_examples
from zkds.sharpness.objective import Evaluation, Objective
from zkds.sharpness.perturbation import Scaling, check_radius, norm

PASSES = 4 + 2 * (1 + RESTARTS * (STEPS + 1))  # of `baselines`; fewer if an ascent ends at a gradient of 0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Baselines:
    """Of one model on one data set: loss in nats; the sharpnesses of Definitions 3, 4, 1 and 2; Definition 7's coherence."""

    loss: float
    accuracy: float
    sam: float
    asam: float
    worst_case: float
    magnitude_aware_worst_case: float
    gradient_coherence: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def baselines(
    model: nn.Module,
    dataset: Any,
    *,
    rho: float = 0.05,
    batch_size: int = 256,
    parameters: Parameters = "all",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> Baselines:
    """All of them, with the settings of `Objective`: PASSES over the data, one of them example by example.

    progress: called with (examples done, examples in all), where every pass counts again.
    """
    report = None if progress is None else _examples_done(progress, PASSES * as_examples(dataset).count)
    objective = Objective(
        model, dataset, batch_size=batch_size, parameters=parameters, device=device, dtype=dtype, progress=report
    )
    evaluation = objective.evaluate(objective.network.initial)
    return Baselines(
        evaluation.loss,
        evaluation.accuracy,
        gradient_sharpness(objective, "sam", rho=rho),
        gradient_sharpness(objective, "asam", rho=rho),
        worst_case_sharpness(objective, "sam", rho=rho),
        worst_case_sharpness(objective, "asam", rho=rho),
        gradient_coherence(objective),
    )


def _examples_done(progress: Progress, total: int) -> Callable[[int], None]:
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return report


def evaluate(
    model: nn.Module,
    dataset: Any,
    *,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Evaluation:
    """Loss and correctness of every example, with the settings of `Objective`."""
    objective = Objective(model, dataset, batch_size=batch_size, device=device, dtype=dtype)
    return objective.evaluate(objective.network.initial)


def gradient_sharpness(objective: Objective, kind: Kind, *, rho: float = 0.05, scale: Scale = "all", eta: float = 0.0) -> float:
    """SAM (Definition 3) or ASAM sharpness (Definition 4) on all of the data: rho ||T_w grad L_D(w)||."""
    check_radius(rho)
    network = objective.network
    _, gradients = objective.value_and_gradient(network.initial)
    return rho * Scaling(kind, scale, eta).norm(network.names, network.initial, gradients)


def gradient_coherence(objective: Objective) -> float:
    """Definition 7: ||g||^2 over the mean of ||g_i||^2, between 0 and 1. N passes of one example.

    Raises ValueError if all gradients are 0.
    """
    network, count = objective.network, objective.examples.count
    mean = [torch.zeros_like(w) for w in network.initial]
    squares = 0.0
    with network.isolated():
        for gradients in objective.example_gradients(network.initial):
            squares += norm(gradients) ** 2
            mean = [total.add_(part, alpha=1 / count) for total, part in zip(mean, gradients, strict=True)]
    if not squares:
        raise ValueError("gradient coherence: undefined, every gradient is 0")
    return norm(mean) ** 2 * count / squares
