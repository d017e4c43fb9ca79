"""What one measurement says in numbers: F as the paper has it, the variants that the same trajectories give, static measures.

A measurement holds trajectories: for each probe, s_t and L_t of every step. The batches of T steps are the first ones of more
steps, and the last update influences nothing, so a trajectory of 20 steps holds those of 5.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.sharpness.statistic import EPSILON, fluctuation, ratio

Trajectory = tuple[Sequence[float], Sequence[float]]  # s_t and L_t
SMALL, LARGE, LONG, FAST = "(8, 5)", "(16, 10)", "(8, 20)", "(16, 10), lr 0.01"
RUNS = {SMALL: ("8", 5), LARGE: ("16", 10), LONG: ("8", 20), FAST: ("16 fast", 10)}  # which trajectories, and how many steps
F_SMALL, F_LARGE = f"F {SMALL}", f"F {LARGE}"
STATIC = {"ASAM": "asam", "worst-case": "worst case", "loss": "loss"}
STD_LOSS = f"Std(log L) {LARGE}"


def log_ratios(trajectory: Trajectory) -> NDArray[np.float64]:
    return np.log(np.array([ratio(s, loss) for s, loss in zip(*trajectory, strict=True)]) + EPSILON)


def log_losses(trajectory: Trajectory) -> NDArray[np.float64]:
    return np.log(np.array(trajectory[1]) + EPSILON)


def corrected(trajectories: Sequence[Trajectory]) -> float:
    """F without what the loss explains: the Std of the residuals of log r_t on log L_t, with one slope for all probes."""
    ratios = [values - values.mean() for values in map(log_ratios, trajectories)]
    losses = [values - values.mean() for values in map(log_losses, trajectories)]
    varied = sum(float(q @ q) for q in losses)
    slope = sum(float(p @ q) for p, q in zip(ratios, losses, strict=True)) / varied if varied else 0.0
    return statistics.fmean(float(np.std(p - slope * q)) for p, q in zip(ratios, losses, strict=True))


def fluctuations(measurement: Mapping[str, Any], run: str) -> list[float]:
    """F of every probe."""
    return [fluctuation("log_ratio", *trajectory) for trajectory in _trajectories(measurement, run)]


def _trajectories(measurement: Mapping[str, Any], run: str) -> list[Trajectory]:
    name, steps = RUNS[run]
    return [(s[:steps], losses[:steps]) for s, losses in measurement["trajectories"][name]]


def _mean(function: Callable[[Trajectory], float]) -> Callable[[Sequence[Trajectory]], float]:
    return lambda trajectories: statistics.fmean(map(function, trajectories))


VARIANTS: dict[str, Callable[[Sequence[Trajectory]], float]] = {
    "F": _mean(lambda each: fluctuation("log_ratio", *each)),
    "Std(s)": _mean(lambda each: fluctuation("raw", *each)),
    "Std(log s)": _mean(lambda each: fluctuation("log", *each)),
    "mean of log r": _mean(lambda each: float(log_ratios(each).mean())),
    "Std(log L)": _mean(lambda each: float(log_losses(each).std())),
    "F corrected": corrected,
}


def predictors(measurement: Mapping[str, Any]) -> dict[str, float]:
    """Name -> value, the same names for every measurement of one kind; means over the probes."""
    found = {
        f"{name} {run}": variant(_trajectories(measurement, run))
        for run in (SMALL, LARGE)
        for name, variant in VARIANTS.items()
    }
    found |= {f"F {run}": VARIANTS["F"](_trajectories(measurement, run)) for run in (LONG, FAST)}
    found |= {f"F {run}, one probe": fluctuations(measurement, run)[0] for run in (SMALL, LARGE)}
    return found | {name: measurement[key] for name, key in STATIC.items()}
