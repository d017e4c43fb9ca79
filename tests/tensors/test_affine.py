"""Affine tensors: digits and intervals against Python ints, claims on them in proofs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.harness.circuit import circuit_of
from tests.harness.whole_proof import reject
from zkds.identities.equal import Equal
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.prover import prove
from zkds.tensors.linear import AffineTensor
from zkds.tensors.tensor import ColumnReader, Committed
from zkds.verifier import verify

SHAPE = (3, 2, 5)
FALSE_CLAIM = "batching: final claim"
A = Committed(LimbColumns("a", LimbFormat(16, 20, signed=True), SHAPE))
B = Committed(LimbColumns("b", LimbFormat(16, 3, signed=False), SHAPE))
CASES = {  # coefficients of a and b, constant
    "small": (1, -2, 3),
    "wide": (-(1 << 20) - 7, (5 << 33) + 12345, -(6 << 32) - 1),
    "zeros": (1 << 16, 0, 0),
    "constant above all": (1, 1, 1 << 50),
}
EVERY = pytest.mark.parametrize("case", CASES)


def affine(case, **options):
    a, b, constant = CASES[case]
    return AffineTensor("affine", [(A, a), (B, b)], constant, **options)


def values():
    generator = np.random.default_rng(1)
    return generator.integers(-(1 << 19), 1 << 19, SHAPE), generator.integers(0, 8, SHAPE)


def columns():
    a, b = values()
    return A.columns.split(a) | B.columns.split(b)


@EVERY
def test_digits_are_those_of_the_values(case):
    tensor, (a, b, constant) = affine(case), CASES[case]
    tables = tensor.tables(ColumnReader(columns()))
    expected = constant + a * values()[0].astype(object) + b * values()[1].astype(object)
    assert (sum(table.astype(object) << 16 * j for j, table in enumerate(tables)) == expected).all()


@EVERY
def test_intervals_are_attained(case):
    """Independent sources: each at the end that the coefficient's sign says."""
    tensor, (a, b, constant) = affine(case), CASES[case]
    assert tensor.interval == Interval.point(constant) + A.interval.times(a) + B.interval.times(b)
    for high in (False, True):
        ends = {}
        for source, coefficient in ((A, a), (B, b)):
            top = source.interval.high if high == (coefficient > 0) else source.interval.low
            ends |= source.columns.split(np.full(SHAPE, top))
        for digit, table in zip(tensor.digits, tensor.tables(ColumnReader(ends)), strict=True):
            assert (table == (digit.high if high else digit.low)).all()


def test_a_stated_interval():
    assert affine("small", interval=Interval(0, 5)).interval == Interval(0, 5)


def test_sources_of_different_shapes():
    other = Committed(LimbColumns("other", LimbFormat(16, 3, signed=False), (3, 2)))
    for addends in ([], [(A, 1), (other, 1)]):
        with pytest.raises(ValueError, match="affine: expected addends of one shape"):
            AffineTensor("affine", addends, 0)


@pytest.mark.parametrize("error", [0, 1])
@EVERY
def test_claims(case, error):
    """Equality with a committed tensor is a claim at a point; committed tensors hold less than 2^60."""
    a, b, constant = CASES[case]
    result = Committed(LimbColumns("result", LimbFormat(16, 54, signed=True), SHAPE))
    made = circuit_of(Equal("equal", result, affine(case)))
    found = constant + a * values()[0] + b * values()[1]
    found.flat[7] += error
    proof = prove(made, columns() | result.columns.split(found), zero_knowledge=False)
    if error:
        assert reject(proof, made, allow_plain=True).reason == FALSE_CLAIM
    else:
        verify(proof, made, allow_plain=True)
