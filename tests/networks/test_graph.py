"""Descriptions of networks: shapes, canonical bytes, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.networks import networks
from zkds.circuits.networks.graph import NETWORK_LABEL, Layer, LayerShapes, Network, Pool
from zkds.errors import MalformedProof

pytestmark = pytest.mark.any_kernels

CONVOLUTION = Layer("conv1", 6, 1, (5, 5), padding=(2, 2), pool=Pool("max", 2), relu=True)
SCORES = Layer("fc", 10, 6, (14, 14))
SMALL = Network((1, 28, 28), (CONVOLUTION, SCORES))


def test_shapes_and_parameters():
    assert SMALL.shapes == (
        LayerShapes((1, 28, 28), (6, 28, 28), (6, 14, 14)),
        LayerShapes((6, 14, 14), (10, 1, 1), (10, 1, 1)),
    )
    assert SMALL.parameters == (
        ("conv1.weight", (6, 1, 5, 5)),
        ("conv1.bias", (6,)),
        ("fc.weight", (10, 6, 14, 14)),
        ("fc.bias", (10,)),
    )
    assert SMALL.parameter_count == 156 + 11770
    assert SMALL.classes == 10
    assert hash(SMALL) == hash(Network((1, 28, 28), (CONVOLUTION, SCORES)))


def test_strides_and_remainders():
    layer = Layer("conv", 2, 3, (3, 2), stride=(2, 3), padding=(1, 0), pool=Pool("average", 2))
    assert layer.shapes((3, 10, 17)) == LayerShapes((3, 10, 17), (2, 5, 6), (2, 2, 3))


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
    with pytest.raises(MalformedProof, match="network: layers: expected at most 1024, got 65537"):
        Network.decode(NETWORK_LABEL + b"".join(v.to_bytes(8, "little") for v in (1, 1, 1, 65537)))


@pytest.mark.parametrize(
    ("position", "value", "reason"),
    [
        (1, 201, "network: length of a layer's name: expected at most 200"),
        (-1, 2, "network: bias, pool kind, pool size, ReLU: expected known values"),
        (-2, 2, "network: bias, pool kind, pool size, ReLU"),
        (-3, 3, "network: bias, pool kind, pool size, ReLU"),
        (-4, 2, "network: bias, pool kind, pool size, ReLU"),
        (-12, 1, "network: fc: expected an output .classes, 1, 1. of two or more classes"),
        (-11, 5, "network: fc: channels_in: expected the 6 of its input"),
    ],
)
def test_every_field_is_checked(position, value, reason):
    numbers = len(NETWORK_LABEL) + 24
    data = bytearray(SMALL.encode())
    start = numbers + 8 * position if position > 0 else len(data) + 8 * position
    data[start : start + 8] = value.to_bytes(8, "little")
    with pytest.raises(MalformedProof, match=reason):
        Network.decode(bytes(data))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pool("median", 2), "pool kind: expected one of max, average, got 'median'"),
        (lambda: Pool("max", 1), "pool size: expected 2 to 1048576, got 1"),
        (lambda: replace(CONVOLUTION, name="a b"), "layer name: expected words of letters"),
        (lambda: replace(CONVOLUTION, name="x" * 201), "layer name"),
        (lambda: replace(CONVOLUTION, name="é"), "layer name"),
        (lambda: replace(CONVOLUTION, channels_out=0), "conv1: channels_out: expected 1 to 1048576, got 0"),
        (lambda: replace(CONVOLUTION, stride=(1, 0)), "conv1: stride: expected 1 to"),
        (lambda: replace(CONVOLUTION, padding=(2, 5)), r"conv1: padding: expected less than the kernel \(5, 5\), got \(2, 5\)"),
        (lambda: replace(CONVOLUTION, channels_out=1 << 20, kernel=(9, 9)), "conv1: weight: expected at most 67108864"),
        (lambda: Network((1, 28, 28), ()), "layers: expected 1 to 1024, got 0"),
        (lambda: Network((3, 28, 28), SMALL.layers), r"conv1: channels_in: expected the 3 of its input \(3, 28, 28\), got 1"),
        (lambda: Network((1, 0, 28), SMALL.layers), "input_shape: expected 1 to"),
        (lambda: Network((1, 28, 28), (CONVOLUTION, replace(SCORES, kernel=(15, 14)))), "fc: kernel: expected one that fits"),
        (
            lambda: Network((1, 28, 28), (CONVOLUTION, replace(SCORES, kernel=(13, 14)))),
            "fc: expected an output .classes, 1, 1.",
        ),
        (lambda: Network((1, 28, 28), (CONVOLUTION, replace(SCORES, channels_out=1))), "two or more classes"),
        (lambda: Network((1, 28, 28), (CONVOLUTION, replace(SCORES, relu=True))), "fc: expected neither pooling nor ReLU"),
        (lambda: Network((1, 28, 28), (CONVOLUTION, replace(SCORES, name="conv1"))), "expected parameters of different names"),
        (
            lambda: Network((1, 28, 28), (replace(CONVOLUTION, pool=Pool("max", 29)), SCORES)),
            "conv1: pool size: expected at most",
        ),
        (lambda: Network((1 << 10, 1 << 10, 1 << 10), SMALL.layers), "input_shape: expected at most 67108864 elements"),
    ],
)
def test_bad_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(CONVOLUTION, kernel=5), "conv1: kernel: expected a pair of ints, got 5"),
        (lambda: replace(CONVOLUTION, kernel=[5, 5]), "conv1: kernel: expected a pair of ints"),
        (lambda: replace(CONVOLUTION, channels_in=np.int64(1)), "conv1: channels_in: expected an int"),
        (lambda: replace(CONVOLUTION, bias=1), "conv1: bias, relu: expected bools, got 1, True"),
        (lambda: replace(CONVOLUTION, pool=2), "conv1: pool: expected a Pool or None, got 2"),
        (lambda: Network([1, 28, 28], SMALL.layers), "input_shape: expected .channels, height, width."),
        (lambda: Network((1, 28, 28), list(SMALL.layers)), "layers: expected a tuple of Layers"),
    ],
)
def test_bad_types_are_named(make, message):
    with pytest.raises(TypeError, match=message):
        make()
