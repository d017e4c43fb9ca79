"""`--evaluate` of prove, verify, inspect, estimate and audit: the same numbers everywhere, and limits for named data sets."""

import json
from fractions import Fraction

import numpy as np
import pytest

from tests.harness.commands import PROBE, SEED, runner, save
from zkds.cli import main
from zkds.commands import DONE, REJECTED
from zkds.commands.verdict import rounded_down

pytestmark = pytest.mark.slow

EVALUATE = ["--evaluate", "data.root:5", "--evaluate", "test.root:7"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, two data sets and a proof with an evaluation of each."""
    path = tmp_path_factory.mktemp("evaluate")
    generator = np.random.default_rng(1)
    save(path / "m.pt", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        for name, root in (("train", "data"), ("test", "test"), ("spare", "spare")):
            np.savez(f"{name}.npz", x=generator.integers(0, 256, (20, 8, 8), dtype=np.uint8), y=np.arange(20) % 10)
            assert main(["commit", "--data", f"{name}.npz", "-o", f"{root}.root"]) == DONE
        arguments = ["prove", "--model", "m.pt", "--commit", "data.root", *PROBE.split(), "--seed", SEED, *EVALUATE]
        assert main(arguments) == DONE
    return path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    return runner(folder, monkeypatch, capsys)


def test_one_meaning(run):
    """In words, as JSON, and in an audit of the records themselves."""
    code, out = run("verify", "proof.bin", "--json", "--seed", SEED, *EVALUATE, "--max-gap", "9", "--commit", "data.root")
    found = json.loads(out)
    assert code == DONE and found["chosen_by_prover"] == ["model", "probe"] and found["max_gap"] == 9
    code, out = run(
        "audit", "--model", "m.pt", "--data", "train.npz", *PROBE.split(), "--seed", SEED, *EVALUATE, "--fixed", "--json"
    )
    audited = json.loads(out)["evaluations"]
    for proven, computed in zip(found["evaluations"], audited, strict=True):
        assert computed["fixed"] == {name: proven[name] for name in ("total_loss_integer", "correct")}
        assert computed["loss"] == pytest.approx(proven["loss"], abs=1e-5) and computed["correct"] == proven["correct"]
        assert len(set(proven["indices"])) == proven["samples"] and proven["records"] == 20
        assert 0 <= proven["correct_at_least"] <= proven["correct"] + 20 - proven["samples"]
        assert proven["accuracy_at_least_hoeffding"] <= proven["accuracy_at_least"] <= proven["accuracy"]
    assert found["gap"] == pytest.approx(audited[1]["loss"] - audited[0]["loss"], abs=1e-5)


def test_in_words(run):
    code, out = run("verify", "proof.bin", "--seed", SEED)
    lines = out.splitlines()
    assert code == DONE and lines[0].endswith("chosen by the prover: model, data, probe, evaluations")
    start = next(i for i, line in enumerate(lines) if line.startswith("evaluation 2: 7 of 20 records of "))
    assert lines[start].endswith("NOT PINNED") and "7 (" in lines[start + 1]
    assert "accuracy on the 20 committed records is at least 0." in lines[start + 2]
    assert lines[start + 2].endswith("if nobody chose draws or model to suit each other")
    assert lines[start + 3].startswith("gap ")
    assert lines[start + 4].strip() == "nothing shows whether these data sets share records"
    code, out = run("inspect", "proof.bin")
    assert "\n  evaluation 2: " in out


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--evaluate", "test.root:7"], "evaluations"),
        ([*EVALUATE[2:], *EVALUATE[:2]], "evaluations"),
        (["--max-loss", "test.root:0"], "loss of an evaluation above the maximum"),
        (["--min-accuracy", "test.root:100%"], "accuracy of an evaluation below the minimum"),
        (["--min-accuracy", "spare.root:0"], "data set not evaluated"),
        (["--max-loss", "9", "--max-loss", "data.root:0"], "loss of an evaluation above the maximum"),
        (["--max-gap", "-9", "--commit", "data.root"], "gap above the maximum"),
    ],
)
def test_rejections(run, arguments, reason):
    code, out = run("verify", "proof.bin", "--json", *arguments)
    assert code == REJECTED and json.loads(out)["reason"] == reason


def test_a_bound_is_without_condition_only_for_a_model_that_is_given(run):
    """With seed and evaluations alone a prover may have trained on the records that are drawn."""
    for model, ending in ([], "if nobody chose draws or model to suit each other"), (["--model", "m.pt"], ")"):
        _, out = run("verify", "proof.bin", "--seed", SEED, *EVALUATE, *model)
        bounds = [line for line in out.splitlines() if "accuracy on the 20 committed records" in line]
        assert len(bounds) == 2 and all(line.endswith(ending) for line in bounds)


def test_a_printed_lower_bound_is_none_larger_than_the_bound():
    assert [rounded_down(bound) for bound in (Fraction(95996, 10**5), 0.95999, Fraction(1), 0.0)] == [
        "0.9599", "0.9599", "1.0000", "0.0000",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["test.root", "test.root:0", "test.root:x", ":5", "test.root:1e3"])
def test_what_is_no_evaluation(capsys, text):
    assert main(["verify", "proof.bin", "--evaluate", text]) == 2
    assert "expected ROOT:n, such as test.root:1000" in capsys.readouterr().err


def test_two_limits_of_one_set(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["verify", "proof.bin", "--max-loss", "test.root:1", "--max-loss", "test.root:2"]) == 2
    assert "--max-loss: expected one for the probe and one for each data set" in capsys.readouterr().err


def test_more_records_than_there_are(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["estimate", "--model", "m.pt", "--commit", "data.root", "--evaluate", "test.root:21"]) == 2
    assert "expected 1 to 20 records, as the data set has, got 21" in capsys.readouterr().err


def test_estimate(run):
    arguments = ("estimate", "--arch", "digits-mlp", "--commit", "data.root", *PROBE.split(), "--json")
    plain, evaluated = (json.loads(run(*arguments, *more)[1]) for more in ([], ["--evaluate", "test.root:20"]))
    assert evaluated["cells"] > plain["cells"] and evaluated["proof_bytes"] > plain["proof_bytes"] + 20 * 1024


@pytest.mark.parametrize("output", ["test.root", "test.open"])
def test_no_result_replaces_what_is_evaluated(folder, monkeypatch, capsys, output):
    monkeypatch.chdir(folder)
    before = (folder / output).read_bytes()
    audit = ["audit", "--model", "m.pt", "--data", "train.npz", "--evaluate", "test.root:5", "-o", output]
    prove = ["prove", "--model", "m.pt", "--commit", "data.root", "--evaluate", "test.root:5", "-o", output]
    for arguments in (audit, prove):
        assert main(arguments) == 2 and output in capsys.readouterr().err
    assert (folder / output).read_bytes() == before
