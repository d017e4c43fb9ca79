"""`zkds attest`: a verified proof as a statement about its model, in the formats that others keep such statements in."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zkds.api import verify
from zkds.circuits.certificate.verifying import Verdict
from zkds.commands import DONE, REJECTED, Commands, add_parser
from zkds.commands.attestation import (
    as_json,
    attribute_report,
    bill_of_materials,
    model_card,
    model_descriptor,
    proof_descriptor,
    require_unchanged,
)
from zkds.commands.model_options import add_model_options, model_or_root
from zkds.commands.probe_options import add_evaluate, add_max_work, seed_bytes
from zkds.commands.progress import Stages
from zkds.commands.verdict import headline, print_rejection
from zkds.commands.verify import proof_of
from zkds.errors import NotAProof, ProofRejected
from zkds.output import check_outputs, is_standard_output, write_result

FORMATS = ("in-toto", "model-card", "cyclonedx")

EXAMPLES = """examples:
  zkds attest proof.bin --model m.pt --commit data.root --seed 00..ff -o attestation.json
  zkds attest proof.bin --model m.pt --format model-card >> README.md
  zkds attest proof.bin --model model.root --format cyclonedx -o bom.json       a private model

The proof is checked first, against what is given here; of one that does not hold nothing is written (exit code 1). The result
is not signed: docs/attestations.md shows how to sign it, beside a signature of the model itself. For the figures nobody needs
to trust a signer: the evidence that the attestation names is the proof."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "attest",
        summary="write what a proof says as an attestation, a model card or a bill of materials",
        description="Check a proof and write what it says about a model: an in-toto statement with a SCAI attribute report, a "
        "block of Markdown for a model card, or a CycloneDX ML-BOM.",
        examples=EXAMPLES,
    )
    parser.add_argument("proof", metavar="PROOF", help="the proof, such as proof.bin; - for standard input")
    parser.add_argument("--model", metavar="FILE", required=True, help="m.pt, or a private model's model.root: the subject")
    parser.add_argument("--commit", metavar="FILE", help="data.root: the proof must be about this data set")
    parser.add_argument("--seed", type=seed_bytes, metavar="HEX", help="64 hex digits: the batches must come from this seed")
    add_evaluate(parser, "the proof must have these evaluations, in this order, and no others; repeatable")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="default: in-toto")
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="default: standard output")
    add_max_work(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.json and is_standard_output(options.output):
        raise ValueError("--json and the result go both to standard output; give the result a name with --output")
    check_outputs(options.output, inputs=[name for name in (options.proof, options.model, options.commit) if name])
    proof, model = proof_of(options.proof), model_descriptor(options.model)
    try:
        with Stages({"verifying": 1}) as stages:
            stages.begin("verifying")
            verdict = verify(
                proof,
                model=model_or_root(options),
                commitment=options.commit,
                seed=options.seed,
                evaluations=options.evaluate,
                max_work=options.max_work,
            )
    except NotAProof:
        raise
    except ProofRejected as rejection:
        print_rejection(rejection, as_json=options.json)
        return REJECTED
    require_unchanged(options.model, model)
    write_result(options.output, _attestation(options, proof, model, verdict))
    if options.json:
        print(json.dumps({"output": options.output, "format": options.format, "verdict": verdict.status.value}))
    elif not is_standard_output(options.output):
        print(f"{options.format:<11}{options.output}, of {headline(verdict)}")
    return DONE


def _attestation(options: argparse.Namespace, proof: bytes, model: Mapping[str, Any], verdict: Verdict) -> bytes:
    evidence = proof_descriptor(options.proof, proof)
    if options.format == "in-toto":
        return as_json(attribute_report(verdict, model, evidence))
    if options.format == "cyclonedx":
        return as_json(bill_of_materials(verdict, model, evidence))
    return model_card(verdict, model, evidence, _files(options)).encode()


def _files(options: argparse.Namespace) -> str:
    """The options of `zkds verify` that give what was given here."""
    found = [f"--model {Path(options.model).name}"]
    if options.commit is not None:
        found.append(f"--commit {Path(options.commit).name}")
    if options.seed is not None:
        found.append(f"--seed {options.seed.hex()}")
    found += [f"--evaluate {Path(path).name}:{count}" for path, count in options.evaluate or ()]
    return " ".join(found)
