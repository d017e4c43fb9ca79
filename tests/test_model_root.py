"""model.root and model.open (circuits/model_root.py): round trips, damage, and files of other models."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from tests.test_private_model import NETWORK, weights
from zkds.circuits.model_root import ModelFileError, is_model_root, read_model_root, read_opening, write_model
from zkds.circuits.private_model import OpenedModel
from zkds.dataset.files import opening_path

pytestmark = pytest.mark.any_kernels


@pytest.fixture
def committed(tmp_path: Path) -> tuple[Path, OpenedModel]:
    opened = OpenedModel.commit(NETWORK, weights())
    path = tmp_path / "model.root"
    assert write_model(opened, path) == opened.root()
    return path, opened


def test_round_trip(committed):
    path, opened = committed
    assert is_model_root(path) and read_model_root(path) == opened.root()
    again = read_opening(path)
    assert again.network == NETWORK and np.array_equal(again.randomness, opened.randomness)
    assert all(np.array_equal(again.weights[name], opened.weights[name]) for name in opened.weights)
    assert os.stat(opening_path(path)).st_mode & 0o777 == 0o600
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.open", "model.root"]


def test_existing_files_stay(committed):
    path, opened = committed
    with pytest.raises(FileExistsError, match="ask to overwrite"):
        write_model(opened, path)
    write_model(opened, path, overwrite=True)
    with pytest.raises(ValueError, match="expected a name for the public file"):
        write_model(opened, path.with_suffix(".open"))


def test_damage_is_named(committed):
    path, _ = committed
    private, rng = opening_path(path), random.Random(2)
    whole = private.read_bytes()
    for _ in range(20):
        position = rng.randrange(len(whole))
        private.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(ModelFileError, match="checksum"):
            read_opening(path)
    private.write_bytes(whole[:-1])
    with pytest.raises(ModelFileError, match="checksum"):
        read_opening(path)
    public = path.read_bytes()
    for changed in (public[:-1], public + b"\n", public.upper(), b"", public.replace(b"digest ", b"digest 0")):
        path.write_bytes(changed)
        with pytest.raises(ModelFileError, match=r"not a model\.root"):
            read_model_root(path)


def test_the_opening_of_another_model_is_named(committed, tmp_path):
    path, _ = committed
    other = tmp_path / "other.root"
    write_model(OpenedModel.commit(NETWORK, weights(2)), other)
    opening_path(path).write_bytes(opening_path(other).read_bytes())
    with pytest.raises(ModelFileError, match="not the opening of"):
        read_opening(path)
