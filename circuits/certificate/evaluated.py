"""The relation of one evaluation: committed records under a data root, w_0 on them forwards, losses and predictions.

It is the relation of a certificate (relation.py) with one pass, the first, and without a way back: no deltas, no gradients, and
weights that are w_0's alone, which the certificate commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from numpy.typing import NDArray

from zkds.circuits.certificate.evaluations import Evaluation, prefix
from zkds.circuits.evaluation import Evaluated
from zkds.circuits.metric.evaluation import EvaluatedLosses
from zkds.circuits.networks.circuit import NetworkCircuit
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.operator import Schedule
from zkds.circuits.operators.parameter import Parameter, WeightTensor
from zkds.circuits.operators.records import InputTensor, Records
from zkds.dataset.membership import Membership
from zkds.identities.gadget import Gadgets
from zkds.native import U32
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import ColumnReader, Tensor, VectorWriter

Values: TypeAlias = dict[str, NDArray[Any]]


class EvaluationCircuit:
    """What proves one evaluation.

    number       of it, from 1
    model        w_0 of every parameter and every constant, by name: tensors of the certificate
    membership   of the records
    """

    def __init__(
        self, number: int, evaluation: Evaluation, network: Network, model: Mapping[str, Tensor], membership: Membership
    ) -> None:
        self.prefix = prefix(number)
        schema = evaluation.root.schema
        schedule = Schedule(1, evaluation.samples, ())
        self.records = Records(membership)
        multipliers, offsets = zip(*schema.channel_maps, strict=True)
        inputs = InputTensor(f"{self.prefix}input", self.records.elements, schema.element_bytes, multipliers, offsets)
        parameters = {name: self._parameter(name, model[name]) for name, _ in network.parameters}
        constants = {name: model[name] for name, _ in network.constants}
        self.network = NetworkCircuit(network, schedule, inputs, parameters, constants, prefix=self.prefix)
        self.losses = EvaluatedLosses(
            self.prefix, self.network.logits, self.records.labels, evaluation.total_loss, evaluation.correct
        )
        self.scalars = Gadgets(f"{self.prefix}scalars", self.losses.gadgets, self.network.limb_bits, self.prefix)

    def _parameter(self, name: str, start: Tensor) -> Parameter:
        """w_0 in the one pass."""
        return Parameter(f"{self.prefix}{name}", WeightTensor(f"{self.prefix}{name}", 1, start, None, None), ())

    @property
    def components(self) -> list[Component]:
        """After `records`."""
        return [*self.network.components, self.scalars]

    def write(self, columns: ColumnReader | VectorWriter, found: Evaluated, records: Mapping[str, U32]) -> Values:
        """Add the columns of records and scores; returns the values of the other tensors by their names in the circuit."""
        columns.add(records)
        columns.add(self.losses.witness(found))
        return {f"{self.prefix}{name}": value for name, value in found.values.items()}
