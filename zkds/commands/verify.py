"""`zkds verify`: check a proof, alone or against a model, a data root, a seed and thresholds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from zkds.api import pinned_model
from zkds.circuits.certificate import Pins, Verdict, verify_certificate
from zkds.circuits.graph import Network
from zkds.circuits.model_file import load_model
from zkds.circuits.model_root import is_model_root
from zkds.circuits.weights import QuantisedWeights
from zkds.commands import DONE, REJECTED, Commands, add_parser
from zkds.commands.model_options import add_model_options, model_choice, refuse_choice
from zkds.commands.probe_options import add_configuration, configuration_given, configuration_of, rational, seed_bytes
from zkds.commands.verdict import print_rejection, print_verdict, public_content
from zkds.dataset.root import DataRoot
from zkds.errors import ProofRejected
from zkds.progress import Stages

MAX_PROOF_BYTES = 1 << 30

EXAMPLES = """examples:
  zkds verify proof.bin --tau 0.8                       is the proven value at most 0.8?
  zkds verify proof.bin --tau 0.8 --commit data.root --model m.pt --seed 00..ff --strict
  zkds verify proof.bin --tau 0.8 --max-loss 0.1 --min-accuracy 0.95

Exit code 0: accepted; 1: rejected, the reason is printed; 2: files or arguments that cannot be used.
A low value alone says little: an untrained network has one too. Ask for loss and accuracy beside it."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "verify",
        summary="check a proof",
        description="Check a proof. What is not given here was chosen by the prover, and the verdict says so.",
        examples=EXAMPLES,
    )
    parser.add_argument("proof", metavar="PROOF", help="the proof, such as proof.bin; - for standard input")
    parser.add_argument("--tau", type=rational, metavar="X", help="the largest value of directional sharpness to accept")
    parser.add_argument("--max-loss", type=rational, metavar="X", help="the largest mean loss of the probe to accept")
    parser.add_argument("--min-accuracy", type=rational, metavar="X", help="the smallest accuracy of the probe to accept")
    parser.add_argument("--min-records", type=int, metavar="N", help="the smallest data set to accept, in records")
    parser.add_argument(
        "--allow-saturated", action="store_true", help="accept batches whose loss is near 0, and ratios below eps"
    )
    parser.add_argument(
        "--allow-surplus-classes", action="store_true", help="accept a network with more outputs than the data has classes"
    )
    parser.add_argument("--commit", metavar="FILE", help="data.root: the proof must be about this data set")
    parser.add_argument("--model", metavar="FILE", help="m.pt, or a private model's model.root: it must be about this model")
    parser.add_argument("--seed", type=seed_bytes, metavar="HEX", help="64 hex digits: the batches must come from this seed")
    parser.add_argument("--strict", action="store_true", help="reject unless model, data, seed, probe and tau are all given")
    parser.add_argument("--allow-plain", action="store_true", help="accept a proof that hides nothing as well")
    add_model_options(parser)
    add_configuration(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    data = read_proof(options.proof)
    pins = _pins(options)
    try:
        with Stages({"verifying": 1}) as stages:
            stages.begin("verifying")
            verdict = verify_certificate(data, pins, strict=options.strict, allow_plain=options.allow_plain)
    except ProofRejected as rejection:
        print_rejection(rejection, as_json=options.json)
        return REJECTED
    _print_acceptance(verdict, pins, as_json=options.json)
    return DONE


def read_proof(path: str) -> bytes:
    """The bytes of a proof, of standard input for "-". Raises OSError, or ValueError if they are too many to be one."""
    if path == "-":
        if sys.stdin is None:
            raise ValueError("-: standard input is closed")
        data = sys.stdin.buffer.read(MAX_PROOF_BYTES + 1)
    else:
        with open(path, "rb") as file:
            data = file.read(MAX_PROOF_BYTES + 1)
    if len(data) > MAX_PROOF_BYTES:
        raise ValueError(f"{path}: larger than {MAX_PROOF_BYTES} bytes, not a proof")
    return data


def _pins(options: argparse.Namespace) -> Pins:
    return Pins(
        model=None if options.model is None else _pinned_model(options),
        root=None if options.commit is None else DataRoot.read(options.commit),
        seed=options.seed,
        configuration=configuration_of(options) if options.strict or configuration_given(options) else None,
        tau=options.tau,
        max_loss=options.max_loss,
        min_accuracy=options.min_accuracy,
        min_records=options.min_records,
        allow_saturated=options.allow_saturated,
        allow_surplus_classes=options.allow_surplus_classes,
    )


def _pinned_model(options: argparse.Namespace) -> tuple[Network, QuantisedWeights] | bytes:
    path, choice = Path(options.model), model_choice(options)
    if is_model_root(path):
        refuse_choice(path, choice)
        return pinned_model(path)
    return pinned_model(load_model(path, **choice))


def _print_acceptance(verdict: Verdict, pins: Pins, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"accepted": True, "not_pinned": list(verdict.not_pinned), **public_content(verdict)}))
    else:
        print_verdict(verdict, pins.tau)
