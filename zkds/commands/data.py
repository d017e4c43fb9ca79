"""The options that say which records a command works on, the same for every command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from zkds.dataset.records import Records
from zkds.dataset.schema import Normalization
from zkds.dataset.sources import as_records


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """--data and how to read it; see `read_records`."""
    parser.add_argument(
        "--data", metavar="PATH", required=True, help="a .npz file, or a folder with a folder of images for each class"
    )
    parser.add_argument(
        "--arrays", nargs=2, metavar=("X", "Y"), default=("x", "y"), help="names in the .npz file (default: x y)"
    )
    parser.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="number of classes K (default: as many as there are labels, if they are 0 to K - 1)",
    )
    parser.add_argument(
        "--normalize",
        nargs=2,
        metavar=("MEAN", "STD"),
        help="the network sees (x/255 - MEAN) / STD; one number, or one for each channel with commas between",
    )
    parser.add_argument("--fraction-bits", type=int, metavar="BITS", help="of features that are not bytes (default: 12)")


def read_records(options: argparse.Namespace, data: str | Path | None = None, arrays: Sequence[str] | None = None) -> Records:
    """The records of --data, or of another path `data`, perhaps with other names of its arrays, read in the same way.

    Raises ValueError saying what is wrong.
    """
    x, y = options.arrays if arrays is None else arrays
    normalization = None
    if options.normalize:
        mean, deviation = (text.split(",") for text in options.normalize)
        normalization = Normalization.from_decimals(mean, deviation)
    return as_records(
        options.data if data is None else data,
        arrays=(x, y),
        classes=options.classes,
        fraction_bits=options.fraction_bits,
        normalization=normalization,
    )
