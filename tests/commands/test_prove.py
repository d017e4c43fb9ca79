"""Certificates through a shell: exit codes of every command, messages, what is written and what is not."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.harness.commands import PROBE, SEED, ZKDS, interruptible, save, shell, within
from tests.harness.shell import ENVIRONMENT, HANGS, ROOT
from zkds.api import commit_model, prove, verify
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.threshold import Threshold
from zkds.circuits.networks.torch_module import build
from zkds.cli import main
from zkds.errors import FileError, NotAProof, ZkdsError
from zkds.native import exact

pytestmark = pytest.mark.slow

PROVE = f"prove --model m.pt --commit data.root {PROBE} --seed {SEED}"


def complaints(result):
    """What was printed to stderr but for progress, which slow work reports."""
    return [line for line in result.stderr.splitlines() if " s left" not in line and "(stage " not in line]


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
    put("short.bin", proof[:10])
    put("wrong.json", b'{"tau": 1}')
    put("broken-model.root", (path / "model.root").read_bytes()[:-10])
    put("swapped.root", (path / "model.root").read_bytes())
    put("swapped.open", b"zkdsmodl" + bytes(1000))


def listing(path):
    return {name: (path / name).stat().st_mtime_ns for name in os.listdir(path)}


@pytest.mark.parametrize("bits", [60, 80], ids=["forwards", "backwards"])
def test_sums_that_exact_products_cannot_hold_name_their_layer(folder, monkeypatch, capsys, bits):
    """Networks that reach 113 bits are far to seek: fewer do it."""
    monkeypatch.setattr(exact, "MAX_SUM_BITS", bits)
    message = rf"sum of products, \w+, first pass of step 0: the value at index \(\) does not fit {bits} bits; smaller inputs"
    monkeypatch.chdir(folder)
    assert main([*shlex.split(PROVE), "-o", "none.bin"]) == 2
    assert re.search(message, capsys.readouterr().err)
    with pytest.raises(ZkdsError, match=message):
        prove("m.pt", "data.root", seed=bytes.fromhex(SEED), configuration=Configuration.of(steps=2, batch_size=2))
    assert not (folder / "none.bin").exists()


# ---- what is accepted -------------------------------------------------------------------------------------------------


def test_prove_writes_a_proof_and_says_what_it_proves(folder):
    proved = json.loads((folder / "proved.json").read_text())
    assert proved["proof"] == "proof.bin" and proved["proof_bytes"] == (folder / "proof.bin").stat().st_size
    assert proved["seed"] == SEED and proved["configuration"]["steps"] == 2 and proved["samples"] == 4
    assert set(proved["seconds"]) >= {"model", "probe", "commitment", "opening"}


EVERYTHING = f"--model m.pt --commit data.root --seed {SEED} {PROBE} --tau 4000 --max-loss 99 --min-accuracy 0%"


def test_verify_with_everything_given(folder):
    proved = json.loads((folder / "proved.json").read_text())
    result = shell(f"verify proof.bin {EVERYTHING} --strict --json", folder)
    verdict = json.loads(result.stdout)
    assert (result.returncode, complaints(result)) == (0, []), result
    assert verdict["verdict"] == "accepted" and verdict["accepted"] is True and verdict["mode"] == "zero-knowledge"
    assert verdict["chosen_by_prover"] == verdict["without_limit"] == []
    same = set(proved) & set(verdict)
    assert {"value_integers", "total_loss_integer", "batches", "model", "data_root"} <= same
    assert {name: proved[name] for name in same - {"proof_bytes"}} == {name: verdict[name] for name in same - {"proof_bytes"}}
    words = shell(f"verify proof.bin {EVERYTHING}", folder)
    value = f"value {proved['value']:.6g} <= 4000"
    assert words.returncode == 0
    assert words.stdout.startswith(f"ACCEPTED, {value}; model, data, seed, probe, loss and accuracy as asked for\n")
    assert "NOT PINNED" not in words.stdout and "NO LIMIT" not in words.stdout


def in_words(arguments, capsys):
    """Exit code, first line, all lines of `zkds verify`; beside them `verdict` and `accepted` of its JSON."""
    code = main(["verify", *arguments.split()])
    out = capsys.readouterr().out
    assert main(["verify", *arguments.split(), "--json"]) == code
    verdict = json.loads(capsys.readouterr().out)
    return code, out.splitlines()[0], out, (verdict["verdict"], verdict["accepted"])


def test_verify_says_what_the_prover_chose(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    value = f"value {json.loads((folder / 'proved.json').read_text())['value']:.6g}"
    pins = {"model": "--model m.pt", "data": "--commit data.root", "seed": f"--seed {SEED}", "probe": PROBE}
    chosen = list(pins)
    for number, option in enumerate(pins.values()):
        left = ", ".join(chosen[number + 1 :])
        arguments = f"proof.bin --tau 4000 {' '.join(list(pins.values())[: number + 1])}"
        code, first, out, found = in_words(arguments, capsys)
        assert (code, found) == (0, ("valid", False)), option
        end = f"chosen by the prover: {left}" if left else "no limit asked for: loss, accuracy"
        assert first == f"VALID, {value} <= 4000; {end}"
        assert out.count("NOT PINNED") == 3 - number and out.count("NO LIMIT") == 2
    code, first, out, found = in_words("proof.bin --tau 4000", capsys)
    assert first == f"VALID, {value} <= 4000; chosen by the prover: model, data, seed, probe"
    assert "certification value against a dishonest prover" in out
    code, first, out, found = in_words("proof.bin --commit data.root", capsys)
    assert (code, first) == (0, f"VALID, {value}; chosen by the prover: model, seed, probe")


def test_a_verification_of_nothing_has_an_exit_code_of_its_own(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    code, first, _, found = in_words("proof.bin", capsys)
    assert (code, found) == (3, ("nothing pinned", False))
    assert first.startswith("VALID, NOTHING PINNED: value ") and first.endswith(
        "; chosen by the prover: model, data, seed, probe"
    )
    assert in_words("proof.bin --allow-plain", capsys)[0] == 3


def test_a_calibrated_tau_warns_of_another_probe(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    like = {"steps": 2, "batch_size": 2, "learning_rate": "0.01"}
    for name, fields, warnings in (
        ("like.json", like, []),
        ("unlike.json", like | {"batch_size": 16}, ["records in a step: tau was calibrated with 16, this has 2"]),
    ):
        found = Threshold(Fraction(4000), Configuration.of(**fields), "false-rejection", 0.05, 0.05)
        (folder / name).write_text(found.to_json())
        code, first, out, _ = in_words(f"proof.bin --tau {name}", capsys)
        assert code == 0 and " <= 4000; chosen by the prover: " in first
        assert [line for line in out.splitlines() if "warning" in line] == [f"warning: {text}" for text in warnings]
        assert list(verify("proof.bin", tau=folder / name).warnings) == warnings


def test_the_verdict_says_what_the_proof_is_about(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    out = in_words("proof.bin --tau 4000", capsys)[2]
    for line in (
        "           2,410 parameters, 10 outputs",
        "           12 records, image 1 x 8 x 8 uint8, 10 classes",
        "           the network sees x / 255",
        "           given to the prover, as it says",
        "probe      T=2, B=2, rho=0.05, lr=0.01, eps=1e-12, sharpness ASAM, perturbation SAM  NOT PINNED",
    ):
        assert line in out.splitlines(), line


def test_the_document_names_every_key_of_the_json(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    table = (ROOT / "docs/verdict.md").read_text().split("## As JSON")[1]
    documented = [key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)]
    main(["verify", "proof.bin", "--json"])
    assert list(json.loads(capsys.readouterr().out)) == documented
    main(["inspect", "proof.bin", "--json"])
    assert list(json.loads(capsys.readouterr().out)) == documented
    proved = list(json.loads((folder / "proved.json").read_text()))
    assert proved[proved.index("value") :] == documented[documented.index("value") : documented.index("seed_source") + 1]


def test_strict_needs_everything(folder, monkeypatch, capsys):
    """A missing option is the caller's mistake, told before any work; the probe's options have defaults."""
    monkeypatch.chdir(folder)
    for missing in ("--model m.pt", f"--seed {SEED}", "--tau 4000", "--max-loss 99", "--min-accuracy 0%"):
        assert main(["verify", "none.bin", *EVERYTHING.replace(missing, "").split(), "--strict"]) == 2
        assert (
            f"zkds: --strict accepts nothing that the prover chose: give {missing.split()[0]} as well"
            in capsys.readouterr().err
        )
    assert main(["verify", "proof.bin", "--strict", "--tau", "1"]) == 2
    assert "give --model, --commit, --seed, --max-loss, --min-accuracy as well" in capsys.readouterr().err
    assert main(["verify", "proof.bin", *EVERYTHING.replace(PROBE, "").split(), "--strict"]) == 1
    assert capsys.readouterr().out == ("REJECTED   probe: the proof has T=2, B=2, lr=0.01; you asked for T=5, B=8, lr=0.0001\n")


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
    assert within("verify private.bin --model model.root", folder).stdout.startswith("VALID, value ")
    for pinned in ("--model m.pt", "--model proof.bin", f"--seed {SEED[::-1]}"):
        assert within(f"verify private.bin {pinned}", folder).returncode in (1, 2)
    assert (
        "kind of model: the proof has a private model's root; you asked for a public model"
        in within("verify private.bin --model m.pt", folder).stdout
    )


def test_hidden_value(folder):
    result = within(f"{PROVE} --hide-value --tau 4000 -o hidden.bin --json", folder)
    proved = json.loads(result.stdout)
    assert result.returncode == 0 and proved["value"] is None and proved["threshold"] == 4000
    assert within("verify hidden.bin --tau 4000", folder).returncode == 0
    below = within("verify hidden.bin --tau 3999.999", folder)
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


@pytest.mark.parametrize("module", ["zkds.commands.verify", "zkds.circuits.certificate.verifying", "zkds.api"])
def test_what_a_verifier_imports(module):
    code = f"import sys, {module}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=HANGS)
    loaded = set(found.stdout.split())
    assert module in loaded
    assert loaded.isdisjoint({"torch", "galois", "matplotlib", "scipy", "zkds.prover", "zkds.circuits.certificate.proving"})


# ---- what is rejected -------------------------------------------------------------------------------------------------

REJECTED = {
    "tampered.bin": "",
    "truncated.bin": "truncated at ",
    "proof.bin --tau 0.001": "value above tau",
    "proof.bin --max-loss 0.5": "loss above the maximum",
    "proof.bin --min-accuracy 0.99": "accuracy below the minimum",
    "proof.bin --model other.pt": "model: the proof has ",
    "proof.bin --model model.root": "kind of model: the proof has a public model; you asked for a private model's root",
    "proof.bin --commit other.root": "data root: the proof has ",
    f"proof.bin --seed {'0' * 64}": f"seed: the proof has {SEED}; you asked for {'0' * 64}",
    "proof.bin --steps 3 --batch-size 16": "probe: the proof has T=2, B=2, lr=0.01; you asked for T=3, B=16, lr=0.0001",
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
    assert found["verdict"] == "rejected" and found["expected"] == "at most 0.001"


def test_what_python_refuses(folder, monkeypatch):
    """By the argument's name, before any work."""
    monkeypatch.chdir(folder)
    proof = (folder / "proof.bin").read_bytes()
    for error, message, arguments in (
        (TypeError, "model: expected a torch module, a path or what load_model returns, got int", {"model": 3}),
        (FileError, "m.pt: expected a data.root, this is a zip archive, perhaps a model", {"commitment": "m.pt"}),
        (ValueError, "got a data.root, and no model", {"model": "data.root"}),
        (TypeError, "tau: expected a decimal string, an int, a Decimal or a Fraction, got float", {"tau": 0.8}),
        (ValueError, "tau: expected 0 to 4096 nats, got -1", {"tau": -1}),
        (ValueError, "tau: expected a decimal number, got '1e999999999'", {"tau": "1e999999999"}),
        (ValueError, "min_accuracy: expected a number between 0 and 1, got 95", {"min_accuracy": 95}),
        (ValueError, "wrong.json: expected a threshold", {"tau": folder / "wrong.json"}),
        (
            ValueError,
            "strict: expected everything to be given, commitment, seed, configuration",
            {"model": "m.pt", "strict": True},
        ),
    ):
        with pytest.raises(error, match=re.escape(message)):
            verify(proof, **arguments)
    with pytest.raises(TypeError, match="proof: expected bytes or a path, got int"):
        verify(3)
    with pytest.raises(NotAProof, match=r"m\.pt: not a proof file"):
        verify("m.pt")
    with pytest.raises(ValueError, match="record_shape: expected the shape of a record"):
        commit_model(build("digits-mlp"), "bad.root")
    with pytest.raises(FileNotFoundError, match=r"alone-model\.open: no such file"):
        (folder / "alone-model.root").write_bytes((folder / "model.root").read_bytes())
        prove("alone-model.root", "data.root")


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
    proving(commit="m.pt"): "m.pt: expected a data.root, this is a zip archive, perhaps a model",
    proving(commit="swapped.open"): "swapped.open: expected a name for the public file",
    proving(model="data.root"): "got a data.root, and no model",
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
    "verify proof.bin --max-loss -1": "expected a number from 0 to 4096",
    "verify proof.bin --tau 5000": "expected a number from 0 to 4096",
    "verify proof.bin --min-accuracy 95": "expected a number between 0 and 1, or write 95%",
    "verify proof.bin --min-accuracy 101%": "expected a number between 0 and 1, or write 95%",
    "verify proof.bin --min-accuracy %": "expected a decimal such as 0.8",
    "verify none.bin": "none.bin: no such file",
    "verify m.pt": "m.pt: not a proof file (it is a zip archive, perhaps a model)",
    "verify data.root": "data.root: not a proof file (it is a data.root)",
    "verify empty.bin": "empty.bin: not a proof file (it is empty)",
    "verify short.bin": "short.bin: not a proof file (truncated at header: expected 4 bytes, got 2 bytes)",
    "verify text.pt": "text.pt: not a proof file",
    "verify version.bin": "version.bin: not a proof file (version: expected 1, got 2)",
    "inspect m.pt": "m.pt: not a proof file (it is a zip archive, perhaps a model)",
    "verify proof.bin --commit data.open": "data.open: expected a data.root, this is a data.open, which is private",
    "verify proof.bin --commit m.pt": "m.pt: expected a data.root, this is a zip archive, perhaps a model",
    "verify proof.bin --model data.root": "got a data.root, and no model",
    "verify proof.bin --model model.open": "got a model.open, which is private, and no model",
    "verify proof.bin --model proof.bin": "got a proof, and no model",
    "verify proof.bin --tau wrong.json": "wrong.json: expected a threshold as `zkds calibrate -o` writes it",
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
    code = main(shlex.split(arguments))
    out, errors = capsys.readouterr()
    assert code == 2 and UNUSABLE[arguments] in errors, errors
    assert out.startswith('{"error": ') if "--json" in arguments else out == ""
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
    out, errors = process.communicate(timeout=HANGS)
    assert process.returncode == code and out == "", (process.returncode, errors)
    assert "Traceback" not in errors and os.listdir(work) == []


INTERRUPTIBLE = """
from zkds import prover
whole = prover.prove_vector
def announced(*arguments, **options):
    print("proving", flush=True)
    return whole(*arguments, **options)
prover.prove_vector = announced
from zkds.cli import main
from zkds.errors import FileError, NotAProof
sys.exit(main(sys.argv[1:]))
"""


def test_public_files_alone_are_enough_to_verify(folder, tmp_path):
    for name in ("proof.bin", "data.root"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert shell("verify proof.bin --commit data.root", tmp_path).returncode == 0
    assert Path(folder / "data.open").stat().st_mode & 0o777 == 0o600
    assert Path(folder / "model.open").stat().st_mode & 0o777 == 0o600
