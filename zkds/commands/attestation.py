"""What a verified proof says, in the formats in which others keep statements about models (docs/attestations.md).

Statements are those of in-toto (https://in-toto.io/Statement/v1), unsigned: signing is left to the tools of that framework.
Their subject is the model's file, by the digest that OpenSSF Model Signing gives a model of one file, so that a signature of
the model and an attestation about it name the same thing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from zkds import __version__
from zkds.circuits.certificate.verifying import LIMITS, Status, Verdict
from zkds.commands.verdict import bounds_condition, evaluations_content, rounded_down, statement_content, value_words

STATEMENT = "https://in-toto.io/Statement/v1"
ATTRIBUTE_REPORT = "https://in-toto.io/attestation/scai/attribute-report/v0.2"
SIMPLE_RESULT = "https://in-toto.io/attestation/svr/v0.1"
SHARPNESS, EVALUATION = "DIRECTIONAL_SHARPNESS", "EVALUATION_ON_COMMITTED_RECORDS"
PROOF_TYPE = "application/vnd.zkds.proof"
VERIFIER = f"pkg:pypi/zkds@{__version__}"  # a package URL, which names this program and its version
PROPERTY = "ZKDS_"
STANDARD_INPUT, UNNAMED = "-", "proof.bin"  # what came without a name has this one
GIVEN = ("model", "data", "seed", "probe")
BOUNDS = {"value": "VALUE_AT_MOST", "loss": "LOSS_AT_MOST", "accuracy": "ACCURACY_AT_LEAST"}
LEFT_OUT = ("evaluations", "batches")  # of a statement's content: the first are attributes, the second follow from the seed
ABOUT_ALL = ("confidence", "accuracy_at_least", "correct_at_least", "accuracy_at_least_hoeffding")  # records of a data set
CYCLONEDX = "1.6"


# ---- files -----------------------------------------------------------------------------------------------------------


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file in hex digits. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_descriptor(path: str | Path) -> dict[str, Any]:
    """A ResourceDescriptor of a model of one file: SHA-256 of its SHA-256, which is Model Signing's root of one resource."""
    found = file_digest(path)
    return {
        "name": Path(path).name,
        "digest": {"sha256": hashlib.sha256(bytes.fromhex(found)).hexdigest()},
        "annotations": {"digest": "root of OpenSSF Model Signing", "file_sha256": found},
    }


def require_unchanged(path: str | Path, descriptor: Mapping[str, Any]) -> None:
    """Raise ValueError if the model's file is no longer the one that was described before it was read."""
    if model_descriptor(path) != descriptor:
        raise ValueError(f"{path}: changed while it was read; run the command again")


def proof_descriptor(name: str, proof: bytes) -> dict[str, Any]:
    """A ResourceDescriptor of a proof. name: its path, or "-" for standard input."""
    named = UNNAMED if name == STANDARD_INPUT else Path(name).name
    return {"name": named, "digest": {"sha256": hashlib.sha256(proof).hexdigest()}, "mediaType": PROOF_TYPE}


# ---- in-toto ---------------------------------------------------------------------------------------------------------


def attribute_report(verdict: Verdict, model: Mapping[str, Any], proof: Mapping[str, Any]) -> dict[str, Any]:
    """A SCAI attribute report (v0.2) about the model: its sharpness and evaluations, with the proof as their evidence.

    Integers as proven are left out: they are in the proof, and JSON of protocol buffers has floats only. What follows for all
    records of an evaluated data set is there if nobody chose the draws.
    """
    content = statement_content(verdict.statement)
    left_out = ("_integer", "_integers")
    conditions = {name: value for name, value in content.items() if name not in LEFT_OUT and not name.endswith(left_out)}
    conditions |= {"soundness_bits": verdict.bits, "chosen_by_prover": list(verdict.chosen_by_prover)}
    attributes = [_attribute(SHARPNESS, conditions, proof)]
    for found in evaluations_content(verdict.statement):
        hidden = ("indices", "total_loss_integer") if _bounded(verdict) else ("indices", "total_loss_integer", *ABOUT_ALL)
        kept = {name: value for name, value in found.items() if name not in hidden}
        attributes.append(_attribute(EVALUATION, kept, proof))
    return _statement([model], ATTRIBUTE_REPORT, {"attributes": attributes})


def simple_result(verdict: Verdict, subject: Mapping[str, Any], proof: Mapping[str, Any], policy: str | None) -> dict[str, Any]:
    """A Simple Verification Result (v0.1): what a verdict found to hold, now.

    subject   of the statement: the model that was given, or else the proof
    policy    the path of the policy that the verdict is under, if there is one
    """
    verifier: dict[str, Any] = {"id": VERIFIER, "proof": proof}
    if policy is not None:
        verifier["policy"] = {"name": Path(policy).name, "digest": {"sha256": file_digest(policy)}}
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _statement(
        [subject], SIMPLE_RESULT, {"verifier": verifier, "timeCreated": created, "properties": properties(verdict)}
    )


def properties(verdict: Verdict) -> list[str]:
    """What holds, in words of a Simple Verification Result; nothing is named that was not asked for."""
    found = ["PROOF_VALID"]
    found += [f"{name.upper()}_AS_GIVEN" for name in GIVEN if name not in verdict.chosen_by_prover]
    for name, words in BOUNDS.items():
        limit = verdict.pins.asked(LIMITS[name])
        if limit is not None:
            found.append(f"{words}_{_number(limit)}")
    if verdict.status is Status.ACCEPTED:
        found.append("ACCEPTED")
    if verdict.clauses:
        found.append("POLICY_MET")
    return [PROPERTY + name for name in found]


def _statement(subjects: Sequence[Mapping[str, Any]], kind: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    return {"_type": STATEMENT, "subject": list(subjects), "predicateType": kind, "predicate": dict(predicate)}


def _attribute(name: str, conditions: Mapping[str, Any], proof: Mapping[str, Any]) -> dict[str, Any]:
    return {"attribute": name, "conditions": dict(conditions), "evidence": dict(proof)}


def _bounded(verdict: Verdict) -> bool:
    """Whether the bounds for all records of evaluated data sets hold without a condition."""
    return not bounds_condition(verdict)


def _number(limit: Fraction) -> str:
    """A limit as a decimal number."""
    return f"{float(limit):.12g}"


# ---- model cards -----------------------------------------------------------------------------------------------------


def model_card(verdict: Verdict, model: Mapping[str, Any], proof: Mapping[str, Any], files: str) -> str:
    """A block of Markdown for a model card: what is proved, and the command that checks it.

    files   the options of `zkds verify` that name what was given to this program
    """
    statement = verdict.statement
    probe = f"{statement.samples} records of {statement.root.count:,}"
    rows = [
        ("directional sharpness", f"{value_words(statement)} ({statement.configuration})"),
        ("loss, accuracy of the probe", f"{float(statement.loss):.6g} nats, {float(statement.accuracy):.1%} of {probe}"),
    ]
    for found in evaluations_content(statement):
        drawn = f"{found['samples']:,} of {found['records']:,} records of `{found['data_root']}`"
        bound = f"at least {_least(found)} of all of them ({found['confidence']:.0%}){bounds_condition(verdict)}"
        rows.append(("evaluation", f"{found['accuracy']:.1%} correct, loss {found['loss']:.6g} nats, of {drawn}; {bound}"))
    rows += [
        ("model", f"`{model['name']}`, SHA-256 `{model['annotations']['file_sha256']}`"),
        ("data root", f"`{statement.root.digest().hex()}`"),
        ("seed", f"`{statement.seed.hex()}`"),
        ("proof", f"`{proof['name']}`, SHA-256 `{proof['digest']['sha256']}`, {verdict.bits:.0f} bits"),
    ]
    table = "\n".join(f"| {name} | {text} |" for name, text in rows)
    chosen = ", ".join(verdict.chosen_by_prover)
    note = f"The owner of the model chose: {chosen}.\n\n" if chosen else ""
    return f"""## Certified sharpness

Proved in zero knowledge with zkds {__version__}; nobody has to be trusted for these figures.

| | |
|---|---|
{table}

{note}Check it with `zkds verify {proof["name"]} {files}`.
"""


def bill_of_materials(verdict: Verdict, model: Mapping[str, Any], proof: Mapping[str, Any]) -> dict[str, Any]:
    """A CycloneDX ML-BOM (1.6) of one component, the model, with the certificate's figures in its model card."""
    statement = verdict.statement
    metrics = [_metric("directional sharpness", _value(verdict), "the probe")]
    metrics += [
        _metric("cross-entropy loss in nats", f"{float(statement.loss):.9g}", "the probe"),
        _metric("accuracy", f"{float(statement.accuracy):.9g}", "the probe"),
    ]
    for found in evaluations_content(statement):
        drawn = f"{found['samples']} of {found['records']} records of data root {found['data_root']}"
        metrics += [
            _metric("cross-entropy loss in nats", f"{found['loss']:.9g}", drawn),
            _metric("accuracy", f"{found['accuracy']:.9g}", drawn, _least(found) if _bounded(verdict) else None),
        ]
    component = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{model['annotations']['file_sha256']}",
        "name": model["name"],
        "hashes": [{"alg": "SHA-256", "content": model["annotations"]["file_sha256"]}],
        "modelCard": {"quantitativeAnalysis": {"performanceMetrics": metrics}},
        "externalReferences": [
            {
                "type": "certification-report",
                "url": proof["name"],
                "comment": f"proof, checked by zkds verify {__version__}",
                "hashes": [{"alg": "SHA-256", "content": proof["digest"]["sha256"]}],
            }
        ],
        "properties": [
            {"name": "zkds:data_root", "value": statement.root.digest().hex()},
            {"name": "zkds:seed", "value": statement.seed.hex()},
            {"name": "zkds:probe", "value": str(statement.configuration)},
            {"name": "zkds:soundness_bits", "value": f"{verdict.bits:.1f}"},
            {"name": "zkds:chosen_by_prover", "value": ", ".join(verdict.chosen_by_prover)},
        ],
    }
    return {"bomFormat": "CycloneDX", "specVersion": CYCLONEDX, "version": 1, "components": [component]}


def as_json(content: Mapping[str, Any]) -> bytes:
    """Indented, with a line's end."""
    return (json.dumps(content, indent=2) + "\n").encode()


def _least(found: Mapping[str, Any]) -> str:
    """The accuracy on all records of an evaluated data set, at least, rounded down."""
    return rounded_down(Fraction(found["correct_at_least"], found["records"]))


def _metric(kind: str, value: str, part: str, at_least: str | None = None) -> dict[str, Any]:
    interval = {} if at_least is None else {"confidenceInterval": {"lowerBound": at_least}}
    return {"type": kind, "value": value, "slice": part} | interval


def _value(verdict: Verdict) -> str:
    if verdict.value is not None:
        return f"{float(verdict.value):.9g}"
    assert verdict.threshold is not None
    return f"hidden, at most {float(verdict.threshold):.9g}"
