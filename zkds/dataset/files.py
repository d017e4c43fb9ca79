"""Commit a data set: from records to the pair `data.root` (public) and `data.open` (private)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from zkds.dataset import ajtai
from zkds.dataset.opening import OpeningWriter
from zkds.dataset.records import Records
from zkds.dataset.root import DataRoot
from zkds.output import Output, new_files

CHUNK_BYTES = 1 << 23  # byte strings in memory at a time

Progress = Callable[[int, int], None]  # records done, records in all


def opening_path(root_path: str | Path) -> Path:
    """Where the private half lies: beside the root, its suffix replaced by `.open`."""
    path = Path(root_path)
    if not path.name:
        raise ValueError("expected the name of a public file, such as data.root, got an empty one")
    if path.suffix == ".open":
        raise ValueError(f"{path}: expected a name for the public file, `.open` is that of the private one")
    return path.with_suffix(".open")


def commit_dataset(
    records: Records, root_path: str | Path, *, overwrite: bool = False, progress: Progress | None = None
) -> DataRoot:
    """Writes both files, each complete or not at all, and returns the data root.

    Memory stays at a few chunks and 64 bytes a record. Raises ValueError for a schema whose inputs no proof holds, and
    FileExistsError if one of the files exists, unless `overwrite`: without its data.open no proof about a root can be made any
    more. An interruption leaves no new file. Only a crash between the two renames leaves a new data.open without its data.root:
    `Opening` names that, and committing again mends it.
    """
    records.schema.require_inputs()
    target, private = Path(root_path), opening_path(root_path)
    with new_files(Output(private, private=True), Output(target), overwrite=overwrite) as (opening_file, root_file):
        writer = OpeningWriter(opening_file, records.count, records.schema)
        _add_records(writer, records, progress)
        root = writer.finish()
        root_file.write(root.encode())
    return root


def _add_records(writer: OpeningWriter, records: Records, progress: Progress | None) -> None:
    randomness = ajtai.randomness_bytes(records.count)
    size = max(1, CHUNK_BYTES // (records.schema.record_bytes + randomness))
    done = 0
    for chunk in records.chunks(size):
        writer.add(np.concatenate([chunk, ajtai.draw_randomness(len(chunk), randomness)], axis=1))
        done += len(chunk)
        if progress:
            progress(done, records.count)
