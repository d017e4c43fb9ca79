"""`zkds quantise`: from a model to the one that its proofs are about, its weights on the grid."""

from __future__ import annotations

import argparse
import json

from zkds.api import quantise
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.networks.grid import vanishing_warnings
from zkds.circuits.networks.weights import model_digest
from zkds.commands import DONE, Commands, add_parser
from zkds.commands.model_options import add_model_options, model_choice
from zkds.commands.probing import print_warnings
from zkds.commands.progress import Stages
from zkds.commands.verdict import differences_content, print_differences
from zkds.output import check_outputs, is_standard_output, words_beside

EXAMPLES = """examples:
  zkds quantise m.pt -o certified.pt                    m.pt with every weight rounded as a proof rounds it
  zkds quantise weights.safetensors --arch lenet5 -o certified.safetensors
  zkds quantise m.pt2 -o certified.pt2                  an exported program; takes torch, and runs code of the file

A proof about m.pt is about certified.pt: both have the same digest. So publish certified.pt, test it and use it. m.pt is
another network, and if its weights are tiny it may behave quite differently. The new file is of the same kind as the old one: a
checkpoint with its architecture in float64, safetensors likewise, or a program in its own type of floats."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "quantise",
        summary="write the model that a proof is about, with its weights on the grid",
        description="Write the model that a proof is about: the same one with its weights rounded to the grid of proofs.",
        examples=EXAMPLES,
    )
    parser.add_argument("model", metavar="MODEL", help="the model, such as m.pt; one of your own")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the certified model, - is stdout")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.json and is_standard_output(options.output):
        raise ValueError("--json and --output - go both to standard output; give the model a name")
    check_outputs(options.output, inputs=[options.model])
    with Stages({"quantising": 1}) as stages:
        stages.begin("quantising")
        model = load_model(options.model, **model_choice(options))
        digest = model_digest(model.network, model.quantised()).hex()
        differences = quantise(model, options.output)
    warnings = vanishing_warnings(differences)
    if options.json:
        content = {"model": options.model, "certified": options.output, "digest": digest}
        print(json.dumps(content | {"differences": differences_content(differences), "warnings": warnings}))
        return DONE
    with words_beside(options.output):
        print(f"certified  {options.output}, {model.network.parameter_count:,} parameters")
        print(f"model      {digest}, in a proof about either file")
        print_differences(differences)
        print_warnings(warnings)
    return DONE
