"""Small networks of every kind of layer through the real prover and verifier, and provers with one step corrupted."""

import functools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.circuit import network_circuit, random_weights, run
from tests.harness.layers import Layer, Pool, layered
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.prover import prove
from zkds.verifier import verify

CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
NETWORKS = {
    "max pool and ReLU": layered(
        (2, 5, 4),
        (
            Layer("first", 3, 2, (3, 3), padding=(1, 1), pool=Pool("max", 2), relu=True),
            Layer("last", 3, 3, (2, 2)),
        ),
    ),
    "max pool alone, ReLU alone": layered(
        (1, 6, 7),
        (
            Layer("first", 2, 1, (1, 2), stride=(1, 2), pool=Pool("max", 3), bias=False),
            Layer("second", 4, 2, (2, 1), relu=True),
            Layer("last", 2, 4, (1, 1)),
        ),
    ),
    "average pools": layered(
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


@st.composite
def networks(draw):
    """One to three layers of any sizes that fit, then the scores."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(2, 7), st.integers(2, 7)))
    network_shape, layers = shape, []
    for index in range(draw(st.integers(0, 2))):
        kernel = draw(st.tuples(*(st.integers(1, min(3, side)) for side in shape[1:])))
        padding = draw(st.tuples(*(st.integers(0, size - 1) for size in kernel)))
        stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        layer = Layer(f"layer{index}", draw(st.integers(1, 4)), shape[0], kernel, stride, padding, bias=draw(st.booleans()))
        _, height, width = layer.convolution(shape)
        pools = [None]
        pools += [Pool("max", size) for size in (2, 3) if size <= min(height, width)]
        pools += [Pool("average", 2)] if min(height, width) >= 2 else []
        layer = replace(layer, pool=draw(st.sampled_from(pools)), relu=draw(st.booleans()))
        layers.append(layer)
        shape = layer.output(shape)
    layers.append(Layer("scores", draw(st.integers(2, 5)), shape[0], shape[1:], bias=draw(st.booleans())))
    return layered(network_shape, tuple(layers))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(networks(), st.integers(2, 3), st.integers(1, 3))
def test_any_network_is_proved(network, steps, batch_size):
    configuration = Configuration.of(steps=steps, batch_size=batch_size, learning_rate="0.001")
    stored, trajectory = run(network, configuration, random_weights(network, bits=39))
    circuit = network_circuit(network, configuration)
    proof = prove(circuit.relation, circuit.columns(stored, trajectory), zero_knowledge=False)
    verify(proof, circuit.relation, allow_plain=True)
