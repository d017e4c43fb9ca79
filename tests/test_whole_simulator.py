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

from tests.harness.whole_proof import LIGERO_REASON, carrying_relation, honest_columns, reject, small_relation
from zkds.channel import VerifierChannel
from zkds.errors import ProofRejected
from zkds.prover import message_shape, prove, prove_vector, send_proof
from zkds.statement import Mode, Statement
from zkds.transcript import Transcript
from zkds.verifier import receive_proof, verify
from zkds.wire import ProofReader, ProofWriter
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
PUBLIC = {"header", "statement", "grinding nonce"}


@pytest.fixture(scope="module")
def statement():
    return Statement(small_relation())


@pytest.fixture(scope="module")
def simulated(statement):
    return simulation(statement)


def simulation(statement):
    """The messages after the header, made from zeros."""
    zeros = np.zeros(statement.layout.cells, dtype=np.uint32)
    return simulate(
        PROGRAM, message_shape(statement), lambda channel, pads: send_proof(channel, statement, zeros, pads, lambda stage: None)
    )


def receive(statement, body, transcript, mode=Mode.ZERO_KNOWLEDGE):
    """label -> bytes of every message that the real verifier read and accepted."""
    messages = {}

    class Recording(ProofReader):
        def read(self, label, count):
            data = super().read(label, count)
            messages[label] = messages.get(label, b"") + data
            return data

    channel = VerifierChannel(transcript, Recording(body))
    receive_proof(channel, statement, mode)
    channel.reader.finish()
    channel.budget.require()
    return messages


def receive_whole(statement, proof, mode=Mode.ZERO_KNOWLEDGE):
    """`receive` for a whole proof with its header, under the real oracle."""
    sizes = verify(proof, statement.relation, allow_plain=True).sizes
    transcript = Transcript()
    statement.bind(transcript, mode)
    return receive(statement, proof[sizes["header"] + sizes["statement"] :], transcript, mode)


def test_the_real_verifier_accepts_under_the_program(statement, simulated):
    receive(statement, simulated, ProgrammedTranscript(PROGRAM))


def test_numbers_of_several_limbs_with_carries_are_simulated_too():
    statement = Statement(carrying_relation())
    fake = receive(statement, simulation(statement), ProgrammedTranscript(PROGRAM))
    real = receive_whole(statement, prove(statement.relation, honest_columns(statement.relation)))
    assert list(real) == list(fake)
    assert all(len(real[label]) == len(fake[label]) or "Merkle" in label for label in real)


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
    real, fake = receive_whole(statement, proof), receive(statement, simulated, ProgrammedTranscript(PROGRAM))
    assert list(real) == list(fake)
    for label in real:
        assert len(real[label]) == len(fake[label]) or "Merkle" in label
    for label in UNIFORM_MESSAGES:
        for messages in (real, fake):
            values = np.frombuffer(messages[label], dtype="<u8")
            ones = np.count_nonzero(values >> np.uint64(60))
            assert abs(ones - len(values) / 2) < 5.5 * (len(values) / 4) ** 0.5 + 1, label


def test_the_zero_vector_has_no_real_proof(statement):
    """What is simulated above is a false statement about the committed vector: with real pads it is rejected."""
    zeros = np.zeros(statement.layout.cells, dtype=np.uint32)
    assert reject(prove_vector(statement, zeros), statement.relation).reason == LIGERO_REASON


def small_numbers(messages):
    """Numbers below 2^32, in words of 8 bytes, outside the grinding nonces."""
    secret = {label: data for label, data in messages.items() if label not in PUBLIC}
    assert sum(len(data) for data in secret.values()) > 20_000 and all(len(data) % 8 == 0 for data in secret.values())
    return sum(int((np.frombuffer(data, dtype="<u8") < 2**32).sum()) for data in secret.values())


def test_a_real_proof_shows_no_small_numbers(statement):
    """The witness is small integers, and a plain proof is full of small sums of them. In a zero-knowledge proof every word is
    uniform (of 61 bits at least), and one below 2^32 comes up in fewer than 1 of 10^4 proofs."""
    columns = honest_columns(statement.relation)
    assert small_numbers(receive_whole(statement, prove(statement.relation, columns))) == 0
    plain = prove(statement.relation, columns, zero_knowledge=False)
    assert small_numbers(receive_whole(statement, plain, Mode.PLAIN)) > 500
