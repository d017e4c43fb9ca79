"""Weights from files of torch and of safetensors: what they pin, and what is refused."""

import json
import struct
from dataclasses import replace

import pytest
import torch

from tests.harness.certificates import TINY, Case, honest, weights
from zkds_verify import model_file
from zkds_verify.command import main
from zkds_verify.rejection import NotAProof

pytestmark = pytest.mark.any_kernels


def state_dict(network):
    """Exact in float64."""
    return {name: torch.tensor(integers / 2**40, dtype=torch.float64) for name, integers in weights(network).items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "proof.bin").write_bytes(honest(replace(TINY, zero_knowledge=True))[0])
    return folder


def ours(folder, capsys, *words):
    code = main([str(folder / "proof.bin"), "--json", *map(str, words)])
    return code, json.loads(capsys.readouterr().out)


def test_a_state_dict(folder, capsys):
    torch.save(state_dict("dense"), folder / "m.pt")
    code, found = ours(folder, capsys, "--model", folder / "m.pt")
    assert (code, found["chosen_by_prover"][0]) == (0, "model"), "the network is not pinned"
    code, found = ours(folder, capsys, "--model", folder / "m.pt", "--network", found["network"])
    assert (code, found["chosen_by_prover"]) == (0, ["data", "seed", "probe"])
    code, found = ours(folder, capsys, "--model", folder / "m.pt", "--network", "00" * 32)
    assert (code, found["reason"]) == (1, "model")


def test_another_weight(folder, capsys):
    changed = state_dict("dense")
    changed["fc.bias"][1] += 2**-40
    torch.save({"arch": "dense", "state_dict": changed}, folder / "other.pt")
    code, found = ours(folder, capsys, "--model", folder / "other.pt")
    assert (code, found["reason"]) == (1, "model")
    changed["fc.bias"][1] = 2**-50
    torch.save(changed, folder / "vanishing.pt")
    assert ours(folder, capsys, "--model", folder / "vanishing.pt")[1]["reason"] == "model"


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "bfloat16"])
def test_kinds_of_numbers(tmp_path, kind):
    values = torch.tensor([[0.5, -1.25, 3.0], [0.0, -0.0, 2.0]], dtype=getattr(torch, kind)).T
    torch.save({"module.a": values, "module.b": torch.nn.Parameter(values[0])}, tmp_path / "m.pt")
    found = model_file.read(tmp_path / "m.pt")
    assert found == {"a": ((3, 2), (0.5, 0.0, -1.25, -0.0, 3.0, 2.0)), "b": ((2,), (0.5, 0.0))}


def test_safetensors(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {}}).encode()
    data = struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1.5, -2.0)
    (tmp_path / "m.safetensors").write_bytes(data)
    assert model_file.read(tmp_path / "m.safetensors") == {"a": ((2,), (1.5, -2.0))}
    for bad in (data[:-1], data[:20], b"", data.replace(b"F32", b"F99")):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(NotAProof):
            model_file.read(tmp_path / "bad")


class Hostile:
    def __reduce__(self):
        return print, ("executed",)


def test_nothing_is_executed(tmp_path, capsys):
    for content in ({"a": Hostile()}, [1, 2], torch.nn.Linear(1, 1)):
        torch.save(content, tmp_path / "m.pt")
        with pytest.raises(NotAProof):
            model_file.read(tmp_path / "m.pt")
    assert "executed" not in capsys.readouterr().out


def test_constants_of_batch_norm(tmp_path, capsys):
    """A file without them is of another network."""
    case = Case("batch norm", "normalised images", zero_knowledge=True)
    (tmp_path / "proof.bin").write_bytes(honest(case)[0])
    torch.save({"conv.weight": torch.zeros(2, 1, 3, 3)}, tmp_path / "m.pt")
    assert ours(tmp_path, capsys, "--model", tmp_path / "m.pt")[1]["reason"] == "model"
