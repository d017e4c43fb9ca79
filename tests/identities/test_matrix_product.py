"""The rounded matrix product: semantics against Python ints, and the claims against the committed vector."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.limbs import join
from tests.harness.whole_proof import carrying_relation, honest_columns, small_relation, widths
from tests.reference import rounding as reference
from tests.reference.claims import claim_sum, committed
from zkds.channel import ProverChannel, VerifierChannel
from zkds.errors import PlanRejected
from zkds.field import K
from zkds.identities.matrix_product import InnerProducts, MatrixProduct
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat, WitnessOverflow
from zkds.soundness import total_bits
from zkds.tensors.tensor import Committed
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk.ligero import violated

SIZES = [(3, 5, 2), (1, 1, 1), (4, 8, 9), (7, 13, 1)]
WIDTHS = [15, 30, 48, 60]  # one to four limbs


def run(relation, columns):
    """(vector, prover's claims, reasons of violated equations), in plain mode through bytes; both sides claim the same."""
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


def result_of(relation, columns):
    return join(relation.output.columns.format, relation.output.columns.limbs(columns))


def require_true(relation, left, right, columns):
    """Output, remainder and carries are those of Python ints, and every limb is within its width."""
    shift = relation.rounding.shift
    remainder = relation.rounding.remainder
    exact = left.astype(object) @ right.astype(object)
    for index in np.ndindex(*relation.output.shape):
        total = exact[index] + (1 << (shift - 1))
        assert reference.value_of(reference.digits_at(relation.output.columns, columns, index)) == total >> shift
        assert reference.value_of(reference.digits_at(remainder, columns, index)) == total % (1 << shift)
        sums = reference.digit_sums(relation, columns, *index)
        assert not any(reference.residuals(relation.rounding.plan, sums, reference.carries_at(relation, columns, index)))
    limits = widths(relation)
    assert set(columns) == {column.name for column in relation.columns} == set(limits)
    assert all(int(columns[name].max()) < 1 << width for name, width in limits.items())


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_witness_is_that_of_python_integers_and_is_accepted(width, sizes):
    relation = MatrixProduct(*sizes, width=width, shift=32)
    generator = np.random.default_rng(1)
    bits = min((width + 26) // 2, width - 1)
    left, right = (
        generator.integers(-(1 << bits), 1 << bits, factor.shape) >> generator.integers(0, bits, factor.shape)
        for factor in (relation.left, relation.right)
    )
    columns = relation.witness(left, right)
    require_true(relation, left, right, columns)
    vector, claims, violations = run(relation, columns)
    assert violations == [] and false_claims(vector, claims) == []


@pytest.mark.parametrize("width", [36, 48, 60])
def test_extreme_factors_and_ties(width):
    """The ends of the ranges, and sums that lie exactly between two results: rounded towards plus infinity."""
    relation = MatrixProduct(4, 1, 4, width=width, shift=32)
    low, high = relation.left.interval.low, relation.left.interval.high
    left = np.array([[low], [high], [-1], [1]], dtype=np.int64)
    right = np.array([[1 << 31, -(1 << 31), 1, -1]], dtype=np.int64)
    columns = relation.witness(left, right)
    require_true(relation, left, right, columns)
    output = result_of(relation, columns)
    assert output[2, 0] == 0 and output[3, 0] == 1  # -1/2 -> 0 and 1/2 -> 1


@pytest.mark.parametrize("width", WIDTHS)
def test_extreme_sums_fit_the_carries(width):
    """All factors at the ends of their ranges, signs so that the result fits or not: the widest digit sums that there are."""
    relation = MatrixProduct(1, 64, 1, width=width, shift=32)
    interval = relation.left.interval
    low, high = interval.low, interval.high
    left = np.array([[low, high] * 32], dtype=np.int64)
    for right in ([high, high], [high, low], [low, low]):
        column = np.array([right * 32], dtype=np.int64).T
        exact = sum(a * b for a, b in zip(left[0].tolist(), column[:, 0].tolist(), strict=True))
        if low <= reference.round_half_up(exact, 32) <= high:
            require_true(relation, left, column, relation.witness(left, column))
        else:
            with pytest.raises(WitnessOverflow, match=r"matrix product: output: the value at index \(0, 0\)"):
                relation.witness(left, column)


@pytest.mark.parametrize("width", [36, 48, 60])
def test_overflow_names_the_position_and_nothing_else(width):
    relation = MatrixProduct(3, 5, 2, width=width, shift=32)
    left, right = np.zeros((3, 5), dtype=np.int64), np.zeros((5, 2), dtype=np.int64)
    left[2, 4], right[4, 1] = 1 << 33, 1 << (width - 2)  # the product is 2^(width - 1): one too much
    with pytest.raises(WitnessOverflow) as caught:
        relation.witness(left, right)
    assert str(caught.value) == f"matrix product: output: the value at index (2, 1) does not fit {width} bits"
    relation.witness(-left, right)  # -2^(width - 1) fits
    left[0, 0] = 1 << (width - 1)
    with pytest.raises(WitnessOverflow, match=rf"left: the value at index \(0, 0\) does not fit {width} bits"):
        relation.witness(left, right)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(data=st.data())
def test_any_width_and_shift_on_any_factors(data):
    """The witness is that of Python ints and fits its columns, or an entry overflows and is named."""
    width, shift, inner = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60)), data.draw(st.integers(1, 4))
    relation = MatrixProduct(1, inner, 1, width=width, shift=shift)
    interval = relation.left.interval
    entries = st.one_of(st.sampled_from([interval.low, interval.high, 0]), st.integers(interval.low, interval.high))
    left, right = (
        np.array(data.draw(st.lists(entries, min_size=inner, max_size=inner)), dtype=np.int64).reshape(factor.shape)
        for factor in (relation.left, relation.right)
    )
    (exact,) = (left.astype(object) @ right.astype(object)).ravel()
    if interval.low <= reference.round_half_up(exact, shift) <= interval.high:
        require_true(relation, left, right, relation.witness(left, right))
    else:
        with pytest.raises(WitnessOverflow, match="matrix product: output"):
            relation.witness(left, right)


@pytest.mark.parametrize("relation", [small_relation(), carrying_relation()], ids=["one limb", "three limbs"])
def test_every_kind_of_cell_counts(relation):
    """One cell of each column changed, by the smallest step: a claim is false or an equation violated, always."""
    honest = honest_columns(relation)
    for name, values in honest.items():
        changed = values.copy()
        changed.flat[values.size - 1] ^= 1
        vector, claims, violations = run(relation, {**honest, name: changed})
        assert violations == [] and false_claims(vector, claims) == [0], name


def test_wrapped_carries_pass_the_identity_when_limbs_may_be_any_number():
    """The relation alone is about residues: only the widths of the carries stand between it and the forgery."""
    relation = carrying_relation(1, 2, 1)
    columns = honest_columns(relation)
    forged = reference.forged(relation, columns)
    assert result_of(relation, forged) == result_of(relation, columns) + 2**25
    vector, claims, violations = run(relation, forged)
    assert violations == [] and false_claims(vector, claims) == []
    outside = [name for name, width in widths(relation).items() if int(forged[name].max()) >> width]
    assert outside == ["matrix product: carry 0/1"]


def test_encoding_distinguishes_relations():
    changes = [{}, {"rows": 2}, {"inner": 6}, {"columns": 3}, {"width": 47}, {"shift": 31}]
    public = {"rows": 3, "inner": 5, "columns": 2}
    encodings = {MatrixProduct(**{**public, **change}).encode() for change in changes}
    assert len(encodings) == len(changes)
    assert MatrixProduct(**public).encode() == MatrixProduct(3, 5, 2, width=48, shift=32).encode()


def test_misuse():
    with pytest.raises(ValueError, match="inner: expected 1 to"):
        MatrixProduct(3, 0, 2)
    with pytest.raises(ValueError, match="columns: expected 1 to 16777216, got 16777217"):
        MatrixProduct(3, 1, (1 << 24) + 1)
    with pytest.raises(TypeError, match="rows: expected an int, got float"):
        MatrixProduct(3.0, 1, 2)
    with pytest.raises(TypeError, match="width: expected an int, got float"):
        MatrixProduct(3, 1, 2, width=48.0)
    with pytest.raises(PlanRejected, match="width: expected 1 to 60 bits, got 61"):
        MatrixProduct(3, 1, 2, width=61)
    with pytest.raises(PlanRejected, match="matrix product: expected a rounding of 1 to 60 bits, got 0"):
        MatrixProduct(3, 1, 2, shift=0)
    with pytest.raises(ValueError, match=r"left: expected shape \(3, 5\), got \(5, 3\)"):
        MatrixProduct(3, 5, 2).witness(np.zeros((5, 3), dtype=np.int64), np.zeros((5, 2), dtype=np.int64))
    with pytest.raises(TypeError, match="right: expected an int64 array, got int32"):
        MatrixProduct(3, 5, 2).witness(np.zeros((3, 5), dtype=np.int64), np.zeros((5, 2), dtype=np.int32))
    factors = [Committed(LimbColumns(name, LimbFormat(16, 20, True), (2, 3))) for name in ("a", "b")]
    with pytest.raises(ValueError, match=r"a, b: no product of \(2, 3\) and \(2, 3\)"):
        InnerProducts(*factors)
