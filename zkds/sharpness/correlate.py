"""Does a measure follow the generalization gap? Rank correlations over a grid of checkpoints (Section 4.5, Table 1).

Spearman's rho and Kendall's tau (tau-b) are scipy's. The granulated Kendall coefficient is that of Jiang et al. (ICLR 2020,
arXiv 1912.02178): the mean over hyperparameters of the mean rank correlation between models that differ in this one
hyperparameter alone. It is not fooled by a measure that only tells, say, architectures apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MIN_MODELS = 3  # fewer have no rank correlation worth a number

Vector = NDArray[np.float64]
Hyperparameters = Mapping[str, object]  # name -> value, hashable


@dataclass(frozen=True)
class Correlation:
    """How one measure follows the gap. Coefficients lie in [-1, 1]; NaN where they are not defined (a constant measure).

    p_value  of the null hypothesis that Kendall's tau is 0
    axes     the granulated coefficient of each hyperparameter that varies; `granulated` is their mean
    """

    measure: str
    models: int
    spearman: float
    kendall: float
    p_value: float
    granulated: float
    axes: Mapping[str, float]


def correlate(
    measures: Mapping[str, Sequence[float]], gaps: Sequence[float], hyperparameters: Sequence[Hyperparameters]
) -> list[Correlation]:
    """One Correlation for each measure; entry i of everything belongs to model i.

    measures         name -> one value for each model
    gaps             test loss - train loss of each model
    hyperparameters  of each model, all with the same names; `granulated` is NaN if none varies alone
    Raises ValueError naming what has another length or is not finite.
    """
    target = _finite("gaps", gaps, len(gaps))
    if len(target) < MIN_MODELS:
        raise ValueError(f"gaps: expected at least {MIN_MODELS} models, got {len(target)}")
    if len(hyperparameters) != len(target):
        raise ValueError(f"hyperparameters: expected one set for each of {len(target)} models, got {len(hyperparameters)}")
    if any(set(each) != set(hyperparameters[0]) for each in hyperparameters):
        raise ValueError("hyperparameters: expected the same names for all models")
    if hyperparameters[0] and len({tuple(sorted(each.items(), key=lambda item: item[0])) for each in hyperparameters}) < len(
        target
    ):
        raise ValueError("hyperparameters: expected no two models with the same; number repeated runs in a column of their own")
    return [
        _correlation(name, _finite(name, values, len(target)), target, hyperparameters) for name, values in measures.items()
    ]


def _finite(name: str, values: Sequence[float], count: int) -> Vector:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (count,):
        raise ValueError(f"{name}: expected one number for each of {count} models, got shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name}: expected finite numbers, model {int(np.argmin(np.isfinite(vector)))} has another")
    return vector


def _correlation(name: str, values: Vector, gaps: Vector, hyperparameters: Sequence[Hyperparameters]) -> Correlation:
    axes = granulated_kendall(values, gaps, hyperparameters)
    constant = np.ptp(values) == 0 or np.ptp(gaps) == 0
    spearman = math.nan if constant else float(stats.spearmanr(values, gaps).statistic)
    kendall = stats.kendalltau(values, gaps)
    return Correlation(
        measure=name,
        models=len(values),
        spearman=spearman,
        kendall=float(kendall.statistic),
        p_value=float(kendall.pvalue),
        granulated=sum(axes.values()) / len(axes) if axes else math.nan,
        axes=axes,
    )


def granulated_kendall(values: Vector, gaps: Vector, hyperparameters: Sequence[Hyperparameters]) -> dict[str, float]:
    """psi for each hyperparameter: the mean of `sign_agreement` over the groups of models in which only it varies.

    A hyperparameter that never varies alone has no psi. Models missing from the grid (not converged) just make groups smaller.
    """
    coefficients = {}
    for axis in hyperparameters[0]:
        groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for model, setting in enumerate(hyperparameters):
            groups[tuple(setting[name] for name in hyperparameters[0] if name != axis)].append(model)
        agreements = [sign_agreement(values[group], gaps[group]) for group in groups.values() if len(group) > 1]
        if agreements:
            coefficients[axis] = sum(agreements) / len(agreements)
    return coefficients


def sign_agreement(values: Vector, gaps: Vector) -> float:
    """Kendall's coefficient as Jiang et al. define it: the mean of sign(v_i - v_j) sign(g_i - g_j) over pairs i != j."""
    signs = np.sign(np.subtract.outer(values, values)) * np.sign(np.subtract.outer(gaps, gaps))
    return float(signs.sum() / (len(values) * (len(values) - 1)))
