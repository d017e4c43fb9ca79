"""Max pools in networks: gradients against autograd, whole proofs, programs of torch."""

import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.harness.circuit import network_circuit, random_weights, run
from zkds.circuits.arithmetic.fixed_point import Configuration, Overflow, Place
from zkds.circuits.model_files.torch_import import from_module
from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.networks.torch_module import NetworkModule, load_parameters
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import AdaptiveMaxPool, MaxPool
from zkds.circuits.operators.operator import Placed, gradient_kinds
from zkds.circuits.operators.relu import Relu
from zkds.errors import PlanRejected
from zkds.prover import prove
from zkds.verifier import verify

CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
OVERLAPPING = MaxPool((3, 3), (2, 2))


def network(shape, *operators):
    """One operator after the other; the last one is dense."""
    nodes, sizes = [], shape
    for index, operator in enumerate(operators):
        nodes.append(Node(operator, (index,), f"layer{index}" if operator.parameters else ""))
        sizes = operator.output_shape([sizes])
    return Network(shape, (*nodes, Node(Convolution.dense(3, sizes), (len(nodes),), "scores")))


def convolution(channels_in, channels_out, size):
    return Convolution.over((channels_in, *size), channels_out, (3, 3), padding=(1, 1))


NETWORKS = {
    "overlapping, with ReLU": network((1, 7, 7), convolution(1, 2, (7, 7)), MaxPool((3, 3), (2, 2), relu=True)),
    "padding and ceil_mode": network((2, 5, 4), convolution(2, 2, (5, 4)), MaxPool((3, 2), (2, 2), (1, 1), ceil_mode=True)),
    "two in a row": network((1, 7, 6), convolution(1, 2, (7, 6)), MaxPool((2, 3), (1, 2)), MaxPool.side_by_side(2), Relu()),
    "of the input, dilated": network((2, 6, 6), MaxPool((2, 2), (2, 1), (1, 1), (2, 3), relu=True), convolution(2, 2, (3, 5))),
    "adaptive, behind ReLU": network((1, 5, 7), convolution(1, 2, (5, 7)), Relu(), AdaptiveMaxPool((3, 2))),
}


@functools.cache
def trajectory_of(name):
    weights = random_weights(NETWORKS[name])
    return weights, *run(NETWORKS[name], CONFIGURATION, weights)


@pytest.mark.parametrize("name", NETWORKS)
def test_proofs_of_networks(name):
    _, stored, trajectory = trajectory_of(name)
    circuit = network_circuit(NETWORKS[name], CONFIGURATION)
    columns = circuit.columns(stored, trajectory)
    verify(prove(circuit.relation, columns, zero_knowledge=False), circuit.relation, allow_plain=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_torch(name):
    weights, stored, trajectory = trajectory_of(name)
    module = NetworkModule(NETWORKS[name]).double()
    load_parameters(module, {key: value / 2.0**40 for key, value in weights.items()})
    labels = np.random.default_rng(2)
    labels.integers(0, 256, stored.shape)  # as `run` draws them
    targets = torch.tensor(labels.integers(0, 3, stored.shape[:2])[0])
    scores = module(torch.tensor(stored[0] * 16843009 / 2.0**32))
    functional.cross_entropy(scores, targets).backward()
    for key, parameter in module.named_parameters():
        gradient = trajectory.values[f"{key}: gradient"][0].reshape(parameter.shape) / 2.0**44
        assert np.abs(gradient - parameter.grad.numpy()).max() < 1e-8, key


@pytest.mark.parametrize("operator", [node.operator for made in NETWORKS.values() for node in made.nodes], ids=str)
def test_numbers(operator):
    assert type(operator).of_numbers(operator.numbers()) == operator


@pytest.mark.parametrize(
    "pool, expected",
    [
        (nn.MaxPool2d(3, 2), MaxPool((3, 3), (2, 2), relu=True)),
        (nn.MaxPool2d(3, 2, 1), MaxPool((3, 3), (2, 2), (1, 1), relu=True)),
        (nn.MaxPool2d((2, 3), (2, 1), (1, 0), (1, 2), ceil_mode=True), MaxPool((2, 3), (2, 1), (1, 0), (1, 2), True, True)),
        (nn.MaxPool2d((2, 4)), MaxPool((2, 4), (2, 4), relu=True)),
        (nn.AdaptiveMaxPool2d((4, 3)), AdaptiveMaxPool((4, 3), relu=True)),
    ],
    ids=str,
)
def test_programs_of_torch(pool, expected):
    body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), pool, nn.Flatten())
    width = body(torch.zeros(1, 1, 11, 10)).shape[1]
    module = nn.Sequential(body, nn.Linear(width, 3)).eval()
    found, parameters = from_module(module, (1, 11, 10))
    assert [node.operator for node in found.nodes[1:-1]] == [expected]
    x = torch.rand(2, 1, 11, 10, dtype=torch.float64)
    rebuilt = NetworkModule(found).double()
    load_parameters(rebuilt, parameters)
    assert (rebuilt(x) - module.double()(x)).abs().max() < 1e-6


class Indices(nn.Module):
    """Makes its scores of where the maxima are."""

    def forward(self, x):
        values, indices = functional.adaptive_max_pool2d(x, (1, 2), return_indices=True)
        return (values + indices).flatten(1)


def test_indices_are_not_followed():
    with pytest.raises(ValueError, match=r"the indices that aten.adaptive_max_pool2d.default makes aren't followed"):
        from_module(nn.Sequential(nn.Conv2d(1, 2, 1), Indices()), (1, 4, 4))


def test_windows_in_the_padding_alone():
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.MaxPool2d(2, 1, 1, dilation=4), nn.Flatten(), nn.Linear(2, 2))
    with pytest.raises(
        ValueError, match=r"1 .MaxPool2d.: .*expected windows that meet an entry, at least one lies in the padding"
    ):
        from_module(module, (1, 3, 3))


def placed(shape, output, delta_bits=0):
    return Placed("pool", (shape,), output, (32,), 32, delta_bits, (True,))


def test_deltas_that_add_up_to_too_much():
    """One entry is the maximum of four windows; 46 bits hold three of their deltas."""
    pool, place = MaxPool((2, 2), (1, 1)), placed((1, 3, 3), (1, 2, 2))
    values = np.zeros((1, 1, 3, 3), dtype=np.int64)
    values[..., 1, 1] = 1
    ahead = pool.forward(place, [values], {}, Place(0))
    kind = gradient_kinds(CONFIGURATION)[0]
    delta = np.full((1, 1, 2, 2), (1 << 45) // 4)
    delta.flat[0] -= 1
    (found,) = pool.backward(place, [values], ahead, delta, kind, Place(0)).deltas
    assert found[0, 0, 1, 1] == (1 << 45) - 1
    with pytest.raises(Overflow, match="delta"):
        pool.backward(place, [values], ahead, delta + 1, kind, Place(0))


def test_windows_that_overlap_too_much():
    pool, place = MaxPool((4, 4), (1, 1)), placed((1, 7, 7), (1, 4, 4), delta_bits=14)
    ahead = pool.forward(place, [np.zeros((1, 1, 7, 7), dtype=np.int64)], {}, Place(0))
    with pytest.raises(PlanRejected, match="pool: windows overlap too much for deltas of 60 bits"):
        pool.backward(place, [], ahead, np.zeros((1, 1, 4, 4), dtype=np.int64), gradient_kinds(CONFIGURATION)[0], Place(0))
