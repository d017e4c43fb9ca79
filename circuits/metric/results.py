"""What a certificate publishes."""

from __future__ import annotations

from dataclasses import dataclass

from zkds.circuits.trajectory import Trajectory


@dataclass(frozen=True)
class Results:
    """What a proof says: exactly one of `value` (ds [48]) and `threshold` (tau [48], ds <= tau), and the rest exactly.

    total_loss   sum over all steps of Lsum [48]
    correct      number of correct predictions among the T B records
    saturated    number of the T batches whose mean loss is below 2^-44 nats
    below_eps    number of the T batches whose ratio s^2 / L is below eps
    labels       number of distinct labels among the T B records
    margin       the largest margin of the T B records, in nats, rounded up (margin.py)
    Raises TypeError or ValueError for anything else.
    """

    total_loss: int
    correct: int
    saturated: int
    below_eps: int
    labels: int
    margin: int
    value: int | None = None
    threshold: int | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.threshold is None):
            raise ValueError("results: expected either a value or a threshold")
        for name, number in vars(self).items():
            if number is None and name in ("value", "threshold"):
                continue
            if type(number) is not int:
                raise TypeError(f"{name}: expected an int, got {type(number).__name__}")
            if number < 0:
                raise ValueError(f"{name}: expected at least 0, got {number}")


def results_of(trajectory: Trajectory) -> Results:
    """What a proof about this probe says if it shows the value."""
    return Results(
        trajectory.total_loss,
        trajectory.correct,
        trajectory.saturated,
        trajectory.below_eps,
        trajectory.distinct_labels,
        trajectory.largest_margin,
        value=trajectory.value,
    )
