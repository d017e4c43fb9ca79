"""Quantised weights are the nearest multiples of 2^-40, and the digest binds all that is public about a model."""

import hashlib
from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.layers import Layer, layered
from zkds.circuits.networks.weights import model_digest, quantise, range_problem

pytestmark = pytest.mark.any_kernels

NETWORK = layered((3, 2, 2), (Layer("hidden", 2, 3, (2, 2), relu=True), Layer("scores", 2, 2, (1, 1), bias=False)))


def parameters(fill=0.0):
    return {name: np.full(shape, fill) for name, shape in NETWORK.parameters}


def quantised(values):
    network = layered((len(values), 1, 1), (Layer("fc", 2, len(values), (1, 1), bias=False),))
    weight = np.array([values, values], dtype=np.float64).reshape(2, -1, 1, 1)
    return quantise(network, {"fc.weight": weight})["fc.weight"][1, :, 0, 0].tolist()


ABOVE = np.nextafter(0.5, 1)
BELOW = np.nextafter(0.5, 0)


def test_halves_go_up():
    units = [0.5, -0.5, 1.5, -1.5, BELOW, ABOVE, -BELOW, -ABOVE, 0.0, -0.0, 2.0**42 + 0.5, -(2.0**42) - 0.5]
    found = quantised([value * 2.0**-40 for value in units])
    assert found == [1, 0, 2, -1, 0, 1, 0, -1, 0, 0, 2**42 + 1, -(2**42)]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.floats(-7.9999, 7.9999), min_size=1, max_size=20))
def test_rounding_is_exact(values):
    assert quantised(values) == [floor(Fraction(value) * 2**40 + Fraction(1, 2)) for value in values]


@pytest.mark.parametrize("tiny", [5e-324, -5e-324, 2.0**-41, -(2.0**-41)])
def test_tiny_values(tiny):
    assert quantised([tiny]) == [floor(Fraction(tiny) * 2**40 + Fraction(1, 2))]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"hidden.weight\[1, 2, 0, 1\]: expected a finite number"),
        (np.inf, r"hidden.weight\[1, 2, 0, 1\]: expected a finite number"),
        (8.0, r"hidden.weight\[1, 2, 0, 1\]: expected a number between -8 and 8, .* \(1 of 24 lie outside\); clamp it"),
        (-8.0, r"hidden.weight\[1, 2, 0, 1\]: expected a number between -8 and 8, .* \(1 of 24 lie outside\); clamp it"),
        (np.nextafter(8, 0), r"hidden.weight\[1, 2, 0, 1\]: expected a number between -8 and 8"),
    ],
)
def test_values_out_of_range_are_named_but_not_shown(value, message):
    values = parameters()
    values["hidden.weight"][1, 2, 0, 1] = value
    with pytest.raises(ValueError, match=message) as caught:
        quantise(NETWORK, values)
    assert "7.99" not in str(caught.value)
    if np.isfinite(value):
        assert str(caught.value) == range_problem("hidden.weight", values["hidden.weight"])


def test_an_index_is_in_the_shape_that_the_owner_knows():
    values = parameters()
    values["hidden.weight"][1, 2, 0, 1] = 9
    with pytest.raises(ValueError, match=r"hidden.weight\[1, 9\]: expected a number between -8 and 8"):
        quantise(NETWORK, values, {"hidden.weight": (2, 12)})
    assert range_problem("w", np.full(3, np.nextafter(-8, 0))) is None


def test_misuse_of_quantise():
    values = parameters()
    with pytest.raises(ValueError, match=r"parameters: missing \['hidden.bias'\], unknown \['bias'\]"):
        quantise(NETWORK, {name.replace("hidden.bias", "bias"): value for name, value in values.items()})
    with pytest.raises(ValueError, match=r"hidden.bias: expected shape \(2,\), got \(3,\)"):
        quantise(NETWORK, values | {"hidden.bias": np.zeros(3)})
    with pytest.raises(TypeError, match=r"hidden.bias: expected a float64 array, got float32"):
        quantise(NETWORK, values | {"hidden.bias": np.zeros(2, np.float32)})
    with pytest.raises(TypeError, match=r"hidden.bias: expected a float64 array, got list"):
        quantise(NETWORK, values | {"hidden.bias": [0.0, 0.0]})


def random_weights():
    rng = np.random.default_rng(7)
    return {name: rng.integers(-(2**43), 2**43, shape) for name, shape in NETWORK.parameters}


def test_the_digest_is_what_the_specification_says():
    weights = random_weights()
    encoding = NETWORK.encode()
    data = b"zkds model v1" + len(encoding).to_bytes(8, "little") + encoding + (40).to_bytes(8, "little")
    for name, _ in NETWORK.parameters:
        data += b"".join(int(value).to_bytes(8, "little", signed=True) for value in weights[name].flatten())
    assert model_digest(NETWORK, weights) == hashlib.sha256(data).digest()
    strided = {name: np.asfortranarray(value) for name, value in weights.items()}
    assert model_digest(NETWORK, strided) == model_digest(NETWORK, weights)


def test_the_digest_binds_every_weight_and_the_network():
    weights = random_weights()
    digests = {model_digest(NETWORK, weights)}
    count = 1
    for name, value in weights.items():
        for index in np.ndindex(value.shape):
            altered = value.copy()
            altered[index] += 1
            digests.add(model_digest(NETWORK, weights | {name: altered}))
            count += 1
    *hidden, last = NETWORK.nodes
    renamed = replace(NETWORK, nodes=(*hidden, replace(last, name="logits")))
    digests.add(model_digest(renamed, {name.replace("scores", "logits"): value for name, value in weights.items()}))
    without_relu = replace(NETWORK, nodes=(NETWORK.nodes[0], replace(last, inputs=(1,))))
    digests.add(model_digest(without_relu, weights))
    assert len(digests) == count + 2


def test_misuse_of_the_digest():
    weights = random_weights()
    with pytest.raises(ValueError, match="weights: expected "):
        model_digest(NETWORK, {})
    with pytest.raises(TypeError, match=r"hidden.bias: expected an int64 array, got float64"):
        model_digest(NETWORK, weights | {"hidden.bias": np.zeros(2)})
    with pytest.raises(ValueError, match=r"hidden.bias: expected shape"):
        model_digest(NETWORK, weights | {"hidden.bias": np.zeros(3, np.int64)})
