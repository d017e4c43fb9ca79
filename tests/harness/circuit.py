"""Parts of the circuit as a relation of their own, to be proved and verified end to end in the tests of these parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkds.circuits import semantics
from zkds.circuits.arithmetic.fixed_point import DELTA, Configuration
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.layer import BackwardLayer, ForwardLayer
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.placed import placed_layers
from zkds.circuits.operators.records import InputTensor, RecordElements
from zkds.commit.layout import Column
from zkds.integers.limb_columns import LimbColumns
from zkds.lookup import Lookup, RangeTable
from zkds.tensors.tensor import ColumnReader, Committed, ProverContext, Reader, VerifierContext

MULTIPLIER = 16843009  # round(2^32 / 255)


def range_lookups(widths: dict[str, int], others: Sequence[Lookup]) -> list[Lookup]:
    """A range check for every column with a width, except where another table checks it; then those tables."""
    names = {lookup.primary for lookup in others}
    return [Lookup(RangeTable(width), name) for name, width in widths.items() if name not in names] + list(others)


class PartsRelation:
    """parts (`prove`, `verify`, `check`) over committed operands; tensors in the order in which their claims are reduced."""

    name = "parts"

    def __init__(self, parts, tensors, committed, other_lookups=()):
        self.parts = parts
        self.tensors = tensors
        self.columns = [column for part in parts for column in part.columns]
        self.columns += [column for tensor in committed for column in tensor.columns.columns]
        widths = {name: width for part in parts for name, width in part.widths.items()}
        widths |= {name: width for tensor in committed for name, width in tensor.columns.widths.items()}
        secondary = {name for lookup in other_lookups for name in lookup.secondary}
        widths = {name: width for name, width in widths.items() if name not in secondary}
        self.lookups = range_lookups(widths, other_lookups)

    def encode(self):
        return b"parts\0" + b"".join(part.encode() for part in self.parts)

    def check(self):
        for part in self.parts:
            part.check()

    def prove(self, channel, layout, vector):
        context = ProverContext(channel, layout, Reader(layout, vector))
        for part in self.parts:
            part.prove(context)
        for tensor in self.tensors:
            tensor.prove_claims(context)
        return context.book.finished()

    def verify(self, channel, layout):
        context = VerifierContext(channel, layout)
        for part in self.parts:
            part.verify(context)
        for tensor in self.tensors:
            tensor.verify_claims(context)
        return context.book.finished()


@dataclass
class NetworkCircuit:
    """All layers of a network; committed bytes, weights, perturbations and deltas of the scores are tied to nothing else."""

    relation: PartsRelation
    elements: Committed
    score_delta: Committed
    parameters: dict[str, Parameter]
    forwards: list[ForwardLayer]
    backwards: list[BackwardLayer]

    def columns(self, stored, trajectory):
        """All columns of an honest trajectory; stored: the elements of the records, (T, B, C, H, W)."""
        (name,) = self.elements.columns.names
        columns = {name: stored.astype(np.uint32)}
        columns |= self.score_delta.columns.split(trajectory.logit_delta[..., None, None])
        for parameter in self.parameters.values():
            columns |= parameter.witness(trajectory)
        reader = ColumnReader(columns)
        for index, layer in enumerate(self.forwards):
            columns |= layer.witness(reader, trajectory, index)
        for index in reversed(range(len(self.backwards))):
            columns |= self.backwards[index].witness(reader, trajectory, index)
        return columns


def network_circuit(network: Network, configuration: Configuration) -> NetworkCircuit:
    batches = (configuration.steps, configuration.batch_size)
    parameters = {name: Parameter(name, shape, configuration) for name, shape in network.parameters}
    elements = Committed(RecordElements(Column("record elements", (*batches, *network.input_shape))))
    channels = network.input_shape[0]
    inputs = tensor = InputTensor("input", elements, 1, [MULTIPLIER] * channels, [0] * channels)
    forwards = []
    for placed in placed_layers(network):
        weight, bias = (parameters.get(f"{placed.layer.name}.{kind}") for kind in ("weight", "bias"))
        forwards.append(ForwardLayer(placed, configuration, tensor, weight, bias))
        tensor = forwards[-1].output
    shape = (configuration.passes, configuration.batch_size, network.classes)
    score_delta = delta = Committed(LimbColumns("score delta", DELTA, (*shape, 1, 1)))
    backwards = []
    for layer in reversed(forwards):
        backwards.append(BackwardLayer(layer, configuration, delta, first=layer is forwards[0]))
        delta = backwards[-1].input_delta
    backwards.reverse()
    halves = [*forwards, *backwards]
    parts = [part for half in halves for part in half.parts]
    virtual = [tensor for half in [*backwards, *forwards[::-1]] for tensor in half.virtual]
    virtual += [tensor for parameter in parameters.values() for tensor in parameter.virtual] + [inputs]
    committed = [tensor for owner in [*halves, *parameters.values()] for tensor in owner.committed] + [elements, score_delta]
    own = [tensor for layer in forwards for tensor in layer.own]
    lookups = [lookup for layer in forwards for lookup in layer.lookups]
    relation = PartsRelation(parts, [*virtual, *committed, *own], committed, lookups)
    return NetworkCircuit(relation, elements, score_delta, parameters, forwards, backwards)


def random_weights(network, seed=1, bits=38):
    generator = np.random.default_rng(seed)
    return {name: generator.integers(-(1 << bits), 1 << bits, shape) for name, shape in network.parameters}


def run(network, configuration, weights, seed=2):
    """(stored elements, trajectory) of random records."""
    generator = np.random.default_rng(seed)
    batches = (configuration.steps, configuration.batch_size)
    stored = generator.integers(0, 256, (*batches, *network.input_shape))
    labels = generator.integers(0, network.classes, batches)
    return stored, semantics.run(network, weights, stored * MULTIPLIER, labels, configuration)
