"""The options about checkpoints, the same for every command that reads model files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypedDict

from zkds.circuits.model_files.model_file import Model, load_model
from zkds.circuits.models.model_root import is_model_root


class ModelChoice(TypedDict):
    """Keyword arguments of `load_model`."""

    arch: str | None
    strip_prefix: str | None


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--arch, --width, --strip-prefix; None unless given."""
    group = parser.add_argument_group("checkpoints of networks of the zoo")
    group.add_argument("--arch", metavar="NAME", help="the architecture, if the checkpoint doesn't name it")
    group.add_argument("--width", metavar="FRACTION", help="of its hidden channels, such as 1/4 (also: --arch NAME:FRACTION)")
    group.add_argument(
        "--strip-prefix",
        metavar="TEXT",
        help="what stands in front of the network's names in it (module., _orig_mod., model. and net. are known)",
    )


def add_allow_vanishing(parser: argparse.ArgumentParser) -> None:
    """--allow-vanishing-weights."""
    parser.add_argument(
        "--allow-vanishing-weights",
        action="store_true",
        help="accept a model of which some weights are not 0 in the file and 0 in proofs; better: zkds quantise",
    )


def model_choice(options: argparse.Namespace) -> ModelChoice:
    """Raises ValueError for a width without an architecture."""
    arch: str | None = options.arch
    if options.width is not None:
        if arch is None or ":" in arch:
            raise ValueError("--width: expected --arch NAME with it, and one width")
        arch = f"{arch}:{options.width}"
    return {"arch": arch, "strip_prefix": options.strip_prefix}


def refuse_choice(path: str | Path, choice: ModelChoice) -> None:
    """For a model.root, which says its network itself. Raises ValueError if an option is given."""
    if any(value is not None for value in choice.values()):
        raise ValueError(f"{path}: --arch and --strip-prefix are for checkpoints; a model.root says its network itself")


def model_or_root(options: argparse.Namespace) -> Model | Path:
    """What --model names: a model file, read, or the path of a model.root. Raises what `load_model` raises."""
    path, choice = Path(options.model), model_choice(options)
    if is_model_root(path):
        refuse_choice(path, choice)
        return path
    return load_model(path, **choice)
