"""`--policy` of verify, and of calibrate, which writes one: a line for each clause, an exit code for a script."""

import json
from fractions import Fraction

import numpy as np
import pytest

from tests.harness.commands import PROBE, SEED, save, shell, within
from zkds.api import DataRoot, EvaluationPolicy, Policy, policy_text, read_policy, verify
from zkds.circuits.arithmetic.fixed_point import Configuration

pytestmark = pytest.mark.slow

CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
EVALUATE = "--evaluate data.root:4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, its data set, and a proof with an evaluation."""
    path = tmp_path_factory.mktemp("policy")
    images = np.random.default_rng(1).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    np.savez(path / "train.npz", x=images, y=np.arange(12) % 10)
    for seed in (1, 2, 3):
        save(path / f"{seed}.pt", seed)
    for command in (
        "commit --data train.npz",
        f"prove --model 1.pt --commit data.root {PROBE} --seed {SEED} {EVALUATE}",
    ):
        done = within(command, path)
        assert done.returncode == 0, done
    return path


def write(folder, **fields):
    evaluations = (EvaluationPolicy(DataRoot.read(folder / "data.root").digest(), 4, min_accuracy=Fraction(0)),)
    limits = {"tau": Fraction(4000), "max_loss": Fraction(9), "min_accuracy": Fraction(0), "evaluations": evaluations}
    policy = Policy(CONFIGURATION, architecture="digits-mlp", **limits | fields)
    (folder / "policy.toml").write_text(policy_text(policy))


def test_a_line_for_each_clause_through_a_shell(folder):
    write(folder)
    everything = f"verify proof.bin --policy policy.toml --model 1.pt --commit data.root --seed {SEED} --strict"
    found = shell(everything, folder)
    assert found.returncode == 0 and found.stdout.startswith("ACCEPTED, value "), found
    lines = [line[11:] for line in found.stdout.splitlines() if ": asked " in line]
    assert lines[0] == "met      architecture: asked digits-mlp; digits-mlp"
    assert [line.split(": asked")[0] for line in lines] == [
        f"met      {name}"
        for name in (
            "architecture", "surplus classes", "probe", "value", "loss", "accuracy", "saturated batches", "ratios below eps",
            "evaluations", "evaluation 1: accuracy",
        )
    ]  # fmt: skip
    assert "NO LIMIT" not in found.stdout and "NOT PINNED" not in found.stdout


def test_a_policy_that_is_not_met(folder):
    write(folder, tau=Fraction(0), min_records=13)
    found = within(f"verify proof.bin --policy policy.toml --seed {SEED}", folder)
    assert found.returncode == 1 and found.stdout.startswith("REJECTED   policy: records, value\npolicy     met ")
    assert "           NOT MET  records: asked at least 13; 12" in found.stdout.splitlines()
    told = json.loads(within(f"verify proof.bin --policy policy.toml --seed {SEED} --json", folder).stdout)
    assert (told["accepted"], told["reason"]) == (False, "policy: records, value")
    assert [each["name"] for each in told["clauses"] if not each["met"]] == ["records", "value"]


def test_what_the_policy_leaves_to_the_prover(folder):
    write(folder, drawn_by="the auditor")
    found = within("verify proof.bin --policy policy.toml", folder)
    assert found.returncode == 1 and "NOT MET  seed: asked drawn by the auditor, given by the verifier; not" in found.stdout
    given = verify(folder / "proof.bin", policy=folder / "policy.toml", seed=bytes.fromhex(SEED))
    assert given.chosen_by_prover == ("model", "data") and all(clause.met for clause in given.clauses)
    assert within(f"verify proof.bin --policy policy.toml --seed {SEED} --strict", folder).returncode == 2


@pytest.mark.parametrize("beside", ["--tau 1", "--min-records 3", "--allow-saturated", "--steps 2", EVALUATE, "--max-gap 1"])
def test_nothing_else_is_given_beside_it(folder, beside):
    write(folder)
    found = within(f"verify proof.bin --policy policy.toml {beside}", folder)
    assert found.returncode == 2 and "for the policy to say, not beside it" in found.stderr


def test_calibrate_writes_one(folder):
    settings = "--batch-size 2 --steps 2 --lr 0.01 --probes 3"
    done = within(f"calibrate --good 1.pt 2.pt --bad 3.pt --data train.npz {settings} --risk 0.2 --policy made.toml", folder)
    assert done.returncode == 0 and "of models that had no part in tau" in done.stdout, done
    policy = read_policy(folder / "made.toml")
    assert policy.configuration == CONFIGURATION and policy.calibration.risk == Fraction(1, 5)
    assert None not in (policy.max_loss, policy.min_accuracy, policy.max_margin)
    assert 0 <= policy.calibration.false_rejection_interval[0] <= policy.calibration.false_rejection
    found = within(f"verify proof.bin --policy made.toml --seed {SEED}", folder)
    assert "good models rejected" in found.stdout or found.stdout.startswith("REJECTED   policy: value")
    alone = within(f"calibrate --good 1.pt --data train.npz {settings} --policy alone.toml", folder)
    assert alone.returncode == 2 and "expected two good models" in alone.stderr and not (folder / "alone.toml").exists()
    some = within(f"calibrate --good 1.pt 2.pt --data train.npz {settings} --parameters trainable --policy some.toml", folder)
    assert some.returncode == 2 and "--policy: expected --parameters all" in some.stderr
