"""Max pools over any windows: against a slow twin and torch, through whole proofs, and by provers that cheat."""

import functools
import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.harness.cheating import dishonest_vector
from tests.harness.whole_proof import reject
from tests.reference import max_pools
from zkds.channel import ProverChannel
from zkds.circuits.operators.max_pool import (
    UnfoldedMaxPool,
    backward,
    differences,
    first_maximum,
    forward,
    input_delta,
    padding_value,
)
from zkds.circuits.operators.pooling import window_sums
from zkds.circuits.operators.unfold import PADDING, Taps, adaptive_unfolding, sliding_unfolding
from zkds.identities.equal import Equal
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.prover import prove, prove_vector
from zkds.statement import Statement
from zkds.tensors.circuit import Circuit
from zkds.tensors.linear import Addend, SumTensor
from zkds.tensors.tensor import ColumnReader, Committed
from zkds.verifier import verify
from zkds_verify.operators import max_windows

pytestmark = pytest.mark.slow

FALSE_CLAIM = "batching: final claim"
NOT_IN_TABLE = "LogUp: what is looked up is not what the tables hold"
WIDTH = 43

# size, window, stride, padding, dilation, ceil_mode
SLIDING = [
    ((7, 7), (3, 3), (2, 2), (0, 0), (1, 1), False),  # AlexNet
    ((8, 6), (3, 3), (2, 2), (1, 1), (1, 1), False),  # ResNet
    ((8, 6), (3, 2), (2, 2), (1, 1), (1, 1), True),
    ((5, 9), (2, 3), (1, 2), (1, 0), (1, 1), False),
    ((5, 5), (2, 2), (3, 3), (1, 1), (1, 1), True),  # the last window would start in the padding
    ((6, 7), (2, 2), (4, 3), (0, 0), (1, 1), False),  # entries in no window
    ((9, 8), (3, 2), (1, 2), (1, 1), (2, 3), False),
    ((7, 5), (2, 3), (3, 2), (1, 1), (3, 1), True),
    ((6, 4), (2, 2), (2, 2), (0, 0), (1, 1), False),  # side by side
    ((3, 1), (3, 1), (1, 1), (0, 0), (1, 1), False),
    ((4, 4), (3, 3), (1, 1), (1, 1), (1, 1), False),
]
ADAPTIVE = [((7, 5), (3, 3)), ((4, 9), (4, 1)), ((5, 3), (7, 2)), ((8, 8), (6, 6))]


def windows_of_torch(x, given):
    if len(given) == 2:
        return functional.adaptive_max_pool2d(x, given[1], return_indices=True)
    _, window, stride, padding, dilation, ceil_mode = given
    return functional.max_pool2d(x, window, stride, padding, dilation, ceil_mode, return_indices=True)


def unfolding_of(given):
    if len(given) == 2:
        return adaptive_unfolding(*given)
    size, window, stride, padding, dilation, ceil_mode = given
    return sliding_unfolding(size, window, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)


def windows_of_twin(given):
    if len(given) == 2:
        return [max_windows.adaptive_windows(*axis) for axis in zip(*given, strict=True)]
    *axes, ceil_mode = given
    return [max_windows.sliding_windows(*axis, ceil_mode) for axis in zip(*axes, strict=True)]


def numbers(shape, seed=1, most=2):
    """Many ties, and windows without a positive entry."""
    return np.random.default_rng(seed).integers(-most, most + 1, shape)


# ---- integers ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", SLIDING + ADAPTIVE, ids=str)
def test_windows_and_ties_are_those_of_torch(given):
    unfolding = unfolding_of(given)
    x = numbers((3, 2, *given[0]))
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    expected, indices = windows_of_torch(leaf, given)
    output, mask = forward(x, unfolding, relu=False)
    assert output.tolist() == expected.tolist()
    flat = np.arange(x[0, 0].size).reshape(given[0])
    chosen = window_sums(mask * unfolding.unfold(flat, 0), unfolding.window)
    assert chosen.tolist() == indices.tolist()
    delta = numbers(output.shape, seed=2, most=1 << 40)
    (expected * torch.tensor(delta, dtype=torch.float64)).sum().backward()
    assert backward(mask, delta, unfolding).tolist() == leaf.grad.tolist()


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("given", SLIDING + ADAPTIVE, ids=str)
def test_integers_are_those_of_the_twin(given, relu):
    unfolding = unfolding_of(given)
    x = numbers((2, 2, *given[0]), seed=3)
    output, mask = forward(x, unfolding, relu=relu)
    delta = numbers(output.shape, seed=4, most=1 << 50)
    deltas = backward(mask, delta, unfolding)
    rows, columns = windows_of_twin(given)
    assert output.shape[2:] == (len(rows), len(columns))
    for index in np.ndindex(2, 2):
        values, places = max_pools.max_pool(x[index].tolist(), rows, columns, relu)
        assert {window: int(output[(*index, *window)]) for window in values} == values
        given_deltas = {window: int(delta[(*index, *window)]) for window in values}
        expected = max_pools.max_pool_backward(given_deltas, places)
        for place in np.ndindex(*given[0]):
            assert deltas[(*index, *place)] == expected[place]


def test_all_small_windows_are_those_of_the_twin():
    cases = itertools.product(range(1, 10), range(1, 5), range(1, 5), range(3), range(1, 4), (False, True))
    for length, taps, stride, padding, dilation, ceil_mode in cases:
        if padding > taps // 2:
            continue
        expected = max_windows.sliding_windows(length, taps, stride, padding, dilation, ceil_mode)
        options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        if not expected or any(set(window) == {None} for window in expected):
            with pytest.raises(ValueError, match="taps: expected windows that"):
                Taps.sliding(length, taps, **options)
        else:
            found = Taps.sliding(length, taps, **options).entries
            assert found.tolist() == [[PADDING if entry is None else entry for entry in window] for window in expected]
    for length, windows in itertools.product(range(1, 12), repeat=2):
        for found, expected in zip(
            Taps.adaptive(length, windows).entries, max_windows.adaptive_windows(length, windows), strict=True
        ):
            assert found[found != PADDING].tolist() == expected


def test_windows_that_are_none():
    for wrong in ({"taps": 0, "stride": 1}, {"taps": 1, "stride": 0}, {"taps": 1, "stride": 1, "dilation": 0}):
        with pytest.raises(ValueError, match="taps: expected at least 1, and steps of at least 1"):
            Taps.sliding(4, **wrong)
    with pytest.raises(ValueError, match="padding of 0 to half of 3, got 2"):
        Taps.sliding(8, 3, stride=2, padding=2)
    with pytest.raises(ValueError, match="windows that fit 2 entries, got a reach of 5"):
        Taps.sliding(2, 3, stride=1, dilation=2)
    with pytest.raises(ValueError, match="windows that meet an entry, at least one lies in the padding"):
        Taps.sliding(1, 2, stride=1, padding=1, dilation=2)
    with pytest.raises(ValueError, match="at least one window, got 0"):
        Taps.adaptive(4, 0)
    for make in (lambda: Taps.sliding(1 << 20, 1 << 19, stride=1), lambda: Taps.adaptive(1 << 20, 1 << 40)):
        with pytest.raises(ValueError, match="taps: expected at most 4194304 along an axis"):
            make()
    for entries in ([[0, 4]], [[-2, 0]], [[]]):
        with pytest.raises(ValueError, match="windows of entries below 4"):
            Taps(4, np.array(entries, dtype=np.int64))


def test_windows_side_by_side_move_nothing():
    unfolding = unfolding_of(SLIDING[8])
    assert unfolding.is_tiling and not unfolding.is_padded
    x = numbers((2, 6, 4))
    assert (unfolding.unfold(x, 0) == x).all() and (unfolding.fold(x) == x).all()
    assert [unfolding_of(given).is_tiling for given in SLIDING] == [given in (SLIDING[8], SLIDING[9]) for given in SLIDING]


# ---- proofs -----------------------------------------------------------------------------------------------------------------


class Pooled:
    """A max pool of committed values, and its way back to committed deltas of the values."""

    def __init__(self, given, relu):
        self.unfolding = unfolding_of(given)
        self.relu = relu
        self.z = self._committed("z", WIDTH, given[0])
        self.pool = UnfoldedMaxPool("pool", self.z, self.unfolding, WIDTH, relu=relu)
        self.delta = self._committed("delta", 46, (self.unfolding.rows.windows, self.unfolding.columns.windows))
        self.input_delta = self._committed("input delta", 52, given[0])
        self.circuit = Circuit("test", b"test")
        back = Equal("back", input_delta("folded", self.pool.pool, self.unfolding, self.delta), self.input_delta)
        for component in (self.pool.pool, self.pool.tie, back):
            self.circuit.add(component)

    def _committed(self, name, width, size):
        return Committed(LimbColumns(name, LimbFormat(16, width, signed=True), (3, 2, 2, *size)))

    def columns(self, values, entries=None, mask=None, output=None, change=None):
        """All columns; where they are given, of other entries, selectors and outputs than those of the values."""
        true_output, true_mask = forward(values, self.unfolding, relu=self.relu)
        entries = self.entries(values) if entries is None else entries
        mask, output = true_mask if mask is None else mask, true_output if output is None else output
        difference = differences(entries, mask, output, self.unfolding.window)
        if change is not None:
            change(difference)
        delta = numbers(self.delta.shape, seed=5, most=1 << 44)
        pool = self.pool.pool
        columns = self.z.columns.split(values) | self.delta.columns.split(delta)
        columns |= self.input_delta.columns.split(backward(mask, delta, self.unfolding))
        columns |= pool.mask.columns.split(mask) | pool.output.columns.split(output)
        return columns | limbs_modulo_p(pool.difference, difference)

    def entries(self, values):
        return self.unfolding.unfold(values, padding_value(WIDTH))


def cells(pool, entries):
    """The columns of the pool on these entries."""
    mask = first_maximum(entries, pool.window, relu=pool.relu)
    output = window_sums(mask * entries, pool.window)
    columns = pool.mask.columns.split(mask) | pool.output.columns.split(output)
    return columns | pool.difference.columns.split(differences(entries, mask, output, pool.window))


def limbs_modulo_p(tensor, values):
    """The limbs of values; of a negative one those of value + p, whose top limb is out of range."""
    values = np.where(values < 0, values + (1 << 61) - 1, values)
    limbs = [values & 0xFFFF, values >> 16 & 0xFFFF, values >> 32]
    return {name: limb.astype(np.uint32) for name, limb in zip(tensor.columns.names, limbs, strict=True)}


@functools.cache
def pooled(given=SLIDING[2], relu=False):
    return Pooled(given, relu)


def extremes(shape):
    """Values of the whole format, its ends among them."""
    values = np.random.default_rng(6).integers(-(1 << 42), 1 << 42, shape)
    values.flat[::3], values.flat[1::7] = (1 << 42) - 1, -(1 << 42)
    return values


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("given", [SLIDING[0], SLIDING[2], SLIDING[6], SLIDING[8], ADAPTIVE[0]], ids=str)
def test_honest_proofs(given, relu):
    case = pooled(given, relu)
    for values in (numbers(case.z.shape), extremes(case.z.shape)):
        columns = case.columns(values)
        verify(prove(case.circuit, columns, zero_knowledge=False), case.circuit, allow_plain=True)


def test_a_zero_knowledge_proof():
    case = pooled()
    verify(prove(case.circuit, case.columns(numbers(case.z.shape))), case.circuit)


def test_a_pool_of_a_wider_sum():
    """Values of 48 bits that are never committed: their differences have a limb more than the output."""
    operands = [Committed(LimbColumns(name, LimbFormat(16, WIDTH, signed=True), (1, 2, 1, 8, 6))) for name in ("a", "b")]
    total = SumTensor("sum", [Addend(operands[0], 4), Addend(operands[1])])
    pool = UnfoldedMaxPool("pool", total, unfolding_of(SLIDING[2]), 48, relu=False)
    circuit = Circuit("test", b"test")
    for component in (pool.pool, pool.tie):
        circuit.add(component)
    columns = {}
    for operand in operands:
        columns |= operand.columns.split(extremes(operand.shape))
    entries = pool.entries.integers(ColumnReader(columns))
    assert (len(pool.pool.output.digits), len(pool.pool.difference.digits)) == (3, 4)
    columns |= cells(pool.pool, entries)
    verify(prove(circuit, columns, zero_knowledge=False), circuit, allow_plain=True)


def test_the_difference_to_the_padding_needs_one_bit_more():
    """The greatest entry, selected, and padding behind it: 2^43."""
    case = pooled(SLIDING[2])
    values = extremes(case.z.shape)
    values[..., -1, :] = (1 << 42) - 1
    output, mask = forward(values, case.unfolding, relu=False)
    difference = differences(case.entries(values), mask, output, case.unfolding.window)
    assert difference.max() == 1 << 43 and case.pool.pool.difference.columns.format.width == 44
    assert pooled(SLIDING[0]).pool.pool.difference.columns.format.width == 43
    case.circuit.check()


# ---- provers that cheat -----------------------------------------------------------------------------------------------------


def reason_of(case, columns, **options):
    statement = Statement(case.circuit)
    proof = prove_vector(statement, dishonest_vector(statement, columns), zero_knowledge=False, **options)
    return reject(proof, case.circuit, allow_plain=True).reason


def window_places(case, h, w):
    """The places of one window of the first image, in row-major order, and whether they are padding."""
    rows, columns = case.unfolding.rows, case.unfolding.columns
    return {
        (0, 0, 0, h * rows.taps + i, w * columns.taps + j): PADDING in (rows.entries[h, i], columns.entries[w, j])
        for i in range(rows.taps)
        for j in range(columns.taps)
    }


def edited(array, changes):
    """A copy with other entries."""
    result = array.copy()
    for place, value in changes.items():
        result[place] = value
    return result


@pytest.mark.parametrize("relu", [False, True])
def test_a_padding_entry_is_selected(relu):
    case = pooled(relu=relu)
    values = numbers(case.z.shape)
    _, mask = forward(values, case.unfolding, relu=relu)
    places = window_places(case, 0, 0)
    padding = next(place for place, is_padding in places.items() if is_padding)
    mask = edited(mask, {place: place == padding for place in places})
    assert reason_of(case, case.columns(values, mask=mask)) == "pool: selection"

    def hide(difference):
        difference[padding] = 0

    # The selected entry is now the output, not the constant.
    assert reason_of(case, case.columns(values, mask=mask, change=hide)) == FALSE_CLAIM


@pytest.mark.filterwarnings("ignore:invalid value")  # the prover's sums of cells that are too large
def test_a_padding_entry_is_the_output():
    """The output is the padding's value, which its format does not hold."""
    case = pooled()
    values = numbers(case.z.shape)
    output, mask = forward(values, case.unfolding, relu=False)
    places = window_places(case, 0, 0)
    padding = next(place for place, is_padding in places.items() if is_padding)
    mask = edited(mask, {place: place == padding for place in places})
    wrong = edited(output, {(0,) * 5: padding_value(WIDTH)})
    difference = differences(case.entries(values), mask, wrong, case.unfolding.window)
    columns = case.columns(values, mask=mask) | limbs_modulo_p(case.pool.pool.difference, difference)
    columns |= limbs_modulo_p(case.pool.pool.output, wrong + (1 << WIDTH - 1))
    assert reason_of(case, columns) == NOT_IN_TABLE


@pytest.mark.parametrize("relu", [False, True])
def test_a_later_maximum_is_selected(relu):
    case = pooled(relu=relu)
    values = np.ones(case.z.shape, dtype=np.int64)
    _, mask = forward(values, case.unfolding, relu=relu)
    first, second, *_ = (place for place, is_padding in window_places(case, 1, 1).items() if not is_padding)
    assert mask[first] == 1
    mask = edited(mask, {first: 0, second: 1})
    assert reason_of(case, case.columns(values, mask=mask)) == NOT_IN_TABLE  # a difference of -1

    def hide(difference):
        difference[first] = 0

    assert reason_of(case, case.columns(values, mask=mask, change=hide)) == FALSE_CLAIM  # another entry than the value


@pytest.mark.parametrize("relu, reason", [(False, FALSE_CLAIM), (True, "pool: windows")])
def test_nothing_is_selected(relu, reason):
    """The output is one more than the maximum: no entry contradicts it."""
    case = pooled(relu=relu)
    values = np.ones(case.z.shape, dtype=np.int64)
    output, mask = forward(values, case.unfolding, relu=relu)
    mask = edited(mask, dict.fromkeys(window_places(case, 1, 1), 0))
    columns = case.columns(values, mask=mask, output=edited(output, {(0, 0, 0, 1, 1): 2}))
    assert reason_of(case, columns) == reason


@pytest.mark.parametrize("relu, reason", [(False, FALSE_CLAIM), (True, "pool: windows")])
def test_two_are_selected(relu, reason):
    """An entry, and a later one that is larger by 1: both differences are 0."""
    case = pooled(relu=relu)
    places = [place for place, is_padding in window_places(case, 1, 1).items() if not is_padding]
    rows, columns = case.unfolding.rows.entries.reshape(-1), case.unfolding.columns.entries.reshape(-1)
    values = np.zeros(case.z.shape, dtype=np.int64)
    first, second = places[0], places[-1]
    values[0, 0, 0, rows[first[3]], columns[first[4]]] = 1
    values[0, 0, 0, rows[second[3]], columns[second[4]]] = 2
    output, mask = forward(values, case.unfolding, relu=relu)
    assert mask[second] == 1
    columns = case.columns(values, mask=edited(mask, {first: 1}), output=edited(output, {(0, 0, 0, 1, 1): 1}))
    assert reason_of(case, columns) == reason


@pytest.mark.parametrize("relu", [False, True])
def test_an_unfolded_entry_that_is_not_the_values(relu):
    """One window of several sees another value; then the padding has one."""
    case = pooled(relu=relu)
    values = numbers(case.z.shape)
    entries = case.entries(values)
    places = window_places(case, 1, 1)
    inside = next(place for place, is_padding in places.items() if not is_padding)
    padding = next(place for place, is_padding in window_places(case, 0, 0).items() if is_padding)
    for place in (inside, padding):
        wrong = edited(entries, {place: 5})
        columns = case.columns(values) | cells(case.pool.pool, wrong)
        assert reason_of(case, columns) == FALSE_CLAIM


@pytest.mark.parametrize("skipped", [0, 1])
def test_deltas_that_are_not_those_of_all_windows(skipped):
    """A delta that counts in one of its windows only, and one in no window at all."""
    case = pooled()
    values = np.zeros(case.z.shape, dtype=np.int64)
    values[:, :, :, 3, 2] = 1  # the maximum of several windows
    columns = case.columns(values)
    name = "input delta/0"
    place = (0, 0, 0, 3, 2) if skipped else (0, 0, 0, 4, 3)
    changed = edited(columns[name], {place: columns[name][place] ^ 1})
    assert reason_of(case, columns | {name: changed}) == FALSE_CLAIM


@pytest.mark.parametrize(
    "label, reason",
    [
        ("pool: unfolding: value", FALSE_CLAIM),
        ("pool: input: shares", FALSE_CLAIM),
        ("back: value", "folded, unfolded: product of the factors"),
        ("folded, unfolded: factors", "folded, unfolded: product of the factors"),
        ("pool: selection: values", "pool: selection"),
    ],
)
def test_false_messages(label, reason):
    class Lying(ProverChannel):
        def send(self, name, values):
            super().send(name, [values[0] + (name == label), *values[1:]])

    case = pooled()
    assert reason_of(case, case.columns(numbers(case.z.shape)), channel_type=Lying) == reason
