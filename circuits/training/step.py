"""One step of SGD on exact integers: a pass on one batch, whose gradients move the weights.

w' = w - U        U = round(lr g) [40], as in the second passes of a probe (docs/fixed-point.md)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from numpy.typing import NDArray

from zkds.circuits.arithmetic.fixed_point import (
    MAX_BATCH_SIZE,
    WEIGHT,
    Place,
    Rational,
    Updates,
    exact_rational,
    require_format,
    require_int,
    require_learning_rate,
    require_rational,
)
from zkds.circuits.metric.loss import LogitDelta, Softmax, logit_delta, softmax
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.operator import Run, Schedule, update_kind
from zkds.circuits.probe import backward, forward
from zkds.integers.limbs import I64
from zkds.wire import encode_number


@dataclass(frozen=True)
class Descent(Updates):
    """The public constants of a step: a batch of B records, an exact learning rate.

    Raises TypeError, or ValueError naming the field, for what no step can be proved with.
    """

    batch_size: int
    learning_rate: Fraction

    def __post_init__(self) -> None:
        require_int("batch_size", self.batch_size, 1, MAX_BATCH_SIZE)
        require_rational("learning_rate", self.learning_rate)
        require_learning_rate(self.learning_rate)

    @classmethod
    def of(cls, *, batch_size: int = 8, learning_rate: Rational = "0.01") -> Descent:
        """From a decimal string (or an int, a Decimal, a Fraction)."""
        return cls(batch_size, exact_rational("learning_rate", learning_rate))

    @property
    def schedule(self) -> Schedule:
        """One pass."""
        return Schedule(1, self.batch_size, (Run(update_kind(self), 0, 1),))

    def encode(self) -> bytes:
        """Canonical: batch size, numerator and denominator, 8 bytes each."""
        return b"".join(map(encode_number, (self.batch_size, *self.learning_rate.as_integer_ratio())))


@dataclass(frozen=True, repr=False)
class Step:
    """All values of a step, as a `Trajectory` has them, for one pass.

    values   by the names of the circuit's tensors, (1, ..); "PARAMETER: update" with its remainder among them
    after    the integers of the model after the step, those of constants as before
    """

    values: Mapping[str, NDArray[Any]]
    labels: I64
    scores: Softmax
    deltas: LogitDelta
    logits: I64
    after: Mapping[str, I64]

    @property
    def logit_delta(self) -> I64:
        return self.deltas.logit_delta[None]

    @property
    def logit_delta_remainder(self) -> NDArray[Any]:
        return self.deltas.logit_delta_remainder[None]

    @property
    def maximum(self) -> I64:
        return self.scores.maximum[None]

    @property
    def exponential_product(self) -> I64:
        return self.scores.exponential_product[None]

    @property
    def exponential_product_remainder(self) -> I64:
        return self.scores.exponential_product_remainder[None]

    @property
    def exponential(self) -> I64:
        return self.scores.exponential[None]

    @property
    def exponential_remainder(self) -> I64:
        return self.scores.exponential_remainder[None]

    @property
    def exponential_sum(self) -> NDArray[Any]:
        return self.scores.exponential_sum[None]


def run(network: Network, weights: Mapping[str, I64], inputs: I64, labels: I64, descent: Descent) -> Step:
    """weights: the integers of the model [40]; inputs (1, B, C, H, W) [32]; labels (1, B). Raises Overflow."""
    place = Place(0)
    (only,) = descent.schedule.runs
    forwards = forward(network, weights, inputs[0], place)
    logits = forwards[-1].output[:, :, 0, 0]
    scores = softmax(logits)
    deltas = logit_delta(scores, labels[0], descent.second_scale)
    backwards, updates = backward(network, inputs[0], forwards, deltas.logit_delta, only.kind, place)
    values: dict[str, NDArray[Any]] = {}
    for placed, ahead, back in zip(network.placed, forwards, backwards, strict=True):
        for tensor, value in {"output": ahead.output, **ahead.values, **back.values}.items():
            values[f"{placed.name}: {tensor}"] = value[None]
    after = dict(weights)
    for name, update in updates.items():
        values[f"{name}: update"], values[f"{name}: update: remainder"] = update.value[None], update.remainder[None]
        after[name] = weights[name] - update.value
        require_format(after[name], WEIGHT, "weight after the step", place.at(name))
    return Step(values, labels, scores, deltas, logits[None], after)
