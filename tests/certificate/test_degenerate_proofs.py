"""Networks that were made to look flat: proofs about them say so, and a verifier refuses them unless it is told otherwise."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.harness.commands import PROBE, SEED, shell
from zkds.api import commit, load_model, prove, verify
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.verifying import Pins, ThresholdRejected, read_statement
from zkds.cli import main

pytestmark = pytest.mark.slow

CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
GAIN, RECORDS = 38, 12
REASONS = {"loud": "saturated batches", "wide": "surplus classes"}
FLAGS = {"loud": "allow_saturated", "wide": "allow_surplus_classes"}


def network(gain, outputs):
    """A network that says which of two features is the larger one, `gain` times as loud as it needs to; it predicts alike."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, outputs))
    with torch.no_grad():
        module[0].weight.copy_(torch.eye(2))
        module[2].weight.zero_()
        module[2].weight[:2] = gain * torch.eye(2) / 5
        for layer in (module[0], module[2]):
            layer.bias.zero_()
    return module.eval()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("degenerate")
    generator, labels = np.random.default_rng(1), np.arange(RECORDS) % 2
    features = np.eye(2)[labels] * 7 + generator.uniform(0, 0.5, (RECORDS, 2))
    np.savez(path / "train.npz", x=features, y=labels)
    commit(path / "train.npz", path / "data.root")
    for name, module in (("plain", network(1, 2)), ("loud", network(GAIN, 2)), ("wide", network(1, 4))):
        torch.export.save(torch.export.export(module, (torch.zeros(1, 2),)), path / f"{name}.pt2")
        seed = bytes.fromhex(SEED)
        proof = prove(load_model(path / f"{name}.pt2"), path / "data.root", CONFIGURATION, seed=seed)
        (path / f"{name}.bin").write_bytes(proof)
    return path


def pinned(folder, name):
    """What a verifier asks for that knows everything but how the network was made."""
    given = {"model": folder / f"{name}.pt2", "commitment": folder / "data.root", "seed": bytes.fromhex(SEED)}
    return given | {"configuration": CONFIGURATION, "tau": "3", "max_loss": "1", "min_accuracy": "1"}


def flags(name, extra=""):
    return (
        f"verify {name}.bin --model {name}.pt2 --commit data.root --seed {SEED} {PROBE} "
        f"--tau 3 --max-loss 1 --min-accuracy 1 --strict --json {extra}"
    )


def test_the_network_itself_is_accepted(folder):
    verdict = verify(folder / "plain.bin", **pinned(folder, "plain"), strict=True)
    assert verdict.statement.warnings == []
    assert shell(flags("plain"), folder).returncode == 0  # as a process; the others, in this one, say more


def test_what_such_proofs_say(folder):
    _, loud = read_statement((folder / "loud.bin").read_bytes())
    assert (loud.results.total_loss, loud.results.values) == (0, (0,))  # as flat as can be
    assert (loud.results.saturated, loud.results.below_eps, loud.surplus_classes) == (2, 2, 0)
    _, wide = read_statement((folder / "wide.bin").read_bytes())
    assert (wide.results.saturated, wide.results.below_eps, wide.surplus_classes) == (0, 0, 2)
    _, plain = read_statement((folder / "plain.bin").read_bytes())
    assert (plain.results.labels, plain.results.margin, loud.results.margin) == (2, 2, 56)


@pytest.mark.parametrize("name", REASONS)
def test_refused_by_name_unless_allowed(folder, name):
    with pytest.raises(ThresholdRejected) as rejected:
        verify(folder / f"{name}.bin", **pinned(folder, name), strict=True)
    assert rejected.value.reason == REASONS[name]
    other = {"loud": "allow_surplus_classes", "wide": "allow_saturated"}[name]
    with pytest.raises(ThresholdRejected, match=REASONS[name]):
        verify(folder / f"{name}.bin", **pinned(folder, name), strict=True, **{other: True})
    verdict = verify(folder / f"{name}.bin", **pinned(folder, name), strict=True, **{FLAGS[name]: True})
    assert any(warning.startswith(REASONS[name]) for warning in verdict.statement.warnings)


@pytest.fixture
def command(folder, monkeypatch, capsys):
    """Runs a command in the folder: (exit code, what it prints)."""

    def run(line):
        monkeypatch.chdir(folder)
        return main(line.split()), capsys.readouterr().out

    return run


@pytest.mark.parametrize("name", REASONS)
def test_by_command(command, name):
    code, printed = command(flags(name))
    assert code == 1 and json.loads(printed)["reason"] == REASONS[name]
    code, printed = command(flags(name, "--" + FLAGS[name].replace("_", "-")))
    assert code == 0, printed
    content = json.loads(printed)
    assert (content["saturated"], content["surplus_classes"]) == ((2, 0) if name == "loud" else (0, 2))


def test_labels_and_margin(folder, command):
    asked = pinned(folder, "plain")
    verify(folder / "plain.bin", **asked, min_labels=2, max_margin=2)
    with pytest.raises(ThresholdRejected, match="labels below the minimum: expected at least 3, got 2"):
        verify(folder / "plain.bin", **asked, min_labels=3)
    with pytest.raises(ThresholdRejected, match=r"margin above the maximum: expected at most 1\.9, got 2"):
        verify(folder / "plain.bin", **asked, max_margin="1.9")
    for limit, reason in (("--min-labels 3", "labels below the minimum"), ("--max-margin 1.5", "margin above the maximum")):
        code, printed = command(flags("plain", limit))
        assert code == 1 and json.loads(printed)["reason"] == reason
    code, printed = command(f"verify plain.bin --min-labels 2 --max-margin 40 --seed {SEED}")
    lines = printed.splitlines()
    assert "labels     2 of 2 classes, distinct labels of the probe's records  >= 2" in lines
    assert "margin     2 nats at most, largest logit less the second largest of a record  <= 40" in lines


def test_the_smallest_data_set(folder, command):
    asked = pinned(folder, "plain")
    verify(folder / "plain.bin", **asked, min_records=RECORDS)
    with pytest.raises(ThresholdRejected, match="records below the minimum: expected at least 13, got 12"):
        verify(folder / "plain.bin", **asked, min_records=RECORDS + 1)
    code, printed = command(flags("plain", f"--min-records {RECORDS + 1}"))
    assert code == 1 and json.loads(printed)["reason"] == "records below the minimum"
    for value in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="min_records: expected a positive int"):
            Pins(min_records=value)
    assert command(flags("plain", "--min-records 0"))[0] == 2
