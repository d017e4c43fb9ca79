"""Networks with a name: what a checkpoint {"arch": name, "state_dict": ...} refers to.

    lenet5, lenet5-avg              1x28x28; max- or average-pooling
    lenet5-rgb, lenet5-rgb-avg      3x32x32
    lenet-k                         1x32x32; no biases, average-pooling, 16 classes: the LeNet of Kaizen (CCS 2024)
    mlp                             1x28x28; 784-128-64-10
    digits-cnn, digits-mlp          1x8x8; for scikit-learn's digits

Their torch modules are made by zkds.circuits.networks.torch_module.
"""

from __future__ import annotations

from collections.abc import Sequence

from zkds.circuits.networks.graph import Layer, Network, Pool, Shape


class _Chain:
    """Adds layers, each fitting the output of the one before."""

    def __init__(self, input_shape: Shape, *, pool: str = "max", bias: bool = True) -> None:
        self._input_shape = self._shape = input_shape
        self._pool = Pool(pool, 2)
        self._bias = bias
        self._layers: list[Layer] = []

    def convolution(self, channels: int, kernel: int, *, padding: int = 0, pool: bool = False) -> None:
        """Square kernels, ReLU, and 2x2 pooling if asked for."""
        count = sum(layer.name.startswith("conv") for layer in self._layers)
        window = ((kernel, kernel), (1, 1), (padding, padding))
        pooling = self._pool if pool else None
        self._add(Layer(f"conv{count + 1}", channels, self._shape[0], *window, self._bias, pooling, relu=True))

    def fully_connected(self, *sizes: int) -> Network:
        """Layers of these sizes with ReLU between them; the last one's outputs are the scores."""
        for index, size in enumerate(sizes, 1):
            kernel = self._shape[1:]
            self._add(Layer(f"fc{index}", size, self._shape[0], kernel, bias=self._bias, relu=index < len(sizes)))
        return Network(self._input_shape, tuple(self._layers))

    def _add(self, layer: Layer) -> None:
        self._layers.append(layer)
        self._shape = layer.shapes(self._shape).output


def _lenet5(input_shape: Shape, pool: str) -> Network:
    chain = _Chain(input_shape, pool=pool)
    chain.convolution(6, 5, padding=(32 - input_shape[1]) // 2, pool=True)
    chain.convolution(16, 5, pool=True)
    return chain.fully_connected(120, 84, 10)


def _lenet_k() -> Network:
    chain = _Chain((1, 32, 32), pool="average", bias=False)
    chain.convolution(4, 5, pool=True)
    chain.convolution(16, 5, pool=True)
    chain.convolution(128, 5)
    return chain.fully_connected(32, 16)


def _digits_cnn() -> Network:
    chain = _Chain((1, 8, 8))
    chain.convolution(8, 3, padding=1, pool=True)
    chain.convolution(16, 3, padding=1, pool=True)
    return chain.fully_connected(32, 10)


def _mlp(input_shape: Shape, sizes: Sequence[int]) -> Network:
    return _Chain(input_shape).fully_connected(*sizes)


ARCHITECTURES = {
    "lenet5": _lenet5((1, 28, 28), "max"),
    "lenet5-avg": _lenet5((1, 28, 28), "average"),
    "lenet5-rgb": _lenet5((3, 32, 32), "max"),
    "lenet5-rgb-avg": _lenet5((3, 32, 32), "average"),
    "lenet-k": _lenet_k(),
    "mlp": _mlp((1, 28, 28), (128, 64, 10)),
    "digits-cnn": _digits_cnn(),
    "digits-mlp": _mlp((1, 8, 8), (32, 10)),
}


def network(architecture: str) -> Network:
    """The description of a network of the zoo. Raises ValueError, with the names that there are, for another."""
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise ValueError(f"architecture: expected one of {', '.join(ARCHITECTURES)}, got {architecture!r}")
    return ARCHITECTURES[architecture]
