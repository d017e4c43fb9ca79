"""Small graphs, one for each way in which the outputs of operators come together or apart."""

from fractions import Fraction

from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.operators.add import Add
from zkds.circuits.operators.affine import Affine
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.batch_norm import BatchNorm
from zkds.circuits.operators.clamp import Clamp
from zkds.circuits.operators.concatenate import Concatenate
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.leaky_relu import LeakyRelu
from zkds.circuits.operators.maximum import AdaptiveMaxPool, MaxPool
from zkds.circuits.operators.pad import Pad
from zkds.circuits.operators.permute import Permute
from zkds.circuits.operators.relu import Relu
from zkds.circuits.operators.smooth import Gelu, GeluTanh, Sigmoid, Silu, Tanh


def convolution(shape, channels, name, *inputs, size=1, bias=True):
    """A node with a kernel of size x size that keeps rows and columns."""
    half = size // 2
    return Node(Convolution.over(shape, channels, (size, size), padding=(half, half), bias=bias), inputs, name)


def halved(shape, source):
    """A node of means over windows of 2 x 2 entries side by side."""
    return Node(AveragePool.side_by_side(shape, 2), (source,))


def scores(shape, source):
    return Node(Convolution.dense(2, shape), (source,), "scores")


GRAPHS = {
    # The second convolution is represented by the sum, whose sign the ReLU looks up.
    "residual, ReLU behind it": Network(
        (1, 3, 3),
        (
            convolution((1, 3, 3), 2, "first", 0, size=3),
            Node(Relu(), (1,)),
            convolution((2, 3, 3), 2, "second", 2, size=3),
            Node(Add(), (2, 3)),
            Node(Relu(), (4,)),
            scores((2, 3, 3), 5),
        ),
    ),
    # The second batch norm is represented by the sum.
    "batch norms": Network(
        (2, 4, 4),
        (
            convolution((2, 4, 4), 2, "first", 0, size=3, bias=False),
            Node(BatchNorm(2), (1,), "first_norm"),
            Node(Relu(), (2,)),
            convolution((2, 4, 4), 2, "second", 3),
            Node(BatchNorm(2, 1e-3), (4,), "second_norm"),
            Node(Add(), (2, 5)),
            halved((2, 4, 4), 6),
            Node(BatchNorm(2), (7,), "third_norm"),
            halved((2, 2, 2), 8),
            scores((2, 1, 1), 9),
        ),
    ),
    # A virtual sum, which the ReLU behind it commits once more.
    "sum of two ReLUs": Network(
        (1, 2, 2),
        (
            convolution((1, 2, 2), 2, "left", 0),
            Node(Relu(), (1,)),
            convolution((1, 2, 2), 2, "right", 0, bias=False),
            Node(Relu(), (3,)),
            Node(Add(), (2, 4)),
            Node(Relu(), (5,)),
            scores((2, 2, 2), 6),
        ),
    ),
    "concatenation of two binary points": Network(
        (1, 4, 4),
        (
            convolution((1, 4, 4), 2, "left", 0),
            halved((2, 4, 4), 1),
            convolution((1, 4, 4), 1, "right", 0),
            Node(MaxPool.side_by_side(2, relu=True), (3,)),
            Node(Concatenate(), (2, 4, 2)),
            scores((5, 2, 2), 5),
        ),
    ),
    # Deltas with two binary points come back to one output.
    "fan-out with an average pool": Network(
        (1, 2, 2),
        (
            convolution((1, 2, 2), 2, "first", 0),
            halved((2, 2, 2), 1),
            Node(Convolution.over((2, 2, 2), 2, (2, 2)), (1,), "second"),
            Node(Add(), (2, 3)),
            scores((2, 1, 1), 4),
        ),
    ),
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
    "pool before the first layer": Network(
        (1, 4, 4),
        (
            Node(MaxPool.side_by_side(2), (0,)),
            Node(Relu(), (1,)),
            halved((1, 4, 4), 0),
            Node(Add(), (2, 3)),
            scores((1, 2, 2), 4),
        ),
    ),
    "two pools in a row": Network(
        (1, 8, 4),
        (
            convolution((1, 8, 4), 2, "first", 0),
            Node(MaxPool.side_by_side(2, relu=True), (1,)),
            Node(MaxPool.side_by_side(2), (2,)),
            scores((2, 2, 1), 3),
        ),
    ),
    "average pool, then max pool": Network(
        (1, 4, 4),
        (
            convolution((1, 4, 4), 2, "first", 0),
            halved((2, 4, 4), 1),
            Node(MaxPool.side_by_side(2), (2,)),
            scores((2, 1, 1), 3),
        ),
    ),
    # The pool represents the sum, the sum the convolution.
    "pool behind a sum": Network(
        (2, 2, 2),
        (
            convolution((2, 2, 2), 2, "first", 0),
            Node(Add(), (0, 1, 0)),
            Node(MaxPool.side_by_side(2, relu=True), (2,)),
            scores((2, 1, 1), 3),
        ),
    ),
    "pools whose windows overlap": Network(
        (1, 5, 4),
        (
            convolution((1, 5, 4), 2, "first", 0),
            Node(MaxPool((3, 2), (2, 1), (1, 1), (1, 2), True, True), (1,)),
            Node(AdaptiveMaxPool((2, 3)), (2,)),
            scores((2, 2, 3), 3),
        ),
    ),
    # Represented by the activation behind it, tied to it, behind and before an average pool; two rounded ones in a row.
    "smooth functions": Network(
        (1, 4, 2),
        (
            convolution((1, 4, 2), 1, "first", 0),
            Node(Gelu(), (1,)),
            halved((1, 4, 2), 2),
            Node(Sigmoid(), (3,)),
            Node(Tanh(), (3,)),
            Node(GeluTanh(), (4,)),
            Node(Silu(), (5,)),
            Node(Add(), (6, 7, 3)),
            scores((1, 2, 1), 8),
        ),
    ),
    "clamps and LeakyReLUs": Network(
        (1, 4, 2),
        (
            convolution((1, 4, 2), 1, "first", 0),
            Node(Clamp.of(Fraction(0), Fraction(6)), (1,)),
            Node(LeakyRelu.of(Fraction(1, 100)), (2,)),
            Node(LeakyRelu.of(Fraction(1, 2)), (3,)),
            halved((1, 4, 2), 4),
            Node(Clamp.of(None, Fraction(1, 3), inclusive=True), (5,)),
            Node(LeakyRelu.of(Fraction(1, 8)), (5,)),
            Node(Add(), (6, 7)),
            scores((1, 2, 1), 8),
        ),
    ),
    # More claims on one output, and on a virtual sum of sums, than are reduced one by one.
    "many branches": Network(
        (1, 1, 2),
        (
            convolution((1, 1, 2), 1, "first", 0),
            *(convolution((1, 1, 2), 1, f"branch{i}", 1, bias=False) for i in range(4)),
            Node(Add(), (2, 3, 4, 5)),
            Node(Add(), (6, 1, 1)),
            Node(Add(), (7, 7)),
            Node(Add(), (8, 8)),
            scores((1, 1, 2), 9),
        ),
    ),
    "a sum of what comes later": Network(
        (1, 2, 2),
        (
            convolution((1, 2, 2), 1, "early", 0),
            convolution((1, 2, 2), 1, "late", 0),
            Node(Relu(), (2,)),
            Node(Add(), (1, 3, 3)),
            scores((1, 2, 2), 4),
        ),
    ),
    "slices, zeros and axes in another order": Network(
        (1, 3, 4),
        (
            convolution((1, 3, 4), 2, "first", 0),
            Node(Permute((2, 0, 1)), (1,)),
            Node(Pad((5, 3, 2), (1, 0, 1), (0, 1, 0), (1, 1, 2)), (2,)),
            Node(Permute((1, 2, 0)), (3,)),
            scores((3, 2, 5), 4),
        ),
    ),
    "affine maps by constants": Network(
        (2, 2, 2),
        (
            Node(Affine((5 << 40, -(7 << 37)), (-(3 << 39), 12345)), (0,)),
            convolution((2, 2, 2), 1, "first", 1),
            Node(AveragePool.side_by_side((1, 2, 2), 2), (2,)),
            Node(Affine((-(1 << 41) + 77,), (0,)), (3,)),
            scores((1, 1, 1), 4),
        ),
    ),
}
