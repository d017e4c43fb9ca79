"""`zkds estimate`: words, JSON, and what it needs; beside what `zkds prove` then says."""

import json

import numpy as np
import pytest

from tests.harness.commands import PROBE, SEED, save
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.models.model_root import write_model
from zkds.circuits.models.private_model import OpenedModel
from zkds.cli import main
from zkds.dataset.files import commit_dataset
from zkds.dataset.records import from_arrays


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("estimate")
    images = np.random.default_rng(1).integers(0, 256, (12, 1, 8, 8), dtype=np.uint8)
    commit_dataset(from_arrays(images, np.arange(12) % 10, classes=10), path / "data.root")
    save(path / "m.pt", 1)
    model = load_model(path / "m.pt")
    write_model(OpenedModel.commit(model.network, model.quantised()), path / "model.root")
    return path


def said(arguments, capsys):
    """Exit code, standard output, standard error."""
    code = main(arguments.split())
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_proof_is_as_large_as_estimated(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    arguments = f"--model m.pt --commit data.root --seed {SEED} {PROBE} --json"
    estimated = json.loads(said(f"estimate {arguments}", capsys)[1])
    proved = json.loads(said(f"prove {arguments}", capsys)[1])
    assert estimated["proof_bytes"] == pytest.approx(proved["proof_bytes"], rel=0.01)
    assert list(estimated["seconds"]) == list(proved["seconds"])


def test_words(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    code, out, _ = said(f"estimate --arch digits-mlp --commit data.root {PROBE}", capsys)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["cells", "proof", "prove", "memory", "verify"]
    (folder / "alone.root").write_bytes((folder / "data.root").read_bytes())
    assert said(f"estimate --arch digits-mlp --commit alone.root {PROBE}", capsys)[0] == 0  # without its private half


def test_memory_that_is_not_there_is_named(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("zkds.commands.estimate.available_bytes", lambda: 1 << 20)
    out = said(f"estimate --arch digits-mlp --commit data.root {PROBE}", capsys)[1]
    assert "GiB, more than the 0.0 GiB that are free\n" in out


def test_private_models_take_more(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    common = f"--commit data.root {PROBE} --json"
    variants = (
        "--model m.pt",
        "--model m.pt --hide-value",
        "--model m.pt --private-model",
        "--model model.root --private-model",
    )
    shown, hidden, private, root = (json.loads(said(f"estimate {variant} {common}", capsys)[1]) for variant in variants)
    assert shown["messages"] <= hidden["messages"] < private["messages"] == root["messages"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--commit data.root", "estimate: expected --model or --arch"),
        ("--model model.root --commit data.root", "model.root needs --private-model"),
        ("--model model.root --private-model --arch mlp --commit data.root", "are for checkpoints"),
        ("--arch lenet5 --commit data.root", "expected an input of (1, 8, 8)"),
        ("--arch digits-mlp --commit data.root --batch-size 3", "15 records are needed"),
        ("--arch digits-mlp --commit m.pt", "expected a data.root"),
    ],
)
def test_what_cannot_be_estimated(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    code, out, err = said(f"estimate {arguments}", capsys)
    assert code == 2 and not out and message in err
