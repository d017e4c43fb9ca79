"""Certificates through a shell: exit codes of every command, messages, what is written and what is not."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.test_cli import interruptible
from zkds.circuits.torch_module import build, save_checkpoint
from zkds.cli import main

pytestmark = pytest.mark.any_kernels

ZKDS = f"{shlex.quote(sys.executable)} -m zkds"
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENVIRONMENT = os.environ | {"PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"}
SEED = "0123456789abcdef" * 4
PROBE = "--steps 2 --batch-size 2 --lr 0.01"
PROVE = f"prove --model m.pt --commit data.root {PROBE} --seed {SEED}"


def shell(arguments, cwd, environment=ENVIRONMENT):
    command = f"{ZKDS} {arguments}"
    return subprocess.run(command, shell=True, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def complaints(result):
    """What was printed to stderr but for progress, which slow work reports."""
    return [line for line in result.stderr.splitlines() if " s left" not in line and "(stage " not in line]


def save(path, seed, architecture="digits-mlp", change=None):
    torch.manual_seed(seed)
    module = build(architecture)
    if change is not None:
        with torch.no_grad():
            change(next(module.parameters()))
    save_checkpoint(module, architecture, path)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Data, models, roots and a proof; tests add files of their own and change none of these."""
    path = tmp_path_factory.mktemp("commands")
    generator = np.random.default_rng(1)
    for name in ("train", "other"):
        np.savez(path / f"{name}.npz", x=generator.integers(0, 256, (12, 8, 8), dtype=np.uint8), y=np.arange(12) % 10)
    save(path / "m.pt", 1)
    save(path / "other.pt", 2)
    save(path / "cnn.pt", 1, "lenet5")
    save(path / "nan.pt", 1, change=lambda weight: weight.view(-1)[3].fill_(float("nan")))
    save(path / "infinite.pt", 1, change=lambda weight: weight.view(-1)[3].fill_(float("inf")))
    save(path / "large.pt", 1, change=lambda weight: weight.view(-1)[3].fill_(8.0))
    save(path / "overflow.pt", 1, change=lambda weight: weight.fill_(7.9))
    for arguments in (
        "commit --data train.npz",
        "commit --data other.npz -o other.root",
        "commit-model --model m.pt",
        f"{PROVE} --json > proved.json",
    ):
        result = shell(arguments, path)
        assert result.returncode == 0 and not complaints(result), result
    damage(path)
    return path


def damage(path):
    """Files that are not quite those that they seem to be."""

    def put(name, data):
        (path / name).write_bytes(data)

    model, proof, root = ((path / name).read_bytes() for name in ("m.pt", "proof.bin", "data.root"))
    put("truncated.pt", model[: len(model) // 2])
    put("text.pt", b"no model\n")
    put("truncated.root", root[:-20])
    put("truncated.open", (path / "data.open").read_bytes())
    put("changed.root", root)
    opened = bytearray((path / "data.open").read_bytes())
    opened[len(opened) // 2] ^= 1
    put("changed.open", bytes(opened))
    put("alone.root", root)
    put("mixed.root", root)
    put("mixed.open", (path / "other.open").read_bytes())
    put("truncated.bin", proof[:-100])
    put("tampered.bin", proof[:-100] + bytes([proof[-100] ^ 1]) + proof[-99:])
    put("version.bin", proof[:8] + b"\2" + proof[9:])
    put("empty.bin", b"")
    put("broken-model.root", (path / "model.root").read_bytes()[:-10])
    put("swapped.root", (path / "model.root").read_bytes())
    put("swapped.open", b"zkdsmodl" + bytes(1000))


def listing(path):
    return {name: (path / name).stat().st_mtime_ns for name in os.listdir(path)}


# ---- what is accepted -------------------------------------------------------------------------------------------------


def test_prove_writes_a_proof_and_says_what_it_proves(folder):
    proved = json.loads((folder / "proved.json").read_text())
    assert proved["proof"] == "proof.bin" and proved["proof_bytes"] == (folder / "proof.bin").stat().st_size
    assert proved["seed"] == SEED and proved["configuration"]["steps"] == 2 and proved["samples"] == 4
    assert set(proved["seconds"]) >= {"model", "probe", "commitment", "opening"}


def test_verify_with_everything_pinned(folder):
    proved = json.loads((folder / "proved.json").read_text())
    arguments = f"verify proof.bin --model m.pt --commit data.root --seed {SEED} {PROBE} --tau 4000 --strict"
    result = shell(f"{arguments} --json", folder)
    verdict = json.loads(result.stdout)
    assert (result.returncode, complaints(result)) == (0, []), result
    assert verdict["accepted"] is True and verdict["not_pinned"] == [] and verdict["mode"] == "zero-knowledge"
    same = set(proved) & set(verdict)
    assert {"value_integer", "total_loss_integer", "batches", "model", "data_root"} <= same
    assert {name: proved[name] for name in same - {"proof_bytes"}} == {name: verdict[name] for name in same - {"proof_bytes"}}
    words = shell(arguments, folder)
    assert words.returncode == 0 and words.stdout.startswith("ACCEPTED   directional sharpness ")
    assert "NOT PINNED" not in words.stdout


def test_verify_says_what_was_not_pinned(folder):
    result = shell("verify proof.bin", folder)
    assert result.returncode == 0 and result.stdout.count("NOT PINNED") == 4
    assert "chosen by the prover, no certification value against a dishonest one" in result.stdout


def test_inspect(folder):
    result = shell("inspect proof.bin --json", folder)
    found = json.loads(result.stdout)
    assert result.returncode == 0 and len(found["batches"]) == 2 and found["soundness_bits"] > 100
    assert sum(found["proof_bytes_by_part"].values()) == found["proof_bytes"]
    words = shell("inspect proof.bin", folder)
    assert words.returncode == 0 and "bytes by part" in words.stdout


def test_private_model(folder):
    result = shell(f"prove --private-model --model model.root --commit data.root {PROBE} --seed {SEED} -o private.bin", folder)
    assert result.returncode == 0 and "model root" in result.stdout
    assert shell("verify private.bin --model model.root", folder).returncode == 0
    for pinned in ("--model m.pt", "--model proof.bin", f"--seed {SEED[::-1]}"):
        assert shell(f"verify private.bin {pinned}", folder).returncode in (1, 2)
    assert "model: kind: expected public, got private" in shell("verify private.bin --model m.pt", folder).stdout


def test_hidden_value(folder):
    result = shell(f"{PROVE} --hide-value --tau 4000 -o hidden.bin --json", folder)
    proved = json.loads(result.stdout)
    assert result.returncode == 0 and proved["value"] is None and proved["threshold"] == 4000
    assert shell("verify hidden.bin --tau 4000", folder).returncode == 0
    below = shell("verify hidden.bin --tau 3999.999", folder)
    assert below.returncode == 1 and below.stdout.startswith("REJECTED   proven threshold above tau: ")


def test_verify_needs_neither_torch_nor_the_prover(folder):
    """With a package `torch` whose import fails, as on a verifier's machine."""
    stub = folder / "stub"
    (stub / "torch").mkdir(parents=True)
    (stub / "torch" / "__init__.py").write_text("raise ImportError('torch was imported')\n")
    environment = ENVIRONMENT | {"PYTHONPATH": f"{stub}:{ROOT}"}
    result = shell(f"verify proof.bin --model m.pt --commit data.root --seed {SEED} --tau 4000", folder, environment)
    assert (result.returncode, complaints(result)) == (0, []), result
    assert shell("inspect proof.bin", folder, environment).returncode == 0
    proved = shell(f"{PROVE} -o without-torch.bin", folder, environment)
    assert proved.returncode == 0, proved  # model files are read as data


@pytest.mark.parametrize("module", ["zkds.commands.verify", "zkds.circuits.certificate", "zkds.api"])
def test_what_a_verifier_imports(module):
    code = f"import sys, {module}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    loaded = set(found.stdout.split())
    assert module in loaded
    assert loaded.isdisjoint({"torch", "galois", "matplotlib", "scipy", "zkds.prover", "zkds.circuits.proving"})


# ---- what is rejected -------------------------------------------------------------------------------------------------

REJECTED = {
    "tampered.bin": "",
    "truncated.bin": "truncated at ",
    "version.bin": "version: expected 1, got 2",
    "empty.bin": "truncated at header",
    "m.pt": "magic",
    "proof.bin --tau 0.001": "value above tau",
    "proof.bin --max-loss 0.5": "loss above the maximum",
    "proof.bin --min-accuracy 0.99": "accuracy below the minimum",
    "proof.bin --model other.pt": "model: expected ",
    "proof.bin --model model.root": "model: kind: expected private, got public",
    "proof.bin --commit other.root": "data root: expected ",
    f"proof.bin --seed {'0' * 64}": "seed: expected ",
    "proof.bin --steps 3": "configuration: expected ",
    "proof.bin --strict --tau 4000": "strict: not pinned: model, data, seed",
}


@pytest.mark.parametrize("arguments", REJECTED)
def test_rejected_with_exit_code_1(folder, arguments, monkeypatch, capsys):
    """In this process, which is faster; some of them through a shell below."""
    monkeypatch.chdir(folder)
    assert main(["verify", *arguments.split()]) == 1
    assert capsys.readouterr().out.startswith(f"REJECTED   {REJECTED[arguments]}")


@pytest.mark.parametrize("arguments", list(REJECTED)[::5])
def test_rejected_through_a_shell(folder, arguments):
    result = shell(f"verify {arguments}", folder)
    assert result.returncode == 1 and not complaints(result), result
    assert result.stdout.startswith(f"REJECTED   {REJECTED[arguments]}")


def test_inspect_shows_nothing_of_a_false_proof(folder):
    result = shell("inspect tampered.bin", folder)
    assert result.returncode == 1 and not complaints(result)
    assert result.stdout.startswith("REJECTED   ") and result.stdout.count("\n") == 1


def test_a_rejection_as_json(folder):
    result = shell("verify proof.bin --tau 0.001 --json", folder)
    found = json.loads(result.stdout)
    assert result.returncode == 1 and found["accepted"] is False and found["reason"] == "value above tau"
    assert found["expected"] == "at most 0.001"


# ---- what cannot be used ----------------------------------------------------------------------------------------------


def proving(**changed):
    options = {"model": "m.pt", "commit": "data.root", "rest": PROBE} | changed
    return f"prove --model {options['model']} --commit {options['commit']} {options['rest']} -o bad.bin"


UNUSABLE = {
    proving(model="none.pt"): "none.pt",
    proving(model="truncated.pt"): "truncated.pt: ",
    proving(model="text.pt"): "text.pt: ",
    proving(model="nan.pt"): "expected a finite number",
    proving(model="infinite.pt"): "expected a finite number",
    proving(model="large.pt"): "large.pt: fc1.weight[0, 3]: expected a number between -8 and 8",
    proving(model="overflow.pt"): "gradient, fc2.weight, first pass of step 0: the value at index ",
    proving(model="cnn.pt"): "network: expected an input of (1, 8, 8), as the data set's, got (1, 28, 28)",
    proving(model="model.root"): "model.root needs --private-model",
    proving(rest=f"{PROBE} --private-model"): "expected a model.root, as `zkds commit-model` writes it",
    proving(model="broken-model.root", rest=f"{PROBE} --private-model"): "broken-model.root: not a model.root",
    proving(model="swapped.root", rest=f"{PROBE} --private-model"): "swapped.open: damaged, or of another network",
    proving(commit="none.root"): "none.root: no such file",
    proving(commit="truncated.root"): "truncated.root: data.root: fields: expected digest tree records schema matrix",
    proving(commit="changed.root"): "changed.open: checksum differs, the file is damaged",
    proving(commit="alone.root"): "alone.open: no such file; zkds commit writes it beside data.root",
    proving(commit="mixed.root"): "mixed.open: belongs to another data.root: use the pair that one `zkds commit` wrote",
    proving(commit="m.pt"): "data.root: first line: expected 'zkds data root v1'",
    proving(rest="--steps 7 --batch-size 2"): "T B = 14 records are needed, the data set has 12",
    proving(rest="--steps 1"): "steps: expected 2 to 1024, got 1",
    proving(rest="--rho 0"): "rho: expected a positive number",
    proving(rest="--lr x"): "learning_rate: expected a decimal number",
    proving(rest=f"{PROBE} --hide-value"): "--hide-value and --tau go together",
    proving(rest=f"{PROBE} --tau 1"): "--hide-value and --tau go together",
    proving(rest=f"{PROBE} --hide-value --tau 0.0001"): "tau: the value is above it",
    proving(rest="--seed 12"): "expected 64 hex digits",
    f"{PROVE} -o .": ".: is the name of a folder, give that of a file",
    f"{PROVE} -o data.open": "data.open: is read by this command, choose another name for its result",
    f"{PROVE} -o /dev/null": "/dev/null: exists and is no regular file; give another name, or - for standard output",
    f"{PROVE} -o - --json": "--json and --output - go both to standard output",
    "commit-model --model m.pt -o -": "model.root and model.open are two files, standard output cannot hold them",
    f"{PROVE} -o none/proof.bin": "none/proof.bin: there is no folder none; make it first",
    proving(rest="--rho 1e999999999"): "rho: expected a decimal number",
    "verify proof.bin --tau 1e999999999": "expected a decimal such as 0.8",
    "verify proof.bin --max-loss nan": "expected a decimal such as 0.8",
    "verify none.bin": "none.bin: no such file",
    "verify proof.bin --model text.pt": "text.pt: ",
    "verify proof.bin --model nan.pt": "expected a finite number",
    "verify proof.bin --commit truncated.root": "data.root: fields: expected ",
    "verify proof.bin --tau x": "expected a decimal such as 0.8, got 'x'",
    "verify": "the following arguments are required: PROOF",
    "commit-model --model nan.pt -o bad.root": "expected a finite number",
    "commit-model --model m.pt": "model.root exists",
    "commit-model --model m.pt -o bad.open": "expected a name for the public file",
}


@pytest.mark.parametrize("arguments", UNUSABLE)
def test_unusable_input_exits_with_2_and_writes_nothing(folder, arguments, monkeypatch, capsys):
    """In this process, which is faster; some of them through a shell below."""
    monkeypatch.chdir(folder)
    before = listing(folder)
    try:
        code = main(shlex.split(arguments))
    except SystemExit as exit:
        code = exit.code
    out, errors = capsys.readouterr()
    assert code == 2 and out == "" and UNUSABLE[arguments] in errors, errors
    assert "Traceback" not in errors and listing(folder) == before


@pytest.mark.parametrize("arguments", list(UNUSABLE)[::12])
def test_unusable_input_through_a_shell(folder, arguments):
    result = shell(arguments, folder)
    assert result.returncode == 2 and result.stdout == "" and UNUSABLE[arguments] in result.stderr


def test_labels_out_of_range(folder):
    np.savez(folder / "labels.npz", x=np.zeros((4, 8, 8), dtype=np.uint8), y=np.array([0, 1, 2, 300]))
    result = shell("commit --data labels.npz --classes 10 -o labels.root", folder)
    assert result.returncode == 2 and "expected labels from 0 to 9, record 3 has another" in result.stderr
    np.savez(folder / "labels.npz", x=np.zeros((12, 8, 8), dtype=np.uint8), y=np.arange(12))
    assert shell("commit --data labels.npz -o labels.root", folder).returncode == 0
    result = shell(f"prove --model m.pt --commit labels.root {PROBE} -o bad.bin", folder)
    assert result.returncode == 2 and "network: 10 outputs, but the data set has 12 classes" in result.stderr


def test_proofs_through_pipes(folder):
    """`-` is standard output of prove, whose words go to stderr then, and standard input of verify and inspect."""
    result = shell(f"{PROVE} -o - | {ZKDS} verify - --tau 4000 && {ZKDS} inspect - < proof.bin", folder)
    assert result.returncode == 0 and "bytes by part" in result.stdout, result
    assert "proved     directional sharpness" in result.stderr and "proved" not in result.stdout
    assert not (folder / "-").exists()
    for closed in ("verify - <&-", "inspect - <&-"):
        result = shell(closed, folder)
        assert (result.returncode, result.stderr) == (2, "zkds: -: standard input is closed\n")


def test_an_existing_proof_stays_if_proving_fails(folder):
    (folder / "kept.bin").write_bytes(b"an older proof")
    assert shell(f"{proving(model='overflow.pt')} -o kept.bin", folder).returncode == 2
    assert (folder / "kept.bin").read_bytes() == b"an older proof"


@pytest.mark.parametrize("sent, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_interrupted_while_proving(folder, sent, code):
    """The signal comes while the proof is being made; neither proof nor temporary file is left."""
    work = folder / f"interrupted {code}"
    work.mkdir()
    arguments = [sys.executable, "-m", "zkds", "prove", "--model", "../m.pt", "--commit", "../data.root", *PROBE.split()]
    watch = f"import sys, runpy; sys.argv = {['zkds', *arguments[3:]]!r}\n" + INTERRUPTIBLE
    process = subprocess.Popen(
        [sys.executable, "-c", watch],
        cwd=work,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    assert process.stdout is not None and process.stdout.readline() == "proving\n"
    time.sleep(0.05)
    process.send_signal(sent)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code and out == "", (process.returncode, errors)
    assert "Traceback" not in errors and os.listdir(work) == []


INTERRUPTIBLE = """
from zkds import prover
whole = prover.prove
def announced(*arguments, **options):
    print("proving", flush=True)
    return whole(*arguments, **options)
prover.prove = announced
from zkds.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_public_files_alone_are_enough_to_verify(folder, tmp_path):
    for name in ("proof.bin", "data.root"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert shell("verify proof.bin --commit data.root", tmp_path).returncode == 0
    assert Path(folder / "data.open").stat().st_mode & 0o777 == 0o600
    assert Path(folder / "model.open").stat().st_mode & 0o777 == 0o600
