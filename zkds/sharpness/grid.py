"""Many models, several probes each: the measurements that comparing, calibrating and correlating start from.

Models are measured in parallel with joblib. The number of workers and their backend are joblib's: with `jobs` left out,
`joblib.parallel_config(backend="dask")` or `"ray"` around the call spreads a grid over a cluster. Without either it is
one process. Every model is measured with the same seeds, so on the same batches.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from joblib import Parallel, delayed

from zkds.sharpness import SharpnessConfig, directional_sharpness
from zkds.sharpness.baselines import gradient_sharpness
from zkds.sharpness.objective import Objective
from zkds.sharpness.result import Probe, SharpnessResult

ModelSource = torch.nn.Module | Callable[[], torch.nn.Module]  # a function is called in the worker; it must pickle
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ProbeResults:
    """What a proof publishes of one probe beside F.

    degenerate   whether it has saturated batches, ratios below eps or surplus classes
    """

    loss: float
    accuracy: float
    margin: int
    degenerate: bool


@dataclass(frozen=True)
class Measurement:
    """One model on one data set.

    sharpness    F of each probe, so for each seed
    trajectory   s_t of the first probe, t = 0, ..., T - 1
    asam         ASAM sharpness of the whole data set (Definition 4), the static measure beside it
    loss, accuracy   of the whole data set
    warnings     reasons to distrust a low F, see `SharpnessResult.warnings`
    probes       what else a proof publishes of each probe; neither is part of the tables of `zkds.sharpness.tables`
    """

    name: str
    sharpness: tuple[float, ...]
    trajectory: tuple[float, ...]
    asam: float
    loss: float
    accuracy: float
    warnings: tuple[str, ...] = field(default=(), compare=False)
    probes: tuple[ProbeResults, ...] = field(default=(), compare=False)

    @property
    def mean(self) -> float:
        """The mean of F over the probes."""
        return statistics.fmean(self.sharpness)

    @property
    def spread(self) -> float:
        """The sample standard deviation of F over the probes; NaN for one."""
        return statistics.stdev(self.sharpness) if len(self.sharpness) > 1 else math.nan


def measure(name: str, source: ModelSource, dataset: Any, config: SharpnessConfig, seed: bytes) -> Measurement:
    """Directional sharpness with every probe, and what stands beside it. Raises ValueError, with the name, for what cannot be
    measured; the errors of a function that loads the model pass as they are."""
    model = source if isinstance(source, torch.nn.Module) else source()
    try:
        result = directional_sharpness(model, dataset, config, seed)
        objective = Objective(model, dataset, parameters=config.parameters)
        static = gradient_sharpness(objective, "asam", rho=config.rho, scale=config.scale, eta=config.eta)
        whole = objective.evaluate(objective.network.initial)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return Measurement(
        name=name,
        sharpness=tuple(probe.value for probe in result.probes),
        trajectory=tuple(step.sharpness for step in result.history),
        asam=static,
        loss=whole.loss,
        accuracy=whole.accuracy,
        warnings=result.warnings,
        probes=tuple(_results(result, probe) for probe in result.probes),
    )


def _results(result: SharpnessResult, probe: Probe) -> ProbeResults:
    alone = replace(result, probes=(probe,))
    degenerate = bool(alone.saturated or alone.below_eps or alone.surplus_classes)
    return ProbeResults(probe.loss, probe.accuracy, probe.margin, degenerate)


def measure_grid(
    models: Mapping[str, ModelSource],
    dataset: Any,
    config: SharpnessConfig,
    seed: bytes,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[Measurement]:
    """`measure` for every model, in the order of `models`.

    dataset  what `directional_sharpness` takes; a copy goes to each worker
    config   config.probes is the number of seeds; seed: 32 bytes, of the first probe, from which the others follow
    jobs     worker processes, -1 for one a core; None: as `joblib.parallel_config` says, else one
    Raises ValueError for no models, or for a model that cannot be measured, naming it.
    """
    if not models:
        raise ValueError("models: expected at least one model, got none")
    workers = Workers(len(models), progress, n_jobs=jobs)
    tasks = (delayed(measure)(name, source, dataset, config, seed) for name, source in models.items())
    return list(workers(tasks))


class Workers(Parallel):  # type: ignore[misc]  # joblib has no types
    """Parallel that tells a function how many tasks are done; a generator of results would, but not every backend has one."""

    def __init__(self, total: int, progress: Progress | None, *, unit: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self._total = total
        self._unit = unit
        self._progress = progress

    def print_progress(self) -> None:
        if self._progress is not None:
            self._progress(min(self.n_completed_tasks * self._unit, self._total), self._total)
