"""Batch norm: the semantics against Python ints and against float64 autograd, and its relation through bytes."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.harness.cheating import FALSE_CLAIM, dishonest_vector, lying, reason_of, reason_of_cells
from tests.harness.circuit import network_circuit, random_weights, run
from tests.harness.probes import floats
from tests.harness.whole_proof import LIGERO_REASON
from zkds.circuits.arithmetic.fixed_point import Configuration, Overflow, Place
from zkds.circuits.networks.graph import Network, Node, chain
from zkds.circuits.networks.torch_module import NetworkModule, load_parameters
from zkds.circuits.operators import batch_norm
from zkds.circuits.operators.add import Add
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.batch_norm import MEAN, VARIANCE, BatchNorm
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import MaxPool
from zkds.circuits.operators.operator import Placed, gradient_kinds
from zkds.circuits.operators.relu import Relu
from zkds.errors import PlanRejected
from zkds.integers.identity import plan_identity
from zkds.integers.intervals import Interval
from zkds.integers.limbs import LimbFormat
from zkds.prover import prove, prove_vector
from zkds.statement import Statement
from zkds.verifier import verify
from zkds_verify.operators import batch_norm as reference

pytestmark = pytest.mark.slow

PLACE = Place(0)
CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
FIRST_PASS, SECOND_PASS = gradient_kinds(CONFIGURATION)


def integers(generator, bits, shape):
    return generator.integers(-(1 << bits), 1 << bits, shape)


def placed(shape, bits=32, extra_bits=0):
    """A batch norm at its place: x with `bits` fractional bits, dy with `extra_bits` more than the deltas of the scores."""
    return Placed("bn", (shape,), shape, (bits,), 32, extra_bits, (True,))


# ---- description ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", [BatchNorm(1), BatchNorm(64, 1e-3), BatchNorm(7, 1.0), BatchNorm(7, 5e-324)], ids=str)
def test_encoding(operator):
    assert BatchNorm.of_numbers(operator.numbers()) == operator


@pytest.mark.parametrize("eps", [0.0, -1e-5, 1.5, math.nan, math.inf])
def test_eps_out_of_range(eps):
    with pytest.raises(ValueError, match="eps: expected a number above 0 and at most 1"):
        BatchNorm(3, eps)


@given(st.floats(0, 1e6), st.sampled_from([1e-5, 1e-3, 1e-12]))
def test_inverse_deviation(variance, eps):
    assert batch_norm.inverse_deviation(variance, eps) == reference.inverse_deviation(variance, eps)


def test_constants_are_rounded_to_nearest():
    half = 2.0**-33
    found = BatchNorm(4).constant_integers(MEAN, np.array([half, -half, 3 * half, -2048.0]))
    assert found.tolist() == [1, 0, 2, -(1 << 43)]


@pytest.mark.parametrize(
    "word, value, message",
    [
        (MEAN, 2048.0, r"\[1\]: expected a mean between -2048 and 2048"),
        (VARIANCE, -1e-9, r"\[1\]: expected a variance that is not negative"),
        (VARIANCE, 0.0, r"\[1\]: .* at least 2\^-22"),
    ],
)
def test_constants_out_of_range_are_named_without_their_value(word, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        BatchNorm(2, 1e-9).constant_integers(word, np.array([1.0, value]))
    assert str(value) not in str(caught.value).replace("2048", "") or value == 0


# ---- semantics --------------------------------------------------------------------------------------------------------------


def test_the_largest_gradients_do_not_wrap():
    largest, deviation = np.array([(1 << 59) - 1, -(1 << 59)]), np.array([(1 << 43) - 1] * 2)
    found = batch_norm.weight_gradient(largest, deviation, FIRST_PASS).value
    assert found.tolist() == [(1 << 63) - 1, -(1 << 63)]


def test_overflows_are_named():
    large, image = np.array([1 << 43]), np.full((1, 1, 4, 4), 1 << 42)
    place = placed((1, 4, 4))
    calls = {
        "scale": lambda: batch_norm.scale(large, large, PLACE),
        "batch norm": lambda: batch_norm.normalise(image, large - 1, large, place, PLACE),
        "input delta": lambda: batch_norm.input_delta(image, large - 1, place, PLACE),
        "scale delta": lambda: batch_norm.scale_delta(image << 2, image << 1, place, PLACE),
    }
    for tensor, call in calls.items():
        with pytest.raises(Overflow, match=f"{tensor}, step 0"):
            call()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [1e-3, 1.0, 100.0])
def test_against_autograd(seed, spread):
    """Within the bounds of docs/fixed-point.md, whatever the variances are."""
    generator, channels = np.random.default_rng(seed), 6
    operator, place = BatchNorm(channels), placed((channels, 5, 3))
    module = operator.module(place.inputs).double().eval()
    module.running_mean[:] = torch.tensor(generator.normal(0, spread, channels))
    module.running_var[:] = torch.tensor(spread**2 * generator.gamma(1, 1, channels))
    weights = {name: integers(generator, 40, (channels,)) for name in ("weight", "bias")}
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weights["weight"] / 2.0**40))
        module.bias.copy_(torch.tensor(weights["bias"] / 2.0**40))
    x = np.round(generator.normal(0, spread, (4, channels, 5, 3)) * 2.0**32).astype(np.int64)
    delta = integers(generator, 36, x.shape)
    image = torch.tensor(x / 2.0**32, requires_grad=True)
    output = module(image)
    wanted = torch.autograd.grad(output, [image, module.weight, module.bias], torch.tensor(delta / 2.0**44))
    weights |= {word: operator.constant_integers(word, getattr(module, word).numpy()) for word, _ in operator.constants}

    ahead = operator.forward(place, [x], weights, PLACE)
    back = operator.backward(place, [x], ahead, delta, FIRST_PASS, PLACE)

    def wide(values):
        return np.abs(values)[:, None, None]

    unit, magnitude = 2.0**-33, np.abs(delta) / 2.0**44
    r, c, gamma = weights[VARIANCE] / 2.0**32, ahead.values["scale"] / 2.0**32, weights["weight"] / 2.0**40
    distance = np.abs(x - weights[MEAN][:, None, None]) / 2.0**32
    dc = np.abs(back.values["scale delta"]) / 2.0**48
    sums = magnitude.sum(axis=(0, 2, 3))
    slack = 1.001  # float64's own roundings
    bounds = {
        "y": unit * (1 + wide(c) + (1 + wide(gamma)) * distance),
        "dx": 2.0**-45 + unit * (1 + wide(gamma)) * magnitude,
        "dgamma": 2.0**-45 + r * (2.0**-49 + unit * sums) + unit * dc,
        "dbeta": 2.0**-45 + 0 * r,
    }
    found = [ahead.output / 2.0**32, back.deltas[0] / 2.0**44, *(back.gradients[k].value / 2.0**44 for k in ("weight", "bias"))]
    for (name, bound), value, expected in zip(bounds.items(), found, [output.detach(), *wanted], strict=True):
        assert (np.abs(value - expected.numpy()) <= slack * bound).all(), name


# ---- one rounding or two ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms, more", [(9, 8), (1152, 6)])
def test_one_rounding_behind_a_convolution_takes_more_cells(terms, more):
    """Why a batch norm behind a convolution rounds again: c (sum W a - mean) + beta at once has 72 bits of remainder."""
    two = cells([(45, 43)], terms, 40) + cells([(44, 44)], 1, 32)
    assert cells([(44, 45, 43)], terms, 72) - two == more


def test_one_rounding_of_many_products_has_no_plan():
    with pytest.raises(PlanRejected, match=r"no groups of the lowest . digits stay below p"):
        cells([(44, 45, 43)], 4608, 72)


def cells(products, terms, shift):
    """Of an output of 43 bits, its remainder and its carries: sums of so many products of signed factors of these widths."""
    total, digits = Interval.point(0), [Interval.point(0)] * 16
    for widths in products:
        formats = [LimbFormat(16, width, signed=True) for width in widths]
        total = total + functools.reduce(lambda a, b: a * b, (number.interval for number in formats)).times(terms)
        for limbs in itertools.product(*(list(enumerate(number.coefficient_intervals)) for number in formats)):
            product = functools.reduce(lambda a, b: a * b, (limb for _, limb in limbs))
            place = sum(j for j, _ in limbs)
            digits[place] = digits[place] + product.with_zero().times(terms)
    plan = plan_identity(digits, total)
    return 3 + -(-shift // 16) + plan.carry_limbs


# ---- relation ---------------------------------------------------------------------------------------------------------------


def branched():
    """A residual block: batch norms in front of the sum and in front of the scores."""
    nodes = (
        Node(Convolution.over((2, 3, 3), 2, (1, 1), bias=False), (0,), "one"),
        Node(BatchNorm(2), (1,), "bn1"),
        Node(Add(), (2, 1)),
        Node(Relu(), (3,)),
        Node(Convolution.dense(3, (2, 3, 3)), (4,), "two"),
        Node(BatchNorm(3, 1e-3), (5,), "bn2"),
    )
    return Network((2, 3, 3), nodes)


NETWORKS = {
    "behind a convolution": chain(
        (2, 4, 3),
        ("first", Convolution.over((2, 4, 3), 3, (3, 3), (1, 1), (1, 1), bias=False)),
        ("bn", BatchNorm(3)),
        Relu(),
        ("last", Convolution.dense(2, (3, 4, 3))),
    ),
    "of the input, of vectors": chain(
        (3, 2, 2),
        ("bn", BatchNorm(3)),
        ("first", Convolution.dense(5, (3, 2, 2))),
        ("second.bn", BatchNorm(5, 1e-3)),
        ("last", Convolution.dense(2, (5, 1, 1))),
    ),
    "between average pools, before a max pool": chain(
        (1, 8, 8),
        ("first", Convolution.over((1, 8, 8), 2, (1, 1))),
        AveragePool.side_by_side((2, 8, 8), 2),
        ("bn", BatchNorm(2)),
        AveragePool.side_by_side((2, 4, 4), 2),
        ("bn2", BatchNorm(2)),
        MaxPool.side_by_side(2, relu=True),
        ("last", Convolution.dense(3, (2, 1, 1))),
    ),
    "branches": branched(),
}


@functools.cache
def honest(name):
    """(circuit, columns, trajectory) of random weights and records."""
    return made(name)


def made(name):
    network = NETWORKS[name]
    stored, trajectory = run(network, CONFIGURATION, random_weights(network))
    circuit = network_circuit(network, CONFIGURATION)
    return circuit.relation, circuit.columns(stored, trajectory), trajectory


@pytest.mark.parametrize("name", NETWORKS)
def test_a_trajectory_of_the_semantics_is_proved(name):
    relation, columns, _ = honest(name)
    verify(prove(relation, columns, zero_knowledge=False), relation, allow_plain=True)


def test_a_trajectory_is_proved_in_zero_knowledge():
    relation, columns, _ = honest("behind a convolution")
    verify(prove(relation, columns), relation)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradients_of_a_probe_are_those_of_autograd(name):
    """First passes: the loss's gradients by all parameters, those of batch norm among them."""
    network = NETWORKS[name]
    _, _, trajectory = honest(name)
    module = NetworkModule(network).double().eval()
    load_parameters(module, floats(network, trajectory.weights))
    x, y = torch.tensor(trajectory.inputs[0] / 2.0**32), torch.tensor(trajectory.labels[0])
    named = dict(module.named_parameters())
    loss = nn.functional.cross_entropy(module(x), y)
    gradients = torch.autograd.grad(loss, list(named.values()))
    assert abs(trajectory.loss_sums[0] / 2.0**58 / CONFIGURATION.batch_size - loss.item()) < 1e-7
    for parameter, gradient in zip(named, gradients, strict=True):
        found = trajectory.values[f"{parameter}: gradient"][0] / 2.0**44
        assert np.abs(found.reshape(gradient.shape) - gradient.numpy()).max() < 1e-7, parameter


@pytest.mark.parametrize(
    "name, node, limbs", [("behind a convolution", "bn", 4), ("between average pools, before a max pool", "bn", 5)]
)
def test_cells_of_a_value(name, node, limbs):
    """Remainder and carries beside y and beside dx: two limbs each; a third one of the remainder where bits are more."""
    relation, *_ = honest(name)
    for part in ("forward", "input gradient"):
        (identity,) = (component for component in relation.components if component.name == f"{node}: {part}")
        own = [tensor for tensor in identity.tensors if tensor.name.startswith(f"{identity.name}: ")]
        assert sum(len(tensor.columns.names) for tensor in own) == limbs


# ---- one step computed wrongly, the rest consistently -----------------------------------------------------------------------


HONEST = {
    name: getattr(batch_norm, name)
    for name in ("scale", "centred", "normalise", "input_delta", "scale_delta", "weight_gradient", "bias_gradient")
}


def with_argument(name, position, change):
    """A function of the semantics with one of its arguments changed."""

    def function(*arguments):
        given = list(arguments)
        given[position] = change(given[position])
        return HONEST[name](*given)

    return name, function


def other_channel(values):
    return np.roll(values, 1, axis=-1)


def unscaled(values):
    """r or c of 1."""
    return np.full_like(values, 1 << 32)


CHEATS = {
    "a stale mean": with_argument("centred", 1, np.zeros_like),
    "a stale variance": with_argument("scale", 1, unscaled),
    "c of another channel": with_argument("normalise", 1, other_channel),
    "beta dropped": with_argument("normalise", 2, np.zeros_like),
    "a delta that skips c": with_argument("input_delta", 1, unscaled),
    "a delta by c of another channel": with_argument("input_delta", 1, other_channel),
    "the delta of c without the mean": with_argument("scale_delta", 1, lambda distance: distance + (1 << 32)),
    "gamma's gradient of another channel": with_argument("weight_gradient", 0, other_channel),
    "gamma's gradient without the variance": with_argument("weight_gradient", 1, unscaled),
    "beta's gradient of another channel": with_argument("bias_gradient", 0, lambda delta: np.roll(delta, 1, axis=1)),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheats(lenient, cheat):
    lenient.setattr(batch_norm, *CHEATS[cheat])
    relation, columns, _ = made("behind a convolution")
    assert reason_of(relation, columns) == FALSE_CLAIM


def test_a_cheat_in_zero_knowledge(lenient):
    lenient.setattr(batch_norm, *CHEATS["a stale mean"])
    relation, columns, _ = made("of the input, of vectors")
    assert reason_of(relation, columns, zero_knowledge=True) == LIGERO_REASON


def test_the_lenient_prover_is_accepted_if_nothing_is_wrong(lenient):
    relation, columns, _ = made("behind a convolution")
    vector = dishonest_vector(Statement(relation), columns)
    verify(prove_vector(Statement(relation), vector, zero_knowledge=False), relation, allow_plain=True)


def test_every_kind_of_cell_has_one_value():
    """One cell of each tensor of a batch norm's own moved within its range."""
    relation, columns, _ = honest("of the input, of vectors")
    generator = np.random.default_rng(3)
    rows = {lookup.primary: lookup.table.rows for lookup in relation.lookups}
    ours = generator.permutation(sorted(name for name in columns if name.startswith("second.bn:")))
    for column in {name.split("/")[0]: name for name in ours.tolist()}.values():
        changed = columns[column].copy()
        cells = changed.reshape(-1)
        index = generator.integers(len(cells))
        cells[index] = cells[index] + 1 if cells[index] + 1 < rows[column] else cells[index] - 1
        assert reason_of_cells(relation, columns | {column: changed}) == FALSE_CLAIM, column


MESSAGES = {
    ("bn: scale: factors", 0): "bn: scale: products of the factors",
    ("bn: forward: values", 1): "bn: forward: products of the factors",  # the sum of products
    ("bn: forward: values", 0): FALSE_CLAIM,  # beta's value
    ("bn: forward: factors", 4): "bn: forward: products of the factors",
    ("bn: input gradient: factors", 1): "bn: input gradient: products of the factors",
    ("bn: scale delta: factors", 2): "bn: scale delta: products of the factors",
    ("bn.weight: update: factors", 3): "bn.weight: update: products of the factors",
    ("bn: centred: shares", 0): FALSE_CLAIM,
}


@pytest.mark.parametrize("label, position", MESSAGES, ids=str)
def test_false_messages(label, position):
    relation, columns, _ = honest("behind a convolution")
    assert reason_of(relation, columns, channel=lying(label, position)) == MESSAGES[label, position]
