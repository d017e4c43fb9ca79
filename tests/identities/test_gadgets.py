"""Logarithms, square roots and wide integers as identities, on the integers alone: edges and random arguments."""

from __future__ import annotations

import itertools
import random
from math import isqrt

import numpy as np
import pytest

from tests.reference.identities import identity_at, violations
from zkds.circuits.arithmetic.fixed_point import LOSS_WIDTH, MAX_LOSS_SCALE, Configuration, Place
from zkds.circuits.arithmetic.tables import log_table
from zkds.circuits.metric.batch_loss import batch_loss
from zkds.circuits.metric.deviation import LOSSES, RATIOS, logarithm
from zkds.circuits.metric.logarithm import Logarithm
from zkds.circuits.metric.loss_scale import LossScale
from zkds.circuits.metric.softmax import loss_scale_tensor
from zkds.identities.expressions import Identity
from zkds.identities.gadget import CellFormat, Gadget, split, square_root, value_table
from zkds.integers.limbs import WitnessOverflow

pytestmark = pytest.mark.any_kernels


def near_powers(bits, least):
    """2^k - 1, 2^k, 2^k + 1."""
    return [n for k in range(bits) for n in (2**k - 1, 2**k, 2**k + 1) if least <= n < 2**bits]


def identities_of(gadgets):
    return [identity for gadget in gadgets for stated in gadget.identities.values() for identity in stated]


@pytest.mark.parametrize("grid", [RATIOS, LOSSES], ids=["ratios", "losses"])
def test_logarithms(grid):
    rng = random.Random(1)
    arguments = [*near_powers(128, 1), 2**128 - 1, *(rng.randrange(1, 2 ** rng.randint(1, 128)) for _ in range(100))]
    shape = (len(arguments),)
    owner = Gadget("argument")
    argument = owner.wide("N", 128, shape)
    gadget = Logarithm("log", shape, argument.expression(), "block", grid)
    values = np.array(arguments, dtype=object)
    columns = argument.split(values) | gadget.witness(values)
    assert violations(identities_of([gadget]), columns) == []
    probe, cache = Identity("value", shape, gadget.value), {}
    assert [identity_at(probe, columns, (i,), cache) for i in range(len(arguments))] == [logarithm(n, grid) for n in arguments]
    for lookup in gadget.lookups:
        rows = set(zip(*(column.tolist() for column in lookup.table.columns()), strict=True))
        looked_up = zip(*(columns[name].reshape(-1).tolist() for name in (lookup.primary, *lookup.secondary)), strict=True)
        assert set(looked_up) <= rows


@pytest.mark.parametrize("argument", [0, -1, 2**128])
def test_no_logarithm_of_other_numbers(argument):
    owner = Gadget("argument")
    gadget = Logarithm("log", (1,), owner.wide("N", 128, (1,)).expression(), "block")
    with pytest.raises(ValueError, match=r"expected an argument in \[1, 2\^128\)"):
        gadget.witness(np.array([argument], dtype=object))


def test_every_other_shift_of_a_logarithm_is_excluded():
    """k is not free: W = 2^k N with another k has no top bit, or does not fit."""
    number = 3 * 2**70
    owner = Gadget("argument")
    argument = owner.wide("N", 128, (1,))
    gadget = Logarithm("log", (1,), argument.expression(), "block")
    honest = argument.split(np.array([number], dtype=object)) | gadget.witness(np.array([number], dtype=object))
    right = 128 - number.bit_length()
    for k in range(128):
        w = (number << k) % 2**128
        mantissa = w >> 80
        changed = [
            (gadget.bits, k % 16),
            (gadget.power, 1 << k % 16),
            (gadget.selectors, [int(a == k // 16) for a in range(8)]),
            (gadget.shifted, [w >> 16 * d & 0xFFFF for d in range(8)]),
            (gadget.cell, (mantissa >> 31) % 2**16),
            (gadget.fraction, mantissa % 2**31),
        ]
        columns = dict(honest)
        for owned, value in changed:
            columns |= split(owned, np.array(value, dtype=object))
        found = {name.removeprefix("log: ") for name in violations(identities_of([gadget]), columns)}
        assert (not found & {"W", "W, low digits", "M"}) == (k == right)


def test_a_batch_has_one_loss_scale_by_exhaustion():
    """Of all k from 0 to 40 and both bits `loss is zero`, one pair has numbers for all that follows, whatever the loss is."""
    target = Configuration.of(batch_size=3).loss_target
    ends = (1, 2, 1 << target - 41, 1 << target - 40, 1 << target - 39, 1 << target - 7, 1 << target - 1, 1 << target)
    losses = [0, *sorted({loss + change for loss in ends for change in (-1, 0, 1)} - {0}), (1 << LOSS_WIDTH) - 1]
    configuration = Configuration.of(steps=len(losses), batch_size=3)
    shape, owner = (len(losses),), Gadget("losses")
    given = owner.wide("losses", LOSS_WIDTH, (3, *shape))
    gadget = LossScale(configuration, given, loss_scale_tensor(configuration))
    stated = {identity for identity in identities_of([gadget]) if not identity.name.endswith("scaled eps")}
    columns = given.split(np.array([losses, [0] * len(losses), [0] * len(losses)], dtype=object))
    found = []
    for empty, k in itertools.product((0, 1), range(MAX_LOSS_SCALE + 1)):
        least = [loss + empty - 1 for loss in losses]
        product = [(number + 1) << k for number in least]
        values = {
            gadget.least: least,
            gadget.product: product,
            gadget.above: [(1 << target) - 1 - number if k else 0 for number in product],
            gadget.below: [2 * number - (1 << target) if k < MAX_LOSS_SCALE else 0 for number in product],
        }
        selectors = [[int(j == k)] * len(losses) for j in range(MAX_LOSS_SCALE + 1)]
        changed = columns | split(gadget.empty, np.full(shape, empty)) | split(gadget.scale, np.full(shape, 1 << k))
        changed |= split(gadget.selectors, np.array(selectors))
        for wide, own in values.items():
            limit = 1 << sum(part.columns.format.width for part in wide.parts)
            changed |= wide.split(np.array([number if 0 <= number < limit else 0 for number in own], dtype=object))
        cache = {}
        for i in range(len(losses)):
            if not any(identity_at(identity, changed, (i,), cache) for identity in stated):
                found.append((losses[i], empty, k))
    place = Place(0)
    expected = [(loss, int(loss == 0), batch_loss([loss], configuration, place).scale) for loss in losses]
    assert sorted(found) == expected


def test_square_roots():
    rng = random.Random(2)
    roots = [rng.randrange(2 ** rng.randint(1, 56)) for _ in range(40)]
    arguments = [*near_powers(112, 0), 2**112 - 1, *(max(0, y * y + c) for y, c in itertools.product(roots, (-1, 0, 1)))]
    values = np.array(arguments, dtype=object)
    owner, shape = Gadget("root"), values.shape
    argument = owner.wide("x", 112, shape)
    root = square_root(owner, "block", "y", 56, shape, argument.expression())
    exact = np.array([isqrt(x) for x in arguments], dtype=object)
    given = argument.split(values)
    assert violations(identities_of([owner]), given | root.split(exact, values)) == []
    for change in (-1, 1):
        other = np.clip(exact + change, 0, 2**56 - 1)
        rest, gap = (values - other * other) % 2**57, (2 * other - (values - other * other)) % 2**57
        columns = given | root.root.split(other) | root.rest.split(rest) | root.gap.split(gap)
        cache = {}
        for i in np.flatnonzero(other != exact).tolist():
            assert any(identity_at(identity, columns, (i,), cache) for identity in identities_of([owner]))


def test_wide_integers():
    owner = Gadget("g")
    wide = owner.wide("n", 100, (2,))
    assert [part.columns.format.width for part in wide.parts] == [48, 48, 4]
    columns = wide.split(np.array([2**100 - 1, 2**70 + 5], dtype=object))
    probe = Identity("n", (2,), wide.expression())
    assert [identity_at(probe, columns, (i,), {}) for i in range(2)] == [2**100 - 1, 2**70 + 5]
    for value in (2**100, -1, 2**200):
        with pytest.raises(WitnessOverflow, match="g: n 2: the value at index \\(1,\\) does not fit 4 bits"):
            wide.split(np.array([0, value], dtype=object))


def test_cells_and_tables_are_checked():
    with pytest.raises(ValueError, match="expected 1 to 32 bits, got 33"):
        CellFormat(33)
    with pytest.raises(ValueError, match="g: i: expected 3 tables, got 1"):
        Gadget("g").indices("i", 42, (1,), [value_table(log_table())])
