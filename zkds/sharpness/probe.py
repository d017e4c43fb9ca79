"""Directional sharpness: T steps of SAM from the model's weights, and how much the sharpness fluctuates (Algorithm 1)."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zkds.dataset.sampling import SEED_BYTES, batches, probe_seed
from zkds.sharpness.config import SharpnessConfig
from zkds.sharpness.examples import Batch, Examples, as_examples
from zkds.sharpness.network import Network, leaves
from zkds.sharpness.perturbation import Scaling
from zkds.sharpness.result import Probe, SharpnessResult, Step
from zkds.sharpness.statistic import fluctuation, ratio

Progress = Callable[[int, int], None]  # steps done, steps in all


def directional_sharpness(
    model: nn.Module,
    dataset: Any,
    config: SharpnessConfig | None = None,
    seed: bytes | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> SharpnessResult:
    """Definition 5 of the paper. The model is only read: parameters, buffers, gradients, flags and generators stay as they are.

    dataset         zkds records, a pair (x, y) of tensors or arrays, or a map-style torch data set
    config          default SharpnessConfig()
    seed            32 bytes, r; default: fresh ones from the operating system. The batches are those of a proof with this r
    device, dtype   default: the model's; float32 or float64
    progress        called with (steps done, steps in all)

    Raises ValueError naming the cause: fewer records than steps * batch_size, a model without parameters, labels
    without a logit, a loss or gradient that is not finite.
    """
    config = config or SharpnessConfig()
    seed = os.urandom(SEED_BYTES) if seed is None else seed
    examples = as_examples(dataset)
    seeds = [probe_seed(seed, number) for number in range(config.probes)]
    plans = [batches(each, examples.count, config.steps, config.batch_size) for each in seeds]
    network = _network(model, config, device, dtype)
    report = _counter(progress, config.probes * config.steps)
    with network.isolated():
        histories = [_trajectory(network, examples, config, plan, report) for plan in plans]
    probes = tuple(_probe(each, history, config) for each, history in zip(seeds, histories, strict=True))
    return SharpnessResult(
        config,
        seed,
        probes,
        examples.count,
        network.classes,
        str(network.dtype),
        str(network.device),
        data_classes=examples.classes,
    )


def probe_batches(
    model: nn.Module,
    dataset: Any,
    config: SharpnessConfig,
    plan: Sequence[Sequence[int]],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Probe:
    """One probe on given batches: `plan` lists the record indices of every step, repeats allowed.

    For scores of single records, as in the paper's membership inference (Section 5.2): [[i]] * steps. Of the configuration,
    batch_size, steps and probes are not used.
    """
    examples = as_examples(dataset)
    checked = _checked(plan, examples.count)
    network = _network(model, config, device, dtype)
    with network.isolated():
        return _probe(None, _trajectory(network, examples, config, checked, lambda: None), config)


def _network(
    model: nn.Module, config: SharpnessConfig, device: torch.device | str | None, dtype: torch.dtype | None
) -> Network:
    return Network(model, batch_norm=config.batch_norm, parameters=config.parameters, device=device, dtype=dtype)


def _checked(plan: Sequence[Sequence[int]], count: int) -> list[list[int]]:
    """The plan in Python ints. Raises TypeError for indices that are not integers, ValueError for those of no record."""
    indices = [[operator.index(index) for index in batch] for batch in plan]
    if len(indices) < 2 or not all(indices):
        raise ValueError("plan: expected two or more batches, none of them empty")
    outside = [index for batch in indices for index in batch if not 0 <= index < count]
    if outside:
        raise ValueError(f"plan: expected record indices from 0 to {count - 1}, got {outside[0]}")
    return indices


def _counter(progress: Progress | None, total: int) -> Callable[[], None]:
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    return report


def _probe(seed: bytes | None, history: Sequence[Step], config: SharpnessConfig) -> Probe:
    value = fluctuation(config.statistic, [step.sharpness for step in history], [step.loss for step in history])
    return Probe(seed, value, tuple(history))


def _trajectory(
    network: Network, examples: Examples, config: SharpnessConfig, plan: Sequence[Sequence[int]], report: Callable[[], None]
) -> list[Step]:
    """The history: two passes a step, but one in the last, whose update nothing would see."""
    weights: Sequence[Tensor] = network.initial
    history: list[Step] = []
    for t, indices in enumerate(plan):
        batch = examples.fetch(indices)
        step, gradients = _first_pass(network, config, weights, batch, tuple(indices))
        if not all(map(math.isfinite, (step.loss, step.sharpness, step.ratio, step.margin))):
            raise ValueError(f"step {t}: loss {step.loss} and sharpness {step.sharpness}, expected finite numbers")
        history.append(step)
        if t + 1 < len(plan):
            weights = _update(network, config, weights, gradients, batch, indices)
        report()
    return history


def _first_pass(
    network: Network, config: SharpnessConfig, weights: Sequence[Tensor], batch: Batch, indices: tuple[int, ...]
) -> tuple[Step, list[Tensor]]:
    """What step t measures at w_t, and the gradient of L_t there."""
    parameters = leaves(weights)
    losses, correct, margins = network.losses(parameters, *batch, indices)
    mean = losses.mean()
    gradients = network.gradient(mean, parameters)
    scaling = Scaling(config.sharpness, config.scale, config.eta)
    sharpness = config.rho * scaling.norm(network.names, weights, gradients)
    loss, accuracy = mean.item(), correct.double().mean().item()
    return Step(indices, sharpness, loss, ratio(sharpness, loss), accuracy, margins.max().item()), gradients


def _update(
    network: Network,
    config: SharpnessConfig,
    weights: Sequence[Tensor],
    gradients: list[Tensor],
    batch: Batch,
    indices: Sequence[int],
) -> list[Tensor]:
    """w - lr * grad L(w + eps), plain gradient descent. The list of gradients at w is used up."""
    scaling = Scaling(config.perturbation, config.scale, config.eta)
    scaling.perturb(network.names, weights, gradients, config.rho)
    perturbed = leaves(gradients)
    gradients.clear()  # so that nothing holds w + eps longer than this function
    losses, _, _ = network.losses(perturbed, *batch, indices)
    descent = network.gradient(losses.mean(), perturbed)
    for i, w in enumerate(weights):
        descent[i] = torch.add(w, descent[i], alpha=-config.learning_rate)
    return descent
