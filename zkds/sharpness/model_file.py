"""Model files as modules, for whoever holds the model: whatever torch.export.save wrote, and what zkds itself reads.

**Reading an exported program runs code of its file**: `torch.export.load` unpickles parts of it. That is for one's own models;
`zkds prove`, `verify` and `compile` read files as data. The archive is checked as strictly as theirs before torch gets it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO

import torch
from torch import nn

from zkds.circuits.model_files.archive import open_archive, open_regular
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.model_files.program import is_program
from zkds.circuits.networks.weights import require_finite
from zkds.sharpness.messages import first_line
from zkds.sharpness.programs import in_float64, module_of

ARCHIVE = b"PK\3\4"


def load_module(path: str | Path, *, arch: str | None = None, strip_prefix: str | None = None) -> nn.Module:
    """The module in a model file, in float64: of any exported program, of a checkpoint of a network of the zoo otherwise.

    arch, strip_prefix   of a checkpoint, as for `zkds.circuits.model_files.model_file.load_model`
    Raises OSError if the file can't be opened; ValueError, naming it, for one that is damaged, of another kind, exported in
    training mode, or with a parameter that isn't finite. Run it on files that you trust.
    """
    with _opened(path) as stream:
        if not _holds_program(path, stream):
            return load_model(path, arch=arch, strip_prefix=strip_prefix).module()
        try:
            if arch is not None or strip_prefix is not None:
                raise ValueError("arch and strip_prefix are for checkpoints; an exported program says itself what it computes")
            module = in_float64(module_of(_program(stream)))
            for name, parameter in module.named_parameters():
                if parameter.is_floating_point():
                    require_finite(name, parameter.detach().numpy())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return module


def _opened(path: str | Path) -> IO[bytes]:
    try:
        return open_regular(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _holds_program(path: str | Path, stream: IO[bytes]) -> bool:
    """Whether torch.export.save wrote it. Raises ValueError for a damaged archive, or one that could mean two things."""
    start = stream.read(len(ARCHIVE))
    stream.seek(0)
    if start != ARCHIVE:
        return False
    try:
        with open_archive(stream) as archive:
            return is_program(archive)
    except ValueError:
        return False  # `load_model` says what is wrong with it
    finally:
        stream.seek(0)


def _program(stream: IO[bytes]) -> torch.export.ExportedProgram:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.load(stream)
    except MemoryError:
        raise
    except Exception as error:  # a damaged program makes torch raise nearly anything
        raise ValueError(f"torch.export.load fails: {first_line(error)}") from None
