"""Small networks of every kind of layer through the real prover and verifier, and provers with one step corrupted."""

import functools

import pytest

from tests.circuit_harness import network_circuit, random_weights, run
from zkds.circuits.fixed_point import Configuration
from zkds.circuits.graph import Layer, Network, Pool
from zkds.prover import prove
from zkds.verifier import verify

CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
NETWORKS = {
    "max pool and ReLU": Network(
        (2, 5, 4),
        (
            Layer("first", 3, 2, (3, 3), padding=(1, 1), pool=Pool("max", 2), relu=True),
            Layer("last", 3, 3, (2, 2)),
        ),
    ),
    "max pool alone, ReLU alone": Network(
        (1, 6, 7),
        (
            Layer("first", 2, 1, (1, 2), stride=(1, 2), pool=Pool("max", 3), bias=False),
            Layer("second", 4, 2, (2, 1), relu=True),
            Layer("last", 2, 4, (1, 1)),
        ),
    ),
    "average pools": Network(
        (1, 4, 5),
        (
            Layer("first", 2, 1, (1, 1), relu=True, pool=Pool("average", 2)),
            Layer("second", 3, 2, (1, 1), pool=Pool("average", 2)),
            Layer("last", 2, 3, (1, 1)),
        ),
    ),
}


@functools.cache
def honest(name: str):
    """(circuit, columns, trajectory) of random weights and records."""
    network = NETWORKS[name]
    stored, trajectory = run(network, CONFIGURATION, random_weights(network))
    circuit = network_circuit(network, CONFIGURATION)
    return circuit, circuit.columns(stored, trajectory), trajectory


@pytest.mark.parametrize("name", NETWORKS)
def test_a_trajectory_of_the_semantics_is_proved(name):
    circuit, columns, _ = honest(name)
    verify(prove(circuit.relation, columns, zero_knowledge=False), circuit.relation, allow_plain=True)


def test_a_trajectory_is_proved_in_zero_knowledge():
    circuit, columns, _ = honest("max pool and ReLU")
    verify(prove(circuit.relation, columns), circuit.relation)
