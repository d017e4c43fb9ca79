"""The fixed-point semantics against float64: the reference implementation of the metric, and gradients by autograd."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, reject, seed, settings
from hypothesis import strategies as st
from torch import nn

from tests.harness.graphs import GRAPHS
from tests.harness.layers import Layer, Pool, layered
from tests.harness.probes import dense, floats, probe
from tests.harness.random_networks import random_networks, random_probe
from tests.harness.sweeps import examples
from zkds.circuits.arithmetic.fixed_point import Configuration, Overflow
from zkds.circuits.networks.torch_module import NetworkModule, load_parameters
from zkds.circuits.probe import run
from zkds.sharpness import SharpnessConfig
from zkds.sharpness.probe import probe_batches

EXAMPLES = examples(20)
BOUND = 2e-9  # docs/fixed-point.md, "How far from float64"
MAX = layered(
    (2, 9, 8),
    (
        Layer("first", 4, 2, (3, 3), (1, 1), (1, 1), pool=Pool("max", 2), relu=True),
        Layer("second", 6, 4, (3, 2), (2, 1), (1, 0), relu=True),
        Layer("scores", 4, 6, (2, 3)),
    ),
)
AVERAGE = layered(
    (1, 10, 10),
    (
        Layer("first", 4, 1, (3, 3), pool=Pool("average", 2), relu=True),
        Layer("second", 6, 4, (1, 1), pool=Pool("average", 4), relu=True, bias=False),
        Layer("scores", 3, 6, (1, 1)),
    ),
)


WITHOUT_BIAS = layered(
    (1, 12, 12),
    (
        Layer("first", 4, 1, (3, 3), pool=Pool("max", 2), relu=True, bias=False),
        Layer("second", 6, 4, (2, 2), pool=Pool("average", 2), relu=True, bias=False),
        Layer("third", 8, 6, (2, 2), relu=True, bias=False),
        Layer("scores", 3, 8, (1, 1), bias=False),
    ),
)


def module(network, weights):
    """The same network in torch, float64, at weights of 40 fractional bits."""
    model = NetworkModule(network).double().eval()
    load_parameters(model, floats(network, weights))
    return model


def gradients(network, weights, records, labels):
    """Name -> gradient of the mean loss of a batch, by autograd."""
    model = module(network, weights)
    loss = nn.functional.cross_entropy(model(torch.tensor(records / 2.0**32)), torch.tensor(labels))
    named = dict(model.named_parameters())
    found = torch.autograd.grad(loss, [named[name] for name, _ in network.parameters])
    return {name: gradient.numpy().reshape(shape) for (name, shape), gradient in zip(network.parameters, found, strict=True)}


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
        assert 0.05 * math.sqrt(found.sharpness_squares[t]) / 2 ** (44 + found.loss_scales[t]) == pytest.approx(
            step.sharpness, rel=1e-7
        )
        assert found.loss_sums[t] / 2**58 / 5 == pytest.approx(step.loss, rel=1e-8)
        constant = math.log(5 * 0.05**2 * 2**-46)
        assert found.log_ratios[t] / 2**48 + constant == pytest.approx(math.log(step.ratio + 1e-12), abs=1e-7)


@pytest.mark.parametrize(("sharpness", "perturbation"), [("ASAM", "SAM"), ("SAM", "SAM"), ("ASAM", "ASAM")])
def test_confident_networks(sharpness, perturbation):
    """Batches with mean losses from 1e-5 to 1e-13: every digit of a ratio is there, and none is saturated."""
    network, generator, steps, batch = dense(3, 3), np.random.default_rng(10), 6, 4
    configuration = Configuration.of(steps=steps, batch_size=batch, sharpness=sharpness, perturbation=perturbation, eps="1e-14")
    weights = {
        name: np.rint(generator.uniform(-0.5, 0.5, shape) * 2**40).astype(np.int64) for name, shape in network.parameters
    }
    weights["dense.0.weight"] += np.eye(3, dtype=np.int64)[:, :, None, None] * 7 << 40
    labels = generator.integers(0, 3, (steps, batch))
    sizes = np.linspace(12, 31, steps)[:, None] / 7 + generator.uniform(0, 0.2, (steps, batch))
    inputs = np.rint(np.eye(3)[labels] * sizes[..., None] * 2**32).astype(np.int64)[..., None, None]
    found = run(network, weights, inputs, labels, configuration)
    config = SharpnessConfig(batch, steps, 0.05, 0.0001, sharpness.lower(), perturbation.lower())
    x, plan = torch.tensor(inputs.reshape(-1, 3, 1, 1) / 2.0**32), np.arange(steps * batch).reshape(steps, batch).tolist()
    with torch.enable_grad():
        expected = probe_batches(module(network, weights), (x, torch.tensor(labels.ravel())), config, plan, dtype=torch.float64)
    constant, ratios = math.log(batch * 0.05**2 * 2**-46), []
    for t, step in enumerate(expected.history):
        error = 1e-7 + 2**-56 / step.loss  # four units of the last place
        assert found.loss_sums[t] / 2**58 / batch == pytest.approx(step.loss, rel=error)
        assert 0.05 * math.sqrt(found.sharpness_squares[t]) / 2 ** (44 + found.loss_scales[t]) == pytest.approx(
            step.sharpness, rel=error
        )
        ratios.append(math.log(step.ratio + 1e-14))
        assert found.log_ratios[t] / 2**48 + constant == pytest.approx(ratios[-1], abs=3 * error)
    assert found.value / 2**48 == pytest.approx(np.std(ratios), abs=1e-6)
    assert expected.history[0].loss > 1e-6 and expected.history[-1].loss < 2e-13
    assert found.loss_scales[0] < 10 and found.loss_scales[-1] > 30 and found.saturated == 0


def test_zeros_without_biases():
    """Most of the image is 0, and so is much of every convolution: ReLU passes deltas there, autograd does not."""
    configuration = Configuration.of(steps=2, batch_size=4)
    weights, inputs, labels = probe(WITHOUT_BIAS, configuration, np.random.default_rng(7), 0.5)
    inputs[..., :7, :] = 0
    inputs[..., 9:] = 0
    found = run(WITHOUT_BIAS, weights, inputs, labels, configuration)
    convolutions = [found.values[f"{name}: output"] for name in ("first", "second")]
    assert all((z == 0).mean() > 0.05 for z in convolutions)
    for name, gradient in gradients(WITHOUT_BIAS, weights, inputs[0], labels[0]).items():
        assert np.abs(found.values[f"{name}: gradient"][0] / 2.0**44 - gradient).max() < BOUND, name


@pytest.mark.parametrize("network", [MAX, AVERAGE], ids=["max", "average"])
def test_gradients_and_updates(network):
    configuration = Configuration.of(steps=2, batch_size=4, learning_rate="0.03")
    weights, inputs, labels = probe(network, configuration, np.random.default_rng(9), 0.3)
    found = run(network, weights, inputs, labels, configuration)
    require_near(found, inputs[0], labels[0], 0.03)


def require_near(found, records, labels, learning_rate):
    """Gradients of the first step's first pass and updates of its second one against autograd."""
    for tensor, bits, scale, p in (("gradient", 44, 1, 0), ("update", 40, learning_rate, 2)):
        weights = {name: found.weights[name] for name, _ in found.network.constants}
        weights |= {name: found.weights_at(name, p) for name, _ in found.network.parameters}
        for name, gradient in gradients(found.network, weights, records, labels).items():
            actual = found.values[f"{name}: {tensor}"][0] / 2.0**bits
            assert np.abs(actual - scale * gradient).max() < BOUND * scale, (name, tensor)


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name):
    network, configuration = GRAPHS[name], Configuration.of(steps=2, batch_size=2, learning_rate="0.03")
    weights, inputs, labels = probe(network, configuration, np.random.default_rng(3), 0.5)
    require_near(run(network, weights, inputs, labels, configuration), inputs[0], labels[0], 0.03)


@pytest.mark.sweep
@seed(20261130)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(random_networks(), st.integers(0, 2**32 - 1))
def test_random_networks(network, random_seed):
    configuration = Configuration.of(steps=2, batch_size=2, learning_rate="0.03")
    weights, inputs, labels = random_probe(network, configuration, random_seed)
    try:
        found = run(network, weights, inputs, labels, configuration)
    except Overflow:
        reject()
    require_near(found, inputs[0], labels[0], 0.03)
