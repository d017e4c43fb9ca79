"""The soundness budget is complete, large enough for every size (too large to prove here), and enforced by the verifier."""

from dataclasses import replace

import pytest

from tests.harness.whole_proof import carrying_relation, honest_columns, reject, small_relation
from zkds.channel import DryRun
from zkds.conversation import converse
from zkds.errors import InsufficientSecurity
from zkds.identities import rounded_sum
from zkds.identities.matrix_product import MatrixProduct
from zkds.prover import prove
from zkds.soundness import MAX_GRINDING, TARGET_BITS, Budget, algebraic, total_bits
from zkds.statement import Mode, Statement
from zkds.verifier import verify
from zkds.zk.parameters import choose_parameters
from zkds.zk.tableau import equation_count

pytestmark = pytest.mark.slow


def all_terms(relation):
    """What a zero-knowledge proof's budget must hold: the encrypted part by dry run, Ligero and the opening by their sizes."""
    statement, dry_run = Statement(relation), DryRun()
    converse(dry_run, statement, Mode.ZERO_KNOWLEDGE)
    constraints = dry_run.constraints
    pads = choose_parameters(constraints.messages, len(constraints.products))
    ligero = [
        pads.low_degree_term(),
        pads.equations_term(equation_count(constraints)),
        pads.linear_mask_term(),
        pads.products_term(),
        pads.quadratic_mask_term(),
        pads.query_term(),
    ]
    code = statement.parameters.code
    opening = [code.query_term("opening: query positions")]
    for below in statement.parameters.recursion:
        opening.append(algebraic("recursion: batching", 2 * code.queries, "", ""))
        opening += 4 * [below.combination_term("recursion: sumcheck round", 2)]
        opening.append(below.query_term("recursion: query positions"))
        code = below
    return [*dry_run.budget.terms, *ligero, *opening]


@pytest.mark.parametrize(
    "relation",
    [small_relation(), carrying_relation(96, 96, 96)],
    ids=["clear", "recursive"],
)
def test_the_verifier_adds_up_exactly_these_terms(relation):
    assert bool(Statement(relation).parameters.recursion) == (relation.left.shape == (96, 96))
    expected = Budget()
    expected.terms = all_terms(relation)
    found = verify(prove(relation, honest_columns(relation)), relation).budget
    assert {(line.name, line.count, line.total_bits) for line in found} == {
        (line.name, line.count, line.total_bits) for line in expected.lines()
    }


@pytest.mark.parametrize(
    ("sizes", "log_cells"),
    [((1, 1, 1), 18), ((2**11, 2**11, 2**10), 26), ((2**14, 2**13, 2**12), 31), ((2**15, 2**14, 2**13), 33)],
)
def test_every_size_has_the_target(sizes, log_cells):
    relation = MatrixProduct(*sizes)
    assert (Statement(relation).layout.cells - 1).bit_length() == log_cells
    terms = all_terms(relation)
    assert total_bits(terms) >= TARGET_BITS
    assert max(term.grinding for term in terms) <= MAX_GRINDING


class WeakChallenge(MatrixProduct):
    """The same relation, whose verifier draws gamma at an error that the prover thinks smaller."""

    def verify(self, channel, layout):
        def weak(name, *arguments):
            term = algebraic(name, *arguments)
            return replace(term, bits=TARGET_BITS - 0.5) if name == "matrix product: gamma" else term

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rounded_sum, "algebraic", weak)
            return super().verify(channel, layout)


@pytest.mark.parametrize("zero_knowledge", [True, False])
def test_the_verifier_refuses_a_weak_challenge_of_a_valid_proof(zero_knowledge):
    relation = small_relation()
    proof = prove(relation, honest_columns(relation), zero_knowledge=zero_knowledge)
    verify(proof, relation, allow_plain=True)
    rejection = reject(proof, WeakChallenge(3, 5, 2, width=10, shift=6), allow_plain=True)
    assert isinstance(rejection, InsufficientSecurity)
    assert rejection.reason == "soundness budget"
