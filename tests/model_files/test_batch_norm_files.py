"""Batch norm in programs and checkpoints: parameters, constants, counters; the audit and the proof mean the same network."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from tests.harness.program_files import CONFIG, edited
from zkds.circuits import probe
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.model_files.torch_import import from_module
from zkds.circuits.networks import zoo
from zkds.circuits.networks.weights import quantise
from zkds.circuits.operators.batch_norm import BatchNorm, inverse_deviation
from zkds.sharpness import SharpnessConfig
from zkds.sharpness.network import Network as Audited
from zkds.sharpness.probe import probe_batches

pytestmark = pytest.mark.any_kernels
CONSTANTS = ["1.running_mean", "1.running_var", "5.running_mean", "5.running_var"]


def trained(seed=3, affine=True):
    """Two batch norms, of images and of vectors, that have seen some batches."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False),
        nn.BatchNorm2d(3, eps=1e-3, affine=affine),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(3 * 36, 5),
        nn.BatchNorm1d(5, affine=affine),
        nn.ReLU(),
        nn.Linear(5, 3),
    )
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(5):
        loss = nn.functional.cross_entropy(module(torch.rand(32, 1, 8, 8)), torch.randint(0, 3, (32,)))
        loss.backward()
        optimizer.step()
    return module.eval()


@pytest.fixture(scope="module")
def module():
    return trained()


def test_a_program(module, tmp_path):
    torch.export.save(torch.export.export(module, (torch.zeros(2, 1, 8, 8),)), tmp_path / "m.pt2")
    model = load_model(tmp_path / "m.pt2")
    network = model.network
    assert [node.operator for node in network.nodes if isinstance(node.operator, BatchNorm)] == [
        BatchNorm(3, 1e-3),
        BatchNorm(5, 1e-5),
    ]
    assert [name for name, _ in network.parameters] == [name for name, _ in module.named_parameters()]
    assert [name for name, _ in network.constants] == CONSTANTS
    assert list(model.parameters) == [name for name, _ in network.tensors]
    state = module.state_dict()
    for name, values in model.parameters.items():
        assert np.array_equal(values.ravel(), state[name].double().numpy().ravel()), name
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    assert torch.equal(model.module()(x), trained().double()(x))


def test_the_integers_of_constants(module):
    network, parameters = from_module(module, (1, 8, 8))
    integers = quantise(network, parameters)
    for name in CONSTANTS[::2]:
        assert np.abs(integers[name] / 2.0**32 - parameters[name]).max() <= 2.0**-33
    variances = parameters["1.running_var"].tolist()
    assert integers["1.running_var"].tolist() == [inverse_deviation(variance, 1e-3) for variance in variances]


def test_the_audit_measures_the_parameters_of_the_proof(module):
    network, _ = from_module(module, (1, 8, 8))
    assert list(Audited(module).names) == [name for name, _ in network.parameters]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("sharpness, perturbation", [("ASAM", "SAM"), ("SAM", "ASAM")])
def test_the_metric_is_that_of_float64(sharpness, perturbation, affine):
    generator = np.random.default_rng(5)
    settings = {"sharpness": sharpness, "perturbation": perturbation}
    configuration = Configuration.of(steps=3, batch_size=6, learning_rate="0.01", **settings)
    inputs = generator.integers(0, 1 << 32, (3, 6, 1, 8, 8))
    labels = generator.integers(0, 3, (3, 6))
    network, parameters = from_module(trained(affine=affine), (1, 8, 8))
    found = probe.run(network, quantise(network, parameters), inputs, labels, configuration)
    config = SharpnessConfig(6, 3, 0.05, 0.01, sharpness.lower(), perturbation.lower())
    records = torch.tensor(inputs.reshape(-1, 1, 8, 8) / 2.0**32), torch.tensor(labels.ravel())
    plan = np.arange(18).reshape(3, 6).tolist()
    with torch.enable_grad():
        expected = probe_batches(trained(affine=affine).double(), records, config, plan, dtype=torch.float64)
    assert found.value / 2**48 == pytest.approx(expected.value, abs=1e-7)
    assert found.total_loss / 2**48 / 18 == pytest.approx(expected.loss, abs=1e-8)


@pytest.fixture
def architecture(module, monkeypatch):
    network, _ = from_module(module, (1, 8, 8))
    monkeypatch.setitem(zoo.ARCHITECTURES, "normed", lambda width: network)
    return network


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
@pytest.mark.parametrize("counters", [True, False], ids=["counters", "old torch"])
def test_a_checkpoint(module, architecture, tmp_path, prefix, counters):
    state = {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}
    state = {name: tensor for name, tensor in state.items() if counters or "num_batches" not in name}
    torch.save({"state_dict": state}, tmp_path / "m.pt")
    model = load_model(tmp_path / "m.pt", arch="normed")
    assert model.network == architecture
    assert np.array_equal(model.parameters["5.running_var"], module[5].running_var.double().numpy())
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    assert torch.equal(model.module()(x), trained().double()(x))


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_checkpoint_without_a_constant(module, architecture, tmp_path, name):
    state = {key: tensor for key, tensor in module.state_dict().items() if key != name}
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(ValueError, match=f"state_dict: missing {name}"):
        load_model(tmp_path / "m.pt", arch="normed")


def test_a_counter_beside_nothing_is_unknown(module, architecture, tmp_path):
    torch.save(module.state_dict() | {"9.num_batches_tracked": torch.tensor(3)}, tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"unknown 9.num_batches_tracked"):
        load_model(tmp_path / "m.pt", arch="normed")


@pytest.mark.parametrize("name, value", [("1.running_var", -0.25), ("5.running_mean", 4096.0)])
def test_constants_out_of_range_are_named(module, architecture, tmp_path, name, value):
    state = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    state[name][2] = value
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(ValueError, match=rf"m.pt: {name}\[2\]: expected a (mean|variance)") as caught:
        load_model(tmp_path / "m.pt", arch="normed").quantised()
    assert str(value) not in str(caught.value)


@pytest.mark.parametrize(
    "layers, message",
    [
        ([nn.BatchNorm2d(1, track_running_stats=False)], r"expected a running_mean; track_running_stats"),
        ([nn.BatchNorm2d(1, affine=False, track_running_stats=False)], r"expected a running_mean; track_running_stats"),
        ([nn.BatchNorm2d(1, eps=2.0)], "eps: expected a number above 0 and at most 1"),
        ([nn.Conv2d(1, 2, 1), nn.Flatten(), nn.BatchNorm1d(128)], r"expected records \(2, 8, 8\) as the layer before"),
        ([nn.BatchNorm2d(1)] * 2, "two layers that share parameters"),
    ],
    ids=str,
)
def test_what_is_not_supported_is_named(layers, message):
    module = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3))
    module(torch.rand(2, 1, 8, 8))
    with pytest.raises(ValueError, match=message):
        from_module(module, (1, 8, 8))


def test_two_layers_may_share_their_buffers():
    first, second = nn.BatchNorm2d(1), nn.BatchNorm2d(1)
    second.running_mean, second.running_var = first.running_mean, first.running_var
    first.running_mean.fill_(0.25)
    _, parameters = from_module(nn.Sequential(first, second, nn.Flatten(), nn.Linear(4, 3)), (1, 2, 2))
    assert parameters["0.running_mean"].tolist() == parameters["1.running_mean"].tolist() == [0.25]


# ---- without weight and bias ----


def test_without_parameters_it_is_an_affine_map(tmp_path):
    module = trained(affine=False)
    (tmp_path / "m.pt2").write_bytes(program(module))
    model = load_model(tmp_path / "m.pt2")
    assert [node.operator.KIND for node in model.network.nodes].count("affine") == 2
    assert [name for name, _ in model.network.parameters] == [name for name, _ in module.named_parameters()]
    assert model.network.constants == ()
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    assert (model.module()(x) - module.double()(x)).abs().max() < 2.0**-35


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("running_var", -0.25, "expected variances that are positive with eps added"),
        ("running_var", float("nan"), "running_var: expected finite numbers"),
        ("running_mean", float("inf"), "running_mean: expected finite numbers"),
        ("running_mean", 2.0**20, "shift: expected constants below 1024"),
        ("running_var", 0.0, None),
    ],
)
def test_statistics_of_no_affine_map(name, value, message):
    norm = nn.BatchNorm2d(1, affine=False)
    getattr(norm, name).fill_(value)
    module = nn.Sequential(norm, nn.Flatten(), nn.Linear(4, 3))
    if message is None:
        from_module(module, (1, 2, 2))
    else:
        with pytest.raises(ValueError, match=message):
            from_module(module, (1, 2, 2))


# ---- programs that were altered ----------------------------------------------------------------------------------------------


def program(module):
    torch.export.save(torch.export.export(module, (torch.zeros(2, 1, 8, 8),)), buffer := io.BytesIO())
    return buffer.getvalue()


def given(document, argument, operator="torch.ops.aten.batch_norm.default"):
    """An argument of the first batch norm."""
    node = next(node for node in document["graph_module"]["graph"]["nodes"] if node["target"] == operator)
    return next(entry for entry in node["inputs"] if entry["name"] == argument)["arg"]


def exchanged(document):
    mean, variance = (given(document, name)["as_tensor"] for name in ("running_mean", "running_var"))
    mean["name"], variance["name"] = variance["name"], mean["name"]


def test_buffers_are_what_the_graph_says(module, tmp_path):
    (tmp_path / "m.pt2").write_bytes(edited(program(module), exchanged))
    parameters = load_model(tmp_path / "m.pt2").parameters
    assert np.array_equal(parameters["1.running_mean"], module[1].running_var.double().numpy())


def a_parameter_for_the_mean(document):
    given(document, "running_mean")["as_tensor"]["name"] = given(document, "weight")["as_tensor"]["name"]


def a_counter_for_the_mean(document):
    given(document, "running_mean")["as_tensor"]["name"] = "b_1_num_batches_tracked"


def the_variance_of_another_layer(document):
    given(document, "running_var")["as_tensor"]["name"] = "b_5_running_var"


def training(document):
    given(document, "training")["as_bool"] = True


@pytest.mark.parametrize(
    "change, message",
    [
        (a_parameter_for_the_mean, "running_mean: expected a buffer of the model"),
        (a_counter_for_the_mean, r"1.num_batches_tracked: expected a tensor of floats of shape \(3,\)"),
        (the_variance_of_another_layer, r"5.running_var: expected a tensor of floats of shape \(3,\)"),
        (training, r"in training mode: call model.eval\(\)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_other_arguments_are_refused(module, tmp_path, change, message):
    (tmp_path / "m.pt2").write_bytes(edited(program(module), change))
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "m.pt2")


@pytest.mark.parametrize("key, value", [("is_param", True), ("sizes", [{"as_int": 1}])])
def test_a_buffer_of_which_the_file_says_two_things(module, tmp_path, key, value):
    def change(config):
        entry = config["config"]["1.running_mean"]
        (entry if key in entry else entry["tensor_meta"])[key] = value

    (tmp_path / "m.pt2").write_bytes(edited(program(module), change, CONFIG))
    with pytest.raises(ValueError, match=r"1.running_mean: the graph and .* say different things of it"):
        load_model(tmp_path / "m.pt2")
