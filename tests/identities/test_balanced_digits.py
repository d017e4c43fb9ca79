"""Balanced digits: unique, complete, tied to their values; and the exhaustive search that says when they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.harness.cheating import FALSE_CLAIM, NOT_IN_TABLE, reason_of, reason_of_cells
from tests.harness.circuit import Operands, circuit_of
from tests.harness.limbs import join
from tests.reference.squares import digits_of
from zkds.errors import PlanRejected
from zkds.identities.balanced_digits import BalancedDigits, BalancedFormat, Decomposition
from zkds.identities.expressions import ONLY, Along
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat, WitnessOverflow
from zkds.lookup import ExplicitTable, RangeTable
from zkds.prover import prove
from zkds.tensors.linear import SumTensor
from zkds.tensors.tensor import Committed
from zkds.verifier import verify

pytestmark = pytest.mark.any_kernels


@pytest.mark.parametrize(
    ("base", "bits", "count"),
    [(1024, 44, 5), (4, 43, 22), (4, 46, 24), (4, 15, 8), (3, 43, 28), (3, 46, 30), (243, 44, 6), (81, 44, 7), (5, 43, 19)],
)
def test_the_least_complete_number_of_digits(base, bits, count):
    number = BalancedFormat.holding(base, Interval.signed(bits))
    assert number.count == count
    short = BalancedFormat(number.limb_bits, 60, True, base, count - 1).interval
    assert short.low > -(1 << bits - 1) or short.high < (1 << bits - 1) - 1
    ends = [number.interval.low, number.interval.high, -(1 << bits - 1), (1 << bits - 1) - 1, 0, 1, -1, base // 2, -(base // 2)]
    values = np.array(ends)
    cells = number.split("v", values)
    assert all(cell.max() < base for cell in cells)
    for i, value in enumerate(ends):
        assert [int(digit[i]) for digit in number.coefficients(cells)] == digits_of(value, base, count)
    for value in (number.interval.low - 1, number.interval.high + 1):
        with pytest.raises(WitnessOverflow, match=r"v: the value at index \(0,\) does not fit"):
            number.split("v", np.array([value]))


@pytest.mark.parametrize("base", [3, 4, 5, 8])
def test_digits_are_unique_by_exhaustion(base):
    """Modulo a tiny number: one solution for every value while digits and values differ by less than it, else more."""
    count = 3
    reach = BalancedFormat((base - 1).bit_length(), 20, True, base, count).interval
    span = reach.high - reach.low
    alphabet = range(-(base // 2), base - base // 2)
    sums = [sum(d * base**j for j, d in enumerate(digits)) for digits in itertools.product(alphabet, repeat=count)]
    assert sorted(sums) == list(range(reach.low, reach.high + 1))
    for modulus in (span + 1, span + 2, span, span // 2):
        solutions = [sum((s - value) % modulus == 0 for s in sums) for value in range(reach.low, reach.high + 1)]
        assert (max(solutions) == 1) == (modulus > span)
        assert min(solutions) >= 1


def committed(name, width, shape):
    return Committed(LimbColumns(name, LimbFormat(16, width, True), shape))


class Example:
    """Digits of a committed tensor, of a part of one with further axes, and of a virtual one."""

    def __init__(self):
        self.a, self.d, self.b = committed("a", 43, (3, 5)), committed("d", 46, (5, 3, 2, 1)), committed("b", 20, (3, 5))
        total = SumTensor("sum", [(self.a, 0), (self.b, 3)])
        self.digits = [
            BalancedDigits("a digits", self.a, 4),
            BalancedDigits("d digits", self.d, 3, (2, 3, 2), (Along(0), 1, 2, ONLY)),
            BalancedDigits("sum digits", total, 1000),
        ]
        self.relation = circuit_of(Operands(self.a, self.d, self.b), Decomposition("digits", self.digits))

    def columns(self):
        rng = np.random.default_rng(3)
        shapes = [(t.name, t.shape, t.columns.format.width) for t in (self.a, self.d, self.b)]
        return self.relation.witness({}, {n: rng.integers(-(1 << w - 1), 1 << w - 1, s) for n, s, w in shapes})


EXAMPLE = Example()


@pytest.mark.parametrize("zero_knowledge", [False, True])
def test_digits_are_proved(zero_knowledge):
    EXAMPLE.relation.check()
    columns = EXAMPLE.columns()
    proof = prove(EXAMPLE.relation, columns, zero_knowledge=zero_knowledge)
    assert verify(proof, EXAMPLE.relation, allow_plain=True).bits >= 100
    stored = join(EXAMPLE.d.columns.format, EXAMPLE.d.columns.limbs(columns))[:2, ..., 0]
    digits = EXAMPLE.digits[1].number.coefficients(EXAMPLE.digits[1].columns.limbs(columns))
    assert (sum(digit * 3**j for j, digit in enumerate(digits)) == stored).all()


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("last", [False, True])
def test_a_digit_that_is_not_the_values_is_rejected(number, last):
    columns = EXAMPLE.columns()
    name = EXAMPLE.digits[number].columns.names[-1 if last else 0]
    cells = columns[name].copy()
    cells.flat[-1 if last else 0] = (cells.flat[-1 if last else 0] + 1) % EXAMPLE.digits[number].base
    assert reason_of_cells(EXAMPLE.relation, columns | {name: cells}) == FALSE_CLAIM


def test_digits_outside_their_range_are_rejected():
    """digit_0 + base and digit_1 - 1 are as good for the identity; only the lookup knows, of whatever size its table is."""
    for digits in EXAMPLE.digits[:2]:
        columns = EXAMPLE.columns()
        low, high = (columns[name].copy() for name in digits.columns.names[:2])
        place = int(np.argmax(high.reshape(-1) > 0))
        low.flat[place] += digits.base
        high.flat[place] -= 1
        changed = columns | dict(zip(digits.columns.names[:2], (low, high), strict=True))
        assert reason_of(EXAMPLE.relation, changed) == NOT_IN_TABLE


def test_tables():
    assert EXAMPLE.digits[0].number.table == RangeTable(2)
    assert EXAMPLE.digits[1].number.table == ExplicitTable.of(np.arange(3, dtype=np.uint32)[:, None])


def test_what_is_refused():
    with pytest.raises(ValueError, match="base: expected 3 to 65536, got 2"):
        BalancedFormat.holding(2, Interval.signed(4))
    with pytest.raises(PlanRejected, match="base 4: 30 digits reach numbers of more than 60 bits"):
        BalancedDigits("x", committed("y", 60, (1,)), 4)
    decomposition = Decomposition("digits", [BalancedDigits("x", committed("y", 43, (1,)), 1024)])
    decomposition.check()
    decomposition.digits[0].operand.tensor.interval = Interval.signed(62)
    with pytest.raises(PlanRejected, match="x: digits and value may differ by p or more"):
        decomposition.check()
