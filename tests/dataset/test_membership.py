"""Membership: both sides through bytes, the claims against the committed vector, and every kind of cheating."""

import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.harness.toy_relation import Relation, converse, verify_relation
from tests.reference import dataset as slow
from tests.reference.claims import claim_sum, committed
from zkds.channel import DryRun, ProverChannel, VerifierChannel
from zkds.commit.layout import Layout
from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.membership import Membership, Revealed
from zkds.dataset.opening import Opening
from zkds.dataset.records import from_arrays
from zkds.dataset.sampling import batches
from zkds.errors import ConstraintRejected, ProofRejected, StatementMismatch
from zkds.field import ZERO, P
from zkds.lookup import Lookup, NotInTable, RangeTable
from zkds.prover import prove
from zkds.soundness import LOG2_K, TARGET_BITS, total_bits
from zkds.transcript import Transcript
from zkds.verifier import verify
from zkds.wire import ProofReader, ProofWriter
from zkds.zk import ligero, simulator

SEED = bytes(range(32))
RNG = np.random.default_rng(1)
SOURCES = {
    "images": from_arrays(RNG.integers(0, 256, (30, 3, 3, 5), dtype=np.uint8), RNG.integers(0, 10, 30), classes=10),
    "features": from_arrays(RNG.normal(size=(17, 6)), RNG.integers(0, 300, 17), classes=300),
    "one": from_arrays(np.array([[7]], dtype=np.uint8), np.array([1]), classes=2),
}
SHAPES = {"images": (3, 5), "features": (2, 1), "one": (1, 1)}


@pytest.fixture(scope="module")
def openings(tmp_path_factory):
    opened = {}
    for name, source in SOURCES.items():
        path = tmp_path_factory.mktemp(name) / "data.root"
        commit_dataset(source, path)
        opened[name] = Opening(opening_path(path))
    yield opened
    for opening in opened.values():
        opening.close()


def choose(opening, shape):
    return batches(SEED, opening.root.count, *shape)


def prove_plain(relation, columns):
    """The prover's channel and the committed vector."""
    layout, vector = committed(relation, columns)
    channel = ProverChannel(Transcript(), ProofWriter(), None)
    relation.prove(channel, layout, vector)
    return channel, vector


class PatientChannel(VerifierChannel):
    """Goes on after a false public equation, where a verifier stops."""

    def assert_zero(self, expression, reason):
        self.constraints.equations.append((reason, expression))


def violated(relation, proof):
    """The reasons of the violated equations, and the verifier's claims with their values revealed."""
    channel = PatientChannel(Transcript(), ProofReader(proof))
    claims = relation.verify(channel, Layout(relation.columns))
    channel.reader.finish()
    assert channel.budget.total_bits() > 100
    reasons = ligero.violated(channel.constraints, [ZERO] * channel.constraints.messages)
    return reasons, [replace(claim, value=claim.value.constant) for claim in claims]


def run(prover, columns, verifier):
    """(reasons of violated equations, numbers of false claims)"""
    channel, vector = prove_plain(prover, columns)
    reasons, claims = violated(verifier, channel.writer.to_bytes())
    return reasons, [number for number, claim in enumerate(claims) if claim_sum(claim, vector) != claim.value]


@pytest.mark.parametrize("name", SOURCES)
def test_honest_proof_has_true_claims(openings, name):
    opening = openings[name]
    indices = choose(opening, SHAPES[name])
    prover, columns = Membership.open(opening, indices)
    verifier = Membership(opening.root, indices)
    assert prover.encode() == verifier.encode() and prover.columns == verifier.columns
    assert set(columns) == {column.name for column in prover.columns} == set(prover.widths)
    assert prover.lookups == [Lookup(RangeTable(8), column.name) for column in prover.columns]
    prover.check()
    assert run(prover, columns, verifier) == ([], [])


@pytest.mark.parametrize("name", SOURCES)
def test_columns_are_the_records(openings, name):
    opening = openings[name]
    indices = choose(opening, SHAPES[name])
    _, columns = Membership.open(opening, indices)
    shape = (*SHAPES[name],)
    flat = np.concatenate([values.reshape(*shape, -1) for values in columns.values()], axis=2)
    records = SOURCES[name].read(0, SOURCES[name].count)
    assert (flat[:, :, : records.shape[1]] == records[np.array(indices)]).all()
    if name == "images":
        assert columns["record elements"].shape == (3, 5, 3, 3, 5) and columns["record labels"].shape == (3, 5)
    if name == "features":
        assert columns["record elements"].shape == (2, 1, 6, 2) and columns["record labels"].shape == (2, 1, 2)


def test_the_claim_is_the_documented_sum(openings):
    """Both sides of the linear identity by Python integers, at the verifier's own challenges."""
    opening = openings["images"]
    indices = choose(opening, (3, 5))
    prover, columns = Membership.open(opening, indices)
    channel, _ = prove_plain(prover, columns)
    a, t, b = channel._challenges[:7], channel._challenges[7:9], channel._challenges[9:12]
    byte_strings, commitments = opening.open(prover.indices)
    weights = [sum((slow.eq(a, k) * entry for k, entry in enumerate(row)), ZERO) for row in slow.matrix(byte_strings.shape[1])]
    left = right = ZERO
    for i, (z, h) in enumerate(zip(byte_strings.tolist(), commitments.tolist(), strict=True)):
        selected = slow.eq(t, i // 5) * slow.eq(b, i % 5)
        left = left + selected * sum((w * byte for w, byte in zip(weights, z, strict=True)), ZERO)
        right = right + selected * sum((slow.eq(a, k) * entry for k, entry in enumerate(h)), ZERO)
    assert left == right != ZERO


def test_budget_is_one_term_for_each_coordinate(openings):
    dry = DryRun()
    relation = Membership(openings["images"].root, choose(openings["images"], (3, 5)))
    relation.verify(dry, Layout(relation.columns))
    names = [term.name for term in dry.budget.terms]
    assert (
        names
        == ["membership: row coordinate"] * 7
        + ["membership: record coordinate"] * 5
        + ["membership: sumcheck round"] * relation.variables
    )
    assert total_bits(dry.budget.terms[:12]) == pytest.approx(LOG2_K - np.log2(12))
    assert relation.variables == 10 and dry.constraints.messages == 2 * 10 + 3 and not dry.constraints.products


# ---- cheating --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def honest(openings):
    opening = openings["images"]
    indices = choose(opening, (3, 5))
    prover, columns = Membership.open(opening, indices)
    return prover, columns, Membership(opening.root, indices), opening, indices


def with_revealed(prover, revealed, indices=None, batch=5):
    chosen = indices or [prover.indices[i : i + batch] for i in range(0, len(prover.indices), batch)]
    return Membership(prover.root, chosen, revealed)


@pytest.mark.parametrize("name", ["record elements", "record labels", "record randomness"])
def test_a_changed_byte_is_rejected(honest, name):
    prover, columns, verifier, _, _ = honest
    changed = {key: values.copy() for key, values in columns.items()}
    changed[name].reshape(-1)[-1] ^= 1
    assert run(prover, changed, verifier) == (["membership: linear claim"], [])


def test_swapped_records_are_rejected(honest):
    prover, columns, verifier, _, _ = honest
    swapped = {key: values.copy() for key, values in columns.items()}
    for values in swapped.values():
        values[[0, 1]] = values[[1, 0]]
    assert run(prover, swapped, verifier) == (["membership: linear claim"], [])


def test_other_records_of_the_same_data_set_are_rejected(honest):
    """Records that are in the data set, with their true commitments and paths, but not at these indices."""
    prover, _, verifier, opening, indices = honest
    wanted = set(prover.indices)
    spare = next(i for i in range(opening.root.count) if i not in wanted)
    others = [list(batch) for batch in indices]
    others[1][2] = spare
    cheat, columns = Membership.open(opening, others)
    proof_length = len(prover.revealed.merkle_proof)
    honest_paths = cheat.revealed.merkle_proof[:proof_length].ljust(proof_length, b"\0")
    cheat = Membership(opening.root, indices, Revealed(cheat.revealed.commitments, honest_paths))
    assert run(cheat, columns, verifier) == (["membership: Merkle root"], [])


def test_a_commitment_of_another_record_is_rejected(honest):
    """The prover changes a record and commits to it honestly: only the root is against it."""
    prover, columns, verifier, _, _ = honest
    changed = {key: values.copy() for key, values in columns.items()}
    changed["record labels"][2, 4] ^= 1
    flat = np.concatenate([values.reshape(15, -1) for values in changed.values()], axis=1).astype(np.uint8)
    commitments = np.array(slow.multiply(flat.tolist(), slow.matrix(flat.shape[1])), dtype=np.uint64)
    cheat = with_revealed(prover, Revealed(commitments, prover.revealed.merkle_proof))
    assert run(cheat, changed, verifier) == (["membership: Merkle root"], [])


def test_a_changed_commitment_breaks_both(honest):
    prover, columns, verifier, _, _ = honest
    commitments = prover.revealed.commitments.copy()
    commitments[3, 100] = (int(commitments[3, 100]) + 1) % P
    cheat = with_revealed(prover, Revealed(commitments, prover.revealed.merkle_proof))
    assert run(cheat, columns, verifier) == (["membership: Merkle root", "membership: linear claim"], [])


def test_commitments_that_are_not_canonical_are_rejected(honest):
    prover, columns, verifier, _, _ = honest
    commitments = prover.revealed.commitments.copy()
    commitments[0, 0] += np.uint64(P)
    cheat = with_revealed(prover, Revealed(commitments, prover.revealed.merkle_proof))
    reasons, _ = run(cheat, columns, verifier)
    assert reasons[:2] == ["membership: canonical commitments", "membership: Merkle root"]


def test_a_changed_path_is_rejected(honest):
    prover, columns, verifier, _, _ = honest
    path = bytearray(prover.revealed.merkle_proof)
    path[5] ^= 1
    cheat = with_revealed(prover, Revealed(prover.revealed.commitments, bytes(path)))
    assert run(cheat, columns, verifier) == (["membership: Merkle root"], [])


def test_every_changed_message_is_noticed(honest):
    prover, columns, verifier, _, _ = honest
    channel, _ = prove_plain(prover, columns)
    proof = channel.writer.to_bytes()
    rng = random.Random(1)
    public = len(proof) - 16 * (2 * verifier.variables + 3)
    places = [rng.randrange(public) for _ in range(12)] + list(range(public, len(proof), 16))
    for place in places:
        changed = bytearray(proof)
        changed[place] ^= 1
        reasons, _ = violated(verifier, bytes(changed))
        assert reasons and set(reasons) <= {
            "membership: Merkle root",
            "membership: linear claim",
            "membership: canonical commitments",
        }


def test_another_vector_makes_a_claim_false(honest):
    """The proof is about one vector, the commitment about another."""
    prover, columns, verifier, _, _ = honest
    channel, vector = prove_plain(prover, columns)
    _, claims = violated(verifier, channel.writer.to_bytes())
    for number, name in enumerate(columns):
        offset = Layout(verifier.columns).boxes(name)[0].offset
        changed = vector.copy()
        changed[offset] ^= 1
        assert [k for k, claim in enumerate(claims) if claim_sum(claim, changed) != claim.value] == [number]


@pytest.mark.parametrize("cheating", [False, True])
def test_in_zero_knowledge_mode(honest, cheating):
    """Through pads, replay and Ligero; a public check that fails is rejected at once."""
    prover, columns, verifier, _, _ = honest
    if cheating:
        path = bytearray(prover.revealed.merkle_proof)
        path[5] ^= 1
        prover = with_revealed(prover, Revealed(prover.revealed.commitments, bytes(path)))
    layout, vector = committed(prover, columns)
    dry = DryRun()
    verifier.verify(dry, layout)
    pads = ligero.commit_pads(dry.constraints.messages, dry.constraints.products)
    channel = ProverChannel(Transcript(), ProofWriter(), pads.take_pads())
    channel.send_bytes(ligero.ROOT_LABEL, pads.root)
    prover.prove(channel, layout, vector)
    replay = channel.replay()
    replay.receive_bytes(ligero.ROOT_LABEL, 32)
    verifier.verify(replay, layout)
    ligero.prove(channel, pads, replay.constraints)
    receiver = VerifierChannel(Transcript(), ProofReader(channel.writer.to_bytes()))
    root = receiver.receive_bytes(ligero.ROOT_LABEL, 32)
    if cheating:
        with pytest.raises(ConstraintRejected) as caught:
            verifier.verify(receiver, layout)
        assert caught.value.reason == "membership: Merkle root"
    else:
        verifier.verify(receiver, layout)
        ligero.verify(receiver, root, receiver.constraints)
        receiver.reader.finish()


class Leaked(Relation):
    """What the simulator of zero knowledge gets: the revealed commitments and their paths, and zeros for the records."""

    def __init__(self, membership):
        self.membership = membership
        self.layout = Layout(membership.columns)

    def prove(self, channel):
        self.membership.prove(channel, self.layout, np.zeros(self.layout.cells, dtype=np.uint32))

    def verify(self, channel):
        self.membership.verify(channel, self.layout)


def test_the_commitments_are_all_that_leaks(honest):
    """A simulator without the records makes accepted proofs, given h, paths and the choice of the challenges."""
    prover, _, _, _, _ = honest
    leaked, program = Leaked(prover), b"program of the simulator's draws"
    proof = simulator.simulate(program, leaked.shape(), partial(converse, leaked))
    verify_relation(leaked, proof, simulator.ProgrammedTranscript(program))
    with pytest.raises(ProofRejected):
        verify_relation(leaked, proof)


def test_whole_proofs(openings):
    """Committed, looked up, opened: in both modes, and a cheating prover by name."""
    opening = openings["features"]
    indices = choose(opening, (2, 1))
    prover, columns = Membership.open(opening, indices)
    verifier = Membership(opening.root, indices)
    assert verify(prove(prover, columns), verifier).bits >= TARGET_BITS
    assert verify(prove(prover, columns, zero_knowledge=False), verifier, allow_plain=True).bits >= TARGET_BITS
    with pytest.raises(StatementMismatch):
        verify(prove(prover, columns, zero_knowledge=False), Membership(opening.root, indices[::-1]), allow_plain=True)
    changed = columns | {"record labels": columns["record labels"] ^ np.uint32(1)}
    with pytest.raises(ConstraintRejected) as caught:
        verify(prove(prover, changed, zero_knowledge=False), verifier, allow_plain=True)
    assert caught.value.reason == "membership: linear claim"
    with pytest.raises(ConstraintRejected) as caught:
        verify(prove(prover, changed), verifier)
    assert caught.value.reason == "Ligero: linear sum"


def test_a_cell_that_is_no_byte_cannot_be_committed(openings):
    """Binding needs short vectors: 256 low + high and 0 high would be another opening of the same sum."""
    opening = openings["one"]
    prover, columns = Membership.open(opening, [[0]])
    changed = columns | {"record labels": columns["record labels"] + np.uint32(256)}
    with pytest.raises(NotInTable):
        prove(prover, changed, zero_knowledge=False)


# ---- misuse ----------------------------------------------------------------------------------------------------------


def test_misuse_is_named(honest):
    prover, columns, verifier, opening, _ = honest
    layout, vector = committed(prover, columns)
    with pytest.raises(ValueError, match=r"revealed: .* Membership\.open"):
        verifier.prove(ProverChannel(Transcript(), ProofWriter(), None), layout, vector)
    vector[:] = 256
    with pytest.raises(ValueError, match="record elements: expected bytes"):
        prover.prove(ProverChannel(Transcript(), ProofWriter(), None), layout, vector)
    for indices in ([], [[]], [[1, 2], [3]]):
        with pytest.raises(ValueError, match="indices: expected batches of one size"):
            Membership(opening.root, indices)
    with pytest.raises(ValueError, match="indices: expected no index twice"):
        Membership(opening.root, [[1, 2], [3, 1]])
    with pytest.raises(ValueError, match="indices: expected 0 to 29, got 30"):
        Membership(opening.root, [[30]])


def test_encoding_binds_root_batches_and_indices(openings):
    root = openings["images"].root
    choices = [[[1, 2], [3, 4]], [[1, 2, 3, 4]], [[2, 1], [3, 4]], [[1, 2], [3, 5]]]
    encodings = {Membership(root, choice).encode() for choice in choices}
    other = replace(root, tree_root=bytes(32))
    assert len(encodings | {Membership(other, choices[0]).encode()}) == 5
    assert Membership(root, choices[0]).encode() == b"membership\0" + root.digest() + b"".join(
        n.to_bytes(8, "little") for n in (2, 2, 1, 2, 3, 4)
    )


def test_secrets_stay_out_of_messages(honest):
    prover, columns, _, _, _ = honest
    channel, _ = prove_plain(prover, columns)
    proof = channel.writer.to_bytes()
    assert all(row.astype(np.uint8).tobytes() not in proof for row in columns["record randomness"].reshape(15, -1))
