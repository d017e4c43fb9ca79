"""The fixed-point semantics against float64: the reference implementation of the metric, and gradients by autograd."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.harness.probes import probe
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.networks.graph import Layer, Network, Pool
from zkds.circuits.semantics import run
from zkds.sharpness import SharpnessConfig
from zkds.sharpness.probe import probe_batches

MAX = Network(
    (2, 9, 8),
    (
        Layer("first", 4, 2, (3, 3), (1, 1), (1, 1), pool=Pool("max", 2), relu=True),
        Layer("second", 6, 4, (3, 2), (2, 1), (1, 0), relu=True),
        Layer("scores", 4, 6, (2, 3)),
    ),
)
AVERAGE = Network(
    (1, 10, 10),
    (
        Layer("first", 4, 1, (3, 3), pool=Pool("average", 2), relu=True),
        Layer("second", 6, 4, (1, 1), pool=Pool("average", 4), relu=True, bias=False),
        Layer("scores", 3, 6, (1, 1)),
    ),
)


WITHOUT_BIAS = Network(
    (1, 12, 12),
    (
        Layer("first", 4, 1, (3, 3), pool=Pool("max", 2), relu=True, bias=False),
        Layer("second", 6, 4, (2, 2), pool=Pool("average", 2), relu=True, bias=False),
        Layer("third", 8, 6, (2, 2), relu=True, bias=False),
        Layer("scores", 3, 8, (1, 1), bias=False),
    ),
)


def module(network, weights):
    """The same network in torch, float64."""
    parts = []
    for layer in network.layers:
        convolution = nn.Conv2d(
            layer.channels_in, layer.channels_out, layer.kernel, layer.stride, layer.padding, bias=layer.bias
        )
        pool = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[layer.pool.kind](layer.pool.size) if layer.pool else nn.Identity()
        relu = nn.ReLU() if layer.relu else nn.Identity()
        parts += [convolution, *((relu, pool) if layer.pool and layer.pool.kind == "average" else (pool, relu))]
    model = nn.Sequential(*parts, nn.Flatten()).double()
    with torch.no_grad():
        for parameter, (name, _) in zip(model.parameters(), network.parameters, strict=True):
            parameter.copy_(torch.tensor(weights[name] / 2.0**40))
    return model


@pytest.mark.parametrize("network", [MAX, AVERAGE], ids=["max", "average"])
@pytest.mark.parametrize("sharpness", ["ASAM", "SAM"])
@pytest.mark.parametrize("perturbation", ["SAM", "ASAM"])
def test_metric(network, sharpness, perturbation):
    configuration = Configuration.of(
        steps=4, batch_size=5, learning_rate="0.01", sharpness=sharpness, perturbation=perturbation
    )
    weights, inputs, labels = probe(network, configuration, np.random.default_rng(8), 0.3)
    found = run(network, weights, inputs, labels, configuration)
    config = SharpnessConfig(5, 4, 0.05, 0.01, sharpness.lower(), perturbation.lower())
    x = torch.tensor(inputs.reshape(-1, *network.input_shape) / 2.0**32)
    plan = np.arange(20).reshape(4, 5).tolist()
    with torch.enable_grad():
        expected = probe_batches(module(network, weights), (x, torch.tensor(labels.ravel())), config, plan, dtype=torch.float64)
    assert found.value / 2**48 == pytest.approx(expected.value, abs=1e-7)
    assert found.total_loss / 2**48 / 20 == pytest.approx(expected.loss, abs=1e-8)
    assert found.correct / 20 == pytest.approx(expected.accuracy)
    for t, step in enumerate(expected.history):
        assert 0.05 * math.sqrt(found.sharpness_squares[t]) / 2**44 == pytest.approx(step.sharpness, rel=1e-7)
        assert found.loss_sums[t] / 2**48 / 5 == pytest.approx(step.loss, rel=1e-8)
        constant = math.log(5 * 0.05**2 * 2**-56)
        assert found.log_ratios[t] / 2**48 + constant == pytest.approx(math.log(step.ratio + 1e-12), abs=1e-7)


def test_zeros_without_biases():
    """Most of the image is 0, and so is much of every convolution: ReLU passes deltas there, autograd does not."""
    configuration = Configuration.of(steps=2, batch_size=4)
    weights, inputs, labels = probe(WITHOUT_BIAS, configuration, np.random.default_rng(7), 0.5)
    inputs[..., :7, :] = 0
    inputs[..., 9:] = 0
    found = run(WITHOUT_BIAS, weights, inputs, labels, configuration)
    assert all((layer == 0).mean() > 0.05 for layer in found.convolution[:2])
    model = module(WITHOUT_BIAS, weights)
    loss = nn.functional.cross_entropy(model(torch.tensor(inputs[0] / 2.0**32)), torch.tensor(labels[0]))
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    for (name, _), gradient in zip(WITHOUT_BIAS.parameters, gradients, strict=True):
        assert np.abs(found.gradient[name][0] / 2.0**44 - gradient.numpy()).max() < 2e-9, name


@pytest.mark.parametrize("network", [MAX, AVERAGE], ids=["max", "average"])
def test_gradients_and_updates(network):
    configuration = Configuration.of(steps=2, batch_size=4, learning_rate="0.03")
    weights, inputs, labels = probe(network, configuration, np.random.default_rng(9), 0.3)
    found = run(network, weights, inputs, labels, configuration)
    x, y = torch.tensor(inputs[0] / 2.0**32), torch.tensor(labels[0])
    for tensor, bits, scale, p in (("gradient", 44, 1, 0), ("update", 40, 0.03, 2)):
        model = module(network, {name: found.weights_at(name, p) for name in weights})
        gradients = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), list(model.parameters()))
        for (name, _), gradient in zip(network.parameters, gradients, strict=True):
            actual = getattr(found, tensor)[name][0] / 2.0**bits
            assert np.abs(actual - scale * gradient.numpy()).max() < 2e-9 * scale
