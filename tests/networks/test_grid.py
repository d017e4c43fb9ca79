"""The values that a model's integers stand for, and how a model differs from them."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkds.circuits.networks.graph import chain
from zkds.circuits.networks.grid import (
    LayerDifference,
    VanishingWeights,
    grid_values,
    layer_differences,
    require_none_vanishing,
    vanishing_weights,
    vanishing_words,
)
from zkds.circuits.networks.weights import quantise
from zkds.circuits.operators.batch_norm import CONSTANT, BatchNorm
from zkds.circuits.operators.convolution.operator import Convolution

pytestmark = pytest.mark.any_kernels

EPS = 1e-5
CHANNELS = 4
UNIT, HALF = 2.0**-40, 2.0**-41


def network(eps=EPS):
    dense = (("fc", Convolution.dense(CHANNELS, (2, 1, 1))), ("norm", BatchNorm(CHANNELS, eps)))
    return chain((2, 1, 1), *dense, ("out", Convolution.dense(2, (CHANNELS, 1, 1))))


def parameters(**changed):
    """Values on the grid: weights of 1/2, means of 1, the variances of r = 1; `changed` replaces single entries."""
    found = {name: np.full(shape, 0.5) for name, shape in network().parameters}
    found |= {"norm.running_mean": np.ones(CHANNELS), "norm.running_var": np.full(CHANNELS, 1 - EPS)}
    for name, (index, value) in changed.items():
        found[name.replace("__", ".")].reshape(-1)[index] = value
    return found


def around(interval):
    return st.floats(*interval, allow_nan=False, width=64)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(around((-7.9, 7.9)) | around((-(2.0**-30), 2.0**-30)), min_size=8, max_size=8),
    st.lists(around((-2047, 2047)) | around((-(2.0**-20), 2.0**-20)), min_size=4, max_size=4),
    st.lists(around((0, 1e18)) | around((0, 1)) | around((0, 1e-12)), min_size=4, max_size=4),
    st.sampled_from((1e-5, 1e-3, 1.0, 2.0**-21)),
)
def test_values_on_the_grid_are_their_own_certified_values(weight, mean, variance, eps):
    found = parameters() | {
        "fc.weight": np.array(weight).reshape(CHANNELS, 2, 1, 1),
        "norm.running_mean": np.array(mean),
        "norm.running_var": np.array(variance),
    }
    integers = quantise(network(eps), found)
    values = grid_values(network(eps), integers)
    again = quantise(network(eps), values)
    assert all(np.array_equal(integers[name], again[name]) for name in integers) and list(integers) == list(values)
    repeated = grid_values(network(eps), again)
    assert all(np.array_equal(values[name], repeated[name]) for name in values)
    assert all(not layer.absolute and not layer.vanishing for layer in layer_differences(network(eps), values, again))


@pytest.mark.parametrize("eps", [1e-5, 1.0, 2.0**-22, 5e-324])
def test_every_reciprocal_deviation_has_a_variance(eps):
    """The one nearest to 2^64 / r^2 - eps, by exact arithmetic: what its float network multiplies by is r 2^-32."""
    powers = [1 << k for k in range(43)]
    most = min(CONSTANT.interval.high, math.isqrt(math.floor(Fraction(1 << 64) / Fraction(eps))))  # of var = 0
    tried = sorted({r for r in (*range(1, 40), *powers, *(p - 1 for p in powers), most, most - 1) if 0 < r <= most})
    operator = BatchNorm(len(tried), eps)
    whole = chain(
        (2, 1, 1),
        ("fc", Convolution.dense(len(tried), (2, 1, 1))),
        ("norm", operator),
        ("out", Convolution.dense(2, (len(tried), 1, 1))),
    )
    integers = {name: np.zeros(shape, dtype=np.int64) for name, shape in whole.tensors}
    integers["norm.running_var"] = np.array(tried)
    values = grid_values(whole, integers)["norm.running_var"]
    assert operator.constant_integers("running_var", values).tolist() == tried
    for r, value in zip(tried, values.tolist(), strict=True):
        exact = max(Fraction(0), Fraction(1 << 64, r * r) - Fraction(eps))
        below, above = (Fraction(np.nextafter(value, end)) for end in (-np.inf, np.inf))
        assert abs(Fraction(value) - exact) <= min(abs(below - exact), abs(above - exact))
        if value:
            assert abs(1 / math.sqrt(value + eps) * 2.0**32 / r - 1) < 2.0**-51


def test_variances_that_are_0_or_as_good_as():
    """With eps alone, r is rounded: up for this one, so that no variance lies in the middle of its interval."""
    for eps in (1e-5, 1e-3, 0.1, 0.3):
        values = parameters() | {"norm.running_var": np.array([0.0, 5e-324, 1e-30, 1e-18])}
        integers = quantise(network(eps), values)
        found = grid_values(network(eps), integers)["norm.running_var"]
        assert (found >= 0).all() and (found < 1e-9).all()
        again = BatchNorm(CHANNELS, eps).constant_integers("running_var", found)
        assert again.tolist() == integers["norm.running_var"].tolist()


def test_differences_of_a_layer():
    exact = parameters()
    assert layer_differences(network(), exact, quantise(network(), exact))[0] == LayerDifference("fc", 12, 0.0, 0.0, 0)
    model = parameters(fc__weight=(3, 0.5 + 0.25 * UNIT), fc__bias=(1, 1.4 * UNIT), out__weight=(0, 0.4 * UNIT))
    fc, norm, out = layer_differences(network(), model, quantise(network(), model))
    assert fc == LayerDifference("fc", 12, pytest.approx(0.4 * UNIT), pytest.approx(0.4 / 1.4), 0)
    assert norm == LayerDifference("norm", 16, 0.0, 0.0, 0)
    assert out == LayerDifference("out", 10, pytest.approx(0.4 * UNIT), 1.0, 1)


def test_a_variance_differs_by_what_the_network_multiplies_by():
    model = parameters(norm__running_var=(2, 0.75), norm__running_mean=(0, 1 + 2.0**-34))
    integers = quantise(network(), model)
    (norm,) = (layer for layer in layer_differences(network(), model, integers) if layer.layer == "norm")
    r = int(integers["norm.running_var"][2])
    by = abs(1 / math.sqrt(0.75 + EPS) - r / 2**32)
    assert norm.absolute == pytest.approx(max(by, 2.0**-34), rel=1e-4) and norm.relative < 2.0**-33


@pytest.mark.parametrize(
    ("name", "value", "vanishes"),
    [
        ("fc__weight", 2.0**-60, True),
        ("fc__weight", -HALF, True),  # halves go up
        ("fc__weight", HALF, False),
        ("fc__weight", 0.0, False),
        ("fc__bias", -5e-324, True),
        ("norm__weight", 0.3 * UNIT, True),
        ("norm__running_mean", 2.0**-34, True),
        ("norm__running_mean", 2.0**-33, False),
        ("norm__running_var", 1e21, True),  # 1/sqrt(var) of 3e-11 is 0 in 32 fractional bits
        ("norm__running_var", 1e18, False),
        ("norm__running_var", 0.0, False),
    ],
)
def test_what_vanishes(name, value, vanishes):
    model = parameters(**{name: (1, value)})
    integers = quantise(network(), model)
    layer = name.partition("__")[0]
    vanishing = vanishing_weights(network(), model, integers)
    assert vanishing == ({layer: 1} if vanishes else {})
    found = {each.layer: each for each in layer_differences(network(), model, integers)}
    assert found[layer].vanishing == vanishes and (found[layer].relative == 1 or not vanishes)
    assert sum(each.vanishing for each in found.values()) == vanishes
    require_none_vanishing(vanishing, "m.pt", allowed=True)
    if vanishes:
        with pytest.raises(VanishingWeights, match=rf"weights that vanish on the grid: .*, got 1 in {layer}, of m\.pt$"):
            require_none_vanishing(vanishing, "m.pt", allowed=False)


def test_many_layers_in_words():
    assert vanishing_words({"a": 1, "b": 20}) == "1 in a, 20 in b"
    many = vanishing_words({f"layer{number}": number for number in range(1, 10)})
    assert many.startswith("1 in layer1, 2 in layer2, ") and many.endswith("6 in layer6 and more in 3 layers")
