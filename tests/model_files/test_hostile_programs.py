"""Hostile exported programs end in a named error, at the API and at the commands."""

import pytest
import torch

from tests.harness.certificates import SOURCES, TINY, honest
from tests.harness.hostile_programs import EDITS, FILES, WEIGHT_EDITS, hostile
from tests.harness.program_files import SHAPE, Small, exported
from zkds.circuits.model_files.model_file import load_model
from zkds.cli import main
from zkds.dataset.files import commit_dataset

pytestmark = pytest.mark.any_kernels

NAMES = [*EDITS, *(f"weights: {name}" for name in WEIGHT_EDITS), *FILES]


@pytest.fixture(scope="module")
def program():
    torch.set_num_threads(1)
    return exported(Small(), SHAPE)


@pytest.fixture(scope="module")
def files(program):
    return hostile(program)


def test_the_program_itself_is_read(program, tmp_path):
    (tmp_path / "m.pt2").write_bytes(program)
    assert load_model(tmp_path / "m.pt2").network.classes == 3


@pytest.mark.parametrize("name", NAMES)
def test_hostile_programs_are_refused_by_name(files, tmp_path, name):
    data, message = files[name]
    path = tmp_path / "m.pt2"
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        load_model(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and message in text
    assert len(text) < 1500 and text.isprintable() is ("\n" not in text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a proof, and a committed data set."""
    path = tmp_path_factory.mktemp("hostile")
    commit_dataset(SOURCES["features"](), path / "data.root")
    (path / "proof.bin").write_bytes(honest(TINY)[0])
    return path


COMMANDS = ("prove --model m.pt2 --commit data.root", "verify proof.bin --allow-plain --model m.pt2", "compile --model m.pt2")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["self_and_input", "reshape_lie", "adaptive_pool_to_nothing", "large_stride", "nested"])
def test_commands_say_so(files, folder, monkeypatch, capsys, command, name):
    monkeypatch.chdir(folder)
    data, message = files[name]
    (folder / "m.pt2").write_bytes(data)
    assert main(command.split()) == 2
    out, errors = capsys.readouterr()
    assert out == "" and "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("zkds: m.pt2: ") and message in errors
    assert {path.name for path in folder.iterdir()} == {"m.pt2", "proof.bin", "data.root", "data.open"}
