"""What a proof says, in words and as JSON."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from zkds.circuits.certificate import Verdict
from zkds.circuits.fixed_point import EXPONENTIAL_BITS
from zkds.circuits.statement import SharpnessStatement
from zkds.errors import ProofRejected

PROVER_SEED = "NOT PINNED: chosen by the prover, no certification value against a dishonest one"
NOT_PINNED = "NOT PINNED"


def statement_content(statement: SharpnessStatement) -> dict[str, Any]:
    """The public content of a statement, JSON-able. Values in nats; `*_integer` as proven, 48 fractional bits."""
    results, configuration = statement.results, statement.configuration
    return {
        "value": None if results.value is None else results.value / (1 << EXPONENTIAL_BITS),
        "value_integer": results.value,
        "threshold": None if results.threshold is None else results.threshold / (1 << EXPONENTIAL_BITS),
        "threshold_integer": results.threshold,
        "loss": statement.loss,
        "total_loss_integer": results.total_loss,
        "accuracy": statement.accuracy,
        "correct": results.correct,
        "saturated": results.saturated,
        "below_eps": results.below_eps,
        "surplus_classes": statement.surplus_classes,
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
        "data_root": statement.root.digest().hex(),
        "records": statement.root.count,
        "seed": statement.seed.hex(),
        "seed_source": "given to the prover, as it says" if statement.seed_given else "drawn by the prover",
    }


def public_content(verdict: Verdict) -> dict[str, Any]:
    """Everything public about a checked proof, JSON-able."""
    return {
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


def print_statement(statement: SharpnessStatement) -> None:
    """What a new proof says, on stdout."""
    print(f"proved     {_value(statement, None)}")
    print(f"loss       {statement.loss:.6g} nats, mean over the probe's {statement.samples} records")
    print(f"accuracy   {statement.results.correct} of {statement.samples} ({statement.accuracy:.1%})")
    print(f"{_model_kind(statement):<11}{statement.model.hex()}")
    print(f"data root  {statement.root.digest().hex()}")
    print(f"seed       {statement.seed.hex()}{'' if statement.seed_given else '  drawn here: let a verifier draw it'}")
    print(f"probe      {_probe(statement)}")


def print_verdict(verdict: Verdict, tau: Fraction | None) -> None:
    """The verdict on an accepted proof, on stdout."""
    statement, missing = verdict.statement, verdict.not_pinned
    print(f"ACCEPTED   {_value(statement, tau)}")
    print(f"loss       {statement.loss:.6g} nats, mean over the probe's {statement.samples} records")
    print(f"accuracy   {statement.results.correct} of {statement.samples} ({statement.accuracy:.1%})")
    print(f"{_model_kind(statement):<11}{statement.model.hex()}  {NOT_PINNED if 'model' in missing else 'as given'}")
    print(f"data root  {statement.root.digest().hex()}  {NOT_PINNED if 'data' in missing else 'as given'}")
    print(f"seed       {statement.seed.hex()}  {PROVER_SEED if 'seed' in missing else 'as given'}")
    print(f"probe      {_probe(statement)}  {NOT_PINNED if 'configuration' in missing else 'as given'}")
    print(f"soundness  {verdict.bits:.1f} bits, {verdict.mode.name.lower().replace('_', '-')}")
    print(f"proof      {sum(verdict.sizes.values()):,} bytes")


def print_rejection(rejection: ProofRejected, *, as_json: bool) -> None:
    """Why a proof was not accepted, on stdout."""
    if as_json:
        found = {"expected": rejection.expected, "actual": rejection.actual}
        shown = {name: None if value is None else str(value) for name, value in found.items()}
        print(json.dumps({"accepted": False, "reason": rejection.reason, **shown}))
    else:
        print(f"REJECTED   {rejection}")


def _value(statement: SharpnessStatement, tau: Fraction | None) -> str:
    results = statement.results
    if results.value is None:
        assert results.threshold is not None
        text = f"directional sharpness is at most {results.threshold / (1 << EXPONENTIAL_BITS):.6g} (its value is hidden)"
    else:
        text = f"directional sharpness {results.value / (1 << EXPONENTIAL_BITS):.6g}"
    return text if tau is None else f"{text} <= tau = {float(tau):.6g}"


def _model_kind(statement: SharpnessStatement) -> str:
    return "model root" if statement.private_model else "model"


def _probe(statement: SharpnessStatement) -> str:
    c = statement.configuration
    parts = [f"T={c.steps} B={c.batch_size} rho={float(c.rho):g} lr={float(c.learning_rate):g}"]
    parts += [f"sharpness {c.sharpness}", f"perturbation {c.perturbation}"]
    return ", ".join(parts)
