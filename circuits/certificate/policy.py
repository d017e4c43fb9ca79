"""What a verifier asks of every certificate, and what of it a statement meets: a clause for each thing that is asked.

A policy is about many proofs, where the pins of `verifying.py` are about one: a network and not its weights, the settings of
the probe, limits, evaluations on named data sets, who draws the seed, what is allowed. `policy_file.py` reads and writes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.beacon import seed_of_beacon
from zkds.circuits.certificate.bounds import CONFIDENCE, least_correct
from zkds.circuits.certificate.comparison import told_apart
from zkds.circuits.certificate.degenerate import BELOW_EPS, SATURATED, SURPLUS
from zkds.circuits.certificate.evaluations import Evaluation
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network
from zkds.dataset.schema import NUMBER_BITS

NONE = "none"
SHOWN = 16  # hex digits of a beacon's value


@dataclass(frozen=True)
class Clause:
    """One line of a verdict under a policy: what is asked, what the proof says, and whether that is enough."""

    name: str
    asked: str
    found: str
    met: bool


@dataclass(frozen=True)
class EvaluationPolicy:
    """What is asked of an evaluation on records of one committed data set; None asks for nothing.

    root                  the digest of its data.root
    samples               how many records are drawn
    max_loss              in nats, of the records
    min_accuracy          of the records
    min_accuracy_of_all   of all committed records, with a confidence of 99 % (bounds.py), which there is only if model and seed
                          are pinned: whoever knows the draws can make a network that is right about these records alone
    """

    root: bytes
    samples: int
    max_loss: Fraction | None = None
    min_accuracy: Fraction | None = None
    min_accuracy_of_all: Fraction | None = None


@dataclass(frozen=True)
class CalibrationRates:
    """How often tau and the limits beside it err, by leaving one model out in turn: shares of probes, intervals of 5 % to 95 %.

    false_acceptance   None without bad models; then there is no interval either
    """

    limit: str
    risk: Fraction
    false_rejection: Fraction
    false_rejection_interval: tuple[Fraction, Fraction]
    false_acceptance: Fraction | None = None
    false_acceptance_interval: tuple[Fraction, Fraction] | None = None


@dataclass(frozen=True)
class Policy:
    """What is asked of a certificate; None asks for nothing.

    configuration        of the probe
    tau, max_loss        in nats, min_accuracy a share: of the probe, as `verifying.Pins` has them
    min_labels           distinct labels among the probe's records
    max_margin           in nats, of every record of the probe (metric/margin.py)
    min_probes           the least number of probes, of which the value is the mean
    max_gap              in nats: `SharpnessStatement.gap`, whose sign the prover chooses if the probe's data root is not pinned
    architecture         a network of the zoo, by name; or network, 32 bytes: `network_digest`
    root                 32 bytes, the digest of the probe's data root
    largest_input        the largest absolute value that the network could see of any record of any data set, and
    least_input_range    the least difference that two records can have in a channel: a normalization may crush neither
    drawn_by             who draws the seed, in words; the verifier gives it, unless it is that of
    beacon               the value of a beacon (beacon.py)
    calibration          how often it errs, for whoever reads the verdict
    """

    configuration: Configuration
    tau: Fraction | None = None
    max_loss: Fraction | None = None
    min_accuracy: Fraction | None = None
    min_labels: int | None = None
    max_margin: Fraction | None = None
    min_probes: int | None = None
    max_gap: Fraction | None = None
    architecture: str | None = None
    network: bytes | None = None
    private_model: bool | None = None
    root: bytes | None = None
    min_records: int | None = None
    largest_input: Fraction | None = None
    least_input_range: Fraction | None = None
    evaluations: tuple[EvaluationPolicy, ...] = ()
    drawn_by: str | None = None
    beacon: bytes | None = None
    allow_saturated: bool = False
    allow_surplus_classes: bool = False
    allow_vanishing_weights: bool = False
    calibration: CalibrationRates | None = None

    def clauses(self, statement: SharpnessStatement, *, chosen: Collection[str]) -> tuple[Clause, ...]:
        """One for everything that is asked, met or not, for a statement that is proved; exact, integers against rationals.

        chosen   `verifying.Pins.chosen_by_prover`: what is pinned neither here nor beside the policy
        """
        parts = [part(statement) for part in (self._model, self._probe, self._data, self._results)]
        parts += [part(statement, chosen) for part in (self._evaluations, self._gap, self._seed)]
        return tuple(clause for part in parts for clause in part)

    def _model(self, statement: SharpnessStatement) -> Iterator[Clause]:
        network = statement.network
        if self.architecture is not None:
            met = zoo.network(self.architecture) == network
            yield Clause("architecture", self.architecture, self.architecture if met else "another network", met)
        if self.network is not None:
            found = network_digest(network)
            yield Clause("network", self.network.hex(), found.hex(), found == self.network)
        if self.private_model is not None:
            words = {True: "private", False: "public"}
            met = statement.private_model == self.private_model
            yield Clause("model", words[self.private_model], words[statement.private_model], met)
        if not self.allow_surplus_classes:
            yield _none(SURPLUS, statement.surplus_classes)

    def _probe(self, statement: SharpnessStatement) -> Iterator[Clause]:
        asked, found = str(self.configuration), str(statement.configuration)
        yield Clause("probe", asked, found, self.configuration == statement.configuration)
        if self.min_probes is not None:
            met = statement.probes >= self.min_probes
            yield Clause("probes", f"at least {self.min_probes}", str(statement.probes), met)

    def _data(self, statement: SharpnessStatement) -> Iterator[Clause]:
        root = statement.root
        if self.root is not None:
            yield Clause("data root", self.root.hex(), root.digest().hex(), root.digest() == self.root)
        if self.min_records is not None:
            yield Clause("records", f"at least {self.min_records:,}", f"{root.count:,}", root.count >= self.min_records)
        schemas = [each.schema for each in statement.roots]
        intervals = [schema.input_interval(k) for schema in schemas for k in range(len(schema.distinct_maps))]
        unit = 1 << NUMBER_BITS
        if self.largest_input is not None:
            largest = Fraction(max(max(-low, high) for low, high in intervals), unit)
            yield _most("largest input", self.largest_input, largest)
        if self.least_input_range is not None:
            yield _least("least input range", self.least_input_range, Fraction(min(b - a for a, b in intervals), unit))

    def _results(self, statement: SharpnessStatement) -> Iterator[Clause]:
        results = statement.results
        if self.tau is not None:
            value = statement.threshold if statement.value is None else statement.value
            assert value is not None
            asked, found = told_apart("at most", self.tau, value)
            yield Clause("value", asked, f"{found} or less" if statement.value is None else found, value <= self.tau)
        if self.max_loss is not None:
            yield _most("loss", self.max_loss, statement.loss)
        if self.min_accuracy is not None:
            yield _least("accuracy", self.min_accuracy, statement.accuracy)
        if self.min_labels is not None:
            yield Clause("labels", f"at least {self.min_labels}", str(results.labels), results.labels >= self.min_labels)
        if self.max_margin is not None:
            yield _most("margin", self.max_margin, Fraction(results.margin))
        if not self.allow_saturated:
            yield _none(SATURATED, results.saturated)
            yield _none(BELOW_EPS, results.below_eps)

    def _evaluations(self, statement: SharpnessStatement, chosen: Collection[str]) -> Iterator[Clause]:
        if not self.evaluations:
            return
        # exactly these, in this order: a prover who chooses how many records are drawn chooses which ones
        asked = [(each.root, each.samples) for each in self.evaluations]
        found = [(each.root.digest(), each.samples) for each in statement.evaluations]
        yield Clause("evaluations", _drawn(asked), _drawn(found), asked == found)
        if asked == found:
            for number, (limits, evaluation) in enumerate(zip(self.evaluations, statement.evaluations, strict=True), 1):
                yield from _evaluation(f"evaluation {number}", limits, evaluation, chosen)

    def _gap(self, statement: SharpnessStatement, chosen: Collection[str]) -> Iterator[Clause]:
        if self.max_gap is None:
            return
        if statement.gap is None:
            yield Clause("gap", f"at most {_number(self.max_gap)}", "not in the proof", False)
        elif "data" in chosen:
            yield Clause("gap", f"at most {_number(self.max_gap)}", "of data sets that the prover chose: no data root", False)
        else:
            yield _most("gap", self.max_gap, statement.gap)

    def _seed(self, statement: SharpnessStatement, chosen: Collection[str]) -> Iterator[Clause]:
        if self.beacon is not None:
            derived = seed_of_beacon(self.beacon, statement.root, statement.model, private_model=statement.private_model)
            asked = f"of the beacon's value {self.beacon.hex()[:SHOWN]}..{self._drawer()}"
            yield Clause("seed", asked, statement.seed.hex(), derived == statement.seed)
        elif self.drawn_by is not None:
            given = "seed" not in chosen
            found = statement.seed.hex() if given else "not given by the verifier"
            yield Clause("seed", f"drawn by {self.drawn_by}, given by the verifier", found, given)

    def _drawer(self) -> str:
        return "" if self.drawn_by is None else f", {self.drawn_by}"


def network_digest(network: Network) -> bytes:
    """SHA-256 of the network's encoding in a statement: its layers and shapes, without weights."""
    return hashlib.sha256(network.encode()).digest()


def _evaluation(name: str, asked: EvaluationPolicy, found: Evaluation, chosen: Collection[str]) -> Iterator[Clause]:
    if asked.max_loss is not None:
        yield _most(f"{name}: loss", asked.max_loss, found.loss)
    if asked.min_accuracy is not None:
        yield _least(f"{name}: accuracy", asked.min_accuracy, found.accuracy)
    if asked.min_accuracy_of_all is not None:
        of_all = Fraction(least_correct(found.root.count, found.samples, found.correct), found.root.count)
        clause = _least(f"{name}: accuracy of all, {CONFIDENCE:.0%} sure", asked.min_accuracy_of_all, of_all)
        suited = [each for each in ("model", "seed") if each in chosen]
        yield replace(clause, found=f"not sure, without {' and '.join(suited)}", met=False) if suited else clause


def _drawn(evaluations: Sequence[tuple[bytes, int]]) -> str:
    return ", ".join(f"{samples:,} records of {root.hex()}" for root, samples in evaluations) or NONE


def _most(name: str, limit: Fraction, found: Fraction) -> Clause:
    return Clause(name, *told_apart("at most", limit, found), found <= limit)


def _least(name: str, limit: Fraction, found: Fraction) -> Clause:
    return Clause(name, *told_apart("at least", limit, found), found >= limit)


def _none(name: str, count: int) -> Clause:
    return Clause(name, NONE, str(count) if count else NONE, not count)


def _number(value: Fraction) -> str:
    return f"{float(value):.6g}"
