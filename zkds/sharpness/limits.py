"""Limits of a policy: tau, and beside it what every probe of the good models meets with room to spare.

tau alone accepts networks that were never trained, or made to look flat: their F is the lowest of all. Loss, accuracy and
margin are limited at twice the worst probe of a good model: twice its loss, twice its share of wrong predictions (of one, if it
has none), twice its margin. The errors that are stated are those of all limits together, and of the clauses that a policy has
by default (saturated batches, ratios below eps, surplus classes), for models that had no part in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkds.sharpness.calibrate import Calibration, ErrorRate, error_rate, threshold
from zkds.sharpness.grid import Measurement

HEADROOM = 2


@dataclass(frozen=True)
class Limits:
    """Of one probe: the largest F, loss and margin in nats, and the least accuracy, to accept."""

    tau: float
    max_loss: float
    min_accuracy: float
    max_margin: int

    def rejected(self, model: Measurement) -> float:
        """The share of a model's probes that do not meet all of it, or are degenerate."""
        met = [
            value <= self.tau
            and probe.loss <= self.max_loss
            and probe.accuracy >= self.min_accuracy
            and probe.margin <= self.max_margin
            and not probe.degenerate
            for value, probe in zip(model.sharpness, model.probes, strict=True)
        ]
        return 1 - sum(met) / len(met)


def limits_of(tau: float, good: Sequence[Measurement], records: int) -> Limits:
    """From the probes of the good models, of so many records each."""
    probes = [probe for model in good for probe in model.probes]
    wrong = max(1 / records, *(1 - probe.accuracy for probe in probes))
    return Limits(
        tau,
        max_loss=HEADROOM * max(probe.loss for probe in probes),
        min_accuracy=max(0.0, 1 - HEADROOM * wrong),
        max_margin=HEADROOM * max(probe.margin for probe in probes),
    )


def policy_limits(
    found: Calibration, good: Sequence[Measurement], bad: Sequence[Measurement], records: int
) -> tuple[Limits, ErrorRate, ErrorRate]:
    """The limits, and how often they reject a good and accept a bad model that had no part in them.

    found     of these models; records: of a probe, T B
    Raises ValueError for fewer than two good models.
    """
    if len(good) < 2:
        raise ValueError("expected two good models or more: the errors of a policy are stated")

    def without(left_out: Measurement) -> Limits:
        """What the other models set."""
        others, rest = ([model for model in models if model is not left_out] for models in (good, bad))
        deciding = others if found.limit == "false-rejection" else rest
        tau = threshold(np.array([model.sharpness for model in deciding]), found.risk, found.limit)
        return limits_of(tau, others, records)

    unseen_rejection = error_rate([without(model).rejected(model) for model in good])
    judged = bad if found.limit == "false-rejection" or len(bad) > 1 else ()  # by others
    unseen_acceptance = error_rate([1 - without(model).rejected(model) for model in judged])
    return limits_of(found.tau, good, records), unseen_rejection, unseen_acceptance
