"""The verifier without a proof: every message is zero, and every check of a hash, a nonce or an equation passes."""

from __future__ import annotations

import resource
import time
from typing import Any

from zkds import native
from zkds.channel import VerifierChannel
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.certificate.work import Work
from zkds.commit import merkle
from zkds.errors import CommitmentRejected
from zkds.hidden import Hidden
from zkds.soundness import ErrorTerm
from zkds.statement import Mode, Statement
from zkds.transcript import Transcript
from zkds.verifier import receive_proof
from zkds.wire import ProofReader
from zkds.zk import ligero


class Zeros(ProofReader):
    """A proof of zeros, as long as it is read."""

    def read(self, label: str, count: int) -> bytes:
        self.sizes[label] = self.sizes.get(label, 0) + count
        return bytes(count)


class Credulous(VerifierChannel):
    """Believes equations and nonces."""

    def assert_zero(self, expression: Hidden, reason: str) -> None:
        self.constraints.equations.append((reason, expression))

    def _check_grinding(self, term: ErrorTerm) -> None:
        self.budget.add(term)
        if term.grinding:
            self.transcript.seed(term.name)
            self.receive_bytes("grinding nonce", 8)


class Anything:
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def believe() -> None:
    """Let Merkle paths and the sums of Ligero's responses pass, after they have been computed."""
    verify, total = merkle.verify, ligero.total

    def believed(*arguments: Any) -> None:
        try:
            verify(*arguments)
        except CommitmentRejected:
            pass

    def summed(values: Any) -> Any:
        total(values)
        return Anything()

    merkle.verify, ligero.total = believed, summed


def measure(encoding: bytes) -> dict[str, Any]:
    """What verifying takes beside the estimate; called in a process of its own."""
    believe()
    native.set_threads(1)
    start = time.process_time()
    statement = SharpnessStatement.decode(encoding)
    work = Work.of(statement)
    relation = DirectionalSharpness(statement)
    work = work.with_columns(relation.columns)
    circuit = Statement(relation)
    transcript = Transcript()
    circuit.bind(transcript, Mode.ZERO_KNOWLEDGE)
    channel = Credulous(transcript, Zeros(b""))
    receive_proof(channel, circuit, Mode.ZERO_KNOWLEDGE)
    channel.budget.lines()
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    sizes = dict(vars(work)) | {"proof_bytes": sum(channel.reader.sizes.values())}
    return {"seconds": seconds, "memory": memory, "estimate": work.seconds, "memory_estimate": work.memory, "sizes": sizes}
