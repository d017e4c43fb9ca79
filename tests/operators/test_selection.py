"""Virtual tensors: digits against plain numpy, intervals, and claims with any weights through the real prover and verifier."""

import functools
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.harness.circuit import Operands, circuit_of
from tests.harness.whole_proof import reject
from zkds.circuits.operators.averages import Means, WindowSpread, WindowSums, sliding
from zkds.circuits.operators.masked import Masked
from zkds.circuits.operators.max_pool import MaxPool, differences, first_maximum
from zkds.circuits.operators.parameter import WeightTensor
from zkds.circuits.operators.pooling import window_sums
from zkds.circuits.operators.records import InputTensor, RecordColumn
from zkds.circuits.operators.relu import Sign
from zkds.circuits.operators.unfold import Folded, Taps, Unfolded, Unfolding
from zkds.commit.layout import Column
from zkds.errors import PlanRejected
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.prover import prove
from zkds.soundness import algebraic
from zkds.tensors.axes import EqAxis, VectorAxis
from zkds.tensors.circuit import Component
from zkds.tensors.contraction import weighted_sum
from zkds.tensors.linear import Addend, SumTensor
from zkds.tensors.tensor import ColumnReader, Committed
from zkds.verifier import verify

pytestmark = pytest.mark.slow

SHAPE = (3, 2, 3, 4, 6)  # P, B, C, H, W
FALSE_CLAIM = "batching: final claim"


@dataclass
class Case:
    """A virtual tensor over committed ones, its values in plain numpy, and what else the relation needs."""

    tensor: object
    values: np.ndarray
    columns: dict
    committed: list
    parts: list = field(default_factory=list)


class Asked(Component):
    """Three claims on a tensor: at a point, with any weights along every axis, with a point along all axes but the first."""

    name = "asked"
    tensors = ()

    def __init__(self, tensor, error=0):
        self.tensor = tensor
        self.tensors = (tensor,)
        self.error = error

    def _weights(self, channel):
        term = algebraic("asked", 1, "1/|K|", "test")
        shape = self.tensor.shape
        points = [EqAxis(n, tuple(channel.challenge(term) for _ in range((n - 1).bit_length()))) for n in shape]
        vectors = [VectorAxis.of([channel.challenge(term) for _ in range(n)]) for n in shape]
        for axes in (points, vectors, [vectors[0], *points[1:]]):
            yield axes, [channel.challenge(term) for _ in self.tensor.digits]

    def prove(self, context):
        tables = self.tensor.tables(context.reader)
        for axes, digit_weights in self._weights(context.channel):
            value = weighted_sum(tables, self.tensor.digits, axes, digit_weights) + self.error
            context.channel.send("asked", [value])
            context.book.add(self.tensor, axes, digit_weights, value)

    def verify(self, context):
        for axes, digit_weights in self._weights(context.channel):
            (value,) = context.channel.receive("asked", 1)
            context.book.add(self.tensor, axes, digit_weights, value)


def committed(name, width, shape, values, *, signed=True):
    tensor = Committed(LimbColumns(name, LimbFormat(16, width, signed), shape))
    return tensor, tensor.columns.split(values)


def random_values(width, shape, seed=1):
    return np.random.default_rng(seed).integers(-(1 << (width - 1)), 1 << (width - 1), shape)


def masked():
    deltas, mask = random_values(46, (3, 2, 3, 2, 3)), np.random.default_rng(2).integers(0, 2, SHAPE)
    tensor, columns = committed("delta", 46, deltas.shape, deltas)
    bits, more = committed("mask", 1, SHAPE, mask, signed=False)
    return Case(Masked("masked", bits, tensor, (2, 2)), mask * big(deltas), columns | more, [tensor, bits])


def big(values, size=2):
    return values.repeat(size, axis=-2).repeat(size, axis=-1)


def relu():
    values = random_values(41, SHAPE)
    values.flat[:4] = (0, -1, 1, -(1 << 40))
    tensor, columns = committed("values", 41, SHAPE, values)
    part = Sign("sign", tensor, "bit")
    columns |= part.bit.columns.split((values >= 0).astype(np.int64))
    return Case(Masked("output", part.bit, tensor), np.maximum(values, 0), columns, [tensor], [part])


def max_pool(with_relu=True, window=(2, 2)):
    values = random_values(5, SHAPE)  # ties and zeros in most windows
    part = MaxPool("pool", SHAPE, window, 41, relu=with_relu)
    mask = first_maximum(values, window, relu=with_relu)
    output = window_sums(mask * values, window)
    columns = part.mask.columns.split(mask) | part.output.columns.split(output)
    columns |= part.difference.columns.split(differences(values, mask, output, window))
    return Case(part.values, values, columns, [], [part])


def average():
    values = random_values(41, SHAPE)
    tensor, columns = committed("values", 41, SHAPE, values)
    sums = values.reshape(3, 2, 3, 2, 2, 3, 2).sum(axis=(4, 6))
    means = Means(sliding(4, 2, 2, 0), sliding(6, 2, 2, 0))
    return Case(WindowSums("average", tensor, means), sums, columns, [tensor])


def repeated():
    values = random_values(41, SHAPE)
    tensor, columns = committed("values", 41, SHAPE, values)
    means = Means(sliding(12, 3, 3, 0), sliding(18, 3, 3, 0))
    return Case(WindowSpread("repeated", tensor, means), big(values, 3), columns, [tensor])


def image_input():
    stored = np.random.default_rng(3).integers(0, 256, (2, 2, 3, 4, 5))
    elements = Committed(RecordColumn(Column("record elements", stored.shape)))
    slopes, constants = [16843009, 73560000, -5], [0, -7295000000, 12]
    by_channel = (np.array(numbers)[:, None, None] for numbers in (slopes, constants))
    values = stored * next(by_channel) + next(by_channel)
    columns = {"record elements": stored.astype(np.uint32)}
    tensor = InputTensor("input", elements, 1, slopes, constants)
    return Case(tensor, np.concatenate([values, values[:1]]), columns, [elements])


def vector_input():
    stored = np.random.default_rng(3).integers(0, 1 << 16, (2, 2, 7))
    elements = Committed(RecordColumn(Column("record elements", (*stored.shape, 2))))
    values = (stored << 20) - (1 << 35)
    columns = {"record elements": np.stack([stored & 255, stored >> 8], axis=-1).astype(np.uint32)}
    tensor = InputTensor("input", elements, 2, [1 << 20] * 7, [-(1 << 35)] * 7)
    return Case(tensor, np.concatenate([values, values[:1]])[..., None, None], columns, [elements])


def weights(first_only=False):
    shape = (3, 2)
    start, updates, perturbations = (
        random_values(44, shape, 4),
        random_values(44, (2, *shape), 5),
        random_values(44, (2, *shape), 6),
    )
    updates >>= 13
    parts = [committed("start", 44, shape, start), committed("update", 32, (2, *shape), updates)]
    parts += [] if first_only else [committed("perturbation", 44, (2, *shape), perturbations)]
    tensors = [tensor for tensor, _ in parts]
    columns = {name: cells for _, made in parts for name, cells in made.items()}
    first = np.stack([start, start - updates[0], start - updates[0] - updates[1]])
    values = first if first_only else np.concatenate([first, first[:2] + perturbations])
    tensor = WeightTensor("weights", 3, tensors[0], tensors[1], None if first_only else tensors[2])
    return Case(tensor, values, columns, tensors)


def sums():
    numbers = [random_values(width, SHAPE, seed) for width, seed in ((41, 7), (30, 8), (12, 9))]
    pairs = [
        committed(f"t{j}", width, SHAPE, values) for j, (width, values) in enumerate(zip((41, 30, 12), numbers, strict=True))
    ]
    (a, b, c), columns = (tensor for tensor, _ in pairs), {name: cells for _, made in pairs for name, cells in made.items()}
    tensor = SumTensor("sum", [Addend(a), Addend(b, 16), Addend(c, 37, -1), Addend(b, 3, -1)])
    a, b, c = (values.astype(object) for values in numbers)
    return Case(tensor, a + (b << 16) - (c << 37) - (b << 3), columns, list(tensor.sources[:3]))


def unfolded(fold=False):
    unfolding = Unfolding(
        Taps.sliding(4, 3, stride=2, padding=1, ceil_mode=True), Taps.sliding(6, 2, stride=2, padding=1, dilation=3)
    )
    padding = -(1 << 40) - 1
    shape = (*SHAPE[:3], 9, 6) if fold else SHAPE
    values = random_values(41, shape)
    tensor, columns = committed("values", 41, shape, values)
    if fold:
        expected = np.zeros(SHAPE, dtype=np.int64)
        for (row, column), place in places(unfolding):
            expected[..., row, column] += values[(..., *place)]
        return Case(Folded("folded", tensor, unfolding), expected, columns, [tensor])
    expected = np.full((*SHAPE[:3], 9, 6), padding)
    for (row, column), place in places(unfolding):
        expected[(..., *place)] = values[..., row, column]
    return Case(Unfolded("unfolded", tensor, unfolding, padding), expected, columns, [tensor])


def places(unfolding):
    """((row, column), its row and column in the unfolded tensor), wherever a tap meets an entry."""
    rows, columns = (
        [(entry, k) for k, entry in enumerate(taps.entries.reshape(-1)) if entry >= 0]
        for taps in (unfolding.rows, unfolding.columns)
    )
    return [((row, column), (y, x)) for row, y in rows for column, x in columns]


CASES = {
    "unfolded": unfolded,
    "folded": functools.partial(unfolded, fold=True),
    "input of max pool with rectangular windows": functools.partial(max_pool, window=(2, 3)),
    "sum": sums,
    "masked": masked,
    "ReLU": relu,
    "input of max pool and ReLU": max_pool,
    "input of max pool": functools.partial(max_pool, with_relu=False),
    "average pool": average,
    "repeated": repeated,
    "images": image_input,
    "vectors of int16": vector_input,
    "weights": weights,
    "weights of first passes": functools.partial(weights, first_only=True),
}


@functools.cache
def case(name):
    return CASES[name]()


@pytest.mark.parametrize("name", CASES)
def test_digits_are_those_of_the_values(name):
    given = case(name)
    tables = given.tensor.tables(ColumnReader(given.columns))
    assert given.tensor.shape == given.values.shape
    assert (sum(table.astype(object) << 16 * j for j, table in enumerate(tables)) == given.values).all()
    for table, interval in zip(tables, given.tensor.digits, strict=True):
        assert interval.low <= table.min() and table.max() <= interval.high
    assert given.tensor.interval.low <= given.values.min() and given.values.max() <= given.tensor.interval.high
    for index in range(given.tensor.shape[0]):
        entry = given.tensor.tables_at(ColumnReader(given.columns), index)
        assert all(np.array_equal(part, table[index]) for part, table in zip(entry, tables, strict=True))


def test_max_pool_with_products_beyond_p_is_refused():
    with pytest.raises(PlanRejected, match="pool: windows of 8 x 8 are too large"):
        MaxPool("pool", (1, 1, 1, 8, 8), (8, 8), 56, relu=True).check()


def relation(given, error=0):
    return circuit_of(Asked(given.tensor, error), *given.parts, Operands(*given.committed))


@pytest.mark.parametrize("name", CASES)
def test_claims_are_proved(name):
    given = case(name)
    made = relation(given)
    verify(prove(made, given.columns, zero_knowledge=False), made, allow_plain=True)


@pytest.mark.parametrize("name", CASES)
def test_false_claims_are_rejected(name):
    given = case(name)
    proof = prove(relation(given, error=1), given.columns, zero_knowledge=False)
    expected = {"masked": "masked: product of the factors", "ReLU": "output: product of the factors"}
    assert reject(proof, relation(given), allow_plain=True).reason == expected.get(name, FALSE_CLAIM)
