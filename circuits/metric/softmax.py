"""Softmax cross-entropy (the semantics: circuits/metric/loss.py), as cells, lookups and identities.

For the logits z_i of every record and pass, with bits s_i, and everything else unsigned but m and delta:

    sum_i s_i = 1,   m - z_i = u_i >= 0,   s_i u_i = 0                     s selects a largest logit, m is its value
    u_i - 1 + sum_(j <= i) s_j = before_i >= 0                             ... and every earlier u_i is at least 1: the first
    u_i = int 2^32 + high 2^16 + low                                       its limbs, looked up in EXP_INT, EXP_HI, EXP_LO
    e_i = round(round(EXP_INT EXP_HI / 2^48) EXP_LO / 2^48),   sum = sum_i e_i
    2 S (e_i - y_i sum) + B sum = 2 B sum delta_i + rem_i,   0 <= rem_i <= 2 B sum - 1

In first passes S is 2^44 times 2^k, the loss scale of the step, which loss_scale.py binds; the number t = 2^k sum is committed,
so that

    2^45 (2^k e_i - y_i t) + B sum = 2 B sum delta_i + rem_i

An entry of a table has 49 bits, 59 in EXP_INT: two cells of a row (32 bits and the rest), which equal a range-checked number of
four limbs. Labels: bits y_k with sum_k y_k = 1 and sum_k k y_k = the record's label, which is thus below the number of classes.
Losses of first passes:

    loss = LOG(sum) - 58 LN2 + 2^26 sum_i y_i u_i                          LOG with 58 fractional bits

The class axis comes first, so that sums over it are claims on the vector as they stand; first and second passes, which differ
in S and in the label's step, are separate tensors.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic import tables
from zkds.circuits.arithmetic.fixed_point import (
    CONVOLUTION,
    DELTA,
    EXPONENTIAL_BITS,
    FIRST_SCALE,
    LOSS_WIDTH,
    MAX_CLASSES,
    MAX_LOSS_SCALE,
    Configuration,
)
from zkds.circuits.metric.deviation import LOSSES
from zkds.circuits.metric.logarithm import Logarithm
from zkds.circuits.metric.loss import DISTANCE_SHIFT, FACTOR_BITS, LOG_ONE
from zkds.circuits.operators.operator import Schedule
from zkds.circuits.trajectory import Trajectory
from zkds.identities.expressions import ONLY, Along, Expression, Over, UpTo, tensor
from zkds.identities.gadget import CELL_BITS, CellFormat, Gadget, Wide, joined, round_identity, split, value_table
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.lookup import ExplicitTable
from zkds.native import U32
from zkds.tensors.tensor import Committed, Tensor

SCALARS, SUMS = "scalars", "sums"  # names of blocks
DISTANCE_BITS = 44  # u < 2^43: three limbs, the top one of 12 bits
LOW, HIGH, INT = 0, 1, 2  # limbs of u
VALUE_BITS = EXPONENTIAL_BITS + 1  # of an exponential, at most 2^58
ENTRY_BITS = (FACTOR_BITS + 1, FACTOR_BITS + 1, VALUE_BITS)  # of entries of EXP_LO, EXP_HI, EXP_INT
SCALE_BITS = MAX_LOSS_SCALE + 1  # of a loss scale


@cache
def exponential_tables() -> tuple[ExplicitTable, ExplicitTable, ExplicitTable]:
    """Rows (limb, value mod 2^32, floor(value / 2^32)) for the limbs of u."""
    return value_table(tables.exp_lo()), value_table(tables.exp_hi()), value_table(tables.exp_int())


def logit_delta_tensor(schedule: Schedule, classes: int, prefix: str = "") -> Committed:
    """The deltas of the logits, (P, B, K, 1, 1), as the backward pass uses them; `Softmax` commits them."""
    shape = (schedule.passes, schedule.batch_size, classes, 1, 1)
    return Committed(LimbColumns(f"{prefix}logit delta", DELTA, shape))


def loss_scale_tensor(configuration: Configuration, prefix: str = "") -> Committed:
    """2^k of every step, (T,), with which the deltas of its first pass are multiplied; `LossScale` commits and binds it."""
    number = LimbFormat(DIGIT_BITS, SCALE_BITS, False)
    return Committed(LimbColumns(f"{prefix}loss scale", number, (configuration.steps,)))


class ScoredPasses(Protocol):
    """What the semantics computes of scores, as in `Trajectory`: (passes, ..) each."""

    @property
    def logits(self) -> I64: ...
    @property
    def maximum(self) -> I64: ...
    @property
    def exponential_product(self) -> I64: ...
    @property
    def exponential_product_remainder(self) -> I64: ...
    @property
    def exponential(self) -> I64: ...
    @property
    def exponential_remainder(self) -> I64: ...
    @property
    def exponential_sum(self) -> NDArray[Any]: ...


class PassesWithDeltas(ScoredPasses, Protocol):
    """And of the deltas of the logits."""

    @property
    def logit_delta_remainder(self) -> NDArray[Any]: ...


class Exponentials(Gadget):
    """Selectors and exponentials of the passes start, ..., start + count - 1, the window (start, count).

    logits   (P, B, K, 1, 1)
    """

    def __init__(self, name: str, logits: Tensor, window: tuple[int, int]) -> None:
        super().__init__(name)
        self.start, count = window
        _, batch_size, classes, _, _ = logits.shape
        if classes > MAX_CLASSES:
            raise ValueError(f"logits: expected at most {MAX_CLASSES} classes, got {classes}")
        self.shape = (classes, count, batch_size)
        self.totals_shape = (count, batch_size)
        self.selectors = self.integer("selectors", 1, self.shape)
        self.maximum = self.integer("maximum", CONVOLUTION.width, self.totals_shape, signed=True)
        self.distance = self.indices("distance", DISTANCE_BITS, self.shape, exponential_tables())
        self.before = self.integer("before", DISTANCE_BITS, self.shape)
        self.factors = [self._looked_up(limb) for limb in (LOW, HIGH, INT)]
        self.product = self.integer("product", VALUE_BITS, self.shape)
        self.product_remainder = self.integer("product, remainder", FACTOR_BITS, self.shape)
        self.exponential = self.integer("exponential", VALUE_BITS, self.shape)
        self.exponential_remainder = self.integer("exponential, remainder", FACTOR_BITS, self.shape)
        self.total = self.wide("sum", (classes << EXPONENTIAL_BITS).bit_length(), self.totals_shape)
        self._state_selection(logits)
        self._state_exponentials()

    def _looked_up(self, limb: int) -> tuple[Committed, Committed, Committed]:
        """The value that a table gives for a limb of u: its two cells and the number in limbs."""
        name = ("EXP_LO", "EXP_HI", "EXP_INT")[limb]
        low = self.table_value(f"{name} low", CellFormat(CELL_BITS), self.shape)
        high = self.table_value(f"{name} high", CellFormat(ENTRY_BITS[limb] - CELL_BITS), self.shape)
        value = self.integer(name, ENTRY_BITS[limb], self.shape)
        self.look_up(exponential_tables()[limb], self.distance, limb, [low, high])
        cells = tensor(low) + tensor(high) * (1 << CELL_BITS)
        self.identity(SCALARS, f"{name} in limbs", self.shape, cells - tensor(value))
        return low, high, value

    def _state_selection(self, logits: Tensor) -> None:
        z = tensor(logits, Along(1, self.start), 2, 0, ONLY, ONLY)
        selector, distance, maximum = tensor(self.selectors), tensor(self.distance), tensor(self.maximum, 1, 2)
        selected = tensor(self.selectors, UpTo(0), 1, 2)
        one = tensor(self.selectors, Over((1,) * self.shape[0]), 0, 1)
        self.identity(SCALARS, "one maximum", self.totals_shape, one - 1)
        self.identity(SCALARS, "distance", self.shape, maximum - z - distance)
        self.identity(SCALARS, "maximum", self.shape, selector * distance)
        self.identity(SCALARS, "first maximum", self.shape, distance - 1 + selected - tensor(self.before))

    def _state_exponentials(self) -> None:
        low, high, whole = (tensor(value) for _, _, value in self.factors)
        product, exponential, total = tensor(self.product), tensor(self.exponential), self.total.expression()
        first = round_identity(whole * high, FACTOR_BITS, product, tensor(self.product_remainder))
        second = round_identity(product * low, FACTOR_BITS, exponential, tensor(self.exponential_remainder))
        summed = tensor(self.exponential, Over((1,) * self.shape[0]), 0, 1)
        self.identity(SCALARS, "product", self.shape, first)
        self.identity(SCALARS, "exponential", self.shape, second)
        self.identity(SCALARS, "sum", self.totals_shape, summed - total)

    def _of(self, values: NDArray[Any]) -> NDArray[Any]:
        """A tensor (P, B, K) of all passes as those of the window have it, (K, count, B)."""
        return np.moveaxis(values[self._window], 2, 0)

    @property
    def _window(self) -> slice:
        return slice(self.start, self.start + self.shape[1])

    def exponentials_witness(self, passes: ScoredPasses) -> dict[str, U32]:
        """The columns, but for carries."""
        logits = self._of(passes.logits)
        selectors = np.arange(self.shape[0])[:, None, None] == passes.maximum[self._window]
        maximum = logits.max(axis=0)
        distance = maximum - logits
        values = [
            (self.selectors, selectors),
            (self.maximum, maximum),
            (self.distance, distance),
            (self.before, distance - 1 + np.cumsum(selectors, axis=0)),
            (self.product, self._of(passes.exponential_product)),
            (self.product_remainder, self._of(passes.exponential_product_remainder)),
            (self.exponential, self._of(passes.exponential)),
            (self.exponential_remainder, self._of(passes.exponential_remainder)),
        ]
        for limb, table in enumerate((tables.exp_lo(), tables.exp_hi(), tables.exp_int())):
            value = table[distance >> DIGIT_BITS * limb & (len(table) - 1)]
            parts = (value & ((1 << CELL_BITS) - 1), value >> CELL_BITS, value)
            values += list(zip(self.factors[limb], parts, strict=True))
        columns = joined([split(owner, value) for owner, value in values])
        return columns | self.total.split(passes.exponential_sum[self._window])


class Scores(Exponentials):
    """And the deltas of the logits.

    delta    (P, B, K, 1, 1)
    labels   one-hot, (K, T, B); pass start + t belongs to step t
    scale    S
    """

    def __init__(
        self, name: str, logits: Tensor, delta: Committed, labels: Committed, window: tuple[int, int], scale: int
    ) -> None:
        super().__init__(name, logits, window)
        self.scale, self.delta, self.batch_size = scale, delta, logits.shape[1]
        width = (2 * self.batch_size * self.shape[0] << EXPONENTIAL_BITS).bit_length()
        self.remainder = self.wide("delta, remainder", width, self.shape)
        self.gap = self.wide("delta, gap", width, self.shape)
        self._state_delta(labels)

    def _state_delta(self, labels: Committed) -> None:
        delta = tensor(self.delta, Along(1, self.start), 2, 0, ONLY, ONLY)
        total, remainder = self.total.expression(1, 2), self.remainder.expression()
        divisor = total * (2 * self.batch_size)
        exact = self._error(labels) * (2 * self.scale) + total * self.batch_size
        self.identity(SCALARS, "delta", self.shape, exact - divisor * delta - remainder)
        self.identity(SCALARS, "delta, least", self.shape, divisor - 1 - remainder - self.gap.expression())

    def _error(self, labels: Committed) -> Expression:
        """e_i - y_i sum."""
        return tensor(self.exponential) - self.total.expression(1, 2) * tensor(labels)

    def witness(self, passes: PassesWithDeltas) -> dict[str, U32]:
        """The columns, but for carries and the deltas."""
        total, remainder = passes.exponential_sum[self._window], self._of(passes.logit_delta_remainder)
        gap = 2 * self.batch_size * total - 1 - remainder
        return self.exponentials_witness(passes) | self.remainder.split(remainder) | self.gap.split(gap)


class ScaledScores(Scores):
    """Those of first passes, whose deltas are of the loss times 2^k.

    loss_scale   `loss_scale_tensor`, (T,)
    """

    def __init__(
        self, name: str, logits: Tensor, delta: Committed, labels: Committed, steps: int, loss_scale: Committed
    ) -> None:
        self.loss_scale = loss_scale
        super().__init__(name, logits, delta, labels, (0, steps), FIRST_SCALE)

    def _error(self, labels: Committed) -> Expression:
        """2^k e_i - y_i t, t = 2^k sum."""
        width = (self.shape[0] << EXPONENTIAL_BITS + MAX_LOSS_SCALE).bit_length()
        self.scaled_total = self.wide("scaled sum", width, self.totals_shape)
        scaled = self.total.expression() * tensor(self.loss_scale, 0)
        self.identity(SCALARS, "scaled sum", self.totals_shape, scaled - self.scaled_total.expression())
        return tensor(self.exponential) * tensor(self.loss_scale, 1) - self.scaled_total.expression(1, 2) * tensor(labels)

    def scaled_witness(self, trajectory: Trajectory) -> dict[str, U32]:
        """`witness` and what is added here."""
        scales = np.array([[1 << scale] for scale in trajectory.loss_scales], dtype=object)
        totals = trajectory.exponential_sum[: len(scales)]
        return self.witness(trajectory) | self.scaled_total.split(totals * scales)


def state_labels(gadget: Gadget, labels: Committed, records: Committed) -> None:
    """That the bits `labels` (K, T, B) say what the labels' bytes (T, B) or (T, B, 2) do."""
    classes, *shape = labels.shape
    label = tensor(records) if len(records.shape) == 2 else tensor(records, 0, 1, Over((1, 256)))
    gadget.identity(SCALARS, "one label", tuple(shape), tensor(labels, Over((1,) * classes), 0, 1) - 1)
    gadget.identity(SCALARS, "label", tuple(shape), tensor(labels, Over(tuple(range(classes))), 0, 1) - label)


def state_losses(gadget: Gadget, losses: Wide, labels: Committed, scores: Exponentials, logarithm: Logarithm) -> None:
    """That the losses (B, T) are those of the scores; the class is what is summed over. logarithm: LOG(sum), (B, T)."""
    classes = labels.shape[0]
    distance = (tensor(scores.distance, 2, 1, 0) * tensor(labels, 2, 1, 0)).summed(classes)
    loss = logarithm.value - LOG_ONE + distance * (1 << DISTANCE_SHIFT)
    gadget.identity(SUMS, "losses", logarithm.shape, loss - losses.expression())


def correct_predictions(labels: Committed, scores: Exponentials) -> Expression:
    """How many of the selected classes are those of the labels, over (1,)."""
    product = tensor(labels, 1, 2, 3) * tensor(scores.selectors, 1, 2, 3)
    return product.summed(*labels.shape)


class Softmax(Gadget):
    """Labels and losses, the scores of first and second passes, and the deltas of all.

    logits   (P, B, K, 1, 1) [32], of the format CONVOLUTION
    records  the labels' bytes, (T, B), or (T, B, 2), low byte first
    delta    `logit_delta_tensor`
    scale    `loss_scale_tensor`
    losses   (B, T) [58]; `correct`: sum over all records of [the selected class is the label], an expression over (1,)
    prefix   of the gadgets' names
    """

    def __init__(
        self,
        configuration: Configuration,
        logits: Tensor,
        records: Committed,
        delta: Committed,
        scale: Committed,
        prefix: str = "",
    ) -> None:
        super().__init__(f"{prefix}softmax")
        steps, batch_size, classes = configuration.steps, configuration.batch_size, logits.shape[2]
        self.delta = self.own(delta)
        self.labels = self.integer("labels", 1, (classes, steps, batch_size))
        self.losses = self.wide("losses", LOSS_WIDTH, (batch_size, steps))
        state_labels(self, self.labels, records)
        self.first = ScaledScores(f"{prefix}first passes", logits, delta, self.labels, steps, scale)
        second = (steps, steps - 1)
        self.second = Scores(f"{prefix}second passes", logits, delta, self.labels, second, configuration.second_scale)
        sums = self.first.total.expression(1, 0)
        self.logarithm = Logarithm(f"{prefix}log of sums", (batch_size, steps), sums, SCALARS, LOSSES)
        state_losses(self, self.losses, self.labels, self.first, self.logarithm)
        self.correct = correct_predictions(self.labels, self.first)

    @property
    def gadgets(self) -> list[Gadget]:
        """This one and those that it is made of."""
        return [self, self.first, self.second, self.logarithm]

    def witness(self, trajectory: Trajectory) -> dict[str, U32]:
        """The columns of all of `gadgets`, but for carries."""
        labels = np.arange(self.labels.shape[0])[:, None, None] == trajectory.labels
        sums = trajectory.exponential_sum[: len(trajectory.labels)].T
        parts = [
            split(self.delta, trajectory.logit_delta),
            split(self.labels, labels),
            self.losses.split(trajectory.losses.T),
            self.first.scaled_witness(trajectory),
            self.second.witness(trajectory),
            self.logarithm.witness(sums),
        ]
        return joined(parts)
