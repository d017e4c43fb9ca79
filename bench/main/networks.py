"""Networks of the benches of the main job as the circuit sees them."""

import numpy as np

from zkds.circuits.graph import Layer, Network, Pool
from zkds.integers.limbs import I64

MAX = Pool("max", 2)
AVERAGE = Pool("average", 2)

LENET5 = Network(
    (1, 28, 28),
    (
        Layer("conv1", 6, 1, (5, 5), padding=(2, 2), pool=MAX, relu=True),
        Layer("conv2", 16, 6, (5, 5), pool=MAX, relu=True),
        Layer("dense1", 120, 16, (5, 5), relu=True),
        Layer("dense2", 84, 120, (1, 1), relu=True),
        Layer("dense3", 10, 84, (1, 1)),
    ),
)
LENET_K = Network(
    (1, 32, 32),
    (
        Layer("conv1", 4, 1, (5, 5), pool=AVERAGE, relu=True, bias=False),
        Layer("conv2", 16, 4, (5, 5), pool=AVERAGE, relu=True, bias=False),
        Layer("conv3", 128, 16, (5, 5), relu=True, bias=False),
        Layer("dense1", 32, 128, (1, 1), relu=True, bias=False),
        Layer("dense2", 16, 32, (1, 1), bias=False),
    ),
)
DIGITS = Network(
    (1, 8, 8),
    (
        Layer("conv1", 16, 1, (3, 3), padding=(1, 1), pool=MAX, relu=True),
        Layer("conv2", 32, 16, (3, 3), padding=(1, 1), pool=MAX, relu=True),
        Layer("dense1", 64, 32, (2, 2), relu=True),
        Layer("dense2", 10, 64, (1, 1)),
    ),
)


def initial_weights(network: Network, seed: int) -> dict[str, I64]:
    """PyTorch's default initialisation, uniform within 1 / sqrt(fan-in), as integers [40]."""
    generator = np.random.default_rng(seed)
    weights = {}
    for layer in network.layers:
        limit = (layer.channels_in * layer.kernel[0] * layer.kernel[1]) ** -0.5
        for name, shape in layer.parameters:
            weights[name] = np.rint(generator.uniform(-limit, limit, shape) * 2.0**40).astype(np.int64)
    return weights
