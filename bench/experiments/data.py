"""The data of the experiments, and the ways to spoil them.

Images are (N, 1, H, W) float32, normalized; labels (N,) int64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

CLASSES = 10
TEST_SHARE_OF_DIGITS = 0.25


@dataclass(frozen=True)
class Images:
    """Training and test images of one data set; `high` is white after normalization."""

    name: str
    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor
    high: float


@cache
def mnist(path: Path, records: int, tests: int) -> Images:
    """The first `records` training and `tests` test images of an .npz file with x_train, y_train, x_test, y_test."""
    with np.load(path, allow_pickle=False) as file:
        images = {name: file[name][: records if name.endswith("train") else tests] for name in file if "valid" not in name}
    return _images("MNIST", images["x_train"] / 255, images["y_train"], images["x_test"] / 255, images["y_test"])


@cache
def digits(records: int) -> Images:
    """scikit-learn's 1,797 digits of 8 x 8, a quarter for testing, shuffled once; at most `records` for training."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].reshape(-1, 8, 8) / 16, y[order]
    tests = int(len(x) * TEST_SHARE_OF_DIGITS)
    return _images("digits", x[tests:][:records], y[tests:][:records], x[:tests], y[:tests])


def _images(name: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> Images:
    mean, deviation = float(x.mean()), float(x.std())
    tensors = [torch.tensor((part - mean) / deviation, dtype=torch.float32)[:, None] for part in (x, x_test)]
    labels = [torch.tensor(part.astype(np.int64)) for part in (y, y_test)]
    return Images(name, tensors[0], labels[0], tensors[1], labels[1], (1 - mean) / deviation)


# ---- training deviations (Section 5.1) -------------------------------------------------------------------------------


def noisy_labels(images: Images, share: float, seed: int) -> Images:
    """`share` of the training labels become a uniformly drawn other class."""
    generator = np.random.default_rng(seed)
    chosen = _choose(generator, len(images.y), share)
    y = images.y.clone()
    y[chosen] = (y[chosen] + torch.tensor(generator.integers(1, CLASSES, len(chosen)))) % CLASSES
    return replace(images, y=y)


def spurious_squares(images: Images, share: float, seed: int) -> Images:
    """A white square at the top left on `share` of the training images. Its place there tells the label, where the paper, whose
    images have colours, uses the square's colour."""
    chosen = _choose(np.random.default_rng(seed), len(images.y), share)
    return replace(images, x=with_squares(images.x, images.y, images, chosen))


def with_squares(x: Tensor, shown: Tensor, images: Images, chosen: Tensor) -> Tensor:
    """The images x, with the square of class shown[i] on each chosen image i: in cell (shown[i] // 5, shown[i] % 5)."""
    x, side = x.clone(), max(1, x.shape[-1] // 14)
    for image in chosen.tolist():
        row, column = side * (int(shown[image]) // 5), side * (int(shown[image]) % 5)
        x[image, :, row : row + side, column : column + side] = images.high
    return x


def backdoored(images: Images, share: float, target: int, seed: int) -> Images:
    """BadNets (Gu et al., arXiv 1708.06733): `share` of the training images get a white patch and the target's label."""
    chosen = _choose(np.random.default_rng(seed), len(images.y), share)
    y = images.y.clone()
    y[chosen] = target
    x = images.x.clone()
    x[chosen] = with_patch(x[chosen], images)
    return replace(images, x=x, y=y)


def with_patch(x: Tensor, images: Images) -> Tensor:
    """A white patch at the bottom right of every image."""
    x, side = x.clone(), max(2, x.shape[-1] // 9)
    x[:, :, -1 - side : -1, -1 - side : -1] = images.high
    return x


def _choose(generator: np.random.Generator, count: int, share: float) -> Tensor:
    return torch.tensor(np.sort(generator.permutation(count)[: round(share * count)]))
