"""The bytes of a proof are known before it: label by label those of real proofs, but for Merkle paths at random positions."""

import itertools
from fractions import Fraction

import pytest

from tests.harness.certificates import NETWORKS, Case, honest
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.summary import supposed_statement
from zkds.circuits.certificate.verifying import verify_certificate
from zkds.commit import merkle
from zkds.native.sha256 import DIGEST_BYTES
from zkds.proof_size import proof_sizes
from zkds.prover import message_shape
from zkds.statement import Statement

RANDOM = ("opening: Merkle proof", "recursion: Merkle proof", "Ligero Merkle digests")
CASES = (
    Case(zero_knowledge=True),
    Case("dense", "features", private=True, zero_knowledge=True),
    Case("average", tau=Fraction(2000), zero_knowledge=True),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.network)
def test_sizes_are_those_of_the_proof(case):
    proof, statement = honest(case)
    supposed = supposed_statement(
        NETWORKS[case.network],
        case.configuration,
        statement.root,
        seed=case.seed,
        private_model=case.private,
        hidden_value=case.tau is not None,
    )
    whole = Statement(DirectionalSharpness(supposed))
    sizes, constraints = proof_sizes(whole)
    found = verify_certificate(proof).sizes
    assert {name: size for name, size in sizes.items() if name not in RANDOM} == {
        name: size for name, size in found.items() if name not in RANDOM
    }
    for name in RANDOM:
        assert sizes.get(name, 0) == pytest.approx(found.get(name, 0), rel=0.12)
    assert sum(sizes.values()) == pytest.approx(len(proof), rel=0.01)
    shape = message_shape(whole)
    assert (constraints.messages, len(constraints.products)) == (shape.messages, len(shape.products))


@pytest.mark.any_kernels
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_the_expected_length_of_a_merkle_proof_is_the_mean_of_all(count):
    lengths = [merkle.proof_bytes(positions, 8) for positions in itertools.combinations(range(8), count)]
    assert merkle.expected_proof_bytes(count, 8) == DIGEST_BYTES * round(sum(lengths) / len(lengths) / DIGEST_BYTES)
