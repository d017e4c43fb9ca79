"""The rounding gadget and the matrix product: semantics against Python ints, and the claims against the committed vector."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integers.test_plan import plan_in_use
from tests.reference import rounding as reference
from tests.reference.claims import claim_sum, committed
from tests.reference.rounding import IN_USE, forgeable_factors, wrap_carries
from zkds.channel import ProverChannel, VerifierChannel
from zkds.errors import PlanRejected
from zkds.field import K, P, block, from_pairs, to_pairs, unblock
from zkds.integers.limb_columns import ones_at
from zkds.integers.limbs import WitnessOverflow
from zkds.integers.matrix_product import MatrixProduct, MatrixSizes
from zkds.integers.plan import plan_rounding
from zkds.integers.products import contract, exact_matmul
from zkds.multilinear import evaluate_scalars
from zkds.soundness import total_bits
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk.ligero import violated

SIZES = [(3, 5, 2), (1, 1, 1), (4, 8, 9), (7, 13, 1)]


def relation_in_use(limb_bits, limbs, sizes=(3, 5, 2)):
    return MatrixProduct(MatrixSizes(*sizes), plan_in_use(limb_bits, limbs, terms=sizes[1]))


def random_matrices(relation, seed=1, bits=None):
    """A and B with entries of random lengths whose rounded product fits the width."""
    generator = np.random.default_rng(seed)
    sizes = relation.sizes
    bits = bits or (relation.plan.output.width + relation.plan.shift - 6) // 2

    def matrix(shape):
        return generator.integers(-(1 << bits), 1 << bits, shape) >> generator.integers(0, bits, shape)

    return matrix((sizes.rows, sizes.inner)), matrix((sizes.inner, sizes.columns))


def run(relation, columns):
    """(prover's claims, verifier's claims with values revealed, reasons of violated equations), in plain mode through bytes."""
    layout, vector = committed(relation, columns)
    prover = ProverChannel(Transcript(), ProofWriter(), None)
    claims = relation.prove(prover, layout, vector)
    verifier = VerifierChannel(Transcript(), ProofReader(prover.writer.to_bytes()))
    hidden = relation.verify(verifier, layout)
    verifier.reader.finish()
    assert total_bits(prover.budget.terms) == total_bits(verifier.budget.terms) > 100
    for claim, verifiers in zip(claims, hidden, strict=True):
        assert claim.value == verifiers.value.constant and list(claim.pieces) == list(verifiers.pieces)
    pads = [K(0)] * verifier.constraints.messages
    return vector, claims, violated(verifier.constraints, pads)


def false_claims(vector, claims):
    return [number for number, claim in enumerate(claims) if claim_sum(claim, vector) != claim.value]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_witness_is_that_of_python_integers(limb_bits, limbs, sizes):
    relation = relation_in_use(limb_bits, limbs, sizes)
    left, right = random_matrices(relation)
    columns = relation.witness(left, right)
    parts = {part.name: part.format.join(part.limbs(columns)) for part in relation.rounding.parts}
    for i in range(sizes[0]):
        for j in range(sizes[2]):
            row, column = left[i].tolist(), right[:, j].tolist()
            entry = reference.witness(relation.plan, row, column)
            exact = sum(a * b for a, b in zip(row, column, strict=True))
            assert entry.output == reference.round_half_up(exact, 32)
            found = [int(values[i, j]) for values in parts.values()]
            assert found == [entry.output, entry.remainder, *entry.carries]
            assert not any(reference.residuals(relation.plan, row, column, entry))
    for name, width in relation.widths.items():
        assert int(columns[name].max()) < 1 << width
    assert set(columns) == {column.name for column in relation.columns} == set(relation.widths)


@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_extreme_factors_and_ties(limb_bits, limbs):
    """The ends of the ranges, and sums that lie exactly between two results: rounded towards plus infinity."""
    relation = relation_in_use(limb_bits, limbs, (4, 1, 4))
    low, high = relation.plan.left.interval.low, relation.plan.left.interval.high
    left = np.array([[low], [high], [-1], [1]], dtype=np.int64)
    right = np.array([[1 << 31, -(1 << 31), 1, -1]], dtype=np.int64)
    columns = relation.witness(left, right)
    output = result_of(relation, columns)
    expected = [[reference.round_half_up(a * b, 32) for b in right[0].tolist()] for a in left[:, 0].tolist()]
    assert output.tolist() == expected
    assert output[2, 0] == 0 and output[3, 0] == 1  # -1/2 -> 0 and 1/2 -> 1


@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_extreme_sums_fit_the_carries(limb_bits, limbs):
    """All factors at the ends of their ranges, signs so that the result fits: the widest coefficients that a plan allows."""
    relation = relation_in_use(limb_bits, limbs, (1, 64, 1))
    low, high = relation.plan.left.interval.low, relation.plan.left.interval.high
    left = np.array([[low, high] * 32], dtype=np.int64)
    for right in ([high, high], [high, low], [low, low]):
        column = np.array([right * 32], dtype=np.int64).T
        exact = sum(a * b for a, b in zip(left[0].tolist(), column[:, 0].tolist(), strict=True))
        if relation.plan.output.interval.low <= reference.round_half_up(exact, 32) <= relation.plan.output.interval.high:
            relation.witness(left, column)
        else:
            with pytest.raises(WitnessOverflow, match=r"matrix product: output: the value at index \(0, 0\)"):
                relation.witness(left, column)


@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_overflow_names_the_position_and_nothing_else(limb_bits, limbs):
    relation = relation_in_use(limb_bits, limbs)
    width = relation.plan.output.width
    left, right = np.zeros((3, 5), dtype=np.int64), np.zeros((5, 2), dtype=np.int64)
    left[2, 4], right[4, 1] = 1 << 33, 1 << (width - 2)  # the product is 2^(width - 1): one too much
    with pytest.raises(WitnessOverflow) as caught:
        relation.witness(left, right)
    assert str(caught.value) == f"matrix product: output: the value at index (2, 1) does not fit {width} bits"
    relation.witness(-left, right)  # -2^(width - 1) fits
    left[0, 0] = 1 << (width - 1)
    with pytest.raises(WitnessOverflow, match=rf"left: the value at index \(0, 0\) does not fit {width} bits"):
        relation.witness(left, right)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_relation_accepts_the_witness(limb_bits, limbs, sizes):
    relation = relation_in_use(limb_bits, limbs, sizes)
    vector, claims, violations = run(relation, relation.witness(*random_matrices(relation)))
    assert violations == [] and false_claims(vector, claims) == []


@pytest.mark.parametrize(("limb_bits", "limbs"), [(16, 3), (22, 2)])
def test_every_kind_of_cell_counts(limb_bits, limbs):
    """One cell of each column changed, by the smallest step: a claim is false or an equation violated, always."""
    relation = relation_in_use(limb_bits, limbs)
    honest = relation.witness(*random_matrices(relation))
    for name, values in honest.items():
        changed = values.copy()
        changed.flat[values.size - 1] ^= 1
        vector, claims, violations = run(relation, {**honest, name: changed})
        assert violations == ["matrix product: product of the factors"] or false_claims(vector, claims) == [0], name


@pytest.mark.parametrize(("limb_bits", "limbs"), IN_USE)
def test_wrapped_carries_pass_the_identity_when_limbs_may_be_any_number(limb_bits, limbs):
    """The relation alone is about residues: only the widths of the carries stand between it and the forgery."""
    relation = relation_in_use(limb_bits, limbs, (1, 2, 1))
    columns = relation.witness(*forgeable_factors(-1))
    forged = wrap_carries(relation, columns, -1)
    assert result_of(relation, forged) == result_of(relation, columns) - 2**29
    vector, claims, violations = run(relation, forged)
    assert violations == [] and false_claims(vector, claims) == []
    outside = [name for name, width in relation.widths.items() if int(forged[name].max()) >> width]
    assert outside and all(name.startswith("matrix product: carry") for name in outside)


def result_of(relation, columns):
    return relation.rounding.output.format.join(relation.rounding.output.limbs(columns))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(data=st.data())
def test_any_plan_on_any_factors(data):
    """Limbs of 2 to 22 bits, all widths and shifts: the witness is the reference's, fits its columns, or overflows."""
    limb_bits, shift, terms = data.draw(st.integers(2, 22)), data.draw(st.integers(1, 60)), data.draw(st.integers(1, 4))
    left_width, right_width, output_width = (data.draw(st.integers(1, 60)) for _ in range(3))
    try:
        plan = plan_rounding(
            limb_bits=limb_bits,
            shift=shift,
            terms=terms,
            left_width=left_width,
            right_width=right_width,
            output_width=output_width,
        )
    except PlanRejected as rejection:
        assert "soundness of coefficient" in str(rejection) or "width: expected 1 to 60 bits" in str(rejection)
        return
    left = data.draw(st.lists(values_of(plan.left), min_size=terms, max_size=terms))
    right = data.draw(st.lists(values_of(plan.right), min_size=terms, max_size=terms))
    relation = MatrixProduct(MatrixSizes(1, terms, 1), plan)
    matrices = np.array([left], dtype=np.int64), np.array(right, dtype=np.int64)[:, None]
    expected = reference.round_half_up(sum(a * b for a, b in zip(left, right, strict=True)), shift)
    if not plan.output.interval.low <= expected <= plan.output.interval.high:
        with pytest.raises(WitnessOverflow, match="matrix product: output"):
            relation.witness(*matrices)
        return
    entry = reference.witness(plan, left, right)
    assert entry.output == expected and not any(reference.residuals(plan, left, right, entry))
    columns = relation.witness(*matrices)
    found = [part.format.join(part.limbs(columns)).item() for part in relation.rounding.parts]
    assert found == [entry.output, entry.remainder, *entry.carries]
    assert all(int(columns[name].max()) < 1 << width for name, width in relation.widths.items())


def values_of(number):
    """Values of a format: its ends, small ones and any."""
    low, high = number.interval.low, number.interval.high
    return st.one_of(st.sampled_from([low, high, 0 if low <= 0 <= high else low]), st.integers(low, high))


def test_ones_at():
    point = [K(3, 1), K(5), K(7, 2)]
    for length in range(5, 9):
        assert ones_at(length, point) == evaluate_scalars([1] * length, point)


def test_contract_against_python():
    generator = np.random.default_rng(3)
    rows = 1100  # more than one chunk
    matrix = generator.integers(0, 1 << 22, (rows, 3), dtype=np.uint32)
    weights = [K(int(re), int(im)) for re, im in generator.integers(0, P, (rows, 2)).tolist()]
    weights[:2] = [K(P - 1, P - 1), K(0, 1)]
    result = from_pairs(unblock(contract(block(to_pairs(weights)), matrix)))
    for k in range(3):
        expected = sum((weight * int(value) for weight, value in zip(weights, matrix[:, k], strict=True)), K(0))
        assert result[k] == expected
    assert result[3:] == [K(0)] * 5


def test_exact_matmul_at_its_bounds():
    left = np.full((1, 1200), (1 << 22) - 1, dtype=np.int64)
    assert exact_matmul(left, left.T, 1 << 44)[0, 0] == 1200 * ((1 << 22) - 1) ** 2
    with pytest.raises(ValueError, match="do not fit int64"):
        exact_matmul(left, left.T, 1 << 53)
    with pytest.raises(ValueError, match=r"bound: expected 1 to 2\^53"):
        exact_matmul(left, left.T, 1 << 54)


def test_encoding_distinguishes_relations():
    relations = [relation_in_use(16, 3, (3, 5, 2)), relation_in_use(16, 3, (2, 5, 3)), relation_in_use(22, 2, (3, 5, 2))]
    assert len({relation.encode() for relation in relations}) == 3
    assert relation_in_use(16, 3).encode() == relation_in_use(16, 3).encode()


def test_check_refuses_plans_for_shorter_sums_and_unsound_plans():
    relation = relation_in_use(16, 3)
    relation.check()
    with pytest.raises(PlanRejected, match="terms: expected at least 5, got 4"):
        MatrixProduct(relation.sizes, replace(relation.plan, terms=4)).check()
    with pytest.raises(PlanRejected, match="number of carries"):
        MatrixProduct(relation.sizes, replace(relation.plan, carries=())).check()


def test_misuse():
    with pytest.raises(ValueError, match="inner: expected 1 to"):
        MatrixSizes(3, 0, 2)
    with pytest.raises(TypeError, match="rows: expected an int"):
        MatrixSizes(3.0, 1, 2)
    relation = relation_in_use(16, 3)
    with pytest.raises(ValueError, match=r"left: expected shape \(3, 5\), got \(5, 3\)"):
        relation.witness(np.zeros((5, 3), dtype=np.int64), np.zeros((5, 2), dtype=np.int64))
