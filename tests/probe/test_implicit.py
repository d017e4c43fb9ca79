"""Implicit layers: which layers are, the slow twin, what overflows, how far from float64."""

import hashlib
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, reject, seed, settings
from hypothesis import strategies as st

from tests.harness.probes import dense, floats, probe
from tests.harness.random_networks import random_networks, random_probe
from tests.harness.sweeps import examples
from tests.harness.twin import check_against_twin, set_least_weights
from zkds.circuits.arithmetic.exact import Operand, Wide
from zkds.circuits.arithmetic.fixed_point import Configuration, Overflow, Place
from zkds.circuits.metric.implicit import gradient_squares, perturbation_factor, scaled_squares, update_factor
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import chain
from zkds.circuits.networks.torch_module import NetworkModule, load_parameters
from zkds.circuits.operators import implicit
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.convolution.exact import Window
from zkds.circuits.operators.convolution.implicit import forward_sum, input_gradient_sum
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.implicit import (
    ImplicitBits,
    ImplicitWeight,
    Movement,
    OuterProducts,
    pairs,
    pairs_of_pass,
)
from zkds.circuits.operators.permute import Permute
from zkds.circuits.operators.relu import Relu
from zkds.circuits.probe import run
from zkds.sharpness import SharpnessConfig
from zkds.sharpness.probe import probe_batches
from zkds_verify.operators.implicit_rule import kind_of

EXAMPLES = examples(30)
BITS = ImplicitBits(32, 0, 56)
PLACE = Place(1, second=False, layer="dense")
TRAJECTORY_OF_LENET5 = "45e36ea19d3c5022"  # the beginning of a digest

# An average pool in front (36 fractional bits) of two layers, the second one without a bias and with a pool behind it.
POOLS = chain(
    (1, 8, 8),
    ("first", Convolution.over((1, 8, 8), 2, (3, 3), padding=(1, 1))),
    AveragePool.side_by_side((2, 8, 8), 4),
    ("middle", Convolution.dense(3, (2, 2, 2))),
    Relu(),
    ("behind", Convolution.dense(8, (3, 1, 1), bias=False)),
    Permute((1, 0, 2)),
    AveragePool((8, 1), (2, 1), (2, 1)),
    ("scores", Convolution.dense(2, (1, 4, 1))),
)

# Convolutions of small images: overlapping windows with padding, a stride with dilation and rows that no window sees, and
# windows of which one output position sees a part of the input.
IMAGES = chain(
    (2, 3, 3),
    ("same", Convolution.over((2, 3, 3), 3, (3, 2), padding=(1, 1))),
    Relu(),
    ("apart", Convolution.over((3, 3, 4), 2, (2, 2), stride=(2, 2), padding=(1, 0), dilation=(2, 1), bias=False)),
    ("part", Convolution(3, 2, (1, 1), (1, 1))),
    ("scores", Convolution.dense(2, (3, 1, 1))),
)


@pytest.fixture
def small_layers(monkeypatch):
    """Every layer that may be implicit is."""
    set_least_weights(monkeypatch, 1)


# ---- the rule ---------------------------------------------------------------------------------------------------------


def is_implicit(operator, inputs=(4, 64, 64), **options):
    return operator.implicit([inputs], [32], Configuration.of(**options)) == {"weight": Movement.EXACT}


def test_large_dense_layers_are_implicit():
    inputs = (4, 64, 64)
    assert is_implicit(Convolution.dense(4, inputs)) and is_implicit(Convolution.dense(4, inputs, bias=False))
    assert not is_implicit(Convolution.dense(3, inputs))
    assert is_implicit(replace(Convolution.dense(4, inputs), stride=(3, 2)))
    assert not is_implicit(replace(Convolution.dense(4, inputs), before=(0, 1)))
    assert not is_implicit(replace(Convolution.dense(16, inputs), groups=4))
    assert not is_implicit(Convolution(1 << 10, 4, (64, 63), (1, 1)))
    assert not is_implicit(Convolution(1 << 10, 4, (64, 63), (1, 2)))
    assert not is_implicit(Convolution(1 << 10, 1 << 10, (1, 1), (1, 1), dilation=(2, 2)), (1 << 10, 1, 1))
    assert Relu().implicit([inputs], [32], Configuration()) == {}


@pytest.mark.parametrize(
    "steps, batch_size, perturbation, of_asam, of_sam",
    [
        (5, 8, "SAM", True, True),
        (5, 8, "ASAM", False, False),
        (5, 9, "SAM", False, True),
        (6, 8, "SAM", False, True),
        (2, 9, "SAM", False, True),
        (5, 64, "SAM", False, True),  # 2^16 weights are 4 x 64 x 64 x 4
        (5, 65, "SAM", False, False),
        (2, 128, "SAM", False, True),
        (2, 129, "SAM", False, False),
        (65, 8, "SAM", False, True),
        (66, 8, "SAM", False, False),
    ],
)
def test_implicit_probes(steps, batch_size, perturbation, of_asam, of_sam):
    options = {"steps": steps, "batch_size": batch_size, "perturbation": perturbation}
    for sharpness, expected in (("ASAM", of_asam), ("SAM", of_sam)):
        assert is_implicit(Convolution.dense(4, (4, 64, 64)), sharpness=sharpness, **options) == expected


def test_convolutions_of_small_images_are_implicit_for_sam_sharpness():
    inputs = (128, 4, 4)
    layer = Convolution.over(inputs, 256, (3, 3), padding=(1, 1))  # 128 rows, 2^18 times 9/8 weights
    assert is_implicit(layer, inputs, sharpness="SAM") and not is_implicit(layer, inputs)
    assert not is_implicit(layer, inputs, sharpness="SAM", perturbation="ASAM")
    assert not is_implicit(layer, inputs, sharpness="SAM", steps=6)
    assert not is_implicit(replace(layer, channels_out=227), inputs, sharpness="SAM")
    assert is_implicit(replace(layer, channels_out=228), inputs, sharpness="SAM")
    assert is_implicit(replace(layer, stride=(2, 1), dilation=(1, 3), before=(2, 4)), inputs, sharpness="SAM")
    assert not is_implicit(replace(layer, outputs=(4, 5)), inputs, sharpness="SAM")
    assert not is_implicit(replace(layer, channels_out=1024, groups=2), inputs, sharpness="SAM")


def is_rounded(operator, inputs, bits=32, **options):
    return operator.implicit([inputs], [bits], Configuration.of(**options)) == {"weight": Movement.ROUNDED}


def test_convolutions_of_small_images_have_rounded_updates_for_asam_sharpness():
    """Rectangular kernels, rows and columns of the input that no window sees, inputs that only padding surrounds."""
    inputs = (128, 5, 6)
    layer = Convolution(256, 128, (3, 2), (4, 4), before=(1, 0))  # 16 rows a record; 7936 entries of input and output
    assert is_rounded(layer, inputs, batch_size=3) and not is_rounded(layer, inputs, batch_size=4)  # 24.8 times 7936 weights
    assert not is_rounded(layer, inputs, batch_size=3, perturbation="ASAM")
    assert not is_rounded(layer, inputs, batch_size=3, sharpness="SAM", steps=12)
    assert not is_rounded(replace(layer, groups=2), inputs, batch_size=1)
    one = Convolution(640, 1024, (1, 1), (1, 1), before=(1, 0), stride=(2, 3))
    assert is_rounded(one, (1024, 1, 1), batch_size=49) and not is_rounded(one, (1024, 1, 1), batch_size=50)
    wide = Convolution(512, 512, (3, 3), (43, 1), before=(1, 1))
    assert not is_rounded(wide, (512, 43, 1), batch_size=3)  # 129 rows
    assert is_rounded(replace(wide, outputs=(42, 1)), (512, 43, 1), batch_size=3)
    assert is_rounded(replace(wide, outputs=(64, 1)), (512, 1, 1), batch_size=2)  # 128 rows


def test_large_dense_layers_of_many_records_have_rounded_updates_for_asam_sharpness():
    layer = Convolution.dense(1 << 10, (1 << 11, 1, 1))  # 682 weights an entry
    assert is_implicit(layer, (1 << 11, 1, 1), batch_size=8) and is_rounded(layer, (1 << 11, 1, 1), batch_size=9)
    assert is_rounded(layer, (1 << 11, 1, 1), batch_size=8, steps=6)
    assert is_rounded(layer, (1 << 11, 1, 1), batch_size=85) and not is_rounded(layer, (1 << 11, 1, 1), batch_size=86)


@pytest.mark.parametrize("taps", [1, 9])
def test_layers_of_sums_of_many_products_are_explicit_for_asam_sharpness(taps):
    """Forwards or backwards: the digits of w_t are wide. So are those of the sums of an average pool."""
    most, inputs = (1 << 15) // taps, (1, taps)
    pooled, bits = Convolution.dense(512, (512, *inputs)), 38 if taps == 1 else 34
    assert is_rounded(pooled, (512, *inputs), bits, batch_size=9)
    assert not is_rounded(pooled, (512, *inputs), bits + 1, batch_size=9)
    for outputs, channels in ((512, most), (most, 512)):
        own = Convolution.dense(outputs, (channels, *inputs))
        assert is_rounded(own, (channels, *inputs), batch_size=9)
        outputs, channels = (outputs, channels + 1) if channels == most else (outputs + 1, channels)
        assert not is_rounded(Convolution.dense(outputs, (channels, *inputs)), (channels, *inputs), batch_size=9)


def test_the_rule_is_the_slow_twins():
    """At its borders: sizes just below and above them."""
    generator, found = np.random.default_rng(7), set()
    for _ in range(1000):
        outputs, inputs, taps = (int(2 ** generator.uniform(0, most)) for most in (16, 16, 5))
        steps, batch, positions = (
            2 + int(generator.geometric(0.3)),
            int(2 ** generator.uniform(0, 7)),
            int(generator.choice([1, 4])),
        )
        shape, dense = (outputs, inputs, taps, 1), positions == 1 and bool(generator.integers(2))
        for sharpness, batch_size in itertools.product(("SAM", "ASAM"), (batch, 8, 128 // positions, 128 // positions + 1)):
            entries = outputs * inputs * taps // (8 * batch_size) + int(generator.integers(2))
            configuration = Configuration(steps, batch_size, sharpness=sharpness)
            bits = 32 + 2 * int(generator.integers(3))
            own = implicit.movement_of(shape, positions, entries, bits, dense, configuration)
            sizes = outputs, inputs, taps, positions, entries, bits, dense
            expected = kind_of((steps, batch_size, False, sharpness == "ASAM"), *sizes)
            assert (own and own.name.lower()) == expected
            found.add((sharpness, expected))
    assert len(found) == 5


def test_networks():
    configuration = Configuration()
    for name in ("lenet5", "lenet-k", "digits-cnn"):
        assert not zoo.network(name).implicit(configuration)
        assert not zoo.network(name).implicit(replace(configuration, sharpness="SAM"))
    assert zoo.network("mlp").implicit(configuration) == {"fc1.weight": ImplicitBits(32, 0, 56)}
    of_images = zoo.network("vgg11").implicit(replace(configuration, sharpness="SAM"))
    sides = {11: 4, 13: 4, 16: 2, 18: 2}
    assert of_images == {f"features.{i}.weight": ImplicitBits(32, 0, 56, (n, n)) for i, n in sides.items()}


def test_the_trajectory_of_lenet5_is_what_it_was():
    """Which has no implicit layer."""
    network, configuration = zoo.network("lenet5"), Configuration()
    weights, inputs, labels = probe(network, configuration, np.random.default_rng(1), 0.05)
    found = run(network, weights, inputs // 8, labels, configuration)
    digest = hashlib.sha256()
    for name in sorted(found.values):
        digest.update(name.encode() + found.values[name].tobytes())
    fields = "logit_delta losses loss_sums sharpness_squares perturbation_squares kappas log_ratios value"
    for name in fields.split():
        digest.update(repr(getattr(found, name)).encode())
    assert digest.hexdigest()[:16] == TRAJECTORY_OF_LENET5


def test_pairs_of_passes():
    assert pairs(3) == [(1, 0), (2, 0), (2, 1), (4, 0)]
    assert [pairs(3)[pairs_of_pass(3, p)] for p in range(5)] == [[], [(1, 0)], [(2, 0), (2, 1)], [], [(4, 0)]]
    assert len(pairs(5)) == 16


# ---- against the twin -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharpness", ["ASAM", "SAM"])
@pytest.mark.parametrize("learning_rate", ["0.01", "0.000001", "8"])
def test_pools_before_and_behind(small_layers, sharpness, learning_rate):
    configuration = Configuration.of(steps=4, batch_size=3, learning_rate=learning_rate, sharpness=sharpness)
    assert POOLS.implicit(configuration).keys() == {"middle.weight", "behind.weight", "scores.weight"}
    scale = 0.3 if learning_rate != "8" else 0.05
    arguments = probe(POOLS, configuration, np.random.default_rng(5), scale)
    found = check_against_twin(POOLS, configuration, *arguments)
    assert found.values["middle: delta products"].shape == (9, 3, 3)
    assert found.values["behind: perturbed input products"].shape == (3, 3, 3)
    assert found.values["behind.weight: update factor"].shape == (3, 3, 8, 1, 1)


@pytest.mark.parametrize("learning_rate", ["0.01", "0.000001", "1"])
@pytest.mark.parametrize("sharpness", ["ASAM", "SAM"])
def test_convolutions(small_layers, sharpness, learning_rate):
    configuration = Configuration.of(steps=3, batch_size=2, learning_rate=learning_rate, sharpness=sharpness)
    assert IMAGES.implicit(configuration).keys() == {name for name, shape in IMAGES.parameters if len(shape) > 1}
    arguments = probe(IMAGES, configuration, np.random.default_rng(5), 0.3)
    found = check_against_twin(IMAGES, configuration, *arguments)
    assert found.values["same.weight: perturbation factor"].shape == (2, 2, 3, 3, 4)
    assert found.values["scores.weight: update factor"].shape == (2, 2, 2, 1, 1)
    if sharpness == "SAM":
        assert found.values["same: input products"].shape == (4, 2 * 12, 2 * 12)
        assert found.values["apart: delta products"].shape == (4, 2 * 4, 2 * 4)
    else:
        assert found.values["same.weight: weights"].shape == (3, 3, 2, 3, 2)
        assert not {"same: input products", "apart: delta products", "same.weight: update"} & found.values.keys()
        assert found.values["same: perturbed input products"].shape == (2, 2 * 12, 2 * 12)


def test_a_layer_that_just_passes_the_rule():
    network, configuration = dense(512, 128, 3), Configuration.of(steps=3, batch_size=2, learning_rate="0.01")
    weights, inputs, labels = probe(network, configuration, np.random.default_rng(6), 0.05)
    found = check_against_twin(network, configuration, weights, inputs, labels)
    assert set(network.implicit(configuration)) == {"dense.0.weight"}
    assert not any(name.startswith("dense.0: delta products") for name in found.values)
    assert "dense.1.weight: update" in found.values


@pytest.mark.sweep
@seed(20261130)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=4),
    st.integers(2, 5),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["8", "0.25", "0.0001", "0.000001"]),
    st.sampled_from(["ASAM", "SAM"]),
)
def test_dense_networks(sizes, steps, batch_size, random_seed, learning_rate, sharpness):
    configuration = Configuration.of(steps=steps, batch_size=batch_size, learning_rate=learning_rate, sharpness=sharpness)
    check_small(dense(*sizes, 2), configuration, random_seed)


@pytest.mark.sweep
@seed(20261130)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(
    random_networks(),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["0.25", "0.0001", "0.000001"]),
    st.sampled_from(["ASAM", "SAM"]),
)
def test_random_networks(network, random_seed, learning_rate, sharpness):
    configuration = Configuration.of(steps=3, batch_size=2, learning_rate=learning_rate, sharpness=sharpness)
    check_small(network, configuration, random_seed)


def check_small(network, configuration, random_seed):
    """With implicit layers of any size."""
    with pytest.MonkeyPatch.context() as patch:
        set_least_weights(patch, 1)
        try:
            check_against_twin(network, configuration, *random_probe(network, configuration, random_seed))
        except Overflow:
            reject()


def test_exact_weights(small_layers):
    configuration = Configuration.of(steps=3, batch_size=2, learning_rate="0.01")
    weights, inputs, labels = probe(POOLS, configuration, np.random.default_rng(7), 0.3)
    found = run(POOLS, weights, inputs, labels, configuration)
    pooled, (start, bits) = found.values["average pool 2: output"], found.exact_weights_at("middle.weight", 0)
    assert bits == 38 + 36 and np.array_equal(start, weights["middle.weight"].astype(object) << 34)
    updates = [
        found.values["middle.weight: update factor"][u].astype(object).T @ pooled[3 + u].reshape(2, -1) for u in range(2)
    ]
    perturbation = found.values["middle.weight: perturbation factor"][1].astype(object).T @ pooled[1].reshape(2, -1)
    shape = start.shape
    expected = [start, start - updates[0].reshape(shape), start - sum(updates).reshape(shape)]
    expected += [None, expected[1] + perturbation.reshape(shape)]
    for p in (0, 1, 2, 4):
        moved, own = found.exact_weights_at("middle.weight", p)
        assert own == bits and np.array_equal(moved, expected[p])
    explicit, bits = found.exact_weights_at("middle.bias", 4)
    assert bits == 40 and np.array_equal(explicit, found.weights_at("middle.bias", 4))


# ---- overflows --------------------------------------------------------------------------------------------------------


def overflow(tensor):
    return pytest.raises(Overflow, match=f"{tensor}, dense, first pass of step 1: the value at index")


def one_by_one(*numbers):
    """Matrices of one entry."""
    return [np.array([[number]], dtype=np.int64) for number in numbers]


WINDOW = Window((1, 1), (1, 1), (0, 0), (1, 1))


def weight_of_one(*update):
    start = Operand.of(np.ones((1, 1, 1, 1), dtype=np.int64))
    return ImplicitWeight(BITS, start).updated(OuterProducts(*one_by_one(*update)))


def test_overflows_of_products():
    (patches,), images = one_by_one(1 << 41), np.full((1, 1, 1, 1), 1 << 41)
    zero = Wide.of(np.zeros((1, 1, 1, 1), dtype=np.int64))
    forward_sum(zero, weight_of_one(1, (1 << 41) - 1), patches, PLACE)
    with overflow("input products"):
        forward_sum(zero, weight_of_one(1, 1 << 42), patches, PLACE)
    with overflow("delta products"):
        input_gradient_sum(zero, weight_of_one(1 << 42, 1), images, WINDOW, PLACE)


def test_overflows_of_sums():
    (patches,), images = one_by_one(1 << 41), np.full((1, 1, 1, 1), 1 << 41)
    large = Wide.of(np.full((1, 1, 1, 1), 1 << 62), 30)
    zero = Wide.of(np.zeros((1, 1, 1, 1), dtype=np.int64))
    weight = weight_of_one(1, 1)
    with overflow("convolution"):
        forward_sum(large, weight, patches, PLACE)
    with overflow("input delta"):
        input_gradient_sum(large, weight, images, WINDOW, PLACE)
    with overflow("movement of the convolution"):
        forward_sum(zero, weight_of_one(1 << 43, (1 << 41) - 1), patches, PLACE)
    with overflow("movement of the input delta"):
        input_gradient_sum(zero, weight_of_one(1 << 40, 1 << 42), images, WINDOW, PLACE)


def test_overflows_of_factors_and_gradients():
    reach = OuterProducts(*one_by_one((1 << 45) - (1 << 17) - 1, 1))
    assert update_factor(reach, BITS, PLACE).value.tolist() == [[(1 << 27) - 1]]
    with overflow("update factor"):
        update_factor(OuterProducts(*one_by_one((1 << 45) - (1 << 17), 1)), BITS, PLACE)
    with overflow("perturbation factor"):
        perturbation_factor(1 << 59, OuterProducts(*one_by_one(1 << 30, 1)), BITS, PLACE)
    with overflow("squared norm"):
        scaled_squares(weight_of_one(1 << 42, 1 << 44), OuterProducts(*one_by_one(1 << 46, 1 << 48)), PLACE)
    largest = OuterProducts(*one_by_one(1 << 44, 1 << 44))  # Q is the square of 2^88 / 2^32
    with overflow("squared norm"):
        gradient_squares(largest, BITS, PLACE)
    assert gradient_squares(OuterProducts(*one_by_one((1 << 44) - 1, 1 << 44)), BITS, PLACE)[0] == ((1 << 44) - 1) ** 2 << 24


# ---- float64 ----------------------------------------------------------------------------------------------------------


CONVOLUTIONS = chain(  # 72 rows, 184,320 weights, 10.3 for each entry of inputs and outputs
    (128, 3, 3),
    ("conv", Convolution.over((128, 3, 3), 160, (3, 3), padding=(1, 1))),
    Relu(),
    ("scores", Convolution.dense(10, (160, 3, 3))),
)


@pytest.mark.parametrize(
    "network, sharpness, learning_rate",
    [
        *((dense(512, 128, 10), sharpness, rate) for sharpness in ("ASAM", "SAM") for rate in ("0.0001", "0.01")),
        (CONVOLUTIONS, "SAM", "0.0001"),
        (CONVOLUTIONS, "ASAM", "0.01"),
    ],
)
def test_metric(network, sharpness, learning_rate):
    configuration = Configuration.of(learning_rate=learning_rate, sharpness=sharpness)
    assert len(network.implicit(configuration)) == 1
    weights, inputs, labels = probe(network, configuration, np.random.default_rng(8), 0.05)
    inputs //= 4
    found = run(network, weights, inputs, labels, configuration)
    model = NetworkModule(network).double().eval()
    load_parameters(model, floats(network, weights))
    config = SharpnessConfig(8, 5, 0.05, float(learning_rate), sharpness.lower(), "sam")
    x = torch.tensor(inputs.reshape(-1, *network.input_shape) / 2.0**32)
    plan = np.arange(40).reshape(5, 8).tolist()
    with torch.enable_grad():
        expected = probe_batches(model, (x, torch.tensor(labels.ravel())), config, plan, dtype=torch.float64)
    assert found.value / 2**48 == pytest.approx(expected.value, abs=1e-6)
    for t, step in enumerate(expected.history):
        assert 0.05 * math.sqrt(found.sharpness_squares[t]) / 2 ** (44 + found.loss_scales[t]) == pytest.approx(
            step.sharpness, rel=1e-6
        )
        assert found.loss_sums[t] / 2**58 / 8 == pytest.approx(step.loss, rel=1e-6)
