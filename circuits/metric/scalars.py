"""Everything of a probe between the layers: softmax and losses, norms and perturbation, the results; three blocks.

    circuit = Scalars(configuration, logits, records, delta, parameters, results)

Its identities make three blocks (zkds/identities/block.py), in the order of `blocks`: "scalars", "sums" and "parameters".
"""

from __future__ import annotations

from collections.abc import Sequence

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.metric.degenerate import DistinctLabels, LargestMargin
from zkds.circuits.metric.loss_scale import LossScale
from zkds.circuits.metric.results import Results
from zkds.circuits.metric.sam import ImplicitWeight, Norms, Parameter
from zkds.circuits.metric.softmax import Softmax, loss_scale_tensor
from zkds.circuits.metric.statistic import Statistic
from zkds.circuits.trajectory import Trajectory
from zkds.identities.gadget import Gadgets, joined
from zkds.integers.identity import DIGIT_BITS
from zkds.native import U32
from zkds.tensors.tensor import Committed, Tensor


class Scalars(Gadgets):
    """The relation of all gadgets. Deterministic in its arguments; the results are part of the statement.

    logits      (P, B, K, 1, 1), a tensor of another relation
    records     the labels' bytes, (T, B) or (T, B, 2): of the relation that commits the data
    delta       `logit_delta_tensor`, committed here
    parameters  w, g of other relations, and E, committed here
    implicit    weights of which no gradient is committed; their E^ are committed here
    limb_bits   of remainders and carries (`NetworkCircuit`)
    number      of the probe, from 1
    others      those of all probes before, if it is the last one, which states the results of all; None of any other
    prefix      of all names
    """

    def __init__(
        self,
        configuration: Configuration,
        logits: Tensor,
        records: Committed,
        delta: Committed,
        parameters: Sequence[Parameter],
        results: Results,
        implicit: Sequence[ImplicitWeight] = (),
        limb_bits: int = DIGIT_BITS,
        *,
        number: int = 1,
        others: Sequence[Scalars] | None = (),
        prefix: str = "",
    ) -> None:
        scale = loss_scale_tensor(configuration, prefix)
        self.number = number
        self.softmax = Softmax(configuration, logits, records, delta, scale, prefix)
        self.loss_scale = LossScale(configuration, self.softmax.losses, scale, prefix)
        self.norms = Norms(configuration, parameters, implicit, limb_bits, prefix)
        self.statistic = Statistic(configuration, self.softmax, self.loss_scale, self.norms, results, number, prefix)
        self.largest_margin = LargestMargin(self.softmax.first, results.margin, number, prefix)
        self.distinct_labels: DistinctLabels | None = None
        gadgets = [*self.softmax.gadgets, self.loss_scale, self.norms, *self.statistic.gadgets]
        if others is not None:
            self.statistic.state_results([scalars.statistic for scalars in others])
            self.largest_margin.state_widest([scalars.largest_margin for scalars in others])
            labels = [scalars.softmax.labels for scalars in (*others, self)]
            self.distinct_labels = DistinctLabels(labels, results.labels, prefix)
            gadgets.append(self.distinct_labels)
        super().__init__(f"{prefix}scalars", [*gadgets, self.largest_margin], limb_bits, prefix)

    def columns_of(self, *probes: Trajectory) -> dict[str, U32]:
        """The columns, but for carries and those of tensors that go by the names of the trajectory's values.

        probes: all of them, in order
        """
        parts = [part.witness(probes[self.number - 1]) for part in (self.softmax, self.loss_scale, self.norms)]
        parts += [self.statistic.witness(probes), self.largest_margin.witness(probes)]
        return joined(parts if self.distinct_labels is None else [*parts, self.distinct_labels.witness(probes)])
