"""What tests of the semantics share: fully connected networks, random weights and data."""

from itertools import pairwise

import numpy as np

from tests.harness.layers import Layer, layered
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.operators.batch_norm import BatchNorm


def dense(*sizes):
    """A fully connected network."""
    layers = [
        Layer(f"dense.{i}", n_out, n_in, (1, 1), relu=i < len(sizes) - 2) for i, (n_in, n_out) in enumerate(pairwise(sizes))
    ]
    return layered((sizes[0], 1, 1), tuple(layers))


def probe(network, configuration, generator, weight_scale=1.0):
    """Random weights, constants, inputs and labels."""
    weights = {
        name: np.rint(weight_scale * generator.uniform(-1, 1, shape) * 2**40).astype(np.int64)
        for name, shape in network.parameters
    }
    weights |= {name: generator.integers(1 << 30, 5 << 29, shape) for name, shape in network.constants}
    batches = (configuration.steps, configuration.batch_size)
    inputs = generator.integers(-(2**31), 2**33, (*batches, *network.input_shape))
    return weights, inputs, generator.integers(0, network.classes, batches)


def floats(network, weights):
    """The numbers that a probe's integers stand for, by the names of parameters and constants."""
    found = {name: weights[name] / 2.0**40 for name, _ in network.parameters}
    for node in network.nodes:
        if isinstance(node.operator, BatchNorm):
            mean, variance = (f"{node.name}.{word}" for word, _ in node.operator.constants)
            found |= {mean: weights[mean] / 2.0**32, variance: (2.0**32 / weights[variance]) ** 2 - node.operator.eps}
    return found


def degenerate(steps=3):
    """(network, configuration, weights, inputs, labels) of an honest step, one that is saturated, and steps of loss 0.

    The last ones' ratios are below eps as well.
    """
    network = dense(3, 3)
    weights = {"dense.0.weight": np.eye(3, dtype=np.int64)[:, :, None, None] * 7 << 40, "dense.0.bias": np.zeros(3, np.int64)}
    sizes = [1 << 31, round(31.5 / 7 * 2**32), *[8 << 32] * (steps - 2)]
    labels = np.array([[0, 1]] * steps)
    inputs = np.eye(3, dtype=np.int64)[labels][..., None, None] * np.array(sizes)[:, None, None, None, None]
    return network, Configuration.of(steps=steps, batch_size=2, eps="1e-18"), weights, inputs, labels
