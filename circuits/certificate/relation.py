"""The relation that a certificate proves: Algorithm 1 in fixed point, from committed records to the published results.

    membership       the records under the data root, at the indices that the seed names
    model            the weights w_0: a public model's, or those under a private model's root
    network          what its operators compute; deltas, gradients, updates; all 2 T - 1 passes at once
    softmax          probabilities, losses, deltas of the logits; labels; correct predictions
    sharpness        v = w o g, its squares, the perturbations E
    statistic        the logarithms l_t, their standard deviation, the published value or its threshold
    evaluations      w_0 on other records, forwards (evaluated.py)

Everything here is a public function of the statement, the same for prover and verifier. The parts put claims on tensors into a
book; when all have, the tensors' claims are reduced, users before what they use, and what is left are claims on the vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from numpy.typing import NDArray

from zkds.circuits.arithmetic.fixed_point import WEIGHT_BITS
from zkds.circuits.certificate.evaluated import EvaluationCircuit
from zkds.circuits.certificate.evaluations import prefix
from zkds.circuits.certificate.statement import SharpnessStatement, StatementError
from zkds.circuits.evaluation import Evaluated
from zkds.circuits.metric import sam
from zkds.circuits.metric.layer_squares import LayerSquares, LowRankWeight
from zkds.circuits.metric.scalars import Scalars
from zkds.circuits.metric.softmax import logit_delta_tensor
from zkds.circuits.models.private_model import PrivateModel
from zkds.circuits.models.public_model import PublicModel, committed_start
from zkds.circuits.networks.circuit import NetworkCircuit
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.operator import probe_schedule
from zkds.circuits.operators.parameter import ImplicitLayer, ProbeParameter, RoundedParameter, constant, implicit_parameter
from zkds.circuits.operators.records import InputTensor, Records
from zkds.circuits.trajectory import Trajectory
from zkds.commit.layout import Layout
from zkds.dataset.membership import Membership
from zkds.integers.limbs import I64
from zkds.native import U32
from zkds.tensors.circuit import Circuit
from zkds.tensors.tensor import ColumnReader, Tensor, VectorWriter

NAME = "directional sharpness"
MAX_CELLS = 1 << 36  # so many lookups are as many as 24 bits of grinding make up for (protocol.md, section 12)

EvaluatedRecords: TypeAlias = tuple[Evaluated, Mapping[str, U32]]  # what the semantics computed, and the columns of membership


class DirectionalSharpness(Circuit):
    """The relation of one statement.

    weights         a verifier's own weights of a public model, int64 [40]: then the proof must be about them
    membership      the prover's, made by `Membership.open`; a verifier has none
    evaluated       likewise, one for each evaluation, with its prefix
    private_model   the prover's, with its opening; a verifier has none

    Raises PlanRejected if there is no sound plan for an identity, StatementError for more than MAX_CELLS cells.
    """

    def __init__(
        self,
        statement: SharpnessStatement,
        weights: Mapping[str, I64] | None = None,
        *,
        membership: Membership | None = None,
        evaluated: Sequence[Membership] = (),
        private_model: PrivateModel | None = None,
    ) -> None:
        super().__init__(NAME, statement.encode())
        configuration, network, schema = statement.configuration, statement.network, statement.root.schema
        schedule = probe_schedule(configuration)
        self.statement = statement
        self.membership = membership if membership is not None else Membership(statement.root, statement.batches)
        self.private_model = private_model
        if statement.private_model and private_model is None:
            self.private_model = PrivateModel(network, statement.model)
        starts: Mapping[str, Tensor] = {} if self.private_model is None else self.private_model.weights
        implicit = network.implicit(configuration)
        self.parameters = {
            name: ProbeParameter(name, shape, configuration, starts.get(name))
            for name, shape in network.parameters
            if name not in implicit
        }
        self.implicit = {
            name: implicit_parameter(name, shape, configuration, implicit[name], starts.get(name))
            for name, shape in network.parameters
            if name in implicit
        }
        self.constants = {name: starts.get(name, constant(name, shape)) for name, shape in network.constants}
        self.model_tensors = self._starts(network) | self.constants
        self.public_model: PublicModel | None = None
        if self.private_model is None:
            self.public_model = PublicModel(self.model_tensors, weights)
        records = Records(self.membership)
        multipliers, offsets = zip(*schema.channel_maps, strict=True)
        self.inputs = InputTensor("input", records.elements, schema.element_bytes, multipliers, offsets)
        self.network = NetworkCircuit(network, schedule, self.inputs, self.parameters, self.constants, self.implicit)
        delta = logit_delta_tensor(schedule, network.classes)
        self.network.propagate(delta)
        layers = [(layer, self._squares(layer)) for layer in self.network.implicit_layers]
        self.scalars = Scalars(
            configuration,
            self.network.logits,
            records.labels,
            delta,
            [sam.Parameter(p.name, p.first_passes, p.gradient, p.perturbation) for p in self.parameters.values()],
            statement.results,
            [_implicit_weight(layer, squares) for layer, squares in layers],
            self.network.limb_bits,
        )
        squares = [component for _, squares in layers for component in squares.components]
        models = [model for model in (self.public_model, self.private_model) if model is not None]
        self.evaluations = self._evaluations(evaluated)
        others = [component for circuit in self.evaluations for component in circuit.components]
        for component in (records, *models, *self.network.components, *squares, self.scalars, *others):
            self.add(component)
        self.cells = sum(column.cells for column in self.columns)
        if self.cells > MAX_CELLS:
            raise StatementError(f"circuit: expected at most 2^{MAX_CELLS.bit_length() - 1} cells, got {self.cells}")

    def _starts(self, network: Network) -> dict[str, Tensor]:
        """w_0 of every parameter, in the network's order."""
        every = {name: parameter.start for name, parameter in self.parameters.items()}
        every |= {name: parameter.start for name, parameter in self.implicit.items()}
        return {name: every[name] for name, _ in network.parameters}

    def _evaluations(self, evaluated: Sequence[Membership]) -> list[EvaluationCircuit]:
        statement = self.statement
        memberships = evaluated or [
            Membership(evaluation.root, indices, prefix=prefix(number))
            for number, (evaluation, indices) in enumerate(
                zip(statement.evaluations, statement.evaluated_indices, strict=True), 1
            )
        ]
        return [
            EvaluationCircuit(number, evaluation, statement.network, self.model_tensors, membership)
            for number, (evaluation, membership) in enumerate(zip(statement.evaluations, memberships, strict=True), 1)
        ]

    def _squares(self, layer: ImplicitLayer) -> LayerSquares:
        weight, bits = layer.weight, layer.weight.bits
        return LayerSquares(
            self.statement.configuration,
            LowRankWeight(
                weight.name,
                weight.start,
                layer.inputs,
                layer.deltas,
                (layer.patches, layer.outputs),
                weight.update_factor,
                bits.weight_bits - WEIGHT_BITS,
                bits.squares_shift,
                bits.scaled_squares_shift,
                weight.weights if isinstance(weight, RoundedParameter) else None,
            ),
        )

    def columns_of(
        self, trajectory: Trajectory, records: Mapping[str, U32], evaluated: Sequence[EvaluatedRecords] = ()
    ) -> dict[str, U32]:
        """All columns, from what the semantics computed and the columns of membership."""
        columns = ColumnReader({})
        self._write(columns, trajectory, records, evaluated, dict(trajectory.values))
        return columns.columns

    def vector_of(
        self,
        layout: Layout,
        trajectory: Trajectory,
        records: Mapping[str, U32],
        evaluated: Sequence[EvaluatedRecords] = (),
    ) -> U32:
        """The vector, without multiplicities. The trajectory's values are gone then: each went as its cells were written."""
        columns = VectorWriter(layout)
        self._write(columns, trajectory, records, evaluated, trajectory.values)
        return columns.finished(column.name for column in self.columns)

    def _write(
        self,
        columns: ColumnReader | VectorWriter,
        trajectory: Trajectory,
        records: Mapping[str, U32],
        evaluated: Sequence[EvaluatedRecords],
        values: dict[str, NDArray[Any]],
    ) -> None:
        columns.add(records)
        if self.private_model is not None:
            columns.add(self.private_model.opened_columns())
        columns.add(self.scalars.columns_of(trajectory))
        for circuit, of_records in zip(self.evaluations, evaluated, strict=True):
            values |= circuit.write(columns, *of_records)
        public = self.public_model is not None
        owners = {name: committed_start(start) if public else start for name, start in self.model_tensors.items()}
        values |= {owners[name].name: start for name, start in trajectory.weights.items() if owners[name].name not in values}
        self.complete(columns, values)


def _implicit_weight(layer: ImplicitLayer, squares: LayerSquares) -> sam.ImplicitWeight:
    weight = layer.weight
    shift = weight.bits.perturbation_shift
    return sam.ImplicitWeight(
        weight.name, layer.deltas, weight.perturbation_factor, shift, squares.squares, squares.scaled_squares
    )
