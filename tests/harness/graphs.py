"""Small graphs, one for each way in which the outputs of operators come together or apart."""

from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.operators.concatenate import Concatenate
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import MaxPool
from zkds.circuits.operators.mean import AveragePool
from zkds.circuits.operators.relu import Relu


def convolution(shape, channels, name, *inputs, size=1, bias=True):
    """A node with a kernel of size x size that keeps rows and columns."""
    half = size // 2
    return Node(Convolution.over(shape, channels, (size, size), padding=(half, half), bias=bias), inputs, name)


def scores(shape, source):
    return Node(Convolution.dense(2, shape), (source,), "scores")


GRAPHS = {
    # The second convolution is represented by the sum, whose sign the ReLU looks up.
    # A virtual sum, which the ReLU behind it commits once more.
    "concatenation of two binary points": Network(
        (1, 4, 4),
        (
            convolution((1, 4, 4), 2, "left", 0),
            Node(AveragePool(2), (1,)),
            convolution((1, 4, 4), 1, "right", 0),
            Node(MaxPool(2, True), (3,)),
            Node(Concatenate(), (2, 4, 2)),
            scores((5, 2, 2), 5),
        ),
    ),
    # Deltas with two binary points come back to one output.
    "fan-out to two ReLUs": Network(
        (2, 1, 1),
        (
            convolution((2, 1, 1), 2, "first", 0),
            Node(Relu(), (1,)),
            Node(Relu(), (1,)),
            Node(Concatenate(), (2, 1, 3)),
            scores((6, 1, 1), 4),
        ),
    ),
    "two pools in a row": Network(
        (1, 8, 4),
        (
            convolution((1, 8, 4), 2, "first", 0),
            Node(MaxPool(2, True), (1,)),
            Node(MaxPool(2, False), (2,)),
            scores((2, 2, 1), 3),
        ),
    ),
    "average pool, then max pool": Network(
        (1, 4, 4),
        (convolution((1, 4, 4), 2, "first", 0), Node(AveragePool(2), (1,)), Node(MaxPool(2), (2,)), scores((2, 1, 1), 3)),
    ),
    # The pool represents the sum, the sum the convolution.
}
