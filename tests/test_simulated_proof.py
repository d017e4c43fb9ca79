"""A whole proof without a witness: the prover of real proofs, run on the all-zero vector and on simulated pads.

Everything but the pads is honest. The vector satisfies nothing; the hidden messages about it are uniform whatever it is, the
commitment to it hides it by its own salts, pads and blinding row, and the simulated Ligero proof shows constraints that do not
hold. The verifier is the real one on a transcript programmed by the simulator, so it accepts; on an ordinary one it rejects.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.whole_proof import LIGERO_REASON, honest_columns, small_relation
from zkds import prover, verifier
from zkds.errors import ProofRejected
from zkds.integers.matrix_product import MatrixProduct
from zkds.proof import ProofReader
from zkds.statement import Mode, Statement
from zkds.zk.ligero import ROOT_LABEL
from zkds.zk.simulator import DeferredWriter, ProgrammedTranscript, SimulatedPads

PUBLIC = {"header", "statement", "grinding nonce"}
PROGRAM = b"program of the simulator's draws"


def simulated(statement: Statement, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The bytes of a proof of the statement, from the statement alone."""
    shape = prover.DryRun()
    prover.converse(shape, statement, Mode.ZERO_KNOWLEDGE)
    pads, writer = SimulatedPads(shape.constraints.messages, shape.constraints.products), DeferredWriter()
    with monkeypatch.context() as patch:
        patch.setattr(prover, "Transcript", lambda: ProgrammedTranscript(PROGRAM))
        patch.setattr(prover, "ProofWriter", lambda: writer)
        patch.setattr(prover, "_commit_pads", lambda statement: pads)
        prover.prove_vector(statement, np.zeros(statement.layout.cells, dtype=np.uint32))
    writer.replace(ROOT_LABEL, pads.root)
    return writer.to_bytes()


def test_a_proof_without_a_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    relation = small_relation()
    statement = Statement(relation)
    proof = simulated(statement, monkeypatch)
    with pytest.raises(ProofRejected):
        verifier.verify(proof, relation)
    monkeypatch.setattr(verifier, "Transcript", lambda: ProgrammedTranscript(PROGRAM))
    result = verifier.verify(proof, relation)
    assert result.mode is Mode.ZERO_KNOWLEDGE


def test_the_zero_vector_has_no_real_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is simulated above is a false statement about the committed vector: with real pads it is rejected."""
    relation = small_relation()
    statement = Statement(relation)
    vector = np.zeros(statement.layout.cells, dtype=np.uint32)
    with pytest.raises(ProofRejected) as caught:
        verifier.verify(prover.prove_vector(statement, vector), relation)
    assert caught.value.reason == LIGERO_REASON


def test_real_and_simulated_proofs_have_the_same_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merkle paths included: their lengths depend on the positions, which one program makes equal."""
    relation = small_relation()
    monkeypatch.setattr(verifier, "Transcript", lambda: ProgrammedTranscript(PROGRAM))
    fake = simulated(Statement(relation), monkeypatch)
    monkeypatch.setattr(prover, "Transcript", lambda: ProgrammedTranscript(PROGRAM))
    real = prover.prove(relation, honest_columns(relation))
    assert verifier.verify(fake, relation).sizes == verifier.verify(real, relation).sizes


class LabelledReader(ProofReader):
    """Collects the bytes of each label."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.fields: dict[str, bytes] = {}

    def read(self, label: str, count: int) -> bytes:
        data = super().read(label, count)
        self.fields[label] = self.fields.get(label, b"") + data
        return data


def small_numbers(proof: bytes, relation: MatrixProduct, monkeypatch: pytest.MonkeyPatch) -> int:
    """Numbers below 2^32, in words of 8 bytes, outside the public header and the grinding nonces."""
    readers: list[LabelledReader] = []

    def make(data: bytes) -> LabelledReader:
        readers.append(LabelledReader(data))
        return readers[-1]

    monkeypatch.setattr(verifier, "ProofReader", make)
    verifier.verify(proof, relation, allow_plain=True)
    secret = {label: data for label, data in readers[0].fields.items() if label not in PUBLIC}
    assert sum(len(data) for data in secret.values()) > 20_000 and all(len(data) % 8 == 0 for data in secret.values())
    return sum(int((np.frombuffer(data, dtype="<u8") < 2**32).sum()) for data in secret.values())


def test_a_real_proof_shows_no_small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The witness is small integers, and a plain proof is full of small sums of them. In a zero-knowledge proof every word is
    uniform (of 61 bits at least), and one below 2^32 comes up in fewer than 1 of 10^4 proofs."""
    relation = small_relation()
    columns = honest_columns(relation)
    assert small_numbers(prover.prove(relation, columns), relation, monkeypatch) == 0
    assert small_numbers(prover.prove(relation, columns, zero_knowledge=False), relation, monkeypatch) > 500
