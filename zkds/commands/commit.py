"""`zkds commit`: from a data set to data.root (public) and data.open (private)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from zkds.commands import DONE, Commands, add_parser
from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.records import Records, from_folder, from_npz
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Normalization
from zkds.progress import Stages

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
    parser.add_argument(
        "--data", metavar="PATH", required=True, help="a .npz file, or a folder with a folder of images for each class"
    )
    parser.add_argument("-o", "--output", metavar="FILE", default="data.root", help="the public file (default: data.root)")
    parser.add_argument(
        "--arrays", nargs=2, metavar=("X", "Y"), default=("x", "y"), help="names in the .npz file (default: x y)"
    )
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes (default: the largest label plus one)")
    parser.add_argument(
        "--normalize",
        nargs=2,
        metavar=("MEAN", "STD"),
        help="the network sees (x/255 - MEAN) / STD; one number, or one for each channel with commas between",
    )
    parser.add_argument("--fraction-bits", type=int, metavar="BITS", help="of features that are not bytes (default: 12)")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files; proofs about them are lost")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    records = _read_records(options)
    output = Path(options.output)
    with Stages({"committing": 1}, unit="records") as stages:
        stages.begin("committing")
        root = commit_dataset(records, output, overwrite=options.overwrite, progress=stages.report)
    _print_commitment(root, output, as_json=options.json)
    return DONE


def _read_records(options: argparse.Namespace) -> Records:
    path = Path(options.data)
    normalization = None
    if options.normalize:
        mean, deviation = (text.split(",") for text in options.normalize)
        normalization = Normalization.from_decimals(mean, deviation)
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder; --data takes a .npz file or a folder of images")
    if not path.is_dir():
        return from_npz(
            path,
            arrays=tuple(options.arrays),
            classes=options.classes,
            fraction_bits=options.fraction_bits,
            normalization=normalization,
        )
    if options.classes is not None or options.fraction_bits is not None:
        raise ValueError("--classes and --fraction-bits go with .npz files; a folder has one class for each of its folders")
    return from_folder(path, normalization=normalization)


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
