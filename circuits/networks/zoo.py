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

from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import MaxPool
from zkds.circuits.operators.operator import Operator, Shape
from zkds.circuits.operators.relu import Relu


class _Chain:
    """Adds nodes, each fitting the output of the one before."""

    def __init__(self, input_shape: Shape, *, pool: str = "max", bias: bool = True) -> None:
        self._input_shape = self._shape = input_shape
        self._pool = pool
        self._bias = bias
        self._nodes: list[Node] = []

    def convolution(self, channels: int, kernel: int, *, padding: int = 0, pool: bool = False) -> None:
        """Square kernels, ReLU, and 2x2 pooling if asked for."""
        count = sum(node.name.startswith("conv") for node in self._nodes)
        used = (2, 2) if pool else (1, 1)
        sides = (kernel, kernel), (1, 1), (padding, padding)
        self._add(Convolution.over(self._shape, channels, *sides, self._bias, used), f"conv{count + 1}")
        if pool and self._pool == "max":
            self._add(MaxPool.side_by_side(2, relu=True))
            return
        self._add(Relu())
        if pool:
            self._add(AveragePool.side_by_side(self._shape, 2))

    def fully_connected(self, *sizes: int) -> Network:
        """Layers of these sizes with ReLU between them; the last one's outputs are the scores."""
        for index, size in enumerate(sizes, 1):
            self._add(Convolution.dense(size, self._shape, self._bias), f"fc{index}")
            if index < len(sizes):
                self._add(Relu())
        return Network(self._input_shape, tuple(self._nodes))

    def _add(self, operator: Operator, name: str = "") -> None:
        self._shape = operator.output_shape([self._shape])
        self._nodes.append(Node(operator, (len(self._nodes),), name))


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
