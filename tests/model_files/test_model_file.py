"""Model files are read as data, without torch; whatever the bytes are, they give a model or an error that names the file."""

import io
import os
import pickle
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.harness.shell import ENVIRONMENT, HANGS, ROOT
from zkds.circuits.model_files.archive import open_archive
from zkds.circuits.model_files.checkpoint import read_object
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.model_files.stored_tensors import Budget, Storage, StoredTensor
from zkds.circuits.networks import zoo
from zkds.circuits.networks.torch_module import build, save_checkpoint

pytestmark = pytest.mark.any_kernels


@pytest.fixture(autouse=True)
def generator():
    torch.manual_seed(4)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(5)
    return build("digits-cnn")


@pytest.fixture(scope="module")
def checkpoint_file(module, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "m.pt"
    save_checkpoint(module, "digits-cnn", path)
    return path


@pytest.fixture(scope="module")
def program_file(module, tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "m.pt2"
    torch.export.save(torch.export.export(module.eval(), (torch.zeros(2, 1, 8, 8),)), path)
    return path


def save(path, document):
    torch.save(document, path)
    return path


def tensors_of(path):
    """The dictionary of tensors in a file of torch.save, as arrays."""
    with open_archive(path) as archive:
        return {name: value.read() for name, value in read_object(archive).items()}


def digits_document(module):
    return {"arch": "digits-cnn", "state_dict": module.state_dict()}


def error(path):
    with pytest.raises(ValueError, match=str(path)) as caught:
        load_model(path)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("file", ["checkpoint_file", "program_file"])
def test_both_kinds_hold_the_same_model(module, file, request):
    model = load_model(request.getfixturevalue(file))
    network, parameters, architecture = model.network, model.parameters, model.architecture
    assert network == zoo.network("digits-cnn")
    assert architecture == ("digits-cnn" if file == "checkpoint_file" else None)
    assert [(name, values.shape) for name, values in parameters.items()] == list(network.parameters)
    for name, values in module.state_dict().items():
        np.testing.assert_array_equal(parameters[name].reshape(values.shape), values.double().numpy())
    records = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(model.module()(records.double()), module(records).double(), rtol=1e-5, atol=1e-6)
    assert model.module().conv1.weight.dtype == torch.float64


def test_reading_needs_no_torch(checkpoint_file, program_file):
    code = (
        "import sys; from zkds.circuits.model_files.model_file import load_model; "
        "from zkds.circuits.networks.weights import model_digest, quantise; "
        "print({model_digest(m.network, quantise(m.network, m.parameters)).hex() for m in map(load_model, sys.argv[1:])}, "
        "'torch' in sys.modules)"
    )
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {checkpoint_file} {program_file}"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, timeout=HANGS)
    assert result.returncode == 0, result.stderr
    digest, loaded = result.stdout.split()
    assert len(digest) == 68 and loaded == "False"  # one digest for both files


# ---- tensors ----


def test_tensors_of_every_type_and_layout(tmp_path):
    base = torch.randn(4, 6)
    tensors = {
        "transposed": base.t(),
        "part": base[1:3, ::2],
        "expanded": base[:1].expand(3, 6),
        "empty": base[:0],
        "scalar": base[2, 3],
        "parameter": nn.Parameter(base),
        "double": base.double(),
        "half": base.half(),
        "bfloat16": base.bfloat16(),
    }
    loaded = tensors_of(save(tmp_path / "t.pt", tensors))
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(loaded[name], tensor.detach().double().numpy())
    integers = {"long": torch.arange(5), "bool": torch.tensor([True, False]), "byte": torch.arange(3, dtype=torch.uint8)}
    loaded = tensors_of(save(tmp_path / "i.pt", integers))
    for name, tensor in integers.items():
        np.testing.assert_array_equal(loaded[name], tensor.numpy())


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (0, (11,), (1,)),
        (1, (10,), (1,)),
        (0, (2, 2), (9, 1)),
        (-1, (1,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (1, 1)),
        (0, (1,) * 33, (0,) * 33),
        (0, [1], (1,)),
        (0, (1,), (1 << 63,)),
        (1 << 63, (0,), (1,)),
        (True, (1,), (1,)),
        (0.0, (1,), (1,)),
    ],
)
def test_tensors_stay_within_their_storage(offset, shape, stride):
    storage = Storage("<f4", 10, lambda: bytes(40), Budget())
    with pytest.raises(ValueError, match="tensor: expected"):
        StoredTensor(storage, offset, shape, stride)


def test_the_tensors_of_a_file_share_a_budget():
    storage = Storage("<f4", 2, lambda: np.array([1, 2], "<f4").tobytes(), Budget(elements=10))
    repeated = StoredTensor(storage, 1, (2, 4), (0, 0))
    np.testing.assert_array_equal(repeated.read(), np.full((2, 4), 2.0))
    with pytest.raises(ValueError, match="expected tensors of at most 10 elements in a file, all together"):
        repeated.read()


# ---- files that are no models ----


def test_an_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none.pt")


def test_files_of_other_kinds(tmp_path):
    path = tmp_path / "m.pt"
    for data in (b"", b"\x80\x02}q\x00.", b"PK\x03\x04", os.urandom(1000)):
        path.write_bytes(data)
        assert "expected a file of torch.save, torch.export.save or safetensors" in error(path) or data.startswith(b"PK")


@pytest.mark.parametrize("file", ["checkpoint_file", "program_file"])
def test_truncated_files(tmp_path, file, request):
    data = request.getfixturevalue(file).read_bytes()
    path = tmp_path / "m.pt"
    for length in np.linspace(0, len(data) - 1, 25).astype(int).tolist():
        path.write_bytes(data[:length])
        assert error(path).startswith(("archive: ", "expected a file of "))


@pytest.mark.parametrize("file", ["checkpoint_file", "program_file"])
def test_altered_bytes_are_an_error_or_a_model(tmp_path, file, request):
    data = request.getfixturevalue(file).read_bytes()
    path, rng = tmp_path / "m.pt", np.random.default_rng(6)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        starts = [member.header_offset for member in archive.infolist()]
    for position in [*rng.integers(0, len(data), 150).tolist(), *starts]:
        altered = bytearray(data)
        altered[position] ^= int(rng.integers(1, 256))
        path.write_bytes(altered)
        try:
            assert load_model(path).network.classes >= 2
        except ValueError as caught:
            assert str(caught).startswith(f"{path}: ")


def rewritten(source, path, changes):
    """The archive with some members replaced, and its checksums right."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            name = member.filename.partition("/")[2]
            data = old.read(member)
            new.writestr(member.filename, changes[name](data) if name in changes else data)
    return path


@pytest.mark.parametrize("seed", range(40))
def test_altered_pickles_and_graphs(tmp_path, checkpoint_file, program_file, seed):
    rng = np.random.default_rng(seed)

    def alter(data):
        altered = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            altered[int(rng.integers(len(data)))] = int(rng.integers(256))
        return bytes(altered)

    for file, member in ((checkpoint_file, "data.pkl"), (program_file, "models/model.json")):
        path = rewritten(file, tmp_path / "m.pt", {member: alter})
        try:
            assert load_model(path).network.classes >= 2
        except ValueError as caught:
            assert str(caught).startswith(f"{path}: ")


class Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (Attack(os.system, "touch attacked"), "posix.system"),
        (Attack(eval, "open('attacked', 'w')"), "builtin.*eval"),
        (Attack(torch._utils._rebuild_qtensor, 2), "torch._utils._rebuild_qtensor"),
        (nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
    ],
)
def test_nothing_in_a_checkpoint_is_called(tmp_path, monkeypatch, attack, named):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / "m.pt", {"arch": "digits-cnn", "state_dict": {"conv1.weight": attack}})
    with pytest.raises(ValueError, match=f"expected tensors and plain containers only, got .*{named}"):
        load_model(path)
    assert not Path("attacked").exists()


@pytest.mark.parametrize("name", ["torch._utils _rebuild_tensor_v2", "torch FloatStorage", "collections OrderedDict"])
@pytest.mark.parametrize(
    "state", [b"}X\x08\x00\x00\x00functionNs", b"N}X\x08\x00\x00\x00functionNs\x86", b"N}X\x07\x00\x00\x00elementNs\x86"]
)
def test_what_a_pickle_may_name_cannot_be_altered(name, state):
    """By the opcode BUILD, the one thing beside a call that a pickle can do with it: {name: None} or (None, {name: None})."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n" + state + b"b.")
        archive.writestr("m/version", b"3\n")
    with pytest.raises(ValueError, match=r"data.pkl: expected an object of type OrderedDict"), open_archive(buffer) as archive:
        read_object(archive)


def test_a_counter_is_a_copy_of_its_dictionary(tmp_path):
    """What is set in the counter isn't set in the dictionary, here as in torch: {} and Counter({}) with x = 1 set later."""
    path = tmp_path / "counter.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\2}q\0ccollections\nCounter\nq\1h\0\x85q\2Rq\3X\1\0\0\0xq\4K\1s\x86q\5.")
        archive.writestr("a/version", b"3\n")
    with open_archive(path) as archive:
        assert read_object(archive) == ({}, {"x": 1}) == torch.load(path, weights_only=True)


def test_compressed_archives_are_refused(tmp_path, checkpoint_file):
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(checkpoint_file) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert error(path) == "archive: expected members without compression or encryption"


# ---- checkpoints that are not of the zoo ----


def state_with(module, **changes):
    return {"arch": "digits-cnn", "state_dict": module.state_dict() | {k.replace("__", "."): v for k, v in changes.items()}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            lambda m: m.state_dict(),
            "checkpoint: names no architecture and its tensors fit digits-cnn: say which with --arch NAME (arch= in Python)",
        ),
        (lambda m: [1], "checkpoint: expected a state_dict, or a dictionary with one"),
        (lambda m: {"epoch": 3}, "checkpoint: expected a state_dict, or a dictionary with one"),
        (lambda m: digits_document(m) | {"state_dict": 3}, "state_dict: expected a dictionary from names"),
        (lambda m: digits_document(m) | {"model_state_dict": {}}, "checkpoint: expected either state_dict or model_state_dict"),
        (
            lambda m: {"arch": "digits-cnn", "state_dict": {0: torch.zeros(1)}},
            "state_dict: expected a dictionary from names, wh",
        ),
        (
            lambda m: digits_document(m) | {"arch": "resnet"},
            "checkpoint: names an architecture resnet, which isn't of the zoo",
        ),
        (lambda m: digits_document(m) | {"arch": ["lenet5"]}, "arch: expected the name of an architecture"),
        (
            lambda m: digits_document(m) | {"arch": "digits-mlp"},
            "state_dict: missing no name, unknown conv1.bias, conv1.weight,",
        ),
        (lambda m: state_with(m, fc9__bias=torch.zeros(1)), "state_dict: missing no name, unknown fc9.bias"),
        (lambda m: state_with(m, fc1__bias=torch.zeros(3)), "fc1.bias: expected shape (32,), got (3,)"),
        (lambda m: state_with(m, fc1__weight=torch.zeros(64, 32)), "fc1.weight: expected shape (32, 16, 2, 2), got (64, 32)"),
        (lambda m: state_with(m, fc1__weight=torch.zeros(0, 32)), "fc1.weight: expected shape (32, 16, 2, 2), got (0, 32)"),
        (lambda m: state_with(m, fc1__bias=torch.zeros(32, dtype=torch.long)), "fc1.bias: expected a tensor of floats"),
        (lambda m: state_with(m, fc1__bias=1.5), "fc1.bias: expected a tensor of floats"),
        (lambda m: state_with(m, fc1__bias=torch.full((32,), torch.inf)), "fc1.bias[0]: expected a finite number"),
        (
            lambda m: state_with(
                m, conv2__weight=torch.zeros(16, 8, 3, 3).index_put((torch.tensor(1), torch.tensor(2)), torch.tensor(torch.nan))
            ),
            "conv2.weight[1, 2, 0, 0]: expected a finite number",
        ),
    ],
)
def test_checkpoints_that_fit_no_network(tmp_path, module, document, message):
    assert error(save(tmp_path / "m.pt", document(module))).startswith(message)


def test_weights_of_linear_layers_have_either_shape(tmp_path, module):
    path = save(tmp_path / "m.pt", state_with(module, fc1__weight=module.fc1.weight.detach().reshape(32, 16, 2, 2)))
    np.testing.assert_array_equal(
        load_model(path).parameters["fc1.weight"].reshape(32, 64), module.fc1.weight.double().detach()
    )


def test_a_checkpoint_is_saved_under_its_own_name(tmp_path, module):
    with pytest.raises(ValueError, match="architecture: expected the module's own, got 'lenet5'"):
        save_checkpoint(module, "lenet5", tmp_path / "m.pt")
    assert os.listdir(tmp_path) == []


# ---- programs ----


@pytest.mark.parametrize(
    ("member", "change", "message"),
    [
        ("archive_format", lambda data: b"pt3", "exported program: expected the layout of torch 2.8 or later"),
        ("byteorder", lambda data: b"big", "byteorder: expected little"),
        ("models/model.json", lambda data: data[:-9], "exported program: models/model.json: "),
        ("models/model.json", lambda data: b"[" * 100000, "exported program: models/model.json: "),
        ("models/model.json", lambda data: b"{}", "exported program: models/model.json: expected a field graph_module"),
        ("models/model.json", lambda data: data.replace(b'"major": 8', b'"major": 9'), "exported program: expected version 8"),
        (
            "models/model.json",
            lambda data: data.replace(b"conv2d.default", b"atan.default"),
            "conv1 (Conv2d, torch_module.py:",
        ),
        (
            "models/model.json",
            lambda data: data.replace(b"conv1.weight", b"conv3.weight"),
            "exported program: data/weights/: expected conv3.weight",
        ),
        (
            "data/weights/model_weights_config.json",
            lambda data: b'{"config": {}}',
            "exported program: data/weights/weight_0: expected a tensor in it",
        ),
        (
            "data/weights/model_weights_config.json",
            lambda data: data.replace(b"weight_0", b"weight_9"),
            "exported program: archive: expected a member data/weights/weight_9",
        ),
        (
            "data/weights/model_weights_config.json",
            lambda data: data.replace(b'"use_pickle": false', b'"use_pickle": true'),
            "exported program: data/weights/model_weights_config.json: conv1.weight: expected a plain tensor",
        ),
        (
            "data/weights/weight_0",
            lambda data: data[:-4],
            "exported program: conv1.weight: expected whole elements, 72 or more",
        ),
        (
            "data/weights/weight_0",
            lambda data: data[:-1],
            "exported program: conv1.weight: expected whole elements, 72 or more",
        ),
        ("data/weights/weight_1", lambda data: b"\xff" * len(data), "conv1.bias[0]: expected a finite number"),
    ],
)
def test_damaged_programs(tmp_path, program_file, member, change, message):
    assert error(rewritten(program_file, tmp_path / "m.pt2", {member: change})).startswith(message)


def test_the_layout_of_older_versions(tmp_path, module, program_file):
    """In it a file of torch.save holds the weights."""
    buffer = io.BytesIO()
    torch.save(dict(module.named_parameters()), buffer)
    path = tmp_path / "m.pt2"
    with zipfile.ZipFile(program_file) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if "/data/weights/" not in name:
                new.writestr(name, old.read(name))
        new.writestr(f"{old.namelist()[0].partition('/')[0]}/data/weights/model.pt", buffer.getvalue())
    found, expected = load_model(path), load_model(program_file)
    assert found.network == expected.network
    np.testing.assert_equal(found.parameters, expected.parameters)


@pytest.mark.parametrize(
    ("attack", "message"),
    [(pickle.dumps(Attack(eval, "1")), ""), (None, "expected tensors and plain containers only")],
)
def test_pickles_that_only_torch_would_read_are_refused(tmp_path, program_file, attack, message):
    """torch.export.load unpickles the sample inputs: what they do there would be done here by nobody."""
    if attack is None:
        torch.save((Attack(eval, "1"),), buffer := io.BytesIO())
        attack = buffer.getvalue()
    path = rewritten(program_file, tmp_path / "m.pt2", {"data/sample_inputs/model.pt": lambda data: attack})
    assert error(path).startswith(f"exported program: data/sample_inputs/model.pt: {message}")
