"""CIFAR-10 as the models see it, u / 255, and the ways to spoil it: those of bench.experiments, the square with its colours."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.cifar.images import SIDE, Split, read
from bench.experiments.data import CLASSES, Images, backdoored, noisy_labels
from bench.experiments_cifar.recipes import Recipe
from zkds.output import write_whole

DATA = "cifar10.npz"
TARGET = 0  # of the backdoor
SQUARE = 4  # pixels
COLOURS = torch.tensor(  # of the classes' squares: the corners of the colour cube, and two more
    [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1), (1, 0.5, 0), (0.5, 0.5, 0.5)]
)


def prepare(folder: Path, archive: Path, *, toy: int = 0) -> None:
    """Writes the images into the folder, where workers find them in a form that loads at once, unless they are there.

    toy: this many made-up images instead of the archive's.
    """
    if not (folder / DATA).exists():
        folder.mkdir(parents=True, exist_ok=True)
        splits = _made_up(toy) if toy else read(archive)
        buffer = io.BytesIO()
        np.savez(buffer, **{f"{part}_{name}": getattr(splits[name], part) for name in splits for part in "xy"})
        write_whole(folder / DATA, buffer.getvalue())


def _made_up(count: int) -> dict[str, Split]:
    """Noise over a pattern of the class: a few epochs learn it."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 128, (CLASSES, 3, SIDE, SIDE))

    def split() -> Split:
        y = np.arange(count) % CLASSES
        return Split((patterns[y] + generator.integers(0, 128, (count, 3, SIDE, SIDE))).astype(np.uint8), y)

    return {"train": split(), "test": split()}


def load(folder: Path, count: int) -> Images:
    """`count` training images, of which fewer are a part of more, and all test images; channels last."""
    with np.load(folder / DATA, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file}
    if count > len(arrays["y_train"]):
        raise ValueError(f"images: expected at most {len(arrays['y_train'])}, got {count}")
    chosen = np.random.default_rng(0).permutation(len(arrays["y_train"]))[:count]
    x, x_test = (
        (torch.tensor(part).float() / 255).contiguous(memory_format=torch.channels_last)
        for part in (arrays["x_train"][chosen], arrays["x_test"])
    )
    return Images("CIFAR-10", x, torch.tensor(arrays["y_train"][chosen]), x_test, torch.tensor(arrays["y_test"]), 1.0)


def placed(images: Images, device: str) -> Images:
    return replace(images, **{name: getattr(images, name).to(device) for name in ("x", "y", "x_test", "y_test")})


def deviated(images: Images, recipe: Recipe) -> Images:
    """The images and labels that the recipe trains on: what its owner would commit."""
    if not recipe.deviation:
        return images
    if recipe.deviation == "noise":
        return noisy_labels(images, recipe.share, recipe.seed)
    if recipe.deviation == "backdoor":
        return backdoored(images, recipe.share, TARGET, recipe.seed)
    if recipe.deviation == "spurious":
        chosen = np.random.default_rng(recipe.seed).random(len(images.y)) < recipe.share
        return replace(images, x=with_colours(images.x, images.y, torch.tensor(chosen)))
    raise ValueError(f"deviation: expected noise, backdoor or spurious, got {recipe.deviation!r}")


def with_colours(x: Tensor, shown: Tensor, chosen: Tensor) -> Tensor:
    """The images x (N, 3, H, W) with a square at the top left of each chosen one (N,), in the colour of class shown (N,)."""
    x = x.clone()
    colours = COLOURS.to(x.device)[shown][:, :, None, None]
    x[:, :, :SQUARE, :SQUARE] = torch.where(chosen.to(x.device)[:, None, None, None], colours, x[:, :, :SQUARE, :SQUARE])
    return x
