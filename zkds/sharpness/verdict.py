"""What an audit says in one word, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zkds.circuits.certificate.degenerate import degenerate_warnings
from zkds.sharpness.result import SharpnessResult

Decision = Literal["accepted", "rejected", "none"]


@dataclass(frozen=True)
class Verdict:
    """decision: none without a threshold. words: its heading; reason: a sentence."""

    decision: Decision
    words: str
    reason: str


def verdict(
    result: SharpnessResult, tau: float | None = None, *, allow_saturated: bool = False, allow_surplus_classes: bool = False
) -> Verdict:
    """Accepted if F <= tau, the calibrated threshold, the network looks trained and nothing is degenerate; see
    `SharpnessResult.warnings`.

    allow_saturated         take batches whose loss is near 0, and ratios below eps, as `zkds verify` does with this option
    allow_surplus_classes   take a network with more outputs than the data set has classes; likewise
    """
    value = f"F = {result.value:.4g}"
    if result.untrained:
        reason = f"{value}, but untrained networks have the lowest values of all, so F says nothing here."
        return Verdict("rejected", "Not accepted: the network does not look trained on this data", reason)
    degenerate = degenerate_warnings(
        steps=result.steps,
        saturated=0 if allow_saturated else result.saturated,
        below_eps=0 if allow_saturated else result.below_eps,
        surplus_classes=0 if allow_surplus_classes else result.surplus_classes,
    )
    if degenerate:
        name, _, words = degenerate[0].partition(": ")
        return Verdict("rejected", f"Not accepted: {name}", f"{value}, but there are {name}: {words}.")
    if tau is None:
        reason = f"{value}. Whether that is low is known only from models like this one: zkds calibrate gives a threshold."
        return Verdict("none", "No verdict: there is no threshold", reason)
    if result.value <= tau:
        return Verdict("accepted", "Accepted", f"{value} is not above the threshold, {tau:.4g}.")
    return Verdict("rejected", "Rejected", f"{value} is above the threshold, {tau:.4g}.")
