"""Batching: the kernels against slow twins on every instruction set, both sides through bytes, false claims, gaps."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import cells as slow
from zkds.channel import DryRun, ProverChannel, VerifierChannel
from zkds.claims import Claim, Piece, Pieces
from zkds.commit import batching
from zkds.commit.layout import Column, Layout
from zkds.errors import ConstraintRejected, MalformedProof
from zkds.field import ONE, ZERO, K, P, from_pairs, powers, to_pairs, unblock
from zkds.hidden import Hidden
from zkds.multilinear import binding_order, evaluate_integers, evaluate_scalars
from zkds.native import cells
from zkds.soundness import algebraic
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk.ligero import check_plain, violated


def random_k(rng):
    return K(rng.choice([0, 1, P - 1, rng.randrange(P)]), rng.randrange(P))


def random_point(rng, size):
    return tuple(random_k(rng) for _ in range(size))


def random_vector(rng, size):
    return np.array([rng.choice([0, 1, 2**32 - 1, rng.randrange(2**32)]) for _ in range(size)], dtype=np.uint32)


def random_piece(rng, variables):
    bits = rng.randint(0, variables)
    return Piece(rng.randrange(1 << (variables - bits)) << bits, random_point(rng, bits), random_k(rng))


def claim_on(pieces, value):
    return Claim(lambda: pieces, value)


def true_claim(pieces, vector):
    return claim_on(pieces, slow.claim_value(claim_on(pieces, ZERO), vector))


def random_claims(rng, variables, vector, count=4):
    claims = []
    for _ in range(count):
        claims.append(true_claim(Pieces.of([random_piece(rng, variables) for _ in range(rng.randint(0, 5))]), vector))
    return claims


def hide(claims):
    return [claim_on(claim.pieces, Hidden.public(claim.value)) for claim in claims]


def prove_bytes(claims, vector, variables, row_term=None):
    writer = ProofWriter()
    channel = ProverChannel(Transcript(), writer, None)
    rho, value = batching.prove(channel, claims, vector, variables, row_term)
    return writer.to_bytes(), rho, value


def verify_bytes(proof, claims, variables, row_term=None):
    reader = ProofReader(proof)
    channel = VerifierChannel(Transcript(), reader)
    rho, value = batching.verify(channel, hide(claims), variables, row_term)
    reader.finish()
    check_plain(channel.constraints)
    return rho, value.evaluate({j: ZERO for j in range(channel.constraints.messages)}), channel


def packed(claims, rng):
    chi_powers = powers(random_k(rng), len(claims))
    return batching._piece_arrays(claims, chi_powers, cells.MAX_VARIABLES), chi_powers


# ---- kernels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [1, 2, 4, 6])
def test_correlate_is_the_bilinear_form(kernels, streamed):
    rng = random.Random(streamed)
    variables = max(7, streamed + 4)
    for size in (1, 7, 8, (1 << variables) - 3, 1 << variables):
        vector = random_vector(rng, size)
        claims = random_claims(rng, variables, vector, count=2)
        pieces, chi_powers = packed(claims, rng)
        values = vector.tolist() + [0] * ((1 << variables) - size)
        weights = slow.dense_weights(claims, chi_powers, 1 << variables)
        form = cells.correlate(vector, streamed, pieces)
        if streamed <= 4:
            assert [from_pairs(row) for row in form] == slow.bilinear_form(values, weights, streamed)
        trace = sum((K(*form[i, i].tolist()) for i in range(len(form))), ZERO)
        assert trace == slow.inner_product(values, weights)


@pytest.mark.parametrize("streamed", [0, 1, 3, 6])
def test_fold_and_weights_bind_the_streamed_bits(kernels, streamed):
    rng = random.Random(streamed)
    variables = 3 + streamed + 2
    for size in (1, 8, (1 << variables) - 5, 1 << variables):
        vector = random_vector(rng, size)
        claims = random_claims(rng, variables, vector, count=2)
        pieces, chi_powers = packed(claims, rng)
        point = random_point(rng, streamed)
        values = [K(v) for v in vector.tolist()] + [ZERO] * ((1 << variables) - size)
        weights = slow.dense_weights(claims, chi_powers, 1 << variables)
        for r in point:
            values, weights = slow.bind_bit(values, 3, r), slow.bind_bit(weights, 3, r)
        assert from_pairs(unblock(cells.fold(vector, to_pairs(point), 4))) == values
        assert from_pairs(unblock(cells.weights(pieces, to_pairs(point), 4))) == weights


@pytest.mark.parametrize("variables", [0, 1, 2, 3, 6])
def test_evaluate_is_the_extension_of_the_weights(kernels, variables):
    rng = random.Random(variables)
    claims = random_claims(rng, variables, random_vector(rng, 1))
    pieces, chi_powers = packed(claims, rng)
    point = random_point(rng, variables)
    weights = slow.dense_weights(claims, chi_powers, 1 << variables)
    assert K(*cells.evaluate(pieces, to_pairs(point)).tolist()) == evaluate_scalars(weights, point)


def test_large_pieces_are_cut_into_segments(kernels):
    """Pieces beyond 2^15 cells, in a vector that ends within a chunk, through the whole protocol."""
    rng = random.Random(2)
    generator = np.random.default_rng(2)
    vector = generator.integers(0, 2**32, size=(1 << 17) + 2**15 + 77, dtype=np.uint32)
    claims = []
    for offset, bits in [(0, 17), (0, 17), (1 << 16, 16), (1 << 17, 15), (1 << 17, 17), (5 << 15, 6), ((5 << 15) + 76, 0)]:
        point, scale = random_point(rng, bits), random_k(rng)
        value = scale * evaluate_integers(vector[offset : offset + (1 << bits)], point)
        claims.append(claim_on(Pieces.of([Piece(offset, point, scale)]), value))
    proof, rho, value = prove_bytes(claims, vector, 18)
    assert verify_bytes(proof, claims, 18)[:2] == (rho, value)
    assert value == evaluate_integers(vector, rho)


# ---- the protocol ----------------------------------------------------------------------------------------------------


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 9), st.randoms(use_true_random=False))
def test_both_sides_agree_and_the_value_is_the_extension(variables, rng):
    vector = random_vector(rng, rng.randint(1, 1 << variables))
    claims = random_claims(rng, variables, vector)
    proof, rho, value = prove_bytes(claims, vector, variables)
    assert value == evaluate_integers(vector, rho)
    verifier_rho, verifier_value, _ = verify_bytes(proof, claims, variables)
    assert (verifier_rho, verifier_value) == (rho, value)


@pytest.mark.parametrize("variables", [0, 1, 2, 3, 4, 6, 9])
def test_messages_equal_the_slow_sumcheck(kernels, variables):
    rng = random.Random(variables)
    vector = random_vector(rng, max(1, (1 << variables) - 1))
    claims = random_claims(rng, variables, vector, count=3)
    proof, rho, value = prove_bytes(claims, vector, variables)
    channel = VerifierChannel(Transcript(), ProofReader(proof))
    chi = channel.challenge(batching._chi_term(3))
    weights = slow.dense_weights(claims, powers(chi, 3), 1 << variables)
    values = [K(v) for v in vector.tolist()] + [ZERO] * ((1 << variables) - len(vector))
    messages, final, _ = slow.sumcheck_messages(values, weights, binding_order(variables), rho)
    assert proof == b"".join(element.to_bytes() for message in [*messages, [final]] for element in message)
    assert final == value


def test_a_layout_of_many_shapes(kernels):
    rng = random.Random(3)
    layout = Layout([Column("a", (5, 7, 3)), Column("m", (33,)), Column("b", (13, 12)), Column("c", (1,))], ["a", "b", "c"])
    vector = random_vector(rng, layout.cells)
    claims = []
    for column in layout.columns * 2:
        pieces = layout.pieces([column.name], [random_point(rng, size) for size in column.point_sizes()], [random_k(rng)])
        claims.append(true_claim(pieces, vector))
    for variables in ((layout.cells - 1).bit_length(), 13):  # as short as possible; as wide as a longer matrix row asks for
        proof, rho, value = prove_bytes(claims, vector, variables)
        assert verify_bytes(proof, claims, variables)[:2] == (rho, value)
        assert value == evaluate_integers(vector, rho)


def test_more_bits_are_streamed_where_tables_would_be_large():
    assert batching._streamed_bits(1 << 26, 26) == 4
    assert batching._streamed_bits(1 << 27, 28) == 5
    assert batching._streamed_bits(1 << 38, 40) == 6
    assert batching._streamed_bits(1, 5) == 2
    assert [batching._streamed_bits(1, v) for v in range(4)] == [0, 0, 0, 0]


def test_garbage_in_cells_of_no_box_moves_nothing():
    """The gap between the two parts is committed, but no claim gives it a weight: any content is accepted, none is needed."""
    rng = random.Random(4)
    layout = Layout([Column("a", (9,)), Column("m", (16,))], ["a"])
    gap = slice(layout.checked_cells, 16)
    clean = random_vector(rng, layout.cells)
    clean[gap] = 0
    garbage = clean.copy()
    garbage[gap] = random_vector(rng, 7)
    claims = []
    for column in layout.columns:
        pieces = layout.pieces([column.name], [random_point(rng, size) for size in column.point_sizes()], [random_k(rng)])
        claims.append(true_claim(pieces, clean))
    weights = slow.dense_weights(claims, [ONE, ONE], 32)
    assert not any(weights[gap]) and all(weights[: layout.checked_cells]) and all(weights[16:])
    for vector in (clean, garbage):
        proof, rho, value = prove_bytes(claims, vector, 5)
        assert verify_bytes(proof, claims, 5)[:2] == (rho, value)


@pytest.mark.parametrize("row_bits", [0, 12])
def test_budget_has_chi_every_round_and_the_row_combination(row_bits):
    rng = random.Random(5)
    claims = random_claims(rng, 6, random_vector(rng, 64))

    def row_term(bit):
        return algebraic("row combination", 2.0**row_bits, "n/|K|", "the source") if bit >= 4 else None

    dry = DryRun()
    batching.verify(dry, hide(claims), 6, row_term)
    names = [term.name for term in dry.budget.terms]
    columns, rows = "batching: sumcheck round", "batching: sumcheck round, row combination"
    assert names == ["batching: chi", columns, rows, rows, columns, columns, columns]
    chi, column, row = dry.budget.terms[:3]
    assert chi.bits == algebraic("", len(claims), "", "").bits
    assert column.bits == algebraic("", 2, "", "").bits
    assert row.bits == pytest.approx(algebraic("", 2 + 2**row_bits, "", "").bits)
    assert row.formula == "2/|K| + n/|K|"
    assert dry.constraints.messages == 2 * 6 + 1
    assert [reason for reason, _ in dry.constraints.equations] == ["batching: final claim"]


def test_rounds_grind_where_the_row_combination_needs_it():
    rng = random.Random(6)
    vector = random_vector(rng, 32)
    claims = random_claims(rng, 5, vector)

    def row_term(bit):
        return algebraic("row combination", 2.0**20, "n/|K|", "the source") if bit == 4 else None

    proof, rho, value = prove_bytes(claims, vector, 5, row_term)
    assert len(proof) == 16 * (2 * 5 + 1) + 8
    verifier_rho, verifier_value, channel = verify_bytes(proof, claims, 5, row_term)
    assert (verifier_rho, verifier_value) == (rho, value)
    assert [term.grinding for term in channel.budget.terms] == [0, 0, 7, 0, 0, 0]


def test_with_pads_the_same_constraints_hold_and_messages_are_hidden():
    rng = random.Random(8)
    vector = random_vector(rng, 50)
    claims = random_claims(rng, 6, vector)
    values = [claim.value for claim in claims]
    pads = [random_k(rng) for _ in range(len(claims) + 2 * 6 + 1)]
    writer = ProofWriter()
    prover = ProverChannel(Transcript(), writer, pads)
    prover.send("claims", values)
    rho, value = batching.prove(prover, claims, vector, 6)

    def run(channel):
        received = channel.receive("claims", len(claims))
        hidden = [claim_on(claim.pieces, value) for claim, value in zip(claims, received, strict=True)]
        return batching.verify(channel, hidden, 6)

    verifier = VerifierChannel(Transcript(), ProofReader(writer.to_bytes()))
    verifier_rho, hidden_value = run(verifier)
    assert verifier_rho == rho
    assert violated(verifier.constraints, pads) == []
    assert hidden_value.evaluate(verifier.constraints.variables(pads)) == value == evaluate_integers(vector, rho)
    replay = prover.replay()
    run(replay)
    variables = replay.constraints.variables(pads)
    assert [expression.evaluate(variables) for _, expression in replay.constraints.equations] == [ZERO]
    sent = from_pairs(ProofReader(writer.to_bytes()).read_pairs("all", len(pads)))
    plain, _, _ = prove_bytes(claims, vector, 6)
    assert all(element.to_bytes() not in plain for element in sent)
    pads[0] = pads[0] + 1
    assert violated(verifier.constraints, pads) == ["batching: final claim"]


# ---- cheating --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def honest():
    rng = random.Random(7)
    vector = random_vector(rng, 61)
    claims = random_claims(rng, 6, vector)
    return claims, vector, prove_bytes(claims, vector, 6)[0]


@pytest.mark.parametrize("number", range(4))
def test_a_false_claim_is_rejected(honest, number):
    claims, _, proof = honest
    claims = list(claims)
    claims[number] = claim_on(claims[number].pieces, claims[number].value + 1)
    with pytest.raises(ConstraintRejected) as caught:
        verify_bytes(proof, claims, 6)
    assert caught.value.reason == "batching: final claim"


def test_every_changed_message_is_rejected(honest):
    claims, _, proof = honest
    for element in range(len(proof) // 16):
        changed = bytearray(proof)
        changed[16 * element] ^= 1
        with pytest.raises(ConstraintRejected) as caught:
            verify_bytes(bytes(changed), claims, 6)
        assert caught.value.reason == "batching: final claim"


def test_another_vector_is_rejected(honest):
    """A cell with a weight, changed after the claims were made."""
    claims, vector, _ = honest
    weighted = next(x for x, weight in enumerate(slow.dense_weights(claims, powers(K(3), 4), 64)) if weight)
    changed = vector.copy()
    changed[weighted] ^= 1
    with pytest.raises(ConstraintRejected) as caught:
        verify_bytes(prove_bytes(claims, changed, 6)[0], claims, 6)
    assert caught.value.reason == "batching: final claim"


def test_truncated_bytes_are_malformed(honest):
    claims, _, proof = honest
    for length in (0, 15, len(proof) - 1):
        with pytest.raises(MalformedProof):
            verify_bytes(proof[:length], claims, 6)
    with pytest.raises(MalformedProof):
        verify_bytes(proof + b"\0", claims, 6)


# ---- misuse ----------------------------------------------------------------------------------------------------------


def test_misuse_is_named():
    vector = np.zeros(4, dtype=np.uint32)
    claim = claim_on(Pieces.of([Piece(0, (ONE, ONE), ONE)]), ZERO)
    channel = ProverChannel(Transcript(), ProofWriter(), None)
    with pytest.raises(ValueError, match="claims: expected at least one"):
        batching.prove(channel, [], vector, 2)
    with pytest.raises(ValueError, match="variables: expected 0 to 40, got 41"):
        batching.prove(channel, [claim], vector, 41)
    with pytest.raises(ValueError, match=r"vector: expected at most 2\^2 cells, got 5"):
        batching.prove(channel, [claim], np.zeros(5, dtype=np.uint32), 2)
    with pytest.raises(TypeError, match="vector: expected dtype uint32, got int64"):
        batching.prove(channel, [claim], np.zeros(4, dtype=np.int64), 2)
    for piece in (Piece(2, (ONE, ONE), ONE), Piece(4, (ONE,), ONE), Piece(-2, (ONE,), ONE), Piece(0, (ONE,) * 3, ONE)):
        with pytest.raises(ValueError, match=r"claim 1: piece at -?\d of \d cells is not aligned below 2\^2"):
            batching.prove(channel, [claim, claim_on(Pieces.of([piece]), ZERO)], vector, 2)


def test_the_bindings_check_their_arguments():
    pieces = batching._piece_arrays([claim_on(Pieces.of([Piece(8, (ONE,), ONE)]), ZERO)], [ONE], 4)
    vector = np.zeros(4, dtype=np.uint32)
    none = np.zeros((0, 2), dtype=np.uint64)
    for streamed in (0, 7):
        with pytest.raises(ValueError, match=f"streamed: expected 1 to 6, got {streamed}"):
            cells.correlate(vector, streamed, pieces)
    with pytest.raises(ValueError, match=r"cells.weights: the C core rejected"):
        cells.weights(pieces, none, 1)
    with pytest.raises(ValueError, match=r"cells.fold: the C core rejected"):
        cells.fold(np.zeros(9, dtype=np.uint32), none, 1)
    with pytest.raises(ValueError, match=r"cells.evaluate: the C core rejected"):
        cells.evaluate(pieces, to_pairs([ONE] * 3))
    with pytest.raises(ValueError, match="point: expected at most 40 coordinates, got 41"):
        cells.evaluate(pieces, to_pairs([ONE] * 41))
    good = {name: getattr(pieces, name) for name in ("offsets", "firsts", "coordinates", "scales", "claims", "claim_weights")}
    for name, value, message in [
        ("claims", np.ones(1, dtype=np.uint32), "claims: expected numbers below 1, got 1"),
        ("firsts", np.array([0, 2], dtype=np.uint64), "firsts: expected to rise"),
        ("firsts", np.array([0], dtype=np.uint64), r"firsts: expected shape \(2\), got \(1,\)"),
        ("scales", np.ones((1, 3), dtype=np.uint64), "scales: expected shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            cells.PieceArrays(**good | {name: value})
