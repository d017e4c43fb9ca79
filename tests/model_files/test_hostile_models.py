"""Model files from strangers: each is refused with its reason, in little memory, by the API and through the shell."""

import json
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.harness.hostile_models import HOSTILE, Archive, members_of
from tests.harness.shell import ENVIRONMENT, HANGS
from zkds.api import commit, prove, verify
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.networks.torch_module import build, save_checkpoint

pytestmark = pytest.mark.any_kernels

MEMORY = 2 << 30  # address space of a process; the files would take 4 GiB and more

READ_ALL = """
import json, sys
from pathlib import Path
from zkds.circuits.model_files.model_file import load_model
found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        load_model(path)
        found[path.name] = "accepted"
    except ValueError as error:
        found[path.name] = str(error)
print(json.dumps(found))
"""


def limited(arguments, cwd):
    """A Python process in little memory."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    environment = ENVIRONMENT | {"ZKDS_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, preexec_fn=limit, timeout=HANGS, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model m.pt, its data set, and a proof about them."""
    path = tmp_path_factory.mktemp("hostile")
    torch.manual_seed(1)
    save_checkpoint(build("digits-mlp"), "digits-mlp", path / "m.pt")
    x = np.random.default_rng(1).integers(0, 256, (10, 8, 8), dtype=np.uint8)
    commit((x, np.arange(10)), path / "data.root")
    proof = prove(load_model(path / "m.pt"), path / "data.root", Configuration.of(steps=2, batch_size=2))
    (path / "proof.bin").write_bytes(proof)
    return path


@pytest.fixture(scope="module")
def good(folder):
    """The bytes of a checkpoint in a folder m, as this file's own writer writes it."""
    members = members_of((folder / "m.pt").read_bytes())
    names = [b"m/" + member.name.partition(b"/")[2] for member in members]
    return Archive([type(member)(name, member.data) for name, member in zip(names, members, strict=True)]).encode()


@pytest.fixture(scope="module")
def files(folder, good):
    """name -> path of each hostile file"""
    place = folder / "files"
    place.mkdir()
    paths = {}
    for index, (name, (make, _)) in enumerate(HOSTILE.items()):
        paths[name] = place / f"{index:03}.pt"
        paths[name].write_bytes(make(good))
    return paths


def test_the_writer_of_these_files_writes_good_ones(tmp_path, folder, good):
    (tmp_path / "m.pt").write_bytes(good)
    found, expected = load_model(tmp_path / "m.pt"), load_model(folder / "m.pt")
    np.testing.assert_equal(found.parameters, expected.parameters)
    loaded = torch.load(tmp_path / "m.pt", weights_only=True)["state_dict"]
    np.testing.assert_array_equal(loaded["fc1.bias"].double().numpy(), found.parameters["fc1.bias"])


def test_the_api_refuses_them_in_little_memory(folder, files):
    result = limited(["-c", READ_ALL, str(files["archive: a comment"].parent)], folder)
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout)
    for name, (_, message) in HOSTILE.items():
        path = files[name]
        assert found[path.name].startswith(f"{path}: ") and message in found[path.name], (name, found[path.name])
        assert len(found[path.name]) < 1000 and found[path.name].isascii(), name


SHELL = (
    "archive: two members of one name",
    "archive: names that differ in case",
    "pickle: memo bomb",
    "pickle: a tensor of zeros, without end",
    "pickle: shared tuples",
    "pickle: nested tuples",
    "pickle: integers as names",
    "safetensors: a header that is nested",
)


VERIFY, PROVE = "verify proof.bin --model", "prove --commit data.root -o bad.bin --model"


@pytest.mark.parametrize(("command", "name"), [(VERIFY, name) for name in SHELL] + [(PROVE, name) for name in SHELL[:3]])
def test_the_commands_refuse_them_in_little_memory(folder, files, command, name):
    result = limited(["-m", "zkds", *shlex.split(command), str(files[name])], folder)
    assert result.returncode == 2 and result.stdout == "", result.stderr
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"zkds: {files[name]}: ") and HOSTILE[name][1] in line
    assert not (folder / "bad.bin").exists()


def test_api_verification_refuses_a_polyglot(folder, files):
    """Whose last member, or first, is the network that the proof is about."""
    verify(folder / "proof.bin", model=folder / "m.pt")
    for name in SHELL[:2]:
        with pytest.raises(ValueError, match="archive: two members"):
            verify(folder / "proof.bin", model=files[name])


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    for path in (tmp_path / "pipe.pt", tmp_path, Path("/dev/null")):
        with pytest.raises(ValueError, match=f"{path}: expected a regular file"):
            load_model(path)
