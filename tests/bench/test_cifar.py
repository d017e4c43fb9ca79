"""The recipe of CIFAR-10: files become records, batch norms fold, images move as they should."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.cifar.folding import folded
from bench.cifar.images import PADDING, SIDE, read, shifted_and_flipped
from zkds.circuits.networks.torch_module import build


def archive(path: Path, size: int = SIDE) -> Path:
    with tarfile.open(path, "w:xz") as files:
        for number, name in enumerate(("test/cat/1", "train/dog/0", "train/cat/1", "train/cat/0")):
            content = io.BytesIO()
            Image.new("RGB", (size, size), (60 * number, 0, 255)).save(content, "JPEG")
            member = tarfile.TarInfo(f"cifar/{name}.jpg")
            member.size = len(content.getvalue())
            files.addfile(member, io.BytesIO(content.getvalue()))
    return path


def test_images_come_in_the_order_of_their_names_and_labels_in_that_of_the_classes(tmp_path: Path) -> None:
    splits = read(archive(tmp_path / "images.tar.xz"))
    assert splits["train"].y.tolist() == [0, 0, 1]
    assert splits["test"].y.tolist() == [0]
    assert splits["train"].x.shape == (3, 3, SIDE, SIDE)
    np.testing.assert_allclose(splits["train"].x[:, 0, 0, 0], [180, 120, 60], atol=3)  # red of cat/0, cat/1, dog/0


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train: expected images of 32 x 32 pixels"):
        read(archive(tmp_path / "images.tar.xz", size=16))


def test_folding_keeps_the_function() -> None:
    torch.manual_seed(1)
    trained = build("vgg11-bn:1/16")
    for module in trained.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                torch.nn.init.uniform_(values, 0.5, 1.5)
    trained.eval()
    x = torch.rand(4, 3, SIDE, SIDE)
    with torch.no_grad():
        torch.testing.assert_close(folded(trained, "vgg11:1/16")(x), trained(x), rtol=1e-3, atol=1e-4)


def test_folding_refuses_another_architecture() -> None:
    with pytest.raises(ValueError, match="expected one with the layers of the trained network, got 'vgg13:1/16'"):
        folded(build("vgg11-bn:1/16"), "vgg13:1/16")


def test_moved_images_are_windows_of_the_padded_ones() -> None:
    x = torch.rand(6, 3, SIDE, SIDE)
    moved = shifted_and_flipped(x, torch.Generator().manual_seed(3))
    padded = torch.nn.functional.pad(x, (PADDING,) * 4)
    for image, found in zip(padded, moved, strict=True):
        windows = [
            image[:, down : down + SIDE, right : right + SIDE]
            for down in range(2 * PADDING + 1)
            for right in range(2 * PADDING + 1)
        ]
        assert any(torch.equal(found, window) or torch.equal(found, window.flip(2)) for window in windows)
