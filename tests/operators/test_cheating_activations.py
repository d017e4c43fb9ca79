"""Clamps, LeakyReLU and smooth functions in proofs; provers that take one step wrongly, or move one cell."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.harness.alone import CONFIGURATION, NAME, Alone
from tests.harness.cheating import dishonest_vector, row_numbers
from tests.harness.circuit import network_circuit, random_weights, run
from tests.harness.whole_proof import LIGERO_REASON, reject
from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.operators import smooth
from zkds.circuits.operators.add import Add
from zkds.circuits.operators.average_pool import AveragePool
from zkds.circuits.operators.clamp import Clamp
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.leaky_relu import LeakyRelu
from zkds.identities.block import Block
from zkds.identities.equal import Equal
from zkds.lookup import RangeTable
from zkds.prover import prove, prove_vector
from zkds.statement import Statement
from zkds.tensors.tensor import ColumnReader
from zkds.verifier import verify

pytestmark = pytest.mark.slow

FALSE_CLAIM = "batching: final claim"
NOT_IN_TABLE = "LogUp: what is looked up is not what the tables hold"
ONE = 1 << 32
RELU6 = Clamp.of(Fraction(0), Fraction(6))
CLAMP = Clamp.of(Fraction(-1, 2), Fraction(1, 3), inclusive=True)
LEAKY = LeakyRelu.of(Fraction(1, 100))
GELU, TANH = smooth.Gelu(), smooth.Tanh()
OPERATORS = (RELU6, CLAMP, LEAKY, GELU, smooth.GeluTanh(), smooth.Sigmoid(), smooth.Silu(), TANH)
BY_NAME = pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.KIND)


@functools.cache
def alone(operator, bits=32, delta_bits=0):
    return Alone(operator, bits=bits, delta_bits=delta_bits)


def arguments(bits=32):
    """(inputs, deltas): 0, both bounds of ReLU6 and their neighbours, saturated ones, both ends, and random ones."""
    generator = np.random.default_rng(4)
    given = [0, 1, -1, 6 * ONE, 6 * ONE - 1, 6 * ONE + 1, 9 * ONE + 5, -9 * ONE, 40 * ONE + 3, -40 * ONE]
    given = [x << bits - 32 for x in given] + [-(1 << 10 + bits), (1 << 10 + bits) - 1]
    inputs = np.array(given + generator.integers(-3 << bits, 3 << bits, 60).tolist(), dtype=np.int64)
    inputs[12] = ONE + 12345 << bits - 32
    shape = (CONFIGURATION.passes, CONFIGURATION.batch_size, 2, 2, 3)
    return inputs.reshape(shape), generator.integers(-(1 << 40), 1 << 40, shape)


# ---- true ones --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", [CLAMP, LEAKY, smooth.GeluTanh()], ids=lambda operator: operator.KIND)
def test_a_run_of_the_semantics_is_proved(operator):
    made = alone(operator)
    columns = made.columns(made.values(*arguments()))
    verify(prove(made.relation, columns, zero_knowledge=False), made.relation, allow_plain=True)


@pytest.mark.parametrize("operator", [RELU6, LEAKY, GELU], ids=lambda operator: operator.KIND)
def test_between_average_pools(operator):
    made = alone(operator, bits=36, delta_bits=2)
    inputs, deltas = arguments(36)
    inputs.flat[11] -= 8  # its rounding to 32 bits would not fit
    verify(prove(made.relation, made.columns(made.values(inputs, deltas))), made.relation)


def network():
    """All operators in one network: behind convolutions, behind each other, behind a sum, behind and before an average pool."""
    first, last = Convolution.over((2, 4, 4), 2, (3, 3), padding=(1, 1)), Convolution.dense(3, (2, 2, 2))
    middle = Convolution.over((2, 4, 4), 2, (1, 1))
    return Network(
        (2, 4, 4),
        (
            Node(first, (0,), "first"),
            Node(GELU, (1,)),
            Node(smooth.Sigmoid(), (2,)),
            Node(LEAKY, (1,)),
            Node(Add(), (3, 4)),
            Node(TANH, (5,)),
            Node(middle, (6,), "middle"),
            Node(RELU6, (7,)),
            Node(AveragePool.side_by_side((2, 4, 4), 2), (8,)),
            Node(CLAMP, (9,)),
            Node(smooth.Silu(), (10,)),
            Node(last, (11,), "last"),
        ),
    )


def test_a_network_of_them_is_proved():
    made = network()
    stored, trajectory = run(made, CONFIGURATION, random_weights(made, bits=39))
    circuit = network_circuit(made, CONFIGURATION)
    columns = circuit.columns(stored, trajectory)
    verify(prove(circuit.relation, columns, zero_knowledge=False), circuit.relation, allow_plain=True)
    assert Network.decode(made.encode()) == made


def test_an_activation_represents_the_convolutions_output():
    """No committed cells for what it is given, and none for what a smooth function or a clamp makes."""
    made = network()
    names = {tensor.name for tensor in network_circuit(made, CONFIGURATION).relation.committed}
    assert "middle: output" not in names
    assert {"gelu 2: output", "tanh 6: output", "clamp 8: output"}.isdisjoint(names)


CELLS = {"clamp": 8, "leaky relu": 18, "gelu": 28, "gelu tanh": 28, "silu": 28, "sigmoid": 27, "tanh": 27}


@BY_NAME
def test_cells_of_an_activation(operator):
    """The limbs of one entry: of input, output (where it is committed), remainders, carries and the input's delta."""
    made = alone(operator)
    count = sum(column.name.startswith(f"{NAME}: ") for column in made.relation.columns)
    assert count == CELLS[operator.KIND]


# ---- every cell, on the integers --------------------------------------------------------------------------------------------


def value_of(tensor, reader):
    return sum(table.astype(object) << 16 * j for j, table in enumerate(tensor.tables(reader)))


def broken(made, columns):
    """What does not hold: names of identities and of equal tensors, and columns whose rows are in no table."""
    reader, found = ColumnReader(columns), []
    for component in made.relation.components:
        if isinstance(component, Equal) and (value_of(component.left, reader) != value_of(component.right, reader)).any():
            found.append(component.name)
        for identity in component.identities if isinstance(component, Block) else ():
            total = 0
            for term in identity.expression.terms:
                factors = [value_of(operand.tensor, reader) for operand in term.factors]
                total = total + functools.reduce(lambda a, b: a * b, factors, term.coefficient)
            found += [identity.name] if np.any(total) else []
    for lookup in made.relation.lookups:
        rows = zip(*(columns[name].reshape(-1).tolist() for name in (lookup.primary, *lookup.secondary)), strict=True)
        inside = (
            (lambda row, size=lookup.table.rows: row[0] < size)
            if isinstance(lookup.table, RangeTable)
            else row_numbers(lookup.table).__contains__
        )
        found += [] if all(map(inside, rows)) else [lookup.primary]
    return found


@BY_NAME
def test_every_cell_has_one_value(operator):
    """One cell of each column, moved by one either way: an identity, a tie or a table says no. Carries: see the next test."""
    made = alone(operator)
    honest = made.columns(made.values(*arguments()))
    assert broken(made, honest) == []
    generator = np.random.default_rng(5)
    for name, step in itertools.product(sorted(honest), (1, -1)):
        if name.startswith(("delta/", "inputs/")) or ": carry " in name:
            continue
        changed = honest[name].copy()
        index = generator.integers(changed.size)
        changed.flat[index] = max(0, int(changed.flat[index]) + step) or 1
        if changed.flat[index] != honest[name].flat[index]:
            assert broken(made, honest | {name: changed}), name


@pytest.mark.parametrize("operator", [LEAKY, GELU], ids=lambda operator: operator.KIND)
def test_carries_have_one_value(operator):
    made = alone(operator)
    honest = made.columns(made.values(*arguments()))
    for name in (name for name in honest if ": carry " in name):
        changed = honest[name].copy()
        changed.flat[7] ^= 1
        assert reason_of(made, honest | {name: changed}) == FALSE_CLAIM


def reason_of(made, columns, *, zero_knowledge=False):
    statement = Statement(made.relation)
    proof = prove_vector(statement, dishonest_vector(statement, columns), zero_knowledge=zero_knowledge)
    return reject(proof, made.relation, allow_plain=True).reason


# ---- one step wrong, the rest consistent ------------------------------------------------------------------------------------


class Lie:
    """Values of an honest run, to be changed at one entry, and the columns that follow from them."""

    def __init__(self, operator, entry):
        self.made = alone(operator)
        self.entry = entry
        self.values = self.made.values(*arguments())

    def get(self, name):
        return int(self.values[self._name(name)].flat[self.entry])

    def put(self, name, value):
        changed = self.values[self._name(name)].astype(np.int64)
        changed.flat[self.entry] = value
        self.values[self._name(name)] = changed

    def _name(self, name):
        return name if name in self.values else f"{NAME}: {name}"

    def columns(self):
        """Carries follow; what the relation would derive from the argument is committed as it is here."""
        found = self.made.columns(self.values)
        for tensor in self.made.relation.committed:
            if tensor.name in self.values:
                found |= tensor.columns.split(self.values[tensor.name].astype(np.int64).reshape(tensor.shape))
        return found

    def reason(self, *, zero_knowledge=False):
        return reason_of(self.made, self.columns(), zero_knowledge=zero_knowledge)


class SmoothLie(Lie):
    """Committed derived values as well, which the semantics does not keep."""

    def __init__(self, operator, entry):
        super().__init__(operator, entry)
        found = smooth.smooth(operator.FUNCTION, self.values["inputs"])
        cells = self.made.built.cells
        self.values |= {tensor.name: values for tensor, values in cells.derived(found)}
        self.function = operator.FUNCTION

    def put_row(self, names, row):
        """The entries of another cell of the function's tables."""
        tables = self.function.tables
        value, third = int(tables.value[row]), int(tables.third[row])
        entries = {
            "row": row,
            "value low": value & 0xFFFF,
            "value high": value >> 16,
            "third": third,
            "row and third": (row << 10) + third + 512,
            "first": int(tables.first[row]) + smooth.SLOPE_OFFSET,
            "second": int(tables.second[row]) + (1 << 16 + self.function.cell_bits),
        }
        for name in names:
            self.put(name, entries[name])

    def follow(self):
        """curvature, slope, step, output and delta as the committed entries have them."""
        j = self.function.cell_bits
        get = self.get
        r = (get("part") << 24 - j) + get("rest") - (1 << 31 - j)
        self.put("curvature", get("third") * (get("part") - 128))
        second = get("second") - (1 << 16 + j) - get("curvature")
        bend, remainder = divmod(r * second + (1 << 17 + j), 1 << 18 + j)
        self.put("slope", get("first") + bend)
        self.put("slope: remainder", remainder)
        self.follow_slope()

    def follow_slope(self):
        """step, output and delta as the committed slope has them."""
        get, j = self.get, self.function.cell_bits
        r = (get("part") << 24 - j) + get("rest") - (1 << 31 - j)
        step, remainder = divmod(r * (get("first") + get("slope") - (1 << 30)) + (1 << 30), 1 << 31)
        self.put("step", step)
        self.put("step: remainder", remainder)
        excess = get("excess") << 32 if self.function.identity else 0
        self.put("result", get("value low") + (get("value high") << 16) + step + excess)
        self.follow_delta()

    def follow_delta(self):
        delta, remainder = divmod((self.get("slope") - (1 << 29)) * self.get("delta") + (1 << 29), 1 << 30)
        for name, value in (("input delta", delta), ("input gradient: remainder", remainder), ("result delta", delta)):
            self.put(name, value)


NEAR_ONE, FAR, FAR_LEFT, AT_ZERO, AT_SIX, ABOVE = 12, 8, 9, 0, 3, 6
DERIVATIVES = ("third", "row and third", "first", "second")


def another_row():
    """Value and derivatives of the next cell."""
    lie = SmoothLie(TANH, NEAR_ONE)
    lie.put_row(("row", "value low", "value high", *DERIVATIVES), lie.get("row") + 1)
    lie.follow()
    return lie


def another_cells_value():
    lie = SmoothLie(GELU, NEAR_ONE)
    row = lie.get("row")
    lie.put_row(("value low", "value high"), row - 1)
    lie.follow()
    return lie


def another_cells_derivatives():
    """Of the next cell, in a row of their table; the value is that of the argument's cell."""
    lie = SmoothLie(GELU, NEAR_ONE)
    lie.put_row(DERIVATIVES, lie.get("row") + 1)
    lie.follow()
    return lie


def derivatives_in_no_row():
    """Those of the next cell under this cell's number."""
    lie = SmoothLie(GELU, NEAR_ONE)
    row = lie.get("row")
    lie.put_row(("first", "second"), row + 1)
    lie.follow()
    return lie


def saturated_within():
    """tanh(1) is called 1: its unit interval is the last one."""
    lie = SmoothLie(TANH, NEAR_ONE)
    unit = 2 * lie.function.bound - 1
    lie.put("unit", unit)
    lie.put_row(("row", "value low", "value high", *DERIVATIVES), (unit << lie.function.cell_bits) + lie.get("cell"))
    lie.follow()
    return lie


def saturated_elsewhere():
    """The same, with a whole part for which it is true: then the parts are those of another argument."""
    lie = saturated_within()
    lie.put("whole", lie.function.bound)
    return lie


def not_saturated():
    """GELU(40) is looked up in the cell of 6."""
    lie = SmoothLie(GELU, FAR)
    unit = lie.function.bound + 6
    lie.put("unit", unit)
    lie.put_row(("row", "value low", "value high", *DERIVATIVES), (unit << lie.function.cell_bits) + lie.get("cell"))
    lie.follow()
    return lie


def the_other_asymptote():
    """GELU(-40) is called -40: the last cell, and no excess."""
    lie = SmoothLie(GELU, FAR_LEFT)
    unit = 2 * lie.function.bound - 1
    lie.put("unit", unit)
    lie.put_row(("row", "value low", "value high", *DERIVATIVES), (unit << lie.function.cell_bits) + lie.get("cell"))
    lie.follow()
    return lie


def without_excess():
    lie = SmoothLie(GELU, FAR)
    lie.put("excess", 0)
    lie.follow()
    return lie


def a_slope_rounded_down():
    lie = SmoothLie(GELU, NEAR_ONE)
    lie.put("slope", lie.get("slope") - 1)
    lie.follow_slope()
    return lie


def a_step_rounded_down():
    lie = SmoothLie(GELU, NEAR_ONE)
    lie.put("step", lie.get("step") - 1)
    lie.put("result", lie.get("result") - 1)
    return lie


def slope_of_another_entry():
    """Only the way back is wrong: the delta is multiplied by 1."""
    lie = SmoothLie(GELU, NEAR_ONE)
    for name in ("input delta", "result delta"):
        lie.put(name, lie.get("delta"))
    return lie


def clamp_flipped(name, entry):
    """One of the clamp's bits the other way, output and delta accordingly."""
    lie = Lie(RELU6, entry)
    lie.put(name, 1 - lie.get(name))
    x, low, high = lie.get("inputs"), lie.get("past low"), lie.get("past high")
    lie.put("result", (low - high) * x + high * 6 * ONE)
    lie.put("result delta", (low - high) * lie.get("delta"))
    return lie


def other_threshold():
    """At 6 the delta passes: the distance is that from 6 and one more unit."""
    lie = Lie(RELU6, AT_SIX)
    lie.put("from high", -1)
    lie.put("past high", 0)
    lie.put("result delta", lie.get("delta"))
    return lie


def unclamped():
    lie = Lie(RELU6, ABOVE)
    lie.put("result", lie.get("inputs"))
    return lie


def clamp_unmasked():
    lie = Lie(RELU6, ABOVE)
    lie.put("result delta", lie.get("delta"))
    return lie


def leaky_flipped():
    """At 0 the delta passes as it is."""
    lie = Lie(LEAKY, AT_ZERO)
    lie.put("positive", 1)
    for name in ("input delta", "result delta"):
        lie.put(name, lie.get("delta"))
    lie.put("input gradient: remainder", 1 << 31)
    return lie


def leaky_off_by_one():
    """0 is committed as 1, which is positive."""
    lie = leaky_flipped()
    lie.put("less one", 0)
    return lie


def leaky_unscaled():
    lie = Lie(LEAKY, FAR_LEFT)
    for name in ("input delta", "result delta"):
        lie.put(name, lie.get("delta"))
    return lie


def leaky_rounded_down():
    lie = Lie(LEAKY, 2)
    for name in ("output", "result"):
        lie.put(name, lie.get(name) - 1)
    return lie


LIES = {
    another_row: FALSE_CLAIM,
    another_cells_value: NOT_IN_TABLE,
    another_cells_derivatives: FALSE_CLAIM,
    derivatives_in_no_row: NOT_IN_TABLE,
    saturated_within: NOT_IN_TABLE,
    saturated_elsewhere: FALSE_CLAIM,
    not_saturated: NOT_IN_TABLE,
    the_other_asymptote: NOT_IN_TABLE,
    without_excess: NOT_IN_TABLE,
    a_slope_rounded_down: FALSE_CLAIM,
    a_step_rounded_down: FALSE_CLAIM,
    slope_of_another_entry: FALSE_CLAIM,
    functools.partial(clamp_flipped, "past low", AT_ZERO): NOT_IN_TABLE,
    functools.partial(clamp_flipped, "past high", AT_SIX): NOT_IN_TABLE,
    functools.partial(clamp_flipped, "past high", ABOVE): NOT_IN_TABLE,
    other_threshold: FALSE_CLAIM,
    unclamped: FALSE_CLAIM,
    clamp_unmasked: "node: delta: product of the factors",
    leaky_flipped: NOT_IN_TABLE,
    leaky_off_by_one: FALSE_CLAIM,
    leaky_unscaled: FALSE_CLAIM,
    leaky_rounded_down: FALSE_CLAIM,
}


def name_of(tell):
    return tell.__name__ if not isinstance(tell, functools.partial) else " ".join(map(str, (tell.func.__name__, *tell.args)))


@pytest.mark.parametrize("tell", LIES, ids=name_of)
def test_lies_are_rejected(lenient, tell):
    assert tell().reason() == LIES[tell]


def test_in_zero_knowledge_the_proof_does_not_say_why(lenient):
    assert another_row().reason(zero_knowledge=True) == LIGERO_REASON


def test_the_lenient_prover_is_accepted_if_nothing_is_wrong(lenient):
    lie = SmoothLie(GELU, NEAR_ONE)
    lie.follow()
    statement = Statement(lie.made.relation)
    proof = prove_vector(statement, dishonest_vector(statement, lie.columns()), zero_knowledge=False)
    verify(proof, lie.made.relation, allow_plain=True)
