"""The verifier's script for the encrypted part of a proof: from the roots to the last equation.

Prover and verifier both run it: the verifier on the bytes it was given, the prover on a `DryRun` to count messages, and on a
`Replay` to learn the constraints that the Ligero proof has to show. It only ever appends equations; it decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from zkds import lookup
from zkds.channel import VerifierEnd
from zkds.commit import batching, opening
from zkds.commit.opening import Reduction
from zkds.soundness import HASH_COLLISION
from zkds.statement import Mode, Statement
from zkds.zk.ligero import ROOT_LABEL

WITNESS_ROOT_LABEL = "witness root"
ROOT_BYTES = 32


@dataclass(frozen=True)
class Conversation:
    """What the rest of the verification needs: the roots and the masked row of the opening's first part."""

    witness_root: bytes
    pad_root: bytes | None
    reduction: Reduction


def converse(channel: VerifierEnd, statement: Statement, mode: Mode) -> Conversation:
    """Receive everything up to the last encrypted message and collect all equations in `channel.constraints`."""
    channel.budget.add(HASH_COLLISION)
    witness_root = channel.receive_bytes(WITNESS_ROOT_LABEL, ROOT_BYTES)
    pad_root = channel.receive_bytes(ROOT_LABEL, ROOT_BYTES) if mode is Mode.ZERO_KNOWLEDGE else None
    layout, parameters = statement.layout, statement.parameters
    claims = statement.relation.verify(channel, layout)
    claims = claims + lookup.verify(channel, statement.lookups, layout)
    rho, value = batching.verify(channel, claims, parameters.variables, parameters.row_term)
    reduction = opening.verify_reduction(channel, parameters, rho, value)
    return Conversation(witness_root, pad_root, reduction)
