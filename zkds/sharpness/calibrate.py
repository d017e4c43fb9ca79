"""The threshold tau, from models of known quality, at a chosen risk (Section 5.3, "Certification decision").

A verifier accepts a model where F <= tau. F depends on the seed that is drawn, so both errors are probabilities over a model
and a seed, estimated on the models and seeds that were measured:

    false rejection    a good model has F > tau
    false acceptance   a bad model has F <= tau

tau is the best threshold that keeps one of them within the risk: the smallest one for false rejection, the largest one for
false acceptance. Both are about a single probe, as a proof has it. tau holds for this family of models, this data set and these
settings of the probe, and no others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from zkds.circuits.certificate.threshold import LIMITS
from zkds.sharpness.grid import Measurement
from zkds.sharpness.ranks import probability_below

Limit = Literal["false-rejection", "false-acceptance"]

RESAMPLES = 1000
INTERVAL = (0.05, 0.95)

Matrix = NDArray[np.float64]  # (models, seeds)


@dataclass(frozen=True)
class ErrorRate:
    """How often tau errs on models that it was not chosen with.

    share      the mean over the models of the share of a model's seeds; each model is judged by the tau of all others
    interval   Clopper and Pearson's 5th and 95th percentile for it, with as many trials as there are models: the seeds of one
               model are not independent. With no errors on 5 models it still reaches to 45 %
    """

    share: float
    interval: tuple[float, float]


UNKNOWN = ErrorRate(math.nan, (math.nan, math.nan))


@dataclass(frozen=True)
class Calibration:
    """tau, and how far to trust it.

    limit, risk         the error that tau keeps within the risk
    false_rejection     the share of (good model, seed) that tau rejects
    false_acceptance    the share of (bad model, seed) that tau accepts; NaN without bad models
    separation          the probability that a bad model has a larger F than a good one (AUC); NaN without bad models
    error               standard deviation of tau over bootstrap samples of the seeds
    interval            its 5th and 95th percentile there
    without_one_model   the smallest and the largest tau when one of the models that set it is left out; NaN if it is alone
    unseen_rejection, unseen_acceptance   both errors for models that had no part in tau; NaN where there are none
    warnings            what makes this threshold doubtful, in words
    """

    tau: float
    limit: Limit
    risk: float
    false_rejection: float
    false_acceptance: float
    separation: float
    error: float
    interval: tuple[float, float]
    without_one_model: tuple[float, float]
    unseen_rejection: ErrorRate
    unseen_acceptance: ErrorRate
    good: tuple[str, ...]
    bad: tuple[str, ...]
    seeds: int
    warnings: tuple[str, ...]


def calibrate(
    good: Sequence[Measurement], bad: Sequence[Measurement] = (), *, risk: float = 0.05, limit: Limit = "false-rejection"
) -> Calibration:
    """good, bad: models of known quality, measured with the same seeds; risk: in (0, 1).

    Raises ValueError for no models, other numbers of seeds, a risk outside (0, 1), an unknown limit.
    """
    check_risk(risk, limit, bad=len(bad))
    if not good:
        raise ValueError("good: expected at least one model of known good quality, got none")
    accepted, rejected = _matrix(good), _matrix(bad) if bad else None
    if rejected is not None and rejected.shape[1] != accepted.shape[1]:
        raise ValueError(f"bad: expected the {accepted.shape[1]} seeds of the good models, got {rejected.shape[1]}")
    deciding = accepted if limit == "false-rejection" or rejected is None else rejected
    tau = threshold(deciding, risk, limit)
    taus = _resampled(deciding, risk, limit)
    separation = math.nan if rejected is None else probability_below(accepted, rejected)
    return Calibration(
        tau=tau,
        limit=limit,
        risk=risk,
        false_rejection=float((accepted > tau).mean()),
        false_acceptance=math.nan if rejected is None else float((rejected <= tau).mean()),
        separation=separation,
        error=float(taus.std(ddof=1)),
        interval=(float(np.quantile(taus, INTERVAL[0])), float(np.quantile(taus, INTERVAL[1]))),
        without_one_model=_without_one_model(deciding, risk, limit),
        unseen_rejection=_unseen(accepted, deciding, risk, limit, lambda values, tau: values > tau),
        unseen_acceptance=_unseen(rejected, deciding, risk, limit, lambda values, tau: values <= tau),
        good=tuple(model.name for model in good),
        bad=tuple(model.name for model in bad),
        seeds=accepted.shape[1],
        warnings=tuple(_warnings(deciding, risk, separation)),
    )


def check_risk(risk: float, limit: Limit, *, bad: int) -> None:
    """Raises ValueError if `calibrate` would, before anything is measured. bad: how many bad models there are."""
    if not 0 < risk < 1:
        raise ValueError(f"risk: expected a probability above 0 and below 1, got {risk}")
    if limit not in LIMITS:
        raise ValueError(f"limit: expected {' or '.join(LIMITS)}, got {limit!r}")
    if limit == "false-acceptance" and not bad:
        raise ValueError("bad: a limit on false acceptance needs at least one model of known bad quality, got none")


def _matrix(models: Sequence[Measurement]) -> Matrix:
    counts = {len(model.sharpness) for model in models}
    if len(counts) != 1:
        raise ValueError(f"expected the same seeds for all models, got {' and '.join(map(str, sorted(counts)))} seeds")
    values = np.array([model.sharpness for model in models], dtype=np.float64)
    if not np.isfinite(values).all():
        name = models[int(np.argmin(np.isfinite(values).all(axis=1)))].name
        raise ValueError(f"{name}: expected a finite directional sharpness for every seed")
    return values


def threshold(values: Matrix, risk: float, limit: Limit) -> float:
    """For false rejection the smallest tau with a share of at most `risk` of the values above it; for false acceptance the
    largest number with a share of at most `risk` of the values not above it."""
    ordered = np.sort(values, axis=None)
    allowed = math.floor(risk * len(ordered) + 1e-9)  # 0.1 * 30 is 3, not 2.9999...
    if limit == "false-rejection":
        return float(ordered[len(ordered) - 1 - allowed])
    return float(np.nextafter(ordered[allowed], -math.inf))


def _resampled(values: Matrix, risk: float, limit: Limit) -> Matrix:
    """tau for RESAMPLES bootstrap samples of the seeds. A seed's column stays whole: it gives all models the same batches."""
    generator = np.random.default_rng(0)
    columns = generator.integers(0, values.shape[1], (RESAMPLES, values.shape[1]))
    return np.array([threshold(values[:, sample], risk, limit) for sample in columns])


def _without_one_model(values: Matrix, risk: float, limit: Limit) -> tuple[float, float]:
    if len(values) < 2:
        return math.nan, math.nan
    taus = [threshold(np.delete(values, model, axis=0), risk, limit) for model in range(len(values))]
    return min(taus), max(taus)


def _unseen(
    models: Matrix | None, deciding: Matrix, risk: float, limit: Limit, errs: Callable[[Matrix, float], NDArray[np.bool_]]
) -> ErrorRate:
    """Of models that set tau, each by the tau of the others; of the others, by the tau of those that do."""
    if models is None or (models is deciding and len(models) < 2):
        return UNKNOWN
    if models is deciding:
        taus = [threshold(np.delete(deciding, model, axis=0), risk, limit) for model in range(len(models))]
    else:
        taus = [threshold(deciding, risk, limit)] * len(models)
    return error_rate([float(errs(values, tau).mean()) for values, tau in zip(models, taus, strict=True)])


def error_rate(shares: Sequence[float]) -> ErrorRate:
    """From the share of every model; UNKNOWN of none."""
    if not shares:
        return UNKNOWN
    return ErrorRate(float(np.mean(shares)), _clopper_pearson(sum(shares), len(shares)))


def _clopper_pearson(successes: float, trials: int) -> tuple[float, float]:
    """For a number of successes that need not be whole."""
    low, high = INTERVAL
    failures = trials - successes
    return (
        float(beta.ppf(low, successes, failures + 1)) if successes else 0.0,
        float(beta.ppf(high, successes + 1, failures)) if failures else 1.0,
    )


def _warnings(deciding: Matrix, risk: float, separation: float) -> list[str]:
    warnings = []
    if risk * deciding.size < 1:
        needed = math.ceil(1 / risk)
        warnings.append(f"{deciding.size} values do not resolve a risk of {risk:g}; measure at least {needed} (models x seeds)")
    if len(deciding) < 2:
        warnings.append("one model sets this threshold; how it changes from model to model is not known")
    if separation < 0.5:
        warnings.append(
            f"the bad models tend to have the lower values (separation {separation:.2f}); no threshold on F tells them apart"
        )
    elif separation < 0.8:
        warnings.append(f"good and bad models overlap (separation {separation:.2f}, 1 is apart, 0.5 is chance)")
    return warnings
