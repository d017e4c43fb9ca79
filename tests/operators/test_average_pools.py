"""Average pools through whole proofs, and provers that compute one step wrongly: rejected for the exact reason."""

import functools

import numpy as np
import pytest

from tests.harness.cheating import FALSE_CLAIM, NOT_IN_TABLE, dishonest_vector, lenient, lying, reason_of  # noqa: F401
from tests.harness.circuit import network_circuit, random_weights, run
from tests.harness.limbs import join
from tests.harness.whole_proof import LIGERO_REASON, reject
from zkds.circuits.arithmetic.fixed_point import CONVOLUTION, DELTA, Configuration
from zkds.circuits.networks.graph import chain
from zkds.circuits.operators.average_pool import AdaptiveAveragePool, AveragePool, WindowMeans
from zkds.circuits.operators.averages import (
    AxisMeans,
    Means,
    WindowSpread,
    WindowSums,
    adaptive,
    round_quotient,
    sliding,
)
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import MaxPool
from zkds.circuits.operators.relu import Relu
from zkds.circuits.operators.window_sums import Windows
from zkds.errors import PlanRejected
from zkds.identities.equal import Equal
from zkds.identities.rounded_quotient import RoundedQuotient
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.prover import prove, prove_vector
from zkds.statement import Statement
from zkds.tensors.circuit import Circuit
from zkds.tensors.linear import Addend, SumTensor
from zkds.tensors.tensor import Committed
from zkds.verifier import verify

pytestmark = pytest.mark.slow

SIZE = (7, 6)
POOLS = {
    "3x3, stride 2, padding 1": Means(sliding(7, 3, 2, 1), sliding(6, 3, 2, 1)),
    "without the padding, ceil_mode": Means(
        *(sliding(length, 3, 2, 1, ceil_mode=True, count_include_pad=False) for length in SIZE)
    ),
    "adaptive": Means(adaptive(7, 3), adaptive(6, 4)),
    "global": Means(adaptive(7, 1), adaptive(6, 1)),
    "2x4, overlapping, padding 1": Means(sliding(7, 2, 1, 1), sliding(6, 4, 1, 1)),
    "2x2 without the padding": Means(*(sliding(length, 2, 2, 1, count_include_pad=False) for length in SIZE)),
}
ROUNDED, EXACT = "without the padding, ceil_mode", "2x4, overlapping, padding 1"


class Pooled:
    """A committed tensor, its means, deltas of these, committed as well, and what goes back.

    Exact sums are held equal to committed ones: what they feed is of no concern here.
    """

    def __init__(self, means):
        self.means = means
        shape = (2, 1, 2, means.rows.windows.length, means.columns.windows.length)
        pooled = (2, 1, 2, means.rows.windows.count, means.columns.windows.count)
        self.values = Committed(LimbColumns("values", CONVOLUTION, shape))
        self.deltas = Committed(LimbColumns("deltas", DELTA, pooled))
        self.sums = WindowSums("pool: sums", self.values, means)
        self.spread = WindowSpread("pool: spread", self.deltas, means)
        self.circuit = Circuit("average pool", b"average pool")
        self.results = [self._result(self.sums, "output", CONVOLUTION), self._result(self.spread, "input delta", DELTA)]
        for component in self.results:
            self.circuit.add(component)

    def _result(self, tensor, name, number):
        if self.means.is_exact:
            wider = LimbFormat(16, number.width + 1 + self.means.bits, signed=True)
            return Equal(name, tensor, Committed(LimbColumns(f"pool: {name}", wider, tensor.shape)))
        output = Committed(LimbColumns(f"pool: {name}", number, tensor.shape))
        return RoundedQuotient(f"pool: {name} quotient", output, tensor, self.means.divisor)

    def columns(self, sums=Means.sums, spread=Means.spread, divisor=None, values=None, deltas=None):
        """Of random values, if none are given; with another function for a step that is computed wrongly."""
        generator = np.random.default_rng(1)
        values = generator.integers(-(1 << 40), 1 << 40, self.values.shape) if values is None else values
        deltas = generator.integers(-(1 << 42), 1 << 42, self.deltas.shape) if deltas is None else deltas
        columns = self.values.columns.split(values) | self.deltas.columns.split(deltas)
        totals = (sums(self.means, values), spread(self.means, deltas))
        for result, total in zip(self.results, totals, strict=True):
            if isinstance(result, Equal):
                columns |= result.right.columns.split(total)
            else:
                quotient = round_quotient(total, divisor or self.means.divisor)
                columns |= result.output.columns.split(quotient.value) | result.remainder.columns.split(quotient.remainder)
        return columns


@functools.cache
def pooled(name):
    return Pooled(POOLS[name])


@pytest.mark.parametrize("name", POOLS)
def test_means_and_deltas_are_proved(name):
    given = pooled(name)
    verify(prove(given.circuit, given.columns(), zero_knowledge=False), given.circuit, allow_plain=True)


def test_extreme_values_are_proved():
    given = pooled(ROUNDED)
    for value, delta in ((-(1 << 42), -(1 << 44)), ((1 << 42) - 1, 1 << 44)):
        columns = given.columns(values=np.full(given.values.shape, value), deltas=np.full(given.deltas.shape, delta))
        verify(prove(given.circuit, columns, zero_knowledge=False), given.circuit, allow_plain=True)


def test_means_are_proved_in_zero_knowledge():
    given = pooled(ROUNDED)
    verify(prove(given.circuit, given.columns()), given.circuit)


def test_a_virtual_quotient_is_proved():
    """The output as the difference of two committed tensors, as in front of an addition; its value is one more message."""
    given = pooled(ROUNDED)
    quotient = given.results[0]
    left, right = (Committed(LimbColumns(name, DELTA, given.sums.shape)) for name in ("left", "right"))
    virtual = SumTensor("difference", [Addend(left), Addend(right, sign=-1)])
    circuit = Circuit("virtual quotient", b"virtual quotient")
    circuit.add(RoundedQuotient(quotient.name, virtual, given.sums, quotient.divisor))
    columns = given.columns()
    values = join(quotient.output.columns.format, quotient.output.columns.limbs(columns))
    columns |= left.columns.split(values + 12345) | right.columns.split(np.full_like(values, 12345))
    columns = {column.name: columns[column.name] for column in circuit.columns}
    verify(prove(circuit, columns, zero_knowledge=False), circuit, allow_plain=True)
    statement = Statement(circuit)
    for position in (0, 1):
        channel = lying("pool: output quotient: values", position)
        vector = dishonest_vector(statement, columns)
        proof = prove_vector(statement, vector, zero_knowledge=False, channel_type=channel)
        assert reject(proof, circuit, allow_plain=True).reason == FALSE_CLAIM


# ---- what a quotient commits: the output, and one cell for the remainder ------------------------------------------------


def test_a_quotient_commits_one_cell_beside_the_output():
    quotient = pooled(ROUNDED).results[0]
    assert [tensor.name for tensor in quotient.tensors] == ["pool: output quotient: remainder", "pool: output", "pool: sums"]
    assert quotient.remainder.columns.names == ("pool: output quotient: remainder/0",)
    (lookup,) = quotient.lookups
    assert lookup.table.columns()[0].tolist() == list(range(36))  # 2 or 3 rows by 2 or 3 columns: 6 x 6


def test_divisors_that_a_cell_or_the_field_do_not_hold_are_refused():
    given = pooled(ROUNDED)
    for divisor in (1, (1 << 16) + 1):
        with pytest.raises(PlanRejected, match=f"quotient: expected a divisor of 2 to 65536, got {divisor}"):
            RoundedQuotient("quotient", given.results[0].output, given.sums, divisor)
    with pytest.raises(ValueError, match="quotient: expected a dividend of shape"):
        RoundedQuotient("quotient", given.values, given.sums, 36)
    large = Means(adaptive(211, 1), adaptive(211, 1))
    values = Committed(LimbColumns("values", DELTA, (1, 211, 211)))
    output = Committed(LimbColumns("output", DELTA, (1, 1, 1)))
    with pytest.raises(PlanRejected, match="quotient: a quotient by 44521 needs 62 bits"):
        RoundedQuotient("quotient", output, WindowSums("sums", values, large), large.divisor).check()


# ---- one step computed wrongly -----------------------------------------------------------------------------------------------


def shorter(axis):
    """The same sums, of windows without their last entries, where there is another one."""
    windows = axis.windows
    stops = np.maximum(windows.stops - 1, windows.starts + 1)
    return AxisMeans(Windows(windows.length, windows.starts, stops, windows.factors), axis.divisor)


def padding_counted(means, values):
    """A one in the padding of the first window, which has some at the top and at the left."""
    sums = means.sums(values)
    sums[..., 0, 0] += 1
    return sums


def without_last_window(means, deltas):
    skipped = deltas.copy()
    skipped[..., -1, -1] = 0
    return means.spread(skipped)


CHEATS = {
    "a padding entry counted": {"sums": padding_counted},
    "windows shifted by one": {"sums": lambda means, values: means.sums(np.roll(values, 1, axis=-1))},
    "windows one entry shorter": {
        "sums": lambda means, values: Means(shorter(means.rows), shorter(means.columns)).sums(values)
    },
    "deltas that skip a window": {"spread": without_last_window},
    "deltas shifted by one": {"spread": lambda means, deltas: np.roll(means.spread(deltas), 1, axis=-1)},
}


@pytest.mark.parametrize("name", [ROUNDED, EXACT])
@pytest.mark.parametrize("cheat", CHEATS)
def test_a_step_computed_wrongly_is_rejected(name, cheat):
    given = pooled(name)
    columns, honest = given.columns(**CHEATS[cheat]), given.columns()
    assert any((columns[column] != honest[column]).any() for column in columns)
    assert reason_of(given.circuit, columns) == FALSE_CLAIM


def test_divisors_that_count_the_padding_are_rejected():
    """Every window's sum over the count of the largest, where each should be over its own."""

    def one_factor(means, values):
        axes = [axis.windows for axis in (means.rows, means.columns)]
        rows, columns = (
            Windows(axis.length, axis.starts, axis.stops, np.full_like(axis.factors, axis.factors.min())) for axis in axes
        )
        return rows.sums(columns.sums(values, -1), -2)

    given = pooled(ROUNDED)
    assert reason_of(given.circuit, given.columns(sums=one_factor)) == FALSE_CLAIM


@pytest.mark.parametrize("divisor", [9, 35])
def test_a_wrong_divisor_is_rejected(divisor):
    given = pooled(ROUNDED)
    columns = given.columns(values=np.full(given.values.shape, 1 << 32), divisor=divisor)
    assert reason_of(given.circuit, columns) == FALSE_CLAIM
    assert reason_of(given.circuit, columns, zero_knowledge=True) == LIGERO_REASON


def test_a_remainder_as_large_as_the_divisor_is_rejected():
    """Outputs one unit too small, and remainders with which the identity holds nevertheless: they are in no table."""
    given = pooled(ROUNDED)
    columns, quotient = given.columns(), given.results[0]
    output = quotient.output.columns
    values = join(output.format, output.limbs(columns)) - 1
    (name,) = quotient.remainder.columns.names
    assert reason_of(given.circuit, columns | output.split(values) | {name: columns[name] + np.uint32(36)}) == NOT_IN_TABLE


def test_a_false_dividend_is_rejected():
    given = pooled(ROUNDED)
    for label in ("pool: output quotient: values", "pool: input delta quotient: values"):
        assert reason_of(given.circuit, given.columns(), channel=lying(label, 0)) == FALSE_CLAIM


# ---- in networks -------------------------------------------------------------------------------------------------------------

CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")


def network(*nodes):
    """A convolution with outputs of (2, 7, 6), nodes made from the size of what comes before them, and a linear layer."""
    shape, made = (2, 7, 6), [("first", Convolution.over((1, 8, 7), 2, (2, 2)))]
    for node in nodes:
        made.append(node(shape[1:]))
        shape = made[-1].output_shape([shape])
    return chain((1, 8, 7), *made, ("last", Convolution.dense(3, shape)))


NETWORKS = {
    "rounded": network(lambda size: AveragePool(size, (3, 3), (2, 2), (1, 1), count_include_pad=False)),
    "exact, rounded, ReLU": network(
        lambda size: AveragePool(size, (2, 2), (1, 1)), lambda size: AdaptiveAveragePool(size, (2, 3)), lambda _: Relu()
    ),
    "ReLU, rounded, exact": network(
        lambda _: Relu(), lambda size: AdaptiveAveragePool(size, (4, 3)), lambda size: AveragePool(size, (2, 2), (2, 1))
    ),
    "rounded, max pool": network(lambda size: AveragePool(size, (2, 3), (1, 1), (0, 1)), lambda _: MaxPool.side_by_side(2)),
    "a divisor of its own": network(lambda size: AveragePool(size, (3, 2), (2, 2), (1, 0), ceil_mode=True, divisor=5)),
}


def of_network(given):
    """(circuit, columns) of random weights and records, as the semantics computes them."""
    stored, trajectory = run(given, CONFIGURATION, random_weights(given))
    circuit = network_circuit(given, CONFIGURATION)
    return circuit, circuit.columns(stored, trajectory)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_proved(name):
    circuit, columns = of_network(NETWORKS[name])
    verify(prove(circuit.relation, columns, zero_knowledge=False), circuit.relation, allow_plain=True)


def test_a_network_whose_scores_are_means_is_proved():
    means = chain((1, 8, 7), ("first", Convolution.over((1, 8, 7), 2, (2, 2))), AdaptiveAveragePool((7, 6), (1, 1)))
    circuit, columns = of_network(means)
    verify(prove(circuit.relation, columns, zero_knowledge=False), circuit.relation, allow_plain=True)


@pytest.mark.parametrize("name", ["exact, rounded, ReLU", "ReLU, rounded, exact"])
@pytest.mark.parametrize("kind", [AveragePool, AdaptiveAveragePool])
def test_networks_with_windows_shifted_by_one_are_rejected(lenient, name, kind):  # noqa: F811
    unpatched = WindowMeans.forward

    def shifted(self, placed, inputs, weights, place):
        return unpatched(self, placed, [np.roll(inputs[0], 1, axis=-2)], weights, place)

    lenient.setattr(kind, "forward", shifted)
    circuit, columns = of_network(NETWORKS[name])
    assert reason_of(circuit.relation, columns) == FALSE_CLAIM


@pytest.mark.parametrize("name", ["exact, rounded, ReLU", "ReLU, rounded, exact"])
@pytest.mark.parametrize("kind", [AveragePool, AdaptiveAveragePool])
def test_networks_with_deltas_that_skip_a_window_are_rejected(lenient, name, kind):  # noqa: F811
    unpatched = WindowMeans.backward

    def skipping(self, placed, inputs, ahead, delta, kind, place):
        skipped = delta.copy()
        skipped[..., 0, 0] = 0
        return unpatched(self, placed, inputs, ahead, skipped, kind, place)

    lenient.setattr(kind, "backward", skipping)
    circuit, columns = of_network(NETWORKS[name])
    assert reason_of(circuit.relation, columns) == FALSE_CLAIM


def test_descriptions():
    for operator in (
        AveragePool((5, 4), (3, 2), (2, 1), (1, 0), ceil_mode=True, count_include_pad=False, divisor=7),
        AdaptiveAveragePool((5, 4), (2, 3)),
    ):
        assert type(operator).of_numbers(operator.numbers()) == operator
        with pytest.raises(ValueError, match="numbers, got 1"):
            type(operator).of_numbers((1,))
        with pytest.raises(ValueError, match=r"size: expected that of its input \(2, 4, 5\), got \(5, 4\)"):
            operator.output_shape([(2, 4, 5)])
    for arguments, message in (
        (((5, 5), (3, 3), (1, 1), (2, 0)), "padding of at most half the kernel"),
        (((5, 5), (6, 3), (1, 1)), "expected windows that fit 5 entries"),
        (((300, 300), (257, 257), (1, 1)), "expected a divisor and sums of factors of at most 65536, got 66049"),
        (
            ((300, 300), (257, 257), (1, 1), (0, 0), False, True, 1),
            "expected a divisor and sums of factors of at most 65536, got 66049",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            AveragePool(*arguments)
