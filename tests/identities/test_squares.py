"""Sums of squares of products of low rank: exact against slow twins, whole proofs, cheating provers, what bounds are for."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from tests.harness.cheating import FALSE_CLAIM, NOT_IN_TABLE, lying, reason_of, reason_of_cells
from tests.harness.kernels import with_all
from tests.harness.limbs import completed, join
from tests.harness.squares_relation import GRADIENT_SHIFT, WEIGHT_SHIFT, SquaresRelation, StepSquares
from tests.reference import squares as reference
from zkds.errors import PlanRejected
from zkds.field import P
from zkds.identities import product_squares
from zkds.identities.balanced_digits import BalancedDigits
from zkds.identities.digit_polynomials import MAX_COEFFICIENT, integer_digits
from zkds.identities.gram_squares import Records, gram, grams, multiplied
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat, WitnessOverflow
from zkds.prover import prove
from zkds.tensors.tensor import ColumnReader, Committed
from zkds.verifier import verify

pytestmark = pytest.mark.any_kernels

SQUARE = "V: square of the product"

SHAPES = [
    {},
    {"shape": (4, 16), "steps": 2, "batch": 3, "base": 3, "stride": 3, "exponent": 2},
    {"shape": (3, 20), "steps": 1, "batch": 1, "exponent": 1},
    {"shape": (7, 3, 5), "steps": 2, "batch": 1, "base": 5, "stride": 2, "exponent": 4},
    {"shape": (2, 70), "steps": 4, "batch": 2, "exponent": 0},
    {"shape": (1, 1), "steps": 2, "batch": 1, "exponent": 17},
]


@functools.cache
def example(**parameters):
    relation = SquaresRelation(**parameters)
    values = relation.values()
    return relation, values, relation.columns(values)


def polynomials(digits, columns):
    """An object array of polynomials, by the index of the value."""
    tables = digits.tables(ColumnReader(columns))
    result = np.empty(digits.shape, dtype=object)
    for index in np.ndindex(digits.shape):
        result[index] = [int(table[index]) for table in tables]
    return result


def coefficients(step, columns):
    return join(step.columns.format, step.columns.limbs(columns))


@pytest.mark.parametrize("parameters", SHAPES)
@pytest.mark.parametrize("log", [0, 1, 4, 60])
def test_coefficients_are_those_of_the_slow_twin(parameters, log):
    relation = SquaresRelation(**parameters, log=log)
    columns = relation.columns(relation.values())
    w, a, d = (polynomials(x, columns) for x in (relation.weights, relation.inputs, relation.deltas))
    updates = polynomials(relation.updates, columns) if relation.updates else None
    owner = relation.products
    for t, (step, own) in enumerate(zip(owner.steps, owner.chunk_logs, strict=True)):
        expected = reference.product_squares(w, a, d, updates, t, owner.scale, owner.stride, own)
        found = coefficients(step, columns)
        for chunk in range(found.shape[1]):
            own_chunk = expected.get(chunk, [0])
            assert found[:, chunk].tolist() == own_chunk + [0] * (owner.terms - len(own_chunk))
        total = coefficients(relation.grams.coefficients, columns)[:, t].tolist()
        assert total == reference.gram_squares(a, d, t, relation.shape)


@pytest.mark.parametrize("parameters", SHAPES)
def test_values_are_the_rounded_sums_of_squares(parameters):
    relation, values, columns = example(**parameters)
    shifts = (WEIGHT_SHIFT, GRADIENT_SHIFT)
    for number, (gadget, shift) in enumerate(zip(relation.rounded.gadgets, shifts, strict=True)):
        expected = [(exact[number] + (1 << shift - 1)) >> shift for exact in relation.exact(values)]
        assert list(gadget.values(ColumnReader(columns))) == expected


@pytest.mark.parametrize("parameters", SHAPES)
def test_largest_digits_reach_the_bounds(parameters):
    """No coefficient is beyond its interval, whatever the digits: with all of them at one end some come close."""
    relation = SquaresRelation(**parameters, log=0)
    honest = relation.columns({o.name: np.zeros(o.shape, dtype=np.int64) for o in relation.operands})
    reached = 0
    for end in ("low", "high"):
        columns = dict(honest)
        for digits in relation.decomposition.digits:
            cell = 0 if end == "low" else digits.base - 1
            columns |= {name: np.full(digits.shape, cell, dtype=np.uint32) for name in digits.columns.names}
        columns = completed(columns, relation.products)
        for t, step in enumerate(relation.products.steps):
            found = coefficients(step, columns)
            for own, interval in zip(found, relation.products.entry_intervals(t), strict=False):
                assert interval.low <= own.min() <= own.max() <= interval.high
            reached = max(reached, np.abs(found).max() if t == 0 else 0)
    assert reached <= relation.products.bounds[0]
    if relation.base == 4:  # the digits of 2^exponent in other bases have both signs
        assert relation.products.bounds[0] <= 8 * reached


@pytest.mark.parametrize("zero_knowledge", [False, True])
@pytest.mark.parametrize("parameters", SHAPES)
def test_whole_proofs(parameters, zero_knowledge):
    relation, _, columns = example(**parameters)
    relation.relation.check()
    proof = prove(relation.relation, columns, zero_knowledge=zero_knowledge)
    assert verify(proof, relation.relation, allow_plain=True).bits >= 100


def test_many_chunks():
    relation = SquaresRelation(shape=(5, 12), steps=2, log=2)
    relation.relation.check()
    columns = relation.columns(relation.values())
    assert verify(prove(relation.relation, columns), relation.relation).bits >= 100


# ---- cheating provers --------------------------------------------------------------------------------------------------


@functools.cache
def chunked():
    relation = SquaresRelation(shape=(5, 12), steps=2, log=3)
    values = relation.values()
    return relation, values, relation.columns(values)


def with_coefficients(step, columns, change):
    values = coefficients(step, columns)
    change(values)
    return columns | step.columns.split(values)


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("term", [0, 60, -1])
def test_a_wrong_coefficient_is_rejected(step, term):
    relation, _, columns = chunked()

    def change(values):
        values[term, -1] += 1

    assert reason_of_cells(relation.relation, with_coefficients(relation.products.steps[step], columns, change)) == SQUARE


def test_what_is_moved_between_chunks_is_rejected():
    """The sums over all chunks, and so the value, stay as they are."""
    relation, _, columns = chunked()

    def change(values):
        values[7, 2] += 5
        values[7, 3] -= 5

    assert reason_of_cells(relation.relation, with_coefficients(relation.products.steps[1], columns, change)) == SQUARE


def test_what_is_moved_between_terms_is_rejected():
    """4 C_(m + 1) + C_m stays as it is: the value is right, the polynomial is not."""
    relation, _, columns = chunked()

    def change(values):
        values[7, 2] += 4
        values[8, 2] -= 1

    changed = with_coefficients(relation.products.steps[0], columns, change)
    assert reason_of_cells(relation.relation, completed(changed, relation.rounded)) == SQUARE


def moved_by_p(step, columns):
    """The columns of coefficients, one of them p more."""
    number = step.columns.format
    cells = [cell.copy() for cell in step.columns.limbs(columns)]
    shifted = number.offset + int(join(number, cells)[3, 0]) + P
    for j, cell in enumerate(cells):
        cell[3, 0] = shifted >> 16 * j & (0xFFFF if j < 3 else 0xFFFFFFFF)
    return dict(zip(step.columns.names, cells, strict=True))


@pytest.mark.parametrize("owner", ["products", "grams"])
def test_a_coefficient_moved_by_p_is_rejected_by_its_range(owner):
    """Every equation modulo p holds; 60 bits do not hold it. (A coefficient less p has no cells at all, 2^59 being below p.)"""
    relation, _, columns = chunked()
    step = relation.products.steps[0] if owner == "products" else relation.grams.coefficients
    changed = columns | moved_by_p(step, columns)
    assert reason_of(relation.relation, changed) == NOT_IN_TABLE


def test_a_wrong_sum_of_squares_of_gradients_is_rejected():
    relation, _, columns = chunked()

    def change(values):
        values[2, 1] += 1

    changed = completed(with_coefficients(relation.grams.coefficients, columns, change), relation.rounded)
    assert reason_of_cells(relation.relation, changed) == "Q: product of the factors"


@pytest.mark.parametrize("which", range(4))
def test_a_digit_that_is_not_the_values_is_rejected(which):
    """Everything that follows from it is right."""
    relation, _, columns = chunked()
    digits = relation.decomposition.digits[which]
    name = digits.columns.names[0]
    cells = columns[name].copy()
    cells.flat[-1] = (cells.flat[-1] + 1) % digits.base
    assert reason_of_cells(relation.relation, relation.after_digits(columns | {name: cells})) == FALSE_CLAIM


def test_stale_weights_are_rejected():
    """The digits of other weights, and the right coefficients for them."""
    relation, values, columns = chunked()
    stale = values["w"].copy()
    stale[2, 5] += 1
    changed = relation.after_digits(columns | relation.weights.columns.split(stale))
    assert reason_of_cells(relation.relation, changed) == FALSE_CLAIM


@pytest.mark.parametrize("gadget", [0, 1])
@pytest.mark.parametrize("part", ["digits", "carries, low", "carries, high"])
@pytest.mark.parametrize("row", [0, 5])
def test_the_chain_has_no_other_digits_or_carries(gadget, part, row):
    relation, _, columns = chunked()
    owner = next(t for t in relation.rounded.gadgets[gadget].tensors if t.name.endswith(part))
    name = owner.columns.names[0]
    cells = columns[name].copy()
    cells[row, 0] ^= 1
    assert reason_of_cells(relation.relation, columns | {name: cells}) == FALSE_CLAIM


def test_a_value_rounded_the_other_way_is_rejected():
    """The first digit above the shift and the carry into it are moved together: the last digit below does not fit any more."""
    relation, _, columns = chunked()
    gadget = relation.rounded.gadgets[1]
    cells = columns[gadget.limbs.columns.names[0]].copy()
    cells[gadget.dropped, 0] += 1
    carries = columns[gadget.carries[0].columns.names[0]].copy()
    carries[gadget.dropped - 1, 0] += 1
    changed = columns | {gadget.limbs.columns.names[0]: cells, gadget.carries[0].columns.names[0]: carries}
    assert reason_of_cells(relation.relation, changed) == FALSE_CLAIM


@pytest.mark.parametrize(
    ("label", "position", "reason"),
    [
        ("V: sum", 0, SQUARE),
        ("V: round polynomial", 1, SQUARE),
        ("V: factors", 0, "V: product of the factors"),
        ("V: factors", 1, "V: product of the factors"),
        ("V: factors", 2, "V: product of the factors"),
        ("V: records: round polynomial", 0, "V: records: product of the factors"),
        ("V: records: factors", 0, "V: records: product of the factors"),
        ("V: records: factors", 1, "V: records: product of the factors"),
        ("Q: sum", 0, "Q: product of the factors"),
        ("Q: factors", 0, "Q: product of the factors"),
        ("Q: d digits: factors", 1, "Q: d digits: product of the factors"),
        ("Q: a digits: round polynomial", 0, "Q: a digits: product of the factors"),
    ],
)
def test_a_lie_in_the_protocol_is_rejected(label, position, reason):
    relation, _, columns = chunked()
    assert reason_of(relation.relation, columns, channel=lying(label, position)) == reason


@pytest.mark.parametrize("label", ["V: factors", "V: records: factors"])
def test_a_lie_about_the_update_is_rejected(label):
    """Values that only steps with updates send: of the second step."""
    relation, _, columns = chunked()
    position = 3 if label == "V: factors" else 2

    class Lying(lying(label, position)):
        def send(self, name, values):
            self.done = self.done or (name == label and len(values) <= position)
            super().send(name, values)
            if len(values) <= position and name == label:
                self.done = False

    expected = "V: records: product of the factors" if position == 3 else FALSE_CLAIM
    assert reason_of(relation.relation, columns, channel=Lying) == expected


# ---- weights of every step, rows of images ------------------------------------------------------------------------------


@functools.cache
def of_steps():
    relation = StepSquares(log=4)
    values = relation.values()
    return relation, values, relation.columns(values)


@pytest.mark.parametrize("log", [0, 1, 4, 60])
def test_squares_of_the_weights_of_every_step(log):
    """Chunks of less than a kernel, of kernels, and of the whole."""
    relation = StepSquares(log=log)
    columns, values = relation.columns(relation.values()), relation.values()
    (gadget,) = relation.rounded.gadgets
    expected = [(exact + (1 << WEIGHT_SHIFT - 1)) >> WEIGHT_SHIFT for exact in relation.exact(values)]
    assert list(gadget.values(ColumnReader(columns))) == expected and min(expected) > 1 << 40
    for own, chunks in zip(relation.products.steps, relation.products.chunk_logs, strict=True):
        assert own.shape[1] == -(-5 * 8 // (1 << chunks))


def swapped(values, name):
    """The values of the first two steps exchanged."""
    return values | {name: values[name][[1, 0, *range(2, len(values[name]))]]}


def shifted(values):
    """Every image one row down."""
    return values | {"a": np.roll(values["a"], 1, axis=3)}


@pytest.mark.parametrize(
    "wrong", [lambda v: swapped(v, "w"), lambda v: swapped(v, "a"), lambda v: swapped(v, "d"), shifted], ids="wads"
)
def test_coefficients_of_other_factors_are_rejected(wrong):
    """Of weights, inputs or deltas of another step, of patches that are shifted by a row: each with its value."""
    relation, values, columns = of_steps()
    other = relation.columns(wrong(values))
    changed = dict(columns)
    for step in relation.products.steps:
        changed |= {name: other[name] for name in step.columns.names}
    assert reason_of_cells(relation.relation, completed(changed, relation.rounded)) == SQUARE


@pytest.mark.parametrize("kind", ["coefficient", "moved by p"])
def test_wrong_coefficients_of_a_step_are_rejected(kind):
    relation, _, columns = of_steps()
    step = relation.products.steps[2]
    if kind == "coefficient":

        def change(values):
            values[9, 1] -= 1

        assert reason_of_cells(relation.relation, with_coefficients(step, columns, change)) == SQUARE
    else:
        assert reason_of(relation.relation, columns | moved_by_p(step, columns)) == NOT_IN_TABLE


@pytest.mark.parametrize(
    ("label", "position", "reason"),
    [
        ("V: sum", 0, SQUARE),
        ("V: factors", 0, "V: product of the factors"),
        ("V: factors", 1, "V: product of the factors"),
        ("V: records: round polynomial", 0, "V: records: product of the factors"),
        ("V: records: factors", 1, "V: records: product of the factors"),
    ],
)
def test_a_lie_about_a_step_is_rejected(label, position, reason):
    relation, _, columns = of_steps()
    assert reason_of(relation.relation, columns, channel=lying(label, position)) == reason


@pytest.mark.parametrize("zero_knowledge", [False, True])
def test_whole_proofs_of_every_step(zero_knowledge):
    relation, _, columns = of_steps()
    relation.relation.check()
    proof = prove(relation.relation, columns, zero_knowledge=zero_knowledge)
    assert verify(proof, relation.relation, allow_plain=True).bits >= 100


# ---- plans -------------------------------------------------------------------------------------------------------------


def test_chunks_are_the_largest_that_fit():
    relation = SquaresRelation(shape=(64, 256), steps=5, batch=8, exponent=17)
    owner = relation.products
    assert owner.chunk_logs == [11, 9, 8, 7, 6]
    assert owner.terms == 145
    for bound, log in zip(owner.bounds, owner.chunk_logs, strict=True):
        assert bound << log <= MAX_COEFFICIENT < bound << log + 1
    owner.check()


@pytest.mark.parametrize(
    "tamper",
    [
        lambda owner: owner.chunk_logs.__setitem__(4, owner.chunk_logs[4] + 1),
        lambda owner: setattr(owner, "scale", [2 * digit for digit in owner.scale]),
    ],
)
def test_a_plan_whose_coefficients_may_wrap_is_refused(tamper):
    owner = SquaresRelation(shape=(64, 256), steps=5, batch=8, exponent=17).products
    owner.check()
    tamper(owner)
    with pytest.raises(PlanRejected, match=r"V: coefficients of step . need 6[12] bits"):
        owner.check()


def test_sums_without_a_plan_are_refused():
    with pytest.raises(PlanRejected, match="V: a coefficient of step 2 needs 61 bits"):
        SquaresRelation(base=32, stride=2, exponent=4)
    relation = SquaresRelation(base=3, stride=2, batch=1, steps=1)
    relation.grams.check()
    relation.grams.inputs.digits = tuple(digit.times(1 << 24) for digit in relation.grams.inputs.digits)
    with pytest.raises(PlanRejected, match=r"Q: a coefficient needs \d+ bits"):
        relation.grams.check()


def test_misuse():
    relation = SquaresRelation()
    args = (relation.weights, relation.inputs, relation.deltas, relation.updates)
    with pytest.raises(ValueError, match="V: expected an exponent of at least 0"):
        product_squares.ProductSquares("V", *args, -1)
    with pytest.raises(ValueError, match="V: expected updates of 2 steps"):
        product_squares.ProductSquares("V", *args[:3], None, 1)
    with pytest.raises(ValueError, match="V: expected digits of base 1024"):
        product_squares.ProductSquares("V", args[0], args[0], *args[2:], 1)
    relation.weights.base = 1000
    with pytest.raises(ValueError, match="V: expected weights of a power of base 4, got 1000"):
        product_squares.ProductSquares("V", *args, 1)


def test_values_that_are_too_wide_are_named():
    relation = SquaresRelation()
    values = relation.values(bits={"w": 44, "a": 43, "d": 46, "D": 15})
    with pytest.raises(WitnessOverflow, match=r"V: the value at index \(0,\) does not fit 112 bits"):
        relation.columns(values)


@pytest.mark.parametrize("base", [3, 4, 5])
def test_digits_of_powers_of_two(base):
    for exponent in range(40):
        digits = integer_digits(1 << exponent, base)
        assert reference.at(digits, base) == 1 << exponent
        assert max(map(abs, digits)) <= base // 2
        assert base != 4 or sum(map(bool, digits)) == 1


@pytest.mark.parametrize("modulus", [13, 17, 29, 31])
def test_committed_coefficients_are_unique_by_exhaustion(modulus):
    """Of all coefficients that a format holds, one equals the true one modulo the prime while |true| + |committed| is below it;
    as soon as it is not, some true one has another."""
    for bits, true in itertools.product(range(2, 6), range(1, modulus)):
        held = range(-(1 << bits - 1), 1 << bits - 1)
        solutions = [sum((c - value) % modulus == 0 for c in held) for value in range(-true, true + 1)]
        complete = true <= (1 << bits - 1) - 1
        if true + (1 << bits - 1) < modulus:
            assert max(solutions) == 1
            assert (min(solutions) == 1) == complete
        elif complete:
            assert max(solutions) > 1


@pytest.mark.parametrize(
    ("count", "records", "entries", "most"),
    [(1, 2, 3, 1), (2, 2, 5, 1), (5, 3, 17, 1), (6, 3, 100, 2), (7, 2, 9, 1 << 20), (5, 2, 30, 121), (3, 2, 4, (1 << 25) - 1)],
)
def test_gram_matrices_of_digits_are_exact(count, records, entries, most):
    """Two digits to a number, and one where doubles have no room for two."""
    digits = np.random.default_rng(count).integers(-most, most + 1, (count, records, entries))
    digits[0], digits[-1] = most, -most
    expected = np.zeros((2 * count - 1, records, records), dtype=object)
    for i, j in np.ndindex(count, count):
        expected[i + j] += digits[i].astype(object) @ digits[j].astype(object).T
    assert (gram(list(digits), most) == expected).all()


@pytest.mark.parametrize("base", [3, 200])
def test_gram_matrices_of_all_steps(base):
    """Of records, with every set of kernels: tiles of bytes multiply digits as they are."""
    generator = np.random.default_rng(base)
    steps, records, entries = 2, 9, 100
    digits = BalancedDigits("d", Committed(LimbColumns("v", LimbFormat(16, 30, True), (steps, records, entries))), base)
    interval = digits.number.digit_interval
    tables = list(generator.integers(interval.low, interval.high + 1, (len(digits.digits), steps, records * entries)))
    tables[0][:] = interval.low
    of_steps = [[table[step].reshape(records, entries) for table in tables] for step in range(steps)]
    expected = np.stack([gram(own, interval.magnitude()).reshape(-1, records**2) for own in of_steps])
    for found in with_all(lambda: grams(tables, Records(digits.shape), digits)):
        assert (found == expected).all()


def test_products_of_gram_matrices():
    generator = np.random.default_rng(1)
    left, right = generator.integers(-(2**40), 2**40, (2, 3, 50)), generator.integers(-(2**12), 2**12, (2, 4, 50))
    assert (multiplied(left, right) == left @ right.swapaxes(1, 2)).all()
