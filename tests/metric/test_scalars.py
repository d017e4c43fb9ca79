"""Softmax, norms and statistic through whole proofs: every value equals the semantics', and no cell that counts is free."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.harness.probes import dense
from tests.harness.scalars_relation import ScalarsRelation, degenerate_probe, margins_of, results_of, small_probe
from tests.reference.identities import violations
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.metric import sam
from zkds.circuits.metric.results import Results
from zkds.circuits.probe import run
from zkds.integers.limbs import WitnessOverflow
from zkds.lookup import RangeTable
from zkds.prover import prove
from zkds.verifier import verify


def configuration(**changes):
    return Configuration.of(**{"steps": 2, "batch_size": 2, "learning_rate": "0.01"} | changes)


CONFIGURATIONS = [
    configuration(),
    configuration(sharpness="SAM"),
    configuration(perturbation="ASAM", steps=3),
    configuration(sharpness="SAM", perturbation="ASAM", batch_size=1),
]


@functools.cache
def example(chosen, label_bytes=1):
    """(relation, trajectory, columns)"""
    trajectory = small_probe(chosen)
    relation = ScalarsRelation(chosen, trajectory.network, results_of(trajectory), label_bytes)
    return relation, trajectory, relation.columns_of(trajectory)


@functools.cache
def large_example(chosen):
    """The same with the two weights large: their identities are proved step by step."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sam, "LARGE", 10)
        return example.__wrapped__(chosen)


@pytest.mark.parametrize("chosen", CONFIGURATIONS, ids=lambda c: f"{c.sharpness} {c.perturbation}")
def test_large_parameters(chosen):
    relation, trajectory, columns = large_example(chosen)
    large = [name for name, shape in trajectory.network.parameters if np.prod(shape) >= 10]
    blocks = [block.name for block in relation.scalars.blocks]
    squares = {f"{name}: squares at step {step}" for name in large for step in range(chosen.steps)}
    scales = chosen.sharpness == "ASAM" or chosen.perturbation == "ASAM"
    steps = {f"{name}: step {step}" for name in large for step in range(chosen.steps if scales else chosen.steps - 1)}
    assert len(large) == 2 < len(trajectory.network.parameters)
    assert blocks[:3] == ["scalars", "sums", "parameters"] and set(blocks[3:]) == squares | steps
    assert violations(identities_of(relation), columns) == []
    assert verify(prove(relation, columns, zero_knowledge=False), relation, allow_plain=True).bits >= 100


@pytest.mark.parametrize("chosen", CONFIGURATIONS, ids=lambda c: f"{c.sharpness} {c.perturbation}")
def test_the_semantics_satisfies_the_circuit(chosen):
    relation, _, columns = example(chosen)
    data = prove(relation, columns, zero_knowledge=False)
    assert verify(data, relation, allow_plain=True).bits >= 100


def test_in_zero_knowledge_with_a_threshold_and_labels_of_two_bytes():
    chosen = CONFIGURATIONS[0]
    trajectory = small_probe(chosen)
    relation = ScalarsRelation(chosen, trajectory.network, results_of(trajectory, threshold=trajectory.value), 2)
    assert verify(prove(relation, relation.columns_of(trajectory)), relation).bits >= 100


def test_zero_norm_and_ties():
    """Zero weights: in the first step all logits are equal and v is 0, so kappa is."""
    chosen = CONFIGURATIONS[2]
    trajectory = small_probe(chosen, weight_scale=0)
    assert trajectory.norms[0] == trajectory.kappas[0] == 0
    assert np.ptp(trajectory.logits[0]) == 0
    relation = ScalarsRelation(chosen, trajectory.network, results_of(trajectory))
    columns = relation.columns_of(trajectory)
    assert violations(identities_of(relation), columns) == []
    assert verify(prove(relation, columns, zero_knowledge=False), relation, allow_plain=True).bits >= 100


@functools.cache
def degenerate_example():
    trajectory = degenerate_probe()
    relation = ScalarsRelation(trajectory.configuration, trajectory.network, results_of(trajectory))
    return relation, trajectory, relation.columns_of(trajectory)


def test_saturated_batches_and_ratios_below_eps_are_counted():
    relation, trajectory, columns = degenerate_example()
    first, second, third = trajectory.loss_sums
    assert first > 2 << 14 > second > third == 0
    assert (trajectory.saturated, trajectory.below_eps) == (2, 1)
    assert violations(identities_of(relation), columns) == []
    assert verify(prove(relation, columns, zero_knowledge=False), relation, allow_plain=True).bits >= 100


@pytest.mark.parametrize("gap", [1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 41])
def test_the_largest_margin_at_whole_nats(gap):
    """Two records of one label, whose two largest scores differ by `gap` and by half of it."""
    trajectory = margins_of(gap)
    assert (trajectory.distinct_labels, trajectory.largest_margin) == (1, -(-gap >> 32))
    relation = ScalarsRelation(trajectory.configuration, trajectory.network, results_of(trajectory))
    assert violations(identities_of(relation), relation.columns_of(trajectory)) == []


def test_margins_of_zero():
    """All scores are equal in every step: two labels, whose gradients cancel."""
    chosen, network = CONFIGURATIONS[0], dense(2, 2)
    zeros = {name: np.zeros(shape, dtype=np.int64) for name, shape in network.parameters}
    trajectory = run(network, zeros, np.zeros((2, 2, 2, 1, 1), dtype=np.int64), np.array([[0, 1], [1, 0]]), chosen)
    assert (trajectory.distinct_labels, trajectory.largest_margin) == (2, 0)
    relation = ScalarsRelation(chosen, network, results_of(trajectory))
    assert violations(identities_of(relation), relation.columns_of(trajectory)) == []


def identities_of(relation):
    return [identity for block in relation.scalars.blocks for identity in block.identities]


@pytest.mark.parametrize("chosen", CONFIGURATIONS, ids=lambda c: f"{c.sharpness} {c.perturbation}")
def test_identities_hold_over_the_integers(chosen):
    relation, _, columns = example(chosen)
    assert violations(identities_of(relation), columns) == []


MAKERS = {
    "honest": lambda: example(CONFIGURATIONS[2]),
    "large parameters": lambda: large_example(CONFIGURATIONS[2]),
    "degenerate": degenerate_example,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_no_cell_is_free(make):
    """One cell of every column changed, within its range: an identity fails or a row is in no table.

    Carries are advice of the proof, not of the identities: tests/identities/test_block.py changes them.
    """
    relation, _, columns = make()
    identities = identities_of(relation)
    users: dict[str, list] = {}
    for identity in identities:
        for name in {name for t in identity.expression.terms for o in t.factors for name in o.tensor.columns.names}:
            users.setdefault(name, []).append(identity)
    tables = {name: lookup for lookup in relation.lookups for name in (lookup.primary, *lookup.secondary)}
    rng = np.random.default_rng(5)
    free = []
    skipped = (": carry", ": w/")  # w counts only where g is not 0, and belongs to other relations
    for name in (column.name for column in relation.columns if not any(part in column.name for part in skipped)):
        cells = columns[name].copy()
        index = tuple(int(rng.integers(0, size)) for size in cells.shape)
        cells[index] ^= 1
        changed = columns | {name: cells}
        if is_row(tables[name], changed, index) and not violations(users.get(name, []), changed):
            free.append(name)
    assert free == []


def is_row(lookup, columns, index):
    row = [int(columns[name][index]) for name in (lookup.primary, *lookup.secondary)]
    if isinstance(lookup.table, RangeTable):
        return row[0] < lookup.table.rows
    return any((np.stack(lookup.table.columns(), axis=1) == row).all(axis=1))


def test_every_column_is_bound_by_one_lookup():
    for chosen in CONFIGURATIONS:
        relation, _, _ = example(chosen)
        bound = [name for lookup in relation.lookups for name in (lookup.primary, *lookup.secondary)]
        primary = [lookup.primary for lookup in relation.lookups]
        assert len(set(primary)) == len(primary)
        assert {column.name for column in relation.columns} == set(bound)


def test_a_value_above_the_threshold_is_an_error():
    chosen = CONFIGURATIONS[0]
    trajectory = small_probe(chosen)
    relation = ScalarsRelation(chosen, trajectory.network, results_of(trajectory, threshold=trajectory.value - 1))
    with pytest.raises(WitnessOverflow, match="statistic: margin"):
        relation.open_columns(trajectory)


def test_results_are_checked():
    with pytest.raises(ValueError, match="either values or a threshold"):
        Results(1, 2, 0, 0, 1, 1)
    with pytest.raises(ValueError, match="either values or a threshold"):
        Results(1, 2, 0, 0, 1, 1, (3,), 4)
    with pytest.raises(ValueError, match="correct: expected at least 0"):
        Results(1, -2, 0, 0, 1, 1, (3,))
    with pytest.raises(TypeError, match="total_loss: expected an int, got float"):
        Results(1.0, 2, 0, 0, 1, 1, (3,))
