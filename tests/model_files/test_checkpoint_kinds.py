"""Checkpoints as training tools write them, by torch.save and safetensors; files that hold models in other ways."""

import io
import json
import struct

import numpy as np
import pytest
import torch
from torch import nn

from tests.harness.hostile_models import safetensors
from zkds.api import commit
from zkds.api import load_model as public_load_model
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.networks.torch_module import build
from zkds.cli import main

pytestmark = pytest.mark.any_kernels


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(2)
    return build("digits-mlp")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.pt"


def prefixed(module, prefix):
    return {f"{prefix}{name}": value for name, value in module.state_dict().items()}


def require_model(path, module, **choice):
    model = load_model(path, **choice)
    assert model.architecture == "digits-mlp"
    for name, values in module.state_dict().items():
        np.testing.assert_array_equal(model.parameters[name].reshape(values.shape), values.double().numpy())


def error(path, **choice):
    with pytest.raises(ValueError) as caught:
        load_model(path, **choice)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


FIRST, SECOND = "layer1.0.conv1.weight", "layer1.0.conv2.weight"


def test_one_tensor_under_two_names(path):
    """What a network with tied layers saves."""
    module = build("resnet20:1/16")
    first, second = (dict(module.state_dict())[name] for name in (FIRST, SECOND))
    state = module.state_dict() | {SECOND: first}
    torch.save(state, path)
    assert first.shape == second.shape
    assert error(path, arch="resnet20:1/16").startswith(f"state_dict: {FIRST}, {SECOND}: one tensor under several names")
    torch.save({name: value.clone() for name, value in state.items()}, path)
    load_model(path, arch="resnet20:1/16")


# ---- entries, names, prefixes ----


def test_other_entries_change_nothing(path, module):
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.zeros(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    others = {
        "epoch": 3,
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "history": [(0.5, None), (0.25, True)],
        "device": torch.device("cuda", 1),
        "dtype": torch.float32,
        "shape": torch.Size([1, 8, 8]),
        "seed": 2**63 + 5,
        "random": torch.get_rng_state(),
    }
    torch.save({"arch": "digits-mlp", "state_dict": module.state_dict()} | others, path)
    require_model(path, module)
    torch.save({"model_state_dict": module.state_dict()} | others, path)
    require_model(path, module, arch="digits-mlp")


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "net.", "model._orig_mod."])
def test_known_prefixes(path, module, prefix):
    torch.save({"arch": "digits-mlp", "state_dict": prefixed(module, prefix)}, path)
    require_model(path, module)
    require_model(path, module, strip_prefix=prefix)


def test_wrappers_of_torch(path, module):
    torch.save({"arch": "digits-mlp", "state_dict": nn.DataParallel(torch.compile(module)).state_dict()}, path)
    require_model(path, module)


def test_other_parameters_beside_those_of_a_named_attribute(path, module):
    """As a LightningModule has them: its loss, a teacher."""
    teacher = {f"teacher.{name}": value for name, value in module.state_dict().items()}
    others = teacher | {"loss.weight": torch.ones(10), "counts": torch.arange(3)}
    torch.save({"arch": "digits-mlp", "state_dict": prefixed(module, "model.") | others}, path)
    require_model(path, module)
    torch.save({"arch": "digits-mlp", "state_dict": prefixed(module, "student.net.") | others}, path)
    assert "; they fit without student.net. or teacher.: say so with --strip-prefix TEXT" in error(path)
    require_model(path, module, strip_prefix="student.net.")


def test_two_networks_with_known_prefixes(path, module):
    other = build("digits-mlp")
    torch.save({"arch": "digits-mlp", "state_dict": prefixed(module, "model.") | prefixed(other, "net.")}, path)
    assert error(path).startswith("state_dict: the names fit with and without model. and net.: say which, with --strip-prefix")
    require_model(path, module, strip_prefix="model.")
    require_model(path, other, strip_prefix="net.")


def test_a_prefix_that_does_not_fit(path, module):
    torch.save({"arch": "digits-mlp", "state_dict": module.state_dict()}, path)
    message = error(path, strip_prefix="net.")
    assert message == "state_dict: missing fc1.bias, fc1.weight, fc2.bias, fc2.weight, unknown no name"


# ---- architectures ----


def test_an_architecture_by_name(path, module):
    torch.save(module.state_dict(), path)
    require_model(path, module, arch="digits-mlp")
    assert error(path).startswith(
        "checkpoint: names no architecture and its tensors fit digits-mlp: say which with --arch NAME"
    )
    assert error(path, arch="mlp").startswith("state_dict: missing fc3.bias, fc3.weight, unknown no name")
    assert error(path, arch="resnet").startswith("architecture: expected one of lenet5, ")
    torch.save(prefixed(module, "model."), path)
    assert "its tensors fit digits-mlp: say which" in error(path)
    torch.save({"arch": "MyNet", "state_dict": module.state_dict()}, path)  # a name of its owner
    assert "names an architecture MyNet, which isn't of the zoo, and its tensors fit digits-mlp" in error(path)
    require_model(path, module, arch="digits-mlp")
    torch.save({"arch": "mlp", "state_dict": module.state_dict()}, path)
    assert error(path, arch="digits-mlp") == "arch: the file says mlp, and the caller digits-mlp"


def test_all_architectures_that_fit_are_named(path):
    torch.save(build("lenet5").state_dict(), path)
    assert "its tensors fit lenet5, lenet5-avg: say which" in error(path)
    torch.save(nn.Linear(2, 2).state_dict(), path)
    assert "its tensors fit none of the zoo (lenet5, " in error(path) and "torch.export.save(" in error(path)


def test_an_exported_program_says_its_network_itself(tmp_path, module):
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(module.eval(), (torch.zeros(2, 1, 8, 8),)), path)
    assert error(path, arch="digits-mlp").startswith("arch and strip_prefix are for checkpoints")


# ---- safetensors ----


def as_safetensors(state, metadata=None, *, types=None):
    header, data = {} if metadata is None else {"__metadata__": metadata}, b""
    for name, tensor in state.items():
        values = tensor.contiguous().numpy().tobytes()
        kind = (types or {}).get(name, "F32")
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) + 3) + text + b"   " + data


def test_safetensors(path, module):
    path.write_bytes(as_safetensors(module.state_dict(), {"format": "pt", "arch": "digits-mlp"}))
    require_model(path, module)
    path.write_bytes(as_safetensors(prefixed(module, "module.")))
    require_model(path, module, arch="digits-mlp")
    assert "say which with --arch NAME" in error(path)
    half = module.state_dict() | {"fc1.bias": module.state_dict()["fc1.bias"].half()}
    path.write_bytes(as_safetensors(half, types={"fc1.bias": "F16"}))
    np.testing.assert_array_equal(load_model(path, arch="digits-mlp").parameters["fc1.bias"], half["fc1.bias"].double())
    half["fc1.bias"] = half["fc1.bias"].bfloat16()
    path.write_bytes(as_safetensors({k: v.view(torch.int16) if k == "fc1.bias" else v for k, v in half.items()},
                                    types={"fc1.bias": "BF16"}))  # fmt: skip
    np.testing.assert_array_equal(load_model(path, arch="digits-mlp").parameters["fc1.bias"], half["fc1.bias"].double())
    whole = {**module.state_dict(), "fc1.bias": torch.zeros(32, dtype=torch.int64)}
    path.write_bytes(as_safetensors(whole, types={"fc1.bias": "I64"}))
    assert error(path, arch="digits-mlp") == "fc1.bias: expected a tensor of floats"


def test_damaged_safetensors(path, module):
    data = as_safetensors(module.state_dict(), {"arch": "digits-mlp"})
    rng = np.random.default_rng(1)
    for _ in range(200):
        changed = bytearray(data)
        changed[int(rng.integers(700))] = int(rng.integers(256))
        path.write_bytes(changed[: int(rng.integers(len(data)))] if rng.integers(4) == 0 else changed)
        try:
            load_model(path)
        except ValueError as caught:
            assert str(caught).startswith(f"{path}: ")
    path.write_bytes(safetensors({}))
    assert error(path).startswith("checkpoint: names no architecture")


# ---- files that hold models in other ways ----


def saved(function, *arguments, **options):
    buffer = io.BytesIO()
    function(*arguments, buffer, **options)
    return buffer.getvalue()


FOREIGN = {
    "a program of TorchScript": lambda m: saved(torch.jit.save, torch.jit.trace(m, torch.zeros(2, 1, 8, 8))),
    "a pickled module, zkds.circuits.networks.torch_module.NetworkModule, whose": lambda m: saved(torch.save, m),
    "a model of ONNX": lambda m: b"\x08\x09\x12\x07pytorch\x1a\x062.13.0",
    "a file of HDF5": lambda m: b"\x89HDF\r\n\x1a\n" + bytes(100),
}


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated
@pytest.mark.parametrize("kind", FOREIGN)
def test_files_of_other_kinds_say_which_lines_to_run_instead(path, module, kind):
    path.write_bytes(FOREIGN[kind](module))
    message = error(path)
    assert kind in message
    assert message.splitlines()[-3:] == [
        '  torch.export.save(torch.export.export(model.eval(), (example,)), "m.pt2")',
        "or, for a network of zkds's zoo,",
        '  torch.save({"arch": NAME, "state_dict": model.state_dict()}, "m.pt")',
    ]


def test_files_of_other_kinds_that_are_no_models(path, module):
    np.savez(path.with_suffix(".npz"), x=np.zeros(3))
    assert error(path.with_suffix(".npz")).endswith("got an archive of NumPy's arrays (.npz), which is data and no model")
    np.save(path.with_suffix(".npy"), np.zeros(3))
    assert error(path.with_suffix(".npy")).endswith("got an array of NumPy, which is data and no model")
    state = module.state_dict()
    path.write_bytes(saved(torch.save, state, _use_new_zipfile_serialization=False))
    assert error(path).endswith("before 1.6. Load and save it again with a newer torch")
    path.write_bytes(saved(torch.save, state, pickle_protocol=4))
    assert error(path) == "data.pkl: expected a pickle of protocol 2, torch.save's default"


def test_an_object_of_a_class_beside_the_weights(path, module):
    torch.save({"arch": "digits-mlp", "state_dict": module.state_dict(), "options": pytest.Module}, path)
    message = error(path)
    assert (
        "expected tensors and plain containers only, got _pytest.python.Module. Save the weights alone: torch.save(" in message
    )


# ---- the commands, and Python ----


def test_commands_take_bare_checkpoints(tmp_path, path, module, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({f"backbone.{name}": value for name, value in module.state_dict().items()}, path)
    chosen = "--arch digits-mlp --strip-prefix backbone."
    assert main(f"commit-model --model m.pt {chosen}".split()) == 0
    assert main(f"compile --model m.pt {chosen} --json".split()) == 0
    capsys.readouterr()
    np.savez("train.npz", x=np.random.default_rng(1).integers(0, 256, (20, 8, 8), dtype=np.uint8), y=np.arange(20) % 10)
    for command in ("compile --model m.pt", "commit-model --model m.pt -o n.root", "audit --model m.pt --data train.npz"):
        assert main(command.split()) == 2
        assert "m.pt: checkpoint: names no architecture" in capsys.readouterr().err
    torch.save(prefixed(module, "backbone."), path)
    require_model(path, module, arch="digits-mlp", strip_prefix="backbone.")
    assert public_load_model(path, arch="digits-mlp", strip_prefix="backbone.").architecture == "digits-mlp"


def test_a_model_root_names_its_network_itself(tmp_path, path, module, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"arch": "digits-mlp", "state_dict": module.state_dict()}, path)
    assert main(["commit-model", "--model", "m.pt"]) == 0
    commit((np.zeros((20, 8, 8), np.uint8), np.arange(20) % 10), "data.root")
    capsys.readouterr()
    assert main("prove --private-model --model model.root --commit data.root --arch digits-mlp".split()) == 2
    assert "model.root: --arch and --strip-prefix are for checkpoints" in capsys.readouterr().err


def test_a_weight_out_of_range_is_named_as_its_owner_knows_it(tmp_path, path, module, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    state["fc2.weight"][3, 4] = 9
    torch.save({"arch": "digits-mlp", "state_dict": state}, path)
    assert main(["commit-model", "--model", "m.pt"]) == 2
    assert capsys.readouterr().err == (
        "zkds: m.pt: fc2.weight[3, 4]: expected a number between -8 and 8, the range of weights in a proof (1 of 320 lie "
        "outside); clamp it, or train with weight decay, and check the accuracy\n"
    )
