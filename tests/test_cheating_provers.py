"""Provers that break the protocol: rejected in plain mode by the name of the check, in zero-knowledge mode by Ligero."""

import numpy as np
import pytest

from tests.harness.limbs import join
from tests.harness.whole_proof import (
    LIGERO_REASON,
    assert_rejected_in_both_modes,
    carrying_relation,
    honest_columns,
    matrices,
    reject,
    small_relation,
    widths,
    with_plan,
)
from tests.reference.rounding import forged, with_carries
from zkds.channel import ProverChannel
from zkds.errors import PlanRejected
from zkds.field import ONE, ZERO
from zkds.identities.matrix_product import MatrixProduct
from zkds.integers.identity import IdentityPlan
from zkds.integers.limbs import LimbFormat
from zkds.lookup import MULTIPLICITIES, LookupPlan, NotInTable
from zkds.prover import message_shape, prove, prove_vector
from zkds.statement import Statement
from zkds.verifier import verify
from zkds.zk import ligero

FALSE_CLAIM = "batching: final claim"
NOT_IN_TABLE = "LogUp: what is looked up is not what the tables hold"
FACTORS = "matrix product: products of the factors"


@pytest.fixture(scope="module")
def relation():
    """Three limbs for each number, and carries."""
    return carrying_relation()


@pytest.fixture(scope="module")
def small():
    """For what does not depend on limbs and carries."""
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
    return 1 if columns[name].flat[0] + 1 < 1 << widths(relation)[name] else -1


def test_the_honest_vector_of_this_file_is_accepted(relation):
    statement = Statement(relation)
    vector = dishonest_vector(relation, honest_columns(relation))
    verify(prove_vector(statement, vector), relation)
    verify(prove_vector(statement, vector, zero_knowledge=False), relation, allow_plain=True)


# ---- false witnesses ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
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
    """out - 1 and rem + 2^s satisfy the identity, with the same carries: only the width of rem forbids it."""
    assert relation.rounding.remainder.format.limb_widths == (16, 16, 4)
    honest = honest_columns(relation)
    columns = changed(honest, output_0=-1, remainder_2=1 << 4)
    assert all((with_carries(relation, columns)[name] == columns[name]).all() for name in columns)
    assert_rejected_in_both_modes(relation, dishonest_vector(relation, columns), NOT_IN_TABLE)
    with pytest.raises(NotInTable, match="matrix product: remainder/2: not in a table of 16 rows"):
        prove(relation, columns)


def test_limb_out_of_range(relation):
    """A second representation of the same factor: 2^16 more in the low limb, 1 less in the next, all carries fitting."""
    columns = with_carries(relation, changed(honest_columns(relation), left_0=1 << 16, left_1=-1))
    outside = [name for name, width in widths(relation).items() if int(columns[name].max()) >> width]
    assert outside == ["left/0"]
    assert_rejected_in_both_modes(relation, dishonest_vector(relation, columns), NOT_IN_TABLE)


def test_swapped_factors():
    """The product of B and A is committed as that of A and B."""
    relation = carrying_relation(3, 3, 3)
    left, right = matrices(relation)
    product = relation.witness(right, left)
    swapped = product | relation.left.columns.split(left) | relation.right.columns.split(right)
    assert_rejected_in_both_modes(relation, dishonest_vector(relation, swapped), FALSE_CLAIM)


@pytest.mark.parametrize("steps", [{0: 1}, {0: -1}, {3: 1, 4: -1}])
def test_wrong_multiplicity(small, steps):
    statement = Statement(small)
    vector = dishonest_vector(small, honest_columns(small))
    counts = statement.layout.read(vector, MULTIPLICITIES)
    for position, step in steps.items():
        row = position if step > 0 else int(np.flatnonzero(counts)[position])
        counts[row] = int(counts[row]) + step
    statement.layout.write(vector, MULTIPLICITIES, counts)
    assert_rejected_in_both_modes(small, vector, NOT_IN_TABLE)


def test_cells_of_no_column_have_no_influence(small):
    """Padding is free witness unless there is none: garbage between and after the columns changes no verdict."""
    statement = Statement(small)
    vector = dishonest_vector(small, honest_columns(small))
    layout = statement.layout
    owned = np.zeros(layout.cells, dtype=bool)
    for column in layout.columns:
        for box in layout.boxes(column.name):
            owned[box.offset : box.offset + (1 << box.log_size)] = True
    free = np.flatnonzero(~owned)
    assert len(free)
    wrong = dishonest_vector(small, changed(honest_columns(small), output_0=1))
    generator = np.random.default_rng(8)
    for garbage in (1, 2**32 - 1, generator.integers(0, 1 << 32, len(free), dtype=np.uint32)):
        vector[free] = garbage
        verify(prove_vector(statement, vector), small)
        verify(prove_vector(statement, vector, zero_knowledge=False), small, allow_plain=True)
        wrong[free] = garbage
        assert_rejected_in_both_modes(small, wrong, FALSE_CLAIM)


# ---- the forgery by wrapped carries -----------------------------------------------------------------------------------------


class Unchecked(MatrixProduct):
    """What the relation would be without its check of the plan."""

    def check(self):
        pass


def public(width):
    return {"rows": 1, "inner": 2, "columns": 1, "width": width, "shift": 36}


def without_carries(columns):
    return {name: cells for name, cells in columns.items() if ": carry " not in name}


CARELESS = {
    "full carry limbs": (lambda plan: tuple(LimbFormat(16, 32, True) for _ in plan.carries), "can wrap around p"),
    "no carries": (lambda plan: (), "needs more low digits"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", CARELESS)
@pytest.mark.parametrize("width", [48, 60])
def test_wrapped_carries(width, kind):
    """Section 3's forgery: accepted by careless plans, if nobody checks them; the plan in use leaves no room for it."""
    carries_of, reason = CARELESS[kind]
    in_use = MatrixProduct(**public(width))
    carries = carries_of(in_use.rounding.plan)
    plan = IdentityPlan(in_use.rounding.plan.groups[: len(carries)], carries)
    careless = with_plan(Unchecked(**public(width)), plan)
    honest = honest_columns(in_use)
    false = forged(careless, without_carries(honest))
    output = in_use.output.columns
    assert (join(output.format, output.limbs(false)) - join(output.format, output.limbs(honest))).item() == 2**25
    proof = prove(careless, false, zero_knowledge=False)
    verify(proof, careless, allow_plain=True)  # a false statement, accepted

    with pytest.raises(PlanRejected, match=reason):
        verify(proof, with_plan(MatrixProduct(**public(width)), plan), allow_plain=True)

    assert_rejected_in_both_modes(in_use, dishonest_vector(in_use, forged(in_use, honest)), NOT_IN_TABLE)


def test_wrapped_carries_in_zero_knowledge_mode():
    careless = with_plan(Unchecked(**public(48)), IdentityPlan((), ()))
    columns = without_carries(honest_columns(MatrixProduct(**public(48))))
    verify(prove(careless, forged(careless, columns)), careless)


@pytest.mark.slow
def test_an_identity_that_holds_only_modulo_p(relation):
    """The same result without the carries that have no room: those that are within their widths do not belong to it."""
    honest = honest_columns(relation)
    false = forged(relation, honest)
    best = {name: false[name] % (1 << width) for name, width in widths(relation).items()}
    for others in (honest, best):
        columns = others | without_carries(false)
        assert_rejected_in_both_modes(relation, dishonest_vector(relation, columns), FALSE_CLAIM)


def test_a_statement_with_a_wide_remainder_is_refused():
    wide = MatrixProduct(1, 2, 1)
    wide.rounding.remainder.format = LimbFormat(16, 48, signed=False)
    with pytest.raises(PlanRejected, match="matrix product: expected a remainder of exactly 32 unsigned bits"):
        Statement(wide)


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
        ("matrix product: values", FACTORS),
        ("matrix product: round polynomial", FACTORS),
        ("matrix product: factors", FACTORS),
        ("LogUp: root", "LogUp: layer of the tree"),
        ("LogUp: round polynomial", "LogUp: layer of the tree"),
        ("LogUp: children", "LogUp: layer of the tree"),
        ("batching: round", FALSE_CLAIM),
        ("batching: value", FALSE_CLAIM),
    ],
)
def test_a_changed_message(small, label, reason):
    vector = dishonest_vector(small, honest_columns(small))
    assert_rejected_in_both_modes(small, vector, reason, channel_type=tampering(label, plus_one))


def test_factors_with_the_right_product(small):
    """Left and right exchanged: the equation between the messages holds, the claims on the matrices are false."""
    vector = dishonest_vector(small, honest_columns(small))
    channel_type = tampering("matrix product: factors", lambda values: values[::-1])
    assert_rejected_in_both_modes(small, vector, FALSE_CLAIM, channel_type=channel_type)


def test_zero_denominator(small):
    """0/0 is the sum of everything, unless denominators have inverses."""
    vector = dishonest_vector(small, changed(honest_columns(small), left_0=1 << 10))
    channel_type = tampering("LogUp: root", lambda values: [ZERO] * len(values))
    assert_rejected_in_both_modes(small, vector, "LogUp: a denominator is zero", channel_type=channel_type)


# ---- pads -------------------------------------------------------------------------------------------------------------------


def test_a_pad_used_for_two_messages_is_noticed(small):
    """The second message then decrypts to something else than was sent; the equations are about what it decrypts to."""

    class Reusing(ProverChannel):
        def __init__(self, transcript, writer, pads):
            pads = list(pads)
            pads[1] = pads[0]
            super().__init__(transcript, writer, pads)

    vector = dishonest_vector(small, honest_columns(small))
    proof = prove_vector(Statement(small), vector, channel_type=Reusing)
    assert reject(proof, small).reason == LIGERO_REASON


def test_committed_pads_serve_one_proof(small):
    shape = message_shape(Statement(small))
    pads = ligero.commit_pads(shape.messages, shape.products)
    pads.take_pads()
    with pytest.raises(RuntimeError, match="already used"):
        pads.take_pads()
