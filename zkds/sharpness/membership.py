"""Membership inference with one score for each example (Section 5.2, Table 4): how much a model tells about its training set.

An example is taken as the only training data and B = 1, so all T steps of a probe see the same record and there is no seed.
Three scores come out of one probe: the loss, the static ASAM sharpness (both at the model as it is, step 0) and directional
sharpness. F of one example is the drift of log r_t over T small steps, which float32 would drown, so everything is computed
in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from joblib import delayed
from numpy.typing import NDArray

from zkds.sharpness import SharpnessConfig, probe_batches
from zkds.sharpness.grid import Progress, Workers
from zkds.sharpness.ranks import probability_below

EXAMPLES_PER_TASK = 50

Score = Literal["loss", "asam", "sharpness"]
SCORES: tuple[Score, ...] = ("loss", "asam", "sharpness")
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Attack:
    """How well one score tells members from non-members; lower scores are taken for members.

    auc        the probability that a member scores lower than a non-member; 0.5 is chance, below it the score misleads
    accuracy   of the best threshold, on as many members as non-members (balanced accuracy otherwise)
    threshold  the largest score that it takes for a member
    """

    score: Score
    auc: float
    accuracy: float
    threshold: float


def example_scores(
    model: torch.nn.Module,
    x: Any,
    y: Any,
    config: SharpnessConfig,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> dict[Score, Vector]:
    """x (N, ...) and y (N,), tensors or arrays as for `directional_sharpness` -> the scores of each example, (N,) float64.

    config's batch_size and probes are not used; jobs and progress as for `measure_grid`. Raises ValueError as
    `directional_sharpness` does.
    """
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    if len(x) != len(y) or not len(x):
        raise ValueError(f"expected as many labels as examples, at least one, got {len(y)} and {len(x)}")
    starts = range(0, len(x), EXAMPLES_PER_TASK)
    parts = Workers(len(x), progress, unit=EXAMPLES_PER_TASK, n_jobs=jobs)(
        delayed(_scores)(model, x[start : start + EXAMPLES_PER_TASK], y[start : start + EXAMPLES_PER_TASK], config)
        for start in starts
    )
    table = np.concatenate(parts)
    return {score: table[:, column] for column, score in enumerate(SCORES)}


def _scores(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, config: SharpnessConfig) -> NDArray[np.float64]:
    """(k, 3): the scores of k examples, in the order of SCORES."""
    table = np.empty((len(x), len(SCORES)))
    for example in range(len(x)):
        probe = probe_batches(model, (x, y), config, [[example]] * config.steps, dtype=torch.float64)
        table[example] = probe.history[0].loss, probe.history[0].sharpness, probe.value
    return table


def attack(score: Score, members: Sequence[float] | Vector, others: Sequence[float] | Vector) -> Attack:
    """The best threshold attack with this score. Raises ValueError for an empty or non-finite side."""
    inside, outside = np.asarray(members, dtype=np.float64), np.asarray(others, dtype=np.float64)
    for name, values in (("members", inside), ("others", outside)):
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
            raise ValueError(f"{name}: expected one finite score for each example, at least one")
    candidates = np.unique(np.concatenate([inside, outside]))
    caught = np.searchsorted(np.sort(inside), candidates, side="right") / len(inside)
    mistaken = np.searchsorted(np.sort(outside), candidates, side="right") / len(outside)
    accuracy = (caught + 1 - mistaken) / 2
    best = int(accuracy.argmax())
    return Attack(score, probability_below(inside, outside), float(accuracy[best]), float(candidates[best]))


def membership(
    model: torch.nn.Module,
    members: tuple[Any, Any],
    others: tuple[Any, Any],
    config: SharpnessConfig,
    *,
    jobs: int | None = None,
) -> list[Attack]:
    """Attack with each of SCORES. members: (x, y) that the model was trained on; others: (x, y) that it has not seen."""
    inside = example_scores(model, *members, config, jobs=jobs)
    outside = example_scores(model, *others, config, jobs=jobs)
    return [attack(score, inside[score], outside[score]) for score in SCORES]
