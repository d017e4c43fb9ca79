"""`zkds prove`: from a model and a committed data set to a proof of the model's directional sharpness."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zkds.api import data_root, open_data_sets
from zkds.circuits.certificate.estimate import stage_shares
from zkds.circuits.certificate.resources import is_small
from zkds.circuits.certificate.summary import supposed_statement
from zkds.commands import DONE, Commands, add_parser
from zkds.commands.model_options import add_allow_vanishing, add_model_options, model_choice, refuse_choice
from zkds.commands.probe_options import (
    add_configuration,
    add_evaluate,
    add_max_work,
    add_probes,
    configuration_of,
    nats,
    seed_bytes,
)
from zkds.commands.probing import print_warnings
from zkds.commands.progress import Stages
from zkds.commands.verdict import print_statement, statement_content
from zkds.dataset.files import opening_path
from zkds.dataset.sampling import SEED_BYTES
from zkds.output import check_outputs, is_standard_output, words_beside, write_result

if TYPE_CHECKING:
    from zkds.circuits.models.private_model import OpenedModel
    from zkds.circuits.networks.graph import Network
    from zkds.integers.limbs import I64

STAGES = {  # measured shares of the time of LeNet-5, until a large network is known
    "model": 12,
    "probe": 76,
    "commitment": 14,
    "directional sharpness": 60,
    "lookups": 29,
    "batching": 5,
    "opening": 2,
    "zero knowledge": 21,
    "columns": 15,
}

EXAMPLES = """examples:
  zkds prove --model m.pt --commit data.root            writes proof.bin; reads data.open beside data.root
  zkds prove --model m.pt --commit data.root --seed 00..ff     the seed that a verifier drew after seeing data and model
  zkds prove --model m.pt --commit data.root --evaluate data.root:1000 --evaluate test.root:1000
                                                        loss and accuracy on 1000 records of each as well
  zkds prove --model m.pt --commit data.root --probes 5     the mean of five probes, and its standard error
  zkds prove --model m.pt --commit data.root --hide-value --tau 0.8    say only that the value is at most 0.8
  zkds commit-model --model m.pt -o model.root          once, for a model that stays private; then:
  zkds prove --model model.root --private-model --commit data.root

Let somebody else draw the seed, after data.root and the model are published: who may choose the seed may choose the result."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "prove",
        summary="prove a model's directional sharpness",
        description="Prove the directional sharpness of a model on a committed data set, without showing the data.",
        examples=EXAMPLES,
    )
    parser.add_argument("--model", metavar="FILE", required=True, help="the model, m.pt; or model.root with --private-model")
    parser.add_argument("--commit", metavar="FILE", required=True, help="data.root; its private half data.open lies beside it")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="proof.bin", help="the proof, - is stdout (default: proof.bin)"
    )
    parser.add_argument("--seed", type=seed_bytes, metavar="HEX", help="64 hex digits that decide the batches (default: drawn)")
    add_probes(parser, "so many probes, each with batches of its own: the value is their mean, 1 to 64 (default: 1)")
    add_evaluate(parser, "prove loss and accuracy on n records of this data set as well, which the seed draws; repeatable")
    parser.add_argument(
        "--hide-value", action="store_true", help="prove value <= tau and hide the value of every probe; needs --tau"
    )
    parser.add_argument("--tau", type=nats, metavar="X", help="the threshold of --hide-value")
    parser.add_argument("--private-model", action="store_true", help="the weights stay hidden; --model is a model.root")
    add_allow_vanishing(parser)
    add_max_work(parser)
    add_model_options(parser)
    add_configuration(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.hide_value != (options.tau is not None):
        raise ValueError("--hide-value and --tau go together: the proof says value <= tau and hides the value")
    if options.json and is_standard_output(options.output):
        raise ValueError("--json and --output - go both to standard output; give the proof a name")
    evaluations = options.evaluate or []
    files = [options.model, options.commit, *(path for path, _ in evaluations)]
    inputs = [*files, *map(opening_path, files)]
    check_outputs(options.output, inputs=inputs)
    configuration, probes = configuration_of(options), options.probes or 1
    root = data_root(options.commit)
    seed = options.seed if options.seed is not None else os.urandom(SEED_BYTES)
    with Stages(STAGES, ticking=True) as stages:
        stages.begin("model")
        from zkds.circuits.certificate.proving import prove_certificate

        network, weights, private_model = _model(options)
        private, hidden = private_model is not None, options.hide_value
        supposed = supposed_statement(
            network,
            configuration,
            root,
            private_model=private,
            hidden_value=hidden,
            evaluations=[(data_root(path), count) for path, count in evaluations],
            probes=probes,
        )
        if not is_small(supposed):  # else it is soon done, and counting would take a tenth of the time
            stages.expect(stage_shares(supposed))
        with open_data_sets(options.commit, root, evaluations) as (opening, evaluated):
            data, statement = prove_certificate(
                network,
                weights,
                opening,
                configuration,
                seed,
                seed_given=options.seed is not None,
                probes=probes,
                evaluations=evaluated,
                tau=options.tau,
                private_model=private_model,
                max_work=options.max_work,
                progress=stages.begin,
            )
    write_result(options.output, data)
    if options.json:
        content = {"proof": options.output, "proof_bytes": len(data), "seconds": stages.seconds, "warnings": statement.warnings}
        print(json.dumps(content | statement_content(statement)))
        return DONE
    with words_beside(options.output):
        print_statement(statement)
        print(f"proof      {options.output}, {len(data):,} bytes, in {sum(stages.seconds.values()):.1f} s")
        print_warnings(statement.warnings)
    return DONE


def _model(options: argparse.Namespace) -> tuple[Network, Mapping[str, I64], OpenedModel | None]:
    """(network, quantised weights, None or the opened private model)."""
    from zkds.circuits.models.model_root import is_model_root, read_opening

    path, private, choice = Path(options.model), options.private_model, model_choice(options)
    if is_model_root(path) != private:
        wanted = (
            "a model.root, as `zkds commit-model` writes it" if private else "a model file; model.root needs --private-model"
        )
        raise ValueError(f"--model {path}: expected {wanted}")
    if private:
        refuse_choice(path, choice)
        opened = read_opening(path)
        return opened.network, opened.weights, opened
    from zkds.circuits.model_files.model_file import load_model

    model = load_model(path, **choice)
    return model.network, model.quantised(allow_vanishing=options.allow_vanishing_weights), None
