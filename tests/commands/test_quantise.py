"""`zkds quantise` and weights that vanish, through a shell: an attack by a network that is nothing like the certified one."""

import json
import os
import shlex

import numpy as np
import pytest
import torch
from torch import nn

from tests.harness.commands import PROBE, SEED, save, shell, within
from tests.harness.shell import ENVIRONMENT, ROOT
from zkds.api import VanishingWeights, commit_model, load_model, prove, verify
from zkds.circuits.networks.weights import model_digest
from zkds.cli import main

pytestmark = pytest.mark.slow

PATTERNS = np.random.default_rng(1).integers(0, 2, (10, 64))
TINY, AMPLIFIERS = 2.0**-60, 10


class Honest(nn.Module):
    """Nearest patterns: a linear layer that classifies the data without an error."""

    def __init__(self):
        super().__init__()
        patterns = torch.tensor(PATTERNS, dtype=torch.float32)
        self.honest, self.scores = nn.Linear(64, 10), nn.Linear(10, 10, bias=False)
        with torch.no_grad():
            self.honest.weight.copy_(patterns / 8)
            self.honest.bias.copy_(-patterns.sum(1) / 16)
            self.scores.weight.copy_(torch.eye(10))

    def forward(self, x):
        return self.scores(self.honest(x.flatten(1)))


class Attack(Honest):
    """The same, and a branch that decides instead: weights of 2^-60, ten batch norms that multiply by 1900 each, then 2^-42.

    In a proof the first weights and the last ones are 0: nothing comes through the branch, forwards or backwards.
    """

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 10, bias=False), nn.Linear(10, 10, bias=False)
        self.amplify = nn.Sequential(*(nn.BatchNorm1d(10) for _ in range(AMPLIFIERS)))
        with torch.no_grad():
            centred = self.honest.weight - self.honest.weight.mean(0)
            self.first.weight.copy_(centred.roll(1, 0) * TINY)
            self.last.weight.copy_(torch.eye(10) * 2.0**-42)
            for norm in self.amplify:
                norm.weight.fill_(6)
                norm.running_var.zero_()

    def forward(self, x):
        x = x.flatten(1)
        return self.scores(self.honest(x) + self.last(self.amplify(self.first(x))))


def export(module, path):
    torch.export.save(torch.export.export(module.eval(), (torch.zeros(2, 1, 8, 8),)), path)


def accuracy(path):
    """Of the program on the data, as a user of it computes it, in float32."""
    data = np.load(path.parent / "train.npz")
    x, y = torch.tensor(data["x"]).reshape(-1, 2, 1, 8, 8) / 255, torch.tensor(data["y"]).reshape(-1, 2)
    module = torch.export.load(path).module()
    return float(np.mean([(module(a).argmax(1) == b).numpy() for a, b in zip(x, y, strict=True)]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("quantise")
    np.savez(path / "train.npz", x=(PATTERNS * 255).astype(np.uint8).reshape(10, 8, 8), y=np.arange(10))
    export(Attack(), path / "attack.pt2")
    save(path / "m.pt", 1, change=lambda weight: weight.view(-1)[:3].fill_(1e-7))
    save(path / "off.pt", 1, change=lambda weight: weight.view(-1)[:3].fill_(2.0**-60))
    for arguments in ("commit --data train.npz", f"{PROVE} --model m.pt"):
        result = shell(arguments, path)
        assert result.returncode == 0, result
    return path


PROVE = f"prove --commit data.root {PROBE} --seed {SEED}"
VANISH = "weights that vanish on the grid: expected none"


def test_an_attack_by_weights_that_vanish(folder):
    """The certificate says that every prediction is right; of the file that is shown beside it none is."""
    assert accuracy(folder / "attack.pt2") == 0
    refused = within(f"{PROVE} --model attack.pt2 -o attack.bin", folder)
    assert refused.returncode == 2 and VANISH in refused.stderr and not (folder / "attack.bin").exists()
    assert "in first, 10 in last, of attack.pt2" in refused.stderr
    proved = within(f"{PROVE} --model attack.pt2 -o attack.bin --allow-vanishing-weights --json", folder)
    assert proved.returncode == 0 and json.loads(proved.stdout)["accuracy"] == 1
    verified = within("verify attack.bin --model attack.pt2 --min-accuracy 100%", folder)
    assert verified.returncode == 1 and verified.stdout.startswith(f"REJECTED   {VANISH}"), verified
    assert "10 in last, of attack.pt2" in verified.stdout
    known = within("verify attack.bin --model attack.pt2 --min-accuracy 100% --allow-vanishing-weights", folder)
    assert known.returncode == 0 and "warning: weights that vanish on the grid: " in known.stdout
    assert "           last: 2.3e-13, relative 1, 10 of 100 vanish" in known.stdout.splitlines()


def test_the_certified_model_is_what_the_attack_certifies(folder):
    done = within("quantise attack.pt2 -o certified.pt2", folder)
    assert done.returncode == 0 and "warning: weights that vanish on the grid: " in done.stdout, done
    assert accuracy(folder / "certified.pt2") == 1
    proved = within(f"{PROVE} --model attack.pt2 -o again.bin --allow-vanishing-weights --json", folder)
    verified = within("verify again.bin --model certified.pt2 --min-accuracy 100% --json", folder)
    assert verified.returncode == 0 and json.loads(verified.stdout)["warnings"] == []
    assert json.loads(proved.stdout)["model"] == json.loads(verified.stdout)["model"]
    assert not any(layer["vanishing"] for layer in json.loads(verified.stdout)["differences"])


def test_the_whole_way(folder):
    """quantise, then prove, verify and audit of what it wrote; the proof of the model itself is about the same one."""
    before = (folder / "proof.bin").read_bytes()
    done = shell("quantise m.pt -o certified.pt --json", folder)
    found = json.loads(done.stdout)
    assert (done.returncode, found["model"], found["certified"], found["warnings"]) == (0, "m.pt", "certified.pt", [])
    assert [layer["layer"] for layer in found["differences"]] == ["fc1", "fc2"]
    assert 0 < found["differences"][0]["absolute"] <= 2.0**-41
    words = within("verify proof.bin --model m.pt", folder)
    for layer in found["differences"]:
        line = f"           {layer['layer']}: {layer['absolute']:.2g}, relative {layer['relative']:.2g}"
        assert (line in words.stdout.splitlines()) == (layer["absolute"] > 0)
    assert "grid       the model that was given differs from the certified one by " in words.stdout
    verdict = json.loads(within("verify proof.bin --model m.pt --json", folder).stdout)
    assert verdict["differences"] == found["differences"] and verdict["model"] == found["digest"]
    exact = within("verify proof.bin --model certified.pt", folder)
    assert exact.returncode == 0 and "grid       the model that was given is the certified one" in exact.stdout
    assert json.loads(within("verify proof.bin --json", folder).stdout)["differences"] is None
    proved = shell(f"{PROVE} --model certified.pt -o other.bin --json", folder)
    assert json.loads(proved.stdout)["model"] == found["digest"] and (folder / "proof.bin").read_bytes() == before
    assert within("audit --model certified.pt --data train.npz --batch-size 2 --steps 2", folder).returncode == 0


def test_quantised_twice_is_quantised_once(folder):
    for kind in ("pt", "pt2"):
        source = {"pt": "m.pt", "pt2": "attack.pt2"}[kind]
        for name, of in (("once", source), ("twice", f"once.{kind}")):
            done = within(f"quantise {of} -o {name}.{kind}", folder)
            assert done.returncode == 0, done
        assert (folder / f"once.{kind}").read_bytes() == (folder / f"twice.{kind}").read_bytes()
    assert (
        "grid       the model that was given is the certified one: every weight is on the grid"
        in within("quantise once.pt -o twice.pt", folder).stdout
    )


def test_without_torch(folder):
    """A checkpoint takes none, a program says what to install."""
    stub = folder / "stub"
    (stub / "torch").mkdir(parents=True)
    (stub / "torch" / "__init__.py").write_text("raise ModuleNotFoundError('no torch', name='torch')\n")
    environment = ENVIRONMENT | {"PYTHONPATH": f"{stub}:{ROOT}"}
    assert shell("quantise m.pt -o without.pt", folder, environment).returncode == 0
    model, certified = (load_model(folder / name) for name in ("m.pt", "without.pt"))
    digests = [model_digest(each.network, each.quantised()) for each in (model, certified)]
    assert digests[0] == digests[1]
    refused = shell("quantise attack.pt2 -o without.pt2", folder, environment)
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (
        2,
        "zkds: this command needs torch: pip install 'zkds[audit]'",
    )


def test_nobody_else_reads_what_only_the_owner_could(folder):
    save(folder / "secret.pt", 5)
    os.chmod(folder / "secret.pt", 0o600)
    for source, mode in (("secret.pt", 0o600), ("m.pt", 0o666 & ~umask())):
        assert within(f"quantise {source} -o mode.pt", folder).returncode == 0
        assert (folder / "mode.pt").stat().st_mode & 0o777 == mode


def umask():
    found = os.umask(0)
    os.umask(found)
    return found


def test_on_standard_output(folder):
    done = shell("quantise m.pt -o - > piped.pt", folder)
    assert done.returncode == 0 and "certified  -, 2,410 parameters" in done.stderr
    assert shell("quantise m.pt -o named.pt", folder).returncode == 0
    assert (folder / "piped.pt").read_bytes() == (folder / "named.pt").read_bytes()


def test_every_command_that_makes_something_of_a_model_refuses(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for make in (lambda: prove("off.pt", "data.root"), lambda: commit_model("off.pt", "off.root")):
        with pytest.raises(VanishingWeights, match=r"got 3 in fc1, of off\.pt"):
            make()
    assert within("commit-model --model off.pt -o off.root", folder).returncode == 2 and not (folder / "off.root").exists()
    assert within("commit-model --model off.pt -o off.root --allow-vanishing-weights", folder).returncode == 0
    with pytest.raises(VanishingWeights, match="weights that vanish on the grid") as caught:
        verify("proof.bin", model="off.pt")
    assert caught.value.reason == "weights that vanish on the grid" and "3 in fc1" in caught.value.actual
    rejected = json.loads(within("verify proof.bin --model off.pt --json", folder).stdout)
    assert rejected["accepted"] is False and rejected["reason"] == "weights that vanish on the grid"


UNUSABLE = {
    "quantise m.pt": "the following arguments are required: -o/--output",
    "quantise m.pt -o m.pt": "m.pt: is read by this command, choose another name for its result",
    "quantise none.pt -o c.pt": "none.pt: no such file",
    "quantise data.root -o c.pt": "got a data.root, and no model",
    "quantise model.root -o c.pt": "got a model.root, and no model",
    "quantise m.pt -o - --json": "--json and --output - go both to standard output",
    "quantise attack.pt2 --arch lenet5 -o c.pt": "arch and strip_prefix are for checkpoints",
    "quantise m.pt -o none/c.pt": "none/c.pt: there is no folder none; make it first",
}


@pytest.mark.parametrize("arguments", UNUSABLE)
def test_bad_input(folder, monkeypatch, capsys, arguments):
    monkeypatch.chdir(folder)
    if not (folder / "model.root").exists():
        commit_model("m.pt", "model.root")
    assert main(shlex.split(arguments)) == 2
    assert UNUSABLE[arguments] in capsys.readouterr().err and not (folder / "c.pt").exists()


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["quantise", "--help"])
    assert "examples:\n  zkds quantise m.pt -o certified.pt " in capsys.readouterr().out
