"""Provers that lie about labels, accuracy, losses, norms and results: one step wrong, and all that follows made to fit.

The integers decide: each lie violates the identities that are named, whatever carries go with it, or a row is in no table.
Some are carried through whole proofs.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from tests.harness.forgery import forged_carries
from tests.harness.scalars_relation import ScalarsRelation, degenerate_probe, margins_of, results_of, small_probe
from tests.harness.whole_proof import LIGERO_REASON, reject
from tests.reference.identities import values_of, violations
from zkds import lookup
from zkds.circuits.arithmetic import tables
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.metric import sam
from zkds.circuits.probe import run
from zkds.prover import prove_vector
from zkds.statement import Statement

pytestmark = pytest.mark.slow

CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
BATCHING_REASON = "batching: final claim"


class Lie:
    """A relation with the results that are claimed, and columns that start as the honest ones."""

    def __init__(self, chosen=CONFIGURATION, weight_scale=0.5, threshold=None, trajectory=None, value=0, **results):
        self.trajectory = _probe(chosen, weight_scale) if trajectory is None else trajectory
        self.chosen = self.trajectory.configuration
        honest = results_of(self.trajectory)
        shown = {"values": (self.trajectory.value + value,)}
        if threshold is not None:
            shown = {"threshold": threshold, "values": None}
        claimed = dataclasses.replace(honest, **{k: getattr(honest, k) + v for k, v in results.items()}, **shown)
        self.relation = ScalarsRelation(self.chosen, self.trajectory.network, claimed)
        self.scalars = self.relation.scalars
        self.columns = self._honest()

    def _honest(self):
        hides = self.relation.results.threshold is not None
        honest = results_of(self.trajectory, threshold=self.trajectory.value if hides else None)
        return ScalarsRelation(self.chosen, self.trajectory.network, honest).open_columns(self.trajectory)

    def get(self, owner):
        """The integers of a tensor, or of a wide one."""
        if hasattr(owner, "parts"):
            return sum(values_of(part, self.columns) << 48 * i for i, part in enumerate(owner.parts))
        return values_of(owner, self.columns)

    def put(self, owner, values):
        """Commit integers, modulo 2^width where they do not fit."""
        if hasattr(owner, "parts"):
            for i, part in enumerate(owner.parts):
                self.put(part, values >> 48 * i)
            return
        number = owner.columns.format
        wrapped = ((values + number.offset) % (1 << number.width)) - number.offset
        self.columns |= owner.columns.split(wrapped.astype(np.int64))

    def put_entry(self, owner, value, index):
        """Commit one entry, counted row-major, modulo 2^width."""
        values = self.get(owner)
        values.flat[index] = value
        self.put(owner, values)

    def add(self, owner, change, index=0):
        """Add to one entry, counted row-major."""
        values = self.get(owner)
        values.flat[index] += change
        self.put(owner, values)

    def violated(self):
        identities = [identity for block in self.scalars.blocks for identity in block.identities]
        return violations(identities, self.columns)

    def vector(self):
        """The committed vector, with multiplicities as if the tables' rows were the honest ones."""
        statement = Statement(self.relation)
        columns = forged_carries(self.scalars.blocks, self.columns)
        rows, honest = dict(columns), self._honest()
        for wanted in statement.lookups:
            if isinstance(wanted.table, lookup.ExplicitTable) or columns[wanted.primary].max() >= wanted.table.rows:
                rows |= {name: honest[name] for name in (wanted.primary, *wanted.secondary)}
        counted = statement.vector(rows)
        lookup.multiplicities(statement.lookups, statement.layout, counted)
        vector = statement.vector(columns)
        statement.layout.write(vector, "multiplicities", statement.layout.read(counted, "multiplicities"))
        return statement, vector


@functools.cache
def _probe(chosen, weight_scale):
    return small_probe(chosen, weight_scale=weight_scale)


def smaller_value():
    lie = Lie(value=-1)
    lie.add(lie.scalars.statistic.remainder, 2)
    lie.add(lie.scalars.statistic.remainder_gap, -2)
    return lie


def smaller_value_by_the_root():
    """y - T, and what is left over wraps around."""
    lie = Lie(value=-1)
    root = lie.scalars.statistic.root
    y = int(lie.get(root.root)[0])
    lie.add(root.root, -2)
    lie.add(root.rest, y * y - (y - 2) ** 2)
    lie.add(root.gap, -4 - (y * y - (y - 2) ** 2))
    return lie


def below_the_threshold():
    lie = Lie(threshold=_probe(CONFIGURATION, 0.5).value - 1)
    lie.add(lie.scalars.statistic.margin, -1)
    return lie


def better_accuracy():
    return Lie(correct=1)


def smaller_loss():
    return Lie(total_loss=-1)


def smaller_loss_of_one_record():
    lie = Lie(total_loss=-1)
    lie.add(lie.scalars.softmax.losses, -(1 << 10))
    lie.add(lie.scalars.loss_scale.least, -(1 << 10))
    return lie


def another_label():
    """A whole probe with another label, but for the committed record."""
    lie = Lie()
    records = lie.columns["record labels"]
    trajectory = lie.trajectory
    labels = (trajectory.labels + 1) % 3
    trajectory = run(trajectory.network, trajectory.weights, trajectory.inputs, labels, lie.chosen)
    lie.relation = ScalarsRelation(lie.chosen, trajectory.network, results_of(trajectory))
    lie.scalars = lie.relation.scalars
    lie.columns = lie.relation.open_columns(trajectory) | {"record labels": records}
    lie.trajectory = trajectory
    return lie


def two_labels():
    lie = Lie()
    labels = lie.get(lie.scalars.softmax.labels)
    labels[:, 0, 0] = 1 - labels[:, 0, 0]
    lie.put(lie.scalars.softmax.labels, labels)
    return lie


def last_maximum_of_a_tie():
    lie = Lie(weight_scale=0)
    first = lie.scalars.softmax.first
    selectors = lie.get(first.selectors)
    selectors[:, 0, 0] = selectors[::-1, 0, 0].copy()
    lie.put(first.selectors, selectors)
    lie.put(first.before, lie.get(first.distance) - 1 + np.cumsum(selectors, axis=0))
    return lie


def no_maximum():
    """The logit below the largest one is called the maximum: its distance is -u."""
    lie = Lie()
    first = lie.scalars.softmax.first
    selectors, distance = lie.get(first.selectors), lie.get(first.distance)
    chosen = int(np.argmax(distance[:, 0, 0]))
    change = distance[chosen, 0, 0]
    selectors[:, 0, 0] = np.arange(3) == chosen
    distance[:, 0, 0] -= change
    lie.add(first.maximum, -change)
    lie.put(first.selectors, selectors)
    lie.put(first.distance, distance)
    lie.put(first.before, distance - 1 + np.cumsum(selectors, axis=0))
    return lie


def another_exponential():
    """The value of another row of a table."""
    lie = Lie()
    low, high, value = lie.scalars.softmax.first.factors[0]
    index, entry = 0, int(tables.exp_lo()[12345])
    lie.add(low, (entry & 0xFFFFFFFF) - int(lie.get(low).flat[index]), index)
    lie.add(high, (entry >> 32) - int(lie.get(high).flat[index]), index)
    lie.add(value, entry - int(lie.get(value).flat[index]), index)
    return lie


def delta_off_by(change):
    lie = Lie()
    scores = lie.scalars.softmax.first
    total = int(lie.get(scores.total)[0, 0])
    lie.add(lie.scalars.softmax.delta, change)  # entry (0, 0, 0)
    lie.add(scores.remainder, -change * 2 * 2 * total)
    lie.add(scores.gap, change * 2 * 2 * total)
    return lie


def round_down(kind):
    """The first entry of a rounded tensor that was rounded up, one lower; its remainder has no bit to say so."""
    lie = Lie()
    norms = lie.scalars.norms
    name = norms.parameters[2].name
    remainder = norms.remainders[kind, name]
    owner = norms.scaled[name] if kind == "scaled" else norms.parameters[2].perturbation
    half = 1 << remainder.columns.format.width - 1
    index = int(np.argmax((lie.get(remainder) < half).reshape(-1)))
    lie.add(owner, -1, index)
    return lie


def with_large_parameters(tell):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sam, "LARGE", 10)
        return tell()


def large_round_down(kind):
    return with_large_parameters(functools.partial(round_down, kind))


def squares_of(norms, parameter):
    """The wide integer of a large parameter's part of V."""
    return next(part for part, _ in norms.parts if part.parts[0].name.startswith(f"norms: V of {parameter.name}"))


def fewer_squares_of_a_large_parameter():
    """The committed sum of one parameter, and with it V, one lower."""
    lie = with_large_parameters(Lie)
    norms = lie.scalars.norms
    part = squares_of(norms, norms.parameters[2])
    lie.add(part, -1)
    lie.add(norms.squares, -1)
    return lie


def squares_of_another_step():
    """What a large parameter adds to V, exchanged between the steps, and with it V."""
    lie = with_large_parameters(Lie)
    norms = lie.scalars.norms
    part = squares_of(norms, norms.parameters[2])
    first, second = lie.get(part)
    lie.put(part, np.array([second, first], dtype=object))
    lie.put(norms.squares, lie.get(norms.squares) + np.array([second - first, first - second], dtype=object))
    return lie


def norm_too_small():
    lie = Lie()
    root, y = lie.scalars.norms.root, int(lie.get(lie.scalars.norms.root.root)[0])
    lie.add(root.root, -1)
    lie.add(root.rest, 2 * y - 1)
    lie.add(root.gap, -2 - (2 * y - 1))
    lie.add(lie.scalars.norms.least, -1)
    lie.add(lie.scalars.norms.remainder, int(lie.get(lie.scalars.norms.kappa)[0]))
    lie.add(lie.scalars.norms.gap, -1 - int(lie.get(lie.scalars.norms.kappa)[0]))
    return lie


def kappa_too_small():
    """Less perturbation than rho asks for."""
    lie = Lie()
    norms, y = lie.scalars.norms, int(lie.get(lie.scalars.norms.root.root)[0])
    lie.add(norms.kappa, -1)
    lie.add(norms.remainder, y)
    lie.add(norms.gap, -y)
    return lie


def kappa_of_a_zero_norm():
    lie = Lie(Configuration.of(steps=2, batch_size=2, learning_rate="0.01", perturbation="ASAM"), weight_scale=0)
    norms = lie.scalars.norms
    lie.add(norms.zero, -1)
    lie.add(norms.least, -1)
    lie.add(norms.kappa, 5)
    lie.put(norms.remainder, np.array([CONFIGURATION.rho_int << 40], dtype=object))
    return lie


def no_perturbation():
    """kappa = 0 although the norm is not 0."""
    lie = Lie()
    norms, index = lie.scalars.norms, 0
    kappa, y = int(lie.get(norms.kappa)[index]), int(lie.get(norms.root.root)[index])
    lie.add(norms.kappa, -kappa)
    lie.add(norms.remainder, kappa * y)
    lie.add(norms.gap, -kappa * y)
    for parameter in norms.parameters:
        lie.put(parameter.perturbation, lie.get(parameter.perturbation) * 0)
        lie.put(norms.remainders["perturbation", parameter.name], lie.get(parameter.perturbation) * 0 + (1 << 31))
    return lie


def loss_called_zero():
    """L = Lsum + 1."""
    lie = Lie(total_loss=0)
    lie.add(lie.scalars.loss_scale.empty, 1)
    lie.add(lie.scalars.loss_scale.least, 1)
    return lie


def fewer_saturated():
    return Lie(trajectory=degenerate_probe(), saturated=-1)


def fewer_below_eps():
    return Lie(trajectory=degenerate_probe(), below_eps=-1)


def not_saturated(step):
    """The bit of a saturated step is 0, the count fits, and the gap, which is negative, wraps around its width."""
    lie = Lie(trajectory=degenerate_probe(), saturated=-1)
    statistic = lie.scalars.statistic
    loss = max(lie.trajectory.loss_sums[step], 1)
    lie.add(statistic.saturated, -1, step)
    lie.put_entry(statistic.saturated_gap, loss - lie.chosen.loss_floor, step)
    return lie


def not_below_eps():
    lie = Lie(trajectory=degenerate_probe(), below_eps=-1)
    lie.add(lie.scalars.statistic.below_eps, -1, 2)
    lie.put_entry(lie.scalars.statistic.below_eps_gap, -lie.trajectory.scaled_eps[2], 2)
    return lie


def both_signs():
    """A saturated step is none and another one is: the count is right."""
    lie = Lie(trajectory=degenerate_probe())
    statistic, losses = lie.scalars.statistic, lie.trajectory.loss_sums
    for step, change in ((0, 1), (1, -1)):
        lie.add(statistic.saturated, change, step)
        lie.put_entry(statistic.saturated_gap, change * (lie.chosen.loss_floor - losses[step]) - (change > 0), step)
    return lie


def a_bit_of_two():
    """One batch counts twice: every identity holds, and no bit is 2."""
    lie = Lie(trajectory=degenerate_probe(), saturated=1)
    statistic, losses = lie.scalars.statistic, lie.trajectory.loss_sums
    lie.columns[statistic.saturated.columns.names[0]] = np.array([0, 2, 1], dtype=np.uint32)
    lie.put_entry(statistic.saturated_gap, 3 * (lie.chosen.loss_floor - losses[1]) - 2, 1)
    return lie


def more_labels():
    return Lie(labels=1, trajectory=degenerate_probe())


def a_label_that_no_record_has():
    """Its bit is 1, the count fits, and what is left, -1, wraps around."""
    lie = Lie(labels=1, trajectory=degenerate_probe())
    lie.add(lie.scalars.distinct_labels.present, 1, 2)
    lie.add(lie.scalars.distinct_labels.others, -1, 2)
    return lie


def a_label_left_out():
    lie = Lie(labels=-1, trajectory=degenerate_probe())
    lie.add(lie.scalars.distinct_labels.present, -1, 0)
    lie.add(lie.scalars.distinct_labels.others, 1, 0)
    return lie


def smaller_margin():
    """The widest record's slack, which is negative, wraps around."""
    lie = Lie(margin=-1, trajectory=margins_of(5 << 32))
    margin = lie.scalars.largest_margin
    lie.put(margin.slack, lie.get(margin.slack) - (1 << 32))
    lie.put(margin.excess, lie.get(margin.excess) + (1 << 32) * (1 - lie.get(lie.scalars.softmax.first.selectors)[:, 0, 1]))
    return lie


def smaller_margin_to_the_same_class():
    """The runner-up of the widest record is its largest score itself."""
    lie = smaller_margin()
    margin, widest = lie.scalars.largest_margin, 1
    selectors, runner_up = lie.get(lie.scalars.softmax.first.selectors), lie.get(margin.runner_up)
    runner_up[:, 0, widest] = selectors[:, 0, widest]
    lie.put(margin.runner_up, runner_up)
    lie.put_entry(margin.slack, 4 << 32, widest)
    return lie


def smaller_margin_to_no_class():
    lie = smaller_margin()
    margin, widest = lie.scalars.largest_margin, 1
    runner_up = lie.get(margin.runner_up)
    runner_up[:, 0, widest] = 0
    lie.put(margin.runner_up, runner_up)
    lie.put_entry(margin.slack, 4 << 32, widest)
    return lie


def larger_margin():
    """All slacks are there; what the widest record has too little wraps around."""
    lie = Lie(margin=1, trajectory=margins_of(5 << 32))
    margin = lie.scalars.largest_margin
    lie.put(margin.slack, lie.get(margin.slack) + (1 << 32))
    lie.put(margin.excess, lie.get(margin.excess) - (1 << 32) * (1 - lie.get(lie.scalars.softmax.first.selectors)[:, 0, 1]))
    return lie


def larger_margin_of_no_record():
    lie = larger_margin()
    margin = lie.scalars.largest_margin
    lie.put(margin.widest, lie.get(margin.widest) * 0)
    lie.put(margin.excess, lie.get(margin.excess) * 0 - (5 << 32) - 1)
    return lie


def larger_margin_of_two_records():
    """Their distances add up, and nothing is left of the bound where both have the largest score."""
    lie = larger_margin()
    margin, first = lie.scalars.largest_margin, lie.scalars.softmax.first
    lie.add(margin.widest, 1, 0)
    distance, selectors = (lie.get(owner)[:, 0].sum(axis=1) for owner in (first.distance, first.selectors))
    lie.put(margin.excess, distance - (1 - selectors) * ((5 << 32) + 1))
    return lie


def next_row_of_the_logarithm():
    lie = Lie()
    log = lie.scalars.statistic.logarithms[0]
    c = int(lie.get(log.cell)[0])
    c += 1 if c < 0xFFFF else -1
    entry = int(tables.log_table()[c])
    lie.add(log.fraction, (int(lie.get(log.cell)[0]) - c) << 31)
    lie.put(log.cell, np.array([c, *lie.get(log.cell)[1:]], dtype=object))
    lie.put(log.table_low, np.array([entry & 0xFFFFFFFF, *lie.get(log.table_low)[1:]], dtype=object))
    lie.put(log.table_high, np.array([entry >> 32, *lie.get(log.table_high)[1:]], dtype=object))
    return lie


def half_of_the_logarithms_argument():
    """k - 1 instead of k: M without its top bit."""
    lie = Lie()
    log = lie.scalars.statistic.logarithms[1]
    assert int(lie.get(log.bits)[0]) > 0
    lie.add(log.bits, -1)
    lie.add(log.power, -int(lie.get(log.power)[0]) // 2)
    digits = lie.get(log.shifted)
    w = sum(int(digits[d, 0]) << 16 * d for d in range(8)) // 2
    digits[:, 0] = [w >> 16 * d & 0xFFFF for d in range(8)]
    lie.put(log.shifted, digits)
    lie.add(log.cell, (w >> 111) - (1 << 16) - int(lie.get(log.cell)[0]))
    return lie


LIES = {
    smaller_value: ["statistic: value"],
    smaller_value_by_the_root: ["statistic: deviation: rest"],
    below_the_threshold: ["statistic: threshold"],
    better_accuracy: ["statistic: correct"],
    smaller_loss: ["statistic: total loss"],
    smaller_loss_of_one_record: ["softmax: losses", "log of losses: W"],
    another_label: ["softmax: label"],
    two_labels: ["softmax: one label", "first passes: delta"],
    last_maximum_of_a_tie: ["first passes: first maximum"],
    no_maximum: ["first passes: distance"],
    another_exponential: ["first passes: exponential"],
    functools.partial(delta_off_by, 1): ["first passes: delta"],
    functools.partial(delta_off_by, -1): ["first passes: delta, least"],
    functools.partial(round_down, "scaled"): ["norms: scaled of dense.1.weight"],
    functools.partial(round_down, "perturbation"): ["norms: perturbation of dense.1.weight"],
    functools.partial(large_round_down, "scaled"): ["norms: scaled of dense.1.weight at step 0"],
    functools.partial(large_round_down, "perturbation"): ["norms: perturbation of dense.1.weight at step 0"],
    fewer_squares_of_a_large_parameter: ["norms: V of dense.1.weight at step 0"],
    squares_of_another_step: ["norms: V of dense.1.weight at step 0", "norms: V of dense.1.weight at step 1"],
    norm_too_small: ["norms: norm: rest"],
    kappa_too_small: ["norms: kappa, least"],
    kappa_of_a_zero_norm: ["norms: divisor"],
    no_perturbation: ["norms: kappa, least"],
    fewer_saturated: ["statistic: saturated, count"],
    fewer_below_eps: ["statistic: below eps, count"],
    functools.partial(not_saturated, 1): ["statistic: saturated"],
    functools.partial(not_saturated, 2): ["statistic: saturated"],
    not_below_eps: ["statistic: below eps"],
    both_signs: ["statistic: saturated"],
    loss_called_zero: ["loss scale: loss is zero"],
    more_labels: ["distinct labels: count"],
    a_label_that_no_record_has: ["distinct labels: label"],
    a_label_left_out: ["distinct labels: no label"],
    smaller_margin: ["largest margin: margin"],
    smaller_margin_to_the_same_class: ["largest margin: another class"],
    smaller_margin_to_no_class: ["largest margin: one runner-up"],
    larger_margin: ["largest margin: widest"],
    larger_margin_of_no_record: ["largest margin: one widest"],
    larger_margin_of_two_records: ["largest margin: one widest"],
    next_row_of_the_logarithm: ["log of squares: M"],
    half_of_the_logarithms_argument: ["log of losses: M"],
}
THROUGH_PROOFS = [
    smaller_value_by_the_root,
    below_the_threshold,
    better_accuracy,
    another_label,
    last_maximum_of_a_tie,
    functools.partial(delta_off_by, -1),
    functools.partial(round_down, "scaled"),
    functools.partial(large_round_down, "perturbation"),
    squares_of_another_step,
    no_perturbation,
    fewer_saturated,
    functools.partial(not_saturated, 2),
    not_below_eps,
    a_label_that_no_record_has,
    smaller_margin,
    smaller_margin_to_the_same_class,
    larger_margin,
]


def name_of(tell):
    return getattr(tell, "__name__", None) or f"{tell.func.__name__} {tell.args[0]}"


@pytest.mark.parametrize("tell", LIES, ids=name_of)
def test_the_integers_tell(tell):
    assert set(LIES[tell]) <= set(tell().violated())


@pytest.mark.parametrize("tell", THROUGH_PROOFS, ids=name_of)
def test_the_proof_is_rejected(tell):
    lie = tell()
    plain = prove_vector(*lie.vector(), zero_knowledge=False)
    assert reject(plain, lie.relation, allow_plain=True).reason == BATCHING_REASON


CELLS = ["first passes: selectors/0", "second passes: delta, gap 1/0", "log of squares: W/0", "norms: kappa, remainder 0/1"]


@pytest.mark.parametrize("name", CELLS)
def test_one_cell_changed(name):
    """All kinds of cells are changed in tests/metric/test_scalars.py, on the integers."""
    lie = Lie()
    cells = lie.columns[name].copy()
    cells.flat[-1] ^= 1
    lie.columns[name] = cells
    plain = prove_vector(*lie.vector(), zero_knowledge=False)
    assert reject(plain, lie.relation, allow_plain=True).reason == BATCHING_REASON


def test_a_bit_of_two_breaks_no_identity():
    assert a_bit_of_two().violated() == []


@pytest.mark.parametrize("tell", [another_exponential, a_bit_of_two], ids=name_of)
def test_a_row_that_is_in_no_table(tell):
    lie = tell()
    plain = prove_vector(*lie.vector(), zero_knowledge=False)
    reason = "LogUp: what is looked up is not what the tables hold"
    assert reject(plain, lie.relation, allow_plain=True).reason == reason


def test_in_zero_knowledge_the_proof_does_not_say_why():
    lie = smaller_loss_of_one_record()
    assert reject(prove_vector(*lie.vector()), lie.relation).reason == LIGERO_REASON
