"""Sumcheck: both sides through bytes, against a slow prover, on every instruction set; cheating provers; misuse."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import sumcheck as reference
from tests.reference.sumcheck import term_sum
from zkds import sumcheck
from zkds.channel import DryRun, ProverChannel, VerifierChannel
from zkds.field import ONE, ZERO, K, P, block, from_pairs, to_pairs, unblock
from zkds.hidden import Hidden
from zkds.multilinear import evaluate, index_weight
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter


def random_k(rng):
    return K(rng.randrange(P), rng.randrange(P))


def random_point(rng, variables):
    return tuple(random_k(rng) for _ in range(variables))


def random_table(rng, variables, kind, length=None):
    length = 1 << variables if length is None else length
    if kind == "u32":
        return np.array([rng.randrange(2**32) for _ in range(length)], dtype=np.uint32)
    if kind == "f":
        return np.array([rng.choice([0, 1, P - 1, rng.randrange(P)]) for _ in range(length)], dtype=np.uint64)
    return block(to_pairs([random_k(rng) for _ in range(length)]))


def entries(table, variables):
    """The 2^variables elements of a table of any kind."""
    values = from_pairs(unblock(table)) if table.ndim == 3 else [K(v) for v in table.tolist()]
    return (values + [ZERO] * (1 << variables))[: 1 << variables]


def prove_bytes(tables, terms, eq_point=None, variables=None, first=None):
    writer = ProofWriter()
    channel = ProverChannel(Transcript(), writer, None)
    point, finals = sumcheck.prove(channel, tables, terms, eq_point, name="test", variables=variables, first=first)
    return writer.to_bytes(), point, finals


def verify_bytes(proof, claim, variables, degree, eq_point=None):
    reader = ProofReader(proof)
    channel = VerifierChannel(Transcript(), reader)
    point, final = sumcheck.verify(channel, Hidden.public(claim), variables, degree, eq_point, name="test")
    reader.finish()
    assert len(channel.budget.terms) == variables
    return point, final.evaluate({j: ZERO for j in range(channel.constraints.messages)})


def prove_slowly(tables, terms, eq_point, variables):
    writer = ProofWriter()
    channel = ProverChannel(Transcript(), writer, None)
    term = sumcheck.round_term("test", max(len(factors) for _, factors in terms))

    def draw(message):
        channel.send("test: round polynomial", message)
        return channel.challenge(term)

    point, finals = reference.prove([entries(table, variables) for table in tables], terms, eq_point, draw)
    return writer.to_bytes(), point, finals


# ---- an honest prover ---------------------------------------------------------------------------------------------------

TERMS = {
    1: [((0,), 3), ((2,), 5)],
    2: [((0, 1), 1), ((1, 2), 7), ((0,), 2)],
    3: [((0, 1, 2), 1), ((1, 1), 4)],
    4: [((0, 1, 2, 2), 9), ((0, 0, 0), 1), ((1,), 1)],
}


@pytest.mark.parametrize("eq", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("variables", [0, 1, 2, 3, 4, 5, 8])
def test_round_trip(variables, degree, eq):
    rng = random.Random(variables * 100 + degree * 10 + eq)
    kinds = ["k", "f", "u32"] if variables % 2 else ["k", "k", "k"]
    tables = [random_table(rng, variables, kind) for kind in kinds]
    terms = [(K(c) if c < 3 else random_k(rng), factors) for factors, c in TERMS[degree]]
    eq_point = random_point(rng, variables) if eq else None
    claim = reference.full_sum([entries(table, variables) for table in tables], terms, eq_point)
    copies = [table.copy() for table in tables]
    proof, point, finals = prove_bytes(tables, terms, eq_point, variables)
    verified_point, final = verify_bytes(proof, claim, variables, degree, eq_point)
    assert verified_point == point
    assert finals == [evaluate(table, point) for table in copies]
    assert final == term_sum(finals, terms)


table_shapes = st.tuples(st.sampled_from(["k", "f", "u32"]), st.integers(0, 128))
term_shapes = st.tuples(st.sampled_from([1, 1, P - 1, 5]), st.lists(st.integers(0, 3), min_size=1, max_size=4))
cases = st.tuples(
    st.integers(4, 7),
    st.lists(table_shapes, min_size=1, max_size=4),
    st.lists(term_shapes, min_size=1, max_size=4),
    st.booleans(),
    st.integers(0, 2**32),
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(cases)
def test_against_the_slow_prover(case):
    """Tables of all kinds and lengths, also shorter than 2^n and not whole vectors, and any terms."""
    variables, kinds, shapes, eq, seed = case
    rng = random.Random(seed)
    tables = [random_table(rng, variables, kind, min(length, 1 << variables)) for kind, length in kinds]
    terms = [(K(coefficient, 0), tuple(j % len(tables) for j in factors)) for coefficient, factors in shapes]
    eq_point = random_point(rng, variables) if eq else None
    expected = prove_slowly(tables, terms, eq_point, variables)
    assert prove_bytes(tables, terms, eq_point, variables) == expected


@pytest.mark.parametrize("kinds", [["k", "k"], ["k", "u32"]])
@pytest.mark.parametrize("lengths", [(64, 64), (64, 37)])
@pytest.mark.parametrize("eq", [False, True])
def test_squares_of_products(kernels, kinds, lengths, eq):
    """Alone, which has a formula of its own, and beside other terms."""
    rng = random.Random(1)
    tables = [random_table(rng, 6, kind, length) for kind, length in zip(kinds, lengths, strict=True)]
    eq_point = random_point(rng, 6) if eq else None
    for terms in ([(ONE, (0, 0, 1, 1))], [(ONE, (0, 0, 1, 1)), (ONE, (1, 1, 0, 0)), (ONE, (0, 1)), (K(2, 3), (1, 1, 1, 1))]):
        expected = prove_slowly(tables, terms, eq_point, 6)
        assert prove_bytes([table.copy() for table in tables], terms, eq_point, 6) == expected


LARGE = 15  # several waves of tasks
LARGE_CASES = [
    (["k", "k"], [(ONE, (0, 1))], False),
    (["u32", "k"], [(ONE, (1, 0)), (K(2, 3), (0,))], False),
    (["u32", "f", "k"], [(ONE, (0, 1)), (ONE, (2, 1, 0))], True),
    (["k", "k", "k", "k"], [(ONE, (0, 1)), (ONE, (2, 3)), (K(5, 5), (0, 3))], True),
]


def large_tables(kinds):
    """The last one a little shorter than a power of two."""
    rng = np.random.default_rng(1)
    size = 1 << LARGE
    makers = {
        "k": lambda: rng.integers(0, P, (size // 8, 2, 8), dtype=np.uint64),
        "f": lambda: rng.integers(0, P, size, dtype=np.uint64),
        "u32": lambda: rng.integers(0, 2**32, size, dtype=np.uint32),
    }
    tables = [makers[kind]() for kind in kinds]
    tables[-1] = tables[-1][: len(tables[-1]) - 77]
    return tables


@pytest.fixture(scope="module")
def large_proofs():
    """One proof a case, on the fastest instruction set with one thread, checked against its own final values."""
    proofs = []
    for kinds, terms, eq in LARGE_CASES:
        tables = large_tables(kinds)
        eq_point = random_point(random.Random(3), LARGE) if eq else None
        proof, point, finals = prove_bytes([table.copy() for table in tables], terms, eq_point, LARGE)
        assert finals == [evaluate(table, point) for table in tables]
        proofs.append((proof, point, finals))
    return proofs


@pytest.mark.parametrize("case", range(len(LARGE_CASES)))
def test_instruction_sets_and_threads_agree(large_proofs, kernels, case):
    kinds, terms, eq = LARGE_CASES[case]
    eq_point = random_point(random.Random(3), LARGE) if eq else None
    assert prove_bytes(large_tables(kinds), terms, eq_point, LARGE) == large_proofs[case]


@pytest.fixture(scope="module")
def many_terms():
    """More products of two than the kernels add up at once, of all kinds, over whole blocks and parts; with their sum."""
    rng, variables = random.Random(5), 11
    shapes = (("f", 2048), ("f", 1200), ("k", 2048), ("k", 1600))
    tables = [random_table(rng, variables, kind, length) for kind, length in shapes]
    pairs = [(0, 2), (3, 1), (1, 2), (2, 3), (0, 1)]
    terms = [(ONE if t < 70 else K(t, 1), pairs[t % 5]) for t in range(75)]
    eq_point = random_point(rng, variables)
    return tables, terms, eq_point, reference.full_sum([entries(table, variables) for table in tables], terms, eq_point)


def test_many_terms(kernels, many_terms):
    tables, terms, eq_point, claim = many_terms
    total = sumcheck.total(tables, terms, eq_point, variables=11)
    assert total.value == claim
    for first in (None, total.first):
        proof, point, finals = prove_bytes([table.copy() for table in tables], terms, eq_point, 11, first)
        assert verify_bytes(proof, claim, 11, 2, eq_point) == (point, term_sum(finals, terms))


def test_largest_values_of_many_terms_do_not_overflow(kernels):
    """The same for sums over the terms of a pair."""
    rng, variables = random.Random(6), 11
    eq_point = random_point(rng, variables)
    for kind, value in (("k", K(P - 1, P - 1)), ("f", K(P - 1))):
        left = random_table(rng, variables, kind)
        left[...] = P - 1
        right = np.full((1 << variables >> 3, 2, 8), P - 1, dtype=np.uint64)
        right[1::2] = 0
        claim = value * K(P - 1, P - 1) * 64 * (1 - eq_point[3])
        terms = [(ONE, (0, 1))] * 64
        assert sumcheck.total([left, right], terms, eq_point, variables=variables).value == claim
        proof, point, finals = prove_bytes([left, right], terms, eq_point, variables)
        assert verify_bytes(proof, claim, variables, 2, eq_point) == (point, finals[0] * finals[1] * 64)


def test_largest_values_do_not_overflow(kernels):
    """All entries, challenges aside, at p - 1: the lazily accumulated sums at their maximum."""
    variables = 12
    tables = [np.full((1 << variables >> 3, 2, 8), P - 1, dtype=np.uint64) for _ in range(2)]
    tables[1][1::2] = 0  # slopes of p - 1 and of 1
    copies = [table.copy() for table in tables]
    proof, point, finals = prove_bytes(tables, [(ONE, (0, 1))], None, variables)
    claim = K(P - 1, P - 1) * K(P - 1, P - 1) * (1 << variables >> 1)
    assert verify_bytes(proof, claim, variables, 2) == (point, finals[0] * finals[1])
    assert finals == [evaluate(table, point) for table in copies]


def test_number_of_variables_defaults_to_the_longest_table():
    rng = random.Random(1)
    tables = [random_table(rng, 5, "k"), random_table(rng, 0, "u32", 33)]
    proof, point, _ = prove_bytes(tables, [(ONE, (0, 1))])
    assert len(point) == 6 and len(proof) == 6 * 2 * 16


def test_dry_run_needs_no_proof():
    dry = DryRun()
    sumcheck.verify(dry, Hidden.public(ZERO), 5, 3, random_point(random.Random(1), 5), name="test")
    assert dry.constraints.messages == 15 and len(dry.budget.terms) == 5
    assert {term.name for term in dry.budget.terms} == {"test: sumcheck round"}
    assert dry.budget.terms[0].formula == "d/|K|"


@pytest.mark.parametrize("with_eq", [False, True])
@pytest.mark.parametrize("variables", [0, 1, 3, 4, 6])
def test_the_sum_itself(kernels, variables, with_eq):
    """sumcheck.total, also for tables that end early, against one entry after the other."""
    rng = random.Random(variables)
    tables = [random_table(rng, variables, kind) for kind in ("f", "k", "u32")]
    tables.append(random_table(rng, variables, "f", length=1))
    terms = [(random_k(rng), (0, 1)), (ONE, (2, 2)), (random_k(rng), (3,)), (ONE, (3, 1))]
    eq_point = random_point(rng, variables) if with_eq else None
    weights = [index_weight(eq_point, x) if with_eq else ONE for x in range(1 << variables)]
    columns = [entries(table, variables) for table in tables]
    expected = ZERO
    for x, weight in enumerate(weights):
        for coefficient, factors in terms:
            product = weight * coefficient
            for j in factors:
                product = product * columns[j][x]
            expected = expected + product
    total = sumcheck.total(tables, terms, eq_point, variables=variables)
    assert total.value == expected and (total.first is None) == (variables < 4)
    for some in (terms, [(ONE, (3,))]):  # the messages are the same with and without the first one
        total = sumcheck.total(tables, some, eq_point, variables=variables)
        proofs = [prove_bytes([t.copy() for t in tables], some, eq_point, variables, first) for first in (None, total.first)]
        assert proofs[0] == proofs[1]


def test_the_sum_of_a_higher_degree_is_refused():
    with pytest.raises(ValueError, match="terms: expected at most 2 factors"):
        sumcheck.total([np.zeros(4, dtype=np.uint64)], [(ONE, (0, 0, 0))], variables=2)
