"""`zkds verify`: check a proof, alone or against a model, a data root, a seed, a probe and limits."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from zkds.api import read_proof, read_proof_from, verify
from zkds.circuits.certificate.verifying import Status, Verdict
from zkds.commands import DONE, NOTHING_PINNED, REJECTED, Commands, add_parser
from zkds.commands.attestation import as_json, model_descriptor, proof_descriptor, require_unchanged, simple_result
from zkds.commands.certificate_page import certificate_page
from zkds.commands.model_options import add_allow_vanishing, add_model_options, model_or_root
from zkds.commands.probe_options import (
    add_configuration,
    add_evaluate,
    add_max_work,
    add_probes,
    configuration_given,
    configuration_of,
    difference,
    nats,
    nats_or_file,
    of_evaluation,
    seed_bytes,
    share,
    split_limits,
)
from zkds.commands.progress import Stages
from zkds.commands.verdict import LIMIT_OPTIONS, print_rejection, print_verdict, public_content
from zkds.errors import NotAProof, ProofRejected
from zkds.output import check_outputs, is_standard_output, write_result

EXAMPLES = """examples:
  zkds verify proof.bin --tau 0.8                       is the proven value at most 0.8?
  zkds verify proof.bin --tau 0.8 --max-loss 0.1 --min-accuracy 95% --commit data.root --model m.pt --seed 00..ff --strict

  zkds verify proof.bin --commit data.root --evaluate data.root:1000 --evaluate test.root:1000 --max-gap 0.1
  zkds verify proof.bin --policy policy.toml --commit data.root --model m.pt --seed 00..ff --strict      a line for each clause

The first line says what the verdict is worth:
  ACCEPTED                 model, data, seed, probe, tau, loss and accuracy were all given here, and hold
  VALID                    what was given holds; the prover chose what the line names
  VALID, NOTHING PINNED    nothing was given: the proof is about something that the prover chose
  REJECTED                 and why

Exit code 0: ACCEPTED or VALID; 1: REJECTED; 2: no proof at all, or files or arguments that cannot be used; 3: VALID, NOTHING
PINNED. For a script: give --strict, which needs all of them, so that 0 means ACCEPTED.
A low value alone says little: an untrained network has one too. Ask for loss and accuracy beside it."""

STRICT = {"model": "--model", "data": "--commit", "seed": "--seed"} | LIMIT_OPTIONS  # the probe's options have defaults


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "verify",
        summary="check a proof",
        description="Check a proof. What is not given here was chosen by the prover, and the verdict says so.",
        examples=EXAMPLES,
    )
    parser.add_argument("proof", metavar="PROOF", help="the proof, such as proof.bin; - for standard input")
    parser.add_argument(
        "--tau",
        type=nats_or_file,
        metavar="X",
        help="the largest value of directional sharpness to accept: a number, or a file of zkds calibrate -o",
    )
    parser.add_argument(
        "--max-loss",
        type=of_evaluation(nats),
        action="append",
        metavar="[ROOT:]X",
        help="the largest mean loss of the probe to accept, in nats; with ROOT, of that data set's evaluations; repeatable",
    )
    parser.add_argument(
        "--min-accuracy",
        type=of_evaluation(share),
        action="append",
        metavar="[ROOT:]X",
        help="the least accuracy of the probe to accept, 0.95 or 95%%; with ROOT, of that data set's evaluations; repeatable",
    )
    parser.add_argument(
        "--max-gap",
        type=difference,
        metavar="X",
        help="the most by which the mean loss of other evaluated data sets may exceed that of --commit's, which is needed",
    )
    add_probes(parser, "how many probes the proof must have; with other options of the probe or --strict 1 unless it is given")
    add_evaluate(parser, "the proof must have these evaluations, in this order, and no others; repeatable")
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help="policy.toml, which asks for all of this; beside it only --model, --commit, --seed and --strict are given",
    )
    parser.add_argument("--min-records", type=int, metavar="N", help="the smallest data set to accept, in records")
    parser.add_argument(
        "--min-labels", type=int, metavar="N", help="the fewest distinct labels of the probe's records to accept"
    )
    parser.add_argument(
        "--max-margin",
        type=nats,
        metavar="X",
        help="the most by which a record's largest logit may exceed its second largest, in nats",
    )
    parser.add_argument(
        "--allow-saturated", action="store_true", help="accept batches whose loss is near 0, and ratios below eps"
    )
    parser.add_argument(
        "--allow-surplus-classes", action="store_true", help="accept a network with more outputs than the data has classes"
    )
    add_allow_vanishing(parser)
    parser.add_argument("--commit", metavar="FILE", help="data.root: the proof must be about this data set")
    parser.add_argument("--model", metavar="FILE", help="m.pt, or a private model's model.root: it must be about this model")
    parser.add_argument("--seed", type=seed_bytes, metavar="HEX", help="64 hex digits: the batches must come from this seed")
    parser.add_argument(
        "--strict",
        action="store_true",
        help=f"insist on {', '.join(STRICT.values())}; the probe is that of its options and their defaults",
    )
    parser.add_argument(
        "--attestation",
        metavar="FILE",
        help="write what holds as a Simple Verification Result of in-toto: about the model, if it is given, or the proof",
    )
    parser.add_argument("--report", metavar="FILE", help="write the verdict as a page of HTML, report.html, that stands alone")
    parser.add_argument("--allow-plain", action="store_true", help="accept a proof that hides nothing as well")
    add_max_work(parser)
    add_model_options(parser)
    add_configuration(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    max_loss, losses = split_limits("--max-loss", options.max_loss)
    min_accuracy, accuracies = split_limits("--min-accuracy", options.min_accuracy)
    _check_results(options)
    if options.strict and options.policy is None:
        _require_everything(vars(options) | {"max_loss": max_loss, "min_accuracy": min_accuracy})
    proof = proof_of(options.proof)
    subject = None if options.attestation is None or options.model is None else model_descriptor(options.model)
    try:
        with Stages({"verifying": 1}) as stages:
            stages.begin("verifying")
            verdict = verify(
                proof,
                model=None if options.model is None else model_or_root(options),
                commitment=options.commit,
                seed=options.seed,
                configuration=configuration_of(options) if _pins_probe(options) else None,
                tau=options.tau,
                max_loss=max_loss,
                min_accuracy=min_accuracy,
                evaluations=options.evaluate,
                evaluated_max_loss=losses,
                evaluated_min_accuracy=accuracies,
                max_gap=options.max_gap,
                probes=options.probes or (1 if _pins_probe(options) else None),
                min_records=options.min_records,
                min_labels=options.min_labels,
                max_margin=options.max_margin,
                allow_saturated=options.allow_saturated,
                allow_surplus_classes=options.allow_surplus_classes,
                allow_vanishing_weights=options.allow_vanishing_weights,
                policy=options.policy,
                strict=options.strict,
                allow_plain=options.allow_plain,
                max_work=options.max_work,
            )
    except NotAProof:
        raise
    except ProofRejected as rejection:
        print_rejection(rejection, as_json=options.json)
        return REJECTED
    _write_results(options, verdict, proof, subject)
    if options.json:
        print(json.dumps(public_content(verdict)))
    else:
        print_verdict(verdict)
    return NOTHING_PINNED if verdict.status is Status.NOTHING_PINNED else DONE


def _check_results(options: argparse.Namespace) -> None:
    """Before any work: raise unless --attestation and --report, where given, can be written beside the verdict."""
    for option, name in (("--attestation", options.attestation), ("--report", options.report)):
        if name is not None and is_standard_output(name):
            raise ValueError(f"{option} -: standard output has the verdict; give it a name")
    inputs = (options.proof, options.model, options.commit, options.policy)
    check_outputs(options.attestation, options.report, inputs=[name for name in inputs if name])


def _write_results(options: argparse.Namespace, verdict: Verdict, proof: bytes, subject: Mapping[str, Any] | None) -> None:
    """--attestation and --report, where given. subject: the model as it was before it was read, for an attestation about it."""
    evidence = proof_descriptor(options.proof, proof)
    if options.attestation is not None:
        if subject is not None:
            require_unchanged(options.model, subject)
        write_result(options.attestation, as_json(simple_result(verdict, subject or evidence, evidence, options.policy)))
    if options.report is not None:
        write_result(options.report, certificate_page(verdict, evidence).encode())


def _pins_probe(options: argparse.Namespace) -> bool:
    return configuration_given(options) or (options.strict and options.policy is None)


def proof_of(name: str) -> bytes:
    """The bytes of a proof file, or of standard input for "-". Raises what `read_proof` raises."""
    if name != "-":
        return read_proof(name)
    if sys.stdin is None:
        raise ValueError("-: standard input is closed")
    return read_proof_from(sys.stdin.buffer, "standard input")


def _require_everything(given: Mapping[str, object]) -> None:
    """Raise ValueError, before any work, for what --strict needs and does not have."""
    missing = [option for option in STRICT.values() if given[option[2:].replace("-", "_")] is None]
    if missing:
        raise ValueError(f"--strict accepts nothing that the prover chose: give {', '.join(missing)} as well")
