"""`zkds seed` through a shell: the seed for every kind of model, and what it refuses."""

import json

import numpy as np
import pytest

from tests.harness.commands import save, shell
from zkds.api import DataRoot, beacon_seed, load_model
from zkds.circuits.certificate.beacon import seed_of_beacon
from zkds.circuits.models.model_root import read_model_root, write_model
from zkds.circuits.models.private_model import OpenedModel
from zkds.circuits.networks.weights import model_digest
from zkds.cli import main
from zkds.dataset.files import commit_dataset
from zkds.dataset.records import from_arrays

pytestmark = pytest.mark.any_kernels

BEACON = "8F3a" * 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("seed")
    images = np.random.default_rng(1).integers(0, 256, (12, 1, 8, 8), dtype=np.uint8)
    path.joinpath("train.npz").write_bytes(b"no data root")
    for name in ("data", "other"):
        commit_dataset(from_arrays(images, np.arange(12) % 10, classes=10), path / f"{name}.root")
    for number in (1, 2):
        save(path / f"m{number}.pt", number)
    model = load_model(path / "m1.pt")
    write_model(OpenedModel.commit(model.network, model.quantised()), path / "model.root")
    return path


def test_through_a_shell(folder):
    words = shell(f"seed --beacon {BEACON} --model m1.pt --commit data.root", folder)
    assert (words.returncode, words.stderr) == (0, "")
    found = json.loads(shell(f"seed --beacon {BEACON.lower()} --model m1.pt --commit data.root --json", folder).stdout)
    assert words.stdout == f"{found['seed']}\n" and found["beacon"] == BEACON.lower()
    model = load_model(folder / "m1.pt")
    root = DataRoot.read(folder / "data.root")
    assert found["data_root"] == root.digest().hex() and found["model"] == model_digest(model.network, model.quantised()).hex()
    expected = seed_of_beacon(bytes.fromhex(BEACON), root, bytes.fromhex(found["model"]), private_model=False)
    assert found["seed"] == expected.hex() and found["private_model"] is False


def test_another_seed_for_every_pair_and_kind(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    seeds = {}
    for model in ("m1.pt", "m2.pt", "model.root"):
        for root in ("data.root", "other.root"):
            assert main(["seed", "--beacon", BEACON, "--model", model, "--commit", root]) == 0
            seeds[model, root] = capsys.readouterr().out.strip()
            assert beacon_seed(bytes.fromhex(BEACON), model, root).hex() == seeds[model, root]
    assert len(set(seeds.values())) == 6
    private = seed_of_beacon(
        bytes.fromhex(BEACON), DataRoot.read(folder / "data.root"), read_model_root(folder / "model.root"), private_model=True
    )
    assert seeds["model.root", "data.root"] == private.hex()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--beacon 8f3", "--beacon: expected an even number of hex digits, got '8f3'"),
        ("--beacon 0x8f", "--beacon: expected an even number of hex digits, got '0x8f'"),
        ("--beacon 8f3a", "beacon: expected 16 to 1024 bytes, got 2"),
        (f"--beacon {BEACON} --commit m1.pt", "m1.pt: expected a data.root, this is a zip archive, perhaps a model"),
        (f"--beacon {BEACON} --model data.root", "got a data.root, and no model"),
        (f"--beacon {BEACON} --model none.pt", "none.pt: no such file"),
        (f"--beacon {BEACON} --model model.root --arch lenet5", "model.root: --arch and --strip-prefix are for checkpoints"),
        ("", "the following arguments are required: --beacon"),
    ],
)
def test_bad_input(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    assert main(["seed", "--model", "m1.pt", "--commit", "data.root", *arguments.split()]) == 2
    out, errors = capsys.readouterr()
    assert out == "" and message in errors.splitlines()[-1]


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["seed", "--help"])
    assert "examples:\n  zkds seed --beacon " in capsys.readouterr().out
