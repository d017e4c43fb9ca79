"""What shows a degenerate network in single records: distinct labels and the largest margin, as cells and identities.

Of the labels' bits y_k, for every class k, with a bit p and everything else unsigned

    sum over records of y_k = p_k + others_k,   (1 - p_k) others_k = 0        p_k = [some record has label k]

and the sum of all p_k is public. Of selectors s_k and distances u_k (softmax.py) of the first passes' records, with bits r and
a, for a public number M of nats (the semantics: margin.py)

    sum_k r_k = 1,   r_k s_k = 0,   2^32 M - sum_k r_k u_k = slack >= 0       another class than the first maximum is within M
    sum over records of a = 1                                                 a selects a record, of which every class k
    sum over records of a u_k - (1 - sum of a s_k) X = excess_k >= 0          but the first maximum is beyond M - 1

with X = 2^32 (M - 1) + 1: no margin exceeds M, and one exceeds M - 1. Where there are several probes the sums over records are
over those of all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS
from zkds.circuits.metric.margin import margins
from zkds.circuits.metric.softmax import DISTANCE_BITS, SCALARS, SUMS, Exponentials
from zkds.circuits.trajectory import Trajectory
from zkds.identities.expressions import Over, sum_of, tensor
from zkds.identities.gadget import Gadget, joined, split
from zkds.integers.limbs import I64
from zkds.native import U32
from zkds.tensors.tensor import Committed


class DistinctLabels(Gadget):
    """How many labels the records of all probes have.

    labels   one-hot bits (K, T, B) of every probe
    """

    def __init__(self, labels: Sequence[Committed], count: int, prefix: str = "") -> None:
        super().__init__(f"{prefix}distinct labels")
        classes, *batches = labels[0].shape
        records = len(labels) * math.prod(batches)
        self.present = self.integer("present", 1, (classes,))
        self.others = self.integer("others", max(1, (records - 1).bit_length()), (classes,))
        present, others = tensor(self.present), tensor(self.others)
        every = [Over((1,) * length) for length in batches]
        of_class = sum_of([tensor(bits, 0, *every) for bits in labels])
        self.identity(SCALARS, "label", (classes,), of_class - present - others)
        self.identity(SCALARS, "no label", (classes,), others - present * others)
        self.identity(SCALARS, "count", (1,), tensor(self.present, Over((1,) * classes)) - count)

    def witness(self, probes: Sequence[Trajectory]) -> dict[str, U32]:
        """The columns, but for carries."""
        labels = np.concatenate([probe.labels.reshape(-1) for probe in probes])
        counts = np.bincount(labels, minlength=self.present.shape[0])
        present = np.minimum(counts, 1)
        return split(self.present, present) | split(self.others, counts - present)


class LargestMargin(Gadget):
    """That no margin of a probe's records in first passes exceeds M; of the last probe, `state_widest`: one exceeds M - 1.

    scores   of the first passes, (K, T, B)
    nats     M
    number   of the probe, from 1
    """

    def __init__(self, scores: Exponentials, nats: int, number: int = 1, prefix: str = "") -> None:
        super().__init__(f"{prefix}largest margin")
        self.scores, self.nats, self.number = scores, nats, number
        classes, *batches = scores.shape
        steps, batch_size = batches
        self.runner_up = self.integer("runner-up", 1, scores.shape)
        self.slack = self.integer("slack", DISTANCE_BITS, (steps, batch_size))
        self.widest = self.integer("widest", 1, (steps, batch_size))
        self.excess: Committed | None = None  # of the last probe
        one_runner_up = tensor(self.runner_up, Over((1,) * classes), 0, 1)
        selected = tensor(self.runner_up, 1, 2, 3) * tensor(scores.selectors, 1, 2, 3)
        distance = tensor(self.runner_up, 2, 0, 1) * tensor(scores.distance, 2, 0, 1)
        self.identity(SCALARS, "one runner-up", (steps, batch_size), one_runner_up - 1)
        self.identity(SUMS, "another class", (1,), selected.summed(*scores.shape))
        within = (nats << ACTIVATION_BITS) - distance.summed(classes) - tensor(self.slack)
        self.identity(SUMS, "margin", (steps, batch_size), within)

    def state_widest(self, others: Sequence[LargestMargin]) -> None:
        """Of this probe and all others."""
        every = [*others, self]
        classes, *batches = self.scores.shape
        self.excess = self.integer("excess", DISTANCE_BITS, (classes,))
        ones = [Over((1,) * length) for length in batches]
        self.identity(SCALARS, "one widest", (1,), sum_of([tensor(each.widest, *ones) for each in every]) - 1)
        distances, selectors = (
            sum_of([(tensor(bit, 1, 2) * tensor(values)).summed(*batches) for bit, values in pairs])
            for pairs in (
                [(each.widest, each.scores.distance) for each in every],
                [(each.widest, each.scores.selectors) for each in every],
            )
        )
        beyond = distances + selectors * self._least - self._least - tensor(self.excess)
        self.identity(SUMS, "widest", (classes,), beyond)

    @property
    def _least(self) -> int:
        """The least margin [32] that rounds up to M nats, or to more; negative if M is 0."""
        return ((self.nats - 1) << ACTIVATION_BITS) + 1

    def witness(self, probes: Sequence[Trajectory]) -> dict[str, U32]:
        """The columns, but for carries: the first runner-up of every record, the first record of all with the largest margin.

        probes: all of them, in order
        """
        own = probes[self.number - 1]
        distances, selectors = _first_passes(own)
        second = np.where(selectors, distances.max() + 1, distances).argmin(axis=-1)
        runner_up = np.arange(selectors.shape[-1]) == second[..., None]
        found = margins(distances)
        every = np.stack([margins(_first_passes(probe)[0]) for probe in probes])
        widest = (np.arange(every.size) == every.argmax()).reshape(every.shape)
        parts = [
            split(self.runner_up, np.moveaxis(runner_up, -1, 0)),
            split(self.slack, (self.nats << ACTIVATION_BITS) - found),
            split(self.widest, widest[self.number - 1]),
        ]
        if self.excess is not None:
            (holder,) = np.unique(np.nonzero(widest)[0])
            distances, selectors = _first_passes(probes[holder])
            excess = (distances - self._least)[widest[holder]][0]
            parts.append(split(self.excess, np.where(selectors[widest[holder]][0], 0, excess)))
        return joined(parts)


def _first_passes(probe: Trajectory) -> tuple[I64, NDArray[np.bool_]]:
    """The distances of all scores to their maximum [32], and which scores the first maxima are: (T, B, K) each."""
    steps = probe.configuration.steps
    logits, maximum = probe.logits[:steps], probe.maximum[:steps]
    return logits.max(axis=-1, keepdims=True) - logits, np.arange(logits.shape[-1]) == maximum[..., None]
