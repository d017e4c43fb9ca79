"""Output files that are complete or absent: written under a temporary name beside their own, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def temporary_names(*paths: Path) -> Iterator[list[Path]]:
    """A fresh name beside each path; whatever lies there at the end is removed."""
    names = [path.with_name(f".{path.name}.{secrets.token_hex(8)}") for path in paths]
    try:
        yield names
    finally:
        for name in names:
            name.unlink(missing_ok=True)


def refuse_existing(overwrite: bool, *paths: Path) -> None:
    """Raise FileExistsError if one of the paths exists, unless `overwrite`."""
    for path in paths:
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; choose another name, or ask to overwrite it")


def flush(file: IO[bytes]) -> None:
    """Put everything that was written on the disk, before the file gets its name."""
    file.flush()
    os.fsync(file.fileno())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, replacing one that exists; an interruption leaves the old one, or none."""
    with temporary_names(path) as (temporary,):
        with open(temporary, "xb") as file:
            file.write(data)
            flush(file)
        os.replace(temporary, path)
