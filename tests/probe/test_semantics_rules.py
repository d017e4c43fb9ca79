"""What the semantics decides at the edges: ties, zeros, remainders of windows, logarithms, overflows, bad arguments."""

from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.harness.graphs import GRAPHS
from tests.harness.layers import Layer, Pool, layered
from tests.harness.probes import dense, probe
from zkds.circuits import probe as probe_module
from zkds.circuits.arithmetic import tables
from zkds.circuits.arithmetic.fixed_point import GRADIENT, Configuration, Overflow, Place
from zkds.circuits.metric import deviation, loss, perturbation
from zkds.circuits.metric.batch_loss import batch_loss
from zkds.circuits.networks.graph import Network, Node, chain
from zkds.circuits.operators.add import Add
from zkds.circuits.operators.affine import Affine
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.batch_norm import BatchNorm
from zkds.circuits.operators.concatenate import Concatenate
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import MaxPool
from zkds.circuits.operators.operator import gradient_kinds
from zkds.circuits.operators.relu import Relu
from zkds.circuits.probe import run
from zkds.circuits.trajectory import Trajectory
from zkds.integers.limbs import LimbFormat
from zkds_verify.integers import nearest

ONE = 1 << 40  # weights
UNIT = 1 << 32  # activations
PLACE = Place(0)
GRADIENTS = gradient_kinds(Configuration.of())[0]


def image(*rows):
    return np.array(rows, dtype=np.int64)[None, None]


def passed(operator, z, delta):
    """The operator's forward and backward values on one image."""
    shape = (1, *z.shape[2:])
    node = chain(shape, operator, ("scores", Convolution.dense(2, operator.output_shape([shape]))))
    placed = replace(node.placed[0], wanted=(True,))
    ahead = operator.forward(placed, [z], {}, PLACE)
    return ahead, operator.backward(placed, [z], ahead, delta, GRADIENTS, PLACE)


def test_max_pool_takes_the_first_maximum_in_row_major_order():
    ahead, back = passed(MaxPool.side_by_side(2, relu=True), image([5, 5, 1, 2], [5, 5, 3, 3]), image([7, 8]))
    assert ahead.output[0, 0].tolist() == [[5, 3]]
    assert ahead.values["mask"][0, 0].tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert back.deltas[0][0, 0].tolist() == [[7, 0, 0, 0], [0, 0, 8, 0]]


def test_max_pool_with_relu_selects_zero_and_nothing_negative():
    z = image([-1, 0, -1, -2], [0, -3, -1, -1])
    ahead, back = passed(MaxPool.side_by_side(2, relu=True), z, image([7, 8]))
    assert ahead.values["mask"][0, 0].tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]
    assert ahead.output[0, 0].tolist() == [[0, 0]] and back.deltas[0][0, 0].tolist() == [[0, 7, 0, 0], [0, 0, 0, 0]]
    ahead, _ = passed(MaxPool.side_by_side(2), z, image([7, 8]))
    assert ahead.values["mask"][0, 0].tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]


def test_relu_passes_deltas_at_zero():
    ahead, back = passed(Relu(), image([-1, 0, 1]), image([7, 8, 9]))
    assert ahead.values["bit"][0, 0].tolist() == [[0, 1, 1]]
    assert back.deltas[0][0, 0].tolist() == [[0, 8, 9]]


def test_sums_and_concatenations_have_the_most_fractional_bits_of_their_inputs():
    """An average pool of 2 x 2 moves the binary point by 2: 8 / 4 + 3 = 20 / 4."""
    network = GRAPHS["fan-out with an average pool"]
    placed = network.placed[3]
    assert (placed.input_bits, placed.output_bits) == ((34, 32), 34)
    z = [np.array(values, dtype=np.int64).reshape(1, 2, 1, 1) for values in ([8, -4], [3, 5])]
    assert Add().forward(placed, z, {}, PLACE).output.ravel().tolist() == [20, 16]
    assert Concatenate().forward(placed, z, {}, PLACE).output.ravel().tolist() == [8, -4, 12, 20]


def test_deltas_that_come_back_to_one_output_add_up_at_the_most_fractional_bits():
    """Through the average pool with 2 more; the sum passes its own on to both branches as it is."""
    network = GRAPHS["fan-out with an average pool"]
    assert network.delta_bits == (0, 2, 0, 0, 0, 0)
    delta = np.array([5, 7], dtype=np.int64).reshape(1, 2, 1, 1)
    inputs = [np.zeros((1, 2, 2, 2), dtype=np.int64)]
    (repeated,) = network.nodes[1].operator.backward(network.placed[1], inputs, None, delta, GRADIENTS, PLACE).deltas
    assert repeated.tolist() == [[[[5, 5], [5, 5]], [[7, 7], [7, 7]]]]
    assert probe_module._summed([(delta, 0), (delta, 2)], 2, PLACE).ravel().tolist() == [25, 35]


def test_nothing_outside_the_windows_is_computed():
    """A 5x5 convolution output under a 2x2 pool is cut to 4x4; the input's last column is then under no window."""
    network = layered((1, 5, 5), (Layer("a", 1, 1, (1, 1), pool=Pool("max", 2), relu=True), Layer("scores", 2, 1, (2, 2))))
    configuration = Configuration.of(steps=2, batch_size=1)
    weights, inputs, labels = probe(network, configuration, np.random.default_rng(0), 0.5)
    found = run(network, weights, inputs, labels, configuration)
    assert found.values["a: output"].shape == (3, 1, 1, 4, 4)
    inputs[..., 4, :] += 12345
    inputs[..., :, 4] -= 999
    again = run(network, weights, inputs, labels, configuration)
    assert again.log_ratios == found.log_ratios and (again.values["a: output"] == found.values["a: output"]).all()


def test_first_maximum_decides_the_prediction():
    logits = np.array([[3, 7, 7], [7, 7, 7]]) * UNIT
    assert loss.softmax(logits).maximum.tolist() == [1, 0]


def test_zero_gradients_have_no_perturbation():
    direction = {"w": np.zeros(4, dtype=np.int64)}
    for kind in ("SAM", "ASAM"):
        found = perturbation.perturb(direction, direction, Configuration.of(perturbation=kind), PLACE)
        assert (found.norm, found.kappa) == (0, 0) and not found.perturbation["w"].value.any()


def test_a_loss_of_zero_counts_as_one_unit():
    """Scores 200 apart: the losses are 0, all exponentials but the label's too, and so are the gradients."""
    network = dense(1, 2)
    weights = {"dense.0.weight": np.array([[[[1 * ONE]]], [[[-1 * ONE]]]]), "dense.0.bias": np.zeros(2, dtype=np.int64)}
    configuration = Configuration.of(steps=2, batch_size=1)
    inputs, labels = np.full((2, 1, 1, 1, 1), 100 * UNIT), np.zeros((2, 1), dtype=np.int64)
    found = run(network, weights, inputs, labels, configuration)
    assert found.total_loss == 0 and found.sharpness_squares == (0, 0) and found.kappas == (0,)
    assert found.log_ratios == (deviation.logarithm(configuration.eps_int) - 10 * tables.LN2,) * 2 and found.value == 0
    assert found.correct == 2


# exponential and logarithm


@seed(1)
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 2**41 - 1) | st.integers(0, 2**36), st.integers(0, 40 * UNIT))
def test_exponentials(first, second):
    """The error bound of zkds/circuits/arithmetic/tables.py: 3 * 2^-59 + 2^-47 exp(-u)."""
    limit = 2**40
    logits = np.array([[0, -first, -second]]).clip(-limit) + limit - 1
    found = loss.softmax(logits)
    assert found.exponential[0, 0] == 2**58
    with localcontext(prec=50):
        for distance, value in zip(found.distance[0].tolist(), found.exponential[0].tolist(), strict=True):
            exact = (Decimal(-distance) / 2**32).exp()
            assert abs(value - 2**58 * exact) < Decimal("1.5") + 2**11 * exact


@seed(2)
@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.integers(0, 127), st.integers(0, 2**127 - 1), st.sampled_from([deviation.RATIOS, deviation.LOSSES]))
def test_logarithms(bits, random_bits, grid):
    number = (1 << bits) | (random_bits & ((1 << bits) - 1))
    found = deviation.logarithm_steps(number, grid)
    assert 2**127 <= number << found.exponent < 2**128 and found.exponent == 127 - bits
    assert 2 ** (grid.mantissa_bits - 1) <= found.mantissa < 2**grid.mantissa_bits and 0 <= found.cell < 2**16
    assert 0 <= found.linear < 2**grid.linear_width and 0 <= found.quadratic < 2**grid.quadratic_width
    with localcontext(prec=60):
        error = abs(found.value / Decimal(2**grid.bits) - Decimal(number).ln())
        assert error < Decimal(8 + 127 - found.exponent) / 2**49


def test_widths_of_logarithms():
    """Of Y and Y2, remainders and mantissas: what the circuit commits (docs/specification, section 18)."""
    for grid, widths in ((deviation.RATIOS, (31, 33, 31, 17, 49)), (deviation.LOSSES, (47, 43, 37, 27, 59))):
        names = ("fraction_bits", "linear_width", "linear_shift", "quadratic_width", "quadratic_shift")
        assert tuple(getattr(grid, name) for name in names) == widths


@seed(3)
@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 45 * UNIT))
def test_small_losses_are_right_to_a_part_of_themselves(distance):
    """One score is ahead by 0 to 45: a loss of ln 2 to 2.9e-20. Two units, and 2^-33 of it."""
    scores = loss.softmax(np.array([[distance, 0]]))
    (found,) = loss.losses(scores, np.array([0]))
    with localcontext(prec=60):
        exact = 2**58 * (1 + (Decimal(-distance) / 2**32).exp()).ln()
        assert abs(found - exact) < 2 + exact / 2**33


# the loss scale


@pytest.mark.parametrize("batch_size", [1, 2, 7, 8, 512, 4096])
def test_the_loss_scale_is_a_function_of_the_loss(batch_size):
    configuration = Configuration.of(batch_size=batch_size)
    target = configuration.loss_target
    assert target == 48 + batch_size.bit_length()
    around = {bound + change for bound in (1 << i for i in range(1, 70)) for change in (-1, 0, 1)}
    for total in sorted({0} | around - {1 << 70}):
        found = batch_loss([total], configuration, PLACE)
        counted = max(total, 1)
        fitting = [k for k in range(41) if counted << k < 1 << target]
        assert (found.total, found.counted, found.scale) == (total, counted, max(fitting, default=0))
        assert found.eps == nearest(Fraction(configuration.eps_int * counted << 2 * found.scale, 1 << 10))
        if 0 < found.scale < 40:
            assert Fraction(1, 1 << 11) < Fraction(counted << found.scale, batch_size << 58) < Fraction(1, 1 << 9)


def test_scaled_numbers_are_as_large_as_others():
    """The largest eps beside the largest scale: what is below 2^128 for any loss at the defaults, is so for each of these."""
    for batch_size, rho in ((8, "0.05"), (512, "0.005"), (4096, "0.05")):
        configuration = Configuration.of(batch_size=batch_size, rho=rho)
        assert all(batch_loss([1 << i], configuration, PLACE).eps < 1 << 127 for i in range(70))


def test_logarithms_of_powers_of_two_and_refused_arguments():
    assert [deviation.logarithm(1 << k) for k in range(128)] == [k * tables.LN2 for k in range(128)]
    for argument in (0, -1, 1 << 128):
        with pytest.raises(ValueError, match="logarithm: expected an argument"):
            deviation.logarithm(argument)


def test_losses_are_never_negative():
    """Down to the last unit: the sum of the exponentials is one or a few units above that of the label alone."""
    for extra in range(200):
        assert deviation.logarithm((1 << 58) + extra, deviation.LOSSES) - loss.LOG_ONE == extra


def test_deviation_is_the_floor():
    assert deviation.deviation([5, 5, 5]) == 0
    assert deviation.deviation([0, 1]) == 0
    assert deviation.deviation([-3, 4]) == 3
    assert deviation.deviation([10**15, -(10**15), 0]) == 816496580927726


# overflows


def constant(network, **weights):
    """Weights w_0 (*shape) from numbers by parameter, 0 for all others."""
    found = {name: np.zeros(shape, dtype=np.int64) for name, shape in network.parameters}
    for name, values in weights.items():
        parameter = name.replace("__", ".")
        found[parameter] += (np.array(values) * ONE).round().astype(np.int64).reshape(-1, *[1] * (found[parameter].ndim - 1))
    return found


def batches(network, configuration, value, label=0):
    count = (configuration.steps, configuration.batch_size)
    inputs = np.full((*count, *network.input_shape), round(value * UNIT), dtype=np.int64)
    return inputs, np.full(count, label, dtype=np.int64)


ONE_LAYER, TWO_LAYERS = dense(1, 2), dense(1, 1, 2)
FIRST = Place(0, second=False)


@pytest.mark.parametrize(
    ("network", "weights", "value", "options", "expected"),
    [
        (TWO_LAYERS, {"dense__0__weight": 8}, 0, {}, ("weight", Place(0, None, "dense.0.weight"), 44)),
        (TWO_LAYERS, {}, 1024, {}, ("input", Place(0), 43)),
        (TWO_LAYERS, {"dense__0__weight": 6}, 200, {}, ("convolution", FIRST.at("dense.0"), 43)),
        (TWO_LAYERS, {"dense__0__weight": 1}, 100, {}, ("gradient", FIRST.at("dense.1.weight"), 48)),
        (TWO_LAYERS, {"dense__1__weight": [-7, 7]}, 0.01, {}, ("input delta", FIRST.at("dense.1"), 46)),
        (ONE_LAYER, {"dense__0__weight": [-7, 7]}, 7, {}, ("scaled gradient", Place(0, None, "dense.0.weight"), 48)),
        (ONE_LAYER, {"dense__0__weight": [-2.5, 2.5]}, 100, {"batch_size": 9}, ("sum of the losses", FIRST, 70)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_overflows(network, weights, value, options, expected):
    configuration = Configuration.of(**{"steps": 2, "batch_size": 1, **options})
    with pytest.raises(Overflow) as caught:
        run(network, constant(network, **weights), *batches(network, configuration, value), configuration)
    assert (caught.value.tensor, caught.value.place, caught.value.width) == expected
    assert str(caught.value).startswith(f"{expected[0]}, {expected[1]}: the value at index")


def test_overflow_of_an_update(monkeypatch):
    """A second pass whose gradient exceeds that of the first one sixteenfold is far to seek: a narrower format does it."""
    monkeypatch.setattr(Configuration, "update", LimbFormat(16, 16, signed=True))
    configuration = Configuration.of(steps=2, batch_size=1)
    with pytest.raises(Overflow, match=r"update, dense\.0\.weight, second pass of step 0: the value at index"):
        run(ONE_LAYER, constant(ONE_LAYER), *batches(ONE_LAYER, configuration, 1), configuration)


def test_overflow_of_scalars():
    tiny = {"w": np.array([1])}
    with pytest.raises(Overflow, match="kappa, step 0: the value at index"):
        perturbation.perturb(tiny, tiny, Configuration.of(), PLACE)
    large = {"w": np.full(1 << 18, GRADIENT.interval.high), "b": np.full(1 << 10, GRADIENT.interval.low)}
    with pytest.raises(Overflow, match=r"squared norm, step 0: the value at index .* does not fit 112 bits"):
        perturbation.squared_norm(large, PLACE)
    with pytest.raises(Overflow, match=r"argument of the logarithm, step 0: the value at index .* does not fit 128 bits"):
        deviation.log_ratio((1 << 112) - 1, batch_loss([1 << 60], Configuration.of(), PLACE), PLACE)


# arguments


@pytest.fixture
def arguments():
    configuration = Configuration.of(steps=2, batch_size=1)
    inputs, labels = batches(TWO_LAYERS, configuration, 1)
    return [TWO_LAYERS, constant(TWO_LAYERS, dense__0__weight=1), inputs, labels, configuration]


def test_progress_and_weights(arguments):
    seen = []
    found = run(*arguments, progress=lambda done, total: seen.append((done, total)))
    assert isinstance(found, Trajectory) and seen == [(1, 3), (2, 3), (3, 3)]
    name = "dense.1.weight"
    assert (found.weights_at(name, 0) == found.weights[name]).all()
    assert (found.weights_at(name, 2) == found.weights[name] + found.values[f"{name}: perturbation"][0]).all()
    assert (found.weights_at(name, 1) == found.weights[name] - found.values[f"{name}: update"][0]).all()
    assert [found.step_of(p) for p in range(3)] == [0, 1, 0]


@pytest.mark.parametrize(
    ("position", "value", "error", "message"),
    [
        (0, None, TypeError, "run: expected a Network and a Configuration"),
        (1, {}, ValueError, "weights: expected .'dense.0.weight', 'dense.0.bias', .*, got ..$"),
        (2, np.zeros((2, 1, 1, 1, 1)), TypeError, "inputs: expected an int64 array, got float64"),
        (2, [1], TypeError, "inputs: expected an int64 array, got list"),
        (2, np.zeros((2, 1, 1, 1, 2), dtype=np.int64), ValueError, r"inputs: expected shape \(2, 1, 1, 1, 1\), got"),
        (3, np.zeros((2, 2), dtype=np.int64), ValueError, r"labels: expected shape \(2, 1\), got \(2, 2\)"),
        (3, np.full((2, 1), 2), ValueError, "labels: expected 0 to 1"),
        (3, np.full((2, 1), -1), ValueError, "labels: expected 0 to 1"),
        (4, None, TypeError, "run: expected a Network and a Configuration"),
    ],
)
def test_bad_arguments(arguments, position, value, error, message):
    arguments[position] = value
    with pytest.raises(error, match=message):
        run(*arguments)


def test_bad_weights(arguments):
    arguments[1]["dense.0.bias"] = arguments[1]["dense.0.bias"][:0]
    with pytest.raises(ValueError, match=r"weights of dense.0.bias: expected shape \(1,\), got \(0,\)"):
        run(*arguments)


def test_overflow_of_a_sum():
    network, configuration = GRAPHS["pool behind a sum"], Configuration.of(steps=2, batch_size=1)
    with pytest.raises(Overflow, match=r"sum, add 2, first pass of step 0: the value at index"):
        run(network, constant(network), *batches(network, configuration, 600), configuration)


LARGE = (1, 32, 32)
POOL = AveragePool((32, 32), (32, 32), (32, 32))  # ten fractional bits more
SCORES = Convolution.dense(2, (1, 1, 1))
BRANCHES = (
    Node(Convolution.over(LARGE, 1, (1, 1)), (0,), "first"),
    Node(POOL, (1,)),
    Node(Convolution.dense(1, LARGE), (1,), "other"),
    Node(Add(), (2, 3)),
    Node(SCORES, (4,), "scores"),
)


@pytest.mark.parametrize(
    ("network", "weights", "expected"),
    [
        (chain(LARGE, POOL, ("scores", SCORES)), {}, ("input", "scores", 52)),
        (chain(LARGE, POOL, ("bn", BatchNorm(1)), ("scores", SCORES)), {}, ("input less mean", "bn", 52)),
        (chain(LARGE, POOL, Affine((1 << 48,), (0,)), ("scores", SCORES)), {}, ("input", "affine 2", 47)),
        (Network(LARGE, BRANCHES), {"other__weight": 1, "scores__weight": [-0.5, 0.5]}, ("delta of output", "first", 52)),
    ],
    ids=["convolution", "batch norm", "affine", "deltas"],
)
def test_factors_that_no_exact_product_takes(network, weights, expected):
    configuration = Configuration.of(steps=2, batch_size=1)
    stored = constant(network, **weights) | {name: np.zeros(shape, dtype=np.int64) for name, shape in network.constants}
    with pytest.raises(Overflow) as caught:
        run(network, stored, *batches(network, configuration, 1000), configuration)
    assert (caught.value.tensor, caught.value.place.layer, caught.value.width) == expected


def test_overflow_of_the_deltas_of_an_output():
    """Sums of an output with itself: every one doubles the deltas, and nothing wraps."""
    doubled = [Node(Add(), (k, k)) for k in range(1, 65)]
    first, last = Node(Convolution.dense(1, (1, 1, 1)), (0,), "first"), Node(Convolution.dense(2, (1, 1, 1)), (65,), "scores")
    network, configuration = Network((1, 1, 1), (first, *doubled, last)), Configuration.of(steps=2, batch_size=1)
    with pytest.raises(Overflow, match=r"delta of output, add \d+, first pass of step 0: the value at index"):
        run(network, constant(network, scores__weight=[1, -1]), *batches(network, configuration, 1), configuration)
