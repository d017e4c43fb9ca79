"""Certificates of directional sharpness: make one, check one.

`verify_certificate` needs the proof's bytes alone. What it is given beside them (model, data root, seed, configuration,
limits) it pins: a proof about anything else is rejected by name. What it is not given, the prover chose, and the verdict says
so: only a proof about which everything is given is `ACCEPTED`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from math import floor
from typing import Any

from zkds import verifier
from zkds.circuits.arithmetic.fixed_point import RESULT_FRACTION_BITS, Configuration
from zkds.circuits.certificate.comparison import told_apart
from zkds.circuits.certificate.degenerate import (
    BELOW_EPS,
    FEW_LABELS,
    FEW_RECORDS,
    SATURATED,
    SURPLUS,
    WIDE_MARGIN,
    below_eps_words,
    saturated_words,
    surplus_words,
)
from zkds.circuits.certificate.policy import Clause, Policy
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import RESULT_BITS, SharpnessStatement, StatementError
from zkds.circuits.certificate.work import Work
from zkds.circuits.networks.graph import Network
from zkds.circuits.networks.grid import LayerDifference
from zkds.circuits.networks.weights import QuantisedWeights, model_digest
from zkds.dataset.root import DataRoot
from zkds.errors import PinMismatch, PlanRejected, ProofRejected
from zkds.soundness import BudgetLine
from zkds.statement import Mode, claimed_relation

MAX_STATEMENT_BYTES = 1 << 24
PINS = {"model": "model", "data": "root", "seed": "seed", "probe": "configuration"}  # name in a verdict -> field of Pins
EVALUATIONS = "evaluations"  # likewise, name and field, of a proof that has any
PROBES = "probes"  # of a proof that has several
LIMITS = {"value": "tau", "loss": "max_loss", "accuracy": "min_accuracy"}  # likewise
LEAST = ("min_records", "min_labels")  # fields of Pins, as are these
ASKED = (*PINS.values(), PROBES, EVALUATIONS, *LIMITS.values(), *LEAST, "max_margin", "max_gap")
IN_A_POLICY = {"seed": "beacon", PROBES: "min_probes"}  # fields of Pins, and of Policy in their place
BESIDE_A_POLICY = ("model", "root", "seed", "policy")  # fields of Pins
NOT_EVALUATED = "data set not evaluated"
EVALUATED_LOSS = "loss of an evaluation above the maximum"
EVALUATED_ACCURACY = "accuracy of an evaluation below the minimum"
NO_GAP = "no gap"
GAP = "gap above the maximum"
MAX_RESULT = 1 << RESULT_BITS - RESULT_FRACTION_BITS  # losses and values are below it, in nats


class ThresholdRejected(ProofRejected):
    """The proof is valid, but what it proves is not good enough: value, loss, accuracy, or results that say nothing."""


class PolicyRejected(ThresholdRejected):
    """The proof is valid, but does not meet clauses of the policy; the reason names them, `clauses` are all of them."""

    def __init__(self, clauses: Sequence[Clause]) -> None:
        failed = [clause for clause in clauses if not clause.met]
        asked, found = ("; ".join(f"{each.name} {getattr(each, part)}" for each in failed) for part in ("asked", "found"))
        super().__init__(f"policy: {', '.join(clause.name for clause in failed)}", asked, found)
        self.clauses = tuple(clauses)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.clauses,)


class Status(enum.Enum):
    """What a verdict on a valid proof amounts to; one that isn't valid, or doesn't meet pins and limits, is a ProofRejected."""

    ACCEPTED = "accepted"  # everything of `PINS` and `LIMITS` was given, and holds
    VALID = "valid"  # what was given holds; the prover chose the rest
    NOTHING_PINNED = "nothing pinned"  # nothing was given: the prover chose everything


@dataclass(frozen=True)
class EvaluationLimits:
    """What every evaluation of a data set has to reach, of which the proof must have one: as in `Pins`."""

    root: DataRoot
    max_loss: Fraction | None = None
    min_accuracy: Fraction | None = None

    def __post_init__(self) -> None:
        _require_limits(self)


@dataclass(frozen=True)
class Pins:
    """What a verifier knows or asks for; None: not given, and the verdict says so.

    model           (network, quantised weights) of a public model, or the 32 bytes of a private model's root
    root            the data root
    seed            32 bytes
    configuration   the probes' configuration
    tau             the largest value to accept, of the mean over the probes: an exact rational, in [0, 4096)
    max_loss        the largest mean loss to accept, in nats, in [0, 4096)
    min_accuracy    the smallest accuracy to accept, in [0, 1]
    min_records     the smallest data set to accept, in records
    min_labels      the fewest distinct labels of the probe's records to accept
    max_margin      the largest margin of a record of the probe to accept, in nats, in [0, 4096)
    evaluations     (data root, records) of every evaluation, in order: a proof must have these and no others
    limits          of evaluations, by their data sets
    max_gap         the largest gap to accept (`SharpnessStatement.gap`), in nats; only with `root`, which says what is the
                    training side of the gap: a prover who chooses the probe's data set chooses the gap's sign
    probes          how many the proof must have

    allow_saturated         accept batches whose loss is below the floor, and ratios below eps (degenerate.py)
    allow_surplus_classes   accept a network with more outputs than the data set has classes
    policy          asks for all of this but model, root and seed, beside which nothing else is given then
    Raises ValueError for limits outside these intervals: they ask for nothing, or for what no proof can say; for a
    `min_records` or `min_labels` that is no positive int; for a `max_gap` without `root`; for what is given beside a policy.
    """

    model: tuple[Network, QuantisedWeights] | bytes | None = None
    root: DataRoot | None = None
    seed: bytes | None = None
    configuration: Configuration | None = None
    tau: Fraction | None = None
    max_loss: Fraction | None = None
    min_accuracy: Fraction | None = None
    min_records: int | None = None
    min_labels: int | None = None
    max_margin: Fraction | None = None
    evaluations: tuple[tuple[DataRoot, int], ...] | None = None
    limits: tuple[EvaluationLimits, ...] = ()
    max_gap: Fraction | None = None
    probes: int | None = None
    allow_saturated: bool = False
    allow_surplus_classes: bool = False
    policy: Policy | None = None

    def __post_init__(self) -> None:
        if self.policy is not None:
            beside = [
                each.name
                for each in fields(self)
                if each.name not in BESIDE_A_POLICY and getattr(self, each.name) != each.default
            ]
            if beside:
                raise ValueError(f"policy: {', '.join(beside)} are for the policy to say, not beside it")
        for name in (*LEAST, PROBES):
            number = getattr(self, name)
            if number is not None and (type(number) is not int or number < 1):
                raise ValueError(f"{name}: expected a positive int, got {number!r}")
        _require_nats("tau", self.tau)
        _require_nats("max_margin", self.max_margin)
        _require_limits(self)
        if self.max_gap is not None and not -MAX_RESULT < self.max_gap < MAX_RESULT:
            raise ValueError(f"max_gap: expected -{MAX_RESULT} to {MAX_RESULT} nats, got {float(self.max_gap):g}")
        if self.max_gap is not None and self.root is None:
            raise ValueError("max_gap: expected the data root (commitment) as well: it says what is held out")

    def asked(self, name: str) -> Any:
        """What a field asks for, or the policy in its place; None: nothing."""
        own = getattr(self, name)
        if own is not None or self.policy is None:
            return own
        found = getattr(self.policy, IN_A_POLICY.get(name, name), None)
        return None if found == () else found  # no evaluations

    @property
    def chosen_by_prover(self) -> tuple[str, ...]:
        """Which of "model", "data", "seed", "probe" are not given.

        Nor is a seed that follows from a beacon's value, data root and model, if one of both is not: each pair has another one,
        and a prover may have tried many.
        """
        chosen = {name for name, given in PINS.items() if self.asked(given) is None}
        if self.seed is None and chosen & {"model", "data"}:
            chosen.add("seed")
        return tuple(name for name in PINS if name in chosen)


def _require_limits(limits: Pins | EvaluationLimits) -> None:
    """Raise ValueError for a loss or an accuracy that asks for nothing, or for what no proof can say."""
    _require_nats("max_loss", limits.max_loss)
    if limits.min_accuracy is not None and not 0 <= limits.min_accuracy <= 1:
        raise ValueError(f"min_accuracy: expected a number between 0 and 1, got {float(limits.min_accuracy):g}")


def _require_nats(name: str, limit: Fraction | None) -> None:
    if limit is not None and not 0 <= limit < MAX_RESULT:
        raise ValueError(f"{name}: expected 0 to {MAX_RESULT} nats, got {float(limit):g}")


@dataclass(frozen=True)
class Verdict:
    """A valid proof that meets all that the verifier gave: what it says, what the prover chose, and how sure it is.

    statement     everything public
    pins          what the verifier gave
    mode, bits, budget, sizes   as in zkds.verifier.VerificationResult
    warnings      in words, what makes the verdict worth less than it seems: what `pins` allowed although it says nothing
    differences   of a public model that was given as a file or as a module: how it differs from the one on the grid that the
                  proof is about, layer by layer; else None
    clauses       of the policy, all met; empty without one
    """

    statement: SharpnessStatement
    pins: Pins = field(repr=False)
    mode: Mode
    bits: float
    budget: Sequence[BudgetLine]
    sizes: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    differences: tuple[LayerDifference, ...] | None = None
    clauses: tuple[Clause, ...] = ()

    @property
    def chosen_by_prover(self) -> tuple[str, ...]:
        """Which of "model", "data", "seed", "probe" the verifier did not give.

        Nor "probes" of a proof that has several, nor "evaluations" of one that has some.
        """
        names = [PROBES] if self.statement.probes > 1 else []
        names += [EVALUATIONS] if self.statement.evaluations else []
        return (*self.pins.chosen_by_prover, *(name for name in names if self.pins.asked(name) is None))

    @property
    def without_limit(self) -> tuple[str, ...]:
        """For which of "value", "loss", "accuracy" the verifier gave no limit."""
        return tuple(name for name, given in LIMITS.items() if self.pins.asked(given) is None)

    @property
    def status(self) -> Status:
        if all(self.pins.asked(name) is None for name in ASKED) and not self.pins.limits:
            return Status.NOTHING_PINNED
        return Status.VALID if self.chosen_by_prover or self.without_limit else Status.ACCEPTED

    @property
    def accepted(self) -> bool:
        """Whether everything was given, and holds."""
        return self.status is Status.ACCEPTED

    @property
    def value(self) -> Fraction | None:
        """Directional sharpness, the mean over the probes, exactly; None if the proof hides it."""
        return self.statement.value

    @property
    def standard_error(self) -> float | None:
        """Of the value; None for a single probe, and if the proof hides the values."""
        return self.statement.standard_error

    @property
    def threshold(self) -> Fraction | None:
        """What a hidden value is at most, exactly; None if the value is shown."""
        return self.statement.threshold

    @property
    def loss(self) -> Fraction:
        """The mean loss over the probes' records in nats, exactly."""
        return self.statement.loss

    @property
    def accuracy(self) -> Fraction:
        """The fraction of the probes' records that the network classifies correctly, exactly."""
        return self.statement.accuracy


def read_statement(data: bytes) -> tuple[Mode, SharpnessStatement]:
    """What a proof says that it proves, unchecked. Raises MalformedProof."""
    if not isinstance(data, bytes):
        raise TypeError(f"data: expected bytes, got {type(data).__name__}")
    mode, encoding = claimed_relation(data, MAX_STATEMENT_BYTES)
    return mode, SharpnessStatement.decode(encoding)


def verify_certificate(
    data: bytes,
    pins: Pins | None = None,
    *,
    strict: bool = False,
    allow_plain: bool = False,
    max_work: float = 1,
) -> Verdict:
    """Check a proof of directional sharpness and everything that is pinned.

    strict       refuse to work, with ValueError, unless all of `PINS` and `LIMITS` are given: a verdict is `ACCEPTED`, if any;
                 and reject evaluations and further probes that were not given
    allow_plain  accept a proof that hides nothing
    max_work     the most work to do, in units of 20 seconds on one core and 1 GiB; more is refused before it is begun
    Raises ProofRejected, or a subclass of it, that names the reason.
    """
    pins = pins if pins is not None else Pins()
    missing = missing_for_strict(pins)
    if strict and missing:
        raise ValueError(f"strict: expected everything to be given, {', '.join(missing)} as well")
    _, statement = read_statement(data)
    _require_pins(statement, pins)
    _require_probes(statement, 1 if strict and pins.asked(PROBES) is None else pins.probes)
    _require_evaluations(statement, () if strict and pins.asked(EVALUATIONS) is None else pins.evaluations)
    weights = pins.model[1] if isinstance(pins.model, tuple) else None
    work = Work.of(statement)
    work.require(max_work)
    try:
        relation = DirectionalSharpness(statement, weights)
        work.with_columns(relation.columns).require(max_work)
        result = verifier.verify(data, relation, allow_plain=allow_plain)
    except PlanRejected as error:
        raise ProofRejected(f"statement: no sound circuit: {error}") from None
    except StatementError as error:
        raise ProofRejected(f"statement: {error}") from None
    clauses = () if pins.policy is None else pins.policy.clauses(statement, chosen=pins.chosen_by_prover)
    if not all(clause.met for clause in clauses):
        raise PolicyRejected(clauses)
    if pins.policy is None:
        _require_meaning(statement, pins)
        _require_thresholds(statement, pins)
        for limits in pins.limits:
            _require_evaluated(statement, limits)
        _require_gap(statement, pins.max_gap)
    warnings = tuple(statement.warnings)
    return Verdict(statement, pins, result.mode, result.bits, result.budget, result.sizes, warnings, clauses=clauses)


def missing_for_strict(pins: Pins) -> list[str]:
    """The fields that a strict verification needs and that are not given."""
    return [name for name in (*PINS.values(), *LIMITS.values()) if pins.asked(name) is None]


def threshold_integer(tau: Fraction) -> int:
    """tau with 48 fractional bits, rounded down."""
    return floor(tau * (1 << RESULT_FRACTION_BITS))


def hidden(statement: SharpnessStatement, tau: Fraction) -> SharpnessStatement:
    """The statement that says mean <= tau instead of the values. Raises StatementError if it is not, or tau is too large."""
    results, threshold = statement.results, threshold_integer(tau)
    if results.values is None or sum(results.values) > threshold * statement.probes:
        raise StatementError("tau: the value is above it, so no proof can say otherwise")
    if threshold >= 1 << RESULT_BITS:
        raise StatementError(f"tau: expected a number below {1 << RESULT_BITS - RESULT_FRACTION_BITS}")
    return replace(statement, results=replace(results, values=None, threshold=threshold))


def _require_pins(statement: SharpnessStatement, pins: Pins) -> None:
    """Raise PinMismatch for the first pin that the statement does not meet."""
    if pins.model is not None:
        private = isinstance(pins.model, bytes)
        if private != statement.private_model:
            kinds = {True: "a private model's root", False: "a public model"}
            raise PinMismatch("kind of model", kinds[private], kinds[statement.private_model])
        digest = pins.model if isinstance(pins.model, bytes) else model_digest(*pins.model)
        if digest != statement.model:
            raise PinMismatch("model", digest.hex(), statement.model.hex())
        if isinstance(pins.model, tuple) and pins.model[0] != statement.network:
            # the digest in a statement is any 32 bytes that its prover chose; the circuit is that of the statement's network
            raise PinMismatch("network", "the given model's", "another one")
    if pins.root is not None and pins.root.digest() != statement.root.digest():
        raise PinMismatch("data root", pins.root.digest().hex(), statement.root.digest().hex())
    if pins.seed is not None and pins.seed != statement.seed:
        raise PinMismatch("seed", pins.seed.hex(), statement.seed.hex())
    if pins.configuration is not None and pins.configuration != statement.configuration:
        asked, found = pins.configuration.differences(statement.configuration)
        raise PinMismatch("probe", asked, found)


def _require_probes(statement: SharpnessStatement, pinned: int | None) -> None:
    """Raise PinMismatch unless the proof has so many probes: who may choose how many chooses among their means."""
    if pinned is not None and statement.probes != pinned:
        raise PinMismatch(PROBES, pinned, statement.probes)


def _require_evaluations(statement: SharpnessStatement, pinned: Sequence[tuple[DataRoot, int]] | None) -> None:
    """Raise PinMismatch unless the proof has these evaluations, in this order, and no others."""
    if pinned is None:
        return
    found = [(evaluation.root.digest(), evaluation.samples) for evaluation in statement.evaluations]
    asked = [(root.digest(), samples) for root, samples in pinned]
    if found != asked:
        words = [", ".join(f"{samples} of {digest.hex()}" for digest, samples in pairs) or "none" for pairs in (asked, found)]
        raise PinMismatch(EVALUATIONS, *words)


def _require_evaluated(statement: SharpnessStatement, limits: EvaluationLimits) -> None:
    """Raise ThresholdRejected unless every evaluation of a data set reaches what it has to, and there is one."""
    digest = limits.root.digest()
    found = [evaluation for evaluation in statement.evaluations if evaluation.root.digest() == digest]
    if not found:
        raise ThresholdRejected(NOT_EVALUATED, f"an evaluation of {digest.hex()}", "none")
    for evaluation in found:
        most, least = limits.max_loss, limits.min_accuracy
        if most is not None and evaluation.loss > most:
            raise ThresholdRejected(EVALUATED_LOSS, *told_apart("at most", most, evaluation.loss))
        if least is not None and evaluation.accuracy < least:
            raise ThresholdRejected(EVALUATED_ACCURACY, *told_apart("at least", least, evaluation.accuracy))


def _require_gap(statement: SharpnessStatement, most: Fraction | None) -> None:
    """Raise ThresholdRejected for a gap above `most`, or if the proof has none."""
    if most is None:
        return
    if statement.gap is None:
        raise ThresholdRejected(NO_GAP, "evaluations of the probe's data set and of another one", len(statement.evaluations))
    if statement.gap > most:
        raise ThresholdRejected(GAP, *told_apart("at most", most, statement.gap))


def _require_meaning(statement: SharpnessStatement, pins: Pins) -> None:
    """Raise ThresholdRejected for proven results that say nothing about sharpness, or records that say too little."""
    results, steps = statement.results, statement.steps
    saturated, surplus = "none (allow_saturated accepts them)", "none (allow_surplus_classes accepts them)"
    if results.saturated and not pins.allow_saturated:
        raise ThresholdRejected(SATURATED, saturated, saturated_words(results.saturated, steps))
    if results.below_eps and not pins.allow_saturated:
        raise ThresholdRejected(BELOW_EPS, saturated, below_eps_words(results.below_eps, steps))
    if statement.surplus_classes and not pins.allow_surplus_classes:
        raise ThresholdRejected(SURPLUS, surplus, surplus_words(statement.surplus_classes))
    if pins.min_records is not None and statement.root.count < pins.min_records:
        raise ThresholdRejected(FEW_RECORDS, f"at least {pins.min_records}", statement.root.count)
    if pins.min_labels is not None and results.labels < pins.min_labels:
        raise ThresholdRejected(FEW_LABELS, f"at least {pins.min_labels}", results.labels)
    if pins.max_margin is not None and results.margin > pins.max_margin:
        raise ThresholdRejected(WIDE_MARGIN, *told_apart("at most", pins.max_margin, Fraction(results.margin)))


def _require_thresholds(statement: SharpnessStatement, pins: Pins) -> None:
    """Raise ThresholdRejected unless the proven results are good enough. Exact: integers against rationals."""
    bounds = (
        ("value above tau", statement.value, pins.tau),
        ("proven threshold above tau", statement.threshold, pins.tau),
        ("loss above the maximum", statement.loss, pins.max_loss),
    )
    for reason, found, most in bounds:
        if found is not None and most is not None and found > most:
            raise ThresholdRejected(reason, *told_apart("at most", most, found))
    least = pins.min_accuracy
    if least is not None and statement.accuracy < least:
        raise ThresholdRejected("accuracy below the minimum", *told_apart("at least", least, statement.accuracy))
