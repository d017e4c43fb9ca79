"""The folder that models and measurements live in: complete files only, and locks that die with the process that holds them.

models/NAME/record.json, POINT.pt    a trained model; the record is written last, so that with it everything is there
locks/NAME                           held by the worker that trains or measures it, whose process id it says
measurements.jsonl                   a line for each checkpoint and kind of labels
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from bench.experiments_cifar.recipes import Recipe
from bench.experiments_cifar.training import Point, restored
from zkds.circuits.networks.torch_module import NetworkModule, save_checkpoint
from zkds.output import write_whole


class Cache:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._measurements = folder / "measurements.jsonl"

    def _model(self, recipe: Recipe) -> Path:
        return self.folder / "models" / recipe.name

    def record(self, recipe: Recipe) -> dict[str, Any] | None:
        """None unless the model is trained."""
        try:
            found: dict[str, Any] = json.loads((self._model(recipe) / "record.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def store(self, recipe: Recipe, record: Mapping[str, Any], points: Mapping[str, Point]) -> None:
        folder = self._model(recipe)
        folder.mkdir(parents=True, exist_ok=True)
        for name, point in points.items():
            save_checkpoint(restored(recipe.architecture, point.state), recipe.architecture, folder / f"{name}.pt")
        text = json.dumps(record, indent=1, allow_nan=False) + "\n"
        write_whole(folder / "record.json", text.encode())

    def load(self, recipe: Recipe, point: str) -> NetworkModule:
        saved = torch.load(self._model(recipe) / f"{point}.pt", map_location="cpu", weights_only=True)
        return restored(recipe.architecture, saved["state_dict"])

    @contextlib.contextmanager
    def claimed(self, name: str) -> Iterator[bool]:
        """Whether this process alone holds the name. The system drops the lock of a process that ends, however it ends: no
        claim is ever stale, which a file with a process id could be."""
        folder = self.folder / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / name, "a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            file.truncate(0)
            file.write(b"%d\n" % os.getpid())
            file.flush()
            yield True

    def append(self, line: Mapping[str, Any]) -> None:
        """One line in one write, behind what a killed writer may have left half written."""
        text = json.dumps(line, allow_nan=False).encode() + b"\n"
        with open(self._measurements, "a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if file.seek(0, os.SEEK_END) and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                text = b"\n" + text
            file.write(text)
            os.fsync(file.fileno())

    def measurements(self) -> list[dict[str, Any]]:
        """All complete lines."""
        if not self._measurements.exists():
            return []
        found = []
        for line in self._measurements.read_bytes().split(b"\n"):
            with contextlib.suppress(json.JSONDecodeError, UnicodeDecodeError):
                found.append(json.loads(line))
        return found
