"""Verification of a whole proof from untrusted bytes.

The verifier computes the statement, all parameters and the order of all messages itself, and compares the header of the proof
with its own. Whatever the bytes are, `verify` returns a result or raises a subclass of `ProofRejected`, in time and memory that
the statement bounds. Importing this module loads no prover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zkds.channel import VerifierChannel
from zkds.commit import opening
from zkds.conversation import converse
from zkds.errors import StatementMismatch
from zkds.soundness import BudgetLine
from zkds.statement import Mode, Relation, Statement
from zkds.transcript import Transcript
from zkds.wire import ProofReader
from zkds.zk import ligero


@dataclass(frozen=True)
class VerificationResult:
    """An accepted proof.

    mode    whether it hides the witness
    bits    -log2 of the total soundness error, grinding included; at least soundness.TARGET_BITS
    budget  the terms of that error by name, weakest first
    sizes   bytes of the proof by label
    """

    mode: Mode
    bits: float
    budget: Sequence[BudgetLine]
    sizes: Mapping[str, int]


def verify(data: bytes, relation: Relation, *, allow_plain: bool = False) -> VerificationResult:
    """Check a proof that the prover knows columns which satisfy `relation`.

    allow_plain: accept a proof in plain mode, which hides nothing, as well.
    Raises a subclass of ProofRejected with the reason; TypeError if `data` is not bytes; PlanRejected if the relation
    itself is unsound.
    """
    if not isinstance(data, bytes):
        raise TypeError(f"data: expected bytes, got {type(data).__name__}")
    statement = Statement(relation)
    reader = ProofReader(data)
    mode = statement.read_header(reader)
    if mode is Mode.PLAIN and not allow_plain:
        raise StatementMismatch("mode", "zero-knowledge", "plain")
    transcript = Transcript()
    statement.bind(transcript, mode)
    channel = VerifierChannel(transcript, reader)
    receive_proof(channel, statement, mode)
    reader.finish()
    return VerificationResult(mode, channel.budget.require(), channel.budget.lines(), dict(reader.sizes))


def receive_proof(channel: VerifierChannel, statement: Statement, mode: Mode) -> None:
    """Everything after the header. Raises a subclass of ProofRejected. Budget and trailing bytes are the caller's to check."""
    conversation = converse(channel, statement, mode)
    if conversation.pad_root is None:
        ligero.check_plain(channel.constraints)
    else:
        ligero.verify(channel, conversation.pad_root, channel.constraints)
    salted = mode is Mode.ZERO_KNOWLEDGE
    root, reduction = conversation.witness_root, conversation.reduction
    opening.verify_queries(channel, statement.parameters, root, reduction, salted=salted)
