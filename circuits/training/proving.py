"""Prove and verify one step of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zkds import lookup, prover, verifier
from zkds.circuits.certificate.resources import require_memory
from zkds.circuits.networks.graph import Network
from zkds.circuits.networks.weights import model_digest
from zkds.circuits.probe_records import network_inputs
from zkds.circuits.training.relation import StepStatement, TrainingStep
from zkds.circuits.training.step import Descent, run
from zkds.dataset.membership import Membership
from zkds.dataset.opening import Opening
from zkds.dataset.root import DataRoot
from zkds.dataset.sampling import batches
from zkds.integers.limbs import I64
from zkds.statement import Statement
from zkds.verifier import VerificationResult

STEP = "step"
Weights = Mapping[str, I64]


@dataclass(frozen=True, repr=False)
class ProvedStep:
    """The proof's bytes, what they say, and the integers of the model after the step."""

    proof: bytes
    statement: StepStatement
    after: Weights


def prove_step(
    network: Network,
    before: Weights,
    opening: Opening,
    descent: Descent,
    seed: bytes,
    *,
    zero_knowledge: bool = True,
    progress: Callable[[str], None] | None = None,
) -> ProvedStep:
    """A zero-knowledge proof of the step from the weights `before` (quantised) on the batch that the seed names.

    Raises MemoryRejected if the machine can't hold it, Overflow if a value leaves its range, OpeningError if the opening is
    damaged.
    """
    report = progress if progress is not None else lambda stage: None
    report(STEP)
    require_memory(TrainingStep(_statement(network, before, before, opening.root, descent, seed)))
    indices = batches(seed, opening.root.count, 1, descent.batch_size)
    membership, records = Membership.open(opening, indices)
    inputs, labels = network_inputs(opening.root.schema, records)
    step = run(network, before, inputs, labels, descent)
    statement = _statement(network, before, step.after, opening.root, descent, seed)
    relation = TrainingStep(statement, membership=membership)
    whole = Statement(relation)
    vector = relation.vector_of(whole.layout, step, before, records)
    lookup.multiplicities(whole.lookups, whole.layout, vector)
    proof = prover.prove_vector(whole, vector, zero_knowledge=zero_knowledge, progress=report)
    return ProvedStep(proof, statement, step.after)


def verify_step(
    proof: bytes,
    network: Network,
    before: Weights,
    after: Weights,
    root: DataRoot,
    descent: Descent,
    seed: bytes,
    *,
    allow_plain: bool = False,
) -> VerificationResult:
    """Check that one step leads from one model to the other. Raises ProofRejected, or a subclass, with the reason."""
    statement = _statement(network, before, after, root, descent, seed)
    return verifier.verify(proof, TrainingStep(statement, before, after), allow_plain=allow_plain)


def _statement(
    network: Network, before: Weights, after: Weights, root: DataRoot, descent: Descent, seed: bytes
) -> StepStatement:
    digests = (model_digest(network, weights) for weights in (before, after))
    return StepStatement(network, descent, root, seed, *digests)
