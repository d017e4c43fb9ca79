"""`zkds seed`: the seed that a beacon's value gives for one model and one data set."""

from __future__ import annotations

import argparse
import json
import string

from zkds.api import data_root, name_of_model
from zkds.circuits.arithmetic.fixed_point import MAX_REPEATED
from zkds.circuits.certificate.beacon import seed_of_beacon
from zkds.commands import DONE, Commands, add_parser
from zkds.commands.model_options import add_model_options, model_or_root

EXAMPLES = """examples:
  zkds seed --beacon 8f3a..c1 --model m.pt --commit data.root
  zkds seed --beacon 8f3a..c1 --model model.root --commit data.root     of a private model
  zkds prove --model m.pt --commit data.root --seed $(zkds seed --beacon 8f3a..c1 --model m.pt --commit data.root)

A beacon, such as drand or NIST's, publishes random values that nobody can foresee or choose, each with a number. First publish
data.root, the model (or model.root), the probe, and which value of which beacon it will be, one of the future; then derive the
seed from it. Whoever verifies derives it again, and asks when all this was published."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "seed",
        summary="derive the seed of a proof from a public random value",
        description="Print the seed that a public random value gives for one model and one data set.",
        examples=EXAMPLES,
    )
    parser.add_argument("--beacon", type=_hex, metavar="HEX", required=True, help="the beacon's value, 32 hex digits or more")
    parser.add_argument("--model", metavar="FILE", required=True, help="m.pt, or a private model's model.root")
    parser.add_argument("--commit", metavar="FILE", required=True, help="data.root")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    root = data_root(options.commit)
    model, private = name_of_model(model_or_root(options), root.schema.shape)
    seed = seed_of_beacon(options.beacon, root, model, private_model=private)
    if options.json:
        bound = {
            "beacon": options.beacon.hex(),
            "data_root": root.digest().hex(),
            "model": model.hex(),
            "private_model": private,
        }
        print(json.dumps({"seed": seed.hex()} | bound))
    else:
        print(seed.hex())
    return DONE


def _hex(text: str) -> bytes:
    if len(text) % 2 or not set(text) <= set(string.hexdigits):
        raise argparse.ArgumentTypeError(f"expected an even number of hex digits, got {text[:MAX_REPEATED]!r}")
    return bytes.fromhex(text)
