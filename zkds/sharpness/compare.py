"""Benign/faulty ratios over checkpoints (Section 5.1, Tables 2 and 7): what a metric's distinguishability is judged by.

The ratio is the metric's value on the benign model over its value on the faulty one. Below 1 the metric tells the benign
model apart, and the smaller the better; above 1 it prefers the faulty model.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from zkds.sharpness.grid import Measurement


@dataclass(frozen=True)
class Comparison:
    """One benign checkpoint beside one faulty one, measured with the same seeds.

    sharpness   mean F of the benign one / mean F of the faulty one
    spread      sample standard deviation of the ratio over the seeds; NaN for one seed
    lower       the share of the seeds for which the benign one has the lower F
    asam, loss, accuracy   benign / faulty
    """

    benign: str
    faulty: str
    sharpness: float
    spread: float
    lower: float
    asam: float
    loss: float
    accuracy: float


def compare(benign: Sequence[Measurement], faulty: Sequence[Measurement]) -> list[Comparison]:
    """Pair i holds checkpoint i of both: the same epochs, or models of the same observed accuracy.

    Raises ValueError if there are not as many of one as of the other, or if they have different numbers of seeds.
    """
    if len(benign) != len(faulty) or not benign:
        raise ValueError(f"expected one faulty checkpoint for each benign one, got {len(benign)} and {len(faulty)}")
    return [_compare_pair(good, bad) for good, bad in zip(benign, faulty, strict=True)]


def _compare_pair(benign: Measurement, faulty: Measurement) -> Comparison:
    if len(benign.sharpness) != len(faulty.sharpness):
        seeds = f"{len(benign.sharpness)} and {len(faulty.sharpness)}"
        raise ValueError(f"{benign.name} and {faulty.name}: expected the same seeds for both, got {seeds}")
    pairs = list(zip(benign.sharpness, faulty.sharpness, strict=True))
    ratios = [ratio(good, bad) for good, bad in pairs]
    return Comparison(
        benign=benign.name,
        faulty=faulty.name,
        sharpness=ratio(benign.mean, faulty.mean),
        spread=statistics.stdev(ratios) if len(ratios) > 1 else math.nan,
        lower=sum(good < bad for good, bad in pairs) / len(pairs),
        asam=ratio(benign.asam, faulty.asam),
        loss=ratio(benign.loss, faulty.loss),
        accuracy=ratio(benign.accuracy, faulty.accuracy),
    )


def ratio(benign: float, faulty: float) -> float:
    """benign / faulty; NaN where the faulty value is 0."""
    return benign / faulty if faulty else math.nan
