"""Writes networks down node by node, each fitting what it takes, with channel counts that a width scales."""

from __future__ import annotations

from fractions import Fraction

from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.networks.simplify import simplified
from zkds.circuits.operators.add import Add
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.batch_norm import BatchNorm
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import MaxPool
from zkds.circuits.operators.operator import Operator, Shape
from zkds.circuits.operators.relu import Relu


class Builder:
    """A network in the making. Methods take the number of a node, counted from 1, or 0 for the input, and return one.

    width   factor of every number of hidden channels, which is rounded down and at least 1
    """

    def __init__(self, input_shape: Shape, width: Fraction) -> None:
        self._shapes = [input_shape]
        self._width = width
        self._nodes: list[Node] = []

    def channels(self, count: int) -> int:
        """So many channels, scaled."""
        return max(1, int(count * self._width))

    def shape(self, node: int) -> Shape:
        return self._shapes[node]

    def add(self, operator: Operator, *inputs: int, name: str = "") -> int:
        self._shapes.append(operator.output_shape([self._shapes[source] for source in inputs]))
        self._nodes.append(Node(operator, inputs, name))
        return len(self._nodes)

    def convolution(
        self, node: int, name: str, channels: int, kernel: int, stride: int = 1, padding: int = 0, *, bias: bool = True
    ) -> int:
        """A square kernel; `channels` are scaled."""
        window = (kernel, kernel), (stride, stride), (padding, padding)
        return self.add(Convolution.over(self.shape(node), self.channels(channels), *window, bias), node, name=name)

    def pooled(
        self, node: int, name: str, channels: int, kernel: int, pool: str, padding: int = 0, *, bias: bool = True
    ) -> int:
        """A square kernel, ReLU, and pools of 2x2, "max" or "average"; rows and columns that no pool uses are not computed."""
        window = (kernel, kernel), (1, 1), (padding, padding)
        operator = Convolution.over(self.shape(node), self.channels(channels), *window, bias, multiple_of=(2, 2))
        node = self.relu(self.add(operator, node, name=name))
        return self.max_pool(node, 2) if pool == "max" else self.add(AveragePool.side_by_side(self.shape(node), 2), node)

    def max_pool(self, node: int, size: int, stride: int | None = None) -> int:
        """Square windows, side by side unless a stride is given."""
        step = size if stride is None else stride
        return self.add(MaxPool((size, size), (step, step)), node)

    def global_average(self, node: int) -> int:
        """The mean of each channel."""
        sides = self.shape(node)[1:]
        return self.add(AveragePool(sides, sides, sides), node)

    def dense(self, node: int, name: str, outputs: int, *, bias: bool = True) -> int:
        """A fully connected layer on the flattened output; `outputs` are scaled."""
        return self.add(Convolution.dense(self.channels(outputs), self.shape(node), bias), node, name=name)

    def scores(self, node: int, name: str, classes: int, *, bias: bool = True) -> Network:
        """The last layer, on the flattened output: the network, in the form that importing its module gives."""
        last = self.add(Convolution.dense(classes, self.shape(node), bias), node, name=name)
        return simplified(self._shapes[0], self._nodes, last)

    def batch_norm(self, node: int, name: str) -> int:
        return self.add(BatchNorm(self.shape(node)[0]), node, name=name)

    def relu(self, node: int) -> int:
        return self.add(Relu(), node)

    def sum(self, *nodes: int) -> int:
        return self.add(Add(), *nodes)
