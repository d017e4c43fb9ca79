"""What tests of the semantics share: fully connected networks, random weights and data."""

from itertools import pairwise

import numpy as np

from zkds.circuits.graph import Layer, Network


def dense(*sizes):
    """A fully connected network."""
    layers = [
        Layer(f"dense.{i}", n_out, n_in, (1, 1), relu=i < len(sizes) - 2) for i, (n_in, n_out) in enumerate(pairwise(sizes))
    ]
    return Network((sizes[0], 1, 1), tuple(layers))


def probe(network, configuration, generator, weight_scale=1.0):
    """Random weights, inputs and labels."""
    weights = {
        name: np.rint(weight_scale * generator.uniform(-1, 1, shape) * 2**40).astype(np.int64)
        for name, shape in network.parameters
    }
    batches = (configuration.steps, configuration.batch_size)
    inputs = generator.integers(-(2**31), 2**33, (*batches, *network.input_shape))
    return weights, inputs, generator.integers(0, network.classes, batches)
