"""The examples of README.md and docs/python.md run as they stand there."""

import importlib
import os
import re

import pytest

from tests.harness.shell import ROOT
from zkds import api

pytestmark = pytest.mark.slow

README, PYTHON = ROOT / "README.md", ROOT / "docs/python.md"
SUBCLASSES = {  # of ProofRejected, which the documents explain; each names the check that failed
    *("CommitmentRejected", "ConstraintRejected", "GrindingRejected", "InsufficientSecurity", "MalformedProof"),
    *("StatementMismatch", "ZkdsError", "FileError"),
}


def examples(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


def test_the_example_of_the_readme_runs(capsys):
    (example,) = examples(README)
    exec(compile(example, str(README), "exec"), {})
    size, bits = re.fullmatch(r"(\d+) bytes, ([\d.]+) bits of soundness\n", capsys.readouterr().out).groups()
    assert int(size) < 400_000 and float(bits) >= 100


def test_the_examples_of_the_python_interface_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for example in examples(PYTHON):
        exec(compile(example, str(PYTHON), "exec"), names)
    out = capsys.readouterr().out
    assert "probe: the proof has T=5, B=8; you asked for T=10, B=16\n" in out
    assert "('records in a step: tau was calibrated with 16, this has 8',)\n" in out
    assert "got 1 in 1, of model\n" in out
    assert "Status.VALID\n('model', 'seed', 'probe')\n('loss', 'accuracy')\n" in out
    assert sorted(os.listdir()) == sorted(
        [
            "data.root",
            "data.open",
            "model.root",
            "model.open",
            "test.root",
            "test.open",
            "normalised.root",
            "normalised.open",
            "train.npz",
            "m.pt2",
            "certified.pt2",
            "tau.json",
            "policy.toml",
        ]
    )


def test_everything_public_is_documented():
    named = set(re.findall(r"\w+", PYTHON.read_text()))
    public = {*api.__all__, *api.LOADED_WITH_TORCH}
    assert public - named - SUBCLASSES == {
        "Estimate",
        "Model",
        "SharpnessResult",
        "SharpnessStatement",
        "Verdict",
    }  # what calls return
    assert all(getattr(api, name) is not None and getattr(api, name).__doc__ for name in public)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        importlib.import_module("zkds.api").nonsense  # noqa: B018
