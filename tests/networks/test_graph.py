"""Descriptions of networks: shapes, canonical bytes, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.networks import networks
from zkds.circuits.networks.graph import NETWORK_LABEL, Network, Node, chain
from zkds.circuits.operators.add import Add
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.concatenate import Concatenate
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import MaxPool
from zkds.circuits.operators.relu import Relu
from zkds.errors import MalformedProof

pytestmark = pytest.mark.any_kernels

CONVOLUTION = Convolution.over((1, 28, 28), 6, (5, 5), padding=(2, 2))
POOL = MaxPool.side_by_side(2, relu=True)
SCORES = Convolution.dense(10, (6, 14, 14))
SMALL = chain((1, 28, 28), ("conv1", CONVOLUTION), POOL, ("fc", SCORES))
BRANCHES = Network(
    (2, 4, 4),
    (
        Node(Convolution.over((2, 4, 4), 2, (3, 3), padding=(1, 1)), (0,), "a"),
        Node(Relu(), (1,)),
        Node(AveragePool.side_by_side((2, 4, 4), 2), (2,)),
        Node(Add(), (0, 1)),
        Node(AveragePool.side_by_side((2, 4, 4), 2), (4,)),
        Node(Concatenate(), (3, 5)),
        Node(Convolution.dense(3, (4, 2, 2)), (6,), "fc"),
    ),
)


def test_shapes_and_parameters():
    assert SMALL.shapes == ((1, 28, 28), (6, 28, 28), (6, 14, 14), (10, 1, 1))
    assert SMALL.names == ("conv1", "max pool 2", "fc")
    assert SMALL.parameters == (
        ("conv1.weight", (6, 1, 5, 5)),
        ("conv1.bias", (6,)),
        ("fc.weight", (10, 6, 14, 14)),
        ("fc.bias", (10,)),
    )
    assert SMALL.parameter_count == 156 + 11770
    assert SMALL.classes == 10
    assert hash(SMALL) == hash(chain((1, 28, 28), ("conv1", CONVOLUTION), POOL, ("fc", SCORES)))


def test_strides_and_rows_that_a_pool_leaves_out():
    layer = Convolution.over((3, 10, 17), 2, (3, 2), (2, 3), (1, 0), multiple_of=(2, 2))
    assert layer.outputs == (4, 6) and Convolution.over((3, 10, 17), 2, (3, 2), (2, 3), (1, 0)).outputs == (5, 6)
    assert AveragePool.side_by_side((2, 4, 6), 2).output_shape([layer.output_shape([(3, 10, 17)])]) == (2, 2, 3)


def test_binary_points_consumers_and_what_learns():
    assert BRANCHES.bits == (32, 32, 32, 34, 32, 34, 34, 32)
    assert BRANCHES.consumers == ((1, 4), (2, 4), (3,), (6,), (5,), (6,), (7,), ())
    assert BRANCHES.learns == (False, *[True] * 7)
    assert BRANCHES.delta_bits == (2, 2, 2, 0, 2, 0, 0, 0)
    assert BRANCHES.placed[3].wanted == (False, True)
    assert BRANCHES.names == ("a", "relu 2", "average pool 3", "add 4", "average pool 5", "concatenate 6", "fc")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(networks())
def test_encoding_is_canonical(network):
    data = network.encode()
    assert Network.decode(data) == network
    assert Network.decode(data).encode() == data
    assert sum(math.prod(shape) for _, shape in network.parameters) == network.parameter_count


@settings(max_examples=200, deadline=None, derandomize=True)
@given(networks(), st.data())
def test_altered_bytes_are_another_network_or_none(network, data):
    encoding = bytearray(network.encode())
    position = data.draw(st.integers(0, len(encoding) - 1))
    encoding[position] ^= data.draw(st.integers(1, 255))
    try:
        assert Network.decode(bytes(encoding)) != network
    except MalformedProof as rejection:
        assert rejection.reason


def test_truncated_and_extended_bytes():
    data = SMALL.encode()
    for length in range(len(data)):
        with pytest.raises(MalformedProof):
            Network.decode(data[:length])
    with pytest.raises(MalformedProof, match="trailing bytes: expected 0, got 1"):
        Network.decode(data + b"\0")
    with pytest.raises(MalformedProof, match="network: label"):
        Network.decode(b"x" + data[1:])
    with pytest.raises(MalformedProof, match="network: nodes: expected at most 2048, got 65537"):
        Network.decode(NETWORK_LABEL + b"".join(v.to_bytes(8, "little") for v in (1, 1, 1, 65537)))


def encoded(name, kind, numbers, inputs):
    """A node, however wrong."""
    texts = [len(text).to_bytes(8, "little") + text for text in (name, kind)]
    lists = [b"".join(v.to_bytes(8, "little") for v in (len(values), *values)) for values in (numbers, inputs)]
    return b"".join([*texts, *lists])


def network_of(*nodes, shape=(4, 1, 1)):
    return NETWORK_LABEL + b"".join(v.to_bytes(8, "little") for v in (*shape, len(nodes))) + b"".join(nodes)


DENSE = (3, 4, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([encoded(b"x" * 201, b"relu", (), (0,))], "network: length of a layer's name: expected at most 200, got 201"),
        ([encoded(b"fc", b"softsign", (), (0,))], "network: operator: expected a known one, got 'softsign'"),
        ([encoded(b"", b"relu", (1,), (0,))], "network: relu: relu: expected 0 numbers, got 1"),
        ([encoded(b"fc", b"convolution", (*DENSE, 0), (0,))], "network: fc: convolution: expected 14 numbers, got 15"),
        ([encoded(b"fc", b"convolution", (*DENSE[:-2], 2, 1), (0,))], "network: fc: bias: expected 0 or 1, got 2"),
        ([encoded(b"fc", b"convolution", (3, 5, *DENSE[2:]), (0,))], "network: fc: channels_in: expected the 4 of its input"),
        ([encoded(b"fc", b"convolution", (1, *DENSE[1:]), (0,))], "network: fc: expected an output .classes, 1, 1."),
        ([encoded(b"fc", b"convolution", DENSE, (1,))], "network: fc: expected inputs from nodes before it, not a cycle"),
        ([encoded(b"fc", b"convolution", DENSE, (0, 0))], "network: fc: expected 1 inputs, got 2"),
        ([encoded(b"fc", b"convolution", DENSE, (0,) * 257)], "network: number of a node's inputs: expected at most 256"),
        ([encoded(b"fc", b"convolution", DENSE * 400, (0,))], "network: number of an operator's numbers: expected at most"),
    ],
)
def test_every_field_is_checked(nodes, reason):
    with pytest.raises(MalformedProof, match=reason):
        Network.decode(network_of(*nodes))


def scores(*nodes, shape=(1, 4, 4)):
    """The nodes, then a dense layer on what the last one makes."""
    shapes = [shape]
    for node in nodes:
        shapes.append(node.operator.output_shape([shapes[index] for index in node.inputs]))
    return Network(shape, (*nodes, Node(Convolution.dense(2, shapes[-1]), (len(nodes),), "fc")))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPool.side_by_side(0), "window: expected 1 to 1048576, got 0"),
        (lambda: Node(CONVOLUTION, (0,), "a b"), "layer name: expected words of letters"),
        (lambda: Node(CONVOLUTION, (0,), "x" * 201), "layer name"),
        (lambda: Node(CONVOLUTION, (0,), "é"), "layer name"),
        (lambda: Node(CONVOLUTION, (0,)), "layer name: expected words of letters"),
        (lambda: Node(Relu(), (0,), "relu"), "layer name: expected none for relu, which has no parameters, got 'relu'"),
        (lambda: replace(CONVOLUTION, channels_out=0), "channels_out: expected 1 to 1048576, got 0"),
        (lambda: replace(CONVOLUTION, stride=(1, 0)), "stride: expected 1 to"),
        (lambda: replace(CONVOLUTION, before=(2, -1)), "before: expected 0 to 1048576, got -1"),
        (lambda: replace(CONVOLUTION, groups=2), "groups: expected a divisor of 1 and 6, got 2"),
        (lambda: replace(CONVOLUTION, dilation=(1 << 18, 1)), "kernel times dilation: expected 1 to 1048576, got 1310720"),
        (lambda: replace(CONVOLUTION, channels_out=1 << 20, kernel=(9, 9)), "weight: expected at most 67108864"),
        (lambda: Network((1, 28, 28), ()), "nodes: expected 1 to 2048, got 0"),
        (lambda: Network((3, 28, 28), SMALL.nodes), r"conv1: channels_in: expected the 3 of its input \(3, 28, 28\), got 1"),
        (lambda: Network((1, 0, 28), SMALL.nodes), "input_shape: expected 1 to"),
        (
            lambda: chain((1, 9, 9), ("a", Convolution(1, 1, (1, 1), (9, 1 << 20), (1, 1 << 20)))),
            "a: padded input: expected at most 67108864 elements",
        ),
        (
            lambda: chain((1, 28, 28), ("a", CONVOLUTION), ("fc", replace(SCORES, outputs=(2, 1)))),
            "fc: expected an output .classes, 1, 1.",
        ),
        (
            lambda: chain((1, 28, 28), ("a", CONVOLUTION), MaxPool.side_by_side(30)),
            "max pool 2: taps: expected windows that fit 28 entries, got a reach of 30",
        ),
        (
            lambda: chain((1, 1 << 10, 1 << 10), MaxPool((512, 512), (1, 1)), ("fc", SCORES)),
            "max pool 1: entries of all windows: expected at most 67108864 elements",
        ),
        (lambda: chain((1, 28, 28), ("a", CONVOLUTION)), "a: expected an output .classes, 1, 1."),
        (lambda: chain((6, 14, 14), ("fc", replace(SCORES, channels_out=1))), "two or more classes"),
        (lambda: chain((6, 14, 14), ("fc", SCORES), Relu()), "relu 2: expected a last node whose outputs are the scores"),
        (lambda: chain((1, 28, 28), ("fc", CONVOLUTION), POOL, ("fc", SCORES)), "expected parameters of different names"),
        (lambda: Network((1 << 10, 1 << 10, 1 << 10), SMALL.nodes), "input_shape: expected at most 67108864 elements"),
        (lambda: Network((6, 14, 14), (Node(SCORES, (1,), "fc"),)), "fc: expected inputs from nodes before it, not a cycle"),
        (lambda: scores(Node(Relu(), (0,)), Node(Relu(), (0,))), "relu 1: expected something that uses its output"),
        (lambda: scores(Node(Add(), (0,))), "add 1: expected 2 or more inputs, got 1"),
        (
            lambda: scores(Node(MaxPool.side_by_side(2), (0,)), Node(Add(), (0, 1))),
            "inputs: expected one shape, got .1, 4, 4., .1, 2, 2.",
        ),
        (lambda: scores(Node(MaxPool.side_by_side(2), (0,)), Node(Concatenate(), (0, 1))), "inputs: expected one height"),
    ],
)
def test_bad_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(CONVOLUTION, kernel=5), "kernel: expected a pair of ints, got 5"),
        (lambda: replace(CONVOLUTION, kernel=[5, 5]), "kernel: expected a pair of ints"),
        (lambda: replace(CONVOLUTION, channels_in=np.int64(1)), "channels_in: expected an int"),
        (lambda: replace(CONVOLUTION, bias=1), "bias: expected a bool, got 1"),
        (lambda: MaxPool.side_by_side(2, relu=1), "relu: expected a bool, got 1"),
        (lambda: Node("relu", (0,)), "operator: expected an Operator, got str"),
        (lambda: Node(Relu(), [0]), "inputs: expected a tuple of ints"),
        (lambda: Network([1, 28, 28], SMALL.nodes), "input_shape: expected .channels, height, width."),
        (lambda: Network((1, 28, 28), list(SMALL.nodes)), "nodes: expected a tuple of Nodes"),
    ],
)
def test_bad_types_are_named(make, message):
    with pytest.raises(TypeError, match=message):
        make()
