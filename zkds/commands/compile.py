"""`zkds compile`: what a proof about a network would commit, look up and send; nothing is proved."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from math import prod

from zkds.circuits.certificate.summary import Summary, summarise
from zkds.circuits.model_files.model_file import load_model
from zkds.commands import DONE, Commands, add_parser
from zkds.commands.model_options import add_model_options, model_choice
from zkds.commands.probe_options import add_configuration, configuration_of
from zkds.commands.progress import Stages

EXAMPLES = """examples:
  zkds compile --model m.pt                             the default probe: 5 steps of 8 records
  zkds compile --model m.pt --steps 10 --batch-size 16"""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "compile",
        summary="print the circuit of a network",
        description="Print what a proof about a network commits, looks up and sends. Needs no data.",
        examples=EXAMPLES,
    )
    parser.add_argument("--model", metavar="FILE", required=True, help="the model, m.pt; only its architecture counts")
    add_model_options(parser)
    add_configuration(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    configuration = configuration_of(options)
    with Stages({"compiling": 1}) as stages:
        stages.begin("compiling")
        model = load_model(options.model, **model_choice(options))
        summary = summarise(model.network, configuration)
    if options.json:
        print(json.dumps(asdict(summary)))
    else:
        _print(summary)
        if model.dropped:
            print(f"{model.dropped} at the end is dropped: cross-entropy takes it of the scores anyway")
    return DONE


def _print(summary: Summary) -> None:
    print(f"{'part':28} {'columns':>8} {'cells':>12} {'lookups':>12}")
    for group in summary.groups:
        print(f"{group.name:28} {group.columns:8} {group.cells:12,} {group.lookups:12,}")
    print(f"{'all':28} {summary.columns:8} {summary.cells:12,} {summary.lookups:12,}  (with multiplicities and gaps)")
    print(f"\n{'rounded tensor':28} {'entries':>10} {'terms':>6} {'shift':>6}   cells for each: remainder + carries")
    for tensor in summary.rounded:
        cells = f"{tensor.remainder_cells} + {tensor.carry_cells}"
        print(f"{tensor.name:28} {prod(tensor.shape):10,} {tensor.terms:6} {tensor.shift:6}   {cells}")
    print(f"\nhidden messages {summary.messages:,}, products of two {summary.products:,}")
    print(f"a proof of about {summary.proof_bytes / 1e3:,.0f} kB; `zkds estimate` says how long it takes on this machine")
