"""The results (the semantics: circuits/metric/deviation.py), as cells and identities.

Per step, with a bit `empty`, V from circuits/metric/sam.py and the losses of circuits/metric/softmax.py:

    Lsum + empty - 1 = least >= 0,   empty * least = 0         L = least + 1 = max(Lsum, 1)
    l = LOG(2^16 V + eps_int L) - LOG(L)

and over all steps

    (2 saturated - 1) (floor - L) - saturated = gap >= 0            saturated = [L < floor], floor = B 2^16
    (2 below - 1) (eps_int L - 2^16 V) - below = gap >= 0           below = [2^16 V < eps_int L]: the ratio is below eps
    T sum l^2 - (sum l)^2 = y^2 + rest,  0 <= rest <= 2 y      (sum l)^2 as a double sum
    y = T ds + rem,  0 <= rem <= T - 1

The total loss, the number of correct predictions and the sums of both bits are public. ds is public too, or hidden: then
tau - ds = margin >= 0 for a public threshold tau.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from zkds.circuits.arithmetic.fixed_point import LOGARITHM_WIDTH, LOSS_SUM, Configuration
from zkds.circuits.metric.logarithm import LOG_WIDTH, Logarithm
from zkds.circuits.metric.results import Results
from zkds.circuits.metric.sam import Norms
from zkds.circuits.metric.softmax import Softmax
from zkds.circuits.trajectory import Trajectory
from zkds.identities.expressions import Expression, Over, tensor
from zkds.identities.gadget import Gadget, Integers, joined, split, square_root
from zkds.native import U32
from zkds.tensors.tensor import Committed

SCALARS, SUMS = "scalars", "sums"  # names of blocks
SQUARES_BITS = 16  # N = 2^16 V + eps_int L
MARGIN_WIDTH = 60


class Statistic(Gadget):
    """From losses and norms to the results."""

    def __init__(self, configuration: Configuration, softmax: Softmax, norms: Norms, results: Results) -> None:
        super().__init__("statistic")
        self.configuration, self.results = configuration, results
        steps = configuration.steps
        self.empty = self.integer("loss is zero", 1, (steps,))
        self.least = self.integer("loss - 1", LOSS_SUM.width, (steps,))
        self.ratios = self.integer("log ratios", LOG_WIDTH + 1, (steps,), signed=True)
        self.saturated = self.integer("saturated", 1, (steps,))
        self.saturated_gap = self.integer("saturated, gap", LOSS_SUM.width, (steps,))
        self.below_eps = self.integer("below eps", 1, (steps,))
        self.below_eps_gap = self.wide("below eps, gap", LOGARITHM_WIDTH, (steps,))
        self.remainder = self.integer("value, remainder", max(1, (steps - 1).bit_length()), (1,))
        self.remainder_gap = self.integer("value, gap", max(1, (steps - 1).bit_length()), (1,))
        loss = self._state_losses(softmax)
        squares, scaled_loss = norms.squares.expression() * (1 << SQUARES_BITS), loss * configuration.eps_int
        self._count("saturated", self.saturated, configuration.loss_floor - loss, tensor(self.saturated_gap), results.saturated)
        self._count("below eps", self.below_eps, scaled_loss - squares, self.below_eps_gap.expression(), results.below_eps)
        self.logarithms = [
            Logarithm("log of squares", (steps,), squares + scaled_loss, SCALARS),
            Logarithm("log of losses", (steps,), loss, SCALARS),
        ]
        log_squares, log_losses = (logarithm.value for logarithm in self.logarithms)
        self.identity(SCALARS, "log ratios", (steps,), log_squares - log_losses - tensor(self.ratios))
        self._state_deviation()
        self.identity(SUMS, "correct", (1,), softmax.correct - results.correct)

    @property
    def gadgets(self) -> list[Gadget]:
        """This one and those that it is made of."""
        return [self, *self.logarithms]

    def _state_losses(self, softmax: Softmax) -> Expression:
        """Returns L, over (T,)."""
        steps = self.configuration.steps
        empty, least = tensor(self.empty), tensor(self.least)
        total = tensor(softmax.losses, Over((1,) * self.configuration.batch_size), 0)
        self.identity(SCALARS, "loss", (steps,), total + empty - 1 - least)
        self.identity(SCALARS, "loss is zero", (steps,), empty * least)
        every = Over((1,) * steps)
        all_steps = tensor(self.least, every) + steps - tensor(self.empty, every)
        self.identity(SCALARS, "total loss", (1,), all_steps - self.results.total_loss)
        return least + 1

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
        losses, squares, ratios = (
            np.array(values, dtype=object)
            for values in (trajectory.loss_sums, trajectory.sharpness_squares, trajectory.log_ratios)
        )
        least = np.maximum(losses, 1)
        total = int(ratios.sum())
        argument = steps * int((ratios * ratios).sum()) - total * total
        root = isqrt(argument)
        remainder = np.array([root - trajectory.value * steps], dtype=object)
        squares, scaled_loss = squares << SQUARES_BITS, self.configuration.eps_int * least
        saturated, saturated_gap = _positive(self.configuration.loss_floor - least)
        below_eps, below_eps_gap = _positive(scaled_loss - squares)
        arguments = [squares + scaled_loss, least]
        parts = [
            split(self.empty, losses == 0),
            split(self.least, least - 1),
            split(self.ratios, ratios),
            split(self.saturated, saturated),
            split(self.saturated_gap, saturated_gap),
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
