"""The command line, through a shell."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.harness.commands import ZKDS, interruptible
from tests.harness.shell import ENVIRONMENT, HANGS, ROOT
from zkds import native
from zkds.cli import main
from zkds.dataset.opening import Opening
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Normalization


def shell(command, cwd):
    return subprocess.run(command, shell=True, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=HANGS)


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "train.npz", x=rng.integers(0, 256, (20, 4, 4), dtype=np.uint8), y=np.arange(20) % 3)
    return tmp_path


def test_commit_writes_both_files(data):
    result = shell(f"{ZKDS} commit --data train.npz --classes 10 --normalize 0.5 0.25 --json", data)
    assert (result.returncode, result.stderr) == (0, "")
    root = DataRoot.read(data / "data.root")
    assert json.loads(result.stdout) == {
        "root": root.digest().hex(),
        "records": 20,
        "kind": "image",
        "shape": [1, 4, 4],
        "element": "uint8",
        "classes": 10,
        "public_file": "data.root",
        "private_file": "data.open",
    }
    assert root.schema.normalization == Normalization((1 << 31,), (1 << 30,))
    with Opening(data / "data.open", root) as opening:
        assert len(opening.open([0, 19])[0]) == 2


def test_commit_in_words(data):
    result = shell(f"{ZKDS} commit --data train.npz -o other.root", data)
    assert result.returncode == 0 and result.stdout.startswith(
        f"data root  {DataRoot.read(data / 'other.root').digest().hex()}\n"
    )
    assert "20, kind image, 1 x 4 x 4 uint8, 3 classes" in result.stdout and "other.open" in result.stdout
    again = shell(f"{ZKDS} commit --data train.npz -o other.root", data)
    assert again.returncode == 2 and again.stderr == "zkds: other.root exists; choose another name, or ask to overwrite it\n"
    assert shell(f"{ZKDS} commit --data train.npz -o other.root --overwrite", data).returncode == 0


def test_help_has_examples(data):
    for command in ("--help", "commit --help"):
        result = shell(f"{ZKDS} {command}", data)
        assert result.returncode == 0 and "commit" in result.stdout
    assert "zkds commit --data train.npz" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("commit --data none.npz", "none.npz: no such file or folder; expected a .npz file"),
        ("commit --data train.npz --arrays a b", "expected arrays a and b, got x, y"),
        ("commit --data train.npz --classes 2", "y: expected labels from 0 to 1, record 2 has another"),
        ("commit --data train.npz --normalize 0,0 1", "normalization: expected as many means as deviations"),
        ("commit --data train.npz --normalize 0,0 1,1", "normalization: expected 1 or 1 means"),
        ("commit --data train.npz --normalize a 1", "normalization: expected decimal numbers, got 'a'"),
        ("commit --data train.npz --fraction-bits 3", "fraction_bits: expected only with features"),
        ("commit --data train.npz -o none/data.root", "none/data.root: there is no folder none; make it first"),
        ("commit --data train.npz -o data.open", "expected a name for the public file"),
        ("commit --data . --classes 3", "classes, fraction bits and names of arrays go with .npz files"),
        ("commit --data .", "expected a folder for each of two or more classes, got 0"),
    ],
)
def test_bad_input_exits_with_2(data, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(data)
    assert main(arguments.split()) == 2
    out, errors = capsys.readouterr()
    assert out == "" and errors.startswith("zkds: ") and message in errors
    assert os.listdir(data) == ["train.npz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "required"),
        ("commit", "the following arguments are required: --data"),
        ("commit --data none.npz", "zkds: none.npz: no such file or folder"),
    ],
)
def test_bad_usage_in_a_shell(data, arguments, message):
    result = shell(f"{ZKDS} {arguments}", data)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    ["commit", "commit --data none.npz", "verify none.bin", "verify none.bin --tau -1", "nonsense", "prove --model"],
)
def test_errors_as_json(data, monkeypatch, capsys, arguments):
    """One object on stdout, whatever the command and whether its arguments or its files are at fault."""
    monkeypatch.chdir(data)
    assert main([*arguments.split(), "--json"]) == 2
    out, errors = capsys.readouterr()
    (message,) = json.loads(out).values()
    assert list(json.loads(out)) == ["error"] and errors.endswith(f"zkds: {message}\n")


def test_a_missing_package_is_named_with_its_remedy(data, monkeypatch, capsys):
    def missing(name):
        def raise_it(*arguments, **options):
            raise ModuleNotFoundError(name=name)

        return raise_it

    monkeypatch.chdir(data)
    monkeypatch.setattr("zkds.commands.commit.commit_dataset", missing("torch"))
    assert main(["commit", "--data", "train.npz"]) == 2
    assert capsys.readouterr().err == "zkds: this command needs torch: pip install 'zkds[audit]'\n"
    monkeypatch.setattr("zkds.commands.commit.commit_dataset", missing("zkds.nonsense"))
    with pytest.raises(ModuleNotFoundError):
        main(["commit", "--data", "train.npz"])


def writes(pid, folder):
    """Whether a process has a file of this folder open that has no name, or a temporary one."""
    places = [os.path.realpath(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    return any(place.startswith(str(folder)) and ("(deleted)" in place or ".data.open." in place) for place in places)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_nothing(tmp_path, number, code):
    np.savez(tmp_path / "train.npz", x=np.zeros((15000, 784), dtype=np.uint8), y=np.arange(15000) % 2)
    slow = ENVIRONMENT | {"ZKDS_KERNELS": "portable", "ZKDS_THREADS": "1"}
    command = [sys.executable, "-m", "zkds", "commit", "--data", "train.npz"]
    process = subprocess.Popen(command, cwd=tmp_path, env=slow, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible)
    hangs = time.monotonic() + HANGS
    while not writes(process.pid, tmp_path) and time.monotonic() < hangs:
        time.sleep(0.02)
    assert writes(process.pid, tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=HANGS)
    assert process.returncode == code and "Traceback" not in errors
    assert os.listdir(tmp_path) == ["train.npz"]


def test_a_reader_that_stops_is_no_error(data):
    shell(f"{ZKDS} commit --data train.npz", data)
    result = shell(f"{ZKDS} commit --data train.npz --overwrite | true; exit ${{PIPESTATUS[0]}}".join(("bash -c '", "'")), data)
    assert "Errno" not in result.stderr and "Traceback" not in result.stderr


# ---- the process around it -------------------------------------------------------------------------------------------


@pytest.mark.any_kernels
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        *((f"ZKDS_THREADS={value}", "expected a number from 1 to 256, got ") for value in ("x", "0", "-1", "1000000000", "²")),
        ("ZKDS_KERNELS=fast", "instruction set: expected one of portable, avx2, avx512, amx, got 'fast'"),
    ],
)
def test_bad_settings_are_named(data, setting, message):
    name, value = setting.split("=")
    command = [sys.executable, "-m", "zkds", "commit", "--data", "train.npz"]
    result = subprocess.run(command, cwd=data, env=ENVIRONMENT | {name: value}, capture_output=True, text=True, timeout=HANGS)
    assert result.returncode == 2 and result.stderr.startswith(f"zkds: {name}: {message}"), result
    assert result.stderr.count("\n") == 1 and os.listdir(data) == ["train.npz"]


@pytest.mark.any_kernels
def test_kernels_that_the_processor_lacks_are_named(monkeypatch):
    monkeypatch.setenv("ZKDS_KERNELS", "avx2")
    monkeypatch.setattr(native, "available_instruction_sets", lambda: ("portable",))
    with pytest.raises(ValueError, match="ZKDS_KERNELS: instruction set 'avx2': this processor has only portable"):
        native._configure_from_environment()


@pytest.mark.any_kernels
@pytest.mark.parametrize(
    ("streams", "code", "messages"),
    [
        (">&-", 2, "zkds: standard output is closed; redirect it to /dev/null if nobody should read it\n"),
        ("2>&-", 0, ""),
        ("<&-", 0, ""),
        ("<&- >&- 2>&-", 2, ""),
        (">/dev/full", 2, "zkds: standard output: no space left on device\n"),
        ("2>/dev/full", 0, ""),
        ("--help >/dev/full", 2, "zkds: standard output: no space left on device\n"),
        ("--data none.npz 2>/dev/full", 2, ""),
        ("| true; exit ${PIPESTATUS[0]}", 141, ""),
    ],
)
def test_standard_streams_that_are_closed_or_full(data, streams, code, messages):
    command = f"unset PYTHONUNBUFFERED; {ZKDS} commit --data train.npz --overwrite {streams}"
    result = subprocess.run(["bash", "-c", command], cwd=data, env=ENVIRONMENT, capture_output=True, text=True, timeout=HANGS)
    assert (result.returncode, result.stderr) == (code, messages)
    if code in (0, 141):
        with Opening(data / "data.open", DataRoot.read(data / "data.root")) as opening:
            assert opening.root.count == 20  # nothing else was written into these files


@pytest.mark.any_kernels
@pytest.mark.parametrize("module", ["zkds.cli", "zkds.commands.commit", "numpy"])
@pytest.mark.parametrize(
    ("error", "code", "ends"),
    [("KeyboardInterrupt", 130, "zkds: interrupted"), ("TypeError", 70, "this is a bug in zkds, please report it\n")],
)
def test_errors_while_a_module_is_imported(data, module, error, code, ends):
    """Ctrl-C ends like any other, and only a proof that is rejected ends with 1."""
    (data / "sitecustomize.py").write_text(IMPORT_HOOK.format(module=module, error=error))
    environment = ENVIRONMENT | {"PYTHONPATH": f"{data}:{ROOT}"}
    command = [sys.executable, "-m", "zkds", "commit", "--data", "train.npz"]
    result = subprocess.run(command, cwd=data, env=environment, capture_output=True, text=True, timeout=HANGS)
    assert result.returncode == code and result.stdout == "", result
    assert ends in result.stderr and ("Traceback" in result.stderr) == (code == 70)


IMPORT_HOOK = """
import sys
class Hook:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            raise {error}
sys.meta_path.insert(0, Hook)
"""
