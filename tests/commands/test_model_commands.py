"""compare, calibrate, correlate and membership through a shell, with models of the zoo on a few made digits."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.harness.shell import ENVIRONMENT, HANGS
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.threshold import read_threshold
from zkds.circuits.networks.torch_module import build, save_checkpoint
from zkds.cli import main
from zkds.sharpness import SharpnessConfig, directional_sharpness
from zkds.sharpness.tables import read_csv, read_measurements

pytestmark = pytest.mark.any_kernels

ZKDS = f"{shlex.quote(sys.executable)} -m zkds"
SEED = "07" * 32
PROBE = f"--data train.npz --probes 3 --batch-size 4 --steps 3 --seed {SEED}"
CONFIG = SharpnessConfig(batch_size=4, steps=3, probes=3)


def shell(command, cwd):
    return subprocess.run(command, shell=True, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=HANGS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """train.npz, test.npz, and five models; a.pt is trained, the others have their initial weights."""
    path = tmp_path_factory.mktemp("models")
    generator = np.random.default_rng(1)
    patterns = generator.integers(0, 256, (10, 8, 8))
    for name, count in (("train", 60), ("test", 40)):
        y = np.arange(count) % 10
        noise = generator.integers(-40, 41, (count, 8, 8))
        np.savez(path / f"{name}.npz", x=np.clip(patterns[y] + noise, 0, 255).astype(np.uint8), y=y)
    for seed, name in enumerate("abcde"):
        torch.manual_seed(seed)
        module = build("digits-mlp")
        if name == "a":
            train(module, np.load(path / "train.npz"))
        save_checkpoint(module, "digits-mlp", path / f"{name}.pt")
    return path


def train(module, data):
    x, y = torch.tensor(data["x"], dtype=torch.float32).reshape(-1, 1, 8, 8) / 255, torch.tensor(data["y"])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()


@pytest.fixture
def words(folder, monkeypatch, capsys):
    """Runs a command in this process, which is faster than a shell; gives what it prints."""
    monkeypatch.chdir(folder)

    def run(command):
        assert main(command.split()) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def result(words):
    return lambda command: json.loads(words(f"{command} --json"))


def sharpness_of(folder, name):
    """F of each probe, as the library gives it."""
    from zkds.circuits.model_files.model_file import load_model
    from zkds.dataset.records import from_npz

    module, records = load_model(folder / name).module(), from_npz(folder / "train.npz")
    return [probe.value for probe in directional_sharpness(module, records, CONFIG, bytes.fromhex(SEED)).probes]


def test_compare(folder, result):
    found = result(f"compare --benign a.pt a.pt --faulty b.pt c.pt {PROBE} --jobs 2 --csv all.csv --plot two.png")
    a, b = sharpness_of(folder, "a.pt"), sharpness_of(folder, "b.pt")
    assert [model["name"] for model in found["models"]] == ["a.pt", "a.pt", "b.pt", "c.pt"]
    assert found["models"][0]["sharpness"] == a and found["models"][2]["sharpness"] == b
    assert found["comparisons"][0]["sharpness"] == pytest.approx(sum(a) / sum(b))
    assert found["seed"] == SEED and found["config"]["steps"] == 3
    assert any(warning.startswith("b.pt: accuracy") for warning in found["warnings"])
    assert not any(warning.startswith("a.pt") for warning in found["warnings"])
    assert [each.name for each in read_measurements(folder / "all.csv")] == ["a.pt", "b.pt", "c.pt"]
    assert (folder / "two.png").read_bytes().startswith(b"\x89PNG")


def test_compare_in_a_shell(folder):
    found = shell(f"{ZKDS} compare --benign a.pt --faulty b.pt {PROBE}", folder)
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0].startswith("benign / faulty  ") and lines[1].startswith("a.pt / b.pt ") and f"seed   {SEED}" in lines
    assert any(line.startswith("warning: b.pt: loss") for line in lines)


def test_calibrate(folder, result, words):
    found = result(f"calibrate --good a.pt b.pt --bad c.pt {PROBE} --risk 0.2 --plot tau.svg")
    good = sorted(sharpness_of(folder, "a.pt") + sharpness_of(folder, "b.pt"))
    assert found["calibration"]["tau"] == good[4] and found["calibration"]["false_rejection"] == pytest.approx(1 / 6)
    assert (folder / "tau.svg").read_text().startswith("<?xml")
    text = words(f"calibrate --good a.pt b.pt --bad c.pt {PROBE} --risk 0.2")
    assert text.startswith(f"tau               {good[4]:.4g}\n") and "good rejected     16.7%" in text
    assert "bad accepted" in text and "warning: b.pt: " in text


def test_a_threshold_in_a_file(folder, words, monkeypatch, capsys):
    """calibrate writes it with its settings; audit takes it, and warns where its own settings are others."""
    text = words(f"calibrate --good a.pt --bad c.pt {PROBE} --risk 0.4 -o tau.json")
    written = read_threshold(folder / "tau.json")
    values = sorted(sharpness_of(folder, "a.pt"))
    assert float(written.tau) == values[1] and written.false_rejection == pytest.approx(1 / 3)
    assert written.configuration == Configuration.of(batch_size=4, steps=3) and written.parameters == "all"
    assert f"tau               {values[1]:.4g}" in text
    audit = f"audit --model a.pt --data train.npz --seed {SEED} --tau tau.json"
    codes = [main(f"{audit} --batch-size {size} --steps 3 --json".split()) for size in (4, 5)]
    same, other = map(json.loads, capsys.readouterr().out.splitlines())
    assert same["tau"] == other["tau"] == values[1] and same["warnings"] == []
    assert other["warnings"] == ["records in a step: tau was calibrated with 4, this has 5"]
    assert codes[0] == (1 if same["verdict"] == "rejected" else 0)
    assert main(f"calibrate --good a.pt {PROBE} --scale weights -o other.json".split()) == 2
    assert "--output: proofs have --scale all, got weights" in capsys.readouterr().err and not (folder / "other.json").exists()


def test_correlate(folder, result, words):
    (folder / "grid.csv").write_text("model,size,gap\na.pt,1,0.3\nb.pt,2,0.2\nc.pt,3,0.1\nd.pt,4,0.05\n")
    found = result(f"correlate --grid grid.csv {PROBE} --plot gap.png")
    assert [each["measure"] for each in found["correlations"]] == ["directional sharpness", "ASAM sharpness", "loss"]
    assert found["gaps"] == [0.3, 0.2, 0.1, 0.05] and found["correlations"][0]["models"] == 4
    (folder / "open.csv").write_text("model,size\na.pt,1\nb.pt,2\nc.pt,3\n")
    open_grid = result(f"correlate --grid open.csv --test test.npz {PROBE}")
    assert len(open_grid["gaps"]) == 3 and all(abs(gap) < 3 for gap in open_grid["gaps"])
    text = words(f"correlate --grid grid.csv {PROBE}")
    assert text.startswith("4 models\n\nmeasure ") and "by size" in text


def test_membership(folder, result, words):
    found = result(
        f"membership --model a.pt --data train.npz --test test.npz --steps 3 --examples 12 --csv s.csv --seed {SEED}"
    )
    assert (found["members"], found["others"]) == (12, 12)
    assert [each["score"] for each in found["attacks"]] == ["loss", "asam", "sharpness"]
    rows = read_csv(folder / "s.csv")
    inside, outside = ([float(row["loss"]) for row in rows if row["member"] == side] for side in "10")
    wins = sum((a < b) + 0.5 * (a == b) for a in inside for b in outside)
    assert found["attacks"][0]["auc"] == pytest.approx(wins / 144)
    text = words("membership --model a.pt --data train.npz --test test.npz --steps 3 --examples 5")
    assert text.startswith("a.pt: 5 members, 5 others\n") and "directional sharpness" in text


@pytest.mark.parametrize("command", ["compare", "calibrate", "correlate", "membership"])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0 and f"examples:\n  zkds {command} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "compare --benign a.pt --faulty b.pt c.pt --data train.npz",
            "expected one --faulty model for each --benign one, got 1",
        ),
        ("compare --benign z.pt --faulty b.pt --data train.npz", "z.pt: no such file; a model is a file of torch.export.save"),
        ("compare --benign a.pt --faulty train.npz --data train.npz --batch-size 4", "train.npz: "),
        ("compare --benign a.pt --faulty b.pt --data none.npz", "none.npz: no such file or folder"),
        ("compare --benign a.pt --faulty b.pt --data train.npz --steps 90", "90 batches of 8 need 720 records, there are 60"),
        (
            "compare --benign a.pt --faulty b.pt --data train.npz --plot x.gif",
            "--plot x.gif: expected a name that ends in .png",
        ),
        ("compare --benign a.pt --faulty b.pt --data train.npz --csv no/x.csv", "there is no folder no; make it first"),
        ("calibrate --good a.pt --risk 2 --data train.npz", "risk: expected a probability"),
        ("calibrate --good a.pt --limit false-acceptance --data train.npz", "needs at least one model of known bad quality"),
        ("correlate --grid train.npz --data train.npz", "train.npz: expected"),
        ("correlate --grid names.csv --data train.npz", "names.csv: expected a column model"),
        ("correlate --grid bare.csv --data train.npz", "bare.csv: expected either a column gap or --test"),
        ("correlate --grid twice.csv --data train.npz", "twice.csv: expected every model once"),
        ("correlate --grid words.csv --batch-size 4 --steps 2 --probes 1 --data train.npz", "expected a number in every line"),
        ("membership --model a.pt --data train.npz --test none.npz", "none.npz: no such file"),
        ("membership --model a.pt --data train.npz --test test.npz --examples 0", "--examples: expected at least 1"),
    ],
)
def test_bad_input(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    (folder / "names.csv").write_text("file,gap\na.pt,1\n")
    (folder / "bare.csv").write_text("model\na.pt\n")
    (folder / "twice.csv").write_text("model,gap\na.pt,1\na.pt,2\n")
    (folder / "words.csv").write_text("model,gap\na.pt,1\nb.pt,2\nc.pt,small\n")
    assert main(arguments.split()) == 2
    out, errors = capsys.readouterr()
    last = errors.splitlines()[-1]  # before it there may be progress
    assert out == "" and last.startswith("zkds: ") and message in last, errors


def test_a_seed_that_is_none(folder):
    found = shell(f"{ZKDS} calibrate --good a.pt --data train.npz --seed 12", folder)
    assert found.returncode == 2 and "--seed: expected 64 hexadecimal digits, got '12'" in found.stderr


def test_a_table_on_standard_output(folder):
    done = shell(f"{ZKDS} compare --benign a.pt --faulty b.pt {PROBE} --csv -", folder)
    assert done.returncode == 0 and done.stdout.startswith("name,") and done.stdout.count("\n") == 3
    assert "ratio of F" in done.stderr and not (folder / "-").exists()
