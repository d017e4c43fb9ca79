"""Provers that break the protocol: rejected in plain mode by the name of the check, in zero-knowledge mode by Ligero."""

from dataclasses import replace

import numpy as np
import pytest

from tests.harness.whole_proof import LIGERO_REASON, assert_rejected_in_both_modes, honest_columns, reject, small_relation
from tests.integers.test_plan import naive, plan_in_use
from tests.reference.rounding import IN_USE, forgeable_factors, wrap_carries
from zkds.channel import ProverChannel
from zkds.errors import PlanRejected
from zkds.field import ONE, ZERO
from zkds.integers.matrix_product import MatrixProduct, MatrixSizes
from zkds.integers.plan import plan_check
from zkds.lookup import MULTIPLICITIES, LookupPlan, NotInTable
from zkds.prover import message_shape, prove, prove_vector
from zkds.statement import Statement
from zkds.verifier import verify
from zkds.zk import ligero

FALSE_CLAIM = "batching: final claim"
NOT_IN_TABLE = "LogUp: what is looked up is not what the tables hold"
FACTORS = "matrix product: product of the factors"


@pytest.fixture(scope="module")
def relation():
    return small_relation()


def dishonest_vector(relation, columns):
    """The columns, and the best multiplicities: cells that are in no table are not counted."""
    statement = Statement(relation)
    vector = statement.vector(columns)
    side = LookupPlan(statement.lookups, statement.layout).table_side
    counts = np.zeros(side.rows, dtype=np.int64)
    offsets = dict(zip(side.tables, side.offsets, strict=True))
    for lookup in statement.lookups:
        cells = columns[lookup.primary].reshape(-1)
        rows = cells[cells < lookup.table.rows].astype(np.int64)
        counts += np.bincount(offsets[lookup.table] + rows, minlength=side.rows)
    statement.layout.write(vector, MULTIPLICITIES, counts)
    return vector


def changed(columns, **steps):
    """A copy with the first entry of each named column moved by a step. Names are without spaces and slashes: see `key`."""
    result = {name: values.copy() for name, values in columns.items()}
    for name in result:
        if key(name) in steps:
            result[name].flat[0] = int(result[name].flat[0]) + steps.pop(key(name))
    assert not steps, f"no columns {sorted(steps)}"
    return result


def key(name):
    return name.removeprefix("matrix product: ").replace(" ", "_").replace("/", "_")


def step_within(relation, columns, name):
    """1 or -1, so that the first entry stays within the width."""
    return 1 if columns[name].flat[0] + 1 < 1 << relation.widths[name] else -1


def test_the_honest_vector_of_this_file_is_accepted(relation):
    statement = Statement(relation)
    vector = dishonest_vector(relation, honest_columns(relation))
    verify(prove_vector(statement, vector), relation)
    verify(prove_vector(statement, vector, zero_knowledge=False), relation, allow_plain=True)


# ---- false witnesses ------------------------------------------------------------------------------------------------------


def test_every_wrong_cell_within_its_range(relation):
    """Results, remainders, carries and factors moved by one: every kind of cell, each alone."""
    honest = honest_columns(relation)
    for name in honest:
        columns = changed(honest, **{key(name): step_within(relation, honest, name)})
        vector = dishonest_vector(relation, columns)
        proof = prove_vector(Statement(relation), vector, zero_knowledge=False)
        assert reject(proof, relation, allow_plain=True).reason == FALSE_CLAIM, name


@pytest.mark.parametrize("name", ["matrix product: carry 0/0", "matrix product: output/0", "matrix product: remainder/1"])
def test_wrong_carry_result_or_remainder(relation, name):
    honest = honest_columns(relation)
    columns = changed(honest, **{key(name): step_within(relation, honest, name)})
    assert_rejected_in_both_modes(relation, dishonest_vector(relation, columns), FALSE_CLAIM)


def test_remainder_wider_than_the_shift(relation):
    """out - 1 and rem + 2^s satisfy the identity, for any carries: only the width of rem forbids it."""
    assert relation.plan.remainder.limb_widths == (8, 4)
    columns = changed(honest_columns(relation), output_0=-1, remainder_1=1 << 4)
    assert_rejected_in_both_modes(relation, dishonest_vector(relation, columns), NOT_IN_TABLE)
    with pytest.raises(NotInTable, match="matrix product: remainder/1: not in a table of 16 rows"):
        prove(relation, columns)


def test_limb_out_of_range(relation):
    """A second representation of the same factor: 2^l more in the low limb, 1 less in the next, all carries fitting."""
    columns = changed(honest_columns(relation), left_0=1 << 8, left_1=-1)
    result, rounding = relation.rounding.witness(relation.sums(columns))
    assert (result == relation.rounding.output.format.join(relation.rounding.output.limbs(columns))).all()
    assert_rejected_in_both_modes(relation, dishonest_vector(relation, columns | rounding), NOT_IN_TABLE)


@pytest.mark.parametrize("steps", [{0: 1}, {0: -1}, {3: 1, 4: -1}])
def test_wrong_multiplicity(relation, steps):
    statement = Statement(relation)
    vector = dishonest_vector(relation, honest_columns(relation))
    counts = statement.layout.read(vector, MULTIPLICITIES)
    for position, step in steps.items():
        row = position if step > 0 else int(np.flatnonzero(counts)[position])
        counts[row] = int(counts[row]) + step
    statement.layout.write(vector, MULTIPLICITIES, counts)
    assert_rejected_in_both_modes(relation, vector, NOT_IN_TABLE)


def test_cells_of_no_column_have_no_influence(relation):
    """Padding is free witness unless there is none: garbage between and after the columns changes no verdict."""
    statement = Statement(relation)
    vector = dishonest_vector(relation, honest_columns(relation))
    layout = statement.layout
    owned = np.zeros(layout.cells, dtype=bool)
    for column in layout.columns:
        for box in layout.boxes(column.name):
            owned[box.offset : box.offset + (1 << box.log_size)] = True
    free = np.flatnonzero(~owned)
    assert len(free)
    wrong = dishonest_vector(relation, changed(honest_columns(relation), output_0=1))
    generator = np.random.default_rng(8)
    for garbage in (1, 2**32 - 1, generator.integers(0, 1 << 32, len(free), dtype=np.uint32)):
        vector[free] = garbage
        verify(prove_vector(statement, vector), relation)
        verify(prove_vector(statement, vector, zero_knowledge=False), relation, allow_plain=True)
        wrong[free] = garbage
        assert_rejected_in_both_modes(relation, wrong, FALSE_CLAIM)


# ---- the forgery by wrapped carries -----------------------------------------------------------------------------------------


class Unchecked(MatrixProduct):
    """What the relation would be without its check of the plan."""

    def check(self):
        pass


@pytest.mark.parametrize(
    ("limb_bits", "limbs"),
    [(16, 3), (16, 4), *(pytest.param(22, limbs, marks=pytest.mark.slow) for limbs in (2, 3))],
)
def test_wrapped_carries(limb_bits, limbs):
    """Section 3's forgery: accepted for careless carries, if nobody checks the plan; the plan in use leaves no room for it."""
    assert (limb_bits, limbs) in IN_USE
    sizes, plan = MatrixSizes(1, 2, 1), plan_in_use(limb_bits, limbs, terms=2)
    careless = Unchecked(sizes, naive(plan))
    honest = careless.witness(*forgeable_factors(1))
    forged = wrap_carries(careless, honest, 1)
    output = careless.rounding.output
    difference = output.format.join(output.limbs(forged)) - output.format.join(output.limbs(honest))
    assert difference.item() == 2**29
    proof = prove(careless, forged, zero_knowledge=False)
    verify(proof, careless, allow_plain=True)  # a false statement, accepted

    with pytest.raises(PlanRejected, match="soundness of coefficient 0"):
        verify(proof, MatrixProduct(sizes, naive(plan)), allow_plain=True)

    in_use = MatrixProduct(sizes, plan)
    forged = wrap_carries(in_use, in_use.witness(*forgeable_factors(-1)), -1)
    proof = prove_vector(Statement(in_use), dishonest_vector(in_use, forged), zero_knowledge=False)
    assert reject(proof, in_use, allow_plain=True).reason == NOT_IN_TABLE


def test_wrapped_carries_in_zero_knowledge_mode():
    sizes, plan = MatrixSizes(1, 2, 1), plan_in_use(16, 3, terms=2)
    careless, in_use = Unchecked(sizes, naive(plan)), MatrixProduct(sizes, plan)
    verify(prove(careless, wrap_carries(careless, careless.witness(*forgeable_factors(1)), 1)), careless)
    forged = wrap_carries(in_use, in_use.witness(*forgeable_factors(-1)), -1)
    assert reject(prove_vector(Statement(in_use), dishonest_vector(in_use, forged)), in_use).reason == LIGERO_REASON


def test_a_wide_remainder_is_refused_by_the_plan_too():
    plan = plan_in_use(22, 2, terms=2)
    wide = replace(plan, remainder=replace(plan.remainder, width=44))
    with pytest.raises(PlanRejected, match="width of remainder: expected exactly 32 bits, got 44"):
        plan_check(wide)
    with pytest.raises(PlanRejected, match="width of remainder"):
        Statement(MatrixProduct(MatrixSizes(1, 2, 1), wide))


# ---- false messages ---------------------------------------------------------------------------------------------------------


def tampering(label, change):
    """A prover's channel whose first message of this label is changed on its way out."""

    class Tampering(ProverChannel):
        done = False

        def send(self, name, values):
            if name == label and not self.done:
                self.done = True
                values = change(list(values))
            super().send(name, values)

    return Tampering


def plus_one(values):
    return [values[0] + ONE, *values[1:]]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("matrix product: sum", FACTORS),
        ("matrix product: round polynomial", FACTORS),
        ("matrix product: factors", FACTORS),
        ("LogUp: root", "LogUp: layer of the tree"),
        ("LogUp: round polynomial", "LogUp: layer of the tree"),
        ("LogUp: children", "LogUp: layer of the tree"),
        ("batching: round", FALSE_CLAIM),
        ("batching: value", FALSE_CLAIM),
    ],
)
def test_a_changed_message(relation, label, reason):
    vector = dishonest_vector(relation, honest_columns(relation))
    assert_rejected_in_both_modes(relation, vector, reason, channel_type=tampering(label, plus_one))


def test_zero_denominator(relation):
    """0/0 is the sum of everything, unless denominators have inverses."""
    vector = dishonest_vector(relation, changed(honest_columns(relation), left_0=1 << 8))
    channel_type = tampering("LogUp: root", lambda values: [ZERO] * len(values))
    assert_rejected_in_both_modes(relation, vector, "LogUp: a denominator is zero", channel_type=channel_type)


# ---- pads -------------------------------------------------------------------------------------------------------------------


def test_a_pad_used_for_two_messages_is_noticed(relation):
    """The second message then decrypts to something else than was sent; the equations are about what it decrypts to."""

    class Reusing(ProverChannel):
        def __init__(self, transcript, writer, pads):
            pads = list(pads)
            pads[1] = pads[0]
            super().__init__(transcript, writer, pads)

    vector = dishonest_vector(relation, honest_columns(relation))
    proof = prove_vector(Statement(relation), vector, channel_type=Reusing)
    assert reject(proof, relation).reason == LIGERO_REASON


def test_committed_pads_serve_one_proof(relation):
    shape = message_shape(Statement(relation))
    pads = ligero.commit_pads(shape.messages, shape.products)
    pads.take_pads()
    with pytest.raises(RuntimeError, match="already used"):
        pads.take_pads()
