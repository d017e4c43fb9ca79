"""Any exported program is measured as the module that it was made from; what can't be is refused by name."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from zkds.cli import main
from zkds.dataset.records import from_arrays
from zkds.sharpness import SharpnessConfig, directional_sharpness
from zkds.sharpness.model_file import load_module
from zkds.sharpness.programs import constants

pytestmark = pytest.mark.any_kernels

SEED = bytes(range(32))
SMALL = SharpnessConfig(batch_size=4, steps=2, learning_rate=0.1)
SHAPE = (1, 8, 8)


@pytest.fixture(autouse=True)
def fixed_generator() -> None:
    torch.manual_seed(4)


def batch_norm() -> nn.Module:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU6(), nn.Conv2d(4, 4, 3, groups=2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    model(torch.rand(20, *SHAPE))
    return model


class Residual(nn.Module):
    """Two convolutions around which the input goes, too; weights used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.scores = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first(x))
        x = functional.gelu(self.second(x)) + x
        x = self.second(x)
        scores: Tensor = self.scores(x.mean((2, 3)))
        return scores


class Transformer(nn.Module):
    """Patches, a token for the class, positions as a buffer, two layers of attention; names types, as such models do."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(1, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
        self.register_buffer("positions", torch.randn(1, 5, 8))
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False
        )
        self.scores = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = (x.float() - torch.tensor([0.25])).to(torch.float32)
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        scores: Tensor = self.scores(self.layers(x)[:, 0])
        return functional.log_softmax(scores, 1, dtype=torch.float32)


def tied() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 3))
    model[4].weight = model[2].weight
    return model


NETWORKS = {"batch norm": batch_norm, "residual": Residual, "transformer": Transformer, "tied": tied}


def export(module: nn.Module, batch: int | None = None) -> torch.export.ExportedProgram:
    """In evaluation mode, for batches of this size alone, or of any."""
    dynamic = None if batch else ({0: torch.export.Dim("batch")},)
    return torch.export.export(module.eval(), (torch.rand(batch or 2, *SHAPE),), dynamic_shapes=dynamic)


def data() -> Any:
    generator = np.random.default_rng(5)
    return from_arrays(generator.integers(0, 256, (20, 8, 8), dtype=np.uint8), np.arange(20) % 3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    generator = np.random.default_rng(5)
    np.savez(tmp_path / "train.npz", x=generator.integers(0, 256, (20, 8, 8), dtype=np.uint8), y=np.arange(20) % 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("batch", [None, 1, 3, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_program_is_its_module(name: str, batch: int | None) -> None:
    """In float32, the type that it was exported in; 3 records a batch don't divide 4."""
    module = NETWORKS[name]().eval()
    expected = directional_sharpness(module, data(), SMALL, SEED)
    found = directional_sharpness(export(module, batch), data(), SMALL, SEED)
    assert found.value == pytest.approx(expected.value, rel=1e-3) and found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert [step.sharpness for step in found.history] == pytest.approx([step.sharpness for step in expected.history], rel=1e-4)


@pytest.mark.parametrize(("name", "batch"), [("batch norm", None), ("residual", 1), ("transformer", 3), ("tied", 1)])
def test_command_in_float64(name: str, batch: int | None, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is the float32 module's; the audit computes in float64, wherever the program names float32."""
    module = NETWORKS[name]().eval()
    torch.export.save(export(module, batch), folder / "m.pt2")
    code = main(f"audit --model m.pt2 --data train.npz --steps 2 --batch-size 4 --lr 0.1 --seed {SEED.hex()} --json".split())
    output, errors = capsys.readouterr()
    assert code == 0, errors
    found = json.loads(output)
    single = directional_sharpness(module, data(), SMALL, SEED)
    assert found["dtype"] == "torch.float64" and found["value"] == pytest.approx(single.value, rel=1e-3)
    if name != "transformer":  # whose types torch can't change in a module
        double = directional_sharpness(module.double(), data(), SMALL, SEED)
        assert found["value"] == pytest.approx(double.value, rel=1e-9)


class Constants(nn.Module):
    """Numbers that a program keeps beside parameters and buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.shift = nn.Linear(64, 3), torch.rand(64)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.linear((x.flatten(1) - torch.tensor([0.25, 0.5]).repeat(32)) @ torch.diag(self.shift))
        return scores


def test_constants_are_computed_with_in_float64() -> None:
    module = Constants()
    program = export(module, 1)
    before = {name: value.dtype for name, value in constants(program.module()).items()}
    assert len(before) == 2 and set(before.values()) == {torch.float32}
    found = directional_sharpness(program, data(), SMALL, SEED, dtype=torch.float64)
    assert found.value == pytest.approx(directional_sharpness(module, data(), SMALL, SEED).value, rel=1e-3)
    used = program.module()
    directional_sharpness(used, data(), SMALL, SEED, dtype=torch.float64)
    assert {name: value.dtype for name, value in constants(used).items()} == before


def test_the_family_of_commands_takes_programs(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zkds.commands.progress.QUIET_SECONDS", float("inf"))  # a slow machine is not told so
    torch.export.save(export(Residual(), 1), folder / "m.pt2")
    probe = "--data train.npz --steps 2 --batch-size 4 --probes 2"
    assert main(f"calibrate --good m.pt2 {probe} --risk 0.5".split()) == 0
    assert main(f"compare --benign m.pt2 --faulty m.pt2 {probe}".split()) == 0
    assert main("membership --model m.pt2 --data train.npz --test train.npz --steps 2 --examples 3".split()) == 0
    assert capsys.readouterr().err == ""


# ---- what is refused ---------------------------------------------------------------------------------------------------


class Output(nn.Module):
    """One linear layer, and what a function makes of its output."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(64, 3), function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.linear(x.flatten(1)))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 3)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores: Tensor = self.linear(x.flatten(1) * mask)
        return scores


def fails(x: Tensor) -> Tensor:
    raise KeyError("the module's own words\nin two lines")


def two_inputs() -> torch.export.ExportedProgram:
    return torch.export.export(TwoInputs(), (torch.rand(2, *SHAPE), torch.rand(64)))


def trained(*layers: nn.Module) -> torch.export.ExportedProgram:
    model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)).train()
    model(torch.rand(2, *SHAPE))
    return torch.export.export(model, (torch.rand(2, *SHAPE),))


def flat() -> torch.export.ExportedProgram:
    return torch.export.export(nn.Linear(64, 3), (torch.rand(64),))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "dict": (
        lambda: export(Output(lambda z: {"logits": z})),
        "model: expected a tensor of logits (B, classes), got dict; wrap",
    ),
    "tuple": (lambda: Output(lambda z: (z, z)), "model: expected a tensor of logits (B, classes), got tuple; wrap"),
    "own error": (lambda: Output(fails), "model: fails on inputs of shape (4, 1, 8, 8): KeyError: "),
    "two inputs": (two_inputs, "model: expected a program with one input, the records, got 2"),
    "dropout": (lambda: trained(nn.Dropout(0.5)), "model: the program was exported in training mode (aten.dropout.default)"),
    "batch norm": (lambda: trained(nn.BatchNorm2d(1)), "model: the program was exported in training mode (aten.batch_norm"),
    "no batch": (flat, "model: the program takes inputs of shape (64), not batches of shape (4, 1, 8, 8); export it with"),
    "size": (lambda: torch.export.export(Output(lambda z: z), (torch.rand(2, 1, 4, 16),)), "model: fails on inputs of shape"),
    "detached": (lambda: Output(lambda z: z.detach()), "model: expected a loss that depends on the parameters"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_model_that_is_refused(name: str) -> None:
    model, message = REFUSED[name]
    with pytest.raises(ValueError) as error:
        directional_sharpness(model(), data(), SMALL, SEED)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_programs_have_their_mode() -> None:
    config = SharpnessConfig(batch_size=4, steps=2, batch_norm="train")
    with pytest.raises(ValueError, match=r'^batch_norm: expected "eval" for an exported program'):
        directional_sharpness(export(batch_norm()), data(), config, SEED)


def saved(program: torch.export.ExportedProgram) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def doubled(content: bytes) -> bytes:
    """The archive with one member twice."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("models/model.json"))
        again = archive.read(name)
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(name, again)
    return buffer.getvalue()


def test_files_that_are_refused(tmp_path: Path) -> None:
    path, content = tmp_path / "m.pt2", saved(export(Residual()))
    for damaged in (content[:-100], content[: len(content) // 2], doubled(content)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"m.pt2: "):
            load_module(path)
    module = Residual()
    with torch.no_grad():
        module.second.weight[1, 2, 0, 1] = torch.nan
    path.write_bytes(saved(export(module)))
    with pytest.raises(ValueError, match=r"m.pt2: second.weight\[1, 2, 0, 1\]: expected a finite number"):
        load_module(path)
    with pytest.raises(ValueError, match=r"m.pt2: arch and strip_prefix are for checkpoints"):
        load_module(path, arch="mlp")
