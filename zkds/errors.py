"""The errors of zkds: a proof that is rejected, and a proof that cannot be made.

A bad proof is not a bad caller. `ProofRejected` and its subclasses say why bytes were not accepted as a proof, with what
was expected and what was found; misuse of the API raises TypeError or ValueError. No message ever holds a secret.
"""

from typing import Any


class ZkdsError(Exception):
    """Base of the errors that zkds raises on purpose."""


class ProofRejected(ZkdsError):
    """These bytes are not a valid proof of the statement. `reason` names the check that failed."""

    def __init__(self, reason: str, expected: object = None, actual: object = None) -> None:
        self.reason = reason
        self.expected = expected
        self.actual = actual
        super().__init__(self._words())

    def __reduce__(self) -> tuple[Any, ...]:
        """What comes from another process is what was raised there."""
        return type(self), (self.reason, self.expected, self.actual)

    def _words(self) -> str:
        if self.expected is None and self.actual is None:
            return self.reason
        return f"{self.reason}: expected {self.expected}, got {self.actual}"


class MalformedProof(ProofRejected):
    """The bytes do not parse: truncated, extended, not canonical, unknown version."""


class StatementMismatch(ProofRejected):
    """The proof is for another statement, mode or set of parameters than the verifier's own."""


class NotAProof(MalformedProof):
    """No proof file of this version at all: empty, too short, another kind of file, another version."""


class PinMismatch(StatementMismatch):
    """The proof is about something else than the verifier asked for."""

    def _words(self) -> str:
        return f"{self.reason}: the proof has {self.actual}; you asked for {self.expected}"


class GrindingRejected(ProofRejected):
    """A proof-of-work nonce does not have the number of zero bits that the soundness budget asks for."""


class ConstraintRejected(ProofRejected):
    """A relation between the prover's messages does not hold (plain mode names it, zero-knowledge mode only its kind)."""


class CommitmentRejected(ProofRejected):
    """A Merkle path, a proximity check or an opening of the commitment fails."""


class InsufficientSecurity(ProofRejected):
    """The soundness budget of the proof's parameters is below the target."""


class FileError(ZkdsError, ValueError):
    """A file that is damaged, of another kind or version, or not of the one beside it. The message names it and what to do."""


class PlanRejected(ZkdsError, ValueError):
    """A plan of limbs and carries for which an identity modulo p does not imply the identity over the integers."""
