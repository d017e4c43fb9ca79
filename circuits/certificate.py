"""Certificates of directional sharpness: make one, check one.

`verify_certificate` needs the proof's bytes alone. What it is given beside them (model, data root, seed, configuration,
thresholds) it pins: a proof about anything else is rejected by name. What it is not given, the verdict lists as not pinned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from zkds import verifier
from zkds.circuits.degenerate import (
    BELOW_EPS,
    FEW_RECORDS,
    SATURATED,
    SURPLUS,
    below_eps_words,
    saturated_words,
    surplus_words,
)
from zkds.circuits.directional_sharpness import DirectionalSharpness
from zkds.circuits.fixed_point import EXPONENTIAL_BITS, Configuration
from zkds.circuits.graph import Network
from zkds.circuits.statement import RESULT_BITS, SharpnessStatement, StatementError
from zkds.circuits.weights import QuantisedWeights, model_digest
from zkds.dataset.root import DataRoot
from zkds.errors import PlanRejected, ProofRejected, StatementMismatch
from zkds.soundness import BudgetLine
from zkds.statement import Mode, claimed_relation

MAX_STATEMENT_BYTES = 1 << 24
PINS = ("model", "data", "seed", "configuration", "tau")


class ThresholdRejected(ProofRejected):
    """The proof is valid, but what it proves is not good enough: value, loss, accuracy, or results that say nothing."""


@dataclass(frozen=True)
class Pins:
    """What a verifier knows or asks for; None: not pinned, and the verdict says so.

    model           (network, quantised weights) of a public model, or the 32 bytes of a private model's root
    root            the data root
    seed            32 bytes
    configuration   the probe's configuration
    tau             the largest value to accept, an exact rational
    max_loss        the largest mean loss to accept, in nats
    min_accuracy    the smallest accuracy to accept, in [0, 1]
    min_records     the smallest data set to accept, in records

    allow_saturated         accept batches whose loss is below the floor, and ratios below eps (circuits/degenerate.py)
    allow_surplus_classes   accept a network with more outputs than the data set has classes
    Raises ValueError for a `min_records` that is no positive int.
    """

    model: tuple[Network, QuantisedWeights] | bytes | None = None
    root: DataRoot | None = None
    seed: bytes | None = None
    configuration: Configuration | None = None
    tau: Fraction | None = None
    max_loss: Fraction | None = None
    min_accuracy: Fraction | None = None
    min_records: int | None = None
    allow_saturated: bool = False
    allow_surplus_classes: bool = False

    def __post_init__(self) -> None:
        if self.min_records is not None and (type(self.min_records) is not int or self.min_records < 1):
            raise ValueError(f"min_records: expected a positive int, got {self.min_records!r}")


@dataclass(frozen=True)
class Verdict:
    """An accepted proof: what it says, what was not pinned, and how sure it is.

    statement     everything public
    not_pinned    which of `PINS` the verifier was not given, so that the prover chose them
    mode, bits, budget, sizes   as in zkds.verifier.VerificationResult
    """

    statement: SharpnessStatement
    not_pinned: tuple[str, ...]
    mode: Mode
    bits: float
    budget: Sequence[BudgetLine]
    sizes: Mapping[str, int]


def read_statement(data: bytes) -> tuple[Mode, SharpnessStatement]:
    """What a proof says that it proves, unchecked. Raises MalformedProof."""
    if not isinstance(data, bytes):
        raise TypeError(f"data: expected bytes, got {type(data).__name__}")
    mode, encoding = claimed_relation(data, MAX_STATEMENT_BYTES)
    return mode, SharpnessStatement.decode(encoding)


def verify_certificate(data: bytes, pins: Pins | None = None, *, strict: bool = False, allow_plain: bool = False) -> Verdict:
    """Check a proof of directional sharpness and everything that is pinned.

    strict       reject unless all of `PINS` are pinned
    allow_plain  accept a proof that hides nothing
    Raises ProofRejected, or a subclass of it, that names the reason.
    """
    pins = pins if pins is not None else Pins()
    _, statement = read_statement(data)
    not_pinned = tuple(name for name in PINS if getattr(pins, "root" if name == "data" else name) is None)
    if strict and not_pinned:
        raise ProofRejected(f"strict: not pinned: {', '.join(not_pinned)}", "all pinned", "some chosen by the prover")
    _require_pins(statement, pins)
    weights = pins.model[1] if isinstance(pins.model, tuple) else None
    try:
        result = verifier.verify(data, DirectionalSharpness(statement, weights), allow_plain=allow_plain)
    except PlanRejected as error:
        raise ProofRejected(f"statement: no sound circuit: {error}") from None
    _require_meaning(statement, pins)
    _require_thresholds(statement, pins)
    return Verdict(statement, not_pinned, result.mode, result.bits, result.budget, result.sizes)


def threshold_integer(tau: Fraction) -> int:
    """tau with 48 fractional bits, rounded down."""
    return floor(tau * (1 << EXPONENTIAL_BITS))


def hidden(statement: SharpnessStatement, tau: Fraction) -> SharpnessStatement:
    """The statement that says value <= tau instead of the value. Raises StatementError if it is not, or tau is too large."""
    results, threshold = statement.results, threshold_integer(tau)
    if results.value is None or results.value > threshold:
        raise StatementError("tau: the value is above it, so no proof can say otherwise")
    if threshold >= 1 << RESULT_BITS:
        raise StatementError(f"tau: expected a number below {1 << RESULT_BITS - EXPONENTIAL_BITS}")
    return replace(statement, results=replace(results, value=None, threshold=threshold))


def _require_pins(statement: SharpnessStatement, pins: Pins) -> None:
    """Raise StatementMismatch for the first pin that the statement does not meet."""
    if pins.model is not None:
        private = isinstance(pins.model, bytes)
        if private != statement.private_model:
            raise StatementMismatch("model: kind", *(("private", "public") if private else ("public", "private")))
        digest = pins.model if isinstance(pins.model, bytes) else model_digest(*pins.model)
        if digest != statement.model:
            raise StatementMismatch("model", digest.hex(), statement.model.hex())
        if isinstance(pins.model, tuple) and pins.model[0] != statement.network:
            # the digest in a statement is any 32 bytes that its prover chose; the circuit is that of the statement's network
            raise StatementMismatch("network", "the given model's", "another one")
    if pins.root is not None and pins.root.digest() != statement.root.digest():
        raise StatementMismatch("data root", pins.root.digest().hex(), statement.root.digest().hex())
    if pins.seed is not None and pins.seed != statement.seed:
        raise StatementMismatch("seed", pins.seed.hex(), statement.seed.hex())
    if pins.configuration is not None and pins.configuration != statement.configuration:
        raise StatementMismatch("configuration", pins.configuration, statement.configuration)


def _require_meaning(statement: SharpnessStatement, pins: Pins) -> None:
    """Raise ThresholdRejected for proven results that say nothing about sharpness, or a data set that is too small."""
    results, steps = statement.results, statement.configuration.steps
    if results.saturated and not pins.allow_saturated:
        raise ThresholdRejected(SATURATED, "none unless allowed", saturated_words(results.saturated, steps))
    if results.below_eps and not pins.allow_saturated:
        raise ThresholdRejected(BELOW_EPS, "none unless allowed", below_eps_words(results.below_eps, steps))
    if statement.surplus_classes and not pins.allow_surplus_classes:
        raise ThresholdRejected(SURPLUS, "none unless allowed", surplus_words(statement.surplus_classes))
    if pins.min_records is not None and statement.root.count < pins.min_records:
        raise ThresholdRejected(FEW_RECORDS, f"at least {pins.min_records}", statement.root.count)


def _require_thresholds(statement: SharpnessStatement, pins: Pins) -> None:
    """Raise ThresholdRejected unless the proven results are good enough. Exact: integers against rationals."""
    results = statement.results
    if pins.tau is not None:
        tau = threshold_integer(pins.tau)
        if results.value is not None and results.value > tau:
            raise ThresholdRejected("value above tau", f"at most {float(pins.tau):.6g}", _decimal(results.value))
        if results.threshold is not None and results.threshold > tau:
            raise ThresholdRejected("proven threshold above tau", f"at most {float(pins.tau):.6g}", _decimal(results.threshold))
    if pins.max_loss is not None and Fraction(results.total_loss, statement.samples << EXPONENTIAL_BITS) > pins.max_loss:
        raise ThresholdRejected("loss above the maximum", f"at most {float(pins.max_loss):.6g}", f"{statement.loss:.6g}")
    if pins.min_accuracy is not None and Fraction(results.correct, statement.samples) < pins.min_accuracy:
        raise ThresholdRejected(
            "accuracy below the minimum", f"at least {float(pins.min_accuracy):.6g}", f"{statement.accuracy:.6g}"
        )


def _decimal(value: int) -> str:
    return f"{value / (1 << EXPONENTIAL_BITS):.6g}"
