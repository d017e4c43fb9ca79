"""The bounds that make identities modulo p true over the integers, held against columns at the ends of their tables.

What a certificate's verifier relies on: every limb is bounded by its lookup as its format says; every digit of every tensor,
virtual ones included, and every sum of digits in a group lies in its declared interval, whatever the columns are; and these
intervals are narrow enough (zkds/integers/identity.py), which is computed here once more.
"""

import functools

import numpy as np
import pytest

from tests.certificate.test_implicit_certificate import CASE, IMAGES, ROUNDED, make_small
from tests.harness.carries import low_sums, rounding_sums
from tests.harness.certificates import Case, cheat
from zkds.circuits.arithmetic.fixed_point import CONVOLUTION, Configuration
from zkds.circuits.networks import circuit
from zkds.circuits.operators.max_pool import MaxPool, first_maximum
from zkds.field import P
from zkds.identities.balanced_digits import BalancedColumns
from zkds.identities.gadget import Gadgets
from zkds.identities.rounded_sum import RoundedSum
from zkds.lookup import RangeTable
from zkds.tensors.tensor import ColumnReader

pytestmark = pytest.mark.slow

CASES = {
    "max": Case("max", configuration=Configuration.of(steps=3, batch_size=2)),
    "max alone": Case("max alone", "normalised images", Configuration.of(steps=2, batch_size=1, sharpness="SAM")),
    "average": Case("average", "normalised images", Configuration.of(steps=2, batch_size=2, perturbation="ASAM", rho="0.001")),
    "dense": Case("dense", "features", Configuration.of(steps=2, batch_size=3, rho="0.001", learning_rate="0.000001")),
    "implicit": CASE,
    "implicit convolutions": IMAGES,
    "rounded updates": ROUNDED,
    "wide limbs": IMAGES,
}


@functools.cache
def relation(name):
    with pytest.MonkeyPatch.context() as patched:
        make_small(patched)
        if name == "wide limbs":
            patched.setattr(circuit, "WIDE_LIMBS", ((1, 22),))
        return cheat(CASES[name]).relation


def blocks(found):
    return [block for part in found.components if isinstance(part, Gadgets) for block in part.blocks]


def limb_columns(found):
    """All committed integers."""
    return [tensor.columns for tensor in found.committed]


def bounds(found):
    """column -> the largest cell that its lookup allows"""
    largest = {}
    for lookup in found.lookups:
        ends = [lookup.table.rows - 1]
        if not isinstance(lookup.table, RangeTable):
            ends = [int(column.max()) for column in lookup.table.columns()]
        for column, end in zip((lookup.primary, *lookup.secondary), ends, strict=True):
            assert column not in largest, "looked up twice"
            largest[column] = end
    return largest


@pytest.mark.parametrize("name", CASES)
def test_every_limb_is_bounded_as_its_format_says(name):
    found = relation(name)
    largest, named = bounds(found), set()
    for owner in limb_columns(found):
        base = getattr(owner.format, "base", None)
        for column, width in owner.widths.items():
            named.add(column)
            if not column.endswith("max pool 2: mask/0"):
                assert largest[column] < (base or 1 << width), column
    assert {column.name for column in found.columns} == named


def extreme_columns(found, generator):
    """Every column at one end of its table, in all entries alike, or at random; masks with one entry a window, or none."""
    largest, columns = bounds(found), {}
    for column in found.columns:
        kind = generator.integers(4)
        if column.name.endswith("max pool 2: mask/0"):
            columns[column.name] = mask(found, column, generator)
        elif kind == 3:
            columns[column.name] = generator.integers(0, largest[column.name] + 1, column.shape).astype(np.uint32)
        else:
            columns[column.name] = np.full(column.shape, largest[column.name] if kind else 0, dtype=np.uint32)
    for lookup in found.lookups:  # the sign of a ReLU goes with the top limb
        if lookup.secondary and lookup.secondary[0].endswith(": bit/0"):
            bits = lookup.table.rows.bit_length() - 2
            columns[lookup.secondary[0]] = columns[lookup.primary] >> np.uint32(bits)
    return columns


def mask(found, column, generator):
    pools = [part for part in found.components if isinstance(part, MaxPool)]
    pool = next(pool for pool in pools if column.name in pool.mask.columns.names)
    return first_maximum(generator.integers(-3, 3, column.shape), pool.window, relu=pool.relu).astype(np.uint32)


@pytest.mark.parametrize("name", CASES)
def test_digits_and_values_lie_in_their_intervals(name):
    found, generator = relation(name), np.random.default_rng(1)
    for _ in range(6):
        reader = ColumnReader(extreme_columns(found, generator))
        for tensor in found.tensors:
            total = 0
            for d, (digits, interval) in enumerate(zip(tensor.tables(reader), tensor.digits, strict=True)):
                assert interval.low <= int(digits.min()) and int(digits.max()) <= interval.high, (tensor.name, d)
                total = total + (digits.astype(object) << (16 * d))
            if not isinstance(tensor, BalancedColumns):  # whose digits are of another base
                assert tensor.interval.low <= total.min() and total.max() <= tensor.interval.high, tensor.name


@pytest.mark.parametrize("name", CASES)
def test_sums_of_digits_lie_in_their_intervals(name):
    found, generator = relation(name), np.random.default_rng(2)
    for _ in range(6):
        reader = ColumnReader(extreme_columns(found, generator))
        for block in blocks(found):
            for identity, (intervals, _), plan in zip(block.identities, block.intervals, block.plans, strict=True):
                require_within(identity.name, low_sums(identity, reader, plan.low_digits), intervals)
        for part in found.components:
            if isinstance(part, RoundedSum):
                require_within(part.name, rounding_sums(part, reader, part.plan.low_digits), part.digits)


@pytest.mark.parametrize("name", CASES)
def test_inputs_have_the_exact_interval_of_the_schema(name):
    """No range check is needed: bytes that are checked, and a public map of them that a statement must keep in the format."""
    found = relation(name)
    schema = found.statement.root.schema
    ends = [end for channel in range(schema.shape[0]) for end in schema.input_interval(channel)]
    inputs = found.probes[0].inputs
    assert (inputs.interval.low, inputs.interval.high) == (min(ends), max(ends))
    assert CONVOLUTION.interval.low <= min(ends) and max(ends) <= CONVOLUTION.interval.high


def require_within(name, sums, intervals):
    for d, digits in enumerate(sums):
        assert intervals[d].low <= int(digits.min()) and int(digits.max()) <= intervals[d].high, (name, d)


@pytest.mark.parametrize("name", CASES)
def test_plans_leave_no_room_for_a_multiple_of_p(name):
    found = relation(name)
    plans = [(part.name, part.digits, part.total, part.plan) for part in found.components if isinstance(part, RoundedSum)]
    for block in blocks(found):
        for identity, (intervals, total), plan in zip(block.identities, block.intervals, block.plans, strict=True):
            plans.append((identity.name, intervals, total, plan))
    for label, intervals, total, plan in plans:
        low = high = first = 0
        for size, carry in zip(plan.groups, plan.carries, strict=True):
            for i in range(size):
                if first + i < len(intervals):
                    low += intervals[first + i].low << 16 * i
                    high += intervals[first + i].high << 16 * i
            ends = (-(1 << carry.width - 1), (1 << carry.width - 1) - 1) if carry.signed else (0, (1 << carry.width) - 1)
            assert low - (ends[1] << 16 * size) > -P and high - (ends[0] << 16 * size) < P, label
            low, high, first = *ends, first + size
        assert max(-total.low, total.high) < P << 16 * first, label


def test_the_bound_of_a_perturbation_is_that_of_every_entry():
    """|kappa g| <= rho_int 2^40 for all g whose squares add up to x, y = floor(sqrt x), kappa = floor(rho_int 2^40 / y)."""
    from math import isqrt

    generator = np.random.default_rng(3)
    for _ in range(2000):
        g = [
            int(v) << int(generator.integers(1, 20)) for v in generator.integers(-(1 << 20), 1 << 20, generator.integers(1, 4))
        ]
        x, rho = sum(v * v for v in g), int(generator.integers(1, 1 << 35))
        y = isqrt(x)
        kappa = (rho << 40) // y if y else 0
        assert all(abs(kappa * v) <= rho << 40 for v in g)
