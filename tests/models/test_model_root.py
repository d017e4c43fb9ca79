"""model.root and model.open (circuits/models/model_root.py): round trips, damage, and files of other models."""

from __future__ import annotations

import hashlib
import os
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.models.test_private_model import NETWORK, weights
from zkds.circuits.models.model_root import ModelFileError, is_model_root, read_model_root, read_opening, write_model
from zkds.circuits.models.private_model import OpenedModel
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
    for other in (whole[:-1], whole + b"\0", b""):
        private.write_bytes(other)
        with pytest.raises(ModelFileError, match=r"model\.open: damaged, or of another network: expected \d+ bytes, as "):
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
    with pytest.raises(ModelFileError, match=r"belongs to another model\.root than .*: use the pair that"):
        read_opening(path)


EXTREMES = [0, 1, 2, 3, 2**16, 2**31, 2**32, 2**44, 2**63, 2**64 - 1]


def test_numbers_of_an_opening_are_named(committed):
    """Every number of header, network and weights set to extremes, the checksum made right again."""
    path, opened = committed
    private = opening_path(path)
    content = private.read_bytes()
    header = 24 + len(NETWORK.encode())
    for place in [*range(8, header, 8), header, header + 8 * opened.network.parameter_count - 8]:
        for number in EXTREMES:
            changed = content[:place] + number.to_bytes(8, "little") + content[place + 8 : -32]
            if changed != content[:-32]:
                private.write_bytes(changed + hashlib.sha256(changed).digest())
                with pytest.raises(ModelFileError, match=r"model\.open: "):
                    read_opening(path)


def test_numbers_of_a_root_cost_nothing_and_are_named(committed):
    """The same for the network in a model.root: a verifier reads it from a stranger."""
    path, opened = committed
    encoding = NETWORK.encode()
    tracemalloc.start()
    try:
        for place in range(0, len(encoding) - 8, 8):
            for number in EXTREMES:
                changed = encoding[:place] + number.to_bytes(8, "little") + encoding[place + 8 :]
                path.write_text(f"zkds model root v1\ndigest {opened.root().hex()}\nnetwork {changed.hex()}\n")
                try:
                    read_model_root(path)  # a network that nobody has is a network
                    read_opening(path)
                except ModelFileError as error:
                    assert "model.root: not a model.root: " in str(error) or "model.open: " in str(error)
                else:
                    assert changed == encoding
        assert tracemalloc.get_traced_memory()[1] < 1 << 25
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected three lines"),
        (b"zkds model root v1\ndigest 00\nnetwork 00", "expected three lines"),
        (b"zkds model root v1\ndigest 00\ndigest 00\n", "expected three lines"),
        (b"zkds model root v1\ndigest \xff\nnetwork 00\n", "expected hex digits after digest and network"),
        (b"zkds model root v1\ndigest 00\nnetwork 0\n", "expected hex digits after digest and network"),
        (b"zkds model root v1\ndigest 00\nnetwork 00\n", "truncated at network label"),
        (b"zkds model root v1\n" + bytes(1 << 24), "more than 16777216 bytes"),
    ],
)
def test_what_is_no_root_is_named(tmp_path, text, message):
    path = tmp_path / "model.root"
    path.write_bytes(text)
    with pytest.raises(ModelFileError, match=rf"model\.root: not a model\.root: {message}"):
        read_model_root(path)


def test_a_missing_opening_says_where_it_comes_from(committed):
    path, _ = committed
    opening_path(path).unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.open: no such file; zkds commit-model writes it beside model\.root"):
        read_opening(path)
    os.mkfifo(opening_path(path))
    with pytest.raises(ValueError, match=r"model\.open: is no regular file"):
        read_opening(path)
