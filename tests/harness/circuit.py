"""Parts of the circuit as a relation of their own, to be proved and verified end to end in the tests of these parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zkds.circuits import probe
from zkds.circuits.arithmetic.fixed_point import DELTA, Configuration
from zkds.circuits.networks.circuit import NetworkCircuit
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.operator import probe_schedule
from zkds.circuits.operators.parameter import ImplicitParameter, ProbeParameter, constant
from zkds.circuits.operators.records import InputTensor, RecordColumn
from zkds.commit.layout import Column
from zkds.integers.limb_columns import LimbColumns
from zkds.tensors.circuit import Circuit, ProvedByLookups
from zkds.tensors.tensor import Committed

MULTIPLIER = 16843009  # round(2^32 / 255)


class Operands(ProvedByLookups):
    """Committed tensors that nothing else in a circuit commits, and lookups."""

    name = "operands"
    tensors = ()
    lookups = ()

    def __init__(self, *tensors, lookups=()):
        self.tensors = tensors
        self.lookups = lookups


def circuit_of(*components):
    """The relation of some components, over their own operands."""
    relation = Circuit("parts", b"parts\0" + b"\0".join(component.name.encode() for component in components))
    for component in components:
        relation.add(component)
    return relation


@dataclass
class CircuitOfNetwork:
    """All nodes of a network; committed bytes, weights, perturbations and deltas of the scores are tied to nothing else."""

    relation: Circuit
    elements: Committed
    score_delta: Committed
    parameters: dict[str, ProbeParameter]
    network: NetworkCircuit

    def columns(self, stored, trajectory):
        """All columns of an honest trajectory; stored: the elements of the records, (T, B, C, H, W)."""
        values = {
            **trajectory.values,
            self.elements.name: stored,
            self.score_delta.name: trajectory.logit_delta,
            **{
                f"{name}: {start}": trajectory.weights[name]
                for name, _ in trajectory.network.parameters
                for start in ("start", "start digits")
            },
            **{f"{name}: constant": trajectory.weights[name] for name, _ in trajectory.network.constants},
        }
        return self.relation.witness({}, values)


def network_circuit(network: Network, configuration: Configuration) -> CircuitOfNetwork:
    batches = (configuration.steps, configuration.batch_size)
    bits = network.implicit(configuration)
    shapes = dict(network.parameters)
    implicit = {name: ImplicitParameter(name, shapes[name], configuration, own) for name, own in bits.items()}
    parameters = {name: ProbeParameter(name, shape, configuration) for name, shape in shapes.items() if name not in implicit}
    elements = Committed(RecordColumn(Column("record elements", (*batches, *network.input_shape))))
    channels = network.input_shape[0]
    inputs = InputTensor("input", elements, 1, [MULTIPLIER] * channels, [0] * channels)
    constants = {name: constant(name, shape) for name, shape in network.constants}
    built = NetworkCircuit(network, probe_schedule(configuration), inputs, parameters, constants, implicit)
    shape = (configuration.passes, configuration.batch_size, network.classes)
    score_delta = Committed(LimbColumns("score delta", DELTA, (*shape, 1, 1)))
    built.propagate(score_delta)
    relation = Circuit("network", network.encode() + configuration.encode())
    perturbations = [parameter.perturbation for parameter in parameters.values()]
    perturbations += [weight.perturbation_factor for weight in implicit.values()]
    for component in (Operands(elements, score_delta, *perturbations), *built.components):
        relation.add(component)
    return CircuitOfNetwork(relation, elements, score_delta, parameters, built)


def random_weights(network, seed=1, bits=38):
    generator = np.random.default_rng(seed)
    parameters = {name: generator.integers(-(1 << bits), 1 << bits, shape) for name, shape in network.parameters}
    return parameters | {name: generator.integers(1 << 30, 1 << 33, shape) for name, shape in network.constants}


def run(network, configuration, weights, seed=2):
    """(stored elements, trajectory) of random records."""
    generator = np.random.default_rng(seed)
    batches = (configuration.steps, configuration.batch_size)
    stored = generator.integers(0, 256, (*batches, *network.input_shape))
    labels = generator.integers(0, network.classes, batches)
    return stored, probe.run(network, weights, stored * MULTIPLIER, labels, configuration)
