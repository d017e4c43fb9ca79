"""Bootstrap intervals: of rank correlations over models, and of the area under the curve over benign and faulty models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from zkds.sharpness.ranks import probability_below

DRAWS = 1000
LEVEL = 0.95

Vector = NDArray[np.float64]
Groups = dict[str, list[NDArray[np.intp]]]  # axis -> the models of each group in which only this axis varies


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


def rank_intervals(values: Vector, gaps: Vector, groups: Groups, seed: int = 0) -> dict[str, Interval]:
    """Of "spearman", "kendall" and "granulated": the middle LEVEL of DRAWS samples of as many models with replacement.

    A model drawn twice is no pair with itself.
    """
    count = len(values)
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    weights = np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(np.float64)
    agreement = agreements(values, gaps)
    return {
        "spearman": _middle(_spearman(values[drawn], gaps[drawn])),
        "kendall": _middle(_weighted(agreement, weights)),
        "granulated": _middle(_granulated(agreement, weights, groups)),
    }


def agreements(values: Vector, gaps: Vector) -> Vector:
    """(n, n): 1 where two models are ordered alike, -1 where they are not, 0 for ties."""
    return np.sign(np.subtract.outer(values, values)) * np.sign(np.subtract.outer(gaps, gaps))


def _spearman(values: Vector, gaps: Vector) -> Vector:
    ranks = [stats.rankdata(part, axis=1) for part in (values, gaps)]
    a, b = (part - part.mean(1, keepdims=True) for part in ranks)
    with np.errstate(invalid="ignore"):
        found: Vector = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return found


def _weighted(agreement: Vector, weights: Vector) -> Vector:
    """Kendall's coefficient of every draw: (draws, n) weights -> (draws,); NaN where a draw has no pair."""
    pairs = weights.sum(1) ** 2 - (weights**2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Vector = ((weights @ agreement) * weights).sum(1) / np.where(pairs > 0, pairs, np.nan)
    return found


def _granulated(agreement: Vector, weights: Vector, groups: Groups) -> Vector:
    """The mean over axes of the mean over groups that the draw has a pair of."""
    axes = [
        _mean_known(np.stack([_weighted(agreement[np.ix_(group, group)], weights[:, group]) for group in each]))
        for each in groups.values()
    ]
    return _mean_known(np.stack(axes)) if axes else np.full(len(weights), np.nan)


def _mean_known(rows: Vector) -> Vector:
    """(k, draws) -> (draws,): the mean of what is not NaN."""
    known = ~np.isnan(rows)
    counts = known.sum(0)
    found: Vector = np.where(counts, np.where(known, rows, 0).sum(0) / np.maximum(counts, 1), np.nan)
    return found


def _middle(draws: Vector) -> Interval:
    known = draws[~np.isnan(draws)]
    if not len(known):
        return Interval(np.nan, np.nan)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def auc_interval(benign: Sequence[Sequence[float]], faulty: Sequence[Sequence[float]], seed: int = 0) -> tuple[float, Interval]:
    """The probability that a value of a benign model is below one of a faulty one; models, not values, are drawn again.

    Entry i of both: the values of one model, one for each probe.
    """
    low, high = np.asarray(benign, dtype=np.float64), np.asarray(faulty, dtype=np.float64)
    generator = np.random.default_rng(seed)
    draws = [
        probability_below(low[generator.integers(0, len(low), len(low))], high[generator.integers(0, len(high), len(high))])
        for _ in range(DRAWS)
    ]
    return probability_below(low, high), _middle(np.array(draws))


def varying_groups(axes: Sequence[dict[str, object]]) -> Groups:
    """For each axis, the groups of two or more models in which it alone varies."""
    found: Groups = {}
    for axis in axes[0] if axes else ():
        groups: dict[tuple[object, ...], list[int]] = {}
        for model, place in enumerate(axes):
            groups.setdefault(tuple(value for name, value in place.items() if name != axis), []).append(model)
        several = [np.array(group) for group in groups.values() if len(group) > 1]
        if several:
            found[axis] = several
    return found
