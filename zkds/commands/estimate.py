"""`zkds estimate`: what a proof will be and take, before it is made."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from zkds.api import Estimate, data_root, estimate
from zkds.circuits.certificate.resources import GIB, available_bytes
from zkds.commands import DONE, Commands, add_parser
from zkds.commands.model_options import add_model_options, model_choice, refuse_choice
from zkds.commands.probe_options import add_configuration, add_evaluate, add_probes, configuration_of, seed_bytes
from zkds.commands.progress import Stages

if TYPE_CHECKING:
    from zkds.circuits.networks.graph import Network

EXAMPLES = """examples:
  zkds estimate --model m.pt --commit data.root         the default probe: 5 steps of 8 records
  zkds estimate --arch vgg11:1/4 --commit data.root     of an architecture, before anything is trained
  zkds estimate --model m.pt --commit data.root --sharpness sam --batch-size 16
  zkds estimate --model m.pt --commit data.root --evaluate test.root:1000
  zkds estimate --model model.root --private-model --commit data.root --json

Needs the public data.root alone. A second's run of the kernels says how fast this machine is now."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "estimate",
        summary="say what a proof will take, before it is made",
        description="Print the cells, bytes, memory and seconds of a proof that is not made yet.",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "--model", metavar="FILE", help="the model, m.pt, or model.root with --private-model; or give --arch alone"
    )
    parser.add_argument("--commit", metavar="FILE", required=True, help="data.root")
    parser.add_argument("--seed", type=seed_bytes, metavar="HEX", help="64 hex digits that decide the batches (default: any)")
    parser.add_argument("--hide-value", action="store_true", help="of a proof that hides the value")
    parser.add_argument(
        "--private-model", action="store_true", help="of a proof that hides the weights; --model is a model.root"
    )
    add_probes(parser, "of a proof with so many probes (default: 1)")
    add_evaluate(parser, "of a proof with an evaluation on n records of this data set; repeatable")
    add_model_options(parser)
    add_configuration(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    configuration = configuration_of(options)
    with Stages({"model": 1, "circuit and kernels": 3}) as stages:
        stages.begin("model")
        network = _network(options)
        stages.begin("circuit and kernels")
        estimated = estimate(
            network,
            data_root(options.commit),
            configuration,
            seed=options.seed,
            hide_value=options.hide_value,
            private_model=options.private_model,
            evaluations=options.evaluate or (),
            probes=options.probes or 1,
        )
    if options.json:
        print(json.dumps(estimated.content()))
    else:
        _print(estimated)
    return DONE


def _network(options: argparse.Namespace) -> Network:
    from zkds.circuits.model_files.model_file import load_model
    from zkds.circuits.models.model_root import is_model_root, read_opening
    from zkds.circuits.networks import zoo

    choice = model_choice(options)
    if options.model is None:
        if choice["arch"] is None:
            raise ValueError("estimate: expected --model or --arch")
        return zoo.network(choice["arch"])
    path = Path(options.model)
    if is_model_root(path):
        if not options.private_model:
            raise ValueError(f"--model {path}: model.root needs --private-model")
        refuse_choice(path, choice)
        return read_opening(path).network
    return load_model(path, **choice).network


def _print(estimated: Estimate) -> None:
    work = estimated.verifier
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in estimated.seconds.items())
    print(f"cells      {estimated.cells:,}, of which {estimated.lookups:,} are looked up")
    print(f"proof      {estimated.proof_bytes:,} bytes, give or take some hundred of its Merkle paths")
    print(f"prove      {estimated.prove_seconds:.1f} s on this machine: {stages}")
    missing = (
        "" if estimated.memory <= available_bytes() else f", more than the {available_bytes() / GIB:.1f} GiB that are free"
    )
    print(f"memory     {estimated.memory / GIB:.1f} GiB{missing}")
    print(f"verify     at most {work.seconds:.1f} s on one core, {work.memory / GIB:.1f} GiB")
    if work.ratio > 1:
        print(f"           which a verifier must allow: --max-work {math.ceil(work.ratio)}")
