"""`zkds commit`: from a data set to data.root (public) and data.open (private)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from zkds.commands import DONE, Commands, add_parser
from zkds.commands.data import add_data_options, read_records
from zkds.commands.progress import Stages
from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.root import DataRoot
from zkds.output import check_outputs, refuse_standard_output

EXAMPLES = """examples:
  zkds commit --data train.npz                          arrays x and y; writes data.root and data.open
  zkds commit --data mnist.npz --arrays x_train y_train --normalize 0.1307 0.3081
  zkds commit --data photos/ -o photos.root             photos/CLASS/IMAGE.png; needs Pillow
  zkds commit --data table.npz --fraction-bits 8        features (N, d) in steps of 1/256

data.root is public: publish it before the seed of a proof is drawn. data.open, beside it, is private: keep it, nobody
can make a proof about data.root without it. Commit again, with new randomness, rather than copy records from one
data.open to another."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "commit",
        summary="commit to a data set",
        description="Commit to a data set: a small public file, and a private one that opens it.",
        examples=EXAMPLES,
    )
    add_data_options(parser)
    parser.add_argument("-o", "--output", metavar="FILE", default="data.root", help="the public file (default: data.root)")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files; proofs about them are lost")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    refuse_standard_output(options.output, "data.root and data.open")
    output = Path(options.output)
    check_outputs(options.output, opening_path(output), overwrite=options.overwrite, inputs=[options.data])
    records = read_records(options)
    with Stages({"committing": 1}, unit="records") as stages:
        stages.begin("committing")
        root = commit_dataset(records, output, overwrite=options.overwrite, progress=stages.report)
    _print_commitment(root, output, as_json=options.json)
    return DONE


def _print_commitment(root: DataRoot, output: Path, *, as_json: bool) -> None:
    schema, private = root.schema, opening_path(output)
    if as_json:
        result = {
            "root": root.digest().hex(),
            "records": root.count,
            "kind": schema.kind,
            "shape": list(schema.shape),
            "element": schema.element,
            "classes": schema.classes,
            "public_file": str(output),
            "private_file": str(private),
        }
        print(json.dumps(result))
        return
    print(f"data root  {root.digest().hex()}")
    shape = " x ".join(map(str, schema.shape))
    print(f"records    {root.count}, kind {schema.kind}, {shape} {schema.element}, {schema.classes} classes")
    print(f"public     {output}")
    print(f"private    {private} ({private.stat().st_size / 1e6:.1f} MB): keep it, and keep it secret")
