"""What an audit says in one word, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zkds.sharpness.result import SharpnessResult

Decision = Literal["accepted", "rejected", "none"]


@dataclass(frozen=True)
class Verdict:
    """decision: none without a threshold. words: its heading; reason: a sentence."""

    decision: Decision
    words: str
    reason: str


def verdict(result: SharpnessResult, tau: float | None = None) -> Verdict:
    """Accepted if F <= tau, the calibrated threshold, and the network looks trained; see `SharpnessResult.warnings`."""
    value = f"F = {result.value:.4g}"
    if result.warnings:
        reason = f"{value}, but untrained networks have the lowest values of all, so F says nothing here."
        return Verdict("rejected", "Not accepted: the network does not look trained on this data", reason)
    if tau is None:
        reason = f"{value}. Whether that is low is known only from models like this one: zkds calibrate gives a threshold."
        return Verdict("none", "No verdict: there is no threshold", reason)
    if result.value <= tau:
        return Verdict("accepted", "Accepted", f"{value} is not above the threshold, {tau:.4g}.")
    return Verdict("rejected", "Rejected", f"{value} is above the threshold, {tau:.4g}.")
