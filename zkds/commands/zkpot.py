"""`zkds zkpot`: a certificate beside proofs of training, measured and estimated."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from zkds.api import data_root
from zkds.commands import DONE, Commands, add_parser
from zkds.commands.model_options import add_model_options, model_choice
from zkds.commands.probe_options import add_configuration, configuration_of
from zkds.commands.progress import Stages
from zkds.dataset.files import opening_path
from zkds.dataset.opening import Opening

if TYPE_CHECKING:
    from zkds.circuits.training.comparison import Comparison, Measured, NotRun

EXAMPLES = """examples:
  zkds zkpot --model m.pt --commit data.root            a certificate and one step of training, both proved and verified
  zkds zkpot --model m.pt --commit data.root --json

Measured are the certificate and one step of SGD on 16 records, on this machine, in seconds of processor time. A proof of
LATE-SAM training is 155 |D| / 16 such steps, as the paper counts. Of LeNet, AlexNet and VGG-11 the paper's estimates for
both, and what was measured of the published proof of training, are quoted."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "zkpot",
        summary="compare a certificate with a proof of training",
        description="Prove a certificate and one step of training, and say what a proof of the whole training would take.",
        examples=EXAMPLES,
    )
    parser.add_argument("--model", metavar="FILE", required=True, help="the model, m.pt")
    parser.add_argument("--commit", metavar="FILE", required=True, help="data.root; its private half data.open lies beside it")
    add_model_options(parser)
    add_configuration(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from zkds.circuits.model_files.model_file import load_model
    from zkds.circuits.training.comparison import compare, published_of

    configuration = configuration_of(options)
    root = data_root(options.commit)
    with Stages({"model": 1, "certificate": 9, "step of training": 4}) as stages:
        stages.begin("model")
        model = load_model(Path(options.model), **model_choice(options))
        with Opening(opening_path(options.commit), root) as opening:
            found = compare(
                model.network,
                model.quantised(),
                opening,
                configuration,
                published_of(model.network),
                root.count,
                stages.begin,
            )
    if options.json:
        print(json.dumps(found.content()))
    else:
        _print(found)
    return DONE


def _print(found: Comparison) -> None:
    print(f"certificate           {_words(found.certificate)}")
    print(f"one step of training  {_words(found.step)}")
    if found.training is not None:
        hours, size = found.training
        print(f"proof of training     {hours:,.1f} hours, {size / 1e9:,.1f} GB: {found.iterations:,.0f} steps, not made")
    if found.speed_up is not None:
        print(f"the certificate takes {found.speed_up[0]:,.0f} times less time and {found.speed_up[1]:,.0f} times fewer bytes")
    row = found.published
    if row is not None:
        print(f"\nquoted, of {row.network} and 50,000 records: the paper's estimates (Table 6)")
        print(f"certificate           {row.certificate_minutes} minutes, {row.certificate_megabytes} MB")
        print(
            f"proof of training     {row.training_hours:,} hours, {row.training_gigabytes} GB, {row.speed_up:,} times as long"
        )
        print(f"published artifact    {row.artifact}")


def _words(result: Measured | NotRun) -> str:
    from zkds.circuits.training.comparison import NotRun

    if isinstance(result, NotRun):
        return f"not run: {result.not_run}"
    return (
        f"{result.prove_seconds:.1f} s, {result.proof_bytes / 1e6:.2f} MB, verified in {result.verify_seconds:.1f} s"
        " of processor time"
    )
