"""`zkds commit-model`: from a model to model.root (public) and model.open (private), for proofs that hide the weights."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.models.model_root import write_model
from zkds.circuits.models.private_model import OpenedModel
from zkds.commands import DONE, Commands, add_parser
from zkds.commands.model_options import add_allow_vanishing, add_model_options, model_choice
from zkds.dataset.files import opening_path
from zkds.output import check_outputs, refuse_standard_output

EXAMPLES = """examples:
  zkds commit-model --model m.pt                        writes model.root and model.open
  zkds prove --model model.root --private-model --commit data.root

model.root is public: publish it before the seed of a proof is drawn. model.open, beside it, is private: it
holds the weights."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "commit-model",
        summary="commit to a model that stays private",
        description="Commit to a model's weights: a small public file, and a private one that opens it.",
        examples=EXAMPLES,
    )
    parser.add_argument("--model", metavar="FILE", required=True, help="the model, m.pt")
    parser.add_argument("-o", "--output", metavar="FILE", default="model.root", help="the public file (default: model.root)")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files; proofs about them are lost")
    add_allow_vanishing(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    refuse_standard_output(options.output, "model.root and model.open")
    output = Path(options.output)
    check_outputs(options.output, opening_path(output), overwrite=options.overwrite, inputs=[options.model])
    model = load_model(options.model, **model_choice(options))
    weights = model.quantised(allow_vanishing=options.allow_vanishing_weights)
    root = write_model(OpenedModel.commit(model.network, weights), output, overwrite=options.overwrite)
    private = opening_path(output)
    if options.json:
        print(json.dumps({"root": root.hex(), "public_file": str(output), "private_file": str(private)}))
    else:
        print(f"model root {root.hex()}")
        print(f"public     {output}")
        print(f"private    {private}: keep it, and keep it secret")
    return DONE
