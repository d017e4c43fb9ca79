"""Remainders, carries and outputs in limbs of more than 16 bits, and limbs that leave their ranges."""

import functools

import numpy as np
import pytest

from tests.harness.cheating import FALSE_CLAIM, NOT_IN_TABLE, reason_of
from tests.harness.circuit import Operands, circuit_of
from tests.harness.limbs import join
from zkds.circuits.operators.channel_products import ChannelProducts
from zkds.errors import PlanRejected
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.identity import IdentityPlan
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.lookup import RangeTable
from zkds.prover import prove
from zkds.tensors.tensor import ColumnReader, Committed
from zkds.verifier import verify

SHIFT, OUT_WIDTH = 40, 52


def committed(name, number, shape):
    return Committed(LimbColumns(name, number, shape))


class Example:
    """out = round(w a / 2^40) of one product for each entry, in limbs of 16 bits and in others; its honest columns."""

    def __init__(self, limb_bits):
        generator = np.random.default_rng(1)
        shapes = {"w": (44, (2, 3)), "a": (48, (2, 2, 3, 1, 1))}
        self.values = {name: generator.integers(-(1 << w - 1), 1 << w - 1, shape) for name, (w, shape) in shapes.items()}
        w, a = (committed(name, LimbFormat(16, width, True), shape) for name, (width, shape) in shapes.items())
        exact = self.values["a"].astype(object) * self.values["w"].reshape(2, 1, 3, 1, 1).astype(object)
        self.sums, self.outputs = [], []
        columns = w.columns.split(self.values["w"]) | a.columns.split(self.values["a"])
        for bits in (16, limb_bits):
            out = committed(f"{bits}: out", LimbFormat.within(bits, OUT_WIDTH, True), (2, 2, 3, 1, 1))
            part = RoundedSum(f"{bits}", out, SHIFT, ChannelProducts(w, a), limb_bits=bits)
            rounded = exact + (1 << SHIFT - 1)
            columns |= out.columns.split((rounded >> SHIFT).astype(np.int64).reshape(out.shape))
            columns |= part.remainder.split((rounded % (1 << SHIFT)).astype(np.int64).reshape(out.shape))
            reader = ColumnReader(columns)
            reader.add(part.witness(reader))
            columns = reader.columns
            self.sums.append(part)
            self.outputs.append(out)
        self.columns = columns
        self.relation = circuit_of(*self.sums, Operands(w, a, *self.outputs))

    @property
    def wide(self):
        return self.sums[1]


@functools.cache
def example(limb_bits):
    return Example(limb_bits)


@pytest.mark.parametrize("limb_bits", [20, 22])
def test_they_are_fewer_and_proved(limb_bits):
    found = example(limb_bits)
    found.relation.check()
    narrow, wide = ([part.format.limbs for part in sums.parts] for sums in found.sums)
    assert narrow == [3, 2] and wide == [2, 1]
    assert [part.format.limb_widths for part in found.wide.parts] == [(limb_bits, SHIFT - limb_bits), (limb_bits,)]
    verify(prove(found.relation, found.columns), found.relation)
    outputs = [join(out.columns.format, out.columns.limbs(found.columns)) for out in found.outputs]
    assert (outputs[0] == outputs[1]).all()


def moved(found, part, bits):
    """The same integer in other limbs: 2^bits more in the lowest one, 1 less in the next one."""
    low, high = (found.columns[name].copy() for name in part.names[:2])
    place = int(np.argmax((high.reshape(-1) > 0) & (low.reshape(-1) < (1 << bits) // 2)))
    assert high.flat[place] > 0
    low.flat[place] += 1 << bits
    high.flat[place] -= 1
    return found.columns | dict(zip(part.names[:2], (low, high), strict=True))


@pytest.mark.parametrize("limb_bits", [20, 22])
def test_a_limb_beyond_its_range_is_rejected(limb_bits):
    found = example(limb_bits)
    assert reason_of(found.relation, moved(found, found.wide.remainder, limb_bits)) == NOT_IN_TABLE


def test_the_first_value_beyond_a_range_is_rejected():
    """2^20 itself, in place of the limb 0 and one unit of the next limb."""
    found = example(20)
    names = found.wide.remainder.names
    low, high = (found.columns[name].copy() for name in names)
    low.flat[0], high.flat[0] = 1 << 20, 5
    assert reason_of(found.relation, found.columns | dict(zip(names, (low, high), strict=True))) == NOT_IN_TABLE


def test_a_limb_of_16_bits_may_not_be_one_of_20():
    """The table of 2^20 rows is there, for other limbs: a lookup names its table."""
    found = example(20)
    tables = {lookup.primary: lookup.table for lookup in found.relation.lookups}
    assert {tables["20: remainder/0"], tables["16: remainder/0"]} == {RangeTable(20), RangeTable(16)}
    columns = moved(found, found.sums[0].remainder, 16)
    assert int(columns["16: remainder/0"].max()) < 1 << 20
    assert reason_of(found.relation, columns) == NOT_IN_TABLE


@pytest.mark.parametrize("column", ["20: remainder/0", "20: remainder/1", "20: carry 0/0", "20: out/0", "20: out/1"])
def test_every_limb_counts(column):
    found = example(20)
    cells = found.columns[column].copy()
    cells.flat[3] ^= 1
    assert reason_of(found.relation, found.columns | {column: cells}) == FALSE_CLAIM


def test_a_carry_that_is_too_wide_is_no_plan():
    """The whole limb of the carry is sound here; of some width more a group could wrap around p."""
    part = example(20).wide
    assert part.plan.carries == (LimbFormat(20, 20, True),)
    with pytest.raises(PlanRejected, match="can wrap around p"):
        IdentityPlan(part.plan.groups, (LimbFormat(20, 40, True),)).check(part.digits, part.total)


@pytest.mark.parametrize("limb_bits", [16, 20, 22])
@pytest.mark.parametrize("width", range(1, 61))
def test_formats(limb_bits, width):
    """No more limbs than those of 16 bits, and the same integers as digits of base 2^16."""
    number = LimbFormat.within(limb_bits, width, True)
    assert number.limbs == min(-(-width // 16), -(-width // limb_bits))
    values = np.array([number.interval.low, -1, 0, number.interval.high], dtype=np.int64)
    coefficients = number.coefficients(number.split("x", values))
    for entry, value in enumerate(values.tolist()):
        digits = [int(c[entry]) * factor for c, factor in zip(coefficients, number.digit_factors, strict=True)]
        assert sum(digit << 16 * j for j, digit in enumerate(digits)) == value
        for digit, interval in zip(digits, number.digit_intervals, strict=True):
            assert interval.low <= digit <= interval.high
