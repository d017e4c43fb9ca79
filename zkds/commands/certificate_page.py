"""The verdict on a certificate as one HTML page, for whoever reads no JSON: `zkds verify --report`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from zkds import page
from zkds.circuits.certificate.verifying import EVALUATIONS, LIMITS, PROBES, Status, Verdict
from zkds.commands.verdict import (
    LIMIT_OPTIONS,
    NO_LIMIT,
    bounds_condition,
    evaluations_content,
    headline,
    rounded_down,
    statement_content,
    value_words,
)

CHOSEN = "chosen by the prover"
GIVEN = "as given to the verifier"
ROLES = {  # the last two of a proof that has several probes, or evaluations
    "model": "--model",
    "data": "--commit",
    "seed": "--seed",
    "probe": "the probe's options",
    PROBES: "--probes",
    EVALUATIONS: "--evaluate",
}


def certificate_page(verdict: Verdict, proof: Mapping[str, Any]) -> str:
    """The page: the first line of the verdict, figures and limits, what was given, clauses of a policy, how sure it is.

    proof   its ResourceDescriptor (attestation.py)
    """
    words, _, rest = headline(verdict).partition(" ")
    sections = [
        page.heading(words.strip(",:"), rest, "accepted" if verdict.status is Status.ACCEPTED else "none"),
        *map(page.warning, verdict.warnings),
        "<h2>Figures</h2>\n" + page.table(_figures(verdict), ("", "proven", "limit")),
        _evaluations(verdict),
        _clauses(verdict),
        "<h2>What it is about</h2>\n" + f'<div class="names">{page.table(_subjects(verdict), ("", "", ""))}</div>',
        "<h2>How sure it is</h2>\n" + page.table(_soundness(verdict)),
        f'<h2>The proof</h2>\n<div class="names">{page.table(_proof(verdict, proof))}</div>',
        _reading(),
    ]
    return page.document(f"Certificate {proof['name']}", sections, "Directional sharpness: Definition 5 of arXiv 2606.25004.")


def _figures(verdict: Verdict) -> Iterator[tuple[object, ...]]:
    statement = verdict.statement
    limits = {name: verdict.pins.asked(LIMITS[name]) for name in LIMIT_OPTIONS}
    said = {name: NO_LIMIT.lower() if limit is None else f"{float(limit):.6g}" for name, limit in limits.items()}
    yield "directional sharpness", value_words(statement), f"at most: {said['value']}"
    yield "mean loss of the probe, nats", f"{float(statement.loss):.6g}", f"at most: {said['loss']}"
    correct = f"{statement.results.correct} of {statement.samples} ({float(statement.accuracy):.1%})"
    yield "correct in the probe", correct, f"at least: {said['accuracy']}"
    labels, margin = verdict.pins.asked("min_labels"), verdict.pins.asked("max_margin")
    classes = f"{statement.results.labels} of {statement.root.schema.classes} classes"
    yield "distinct labels of the probe", classes, "" if labels is None else f"at least: {labels}"
    yield "largest margin of logits", statement.results.margin, "" if margin is None else f"at most: {float(margin):.6g}"


def _evaluations(verdict: Verdict) -> str:
    rows = [
        (
            found["data_root"],
            f"{found['samples']:,} of {found['records']:,}",
            f"{found['loss']:.6g}",
            f"{found['accuracy']:.1%}",
            rounded_down(Fraction(found["correct_at_least"], found["records"])),
        )
        for found in evaluations_content(verdict.statement)
    ]
    head = ("data root", "records", "loss", "correct", f"of all records at least (99%{bounds_condition(verdict)})")
    return f'<h2>Evaluations</h2>\n<div class="names">{page.table(rows, head)}</div>' if rows else ""


def _clauses(verdict: Verdict) -> str:
    rows = [(clause.name, clause.asked, clause.found, "met" if clause.met else "not met") for clause in verdict.clauses]
    return "<h2>Policy</h2>\n" + page.table(rows, ("clause", "asked", "found", "")) if rows else ""


def _subjects(verdict: Verdict) -> Iterator[tuple[object, ...]]:
    content = statement_content(verdict.statement)
    said = {
        "model": f"{content['model']}{' (private)' if content['private_model'] else ''}, {content['parameters']:,} parameters",
        "data": f"{content['data_root']}, {content['records']:,} records, {content['schema']['inputs']}",
        "seed": f"{content['seed']} ({content['seed_source']})",
        "probe": str(verdict.statement.configuration),
    }
    if verdict.statement.probes > 1:
        said[PROBES] = f"{verdict.statement.probes}; the value is their mean"
    if verdict.statement.evaluations:
        said[EVALUATIONS] = f"{len(verdict.statement.evaluations)}, as above"
    for name, words in said.items():
        chosen = name in verdict.chosen_by_prover
        yield name, words, f"{CHOSEN}: {ROLES[name]} was not given" if chosen else GIVEN


def _soundness(verdict: Verdict) -> Iterator[tuple[object, ...]]:
    yield "bits of security", f"{verdict.bits:.1f}"
    yield "mode", verdict.mode.name.lower().replace("_", "-")
    for line in verdict.budget[:3]:
        yield f"weakest: {line.name}", f"{line.total_bits:.1f}"


def _proof(verdict: Verdict, proof: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    yield "file", proof["name"]
    yield "bytes", f"{sum(verdict.sizes.values()):,}"
    yield "SHA-256", proof["digest"]["sha256"]


def _reading() -> str:
    return (
        "<h2>How to read it</h2>\n<ul>\n"
        "<li>The figures are proved: nobody has to be trusted for them, and no record was shown.</li>\n"
        f"<li>What is &quot;{CHOSEN}&quot; may have been chosen so that the figures come out well.</li>\n"
        "<li>A low value means nothing for a network that is not trained: look at loss and accuracy beside it.</li>\n"
        "<li>This page is no evidence by itself. Check the proof again: zkds verify, with the files named here.</li>\n</ul>"
    )
