"""What shows a degenerate network in single records: distinct labels and the largest margin, as cells and identities.

Of the labels' bits y_k, for every class k, with a bit p and everything else unsigned

    sum over records of y_k = p_k + others_k,   (1 - p_k) others_k = 0        p_k = [some record has label k]

and the sum of all p_k is public. Of selectors s_k and distances u_k (softmax.py) of the first passes' records, with bits r and
a, for a public number M of nats (the semantics: margin.py)

    sum_k r_k = 1,   r_k s_k = 0,   2^32 M - sum_k r_k u_k = slack >= 0       another class than the first maximum is within M
    sum over records of a = 1                                                 a selects a record, of which every class k
    sum over records of a u_k - (1 - sum of a s_k) X = excess_k >= 0          but the first maximum is beyond M - 1

with X = 2^32 (M - 1) + 1: no margin exceeds M, and one exceeds M - 1.
"""

from __future__ import annotations

import numpy as np

from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS
from zkds.circuits.metric.margin import margins
from zkds.circuits.metric.softmax import DISTANCE_BITS, SCALARS, SUMS, Exponentials
from zkds.circuits.trajectory import Trajectory
from zkds.identities.expressions import Over, tensor
from zkds.identities.gadget import Gadget, joined, split
from zkds.native import U32
from zkds.tensors.tensor import Committed


class DistinctLabels(Gadget):
    """How many labels the records have.

    labels   one-hot bits (K, T, B)
    """

    def __init__(self, labels: Committed, count: int) -> None:
        super().__init__("distinct labels")
        classes, *batches = labels.shape
        others_bits = max(1, (int(np.prod(batches)) - 1).bit_length())
        self.present = self.integer("present", 1, (classes,))
        self.others = self.integer("others", others_bits, (classes,))
        present, others = tensor(self.present), tensor(self.others)
        of_class = tensor(labels, 0, *(Over((1,) * length) for length in batches))
        self.identity(SCALARS, "label", (classes,), of_class - present - others)
        self.identity(SCALARS, "no label", (classes,), others - present * others)
        self.identity(SCALARS, "count", (1,), tensor(self.present, Over((1,) * classes)) - count)

    def witness(self, trajectory: Trajectory) -> dict[str, U32]:
        """The columns, but for carries."""
        counts = np.bincount(trajectory.labels.reshape(-1), minlength=self.present.shape[0])
        present = np.minimum(counts, 1)
        return split(self.present, present) | split(self.others, counts - present)


class LargestMargin(Gadget):
    """The largest margin of the records in first passes.

    scores   of the first passes, (K, T, B)
    nats     M
    """

    def __init__(self, scores: Exponentials, nats: int) -> None:
        super().__init__("largest margin")
        self.nats = nats
        classes, *batches = scores.shape
        steps, batch_size = batches
        self.runner_up = self.integer("runner-up", 1, scores.shape)
        self.slack = self.integer("slack", DISTANCE_BITS, (steps, batch_size))
        self.widest = self.integer("widest", 1, (steps, batch_size))
        self.excess = self.integer("excess", DISTANCE_BITS, (classes,))
        one_runner_up = tensor(self.runner_up, Over((1,) * classes), 0, 1)
        selected = tensor(self.runner_up, 1, 2, 3) * tensor(scores.selectors, 1, 2, 3)
        distance = tensor(self.runner_up, 2, 0, 1) * tensor(scores.distance, 2, 0, 1)
        self.identity(SCALARS, "one runner-up", (steps, batch_size), one_runner_up - 1)
        self.identity(SUMS, "another class", (1,), selected.summed(*scores.shape))
        within = (nats << ACTIVATION_BITS) - distance.summed(classes) - tensor(self.slack)
        self.identity(SUMS, "margin", (steps, batch_size), within)
        one_widest = tensor(self.widest, Over((1,) * steps), Over((1,) * batch_size))
        self.identity(SCALARS, "one widest", (1,), one_widest - 1)
        widest = tensor(self.widest, 1, 2)
        distances, selectors = ((widest * tensor(each)).summed(*batches) for each in (scores.distance, scores.selectors))
        beyond = distances + selectors * self._least - self._least - tensor(self.excess)
        self.identity(SUMS, "widest", (classes,), beyond)

    @property
    def _least(self) -> int:
        """The least margin [32] that rounds up to M nats, or to more; negative if M is 0."""
        return ((self.nats - 1) << ACTIVATION_BITS) + 1

    def witness(self, trajectory: Trajectory) -> dict[str, U32]:
        """The columns, but for carries: the first runner-up of every record, and the first record with the largest margin."""
        steps = trajectory.configuration.steps
        logits, maximum = trajectory.logits[:steps], trajectory.maximum[:steps]
        distances = logits.max(axis=-1, keepdims=True) - logits
        classes = np.arange(logits.shape[-1])
        selectors = classes == maximum[..., None]
        second = np.where(selectors, logits.min() - 1, logits).argmax(axis=-1)
        found = margins(distances)
        widest = np.arange(found.size).reshape(found.shape) == found.argmax()
        excess = (distances - self._least)[widest][0]
        parts = [
            split(self.runner_up, np.moveaxis(classes == second[..., None], -1, 0)),
            split(self.slack, (self.nats << ACTIVATION_BITS) - found),
            split(self.widest, widest),
            split(self.excess, np.where(selectors[widest][0], 0, excess)),
        ]
        return joined(parts)
