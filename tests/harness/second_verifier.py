"""What the second verifier (verifier/zkds_verify) says of a proof, beside what zkds says of it."""

import functools

from zkds.circuits.certificate.verifying import verify_certificate
from zkds.errors import MalformedProof, ProofRejected
from zkds_verify.proof import Proof, read_relation
from zkds_verify.rejection import Malformed, NotAProof, Rejected
from zkds_verify.shape_statement import parse
from zkds_verify.sharpness_shape import Shape
from zkds_verify.work import require_little_work

ACCEPTED, NO_PROOF, MALFORMED = "accepted", "not a proof", "malformed statement"


@functools.lru_cache(maxsize=16)
def prepared(encoding):
    """Of one statement, for many proofs about it."""
    statement = parse(encoding)
    require_little_work(statement, 4)
    return Proof(encoding, Shape(statement).components)


def second(proof):
    """ACCEPTED or why not."""
    try:
        encoding, plain = read_relation(proof)
        prepared(encoding).verify(proof, plain=plain)
    except Malformed:
        return MALFORMED
    except Rejected as rejection:
        return rejection.reason
    except NotAProof:
        return NO_PROOF
    return ACCEPTED


def first(proof):
    """The same of zkds, whose names for what is wrong with a statement the specification doesn't fix."""
    try:
        verify_certificate(proof, allow_plain=True)
    except ProofRejected as error:
        of_statement = isinstance(error, MalformedProof) and second(proof) == MALFORMED
        return MALFORMED if of_statement else NO_PROOF if error.reason in ("magic", "version") else error.reason
    return ACCEPTED
