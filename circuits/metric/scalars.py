"""Everything between the layers, put together: softmax and losses, norms and perturbation, the results; three blocks.

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
    ) -> None:
        scale = loss_scale_tensor(configuration)
        self.softmax = Softmax(configuration, logits, records, delta, scale)
        self.loss_scale = LossScale(configuration, self.softmax.losses, scale)
        self.norms = Norms(configuration, parameters, implicit, limb_bits)
        self.statistic = Statistic(configuration, self.softmax, self.loss_scale, self.norms, results)
        self.distinct_labels = DistinctLabels(self.softmax.labels, results.labels)
        self.largest_margin = LargestMargin(self.softmax.first, results.margin)
        gadgets = [*self.softmax.gadgets, self.loss_scale, self.norms, *self.statistic.gadgets]
        super().__init__("scalars", [*gadgets, self.distinct_labels, self.largest_margin], limb_bits)

    def columns_of(self, trajectory: Trajectory) -> dict[str, U32]:
        """The columns, but for carries and those of tensors that go by the names of the trajectory's values."""
        parts = (self.softmax, self.loss_scale, self.norms, self.statistic, self.distinct_labels, self.largest_margin)
        return joined([part.witness(trajectory) for part in parts])
