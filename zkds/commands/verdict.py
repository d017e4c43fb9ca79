"""What a proof says, and what a verification found, in words and as JSON; docs/verdict.md describes both."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from zkds.circuits.certificate.bounds import CONFIDENCE, hoeffding_accuracy, least_correct
from zkds.circuits.certificate.policy import Clause, Policy, network_digest
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.certificate.verifying import EVALUATIONS, LIMITS, PROBES, PolicyRejected, Status, Verdict
from zkds.circuits.networks.grid import LayerDifference
from zkds.commands.probing import print_warnings
from zkds.dataset.schema import NUMBER_BITS, Schema
from zkds.errors import ProofRejected

NOT_PINNED = "NOT PINNED"
NO_LIMIT = "NO LIMIT"
GIVEN = "as given"
LIMIT_OPTIONS = {"value": "--tau", "loss": "--max-loss", "accuracy": "--min-accuracy"}
BOUNDS = {"labels": (">=", "min_labels"), "margin": ("<=", "max_margin"), "gap": ("<=", "max_gap")}  # name, field of Pins
MAX_PAIRS = 4  # of a normalization, in words


# ---- JSON ------------------------------------------------------------------------------------------------------------


def statement_content(statement: SharpnessStatement) -> dict[str, Any]:
    """The public content of a statement, JSON-able. Values in nats; `*_integer` as proven, 48 fractional bits."""
    results, configuration, schema = statement.results, statement.configuration, statement.root.schema
    return {
        "value": _float(statement.value),
        "probes": statement.probes,
        "values": None if statement.values is None else list(map(float, statement.values)),
        "value_integers": None if results.values is None else list(results.values),
        "standard_error": statement.standard_error,
        "threshold": _float(statement.threshold),
        "threshold_integer": results.threshold,
        "loss": float(statement.loss),
        "total_loss_integer": results.total_loss,
        "accuracy": float(statement.accuracy),
        "correct": results.correct,
        "saturated": results.saturated,
        "below_eps": results.below_eps,
        "surplus_classes": statement.surplus_classes,
        "labels": results.labels,
        "margin": results.margin,
        "samples": statement.samples,
        "batches": statement.batches,
        "configuration": {
            "steps": configuration.steps,
            "batch_size": configuration.batch_size,
            "rho": str(configuration.rho),
            "learning_rate": str(configuration.learning_rate),
            "eps": str(configuration.eps),
            "sharpness": configuration.sharpness,
            "perturbation": configuration.perturbation,
        },
        "model": statement.model.hex(),
        "private_model": statement.private_model,
        "parameters": statement.network.parameter_count,
        "outputs": statement.network.classes,
        "network": network_digest(statement.network).hex(),
        "data_root": statement.root.digest().hex(),
        "records": statement.root.count,
        "schema": {
            "kind": schema.kind,
            "shape": list(schema.shape),
            "element": schema.element,
            "classes": schema.classes,
            "inputs": _inputs(schema),
        },
        "evaluations": evaluations_content(statement),
        "gap": _float(statement.gap),
        "seed": statement.seed.hex(),
        "seed_source": "given to the prover, as it says" if statement.seed_given else "drawn by the prover",
    }


def evaluations_content(statement: SharpnessStatement) -> list[dict[str, Any]]:
    """What a statement says of other records, and what follows for all records of their data sets, JSON-able."""
    return [
        {
            "data_root": found.root.digest().hex(),
            "records": found.root.count,
            "samples": found.samples,
            "loss": float(found.loss),
            "total_loss_integer": found.total_loss,
            "accuracy": float(found.accuracy),
            "correct": found.correct,
            "confidence": CONFIDENCE,
            "accuracy_at_least": least_correct(found.root.count, found.samples, found.correct) / found.root.count,
            "correct_at_least": least_correct(found.root.count, found.samples, found.correct),
            "accuracy_at_least_hoeffding": hoeffding_accuracy(found.samples, found.correct),
            "classes": found.root.schema.classes,
            "inputs": _inputs(found.root.schema),
            "indices": indices[0],
        }
        for found, indices in zip(statement.evaluations, statement.evaluated_indices, strict=True)
    ]


def public_content(verdict: Verdict) -> dict[str, Any]:
    """The verdict on a valid proof, and everything public about it, JSON-able."""
    return {
        "verdict": verdict.status.value,
        "accepted": verdict.accepted,
        "chosen_by_prover": list(verdict.chosen_by_prover),
        "without_limit": list(verdict.without_limit),
        **{name: _float(verdict.pins.asked(name)) for name in ("tau", "max_loss", "min_accuracy", "max_margin", "max_gap")},
        "min_labels": verdict.pins.asked("min_labels"),
        "clauses": clauses_content(verdict.clauses),
        "warnings": list(verdict.warnings),
        "differences": None if verdict.differences is None else differences_content(verdict.differences),
        **statement_content(verdict.statement),
        "mode": verdict.mode.name.lower().replace("_", "-"),
        "soundness_bits": verdict.bits,
        "soundness_terms": [
            {
                "name": line.name,
                "count": line.count,
                "bits": line.total_bits,
                "grinding_bits": line.weakest.grinding,
                "formula": line.weakest.formula,
                "source": line.weakest.source,
            }
            for line in verdict.budget
        ],
        "proof_bytes": sum(verdict.sizes.values()),
        "proof_bytes_by_part": dict(verdict.sizes),
    }


def differences_content(differences: Sequence[LayerDifference]) -> list[dict[str, Any]]:
    """How a model differs from the one on the grid, JSON-able: an object for each layer."""
    return [asdict(difference) for difference in differences]


def clauses_content(clauses: Sequence[Clause]) -> list[dict[str, Any]]:
    """Of a policy, JSON-able: an object for each clause."""
    return [asdict(clause) for clause in clauses]


def _float(number: Fraction | None) -> float | None:
    return None if number is None else float(number)


# ---- words -----------------------------------------------------------------------------------------------------------


def print_statement(statement: SharpnessStatement) -> None:
    """What a new proof says, on stdout."""
    print(f"proved     directional sharpness {value_words(statement)}")
    _print_lines(statement, {})
    if not statement.seed_given:
        print("           let a verifier draw the seed, once data root and model are published")


def print_verdict(verdict: Verdict) -> None:
    """The verdict on a valid proof, on stdout."""
    print(headline(verdict))
    print(f"value      {value_words(verdict.statement)}{_limit(verdict, 'value')}")
    notes = {
        name: f"  {NOT_PINNED if name in verdict.chosen_by_prover else GIVEN}"
        for name in ("model", "data", "seed", "probe", PROBES)
    }
    notes |= {name: _limit(verdict, name) for name in ("loss", "accuracy")}
    notes["evaluations"] = f"  {NOT_PINNED if EVALUATIONS in verdict.chosen_by_prover else GIVEN}"
    for name, (bound, given) in BOUNDS.items():
        if verdict.pins.asked(given) is not None:
            notes[name] = f"  {bound} {float(verdict.pins.asked(given)):.6g}"
    if "seed" in verdict.chosen_by_prover:
        notes["seed"] += ": no certification value against a dishonest prover"
    notes["bounds"] = bounds_condition(verdict)
    _print_lines(verdict.statement, notes)
    if verdict.differences is not None:
        print_differences(verdict.differences)
    if verdict.pins.policy is not None:
        print_clauses(verdict.clauses)
        print_calibration(verdict.pins.policy)
    print(f"soundness  {verdict.bits:.1f} bits, {verdict.mode.name.lower().replace('_', '-')}")
    print(f"proof      {sum(verdict.sizes.values()):,} bytes")
    print_warnings(verdict.warnings)


def print_differences(differences: Sequence[LayerDifference]) -> None:
    """How a model differs from the one on the grid, on stdout: a line, and one for each layer that differs."""
    differing = [layer for layer in differences if layer.absolute]
    if not differing:
        print("grid       the model that was given is the certified one: every weight is on the grid")
        return
    absolute, relative = (max(getattr(layer, name) for layer in differing) for name in ("absolute", "relative"))
    print(f"grid       the model that was given differs from the certified one by {absolute:.2g}, relative {relative:.2g}")
    for layer in differing:
        vanishing = f", {layer.vanishing} of {layer.values} vanish" if layer.vanishing else ""
        print(f"           {layer.layer}: {layer.absolute:.2g}, relative {layer.relative:.2g}{vanishing}")


def headline(verdict: Verdict) -> str:
    """The first line: whether the proof is accepted, its value, and what the prover chose."""
    tau = verdict.pins.asked("tau")
    limit = "" if tau is None else f" <= {float(tau):.6g}"
    value = f"value {value_words(verdict.statement)}{limit}"
    if verdict.status is Status.ACCEPTED:
        return f"ACCEPTED, {value}; model, data, seed, probe, loss and accuracy as asked for"
    if verdict.chosen_by_prover:
        rest = f"chosen by the prover: {', '.join(verdict.chosen_by_prover)}"
    else:
        rest = f"no limit asked for: {', '.join(verdict.without_limit)}"
    kind = "VALID, NOTHING PINNED:" if verdict.status is Status.NOTHING_PINNED else "VALID,"
    return f"{kind} {value}; {rest}"


def print_clauses(clauses: Sequence[Clause]) -> None:
    """A line for each clause of a policy, on stdout."""
    for number, clause in enumerate(clauses):
        heading = "policy" if number == 0 else ""
        print(f"{heading:<11}{'met' if clause.met else 'NOT MET':<8} {clause.name}: asked {clause.asked}; {clause.found}")


def print_calibration(policy: Policy) -> None:
    """What the policy's tau costs, on stdout, if the policy says so."""
    rates = policy.calibration
    if rates is None:
        return
    print(f"           tau was chosen for {rates.limit} of at most {100 * float(rates.risk):g}%; the policy, on unseen models:")
    _print_rate("good models rejected", rates.false_rejection, rates.false_rejection_interval)
    _print_rate("bad models accepted", rates.false_acceptance, rates.false_acceptance_interval)


def _print_rate(name: str, share: Fraction | None, interval: tuple[Fraction, Fraction] | None) -> None:
    if share is not None and interval is not None:
        low, high = interval
        print(f"           {name} {float(share):.1%} ({float(low):.1%} to {float(high):.1%})")


def print_rejection(rejection: ProofRejected, *, as_json: bool) -> None:
    """Why a proof was not accepted, on stdout."""
    if as_json:
        found = {"expected": rejection.expected, "actual": rejection.actual}
        shown = {name: None if value is None else str(value) for name, value in found.items()}
        clauses = {"clauses": clauses_content(rejection.clauses)} if isinstance(rejection, PolicyRejected) else {}
        print(json.dumps({"verdict": "rejected", "accepted": False, "reason": rejection.reason, **shown, **clauses}))
    elif isinstance(rejection, PolicyRejected):
        print(f"REJECTED   {rejection.reason}")
        print_clauses(rejection.clauses)
    else:
        print(f"REJECTED   {rejection}")


def _print_lines(statement: SharpnessStatement, notes: dict[str, str]) -> None:
    """Everything that a statement says but the value; `notes` end the lines that they name."""
    network, root, schema = statement.network, statement.root, statement.root.schema

    def line(name: str, text: str, note: str = "") -> None:
        print(f"{name:<11}{text}{notes.get(note, '')}")

    if statement.probes > 1:
        line("probes", f"{statement.probes}, each with batches of its own; the value is their mean", PROBES)
        if statement.values is not None:
            line("", f"standard error {statement.standard_error:.2g}: {', '.join(map(_short, statement.values))}")
    whose = "probe's" if statement.probes == 1 else "probes'"
    line("loss", f"{float(statement.loss):.6g} nats, mean over the {whose} {statement.samples} records", "loss")
    accuracy = f"{statement.results.correct} of {statement.samples} ({float(statement.accuracy):.1%})"
    line("accuracy", accuracy, "accuracy")
    line("labels", f"{statement.results.labels} of {schema.classes} classes, distinct labels of the {whose} records", "labels")
    line("margin", f"{statement.results.margin} nats at most, largest logit less the second largest of a record", "margin")
    line("model root" if statement.private_model else "model", statement.model.hex(), "model")
    line("", f"{network.parameter_count:,} parameters, {network.classes} outputs")
    line("data root", root.digest().hex(), "data")
    shape = " x ".join(map(str, schema.shape))
    line("", f"{root.count:,} records, {schema.kind} {shape} {schema.element}, {schema.classes} classes")
    line("", f"the network sees {_inputs(schema)}")
    line("seed", statement.seed.hex(), "seed")
    line("", "given to the prover, as it says" if statement.seed_given else "drawn by the prover")
    line("probe", str(statement.configuration), "probe")
    for number in range(1, len(statement.evaluations) + 1):
        _print_evaluation(statement, number, notes)
    if statement.gap is not None:
        line("gap", f"{float(statement.gap):+.6g} nats, loss of other evaluated data sets less that of the probe's", "gap")
    if len({root.digest() for root in statement.roots}) > 1:
        line("", "nothing shows whether these data sets share records")


def _print_evaluation(statement: SharpnessStatement, number: int, notes: dict[str, str]) -> None:
    """The lines of one evaluation, and what it says of all records of its data set."""
    found = statement.evaluations[number - 1]
    drawn = f"{found.samples:,} of {found.root.count:,} records of {found.root.digest().hex()}"
    print(f"evaluation {number}: {drawn}{notes.get('evaluations', '')}")
    accuracy = f"{found.correct} of {found.samples} ({float(found.accuracy):.1%})"
    print(f"           loss {float(found.loss):.6g} nats, accuracy {accuracy}")
    if found.samples < found.root.count:
        exact = Fraction(least_correct(found.root.count, found.samples, found.correct), found.root.count)
        hoeffding = hoeffding_accuracy(found.samples, found.correct)
        print(
            f"           accuracy on the {found.root.count:,} committed records is at least {rounded_down(exact)} "
            f"({CONFIDENCE:.0%}; Hoeffding {rounded_down(hoeffding)}){notes.get('bounds', '')}"
        )
    classes, own = found.root.schema.classes, statement.root.schema.classes
    if classes != own:
        print(f"           {classes} classes, of the probe's data set {own}")
    if found.root.schema.channel_maps != statement.root.schema.channel_maps:
        print(f"           the network sees {_inputs(found.root.schema)} of these")


def bounds_condition(verdict: Verdict) -> str:
    """What ends a sentence about all records of an evaluated set, unless the draws and the model are the verifier's."""
    chosen = {"model", "seed", EVALUATIONS} & set(verdict.chosen_by_prover)
    return ", if nobody chose draws or model to suit each other" if chosen else ""


def rounded_down(bound: Fraction | float) -> str:
    """A lower bound with four decimals, which stays one."""
    return f"{math.floor(bound * 10**4) / 10**4:.4f}"


def value_words(statement: SharpnessStatement) -> str:
    """The value, of several probes their mean with its standard error; or what it is at most, if it is hidden."""
    if statement.value is not None:
        error = "" if statement.standard_error is None else f" ± {statement.standard_error:.2g}"
        return f"{float(statement.value):.6g}{error}"
    assert statement.threshold is not None
    return f"hidden, at most {float(statement.threshold):.6g}"


def _short(value: Fraction) -> str:
    return f"{float(value):.4g}"


def _limit(verdict: Verdict, name: str) -> str:
    """The limit that was asked for, to end a line with."""
    bounds = {"value": "<= tau =", "loss": "<=", "accuracy": ">="}
    limit = verdict.pins.asked(LIMITS[name])
    text = None if limit is None else f"{bounds[name]} {float(limit):.6g}"
    return f"  {text or f'{NO_LIMIT} ({LIMIT_OPTIONS[name]})'}"


def _inputs(schema: Schema) -> str:
    """What the network sees for a stored element x, as a formula."""
    number = "x / 255" if schema.element == "uint8" else f"x / 2^{schema.fraction_bits}"
    if schema.normalization is None:
        return number
    pairs = schema.normalization
    if len(pairs.mean) > MAX_PAIRS:
        return f"({number} - mean) / deviation, with {len(pairs.mean)} means and deviations"
    return f"({number} - {_numbers(pairs.mean)}) / {_numbers(pairs.deviation)}"


def _numbers(units: tuple[int, ...]) -> str:
    """Numbers in units of 2^-32."""
    texts = [f"{unit / (1 << NUMBER_BITS):.6g}" for unit in units]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
