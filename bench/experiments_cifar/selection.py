"""Which predictor is best, judged on models that it was not chosen by.

The models are split in two at random, SPLITS times. On one half the predictor with the strongest coefficient is chosen, with
its sign; on the other half it is judged. Beside it every predictor, its sign alone chosen so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.experiments_cifar.intervals import agreements

SPLITS = 200
CHOSEN = "the one chosen on the other half"

Score = Callable[[str, NDArray[np.intp]], float]  # of a predictor on some of the models; 0: says nothing, -1: the reverse


@dataclass(frozen=True)
class Judged:
    """score: the mean over the splits, on the held-out half. chosen: in which share of the splits it was the best one."""

    score: float
    spread: float
    chosen: float


def held_out(names: Sequence[str], models: int, score: Score) -> dict[str, Judged]:
    """For each predictor, and for CHOSEN. At least 4 models."""
    generator = np.random.default_rng(0)
    scores: dict[str, list[float]] = {name: [] for name in (*names, CHOSEN)}
    best: list[str] = []
    for _ in range(SPLITS):
        order = generator.permutation(models)
        half, other = order[: models // 2], order[models // 2 :]
        known = {name: score(name, half) for name in names}
        judged = {name: float(np.sign(known[name])) * score(name, other) for name in names}
        best.append(max(names, key=lambda name: abs(known[name])))
        for name in names:
            scores[name].append(judged[name])
        scores[CHOSEN].append(judged[best[-1]])
    return {
        name: Judged(float(np.mean(found)), float(np.std(found)), best.count(name) / SPLITS) for name, found in scores.items()
    }


def kendall_score(measures: Mapping[str, Sequence[float]], gaps: Sequence[float]) -> Score:
    """Kendall's coefficient with the gap, among the chosen models."""
    tables = {name: agreements(np.array(values), np.array(gaps)) for name, values in measures.items()}

    def score(name: str, chosen: NDArray[np.intp]) -> float:
        return float(tables[name][np.ix_(chosen, chosen)].sum() / (len(chosen) * (len(chosen) - 1)))

    return score


def detection_score(benign: Mapping[str, NDArray[np.float64]], faulty: Mapping[str, NDArray[np.float64]]) -> Score:
    """2 AUC - 1, the mean over the deviations: (deviations, seeds) values of both, seeds chosen."""

    def score(name: str, chosen: NDArray[np.intp]) -> float:
        low, high = benign[name][:, chosen], faulty[name][:, chosen]
        return float(np.sign(high[:, None, :] - low[:, :, None]).mean())

    return score
