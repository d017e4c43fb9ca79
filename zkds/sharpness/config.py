"""What a probe does: every choice that the paper (Sections 4.1, 4.2, 5) leaves open, with its default."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from zkds.circuits.arithmetic.fixed_point import Configuration

Kind = Literal["asam", "sam"]
Scale = Literal["all", "weights"]
Statistic = Literal["log_ratio", "raw", "log"]
Parameters = Literal["all", "trainable"]
BatchNorm = Literal["eval", "train"]

_CHOICES = {
    "sharpness": get_args(Kind),
    "perturbation": get_args(Kind),
    "scale": get_args(Scale),
    "statistic": get_args(Statistic),
    "parameters": get_args(Parameters),
    "batch_norm": get_args(BatchNorm),
}


@dataclass(frozen=True)
class SharpnessConfig:
    """The configuration (T, B, Φ, S, fluc, Θ) of Definition 5; the loss is always cross-entropy. The defaults are a proof's.

    batch_size      B
    steps           T, at least 2: one value does not fluctuate
    rho             radius ρ of the perturbation, positive
    learning_rate   of the update w - lr * grad L(w + eps); 0 leaves the weights where they are
    sharpness       S, what each step measures: ASAM (Definition 4) or SAM sharpness (Definition 3), p = q = 2
    perturbation    Φ, the step that moves the weights: SAM's or ASAM's
    scale           which parameters ASAM scales by |w| + eta: all, or only those with "weight" in their name; others by 1
    eta             ASAM's offset, not negative
    statistic       fluc: std of ln(s^2 / L + 1e-12), of s ("raw"), or of ln(s + 1e-12) ("log")
    probes          independent repetitions, each with batches of its own
    batch_norm      running statistics ("eval") or those of the batch ("train"); dropout is off in both
    parameters      all, as in a proof, frozen or not; or "trainable", those with requires_grad: the others are constants
    """

    batch_size: int = Configuration.batch_size
    steps: int = Configuration.steps
    rho: float = float(Configuration.rho)
    learning_rate: float = float(Configuration.learning_rate)
    sharpness: Kind = "asam"
    perturbation: Kind = "sam"
    scale: Scale = "all"
    eta: float = 0.0
    statistic: Statistic = "log_ratio"
    probes: int = 1
    batch_norm: BatchNorm = "eval"
    parameters: Parameters = "all"

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("steps", 2), ("probes", 1)):
            value = getattr(self, name)
            if type(value) is not int:
                raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
            if value < least:
                raise ValueError(f"{name}: expected at least {least}, got {value}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected {' or '.join(choices)}, got {getattr(self, name)!r}")
        if not 0 < self.rho < math.inf:
            raise ValueError(f"rho: expected a positive number, got {self.rho}")
        for name in ("learning_rate", "eta"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a number that is not negative, got {getattr(self, name)}")

    def to_dict(self) -> dict[str, object]:
        """Every setting by its name, ready for JSON."""
        return asdict(self)
