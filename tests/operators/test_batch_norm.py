"""Batch norm: the semantics against Python ints and against float64 autograd, and its relation through bytes."""

import functools
import itertools
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.harness.whole_proof import LIGERO_REASON, reject
from tests.operators.test_cheating_layers import dishonest_vector, lenient, lying  # noqa: F401
from tests.reference import batch_norm as reference
from zkds.circuits.arithmetic.fixed_point import CONVOLUTION, DELTA, GRADIENT_BITS, WEIGHT_BITS, Configuration, Overflow, Place
from zkds.circuits.operators import batch_norm
from zkds.circuits.operators.batch_norm import Channels, Normalisation
from zkds.circuits.operators.parameter import Parameter
from zkds.errors import PlanRejected
from zkds.integers.identity import plan_identity
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.prover import prove, prove_vector
from zkds.statement import Statement
from zkds.tensors.circuit import Circuit
from zkds.tensors.tensor import ColumnReader, Committed
from zkds.verifier import verify

FALSE_CLAIM = "batching: final claim"
PLACE = Place(0)
CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
FIRST_PASS = (GRADIENT_BITS, GRADIENT_BITS)  # of the scores' deltas, of the gradients
SECOND_PASS = (CONFIGURATION.second_bits, WEIGHT_BITS)
CASES = {  # channels, rows, columns, bits of x, bits of dy beyond those of the scores' deltas
    "images": (3, 2, 3, 32, 0),
    "vectors": (5, 1, 1, 32, 0),
    "between average pools": (2, 2, 2, 36, 4),
}


def integers(generator, bits, shape):
    return generator.integers(-(1 << bits), 1 << bits, shape)


# ---- semantics --------------------------------------------------------------------------------------------------------------


@given(st.floats(0, 1e6), st.sampled_from([1e-5, 1e-3, 1e-12]))
def test_inverse_deviation(variance, eps):
    assert batch_norm.inverse_deviation(variance, eps) == reference.inverse_deviation(variance, eps)


@pytest.mark.parametrize("variance, eps", [(-1.0, 1e-5), (math.nan, 1e-5), (math.inf, 1e-5), (0.0, 0.0)])
def test_variances_without_deviation(variance, eps):
    with pytest.raises(ValueError, match="variance: expected variance >= 0"):
        batch_norm.inverse_deviation(variance, eps)


def pairs(found):
    """A Rounded as the reference has it."""
    remainders = reference.entries(found.remainder)
    return {index: (value, remainders[index]) for index, value in reference.entries(found.value).items()}


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.sampled_from(list(CASES)), st.sampled_from([FIRST_PASS, SECOND_PASS]))
def test_against_python_ints(seed, case, kind):
    channels, rows, columns, bits, extra_bits = CASES[case]
    (delta_bits, result_bits), generator = kind, np.random.default_rng(seed)
    shape = (3, channels, rows, columns)
    x, delta = integers(generator, bits + 4, shape), integers(generator, 40, shape)
    gamma, beta = integers(generator, 41, (channels,)), integers(generator, 42, (channels,))
    mean, deviation = integers(generator, 34, (channels,)), integers(generator, 36, (channels,))
    scale = batch_norm.scale(gamma, deviation, PLACE)
    y = batch_norm.normalise(x, Channels(scale.value, mean, beta), bits, PLACE)
    dx = batch_norm.input_delta(delta, scale.value, extra_bits, PLACE)
    dc = batch_norm.scale_gradient(delta, x, mean, bits, delta_bits + extra_bits, PLACE)
    dgamma = batch_norm.weight_gradient(dc.value, deviation, result_bits)
    dbeta = batch_norm.bias_gradient(delta, delta_bits + extra_bits, result_bits)
    given_x, given_mean, given_deviation = map(reference.entries, (x, mean, deviation))
    expected = reference.forward(given_x, bits, *map(reference.entries, (gamma, beta)), given_mean, given_deviation)
    assert (pairs(scale), pairs(y)) == expected
    scales = reference.entries(scale.value)
    given_delta = reference.entries(delta)
    formats = (delta_bits, extra_bits, result_bits)
    expected = reference.backward(given_x, bits, scales, given_mean, given_deviation, given_delta, *formats)
    assert (pairs(dx), pairs(dc), pairs(dgamma), pairs(dbeta)) == expected


def test_the_largest_gradients_do_not_wrap():
    largest, deviation = np.array([(1 << 59) - 1, -(1 << 59)]), np.array([(1 << 43) - 1] * 2)
    found = batch_norm.weight_gradient(largest, deviation, GRADIENT_BITS).value
    assert found.tolist() == [(1 << 63) - 1, -(1 << 63)]


@pytest.mark.parametrize("tensor", ["scale", "batch norm", "input delta", "scale gradient"])
def test_overflows_are_named(tensor):
    one, large = np.array([1 << 32]), np.array([1 << 43])
    image = np.full((1, 1, 4, 4), 1 << 42)
    calls = {
        "scale": lambda: batch_norm.scale(large, large, PLACE),
        "batch norm": lambda: batch_norm.normalise(image, Channels(large - 1, one, one), 32, PLACE),
        "input delta": lambda: batch_norm.input_delta(image, large - 1, 0, PLACE),
        "scale gradient": lambda: batch_norm.scale_gradient(image << 2, image, -large, 32, 44, PLACE),
    }
    with pytest.raises(Overflow, match=f"{tensor}, step 0"):
        calls[tensor]()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [1e-3, 1.0, 100.0])
def test_against_autograd(seed, spread):
    """Within the bounds of docs/fixed-point.md, whatever the variances are."""
    generator = np.random.default_rng(seed)
    channels = 6
    module = nn.BatchNorm2d(channels).double().eval()
    module.running_mean[:] = torch.tensor(generator.normal(0, spread, channels))
    module.running_var[:] = torch.tensor(spread**2 * generator.gamma(1, 1, channels))
    gamma, beta = integers(generator, 40, (channels,)), integers(generator, 40, (channels,))
    x = np.round(generator.normal(0, spread, (4, channels, 5, 3)) * 2.0**32).astype(np.int64)
    delta = integers(generator, 36, x.shape)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(gamma / 2.0**40))
        module.bias.copy_(torch.tensor(beta / 2.0**40))
    image = torch.tensor(x / 2.0**32, requires_grad=True)
    output = module(image)
    wanted = torch.autograd.grad(output, [image, module.weight, module.bias], torch.tensor(delta / 2.0**44))

    mean = np.floor(module.running_mean.numpy() * 2.0**32 + 0.5).astype(np.int64)
    deviation = np.array([batch_norm.inverse_deviation(v, module.eps) for v in module.running_var.tolist()])
    scale = batch_norm.scale(gamma, deviation, PLACE).value
    y = batch_norm.normalise(x, Channels(scale, mean, beta), 32, PLACE).value
    dx = batch_norm.input_delta(delta, scale, 0, PLACE).value
    dc = batch_norm.scale_gradient(delta, x, mean, 32, 44, PLACE).value
    dgamma = batch_norm.weight_gradient(dc, deviation, 44).value
    dbeta = batch_norm.bias_gradient(delta, 44, 44).value

    def wide(values):
        return np.abs(values)[:, None, None]

    unit, magnitude = 2.0**-33, np.abs(delta) / 2.0**44
    r, c, g = deviation / 2.0**32, scale / 2.0**32, gamma / 2.0**40
    distance = np.abs(x - mean[:, None, None]) / 2.0**32
    slack = 1.001  # float64's own roundings
    assert (np.abs(y / 2.0**32 - output.detach().numpy()) <= slack * unit * (1 + wide(c) + (1 + wide(g)) * distance)).all()
    assert (np.abs(dx / 2.0**44 - wanted[0].numpy()) <= slack * (2.0**-45 + unit * (1 + wide(g)) * magnitude)).all()
    sums = magnitude.sum(axis=(0, 2, 3))
    bound = 2.0**-45 + r * (2.0**-49 + unit * sums) + unit * np.abs(dc) / 2.0**48
    assert (np.abs(dgamma / 2.0**44 - wanted[1].numpy()) <= slack * bound).all()
    assert (np.abs(dbeta / 2.0**44 - wanted[2].numpy()) <= 1e-12).all()


# ---- relation ---------------------------------------------------------------------------------------------------------------


@dataclass
class Made:
    """A batch norm over committed x and dy: its circuit, the rounded sums that it consists of, all columns."""

    circuit: Circuit
    sums: list
    columns: dict = field(default_factory=dict)


def build(case):
    """(the circuit without columns, the tensors x, dy, gamma, beta, mean, r), for the two steps of CONFIGURATION."""
    channels, rows, columns, bits, extra_bits = CASES[case]
    passes = CONFIGURATION.passes
    shape = (passes, CONFIGURATION.batch_size, channels, rows, columns)

    def tensor(name, number, shape=shape):
        return Committed(LimbColumns(name, number, shape))

    x, y, dy = tensor("x", LimbFormat(16, bits + 11, True)), tensor("y", CONVOLUTION), tensor("dy", DELTA)
    gamma, beta = (Parameter(f"bn.{kind}", (channels,), CONFIGURATION) for kind in ("weight", "bias"))
    mean, deviation = (tensor(f"bn.{kind}", batch_norm.CONSTANT, (channels,)) for kind in ("running_mean", "running_var"))
    norm = Normalisation("bn", x, bits, y, gamma.passes, beta.passes, mean, deviation)
    sums = [*norm.components, norm.input_delta(dy, extra_bits)]
    sums += norm.gradients("gradient", dy, FIRST_PASS[0] + extra_bits, 0, gamma.gradient, beta.gradient)
    sums += norm.gradients("update", dy, SECOND_PASS[0] + extra_bits, 2, gamma.update, beta.update)
    circuit = Circuit("batch norm", b"batch norm")
    for part in sums:
        circuit.add(part)
    return Made(circuit, sums), (x, dy, gamma, beta, mean, deviation)


def run(case, seed=1):
    """The circuit with all columns, as the functions of batch_norm compute them, be they patched or not."""
    channels, *_, bits, extra_bits = CASES[case]
    made, (x, dy, gamma, beta, mean, deviation) = build(case)
    generator = np.random.default_rng(seed)
    values = {
        x: integers(generator, bits + 4, x.shape),
        dy: integers(generator, 36, dy.shape),
        mean: integers(generator, 34, (channels,)),
        deviation: generator.integers(1 << 30, 1 << 34, (channels,)),
    }
    for parameter in (gamma, beta):
        values[parameter.start] = integers(generator, 40, (channels,))
        values[parameter.perturbation] = integers(generator, 34, parameter.perturbation.shape)
    kinds = [f"{tensor} {kind}" for kind in ("gradient", "update") for tensor in ("scale", "weight", "bias")]
    found = {name: [] for name in ("scale", "forward", "input gradient", *kinds)}  # in the order of the components
    given = [values[tensor] for tensor in (x, dy, mean, deviation)]
    start = [values[parameter.start] for parameter in (gamma, beta)]
    perturbed = [w + values[parameter.perturbation][0] for w, parameter in zip(start, (gamma, beta), strict=True)]
    second = one_pass("update", 2, perturbed, given, bits, extra_bits)
    moved = [w - second[f"{kind} update"].value for w, kind in zip(start, ("weight", "bias"), strict=True)]
    for results in (
        one_pass("gradient", 0, start, given, bits, extra_bits),
        one_pass("gradient", 1, moved, given, bits, extra_bits),
        second,
    ):
        for name, rounded in results.items():
            found[name].append(rounded)
    columns = {}
    for tensor, array in values.items():
        columns |= tensor.columns.split(array)
    for part, results in zip(made.sums, found.values(), strict=True):
        columns |= part.output.columns.split(np.stack([rounded.value for rounded in results]))
    reader = ColumnReader(columns)
    for part, results in zip(made.sums, found.values(), strict=True):
        columns |= part.remainder.split(np.stack([rounded.remainder for rounded in results]))
        reader.add(columns)
        columns |= part.witness(reader)
    made.columns = columns
    return made


def one_pass(kind, index, weights, given, bits, extra_bits):
    """The results of pass `index` at (gamma, beta), by the names of `run`."""
    x, dy, mean, deviation = given
    delta_bits, result_bits = FIRST_PASS if kind == "gradient" else SECOND_PASS
    scale = batch_norm.scale(weights[0], deviation, PLACE)
    gradient = batch_norm.scale_gradient(dy[index], x[index], mean, bits, delta_bits + extra_bits, PLACE)
    return {
        "scale": scale,
        "forward": batch_norm.normalise(x[index], Channels(scale.value, mean, weights[1]), bits, PLACE),
        "input gradient": batch_norm.input_delta(dy[index], scale.value, extra_bits, PLACE),
        f"scale {kind}": gradient,
        f"weight {kind}": batch_norm.weight_gradient(gradient.value, deviation, result_bits),
        f"bias {kind}": batch_norm.bias_gradient(dy[index], delta_bits + extra_bits, result_bits),
    }


@functools.cache
def honest(case):
    return run(case)


@pytest.mark.parametrize("case", CASES)
def test_a_run_of_the_semantics_is_proved(case):
    made = honest(case)
    verify(prove(made.circuit, made.columns, zero_knowledge=False), made.circuit, allow_plain=True)


def test_a_run_is_proved_in_zero_knowledge():
    made = honest("images")
    verify(prove(made.circuit, made.columns), made.circuit)


@pytest.mark.parametrize("case, limbs", [("images", 4), ("vectors", 4), ("between average pools", 5)])
def test_cells_of_a_value(case, limbs):
    """Remainder and carries beside y and beside dx: two limbs each; a third one of the remainder behind an average pool."""
    assert [sum(len(owner.names) for owner in part.parts) for part in honest(case).sums[1:3]] == [limbs, limbs]


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


# ---- one step computed wrongly, the rest consistently -----------------------------------------------------------------------


def reason_of(made, columns, *, zero_knowledge=False):
    statement = Statement(made.circuit)
    proof = prove_vector(statement, dishonest_vector(statement, columns), zero_knowledge=zero_knowledge)
    return reject(proof, made.circuit, allow_plain=True).reason


HONEST = {
    name: getattr(batch_norm, name)
    for name in ("scale", "normalise", "input_delta", "scale_gradient", "weight_gradient", "bias_gradient")
}
UNSCALED = 1 << 32  # r or c of 1


def with_channels(change):
    """`normalise` with some of what it is given changed."""
    return lambda values, channels, *rest: HONEST["normalise"](values, replace(channels, **change(channels)), *rest)


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
    return np.full_like(values, UNSCALED)


CHEATS = {
    "a stale mean": ("centred", lambda values, mean, bits: values),
    "a stale variance": with_argument("scale", 1, unscaled),
    "c of another channel": ("normalise", with_channels(lambda channels: {"scale": other_channel(channels.scale)})),
    "beta dropped": ("normalise", with_channels(lambda channels: {"bias": np.zeros_like(channels.bias)})),
    "a delta that skips c": with_argument("input_delta", 1, unscaled),
    "a delta by c of another channel": with_argument("input_delta", 1, other_channel),
    "gamma's gradient of another channel": with_argument("weight_gradient", 0, other_channel),
    "gamma's gradient without the variance": with_argument("weight_gradient", 1, unscaled),
    "gamma's gradient without the mean": with_argument("scale_gradient", 2, np.zeros_like),
    "beta's gradient of another channel": with_argument("bias_gradient", 0, lambda delta: np.roll(delta, 1, axis=1)),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheats(lenient, cheat):  # noqa: F811
    lenient.setattr(batch_norm, *CHEATS[cheat])
    made = run("images")
    assert reason_of(made, made.columns) == FALSE_CLAIM


def test_a_cheat_in_zero_knowledge(lenient):  # noqa: F811
    lenient.setattr(batch_norm, *CHEATS["a stale mean"])
    made = run("vectors")
    assert reason_of(made, made.columns, zero_knowledge=True) == LIGERO_REASON


def test_the_lenient_prover_is_accepted_if_nothing_is_wrong(lenient):  # noqa: F811
    made = run("images")
    vector = dishonest_vector(Statement(made.circuit), made.columns)
    verify(prove_vector(Statement(made.circuit), vector, zero_knowledge=False), made.circuit, allow_plain=True)


def test_every_kind_of_cell_has_one_value():
    """One cell moved within its range, of each tensor: of what is given here, too, since all of it enters an identity."""
    made = honest("vectors")
    generator = np.random.default_rng(3)
    widths = {lookup.primary: lookup.table.rows for lookup in made.circuit.lookups}
    for column in {name.split("/")[0]: name for name in generator.permutation(sorted(made.columns)).tolist()}.values():
        changed = made.columns[column].copy()
        cells = changed.reshape(-1)
        index = generator.integers(len(cells))
        cells[index] = cells[index] + 1 if cells[index] + 1 < widths[column] else cells[index] - 1
        assert reason_of(made, made.columns | {column: changed}) == FALSE_CLAIM, column


MESSAGES = {
    ("bn: scale: factors", 0): "bn: scale: products of the factors",
    ("bn: forward: values", 1): "bn: forward: products of the factors",  # the sum of products
    ("bn: forward: values", 0): FALSE_CLAIM,  # beta's value
    ("bn: forward: factors", 4): "bn: forward: products of the factors",
    ("bn: input gradient: factors", 1): "bn: input gradient: products of the factors",
    ("bn: scale gradient: factors", 2): "bn: scale gradient: products of the factors",
    ("bn.weight: update: factors", 3): "bn.weight: update: products of the factors",
    ("bn: centred: shares", 0): FALSE_CLAIM,
}


@pytest.mark.parametrize("label, position", MESSAGES, ids=str)
def test_false_messages(label, position):
    made = honest("images")
    statement = Statement(made.circuit)
    vector = dishonest_vector(statement, made.columns)
    proof = prove_vector(statement, vector, zero_knowledge=False, channel_type=lying(label, position))
    assert reject(proof, made.circuit, allow_plain=True).reason == MESSAGES[label, position]
