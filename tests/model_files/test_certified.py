"""The certified model as a file of every kind: torch reads it, it has the model's digest, and it is its own certified model."""

import hashlib
import io
import json
import struct
import zipfile

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.harness.hostile_models import safetensors
from zkds.api import quantise
from zkds.circuits.model_files.certified import certified_file, export_file
from zkds.circuits.model_files.model_file import FileKind, load_model, read_model
from zkds.circuits.model_files.written import checkpoint_bytes
from zkds.circuits.networks.grid import grid_values
from zkds.circuits.networks.torch_module import build, save_checkpoint
from zkds.circuits.networks.weights import model_digest

pytestmark = pytest.mark.any_kernels

ARCHITECTURE = "resnet20:1/8"


def with_statistics(module):
    """As if it had seen some batches."""
    with torch.no_grad():
        for name, values in module.named_buffers():
            if name.endswith("running_var"):
                values.uniform_(0.001, 3)
            elif name.endswith("running_mean"):
                values.normal_()
    return module.eval()


@pytest.fixture
def module():
    torch.manual_seed(3)
    return with_statistics(build(ARCHITECTURE))


def digest(model):
    return model_digest(model.network, model.quantised())


def require_certified(model, data):
    """That the file is the model on the grid, and its own certified file. Returns it as a model."""
    found = read_model(io.BytesIO(data))
    assert found.kind is model.kind and found.architecture == model.architecture and found.shapes == model.shapes
    assert digest(found) == digest(model)
    assert certified_file(found, io.BytesIO(data) if model.kind is FileKind.PROGRAM else None) == data
    return found


def require_on_grid(model, found):
    expected = grid_values(model.network, model.quantised())
    assert all(np.array_equal(found.parameters[name], values) for name, values in expected.items())


# ---- checkpoints ----


@pytest.mark.parametrize("architecture", [ARCHITECTURE, "digits-cnn", "lenet-k"])
def test_a_checkpoint(tmp_path, architecture):
    torch.manual_seed(3)
    module = with_statistics(build(architecture))
    save_checkpoint(module, architecture, tmp_path / "m.pt")
    model = load_model(tmp_path / "m.pt")
    data = certified_file(model)
    require_on_grid(model, require_certified(model, data))
    document = torch.load(io.BytesIO(data), weights_only=True)
    assert document["arch"] == architecture and zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    state = document["state_dict"]
    before = {name: value.double() for name, value in module.state_dict().items()}
    assert all(value.dtype == torch.float64 and (value - before[name]).abs().max() < 1e-8 for name, value in state.items())
    fresh = build(architecture)
    assert str(fresh.load_state_dict(state)) == "<All keys matched successfully>"  # of float32, too
    double = build(architecture).double()
    double.load_state_dict(state)
    values = grid_values(model.network, model.quantised())
    assert all(np.array_equal(double.state_dict()[n].numpy().reshape(v.shape), v) for n, v in values.items())


def test_a_bare_state_dict_gets_its_architecture_and_loses_its_prefix(tmp_path, module):
    """Those of DDP, say; other entries, such as an optimizer's, are no part of the model."""
    torch.save({f"module.{name}": value for name, value in module.state_dict().items()}, tmp_path / "bare.pt")
    save_checkpoint(module, ARCHITECTURE, tmp_path / "m.pt")
    bare = load_model(tmp_path / "bare.pt", arch=ARCHITECTURE)
    assert certified_file(bare) == certified_file(load_model(tmp_path / "m.pt"))


def test_safetensors(tmp_path, module):
    state = {name: value.double() for name, value in module.state_dict().items() if not name.endswith("tracked")}
    ends = np.cumsum([value.nbytes for value in state.values()]).tolist()
    header = {
        name: {"dtype": "F64", "shape": list(value.shape), "data_offsets": [end - value.nbytes, end]}
        for (name, value), end in zip(state.items(), ends, strict=True)
    }
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors(header, b"".join(value.numpy().tobytes() for value in state.values())))
    model = load_model(path, arch=ARCHITECTURE)
    data = certified_file(model)
    require_on_grid(model, require_certified(model, data))
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0 and json.loads(data[8 : 8 + length])["__metadata__"] == {"arch": ARCHITECTURE}


def test_the_bytes_of_a_checkpoint_depend_on_nothing_else():
    """Not on the version of torch, nor on the day."""
    data = checkpoint_bytes("digits-mlp", {"a.weight": np.arange(6.0).reshape(2, 3), "a.bias": np.array(0.5)})
    found = torch.load(io.BytesIO(data), weights_only=True)
    assert found["arch"] == "digits-mlp" and found["state_dict"]["a.weight"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert found["state_dict"]["a.bias"].shape == () and b"\x00\x00\x21\x00" in data  # midnight, the first of 1980
    assert hashlib.sha256(data).hexdigest() == "d48ea46c784724131daade2edeeea6b6710d46a8da3d3427aba670451800421b"


# ---- programs ----


class Functional(nn.Module):
    """With parameters and constants whose names in the program are not those in the network."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.w = nn.Parameter(torch.randn(4, 108) / 10)
        self.b = nn.Parameter(torch.randn(4) / 10)
        self.register_buffer("mean", torch.tensor(0.3), persistent=False)
        self.register_buffer("seen_mean", torch.randn(4))
        self.register_buffer("seen_var", torch.rand(4) + 0.1)
        self.gamma = nn.Parameter(torch.rand(4))
        self.beta = nn.Parameter(torch.rand(4))
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        x = functional.relu(self.norm(self.first(x - self.mean)))
        x = functional.linear(x.flatten(1), self.w, self.b)
        return self.last(functional.batch_norm(x, self.seen_mean, self.seen_var, self.gamma, self.beta, eps=1e-3))


def program(dtype):
    torch.manual_seed(1)
    return export_file(with_statistics(Functional()).to(dtype), (1, 8, 8))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_program(dtype):
    """Parameters and means are on the grid in every type, variances in float64; others stand for the same integers."""
    stream = program(dtype)
    model = read_model(stream)
    assert model.names["w.weight"] == "w" and model.names["gamma.running_var"] == "seen_var"
    data = certified_file(model, stream)
    found = require_certified(model, data)
    values = grid_values(model.network, model.quantised())
    for name, expected in values.items():
        if dtype == torch.float64 or not name.endswith("running_var"):
            np.testing.assert_array_equal(found.parameters[name], expected)
        else:
            np.testing.assert_array_equal(found.parameters[name], model.parameters[name])
    stream.seek(0)
    before, after = (torch.export.load(file) for file in (stream, io.BytesIO(data)))
    assert str(before.graph) == str(after.graph) and after.state_dict["w"].dtype == dtype
    x = torch.rand(2, 1, 8, 8, dtype=dtype)
    torch.testing.assert_close(after.module()(x), before.module()(x))


def test_a_module(tmp_path):
    """Exported; it stays as it is itself."""
    module = Functional().eval()
    with torch.no_grad():
        module.w[0, 0] = 2.0**-60
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    layers = quantise(module, tmp_path / "certified.pt2", record_shape=(1, 8, 8))
    assert {layer.layer: layer.vanishing for layer in layers} == {"first": 0, "norm": 0, "w": 1, "gamma": 0, "last": 0}
    assert all(torch.equal(kept[name], value) for name, value in module.state_dict().items())
    stream = export_file(module, (1, 8, 8))
    assert digest(load_model(tmp_path / "certified.pt2")) == digest(read_model(stream))
    assert torch.export.load(tmp_path / "certified.pt2").state_dict["w"][0, 0] == 0
    with pytest.raises(ValueError, match="record_shape: expected the shape of a record"):
        quantise(module, tmp_path / "other.pt2")


# ---- what cannot be written ----


def test_a_channel_that_is_constant_in_a_proof(tmp_path, module):
    with torch.no_grad():
        module.state_dict()["bn1.running_var"][1] = 1e30
    save_checkpoint(module, ARCHITECTURE, tmp_path / "m.pt")
    message = r"m\.pt: bn1\.running_var\[1\]: so large that its channel is constant in a proof, which no model file can say"
    with pytest.raises(ValueError, match=message):
        quantise(tmp_path / "m.pt", tmp_path / "certified.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"]


def test_a_weight_out_of_range(tmp_path, module):
    with torch.no_grad():
        module.state_dict()["conv1.weight"][1, 0, 0, 0] = 8
    save_checkpoint(module, ARCHITECTURE, tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"m\.pt: conv1\.weight\[1, 0, 0, 0\]: expected a number between -8 and 8"):
        quantise(tmp_path / "m.pt", tmp_path / "certified.pt")


def test_a_file_that_became_another_one(tmp_path):
    """The program that torch reads must be the model that was read."""
    (tmp_path / "m.pt2").write_bytes(program(torch.float32).read())
    model = load_model(tmp_path / "m.pt2")
    (tmp_path / "m.pt2").write_bytes(other_program())
    with pytest.raises(ValueError, match="cannot be written with the values of a proof: torch writes it as another network"):
        certified_file(model)


def other_program():
    class Other(Functional):
        def forward(self, x):
            return super().forward(x * 0.5)

    return export_file(Other().eval(), (1, 8, 8)).read()
