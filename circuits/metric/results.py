"""What a certificate publishes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zkds.circuits.arithmetic.fixed_point import EXPONENTIAL_BITS, RESULT_FRACTION_BITS, round_half_up
from zkds.circuits.trajectory import Trajectory


@dataclass(frozen=True)
class Results:
    """What a proof says of R probes: one of `values` and `threshold`, and the rest exactly.

    total_loss   sum over all steps of all probes of Lsum [48]
    correct      number of correct predictions among the R T B records
    saturated    number of the R T batches whose mean loss is below 2^-44 nats
    below_eps    number of the R T batches whose ratio s^2 / L is below eps
    labels       number of distinct labels among the R T B records
    margin       the largest margin of the R T B records, in nats, rounded up (margin.py)
    values       ds of every probe [48]
    threshold    tau [48], and the mean of all ds is at most tau
    Raises TypeError or ValueError for anything else.
    """

    total_loss: int
    correct: int
    saturated: int
    below_eps: int
    labels: int
    margin: int
    values: tuple[int, ...] | None = None
    threshold: int | None = None

    def __post_init__(self) -> None:
        if (self.values is None) == (self.threshold is None):
            raise ValueError("results: expected either values or a threshold")
        if self.values is not None and (type(self.values) is not tuple or not self.values):
            raise TypeError("values: expected a tuple of ints, at least one")
        numbers = [
            (name, getattr(self, name)) for name in ("total_loss", "correct", "saturated", "below_eps", "labels", "margin")
        ]
        numbers += [("threshold", self.threshold)] if self.values is None else [("values", value) for value in self.values]
        for name, number in numbers:
            if type(number) is not int:
                raise TypeError(f"{name}: expected an int, got {type(number).__name__}")
            if number < 0:
                raise ValueError(f"{name}: expected at least 0, got {number}")


def results_of(*probes: Trajectory) -> Results:
    """What a proof about these probes says if it shows the values."""
    losses = sum(sum(probe.loss_sums) for probe in probes)
    return Results(
        round_half_up(losses, EXPONENTIAL_BITS - RESULT_FRACTION_BITS),
        correct=sum(probe.correct for probe in probes),
        saturated=sum(probe.saturated for probe in probes),
        below_eps=sum(probe.below_eps for probe in probes),
        labels=len(np.unique(np.concatenate([probe.labels for probe in probes]))),
        margin=max(probe.largest_margin for probe in probes),
        values=tuple(probe.value for probe in probes),
    )
