"""The results (the semantics: circuits/metric/deviation.py), as cells and identities.

Per step, with V from circuits/metric/sam.py and L, k, X from circuits/metric/loss_scale.py:

    l = LOG(2^16 V + X) - LOG(L) - 2 k LN2

and over all steps of a probe

    (2 saturated - 1) (floor - L) - saturated = gap >= 0            saturated = [L < floor], floor = B 2^14
    (2 below - 1) (X - 2^16 V) - below = gap >= 0                   below = [2^16 V < X]: the ratio is below eps
    T sum l^2 - (sum l)^2 = y^2 + rest,  0 <= rest <= 2 y      (sum l)^2 as a double sum
    y = T ds + rem,  0 <= rem <= T - 1

and over all R probes

    the sum of all losses rounds to 2^10 total loss

The total loss, the number of correct predictions and the sums of both bits are public. Every ds is public too, or all are
hidden: then R tau - sum ds = margin >= 0 for a public threshold tau, so that their mean is at most tau.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from zkds.identities.expressions import Expression, Over, sum_of, tensor
from zkds.identities.gadget import Gadget, Integers, Wide, joined, split, square_root
from zkds.native import U32
from zkds.tensors.tensor import Committed

SCALARS, SUMS = "scalars", "sums"  # names of blocks
SQUARES_BITS = 16  # N = 2^16 V + X
TOTAL_SHIFT = EXPONENTIAL_BITS - RESULT_FRACTION_BITS  # from the sum of all losses to what is published
MARGIN_WIDTH = 60


class Statistic(Gadget):
    """From a probe's losses and norms to its value; `state_results`, of the last probe: to the results of all.

    number      of the probe, from 1
    prefix      of the gadgets' names
    value       ds, an expression over (1,)
    """

    def __init__(
        self,
        configuration: Configuration,
        softmax: Softmax,
        scale: LossScale,
        norms: Norms,
        results: Results,
        number: int = 1,
        prefix: str = "",
    ) -> None:
        super().__init__(f"{prefix}statistic")
        self.configuration, self.results, self.number = configuration, results, number
        self.softmax, self.scale = softmax, scale
        self.total_remainder: Committed | None = None  # of the last probe, in which the results of all are stated
        self.margin: Wide | None = None
        self.hidden: Committed | None = None
        steps = configuration.steps
        self.ratios = self.integer("log ratios", LOG_WIDTH + 1, (steps,), signed=True)
        self.saturated = self.integer("saturated", 1, (steps,))
        self.saturated_gap = self.wide("saturated, gap", LOSS_WIDTH, (steps,))
        self.below_eps = self.integer("below eps", 1, (steps,))
        self.below_eps_gap = self.wide("below eps, gap", LOGARITHM_WIDTH, (steps,))
        self.remainder = self.integer("value, remainder", max(1, (steps - 1).bit_length()), (1,))
        self.remainder_gap = self.integer("value, gap", max(1, (steps - 1).bit_length()), (1,))
        squares, eps = norms.squares.expression() * (1 << SQUARES_BITS), scale.eps.expression()
        self._state_sign("saturated", self.saturated, configuration.loss_floor - scale.loss, self.saturated_gap)
        self._state_sign("below eps", self.below_eps, eps - squares, self.below_eps_gap)
        self.logarithms = [
            Logarithm(f"{prefix}log of squares", (steps,), squares + eps, SCALARS),
            Logarithm(f"{prefix}log of losses", (steps,), scale.loss, SCALARS),
        ]
        log_squares, log_losses = (logarithm.value for logarithm in self.logarithms)
        log_ratio = log_squares - log_losses - scale.doublings * (2 * tables.LN2)
        self.identity(SCALARS, "log ratios", (steps,), log_ratio - tensor(self.ratios))
        self._state_deviation(None if results.values is None else results.values[number - 1])

    @property
    def gadgets(self) -> list[Gadget]:
        """This one and those that it is made of."""
        return [self, *self.logarithms]

    def _state_sign(self, name: str, positive: Committed, difference: Expression, gap: Wide) -> None:
        """positive = [difference > 0], over (T,): no other bit leaves a gap that is not negative."""
        bit = tensor(positive)
        self.identity(SCALARS, name, positive.shape, (bit * 2 - 1) * difference - bit - gap.expression())

    def _state_deviation(self, value: int | None) -> None:
        """value: ds [48], None if it is hidden."""
        steps = self.configuration.steps
        square = (tensor(self.ratios, 1) * tensor(self.ratios, 1)).summed(steps)
        double = (tensor(self.ratios, 1) * tensor(self.ratios, 2)).summed(steps, steps)
        width = (steps << LOG_WIDTH).bit_length()
        self.root = square_root(self, SUMS, "deviation", width, (1,), square * steps - double)
        remainder = tensor(self.remainder)
        if value is None:
            self.hidden = self.integer("value", LOG_WIDTH + 1, (1,))
            self.value = tensor(self.hidden)
        else:
            self.value = Expression([]) + value
        self.identity(SCALARS, "value", (1,), self.root.root.expression() - remainder - self.value * steps)
        self.identity(SCALARS, "value, least", (1,), steps - 1 - remainder - tensor(self.remainder_gap))

    def state_results(self, others: Sequence[Statistic]) -> None:
        """What is published of this probe and all others."""
        every, results = [*others, self], self.results
        self.total_remainder = self.integer("total loss, remainder", TOTAL_SHIFT, (1,))
        total = sum_of([each.scale.total_loss() for each in every]) + (1 << TOTAL_SHIFT - 1) - tensor(self.total_remainder)
        self.identity(SCALARS, "total loss", (1,), total - (results.total_loss << TOTAL_SHIFT))
        ones = Over((1,) * self.configuration.steps)
        for name, bits, count in (
            ("saturated", [each.saturated for each in every], results.saturated),
            ("below eps", [each.below_eps for each in every], results.below_eps),
        ):
            self.identity(SCALARS, f"{name}, count", (1,), sum_of([tensor(bit, ones) for bit in bits]) - count)
        if results.threshold is not None:
            self.margin = self.wide("margin", MARGIN_WIDTH + (len(every) - 1).bit_length(), (1,))
            values = sum_of([each.value for each in every])
            margin = len(every) * results.threshold - values - self.margin.expression()
            self.identity(SCALARS, "threshold", (1,), margin)
        self.identity(SUMS, "correct", (1,), sum_of([each.softmax.correct for each in every]) - results.correct)

    def witness(self, probes: Sequence[Trajectory]) -> dict[str, U32]:
        """The columns of all of `gadgets`, but for carries; probes: all of them, in order.

        Raises WitnessOverflow for a mean value above the threshold.
        """
        trajectory = probes[self.number - 1]
        steps = self.configuration.steps
        losses, squares, eps, ratios = (
            np.array(values, dtype=object)
            for values in (trajectory.loss_sums, trajectory.sharpness_squares, trajectory.scaled_eps, trajectory.log_ratios)
        )
        counted = np.maximum(losses, 1)
        total = int(ratios.sum())
        argument = steps * int((ratios * ratios).sum()) - total * total
        root = isqrt(argument)
        remainder = np.array([root - trajectory.value * steps], dtype=object)
        squares = squares << SQUARES_BITS
        saturated, saturated_gap = _positive(self.configuration.loss_floor - counted)
        below_eps, below_eps_gap = _positive(eps - squares)
        arguments = [squares + eps, counted]
        parts = [
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
        if self.hidden is not None:
            parts.append(split(self.hidden, np.array([trajectory.value], dtype=object)))
        return joined([*parts, *self._results_witness(probes)])

    def _results_witness(self, every: Sequence[Trajectory]) -> list[dict[str, U32]]:
        """What `state_results` commits, if it was called."""
        if self.total_remainder is None:
            return []
        half, unit = 1 << TOTAL_SHIFT - 1, 1 << TOTAL_SHIFT
        remainder = (sum(sum(each.loss_sums) for each in every) + half) % unit
        parts = [split(self.total_remainder, np.array([remainder], dtype=object))]
        if self.margin is not None and self.results.threshold is not None:
            margin = len(every) * self.results.threshold - sum(each.value for each in every)
            parts.append(self.margin.split(np.array([margin], dtype=object)))
        return parts


def _positive(difference: Integers) -> tuple[Integers, Integers]:
    """(bit, gap) of each difference: bit = [difference > 0], gap = (2 bit - 1) difference - bit."""
    positive = difference > 0
    return positive.astype(object), np.where(positive, difference - 1, -difference)
