"""The relation that a certificate proves: Algorithm 1 in fixed point, from committed records to the published results.

    membership       the records under the data root, at the indices that the seed names
    model            the weights w_0: a public model's, or those under a private model's root
    network          what its operators compute; deltas, gradients, updates; all 2 T - 1 passes at once
    softmax          probabilities, losses, deltas of the logits; labels; correct predictions
    sharpness        v = w o g, its squares, the perturbations E
    statistic        the logarithms l_t, their standard deviation, the published value or its threshold
                     all but the model once for every probe (probed.py)
    evaluations      w_0 on other records, forwards (evaluated.py)

Everything here is a public function of the statement, the same for prover and verifier. The parts put claims on tensors into a
book; when all have, the tensors' claims are reduced, users before what they use, and what is left are claims on the vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from numpy.typing import NDArray

from zkds.circuits.certificate.evaluated import EvaluationCircuit
from zkds.circuits.certificate.evaluations import prefix
from zkds.circuits.certificate.probed import ProbeCircuit
from zkds.circuits.certificate.statement import SharpnessStatement, StatementError, probe_prefix
from zkds.circuits.evaluation import Evaluated
from zkds.circuits.models.private_model import PrivateModel
from zkds.circuits.models.public_model import PublicModel, committed_start
from zkds.circuits.operators.parameter import constant
from zkds.circuits.trajectory import Trajectory
from zkds.commit.layout import Layout
from zkds.dataset.membership import Membership
from zkds.integers.limbs import I64
from zkds.native import U32
from zkds.tensors.circuit import Circuit
from zkds.tensors.tensor import ColumnReader, Tensor, VectorWriter

NAME = "directional sharpness"
MAX_CELLS = 1 << 36  # so many lookups are as many as 24 bits of grinding make up for (protocol.md, section 12)

# What the semantics computed, and the columns of membership.
ProbedRecords: TypeAlias = tuple[Trajectory, Mapping[str, U32]]
EvaluatedRecords: TypeAlias = tuple[Evaluated, Mapping[str, U32]]


class DirectionalSharpness(Circuit):
    """The relation of one statement.

    weights         a verifier's own weights of a public model, int64 [40]: then the proof must be about them
    probed          the prover's memberships, by `Membership.open`, one for each probe, with its prefix; a verifier has none
    evaluated       likewise, one for each evaluation, with its prefix
    private_model   the prover's, with its opening; a verifier has none

    Raises PlanRejected if there is no sound plan for an identity, StatementError for more than MAX_CELLS cells.
    """

    def __init__(
        self,
        statement: SharpnessStatement,
        weights: Mapping[str, I64] | None = None,
        *,
        probed: Sequence[Membership] = (),
        evaluated: Sequence[Membership] = (),
        private_model: PrivateModel | None = None,
    ) -> None:
        super().__init__(NAME, statement.encode())
        network = statement.network
        self.statement = statement
        self.private_model = private_model
        if statement.private_model and private_model is None:
            self.private_model = PrivateModel(network, statement.model)
        given: Mapping[str, Tensor] = {} if self.private_model is None else self.private_model.weights
        constants = {name: given.get(name, constant(name, shape)) for name, shape in network.constants}
        first, *others = probed or self._probed()
        self.probes = [ProbeCircuit(statement, {**given, **constants}, first)]
        starts = self.probes[0].starts
        self.model_tensors = {name: starts[name] for name, _ in network.parameters} | constants
        for membership in others:
            self.probes.append(ProbeCircuit(statement, self.model_tensors, membership, tuple(self.probes)))
        self.public_model: PublicModel | None = None
        if self.private_model is None:
            self.public_model = PublicModel(self.model_tensors, weights)
        self.evaluations = self._evaluations(evaluated)
        models = [model for model in (self.public_model, self.private_model) if model is not None]
        parts: list[ProbeCircuit | EvaluationCircuit] = [*self.probes, *self.evaluations]
        for part in parts:
            self.add(part.records)
            for component in (*(models if part is self.probes[0] else ()), *part.components):
                self.add(component)
        self.cells = sum(column.cells for column in self.columns)
        if self.cells > MAX_CELLS:
            raise StatementError(f"circuit: expected at most 2^{MAX_CELLS.bit_length() - 1} cells, got {self.cells}")

    def _probed(self) -> list[Membership]:
        root = self.statement.root
        return [
            Membership(root, indices, prefix=probe_prefix(number))
            for number, indices in enumerate(self.statement.probe_indices, 1)
        ]

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

    def columns_of(self, probed: Sequence[ProbedRecords], evaluated: Sequence[EvaluatedRecords] = ()) -> dict[str, U32]:
        """All columns, from what the semantics computed and the columns of membership."""
        columns = ColumnReader({})
        self._write(columns, probed, evaluated, [dict(trajectory.values) for trajectory, _ in probed])
        return columns.columns

    def vector_of(self, layout: Layout, probed: Sequence[ProbedRecords], evaluated: Sequence[EvaluatedRecords] = ()) -> U32:
        """The vector, without multiplicities. The trajectories' values are gone then: each went as its cells were written."""
        columns = VectorWriter(layout)
        self._write(columns, probed, evaluated, [trajectory.values for trajectory, _ in probed])
        return columns.finished(column.name for column in self.columns)

    def _write(
        self,
        columns: ColumnReader | VectorWriter,
        probed: Sequence[ProbedRecords],
        evaluated: Sequence[EvaluatedRecords],
        values_of_probes: Sequence[dict[str, NDArray[Any]]],
    ) -> None:
        if self.private_model is not None:
            columns.add(self.private_model.opened_columns())
        trajectories = [trajectory for trajectory, _ in probed]
        values: dict[str, NDArray[Any]] = {}
        for probe, (_, records) in zip(self.probes, probed, strict=True):
            probe.write(columns, records, trajectories)
        for probe, own in zip(self.probes, values_of_probes, strict=True):
            values |= probe.named(own)
        for circuit, of_records in zip(self.evaluations, evaluated, strict=True):
            values |= circuit.write(columns, *of_records)
        public = self.public_model is not None
        owners = {name: committed_start(start) if public else start for name, start in self.model_tensors.items()}
        weights = trajectories[0].weights
        values |= {owners[name].name: start for name, start in weights.items() if owners[name].name not in values}
        self.complete(columns, values)
