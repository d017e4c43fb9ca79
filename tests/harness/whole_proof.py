"""What the tests of whole proofs share: small relations, honest columns, and a prover that commits to whatever it is given."""

from __future__ import annotations

import numpy as np
import pytest

from zkds.errors import ProofRejected
from zkds.integers.matrix_product import MatrixProduct
from zkds.prover import prove_vector
from zkds.statement import Statement
from zkds.verifier import verify

LIGERO_REASON = "Ligero: linear sum"  # all that a zero-knowledge proof says about which equation is false


def small_relation(rows=3, inner=5, columns=2) -> MatrixProduct:
    """Limbs of 8 bits: the same code as the plans in use, with small range tables."""
    return MatrixProduct.planned(rows, inner, columns, limb_bits=8, width=20, shift=12)


def matrices(relation, seed=1):
    """A and B whose rounded product fits."""
    generator = np.random.default_rng(seed)
    sizes = relation.sizes
    bits = (relation.plan.output.width + relation.plan.shift - 5) // 2

    def matrix(shape):
        return generator.integers(-(1 << bits), 1 << bits, shape)

    return matrix((sizes.rows, sizes.inner)), matrix((sizes.inner, sizes.columns))


def honest_columns(relation, seed=1):
    return relation.witness(*matrices(relation, seed))


def reject(proof: bytes, relation, *, allow_plain=False) -> ProofRejected:
    """The error that the verifier raises."""
    with pytest.raises(ProofRejected) as caught:
        verify(proof, relation, allow_plain=allow_plain)
    return caught.value


def assert_rejected_in_both_modes(relation, vector, reason: str, **options) -> None:
    """The vector's proofs are rejected: the plain one with the failed check, the encrypted one by Ligero."""
    statement = Statement(relation)
    plain = prove_vector(statement, vector, zero_knowledge=False, **options)
    assert reject(plain, relation, allow_plain=True).reason == reason
    assert reject(prove_vector(statement, vector, **options), relation).reason == LIGERO_REASON
