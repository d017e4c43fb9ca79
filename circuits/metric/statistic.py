"""The results (the semantics: circuits/metric/deviation.py), as cells and identities.

Per step, with V from circuits/metric/sam.py and L, k, X from circuits/metric/loss_scale.py:

    l = LOG(2^16 V + X) - LOG(L) - 2 k LN2

and over all steps

    (2 saturated - 1) (floor - L) - saturated = gap >= 0            saturated = [L < floor], floor = B 2^14
    (2 below - 1) (X - 2^16 V) - below = gap >= 0                   below = [2^16 V < X]: the ratio is below eps
    T sum l^2 - (sum l)^2 = y^2 + rest,  0 <= rest <= 2 y      (sum l)^2 as a double sum
    y = T ds + rem,  0 <= rem <= T - 1
    the sum of all losses rounds to 2^10 total loss

The total loss, the number of correct predictions and the sums of both bits are public. ds is public too, or hidden: then
tau - ds = margin >= 0 for a public threshold tau.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from zkds.circuits.arithmetic import tables
from zkds.circuits.arithmetic.fixed_point import (
    EXPONENTIAL_BITS,
    LOGARITHM_WIDTH,
    LOSS_WIDTH,
    RESULT_FRACTION_BITS,
    Configuration,
)
from zkds.circuits.metric.logarithm import LOG_WIDTH, Logarithm
from zkds.circuits.metric.loss_scale import LossScale
from zkds.circuits.metric.results import Results
from zkds.circuits.metric.sam import Norms
from zkds.circuits.metric.softmax import Softmax
from zkds.circuits.trajectory import Trajectory
from zkds.identities.expressions import Expression, Over, tensor
from zkds.identities.gadget import Gadget, Integers, joined, split, square_root
from zkds.native import U32
from zkds.tensors.tensor import Committed

SCALARS, SUMS = "scalars", "sums"  # names of blocks
SQUARES_BITS = 16  # N = 2^16 V + X
TOTAL_SHIFT = EXPONENTIAL_BITS - RESULT_FRACTION_BITS  # from the sum of all losses to what is published
MARGIN_WIDTH = 60


class Statistic(Gadget):
    """From losses and norms to the results."""

    def __init__(
        self, configuration: Configuration, softmax: Softmax, scale: LossScale, norms: Norms, results: Results
    ) -> None:
        super().__init__("statistic")
        self.configuration, self.results = configuration, results
        steps = configuration.steps
        self.total_remainder = self.integer("total loss, remainder", TOTAL_SHIFT, (1,))
        self.ratios = self.integer("log ratios", LOG_WIDTH + 1, (steps,), signed=True)
        self.saturated = self.integer("saturated", 1, (steps,))
        self.saturated_gap = self.wide("saturated, gap", LOSS_WIDTH, (steps,))
        self.below_eps = self.integer("below eps", 1, (steps,))
        self.below_eps_gap = self.wide("below eps, gap", LOGARITHM_WIDTH, (steps,))
        self.remainder = self.integer("value, remainder", max(1, (steps - 1).bit_length()), (1,))
        self.remainder_gap = self.integer("value, gap", max(1, (steps - 1).bit_length()), (1,))
        total = scale.total_loss() + (1 << TOTAL_SHIFT - 1) - tensor(self.total_remainder)
        self.identity(SCALARS, "total loss", (1,), total - (results.total_loss << TOTAL_SHIFT))
        squares, eps = norms.squares.expression() * (1 << SQUARES_BITS), scale.eps.expression()
        below_floor = configuration.loss_floor - scale.loss
        self._count("saturated", self.saturated, below_floor, self.saturated_gap.expression(), results.saturated)
        self._count("below eps", self.below_eps, eps - squares, self.below_eps_gap.expression(), results.below_eps)
        self.logarithms = [
            Logarithm("log of squares", (steps,), squares + eps, SCALARS),
            Logarithm("log of losses", (steps,), scale.loss, SCALARS),
        ]
        log_squares, log_losses = (logarithm.value for logarithm in self.logarithms)
        log_ratio = log_squares - log_losses - scale.doublings * (2 * tables.LN2)
        self.identity(SCALARS, "log ratios", (steps,), log_ratio - tensor(self.ratios))
        self._state_deviation()
        self.identity(SUMS, "correct", (1,), softmax.correct - results.correct)

    @property
    def gadgets(self) -> list[Gadget]:
        """This one and those that it is made of."""
        return [self, *self.logarithms]

    def _count(self, name: str, positive: Committed, difference: Expression, gap: Expression, count: int) -> None:
        """positive = [difference > 0], over (T,), and `count` of them are: no other bit leaves a gap that is not negative."""
        steps = self.configuration.steps
        bit = tensor(positive)
        self.identity(SCALARS, name, (steps,), (bit * 2 - 1) * difference - bit - gap)
        self.identity(SCALARS, f"{name}, count", (1,), tensor(positive, Over((1,) * steps)) - count)

    def _state_deviation(self) -> None:
        steps = self.configuration.steps
        square = (tensor(self.ratios, 1) * tensor(self.ratios, 1)).summed(steps)
        double = (tensor(self.ratios, 1) * tensor(self.ratios, 2)).summed(steps, steps)
        width = (steps << LOG_WIDTH).bit_length()
        self.root = square_root(self, SUMS, "deviation", width, (1,), square * steps - double)
        remainder = tensor(self.remainder)
        scaled = self.root.root.expression() - remainder
        if self.results.value is not None:
            self.identity(SCALARS, "value", (1,), scaled - steps * self.results.value)
        else:
            self._state_threshold(scaled)
        self.identity(SCALARS, "value, least", (1,), steps - 1 - remainder - tensor(self.remainder_gap))

    def _state_threshold(self, scaled: Expression) -> None:
        self.value = self.integer("value", LOG_WIDTH + 1, (1,))
        self.margin = self.integer("margin", MARGIN_WIDTH, (1,))
        threshold = self.results.threshold
        assert threshold is not None
        self.identity(SCALARS, "value", (1,), scaled - tensor(self.value) * self.configuration.steps)
        self.identity(SCALARS, "threshold", (1,), threshold - tensor(self.value) - tensor(self.margin))

    def witness(self, trajectory: Trajectory) -> dict[str, U32]:
        """The columns of all of `gadgets`, but for carries. Raises WitnessOverflow for a value above the threshold."""
        steps = self.configuration.steps
        losses, squares, eps, ratios = (
            np.array(values, dtype=object)
            for values in (trajectory.loss_sums, trajectory.sharpness_squares, trajectory.scaled_eps, trajectory.log_ratios)
        )
        counted = np.maximum(losses, 1)
        total_remainder = int(losses.sum()) + (1 << TOTAL_SHIFT - 1) - (trajectory.total_loss << TOTAL_SHIFT)
        total = int(ratios.sum())
        argument = steps * int((ratios * ratios).sum()) - total * total
        root = isqrt(argument)
        remainder = np.array([root - trajectory.value * steps], dtype=object)
        squares = squares << SQUARES_BITS
        saturated, saturated_gap = _positive(self.configuration.loss_floor - counted)
        below_eps, below_eps_gap = _positive(eps - squares)
        arguments = [squares + eps, counted]
        parts = [
            split(self.total_remainder, np.array([total_remainder], dtype=object)),
            split(self.ratios, ratios),
            split(self.saturated, saturated),
            self.saturated_gap.split(saturated_gap),
            split(self.below_eps, below_eps),
            self.below_eps_gap.split(below_eps_gap),
            split(self.remainder, remainder),
            split(self.remainder_gap, steps - 1 - remainder),
            self.root.split(np.array([root], dtype=object), np.array([argument], dtype=object)),
            *(log.witness(values) for log, values in zip(self.logarithms, arguments, strict=True)),
        ]
        if self.results.threshold is not None:
            value = np.array([trajectory.value], dtype=object)
            parts += [split(self.value, value), split(self.margin, self.results.threshold - value)]
        return joined(parts)


def _positive(difference: Integers) -> tuple[Integers, Integers]:
    """(bit, gap) of each difference: bit = [difference > 0], gap = (2 bit - 1) difference - bit."""
    positive = difference > 0
    return positive.astype(object), np.where(positive, difference - 1, -difference)
