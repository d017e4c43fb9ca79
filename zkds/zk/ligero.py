"""Ligero: a proof that committed pads satisfy the constraints that a verifier collected.

Ames, Hazay, Ishai, Venkitasubramaniam: Ligero (CCS 2017, eprint 2022/1608), over K, with three changes: rows are
given by values on power-of-two groups of norm-1 elements; masks carry no coefficient, the tested words carry the challenges
(see parameters.py for the proof of soundness); and the zeros of the quadratic response are not sent.

Order in the transcript: the root long before; then, when all constraints are fixed,

    challenges r, c, m, g, m'
    low-degree response     k values on H:                    mask + sum_i r^(i+1) row_i
    linear response         2k values on the group of 2k:     mask + m sum_i R_i row_i, R from tableau.py and c
    quadratic response      2k - l values on the group of 2k: mask + m' sum_t g^t (X_t Y_t - Z_t), zero at the message points
    grinding, positions
    columns (positions x rows), salts, Merkle digests

Zero knowledge: a row has l messages and t uniform slots, so its values at any t points outside H are uniform and independent
of its messages (the polynomials of degree < k that vanish at the message points take every t values there); each
response is uniform, among those that satisfy the statement, because of its mask; and the masks' values in the opened
columns are what these make them. `simulator.py` samples in this order without a witness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from zkds.channel import ProverChannel, VerifierChannel
from zkds.errors import ConstraintRejected
from zkds.field import K
from zkds.hidden import Constraints
from zkds.zk.messages import Challenges, Responses, at_message_points, opened_words, receive_columns
from zkds.zk.pad_commitment import PadCommitment, commit_pads
from zkds.zk.parameters import choose_parameters
from zkds.zk.rows import add, total
from zkds.zk.tableau import combine_equations

__all__ = ["ROOT_LABEL", "CommittedPads", "PadCommitment", "check_plain", "commit_pads", "prove", "verify", "violated"]


ROOT_LABEL = "pad root"


class CommittedPads(Protocol):
    """What a proof needs of its pads: a `PadCommitment`, or the simulator's stand-in."""

    @property
    def root(self) -> bytes: ...
    def take_pads(self) -> Sequence[K]: ...
    def prove(self, channel: ProverChannel, constraints: Constraints) -> None: ...


def prove(channel: ProverChannel, pads: CommittedPads, constraints: Constraints) -> None:
    """Show that the committed pads satisfy the constraints. Consumes the commitment.

    Raises RuntimeError if it was consumed before, ValueError if the constraints do not have the committed shape.
    Constraints that do not hold are not noticed here: see `violated`.
    """
    pads.prove(channel, constraints)


def verify(channel: VerifierChannel, root: bytes, constraints: Constraints) -> None:
    """Check the proof that the pads under `root` satisfy the constraints.

    Raises ConstraintRejected if a response is wrong, CommitmentRejected if the columns are not those under the root.
    """
    p = choose_parameters(constraints.messages, len(constraints.products))
    challenges = Challenges.draw(channel, p, constraints)
    responses = Responses.receive(channel, p)
    positions = channel.positions(p.query_term(), p.queries, p.length)
    columns = receive_columns(channel, p, root, positions)

    weights, target = combine_equations(p, constraints, challenges.equations)
    sum_found, sum_wanted = total(at_message_points(p, responses.linear)), challenges.linear_mask * target
    if sum_found != sum_wanted:
        raise ConstraintRejected("Ligero: linear sum", "the sum that the equations demand", "another one")
    words = opened_words(p, challenges, weights, columns[: p.witness_rows], positions)
    names = ("Ligero: low-degree response", "Ligero: linear response", "Ligero: quadratic response")
    for name, response, word, mask in zip(names, responses.at(p, positions), words, columns[p.witness_rows :], strict=True):
        wrong = np.flatnonzero((response != add(mask, word)).any(axis=1))
        if len(wrong):
            raise ConstraintRejected(name, f"agreement in all {len(positions)} columns", f"{len(wrong)} differ")


def violated(constraints: Constraints, pads: Sequence[K]) -> list[str]:
    """The reasons of the equations that do not hold, for somebody who knows the pads."""
    variables = constraints.variables(pads)
    return [reason for reason, expression in constraints.equations if expression.evaluate(variables)]


def check_plain(constraints: Constraints) -> None:
    """Plain mode: pads are zero, so every equation is its constant.

    Raises ConstraintRejected with the reason of the first equation that does not hold, and its value.
    """
    for reason, expression in constraints.equations:
        if expression.constant:
            raise ConstraintRejected(reason, 0, expression.constant)
