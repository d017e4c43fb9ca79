"""Chains of layers in a few words: a convolution, and the pooling and the ReLU that follow it, as the tests think of them."""

from __future__ import annotations

from dataclasses import dataclass

from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import MaxPool
from zkds.circuits.operators.relu import Relu


@dataclass(frozen=True)
class Pool:
    """Windows of size x size entries side by side; kind "max" or "average"."""

    kind: str
    size: int


@dataclass(frozen=True)
class Layer:
    """Convolution and bias, then max pool, then ReLU; or convolution and bias, then ReLU, then average pool."""

    name: str
    channels_out: int
    channels_in: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    bias: bool = True
    pool: Pool | None = None
    relu: bool = False

    def operators(self, shape):
        """The operators for an input of this shape; rows and columns that no pool uses are not computed."""
        size = self.pool.size if self.pool else 1
        window = (self.kernel, self.stride, self.padding, self.bias, (size, size))
        convolution = Convolution.over((self.channels_in, *shape[1:]), self.channels_out, *window)
        convolution.output_shape([shape])
        if self.pool and self.pool.kind == "max":
            return [convolution, MaxPool.side_by_side(size, relu=self.relu)]
        after = [Relu()] if self.relu else []
        after += [AveragePool.side_by_side(convolution.output_shape([shape]), size)] if self.pool else []
        return [convolution, *after]

    def output(self, shape):
        """The shape of its output."""
        for operator in self.operators(shape):
            shape = operator.output_shape([shape])
        return shape

    def convolution(self, shape):
        """The shape of its convolution's output."""
        return self.operators(shape)[0].output_shape([shape])


def layered(input_shape, layers):
    """The network of these layers, one after the other."""
    shape, nodes = input_shape, []
    for layer in layers:
        for operator in layer.operators(shape):
            nodes.append(Node(operator, (len(nodes),), layer.name if operator.parameters else ""))
        shape = layer.output(shape)
    return Network(input_shape, tuple(nodes))
