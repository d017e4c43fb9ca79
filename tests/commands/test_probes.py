"""`--probes` of prove, verify, inspect, estimate and audit: the same values everywhere, and how many are asked for."""

import json

import numpy as np
import pytest

from tests.harness.commands import PROBE, SEED, runner, save
from zkds.cli import main
from zkds.commands import DONE, REJECTED

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a data set and a proof of two probes."""
    path = tmp_path_factory.mktemp("probes")
    save(path / "m.pt", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        np.savez("train.npz", x=np.random.default_rng(1).integers(0, 256, (20, 8, 8), dtype=np.uint8), y=np.arange(20) % 10)
        assert main(["commit", "--data", "train.npz", "-o", "data.root"]) == DONE
        arguments = ["prove", "--model", "m.pt", "--commit", "data.root", *PROBE.split(), "--seed", SEED, "--probes", "2"]
        assert main(arguments) == DONE
    return path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    return runner(folder, monkeypatch, capsys)


def test_one_meaning(run):
    """As JSON, and in an audit of the records themselves, in floating point and in the integers of a proof."""
    code, out = run("verify", "proof.bin", "--json", "--seed", SEED, "--probes", "2", *PROBE.split())
    found = json.loads(out)
    assert code == DONE and found["chosen_by_prover"] == ["model", "data"] and found["samples"] == 8
    audit = ["audit", "--model", "m.pt", "--data", "train.npz", *PROBE.split(), "--seed", SEED, "--probes", "2", "--fixed"]
    audited = json.loads(run(*audit, "--json")[1])
    for name in ("value_integers", "total_loss_integer", "correct", "saturated", "below_eps", "labels", "margin"):
        assert audited["fixed"][name] == found[name], name
    assert audited["fixed"]["value"] == pytest.approx(found["value"])
    assert [probe["value"] for probe in audited["probes"]] == pytest.approx(found["values"], abs=1e-6)
    assert [step["indices"] for probe in audited["probes"] for step in probe["history"]] == found["batches"]
    assert audited["spread"] / 2**0.5 == pytest.approx(found["standard_error"], abs=1e-6)


def test_in_words(run):
    code, out = run("verify", "proof.bin", "--seed", SEED)
    lines = out.splitlines()
    assert code == DONE and lines[0].endswith("chosen by the prover: model, data, probe, probes") and " ± " in lines[0]
    place = next(i for i, line in enumerate(lines) if line.startswith("probes     2, each with batches of its own"))
    assert lines[place].endswith("NOT PINNED") and lines[place + 1].strip().startswith("standard error 0.")
    assert "\n  probe 2: step 1: " in run("inspect", "proof.bin")[1]
    for arguments, asked in ((["--probes", "3"], 3), (PROBE.split(), 1)):
        code, out = run("verify", "proof.bin", *arguments)
        assert code == REJECTED and f"probes: the proof has 2; you asked for {asked}" in out


def test_estimates_grow_with_probes(run):
    arguments = ["estimate", "--model", "m.pt", "--commit", "data.root", *PROBE.split(), "--json"]
    one, two = (json.loads(run(*arguments, "--probes", str(probes))[1]) for probes in (1, 2))
    assert one["cells"] < two["cells"] < 2 * one["cells"]


def test_numbers_of_probes_are_checked(folder, capsys):
    assert main(["prove", "--model", "m.pt", "--commit", "data.root", "--probes", "65"]) == 2
    assert "expected a number from 1 to 64, got '65'" in capsys.readouterr().err
