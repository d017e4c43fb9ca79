"""A whole proof without a witness: what zero knowledge means for the commitment, the encrypted messages and Ligero together.

The simulator commits to the zero vector and follows the protocol, with simulated pads and a programmed random oracle:

    columns     a row has two uniform coefficients of padding for every opened column, which is a pair of points; the symbols at
                all these points are a bijective function of the padding, so they are uniform, whatever the row's cells
    masked row  uniform on all its coefficients, because of the blinding row; with it its opened symbols, and u
    messages    uniform, because of their pads; the Ligero proof over the pads is simulated (zkds/zk/simulator.py)
    the rest    digests of salted columns; everything else is a function of the above and of the statement

The zero vector satisfies nothing: multiplicities are wrong and so is the result of the product's rounding.
"""

import numpy as np
import pytest

from tests.whole_proof import honest_columns, reject, small_relation
from zkds.channel import VerifierChannel
from zkds.errors import ProofRejected
from zkds.proof import ProofReader, ProofWriter
from zkds.prover import message_shape, prove, send_proof
from zkds.statement import Mode, Statement
from zkds.transcript import Transcript
from zkds.verifier import receive_proof, verify
from zkds.zk.simulator import ProgrammedTranscript, simulate

PROGRAM = b"program of a whole proof"
UNIFORM_MESSAGES = (
    "matrix product: round polynomial",
    "LogUp: round polynomial",
    "batching: round",
    "opening: masked row",
    "opening: columns",
    "Ligero columns",
)


@pytest.fixture(scope="module")
def statement():
    return Statement(small_relation())


@pytest.fixture(scope="module")
def simulated(statement):
    """The messages after the header."""
    zeros = np.zeros(statement.layout.cells, dtype=np.uint32)
    return simulate(
        PROGRAM, message_shape(statement), lambda channel, pads: send_proof(channel, statement, zeros, pads, lambda stage: None)
    )


def receive(statement, body, transcript):
    """label -> bytes of every message that the real verifier read and accepted."""
    messages = {}

    class Recording(ProofReader):
        def read(self, label, count):
            data = super().read(label, count)
            messages[label] = messages.get(label, b"") + data
            return data

    channel = VerifierChannel(transcript, Recording(body))
    receive_proof(channel, statement, Mode.ZERO_KNOWLEDGE)
    channel.reader.finish()
    channel.budget.require()
    return messages


def test_the_real_verifier_accepts_under_the_program(statement, simulated):
    receive(statement, simulated, ProgrammedTranscript(PROGRAM))


def test_and_under_no_other_oracle(statement, simulated):
    for transcript in (ProgrammedTranscript(PROGRAM + b"!"), Transcript()):
        with pytest.raises(ProofRejected):
            receive(statement, simulated, transcript)
    header = ProofWriter()
    statement.write_header(header, Mode.ZERO_KNOWLEDGE)
    reject(header.to_bytes() + simulated, statement.relation)


def test_simulated_and_real_messages_look_alike(statement, simulated):
    """Same labels and lengths (Merkle digests apart), and high bits of messages that are fair coins in both."""
    relation = statement.relation
    proof = prove(relation, honest_columns(relation))
    body = proof[sum(verify(proof, relation).sizes[label] for label in ("header", "statement")) :]
    transcript = Transcript()
    statement.bind(transcript, Mode.ZERO_KNOWLEDGE)
    real, fake = receive(statement, body, transcript), receive(statement, simulated, ProgrammedTranscript(PROGRAM))
    assert list(real) == list(fake)
    for label in real:
        assert len(real[label]) == len(fake[label]) or "Merkle" in label
    for label in UNIFORM_MESSAGES:
        for messages in (real, fake):
            values = np.frombuffer(messages[label], dtype="<u8")
            ones = np.count_nonzero(values >> np.uint64(60))
            assert abs(ones - len(values) / 2) < 5.5 * (len(values) / 4) ** 0.5 + 1, label
