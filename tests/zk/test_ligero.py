"""Ligero over the pads: completeness, every rejection by a prover that cheats in one place, and the budget."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests.harness.toy_relation import Toy, prove_relation, verify_relation
from tests.reference import ligero as slow
from zkds.channel import ProverChannel, VerifierChannel
from zkds.errors import CommitmentRejected, ConstraintRejected, GrindingRejected, MalformedProof, ProofRejected
from zkds.field import ONE, ZERO, K, P, from_pairs, to_pairs
from zkds.hidden import Constraints, Hidden
from zkds.soundness import QUERY_BITS
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk.ligero import PadCommitment, check_plain, commit_pads, prove, violated
from zkds.zk.pad_commitment import Masks
from zkds.zk.pads import SecretStream
from zkds.zk.parameters import choose_parameters
from zkds.zk.rows import encode, interpolate
from zkds.zk.tableau import fill

GOLDEN = "5f82c06cc8bbecc0926c3b6645965a92a10042c395d773c1eb2db3fe79d13568"


def toy(count: int = 20, products: int = 3) -> Toy:
    return Toy(SecretStream(bytes(32)).elements(count), products)


@pytest.mark.parametrize("count, products", [(1, 0), (1, 1), (63, 5), (64, 64), (400, 130)])
def test_honest_proof_is_accepted(count: int, products: int) -> None:
    relation = toy(count, products)
    channel = verify_relation(relation, prove_relation(relation))
    assert channel.budget.total_bits() >= 100


@pytest.mark.parametrize("count, products", [(1, 0), (9, 2)])
def test_a_slow_verifier_agrees(count: int, products: int) -> None:
    """The verifier of tests/reference, written from the specification, accepts the proof and rejects another statement."""
    relation = toy(count, products)
    proof = prove_relation(relation)
    for change in (0, 1):
        channel = VerifierChannel(Transcript(), ProofReader(proof))
        root = channel.receive_bytes("pad root", 32)
        relation.verify(channel)
        reason, expression = channel.constraints.equations[-1]
        channel.constraints.equations[-1] = (reason, expression + change)
        assert slow.accepts(channel, root, channel.constraints) is (change == 0)


@pytest.mark.parametrize("messages", [1, 100, 128, 700, 3000, 20_000, 100_000])
@pytest.mark.parametrize("products", [0, 1, 500])
def test_parameters_are_those_of_the_specification(messages: int, products: int) -> None:
    p = choose_parameters(messages, products)
    assert p.row == slow.row_length(messages, products)
    assert p.queries == slow.queries(p.row)
    assert (p.slots, p.pad_rows, p.product_rows) == slow.sizes(p.row, messages, products)


def test_plain_mode_evaluates_the_same_constraints() -> None:
    relation = toy()
    channel = ProverChannel(Transcript(), ProofWriter(), None)
    relation.prove(channel)
    replay = channel.replay()
    relation.verify(replay)
    check_plain(replay.constraints)


def test_plain_mode_names_the_equation() -> None:
    constraints = Constraints(messages=1)
    message = Hidden.received(K(5), 0)
    constraints.equations += [("holds", message - 5), ("is seven", message - 7)]
    with pytest.raises(ConstraintRejected) as caught:
        check_plain(constraints)
    assert (caught.value.reason, caught.value.actual) == ("is seven", K(-2))


def test_violated_names_the_equations_that_fail() -> None:
    constraints = Constraints(messages=2)
    left, right = Hidden.received(K(5) + 10, 0), Hidden.received(K(6) + 20, 1)
    constraints.equations += [("product", constraints.product(left, right) - 30), ("sum", left + right - 12)]
    assert violated(constraints, [K(10), K(20)]) == ["sum"]


# --- provers that cheat in one place ----------------------------------------------------------------------------------------


class Tampering(ProverChannel):
    """Changes one public message before it is sent; everything after is computed for the changed transcript."""

    label = ""
    index = 0

    def send_pairs(self, label: str, values: np.ndarray) -> None:
        if label == self.label:
            values = values.copy().reshape(-1, 2)
            values[self.index, 0] = (values[self.index, 0] + 1) % P
        super().send_pairs(label, values)

    def send_bytes(self, label: str, data: bytes) -> None:
        if label == self.label:
            data = data[: self.index] + bytes([data[self.index] ^ 1]) + data[self.index + 1 :]
        super().send_bytes(label, data)


def assert_rejected(relation: Toy, proof: bytes, error: type[ProofRejected], reason: str) -> None:
    with pytest.raises(error) as caught:
        verify_relation(relation, proof)
    assert type(caught.value) is error
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "label, index, error, reason",
    [
        ("Ligero low-degree response", 7, ConstraintRejected, "Ligero: low-degree response"),
        ("Ligero linear response", 1, ConstraintRejected, "Ligero: linear response"),
        ("Ligero linear response", 2, ConstraintRejected, "Ligero: linear sum"),
        ("Ligero quadratic response", 7, ConstraintRejected, "Ligero: quadratic response"),
        ("Ligero columns", 0, CommitmentRejected, "Ligero: Merkle root mismatch"),
        ("Ligero columns", -1, CommitmentRejected, "Ligero: Merkle root mismatch"),
        ("Ligero salts", 40, CommitmentRejected, "Ligero: Merkle root mismatch"),
        ("Ligero Merkle digests", 3, CommitmentRejected, "Ligero: Merkle root mismatch"),
    ],
)
def test_one_changed_message(label: str, index: int, error: type[ProofRejected], reason: str) -> None:
    relation = toy()
    cheat = type("Cheat", (Tampering,), {"label": label, "index": index})
    assert_rejected(relation, prove_relation(relation, channel_type=cheat), error, reason)


def test_two_changes_that_keep_the_linear_sum() -> None:
    class Cheat(ProverChannel):
        def send_pairs(self, label: str, values: np.ndarray) -> None:
            if label == "Ligero linear response":
                values = values.copy()
                values[[0, 2]] = values[[2, 0]]
            super().send_pairs(label, values)

    relation = toy()
    assert_rejected(relation, prove_relation(relation, channel_type=Cheat), ConstraintRejected, "Ligero: linear response")


class WrongImage(Toy):
    def images(self, factor: K) -> list[K]:
        return [*super().images(factor)[:-1], ONE]


def test_an_equation_that_does_not_hold() -> None:
    relation = WrongImage(toy().secrets, 3)
    assert_rejected(relation, prove_relation(relation), ConstraintRejected, "Ligero: linear sum")


class WrongProduct(Toy):
    def public_products(self, images: list[K]) -> list[K]:
        return [product + 1 for product in super().public_products(images)]


def test_a_product_that_does_not_hold() -> None:
    relation = WrongProduct(toy().secrets, 3)
    assert_rejected(relation, prove_relation(relation), ConstraintRejected, "Ligero: linear sum")


def test_a_message_under_the_pad_of_another() -> None:
    """The second message encrypted with the first one's pad: the equations speak of its own pad."""
    relation = toy()
    commitment = relation.commit()
    pads = list(commitment.take_pads())
    commitment.take_pads = lambda: [pads[0], pads[0], *pads[2:]]  # type: ignore[method-assign]
    assert_rejected(relation, prove_relation(relation, commitment), ConstraintRejected, "Ligero: linear sum")


def rebuild(commitment: PadCommitment, witness: np.ndarray, masks: Masks | None = None) -> PadCommitment:
    return PadCommitment(commitment.parameters, commitment.products, witness, masks or commitment.masks, SecretStream())


def products_row(commitment: PadCommitment, kind: int) -> int:
    return commitment.parameters.pad_rows + kind * commitment.parameters.product_rows


def test_a_wrong_product_of_pads() -> None:
    """Products of pads that are one too large make products of messages true that are one too large."""
    relation = WrongProduct(toy().secrets, 3)
    honest = relation.commit()
    witness = honest.witness.copy()
    row = products_row(honest, 2)
    witness[row, :3] = to_pairs([product + 1 for product in from_pairs(witness[row, :3])])
    cheating = rebuild(honest, witness)
    assert_rejected(relation, prove_relation(relation, cheating), ConstraintRejected, "Ligero: quadratic response")


@pytest.mark.parametrize("kind", [0, 1])
def test_a_factor_that_is_no_copy_of_its_pad(kind: int) -> None:
    """Left and right factors zero, products zero: the quadratic test passes, the copies are not tied."""
    relation = toy()
    honest = relation.commit()
    witness = honest.witness.copy()
    witness[products_row(honest, kind), 0] = 0
    witness[products_row(honest, 2), 0] = 0
    assert_rejected(relation, prove_relation(relation, rebuild(honest, witness)), ConstraintRejected, "Ligero: linear sum")


def test_a_linear_mask_with_a_sum() -> None:
    relation = toy()
    honest = relation.commit()
    linear = honest.masks.linear.copy()
    linear[0] = to_pairs([from_pairs(linear[:1])[0] + 1])[0]
    masks = Masks(honest.masks.low_degree, linear, honest.masks.quadratic)
    cheating = rebuild(honest, honest.witness, masks)
    assert_rejected(relation, prove_relation(relation, cheating), ConstraintRejected, "Ligero: linear sum")


def test_a_quadratic_mask_that_is_not_zero() -> None:
    relation = toy()
    honest = relation.commit()
    quadratic = honest.masks.quadratic.copy()
    quadratic[0] = 1
    masks = Masks(honest.masks.low_degree, honest.masks.linear, quadratic)
    cheating = rebuild(honest, honest.witness, masks)
    assert_rejected(relation, prove_relation(relation, cheating), ConstraintRejected, "Ligero: quadratic response")


def with_codewords(commitment: PadCommitment, codewords: np.ndarray) -> PadCommitment:
    commitment.commit_codewords(codewords)
    return commitment


@pytest.mark.parametrize("row", [0, 1, -3])
def test_a_row_that_is_no_codeword(row: int) -> None:
    """Also for the low-degree mask (-3): e + 1 changed columns are hit by some query."""
    relation = toy()
    commitment = relation.commit()
    codewords = commitment.codewords.copy()
    errors = commitment.parameters.errors + 1
    codewords[row, :errors] = SecretStream().pairs(errors)
    cheating = with_codewords(commitment, codewords)
    assert_rejected(relation, prove_relation(relation, cheating), ConstraintRejected, "Ligero: low-degree response")


@pytest.mark.parametrize("row, reason", [(-2, "Ligero: linear response"), (-1, "Ligero: quadratic response")])
def test_a_mask_that_is_no_codeword(row: int, reason: str) -> None:
    relation = toy()
    commitment = relation.commit()
    codewords = commitment.codewords.copy()
    errors = commitment.parameters.errors + 1
    codewords[row, :errors] = SecretStream().pairs(errors)
    assert_rejected(relation, prove_relation(relation, with_codewords(commitment, codewords)), ConstraintRejected, reason)


def test_a_row_of_the_degree_of_a_mask() -> None:
    """Degree k, one too many, in a word that every column check but the low-degree one accepts."""
    relation = toy()
    commitment = relation.commit()
    p = commitment.parameters
    codewords = commitment.codewords.copy()
    coefficients = np.zeros((2 * p.row, 2), dtype=np.uint64)
    coefficients[p.row] = 1
    codewords[0] = encode(coefficients, p.log_length)
    cheating = with_codewords(commitment, codewords)
    assert_rejected(relation, prove_relation(relation, cheating), ConstraintRejected, "Ligero: low-degree response")


def test_a_wrong_grinding_nonce() -> None:
    """One nonce in about 2^16 is right, so the one after the right one is not (the seeds of this test are fixed)."""
    relation = toy()
    proof = bytearray(prove_relation(relation))
    p = relation.commit().parameters
    columns = p.queries * (16 * p.rows + 32)
    _, digests = ligero_sizes(relation, bytes(proof))
    nonce = len(proof) - digests - columns - 8
    proof[nonce + 7] ^= 0x80
    assert_rejected(relation, bytes(proof), GrindingRejected, "grinding nonce before Ligero queries")


def ligero_sizes(relation: Toy, proof: bytes) -> tuple[int, int]:
    sizes = verify_relation(relation, proof).reader.sizes
    return sizes["Ligero columns"], sizes["Ligero Merkle digests"]


def test_every_truncation_is_malformed() -> None:
    relation = toy()
    proof = prove_relation(relation)
    for length in range(0, len(proof), 997):
        with pytest.raises(MalformedProof, match="truncated"):
            verify_relation(relation, proof[:length])
    with pytest.raises(MalformedProof, match="trailing"):
        verify_relation(relation, proof + b"\0")


def test_a_plain_proof_is_no_zero_knowledge_proof() -> None:
    relation = toy()
    channel = ProverChannel(Transcript(), ProofWriter(), None)
    channel.send_bytes("pad root", bytes(32))
    relation.prove(channel)
    with pytest.raises(MalformedProof, match="truncated"):
        verify_relation(relation, channel.writer.to_bytes())


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_rejected(seed: int) -> None:
    """Bytes, or canonical field elements of small size, of about the right length."""
    rng = np.random.default_rng(seed)
    if seed % 2:
        data = rng.integers(0, 256, 60_000, dtype=np.uint8).tobytes()
    else:
        data = rng.integers(0, 2, 8_000, dtype=np.uint64).astype("<u8").tobytes()
    with pytest.raises(ProofRejected):
        verify_relation(toy(), data)


def test_random_bit_flips_are_rejected() -> None:
    relation = toy()
    proof = prove_relation(relation)
    places = np.random.default_rng(1).integers(0, len(proof), 40)
    for place in places:
        with pytest.raises(ProofRejected):
            verify_relation(relation, proof[:place] + bytes([proof[place] ^ 16]) + proof[place + 1 :])


def test_the_proof_format_does_not_change_unnoticed() -> None:
    """SHA-256 of a proof with a fixed stream of pads. The bytes come from this code; their meaning is checked by the slow
    verifier. A new digest from the same stream is a new format: change the transcript's version with it."""
    relation = toy(9, 2)
    shape = relation.shape()
    proof = prove_relation(relation, commit_pads(shape.messages, shape.products, SecretStream(bytes(32))))
    assert hashlib.sha256(proof).hexdigest() == GOLDEN


# --- misuse -----------------------------------------------------------------------------------------------------------------


def test_a_commitment_serves_one_proof() -> None:
    relation = toy()
    commitment = relation.commit()
    prove_relation(relation, commitment)
    with pytest.raises(RuntimeError, match="already used"):
        prove_relation(relation, commitment)
    channel = ProverChannel(Transcript(), ProofWriter(), None)
    with pytest.raises(RuntimeError, match="pad commitment: already used"):
        prove(channel, commitment, Constraints())


def test_constraints_of_another_shape() -> None:
    channel = ProverChannel(Transcript(), ProofWriter(), None)
    with pytest.raises(ValueError, match="expected 4 messages and the 1 committed products, got 5 messages and 1"):
        prove(channel, commit_pads(4, [(0, 1)]), Constraints(messages=5, products=[(0, 1)]))
    with pytest.raises(ValueError, match="constraints"):
        prove(channel, commit_pads(4, [(0, 1)]), Constraints(messages=4, products=[(0, 2)]))


def test_counts_are_checked() -> None:
    with pytest.raises(ValueError, match="at least one message"):
        commit_pads(0, [])
    with pytest.raises(ValueError, match="message numbers below 2"):
        commit_pads(2, [(0, 2)])


# --- parameters -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("messages, products", [(1, 0), (500, 20), (2000, 100), (20000, 1000), (300000, 10000)])
def test_parameters(messages: int, products: int) -> None:
    p = choose_parameters(messages, products)
    assert p.query_term().total_bits >= QUERY_BITS
    assert p.row - p.slots >= p.queries  # hides: as many uniform slots as opened columns
    assert 2 * p.errors <= p.length - 2 * p.row  # decodes uniquely, in the code of dimension 2k
    assert p.pad_rows * p.slots >= messages
    assert p.product_rows * p.slots >= products


def test_estimated_bytes_are_close() -> None:
    relation = toy(400, 130)
    commitment = relation.commit()
    sizes = verify_relation(relation, prove_relation(relation)).reader.sizes
    actual = sum(size for label, size in sizes.items() if label.startswith("Ligero"))
    assert abs(actual - commitment.parameters.estimated_bytes()) < 0.06 * actual


def test_masks() -> None:
    p = choose_parameters(10, 2)
    masks = Masks.uniform(p, SecretStream())
    message_points = [2 * slot for slot in range(p.slots)]
    assert sum(from_pairs(masks.linear[message_points]), ZERO) == ZERO
    assert not masks.quadratic[message_points].any()
    others = np.delete(masks.quadratic, message_points, axis=0)
    assert (others != 0).any(axis=1).all()


def test_fill_keeps_the_uniform_slots() -> None:
    p = choose_parameters(3, 1)
    rows = np.full((p.witness_rows, p.row, 2), 7, dtype=np.uint64)
    pads = to_pairs([K(1), K(2), K(3)])
    fill(p, rows, pads, (pads[:1], pads[1:2], pads[1:2]))
    assert (rows[:, p.slots :] == 7).all()
    assert from_pairs(rows[0, :4]) == [K(1), K(2), K(3), ZERO]
    assert from_pairs(rows[1:, 0]) == [K(1), K(2), K(2)]


def test_encoding_has_no_point_of_the_message_groups() -> None:
    """The constant-free polynomial x^k - 1 vanishes on H only: none of its codeword's symbols is zero."""
    p = choose_parameters(3, 1)
    coefficients = np.zeros((2 * p.row, 2), dtype=np.uint64)
    coefficients[p.row, 0], coefficients[0, 0] = 1, P - 1
    assert encode(coefficients, p.log_length).any(axis=-1).all()
    values = np.zeros((2 * p.row, 2), dtype=np.uint64)
    values[1::2, 0] = P - 2  # x^k = -1 off H
    assert (interpolate(values) == coefficients).all()
