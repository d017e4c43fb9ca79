"""The relation that a certificate proves: Algorithm 1 in fixed point, from committed records to the published results.

    membership       the records under the data root, at the indices that the seed names
    model            the weights w_0: a public model's, or those under a private model's root
    layers           convolutions, pools, ReLU; deltas, gradients, updates; all 2 T - 1 passes at once
    softmax          probabilities, losses, deltas of the logits; labels; correct predictions
    sharpness        v = w o g, its squares, the perturbations E
    statistic        the logarithms l_t, their standard deviation, the published value or its threshold

Everything here is a public function of the statement, the same for prover and verifier. The parts put claims on tensors into a
book; when all have, the tensors' claims are reduced, users before what they use, and what is left are claims on the vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from numpy.typing import NDArray

from zkds.channel import ProverChannel, VerifierEnd
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.metric import sam as norms
from zkds.circuits.metric.scalars import Scalars
from zkds.circuits.metric.softmax import logit_delta_tensor
from zkds.circuits.models.private_model import PrivateModel
from zkds.circuits.models.public_model import PublicModel
from zkds.circuits.operators.layer import BackwardLayer, ForwardLayer, Part
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.placed import placed_layers
from zkds.circuits.operators.records import InputTensor, RecordElements, record_labels
from zkds.circuits.semantics import Trajectory
from zkds.claims import Claim
from zkds.commit.layout import Column, Layout
from zkds.dataset.membership import Membership
from zkds.field import K
from zkds.hidden import Hidden
from zkds.integers.limbs import I64
from zkds.lookup import Lookup, RangeTable
from zkds.native import U32
from zkds.tensors.tensor import ColumnReader, Committed, ProverContext, Reader, Tensor, VerifierContext

NAME = "directional sharpness"
RECORD_ELEMENTS = "record elements"  # the column of membership


Named = TypeVar("Named", Column, Tensor)


class DirectionalSharpness:
    """The relation of one statement.

    weights         a verifier's own weights of a public model, int64 [40]: then the proof must be about them
    membership      the prover's, made by `Membership.open`; a verifier has none
    private_model   the prover's, with its opening; a verifier has none
    """

    name = NAME

    def __init__(
        self,
        statement: SharpnessStatement,
        weights: Mapping[str, I64] | None = None,
        *,
        membership: Membership | None = None,
        private_model: PrivateModel | None = None,
    ) -> None:
        configuration, network, schema = statement.configuration, statement.network, statement.root.schema
        self.statement = statement
        self.membership = membership if membership is not None else Membership(statement.root, statement.batches)
        self.private_model = private_model
        if statement.private_model and private_model is None:
            self.private_model = PrivateModel(network, statement.model)
        starts: Mapping[str, Tensor] = {} if self.private_model is None else self.private_model.weights
        self.parameters = {name: Parameter(name, shape, configuration, starts.get(name)) for name, shape in network.parameters}
        self.elements = Committed(RecordElements(self._membership_column(RECORD_ELEMENTS)))
        self.labels = record_labels(self.membership.batch_shape, schema.label_bytes)
        multipliers, offsets = zip(*schema.channel_maps, strict=True)
        self.inputs = InputTensor("input", self.elements, schema.element_bytes, multipliers, offsets)
        self.layers = LayerStack(statement, self.inputs, self.parameters)
        delta = logit_delta_tensor(configuration, network.classes)
        self.layers.propagate(delta)
        self.scalars = Scalars(
            configuration,
            self.layers.logits,
            self.labels,
            delta,
            [norms.Parameter(p.name, p.first_passes, p.gradient, p.perturbation) for p in self.parameters.values()],
            statement.results,
        )
        self.public_model: PublicModel | None = None
        if self.private_model is None:
            committed = {name: p.start for name, p in self.parameters.items() if isinstance(p.start, Committed)}
            self.public_model = PublicModel(committed, weights)

    def _membership_column(self, name: str) -> Column:
        return next(column for column in self.membership.columns if column.name == name)

    # ---- what is committed -------------------------------------------------------------------------------------------

    @property
    def columns(self) -> list[Column]:
        """Every column once; a tensor may be a part of two."""
        columns = [*self.membership.columns, *self.layers.columns, *self.scalars.columns]
        columns += [column for parameter in self.parameters.values() for column in _columns(parameter.committed)]
        columns += [] if self.private_model is None else self.private_model.columns
        return _once(columns)

    @property
    def lookups(self) -> list[Lookup]:
        """One for every column that is no secondary column of another one's."""
        lookups = [*self.membership.lookups, *self.scalars.lookups, *self.layers.lookups]
        lookups += [] if self.private_model is None else self.private_model.lookups
        checked = {lookup.primary for lookup in lookups} | {name for lookup in lookups for name in lookup.secondary}
        widths = dict(self.layers.widths)
        for parameter in self.parameters.values():
            for tensor in parameter.committed:
                widths |= tensor.columns.widths
        return lookups + [Lookup(RangeTable(width), name) for name, width in widths.items() if name not in checked]

    def encode(self) -> bytes:
        """The statement: everything else is a function of it."""
        return self.statement.encode()

    def check(self) -> None:
        """Raise PlanRejected unless every identity is sound over the integers."""
        for part in self.layers.parts:
            part.check()
        self.scalars.check()

    @property
    def tensors(self) -> list[Tensor]:
        """In the order in which their claims are reduced: virtual tensors, users first, then committed ones."""
        parameters = list(self.parameters.values())
        virtual = [*self.layers.virtual, *(tensor for parameter in parameters for tensor in parameter.virtual), self.inputs]
        committed = [*self.layers.committed, *self.scalars.committed, self.elements, self.labels]
        committed += [tensor for parameter in parameters for tensor in parameter.committed]
        private = [] if self.private_model is None else self.private_model.tensors
        return _once([*virtual, *private, *committed])

    # ---- prover ------------------------------------------------------------------------------------------------------

    def witness(self, trajectory: Trajectory, records: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """All columns, from what the semantics computed and the columns of membership."""
        columns: dict[str, NDArray[Any]] = dict(records)
        for parameter in self.parameters.values():
            columns |= parameter.witness(trajectory)
        if self.private_model is not None:
            columns |= self.private_model.witness()
        columns |= self.scalars.witness(trajectory)
        reader = ColumnReader(columns)
        columns |= self.layers.witness(reader, trajectory)
        return columns | self.scalars.carries(reader)

    def prove(self, channel: ProverChannel, layout: Layout, vector: U32) -> list[Claim[K]]:
        """The prover's side, after the root of the commitment."""
        context = ProverContext(channel, layout, Reader(layout, vector))
        context.book.vector_claims.extend(self.membership.prove(channel, layout, vector))
        for part in self._parts:
            part.prove(context)
        for tensor in self.tensors:
            tensor.prove_claims(context)
        return context.book.finished()

    # ---- verifier ----------------------------------------------------------------------------------------------------

    def verify(self, channel: VerifierEnd, layout: Layout) -> list[Claim[Hidden]]:
        """The verifier's side."""
        context = VerifierContext(channel, layout)
        context.book.vector_claims.extend(self.membership.verify(channel, layout))
        for part in self._parts:
            part.verify(context)
        for tensor in self.tensors:
            tensor.verify_claims(context)
        return context.book.finished()

    @property
    def _parts(self) -> list[Any]:
        """Everything that makes claims, in the order of the conversation."""
        models = [model for model in (self.public_model, self.private_model) if model is not None]
        return [*models, *self.layers.parts, self.scalars]


class LayerStack:
    """The layers of a network, forwards and backwards, over given inputs and parameters."""

    def __init__(self, statement: SharpnessStatement, inputs: Tensor, parameters: Mapping[str, Parameter]) -> None:
        self._configuration = statement.configuration
        self.forwards: list[ForwardLayer] = []
        self.backwards: list[BackwardLayer] = []
        output = inputs
        for placed in placed_layers(statement.network):
            weight, bias = (parameters.get(f"{placed.layer.name}.{kind}") for kind in ("weight", "bias"))
            assert weight is not None
            self.forwards.append(ForwardLayer(placed, self._configuration, output, weight, bias))
            output = self.forwards[-1].output
        self.logits = output

    def propagate(self, delta: Tensor) -> None:
        """Make the backward halves, from the deltas of the logits (P, B, K, 1, 1)."""
        for forward in reversed(self.forwards):
            backward = BackwardLayer(forward, self._configuration, delta, first=forward is self.forwards[0])
            self.backwards.insert(0, backward)
            if backward.input_delta is not None:
                delta = backward.input_delta

    @property
    def _halves(self) -> list[ForwardLayer | BackwardLayer]:
        return [*self.forwards, *self.backwards]

    @property
    def parts(self) -> list[Part]:
        return [part for half in self._halves for part in half.parts]

    @property
    def virtual(self) -> list[Tensor]:
        """Deltas from the first layer on, then outputs from the last one on: users before what they use."""
        halves: list[ForwardLayer | BackwardLayer] = [*self.backwards, *reversed(self.forwards)]
        return [tensor for half in halves for tensor in half.virtual]

    @property
    def committed(self) -> list[Committed]:
        """The halves' own tensors, and those of their parts that others make claims on."""
        own = [tensor for layer in self.forwards for tensor in layer.own]
        return [tensor for half in self._halves for tensor in half.committed] + own

    @property
    def columns(self) -> list[Column]:
        return [*(column for part in self.parts for column in part.columns), *_columns(self.committed)]

    @property
    def widths(self) -> dict[str, int]:
        """Of the columns that need a range check; those of parts' own tensors as the parts say."""
        widths = {name: width for part in self.parts for name, width in part.widths.items()}
        for tensor in (tensor for half in self._halves for tensor in half.committed):
            widths |= tensor.columns.widths
        return widths

    @property
    def lookups(self) -> list[Lookup]:
        """Those that are no range checks."""
        return [lookup for layer in self.forwards for lookup in layer.lookups]

    def witness(self, reader: ColumnReader, trajectory: Trajectory) -> dict[str, U32]:
        """All columns of the layers, from a reader of all others."""
        columns: dict[str, U32] = {}
        for index, forward in enumerate(self.forwards):
            columns |= forward.witness(reader, trajectory, index)
        for index in reversed(range(len(self.backwards))):
            columns |= self.backwards[index].witness(reader, trajectory, index)
        return columns


def _columns(tensors: Iterable[Committed]) -> list[Column]:
    return [column for tensor in tensors for column in tensor.columns.columns]


def _once(items: Sequence[Named]) -> list[Named]:
    """In order, without repetitions. Raises ValueError if two different ones have one name: one of them would go unproved."""
    found: dict[str, Named] = {}
    for item in items:
        if found.setdefault(item.name, item) != item:
            raise ValueError(f"circuit: two parts are called {item.name!r}")
    return list(found.values())
