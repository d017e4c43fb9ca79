"""The relation of a training step: committed records, public weights before and after, and one pass between them.

    membership   the batch's records under the data root, at the indices that the seed names
    model        the weights before and after
    network      what its operators compute; deltas; updates: one pass
    softmax      labels, probabilities, deltas of the logits
    weights      after + U - before = 0, for every entry

It is the relation of a certificate (circuits/certificate/relation.py) with one pass, whose gradients are rounded to updates,
and without a metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zkds.circuits.arithmetic.fixed_point import WEIGHT
from zkds.circuits.metric.softmax import Scores, logit_delta_tensor, state_labels
from zkds.circuits.models.public_model import PublicModel
from zkds.circuits.networks.circuit import NetworkCircuit
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.parameter import Parameter, WeightTensor, constant
from zkds.circuits.operators.records import InputTensor, Records
from zkds.circuits.training.step import Descent, Step
from zkds.commit.layout import Layout
from zkds.dataset.membership import Membership
from zkds.dataset.root import DataRoot
from zkds.dataset.sampling import batches
from zkds.identities.expressions import tensor
from zkds.identities.gadget import Gadget, Gadgets, joined, split
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64
from zkds.native import U32
from zkds.tensors.circuit import Circuit
from zkds.tensors.tensor import ColumnReader, Committed, Tensor, VectorWriter
from zkds.wire import encode_number

NAME = "training step"
LABEL = b"zkds training step v2"
WEIGHTS = "weights"  # name of a block


@dataclass(frozen=True)
class StepStatement:
    """What is public: a step from the model of one digest to that of another one, on a batch of a committed data set.

    before, after   32 bytes each, `weights.model_digest`
    """

    network: Network
    descent: Descent
    root: DataRoot
    seed: bytes
    before: bytes
    after: bytes

    @property
    def batches(self) -> list[list[int]]:
        """The indices of the batch's records, (1, B)."""
        return batches(self.seed, self.root.count, 1, self.descent.batch_size)

    def encode(self) -> bytes:
        """Canonical: the label, then each part after its length."""
        parts = (self.network.encode(), self.descent.encode(), self.root.encode(), self.seed, self.before, self.after)
        return LABEL + b"".join(encode_number(len(part)) + part for part in parts)


class StepParameter(Parameter):
    """A weight or a bias before the step, its update (1, ..), and what it is after it."""

    def __init__(self, name: str, shape: tuple[int, ...], descent: Descent) -> None:
        self.start = Committed(LimbColumns(f"{name}: start", WEIGHT, shape))
        self.update = Committed(LimbColumns(f"{name}: update", descent.update, (1, *shape)))
        self.after = Committed(LimbColumns(f"{name}: after", WEIGHT, shape))
        super().__init__(name, WeightTensor(f"{name}: passes", 1, self.start, None, None), (self.update,))


class Labels(Gadget):
    """The labels' bits (K, 1, B), the deltas of the logits, and the scores of the pass."""

    def __init__(self, descent: Descent, logits: Tensor, records: Committed, delta: Committed) -> None:
        super().__init__("softmax")
        self.delta = self.own(delta)
        self.labels = self.integer("labels", 1, (logits.shape[2], 1, descent.batch_size))
        state_labels(self, self.labels, records)
        self.scores = Scores("pass", logits, delta, self.labels, (0, 1), descent.second_scale)

    def witness(self, step: Step) -> dict[str, U32]:
        """The columns of both gadgets, but for carries."""
        labels = np.arange(self.labels.shape[0])[:, None, None] == step.labels
        return joined([split(self.delta, step.logit_delta), split(self.labels, labels), self.scores.witness(step)])


class Moved(Gadget):
    """after + U - before = 0 of every parameter; the weights after the step are committed here."""

    def __init__(self, parameters: Sequence[StepParameter]) -> None:
        super().__init__("moved weights")
        for parameter in parameters:
            self.own(parameter.after)
            axes = range(1, len(parameter.update.shape))
            moved = tensor(parameter.after, *axes) + tensor(parameter.update) - tensor(parameter.start, *axes)
            self.identity(WEIGHTS, parameter.name, parameter.update.shape, moved)


class TrainingStep(Circuit):
    """The relation of one statement.

    before, after   a verifier's own weights, int64 [40]: then the proof must be about them
    membership      the prover's, made by `Membership.open`; a verifier has none
    """

    def __init__(
        self,
        statement: StepStatement,
        before: Mapping[str, I64] | None = None,
        after: Mapping[str, I64] | None = None,
        *,
        membership: Membership | None = None,
    ) -> None:
        super().__init__(NAME, statement.encode())
        network, descent, schema = statement.network, statement.descent, statement.root.schema
        self.statement = statement
        self.membership = membership if membership is not None else Membership(statement.root, statement.batches)
        self.parameters = {name: StepParameter(name, shape, descent) for name, shape in network.parameters}
        self.constants = {name: constant(name, shape) for name, shape in network.constants}
        self.starts = {name: parameter.start for name, parameter in self.parameters.items()} | self.constants
        ends = {after_name(name): parameter.after for name, parameter in self.parameters.items()}
        weights = None if before is None or after is None else _named(before, after)
        records = Records(self.membership)
        multipliers, offsets = zip(*schema.channel_maps, strict=True)
        inputs = InputTensor("input", records.elements, schema.element_bytes, multipliers, offsets)
        passes = NetworkCircuit(network, descent.schedule, inputs, self.parameters, self.constants)
        delta = logit_delta_tensor(descent.schedule, network.classes)
        passes.propagate(delta)
        self.labels = Labels(descent, passes.logits, records.labels, delta)
        gadgets = [self.labels, self.labels.scores, Moved(list(self.parameters.values()))]
        self.scalars = Gadgets("scalars", gadgets, passes.limb_bits)
        for component in (records, PublicModel(self.starts | ends, weights), *passes.components, self.scalars):
            self.add(component)
        self.cells = sum(column.cells for column in self.columns)

    def columns_of(self, step: Step, before: Mapping[str, I64], records: Mapping[str, U32]) -> dict[str, U32]:
        """All columns, from what the semantics computed and the columns of membership."""
        columns = ColumnReader({})
        self._write(columns, step, before, records)
        return columns.columns

    def vector_of(self, layout: Layout, step: Step, before: Mapping[str, I64], records: Mapping[str, U32]) -> U32:
        """The vector, without multiplicities."""
        columns = VectorWriter(layout)
        self._write(columns, step, before, records)
        return columns.finished(column.name for column in self.columns)

    def _write(
        self, columns: ColumnReader | VectorWriter, step: Step, before: Mapping[str, I64], records: Mapping[str, U32]
    ) -> None:
        columns.add(records)
        columns.add(self.labels.witness(step))
        starts = {start.name: before[name] for name, start in self.starts.items()}
        ends = {parameter.after.name: step.after[name] for name, parameter in self.parameters.items()}
        self.complete(columns, {**step.values, **starts, **ends})


def after_name(parameter: str) -> str:
    """Under which the model's relation knows a parameter after the step."""
    return f"{parameter} after"


def _named(before: Mapping[str, I64], after: Mapping[str, I64]) -> dict[str, I64]:
    return {**before, **{after_name(name): values for name, values in after.items()}}
