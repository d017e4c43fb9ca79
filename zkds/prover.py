"""Making a whole proof: the order of protocol.md, section 11, from columns to bytes.

    dry run of the verifier     counts messages and products
    pads                        drawn and committed, one for each message (zero-knowledge mode)
    witness                     written to one vector, with the lookups' multiplicities, and committed
    protocols                   the relation's, the lookups', batching, first half of the opening: encrypted messages
    replay of the verifier      the constraints between these messages
    Ligero                      the pads satisfy the constraints
    opening                     columns at random positions

Everything secret lives in the arguments, the vector and the two commitments, which are used for one proof and dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from zkds import lookup
from zkds.channel import DryRun, ProverChannel
from zkds.commit import batching, opening
from zkds.commit.commitment import commit
from zkds.conversation import WITNESS_ROOT_LABEL, converse
from zkds.hidden import Constraints
from zkds.native import U32
from zkds.statement import Mode, Relation, Statement
from zkds.transcript import Transcript
from zkds.wire import ProofWriter
from zkds.zk import ligero
from zkds.zk.ligero import ROOT_LABEL, CommittedPads
from zkds.zk.pads import SecretStream

Progress = Callable[[str], None]  # called with the name of each stage when it begins


def prove(
    relation: Relation,
    columns: Mapping[str, NDArray[Any]],
    *,
    zero_knowledge: bool = True,
    progress: Progress | None = None,
) -> bytes:
    """A proof that these columns satisfy the relation; a new one, with fresh randomness, at every call.

    columns         a tensor for each of the relation's columns, integers in [0, 2^32)
    zero_knowledge  False: a plain proof, smaller and faster, that hides nothing
    Raises ValueError for missing, unknown or misshapen columns and for cells that are not in their tables, PlanRejected for an
    unsound relation. That the columns satisfy the relation is not checked here: the verifier rejects the proof if they don't.
    """
    statement = Statement(relation)
    vector = statement.vector(columns)
    lookup.multiplicities(statement.lookups, statement.layout, vector)
    return prove_vector(statement, vector, zero_knowledge=zero_knowledge, progress=progress)


def prove_vector(
    statement: Statement,
    vector: U32,
    *,
    zero_knowledge: bool = True,
    progress: Progress | None = None,
    channel_type: Callable[..., ProverChannel] = ProverChannel,
) -> bytes:
    """`prove` for the committed vector itself, (cells,) uint32, multiplicities included. channel_type is for tests.

    Raises InsufficientSecurity instead of making a proof that the verifier would refuse for its soundness budget.
    """
    mode = Mode.ZERO_KNOWLEDGE if zero_knowledge else Mode.PLAIN
    writer, transcript = ProofWriter(), Transcript()
    statement.write_header(writer, mode)
    statement.bind(transcript, mode)
    pads = None
    if zero_knowledge:
        shape = message_shape(statement)
        pads = ligero.commit_pads(shape.messages, shape.products)
    channel = channel_type(transcript, writer, pads.take_pads() if pads is not None else None)
    send_proof(channel, statement, vector, pads, progress if progress is not None else _ignore)
    channel.budget.require()
    return writer.to_bytes()


def message_shape(statement: Statement) -> Constraints:
    """The numbers of hidden messages and of products of a zero-knowledge proof; the equations mean nothing."""
    dry_run = DryRun()
    converse(dry_run, statement, Mode.ZERO_KNOWLEDGE)
    return dry_run.constraints


def send_proof(channel: ProverChannel, statement: Statement, vector: U32, pads: CommittedPads | None, report: Progress) -> None:
    """Everything after the header. The channel encrypts with the pads in `pads`; None is plain mode."""
    layout, parameters = statement.layout, statement.parameters
    report("commitment")
    commitment = commit(vector, parameters, SecretStream() if pads is not None else None)
    channel.send_bytes(WITNESS_ROOT_LABEL, commitment.root)
    if pads is not None:
        channel.send_bytes(ROOT_LABEL, pads.root)
    report(statement.relation.name)
    claims = statement.relation.prove(channel, layout, vector)
    report("lookups")
    claims = claims + lookup.prove(channel, statement.lookups, layout, vector)
    report("batching")
    rho, _ = batching.prove(channel, claims, vector, parameters.variables, parameters.row_term)
    report("opening")
    reduction = opening.prove_reduction(channel, commitment, rho)
    if pads is not None:
        report("zero knowledge")
        replay = channel.replay()
        converse(replay, statement, Mode.ZERO_KNOWLEDGE)
        ligero.prove(channel, pads, replay.constraints)
    report("columns")
    opening.prove_queries(channel, commitment, reduction, salted=pads is not None)


def _ignore(stage: str) -> None:
    del stage
