"""CIFAR-10 from an archive of JPEG files: {train,test}/CLASS/NAME.jpg, 32 x 32 pixels."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

SIDE = 32
PADDING = 4


@dataclass(frozen=True)
class Split:
    """Images (N, 3, 32, 32) uint8 and labels (N,) int64, the places of the classes' names in alphabetical order."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]


def read(archive: Path) -> dict[str, Split]:
    """The splits "train" and "test"; files in the order of their names. Some 15 seconds. Raises ValueError for another size."""
    found: dict[tuple[str, str, str], NDArray[np.uint8]] = {}
    with tarfile.open(archive) as files:
        for member in files:
            if member.isfile() and member.name.endswith(".jpg"):
                split, label, name = Path(member.name).parts[-3:]
                content = files.extractfile(member)
                assert content is not None
                found[split, label, name] = np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB"))
    classes = sorted({label for _, label, _ in found})
    return {name: _split(name, found, classes) for name in ("train", "test")}


def _split(name: str, found: dict[tuple[str, str, str], NDArray[np.uint8]], classes: list[str]) -> Split:
    keys = sorted(key for key in found if key[0] == name)
    if not keys or any(found[key].shape != (SIDE, SIDE, 3) for key in keys):
        raise ValueError(f"{name}: expected images of {SIDE} x {SIDE} pixels at {name}/CLASS/NAME.jpg")
    x = np.stack([found[key] for key in keys]).transpose(0, 3, 1, 2)
    return Split(np.ascontiguousarray(x), np.array([classes.index(label) for _, label, _ in keys], np.int64))


def shifted_and_flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Every image (N, 3, 32, 32) moved by up to 4 pixels a side, black coming in, and every second one mirrored, at random."""
    count = len(x)
    padded = torch.nn.functional.pad(x, (PADDING,) * 4)
    down, right = torch.randint(0, 2 * PADDING + 1, (2, count, 1), generator=generator)
    flipped = torch.randint(0, 2, (count, 1), generator=generator)
    place = torch.arange(SIDE)
    columns = torch.where(flipped == 1, SIDE - 1 - place, place) + right
    return padded[torch.arange(count)[:, None, None], :, (place + down)[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
