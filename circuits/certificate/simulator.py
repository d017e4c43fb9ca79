"""A simulator of certificates: what zero knowledge means for directional sharpness, in executable form.

`simulate_certificate` gets what a certificate shows by design (docs/threat-model.md) and nothing else: no record, no label, no
randomness of a commitment, no weight of a private model, no trajectory. It makes proofs that the real verifier accepts when
the simulator chooses the challenges:

    public vector      zeros, but for the weights of a public model
    clear messages     the `Leakage` for those of membership and of the model; all others are functions of the public vector, of
                       the opening's blinding, or of the simulated pads
    hidden messages    those of the honest prover on the public vector, under uniform pads that are used nowhere else: uniform
    the rest           zkds/zk/simulator.py

In the real proof the vector is the witness instead. Its hidden messages are uniform as well, and its opened columns, masked row
and responses have the same distribution (protocol.md, section 9). The statement need not be true: where the real prover needs
records and a trajectory with these results, the simulator needs none. Only tests load this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zkds.circuits.certificate.evaluations import prefix
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import SharpnessStatement, probe_prefix
from zkds.circuits.models.private_model import PrivateModel
from zkds.circuits.models.public_model import committed_start
from zkds.circuits.networks.graph import Network
from zkds.dataset.membership import Membership, Revealed
from zkds.integers.limbs import I64
from zkds.native import U32, U64
from zkds.prover import message_shape, send_proof
from zkds.statement import Mode, Statement
from zkds.wire import ProofWriter
from zkds.zk.simulator import simulate


@dataclass(frozen=True)
class Leakage:
    """What a certificate shows beside its statement.

    records     the commitments of the records at the indices of every probe's seed, and their Merkle proofs
    model       a public model's weights, int64 [40]; or the commitments of a private one's chunks, (chunks, ROWS) uint64
    evaluated   as `records`, of every evaluation
    """

    records: Sequence[Revealed]
    model: Mapping[str, I64] | U64
    evaluated: Sequence[Revealed] = ()


def simulate_certificate(program: bytes, statement: SharpnessStatement, leakage: Leakage) -> bytes:
    """A whole proof that the verifier accepts under `ProgrammedTranscript(program)`, header included.

    Raises ValueError for a leakage of the other kind of model.
    """
    if isinstance(leakage.model, Mapping) == statement.private_model:
        raise ValueError("model: expected the commitments of a private model, or the weights of a public one")
    relation = DirectionalSharpness(
        statement,
        probed=[
            Membership(statement.root, indices, revealed, probe_prefix(number))
            for number, (indices, revealed) in enumerate(zip(statement.probe_indices, leakage.records, strict=True), 1)
        ],
        evaluated=[
            Membership(evaluation.root, indices, revealed, prefix(number))
            for number, (evaluation, indices, revealed) in enumerate(
                zip(statement.evaluations, statement.evaluated_indices, leakage.evaluated, strict=True), 1
            )
        ],
        private_model=None
        if isinstance(leakage.model, Mapping)
        else ShownModel(statement.network, statement.model, leakage.model),
    )
    whole = Statement(relation)
    vector = np.zeros(whole.layout.cells, dtype=np.uint32)
    for name, limbs in _public_columns(relation, leakage).items():
        whole.layout.write(vector, name, limbs)
    header = ProofWriter()
    whole.write_header(header, Mode.ZERO_KNOWLEDGE)
    return header.to_bytes() + simulate(
        program, message_shape(whole), lambda channel, pads: send_proof(channel, whole, vector, pads, lambda stage: None)
    )


class ShownModel(PrivateModel):
    """A private model of which the commitments are known, and nothing else."""

    def __init__(self, network: Network, root: bytes, commitments: U64) -> None:
        super().__init__(network, root)
        self._commitments = commitments

    def commitments(self) -> U64:
        return self._commitments


def _public_columns(relation: DirectionalSharpness, leakage: Leakage) -> dict[str, U32]:
    """The columns of a public model's weights."""
    columns: dict[str, U32] = {}
    if relation.public_model is not None and isinstance(leakage.model, Mapping):
        for name, start in relation.public_model.starts.items():
            columns |= committed_start(start).columns.split(leakage.model[name])
    return columns
