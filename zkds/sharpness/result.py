"""What a probe found."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass

from zkds.circuits.certificate.degenerate import LOSS_FLOOR, degenerate_warnings
from zkds.sharpness.config import SharpnessConfig
from zkds.sharpness.statistic import EPSILON


@dataclass(frozen=True)
class Step:
    """One step t: which records, s_t, L_t (mean, nats), r_t = s_t^2 / L_t, the part of the batch classified right, and its
    largest margin: the most by which a record's largest logit exceeds its second largest."""

    indices: tuple[int, ...]
    sharpness: float
    loss: float
    ratio: float
    accuracy: float
    margin: float


@dataclass(frozen=True)
class Probe:
    """One trajectory. seed: the 32 bytes that chose its batches, None if they were given."""

    seed: bytes | None
    value: float
    history: tuple[Step, ...]

    @property
    def loss(self) -> float:
        """Mean loss of all its records, each at the weights of its step; what a proof publishes."""
        return statistics.fmean(step.loss for step in self.history)

    @property
    def accuracy(self) -> float:
        return statistics.fmean(step.accuracy for step in self.history)

    @property
    def margin(self) -> int:
        """The largest margin of its records in nats, rounded up; what a proof publishes."""
        return math.ceil(max(step.margin for step in self.history))

    def to_dict(self) -> dict[str, object]:
        return {
            "seed": self.seed.hex() if self.seed is not None else None,
            "value": self.value,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "margin": self.margin,
            "history": [asdict(step) for step in self.history],
        }


@dataclass(frozen=True)
class SharpnessResult:
    """Directional sharpness of a model on a data set.

    seed: r, of the first probe. records: N. classes: logits of the model. dtype, device: of the arithmetic, in torch's names.
    data_classes: of the data set, None if it does not say.
    """

    config: SharpnessConfig
    seed: bytes
    probes: tuple[Probe, ...]
    records: int
    classes: int
    dtype: str
    device: str
    data_classes: int | None = None

    @property
    def value(self) -> float:
        """F, the mean over the probes."""
        return statistics.fmean(probe.value for probe in self.probes)

    mean = value  # its other name, beside `spread`

    @property
    def spread(self) -> float | None:
        """Sample standard deviation of F over the probes; None for a single one, which says nothing about it."""
        return statistics.stdev(probe.value for probe in self.probes) if len(self.probes) > 1 else None

    @property
    def history(self) -> tuple[Step, ...]:
        """The steps of the first probe, whose batches are those of a proof with the same seed."""
        return self.probes[0].history

    @property
    def loss(self) -> float:
        """Mean loss over the records of all probes."""
        return statistics.fmean(probe.loss for probe in self.probes)

    @property
    def accuracy(self) -> float:
        return statistics.fmean(probe.accuracy for probe in self.probes)

    @property
    def margin(self) -> int:
        """The largest margin of a record of any probe, in nats, rounded up."""
        return max(probe.margin for probe in self.probes)

    @property
    def steps(self) -> int:
        """Batches of all probes."""
        return sum(len(probe.history) for probe in self.probes)

    @property
    def saturated(self) -> int:
        """How many batches of all probes have a mean loss below 2^-44 nats, as a proof counts them."""
        return sum(step.loss < LOSS_FLOOR for probe in self.probes for step in probe.history)

    @property
    def below_eps(self) -> int:
        """How many batches have a ratio s^2 / L below the eps inside the logarithm; 0 for other statistics."""
        if self.config.statistic != "log_ratio":
            return 0
        return sum(step.ratio < EPSILON for probe in self.probes for step in probe.history)

    @property
    def surplus_classes(self) -> int:
        """Outputs of the model beyond the classes of the data set, which widen the gradient and nothing else."""
        return 0 if self.data_classes is None else max(0, self.classes - self.data_classes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to distrust the value: that of a network that is not trained, or a degenerate one, in a proof's words."""
        degenerate = degenerate_warnings(
            steps=self.steps, saturated=self.saturated, below_eps=self.below_eps, surplus_classes=self.surplus_classes
        )
        return (*self.untrained, *degenerate)

    @property
    def untrained(self) -> tuple[str, ...]:
        """What tells that the network is not trained on this data: such networks have the smallest values.

        A warning for a loss above half that of guessing, ln(classes), and one for an accuracy below half way from guessing,
        1 / classes, to perfect.
        """
        found = []
        chance_loss, chance = math.log(self.classes), 1 / self.classes
        if self.loss > chance_loss / 2:
            found.append(
                f"loss {self.loss:.3g}: guessing has {chance_loss:.3g}, so the network does not look trained on this data"
            )
        if self.accuracy < (1 + chance) / 2:
            found.append(
                f"accuracy {self.accuracy:.1%}: guessing has {chance:.1%}, so the network does not look trained on this data"
            )
        return tuple(found)

    def to_dict(self) -> dict[str, object]:
        """Everything, ready for JSON."""
        return {
            "value": self.value,
            "spread": self.spread,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "margin": self.margin,
            "warnings": list(self.warnings),
            "saturated": self.saturated,
            "below_eps": self.below_eps,
            "surplus_classes": self.surplus_classes,
            "records": self.records,
            "classes": self.classes,
            "seed": self.seed.hex(),
            "config": self.config.to_dict(),
            "dtype": self.dtype,
            "device": self.device,
            "probes": [probe.to_dict() for probe in self.probes],
        }
