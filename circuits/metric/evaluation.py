"""Losses and predictions of records that are evaluated alone (the semantics: circuits/evaluation.py), as cells and identities.

Labels, exponentials, logarithms and losses are those of first passes (softmax.py), without deltas. Of n records

    sum of all losses + 2^9 - rem = 2^10 total loss,   0 <= rem < 2^10
    sum over classes and records of y_k s_k = correct

y the bits of the labels, s the selectors of the first maximum; the right sides are public.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from zkds.circuits.arithmetic.fixed_point import LOSS_WIDTH
from zkds.circuits.metric.deviation import LOSSES
from zkds.circuits.metric.logarithm import Logarithm
from zkds.circuits.metric.softmax import (
    SCALARS,
    SUMS,
    Exponentials,
    ScoredPasses,
    correct_predictions,
    state_labels,
    state_losses,
)
from zkds.circuits.metric.statistic import TOTAL_SHIFT
from zkds.identities.expressions import Over, tensor
from zkds.identities.gadget import Gadget, Integers, joined, split
from zkds.integers.limbs import I64
from zkds.native import U32
from zkds.tensors.tensor import Committed, Tensor


class EvaluatedScores(ScoredPasses, Protocol):
    """What the semantics computes, as in `circuits.evaluation.Evaluated`."""

    @property
    def labels(self) -> I64: ...
    @property
    def losses(self) -> Integers: ...


class EvaluatedLosses(Gadget):
    """From scores and labels to the public results.

    logits    (1, n, K, 1, 1) [32], of the format CONVOLUTION
    records   the labels' bytes, (1, n), or (1, n, 2), low byte first
    """

    def __init__(self, prefix: str, logits: Tensor, records: Committed, total_loss: int, correct: int) -> None:
        super().__init__(f"{prefix}softmax")
        _, count, classes, _, _ = logits.shape
        self.total_loss = total_loss
        self.labels = self.integer("labels", 1, (classes, 1, count))
        self.losses = self.wide("losses", LOSS_WIDTH, (count, 1))
        self.remainder = self.integer("total loss, remainder", TOTAL_SHIFT, (1,))
        state_labels(self, self.labels, records)
        self.scores = Exponentials(f"{prefix}scores", logits, (0, 1))
        self.logarithm = Logarithm(f"{prefix}log of sums", (count, 1), self.scores.total.expression(1, 0), SCALARS, LOSSES)
        state_losses(self, self.losses, self.labels, self.scores, self.logarithm)
        total = self.losses.expression(Over((1,) * count), 0) + (1 << TOTAL_SHIFT - 1) - tensor(self.remainder)
        self.identity(SUMS, "total loss", (1,), total - (total_loss << TOTAL_SHIFT))
        self.identity(SUMS, "correct", (1,), correct_predictions(self.labels, self.scores) - correct)

    @property
    def gadgets(self) -> list[Gadget]:
        """This one and those that it is made of."""
        return [self, self.scores, self.logarithm]

    def witness(self, found: EvaluatedScores) -> dict[str, U32]:
        """The columns of all of `gadgets`, but for carries."""
        labels = np.arange(self.labels.shape[0])[:, None, None] == found.labels
        remainder = int(found.losses.sum()) + (1 << TOTAL_SHIFT - 1) - (self.total_loss << TOTAL_SHIFT)
        parts = [
            split(self.labels, labels),
            self.losses.split(found.losses.T),
            split(self.remainder, np.array([remainder], dtype=object)),
            self.scores.exponentials_witness(found),
            self.logarithm.witness(found.exponential_sum.T),
        ]
        return joined(parts)
