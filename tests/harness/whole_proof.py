"""What the tests of whole proofs share: small relations, honest columns, and a prover that commits to whatever it is given."""

from __future__ import annotations

import numpy as np
import pytest

from zkds.errors import ProofRejected
from zkds.identities.matrix_product import MatrixProduct
from zkds.integers.identity import IdentityPlan
from zkds.integers.limb_columns import LimbColumns
from zkds.prover import prove_vector
from zkds.statement import Statement
from zkds.tensors.tensor import Committed
from zkds.verifier import verify

LIGERO_REASON = "Ligero: linear sum"  # all that a zero-knowledge proof says about which equation is false


def small_relation(rows=3, inner=5, columns=2) -> MatrixProduct:
    """One limb of 10 bits for each number, and nothing to carry: the same code as for wider ones, with small range tables."""
    return MatrixProduct(rows, inner, columns, width=10, shift=6)


def carrying_relation(rows=3, inner=5, columns=2) -> MatrixProduct:
    """Three limbs for each number and two carries, as in certificates; its range table has 2^16 rows."""
    return MatrixProduct(rows, inner, columns, width=48, shift=36)


def with_plan(relation: MatrixProduct, plan: IdentityPlan) -> MatrixProduct:
    """The relation, changed to prove its identity by another plan, with the carries of that."""
    rounding = relation.rounding
    rounding.plan = plan
    names = [f"{rounding.name}: carry {g}" for g in range(len(plan.carries))]
    rounding.carries = [LimbColumns(n, carry, relation.output.shape) for n, carry in zip(names, plan.carries, strict=True)]
    rounding.committed = [Committed(part) for part in rounding.parts]
    return relation


def matrices(relation, seed=1):
    """A and B whose rounded product fits."""
    generator = np.random.default_rng(seed)
    width = relation.output.columns.format.width
    bits = min((width + relation.rounding.shift - 5) // 2, width - 1)
    return tuple(generator.integers(-(1 << bits), 1 << bits, factor.shape) for factor in (relation.left, relation.right))


def honest_columns(relation, seed=1):
    return relation.witness(*matrices(relation, seed))


def widths(relation):
    """Column name -> the width that its range check enforces."""
    return {lookup.primary: lookup.table.bits for lookup in relation.lookups}


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
