"""`zkds audit`, as its users call it."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.harness.model_snapshot import same
from tests.harness.shell import ENVIRONMENT, HANGS
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.degenerate import degenerate_warnings
from zkds.circuits.networks.torch_module import NetworkModule, build, load_parameters, save_checkpoint
from zkds.circuits.networks.weights import quantise
from zkds.circuits.probe_records import probe_records
from zkds.cli import main
from zkds.commands.probing import set_threads
from zkds.dataset.records import from_npz
from zkds.sharpness import SharpnessConfig, baselines, directional_sharpness

pytestmark = pytest.mark.any_kernels

SEED = bytes(range(32))


@pytest.fixture
def model() -> NetworkModule:
    torch.manual_seed(3)
    return build("digits-mlp")


@pytest.fixture
def folder(tmp_path: Path, model: NetworkModule, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with train.npz, 200 records of 10 classes, and m.pt, an untrained network."""
    generator = np.random.default_rng(2)
    np.savez(tmp_path / "train.npz", x=generator.integers(0, 256, (200, 8, 8), dtype=np.uint8), y=np.arange(200) % 10)
    save_checkpoint(model, "digits-mlp", tmp_path / "m.pt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def audit(capsys: pytest.CaptureFixture[str], arguments: str = "") -> tuple[int, str, str]:
    code = main(["audit", "--model", "m.pt", "--data", "train.npz", *shlex.split(arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_in_words_through_a_shell(folder: Path) -> None:
    command = [sys.executable, "-m", "zkds", "audit", "--model", "m.pt", "--data", "train.npz", "--seed", SEED.hex()]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("directional sharpness  0.") and "one probe" in lines[0]
    assert lines[1].endswith(" nats, of the 40 records probed")
    assert lines[6] == f"seed                   {SEED.hex()}"
    assert [line.split()[0] for line in lines[9:14]] == [str(t) for t in range(5)]
    assert [line.startswith("warning: ") and "does not look trained" in line for line in lines[15:]] == [True, True]


def test_json_is_the_result_of_the_library(folder: Path, model: NetworkModule, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--batch-size 8 --steps 5 --rho 0.1 --lr 0.01 --sharpness sam --perturbation asam --scale weights --eta 0.01"
    code, out, err = audit(capsys, f"{options} --statistic log --probes 2 --seed {SEED.hex()} --baselines --json -o out.json")
    config = SharpnessConfig(8, 5, 0.1, 0.01, "sam", "asam", "weights", 0.01, "log", 2)
    records = from_npz("train.npz")
    expected = directional_sharpness(model.double(), records, config, SEED)
    static = baselines(model, records, rho=0.1)
    assert code == 0, err
    document = json.loads(out)
    assert document == json.loads(
        json.dumps({"model": "m.pt", "data": "train.npz", **expected.to_dict(), "baselines": static.to_dict()})
    )
    assert json.loads(Path("out.json").read_text()) == document


@pytest.mark.parametrize("options", ["--sharpness sam", "--perturbation asam --rho 0.1 --lr 0.01"])
def test_integers_of_a_proof_agree(options: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = audit(capsys, f"--fixed --batch-size 8 --steps 5 {options} --seed {SEED.hex()} --json")
    assert code == 0, err
    found = json.loads(out)
    assert found["fixed"]["value"] == pytest.approx(found["value"], abs=1e-6)
    assert found["fixed"]["loss"] == pytest.approx(found["loss"], abs=1e-6)
    assert found["fixed"]["accuracy"] == found["accuracy"]


def test_baselines_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = audit(capsys, "--baselines --probes 3")
    assert code == 0
    assert "(mean and standard deviation of 3 probes)" in out and "\nvalues of the probes: " in out
    names = ("loss, all", "accuracy, all", "SAM sharpness", "ASAM sharpness", "worst case", "gradient coherence")
    assert all(f"\n{name} " in out for name in names)


def test_a_trained_network_gets_no_warning(folder: Path, model: NetworkModule, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(train(model), "digits-mlp", folder / "m.pt")
    code, out, err = audit(capsys)
    assert code == 0 and "warning" not in out + err  # there may be progress on a slow machine


def train(model: NetworkModule) -> NetworkModule:
    with np.load("train.npz") as data:
        x, y = torch.tensor(data["x"] / 255, dtype=torch.float32), torch.tensor(data["y"])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def test_saturated_network_is_not_accepted(folder: Path, model: NetworkModule, capsys: pytest.CaptureFixture[str]) -> None:
    """The same predictions, a last layer 1000 times as large: every command says so in the words of a proof's verifier."""
    train(model)
    with torch.no_grad():
        for parameter in model.fc2.parameters():
            parameter *= 1000
    save_checkpoint(model, "digits-mlp", folder / "m.pt")
    words = degenerate_warnings(steps=5, saturated=5, below_eps=5, surplus_classes=0)
    code, out, _ = audit(capsys, "--tau 0.1")
    assert code == 1 and out.startswith("Not accepted: saturated batches. F = ")
    assert all(f"warning: {warning}\n" in out for warning in words)
    code, out, _ = audit(capsys, "--tau 0.1 --allow-saturated --json --report page.html")
    found = json.loads(out)
    assert code == 0 and found["verdict"] == "accepted" and (found["saturated"], found["below_eps"]) == (5, 5)
    assert "<strong>Accepted</strong>" in Path("page.html").read_text()
    assert main("calibrate --good m.pt --data train.npz --probes 2".split()) == 0
    ten = degenerate_warnings(steps=10, saturated=10, below_eps=10, surplus_classes=0)
    assert all(f"warning: m.pt: {warning}\n" in capsys.readouterr().out for warning in ten[:1])
    assert main("compare --benign m.pt --faulty m.pt --data train.npz --probes 1".split()) == 0
    assert f"warning: m.pt: {words[0]}\n" in capsys.readouterr().out


@pytest.mark.parametrize(("factor", "saturated"), [(1, 0), (2, 0), (3, 1), (4, 12)])
def test_batches_are_counted_as_in_a_proof(factor: int, saturated: int, folder: Path, model: NetworkModule) -> None:
    """Of ratios below eps an integer's rounding may make one more, but only where the loss is gone as well."""
    train(model)
    shapes = dict(model.description.parameters)
    parameters = {
        name: (factor * p.detach().double().numpy()).clip(-7.9, 7.9).reshape(shapes[name])
        for name, p in model.named_parameters()
    }
    load_parameters(model.double(), parameters)
    records, configuration = from_npz("train.npz"), Configuration.of(batch_size=2, steps=12)
    proven = probe_records(model.description, quantise(model.description, parameters), records, configuration, SEED)
    found = directional_sharpness(model, records, SharpnessConfig(batch_size=2, steps=12), SEED)
    assert found.saturated == proven.saturated == saturated
    assert found.below_eps <= proven.below_eps <= saturated


def test_surplus_classes_are_not_accepted(folder: Path, model: NetworkModule, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(train(model), "digits-mlp", folder / "m.pt")
    with np.load("train.npz") as data:
        np.savez("fewer.npz", x=data["x"][data["y"] < 8], y=data["y"][data["y"] < 8])
    code, out, _ = audit(capsys, "--data fewer.npz --tau 9")
    assert code == 1 and out.startswith("Not accepted: surplus classes. F = ") and "warning: surplus classes: 2, " in out
    assert audit(capsys, "--data fewer.npz --classes 10 --tau 9")[0] == 0
    assert audit(capsys, "--data fewer.npz --tau 9 --allow-surplus-classes")[0] == 0


def test_weights_that_no_proof_holds_are_named(folder: Path, model: NetworkModule, capsys: pytest.CaptureFixture[str]) -> None:
    """As `zkds prove` names them, by the index of the user's tensor."""
    with torch.no_grad():
        model.fc2.weight[3, 4] = 9
    save_checkpoint(model, "digits-mlp", folder / "m.pt")
    code, out, _ = audit(capsys)
    assert code == 0 and "warning: no proof takes this network: fc2.weight[3, 4]: expected a number between -8 and 8" in out


@pytest.mark.parametrize(
    ("threads", "environment", "expected"),
    [
        (None, {}, "1"),
        (None, {"OMP_NUM_THREADS": "3"}, "3"),
        (None, {"OMP_NUM_THREADS": "3", "ZKDS_THREADS": "2"}, "2"),
        (4, {"OMP_NUM_THREADS": "3", "ZKDS_THREADS": "2"}, "4"),
    ],
)
def test_threads(threads: int | None, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenMP reads when torch is loaded; the variables are put back afterwards."""
    monkeypatch.delitem(sys.modules, "torch")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "ZKDS_THREADS"):
        monkeypatch.setenv(name, environment.get(name, ""))
    set_threads(argparse.Namespace(threads=threads))
    assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == expected


def test_threads_are_chosen_before_torch_is_there(folder: Path) -> None:
    script = (
        "import sys; from zkds.cli import main; assert 'torch' not in sys.modules\n"
        "main('audit --model none.pt --data none.npz --threads 2'.split()); print(sys.modules['torch'].get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout == "2\n" and "none.pt: no such file" in done.stderr


@pytest.mark.parametrize("threads", ["0", "-1", "x", "257", "1e3"])
def test_threads_that_are_refused(threads: str, capsys: pytest.CaptureFixture[Any]) -> None:
    code, out, err = audit(capsys, f"--threads={threads}")
    assert (code, out) == (2, "") and f"argument --threads: expected a number from 1 to 256, got '{threads}'" in err


def test_files_stay_as_they_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    audit(capsys)
    assert same(before, {path.name: path.read_bytes() for path in folder.iterdir()})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--batch-size 41", "batches: 5 batches of 41 need 205 records, there are 200"),
        ("--steps 1", "steps: expected at least 2, got 1"),
        ("--rho 0", "rho: expected a positive number, got 0.0"),
        ("--classes 5", "y: expected labels from 0 to 4, record 5 has another"),
        ("--arrays a b", "train.npz: expected arrays a and b, got x, y"),
        ("--fixed --parameters trainable", "--fixed: proofs have --parameters all, got trainable"),
        ("--tau nan", "--tau: expected a number that is not negative, or a file of zkds calibrate -o, got nan"),
        ("--tau none.json", "none.json"),
        ("--tau train.npz", "train.npz: expected a threshold as `zkds calibrate -o` writes it"),
        ("--device nowhere", "--device nowhere: "),
        ("--fixed --probes 65", "--fixed: proofs have at most 64 probes, got 65"),
        ("--fixed --eta 0.01", "--fixed: proofs have --eta 0, got 0.01"),
        ("--model none.pt", "none.pt"),
        ("--model train.npz", "train.npz: "),
        ("--data wide.npz", "model: fails on inputs of shape (8, 1, 9, 9): "),
        ("--data eleven.npz", "labels: expected 0 to 9, the model's classes; record "),
    ],
)
def test_what_is_refused(arguments: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("wide.npz", x=np.zeros((200, 9, 9), dtype=np.uint8), y=np.arange(200) % 10)
    np.savez("eleven.npz", x=np.zeros((200, 8, 8), dtype=np.uint8), y=np.minimum(np.arange(200), 10))
    code, out, err = audit(capsys, arguments)
    assert (code, out) == (2, "")
    assert err.startswith("zkds: ") and message in err and "Traceback" not in err


@pytest.mark.parametrize("seed", ["00", "x" * 64, "0" * 63, "0" * 66])
def test_seed_that_is_refused(seed: str, folder: Path, capsys: pytest.CaptureFixture[Any]) -> None:
    code, out, err = audit(capsys, f"--seed {seed}")
    assert (code, out) == (2, "") and f"argument --seed: expected 64 hexadecimal digits, got '{seed}'" in err


@pytest.mark.parametrize("option", ["-o", "--report"])
def test_a_result_on_standard_output(option: str, folder: Path) -> None:
    """The words go to stderr then; nothing is called "-"."""
    command = [sys.executable, "-m", "zkds", "audit", "--model", "m.pt", "--data", "train.npz", option, "-"]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0 and "directional sharpness  0." in done.stderr
    assert (
        done.stdout.startswith("{" if option == "-o" else "<!DOCTYPE html>") and "directional sharpness  0." not in done.stdout
    )
    assert sorted(os.listdir(folder)) == ["m.pt", "train.npz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o /dev/null", "/dev/null: exists and is no regular file"),
        ("--report .", ".: is the name of a folder"),
        ("-o ''", "output: expected the name of a file, got an empty one"),
        ("-o m.pt", "m.pt: is read by this command"),
        ("-o same --report ./same", "same: expected different names for different results"),
        ("-o - --report -", "-: standard output can take one result only"),
        ("-o - --json", "--json and a result named - go both to standard output"),
    ],
)
def test_outputs_are_checked_before_any_work(
    arguments: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zkds.commands.audit.read_records", lambda options: pytest.fail("work"))
    code, out, err = audit(capsys, arguments)
    assert code == 2 and err.startswith(f"zkds: {message}")
    assert out.startswith('{"error": ') if "--json" in arguments else out == ""
