"""Programs of torch.export become networks with the same scores and the same gradients, or errors that name the operator."""

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tests.harness.layers import Layer, Pool, layered
from tests.harness.networks import networks
from tests.reference.network import scores
from zkds.circuits.model_files.torch_import import from_exported_program, from_module
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.networks.torch_module import NetworkModule, build, load_parameters
from zkds.circuits.operators.convolution.operator import Convolution

pytestmark = pytest.mark.any_kernels

TOLERANCE = 1e-12
NO_SHRINKING = (Phase.explicit, Phase.generate)  # an export takes long


@pytest.fixture(autouse=True)
def generator():
    torch.manual_seed(3)
    torch.set_num_threads(1)


def lenet5(channels, padding, pool):
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=padding), nn.ReLU(), pool(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), pool(2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def lenet_k():
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(4, 16, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(16, 128, 5, bias=False), nn.ReLU(), nn.Flatten(),
        nn.Linear(128, 32, bias=False), nn.ReLU(), nn.Linear(32, 16, bias=False),
    )  # fmt: skip


def digits_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


def mlp(*sizes):
    layers = [nn.Flatten()]
    for inner, outer in itertools.pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


USUAL_MODULES = {
    "lenet5": lambda: lenet5(1, 2, nn.MaxPool2d),
    "lenet5-avg": lambda: lenet5(1, 2, nn.AvgPool2d),
    "lenet5-rgb": lambda: lenet5(3, 0, nn.MaxPool2d),
    "lenet5-rgb-avg": lambda: lenet5(3, 0, nn.AvgPool2d),
    "lenet-k": lenet_k,
    "mlp": lambda: mlp(784, 128, 64, 10),
    "digits-cnn": digits_cnn,
    "digits-mlp": lambda: mlp(64, 32, 10),
}


def renamed(network, names):
    """With other names of layers, in order."""
    names = iter(names)
    return Network(network.input_shape, tuple(replace(node, name=next(names)) if node.name else node for node in network.nodes))


def module_of(network, parameters):
    module = NetworkModule(network).double()
    load_parameters(module, parameters)
    return module


def scores_and_gradients(module, records, labels):
    """Scores, and the gradient of the cross-entropy by every parameter, flattened, in the order of the module."""
    module.zero_grad()
    output = module(records)
    functional.cross_entropy(output, labels).backward()
    return output.detach(), [parameter.grad.flatten() for parameter in module.parameters()]


def assert_equal_modules(usual, module, shape, classes):
    records, labels = torch.rand(4, *shape, dtype=torch.float64), torch.randint(classes, (4,))
    (expected, gradients), (found, found_gradients) = (scores_and_gradients(m, records, labels) for m in (usual, module))
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    torch.testing.assert_close(found_gradients, gradients, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("architecture", USUAL_MODULES)
def test_the_zoo_is_what_its_names_say(architecture):
    network = zoo.network(architecture)
    usual = USUAL_MODULES[architecture]().double()
    imported, parameters = from_module(usual, network.input_shape)
    assert renamed(imported, [node.name for node in network.nodes if node.name]) == network
    assert_equal_modules(usual, module_of(imported, parameters), network.input_shape, network.classes)
    records = np.random.default_rng(1).random((2, *network.input_shape))
    output = usual(torch.from_numpy(records)).detach().numpy()
    np.testing.assert_allclose(scores(imported, parameters, records), output, rtol=TOLERANCE, atol=TOLERANCE)


@settings(max_examples=20, deadline=None, derandomize=True, phases=NO_SHRINKING)
@given(networks(), st.integers(0, 2**32 - 1))
def test_random_networks_survive_export(network, seed):
    torch.manual_seed(seed)
    module = NetworkModule(network).double()
    imported, parameters = from_module(module, network.input_shape)
    assert imported == network
    assert [(name, values.shape) for name, values in parameters.items()] == list(network.parameters)
    records = torch.randn(2, *network.input_shape, dtype=torch.float64)
    expected = scores(network, parameters, records.numpy())
    np.testing.assert_allclose(module(records).detach().numpy(), expected, rtol=TOLERANCE, atol=TOLERANCE)
    torch.testing.assert_close(module_of(imported, parameters)(records), module(records), rtol=0, atol=0)


class Variants(nn.Module):
    """Other ways to write the operators: functional, in place, views, dropout, a frozen layer, strings for padding."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding="same"), nn.ReLU(inplace=True), nn.Dropout2d(0.2), nn.Identity()
        )
        self.middle = nn.Conv2d(4, 3, (2, 3), stride=(1, 2), padding="valid", bias=False)
        self.scores = nn.Linear(12, 4)
        self.scores.bias.requires_grad_(False)

    def forward(self, x):
        x = functional.max_pool2d(self.features(x.contiguous()), 2).clone()
        x = functional.relu(functional.relu(self.middle(x)))
        x = functional.adaptive_avg_pool2d(x, (2, 2)).view(x.size(0), -1)
        return self.scores(functional.dropout(x, training=self.training))


VARIANTS = layered(
    (2, 10, 18),
    (
        Layer("features.0", 4, 2, (3, 3), padding=(1, 1), pool=Pool("max", 2), relu=True),
        Layer("middle", 3, 4, (2, 3), stride=(1, 2), bias=False, pool=Pool("average", 2), relu=True),
        Layer("scores", 4, 3, (2, 2)),
    ),
)


def test_other_ways_to_write_the_operators():
    module = Variants().double().train()
    network, parameters = from_module(module, (2, 10, 18))
    assert network == VARIANTS and module.training
    usual = module.eval().requires_grad_(True)
    assert_equal_modules(usual, module_of(network, parameters), (2, 10, 18), 4)


def test_a_dynamic_batch_is_the_same_program():
    shapes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(Variants().eval(), (torch.zeros(3, 2, 10, 18),), dynamic_shapes=shapes)
    assert from_exported_program(exported)[0] == VARIANTS


def shared_storage(module):
    """All parameters are parts of one vector."""
    vector = nn.utils.parameters_to_vector(module.parameters()).detach()
    nn.utils.vector_to_parameters(vector, module.parameters())
    return module


class Returning(Variants):
    """The scores in a container, a condition, and what isn't used: an argument, layers, buffers."""

    def __init__(self, wrap):
        super().__init__()
        self.wrap, self.spare, self.norm = wrap, nn.Linear(3, 3), nn.BatchNorm2d(3)
        self.register_buffer("mask", torch.ones(2).expand(5, 2), persistent=False)
        self.register_buffer("flag", torch.zeros((), dtype=torch.bool))

    def forward(self, x, unused=None):
        assert x.shape[0] <= 64
        return self.wrap(super().forward(x))


DYNAMIC = ({0: torch.export.Dim("batch", min=1, max=64)},)
AUTOMATIC = ({0: torch.export.Dim.AUTO},)


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (Variants, {"batch": 1}),
        (Variants, {"batch": 2, "strict": True}),
        (lambda: Returning(lambda y: {"logits": y}), {"dynamic_shapes": DYNAMIC}),
        (lambda: Returning(lambda y: (y,)), {"dynamic_shapes": AUTOMATIC}),
        (lambda: Returning(lambda y: y), {"dynamic_shapes": AUTOMATIC, "strict": True}),
        (lambda: shared_storage(Variants()), {}),
        (lambda: Variants().half(), {}),
        (lambda: Variants().bfloat16(), {}),
        (lambda: Variants().requires_grad_(False), {}),
    ],
)
def test_programs_however_they_were_exported(module, options):
    module = module().eval()
    batch = options.pop("batch", 3)
    records = torch.randn(batch, 2, 10, 18).to(module.middle.weight.dtype)
    exported = torch.export.export(module, (records,), **options)
    network, parameters = from_exported_program(exported)
    assert network == VARIANTS
    for name, values in parameters.items():
        expected = module.get_parameter(name).detach().double().numpy()
        np.testing.assert_array_equal(values.reshape(expected.shape), expected)


def test_a_program_that_was_trained_loaded_and_saved_again():
    exported = torch.export.export(Variants().eval(), (torch.zeros(3, 2, 10, 18),))
    with torch.no_grad():
        for parameter in exported.parameters():
            parameter.mul_(2)
    torch.export.save(exported, buffer := io.BytesIO())
    first, again = from_exported_program(exported), from_exported_program(torch.export.load(buffer))
    assert first[0] == again[0] == VARIANTS
    np.testing.assert_equal(first[1], again[1])


def test_vectors_and_records_that_the_program_reshapes():
    vectors, _ = from_module(nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2)), (5,))
    assert vectors.input_shape == (5, 1, 1) and vectors.nodes[0] == Node(Convolution.dense(3, (5, 1, 1)), (0,), "0")
    images, _ = from_module(nn.Sequential(nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 2, 4), nn.Flatten()), (16,))
    assert images == layered((1, 4, 4), (Layer("1", 2, 1, (4, 4)),))


GENERAL = [
    nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 3), dilation=(1, 2), groups=2),
    nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
    nn.Conv2d(4, 3, (4, 2), padding="same", dilation=(1, 3)),
    nn.Conv2d(4, 2, (1, 5), padding=(0, 7)),
]


@pytest.mark.parametrize("layer", GENERAL, ids=str)
def test_convolutions_of_every_kind(layer):
    usual = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).double()
    usual(torch.zeros(1, 4, 6, 7, dtype=torch.float64))
    network, parameters = from_module(usual, (4, 6, 7))
    module = module_of(network, parameters)
    assert_equal_modules(usual, module, (4, 6, 7), 3)
    records = np.random.default_rng(1).random((2, 4, 6, 7))
    output = usual(torch.from_numpy(records)).detach().numpy()
    np.testing.assert_allclose(scores(network, parameters, records), output, rtol=TOLERANCE, atol=TOLERANCE)


class Residual(nn.Module):
    """Branches that come together, in place and not; a pool before the first layer; channels side by side."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.short, self.scores = nn.ReLU(inplace=True), nn.Conv2d(2, 4, 1), nn.Linear(8, 3)

    def forward(self, x):
        x = functional.avg_pool2d(x, 2)
        y = self.relu(self.first(x))
        y = self.second(y)
        y += self.short(x)
        y = self.relu(y)
        y = torch.cat([functional.max_pool2d(y, 4), functional.adaptive_avg_pool2d(y + y, 1)], dim=1)
        return self.scores(torch.flatten(y, 1))


def test_branches():
    usual = Residual().double()
    network, parameters = from_module(usual, (2, 8, 8))
    kinds = [node.operator.KIND for node in network.nodes]
    assert sorted(kinds) == sorted(
        ["average pool", *["convolution"] * 4, "relu", "relu", "add", "add", "max pool", "average pool", "concatenate"]
    )
    records, labels = torch.rand(4, 2, 8, 8, dtype=torch.float64), torch.randint(3, (4,))
    expected, gradients = scores_and_gradients(usual, records, labels)
    module = module_of(network, parameters)
    found, _ = scores_and_gradients(module, records, labels)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    names = [name for name, _ in usual.named_parameters()]
    for name, gradient in zip(names, gradients, strict=True):
        torch.testing.assert_close(module.get_parameter(name).grad.flatten(), gradient, rtol=TOLERANCE, atol=TOLERANCE)
    imported, again = from_module(module, (2, 8, 8))
    assert imported.encode() == network.encode()
    np.testing.assert_equal(again, parameters)


AVERAGES = {
    "avg_pool2d": (lambda x: functional.avg_pool2d(x, 3, (2, 1), 1, True, False), "average pool", (5, 8)),
    "a divisor of its own": (lambda x: functional.avg_pool2d(x, (3, 2), divisor_override=5), "average pool", (3, 4)),
    "adaptive": (lambda x: functional.adaptive_avg_pool2d(x, (4, 3)), "adaptive average pool", (4, 3)),
    "adaptive, of one size": (lambda x: functional.adaptive_avg_pool2d(x, (3, 2)), "average pool", (3, 2)),
    "adaptive, one side kept": (lambda x: functional.adaptive_avg_pool2d(x, (None, 2)), "average pool", (9, 2)),
    "mean": (lambda x: x.mean((2, 3)), "average pool", (1, 1)),
    "mean that keeps its dimensions": (lambda x: x.mean((-1, -2), keepdim=True), "average pool", (1, 1)),
    "mean over rows": (lambda x: x.mean(2), "average pool", (1, 8)),
    "mean over columns": (lambda x: x.mean(-1, keepdim=True), "average pool", (9, 1)),
    "mean over positions": (lambda x: x.flatten(2).mean(-1), "average pool", (1, 1)),
    "as many as there are": (lambda x: functional.adaptive_avg_pool2d(x, (9, 8)), None, (9, 8)),
    "windows of one": (lambda x: functional.avg_pool2d(x, 1), None, (9, 8)),
}


class Averaging(nn.Module):
    def __init__(self, function, size):
        super().__init__()
        self.function = function
        self.conv, self.scores = nn.Conv2d(1, 2, 3), nn.Linear(2 * size[0] * size[1], 3)

    def forward(self, x):
        return self.scores(self.function(functional.relu(self.conv(x))).flatten(1))


@pytest.mark.parametrize("name", AVERAGES)
def test_average_pools(name):
    function, kind, size = AVERAGES[name]
    usual = Averaging(function, size).double()
    network, parameters = from_module(usual, (1, 11, 10))
    kinds = ["convolution", "relu", kind, "convolution"] if kind else ["convolution", "relu", "convolution"]
    assert [node.operator.KIND for node in network.nodes] == kinds and network.shapes[-2] == (2, *size)
    module = module_of(network, parameters)
    records, labels = torch.rand(4, 1, 11, 10, dtype=torch.float64), torch.randint(3, (4,))
    expected, gradients = scores_and_gradients(usual, records, labels)
    found, again = scores_and_gradients(module, records, labels)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    for mine, other in zip(again, gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=TOLERANCE, atol=TOLERANCE)
    assert from_module(module, (1, 11, 10))[0].encode() == network.encode()


def test_rows_that_no_average_pool_reaches_are_not_computed():
    network, _ = from_module(Averaging(lambda x: functional.avg_pool2d(x, (2, 3)), (4, 2)), (1, 11, 10))
    assert network.shapes == ((1, 11, 10), (2, 8, 6), (2, 8, 6), (2, 4, 2), (3, 1, 1))


def test_what_was_changed_in_place_is_followed_or_refused():
    def changed(m, x):
        y = m.conv(x)
        functional.relu_(y)
        return m.linear(functional.adaptive_avg_pool2d(y, 1).flatten(1))

    def seen_before(m, x):
        y = m.conv(x)
        z = y.flatten(1)
        functional.relu_(y)
        return z

    kinds = [node.operator.KIND for node in from_module(Lambda(changed), (1, 10, 10))[0].nodes]
    assert kinds == ["convolution", "relu", "average pool", "convolution"]
    with pytest.raises(ValueError, match=r"changed in place before|expected what the operators make"):
        from_module(Lambda(seen_before), (1, 10, 10))


class Lambda(nn.Module):
    """A function of two small layers and the input."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.conv, self.linear = nn.Conv2d(1, 2, 3), nn.Linear(2, 2)
        self.register_buffer("mean", torch.zeros(2, 2))
        self.register_buffer("square", torch.zeros(8, 8))
        self.register_buffer("ramp", torch.arange(10.0))
        self.register_buffer("kernel", torch.zeros(2, 1, 3, 3))

    def forward(self, x):
        return self.function(self, x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda m, x: functional.mish(m.conv(x)),
            r"operator aten.mish.default isn't supported \(activations are ",
        ),
        (lambda m, x: m.conv(x) * m.conv(x), "conv.weight: two layers that share parameters"),
        (lambda m, x: m.conv(x) * m.conv.bias[:, None, None], "expected what the network computes|isn't supported"),
        (lambda m, x: m.conv(x * torch.rand(10, 10)), "isn't supported"),
        (lambda m, x: m.conv(x - m.ramp), "expected one finite constant, or one for each channel"),
        (lambda m, x: m.conv(x / 0), "expected a constant other than 0"),
        (lambda m, x: m.conv(1 / x), "isn't supported"),
        (lambda m, x: m.conv(x).flatten(1).softmax(1), "the network should end with its scores, before softmax"),
        (lambda m, x: m.conv(x) @ m.square, "operator aten.matmul.default isn't supported"),
        (lambda m, x: functional.avg_pool2d(m.conv(x), 2, divisor_override=-3), "expected a divisor_override of at least 1"),
        (
            lambda m, x: m.conv(x).mean(1),
            r"mean.dim: expected a mean over rows or columns of records \(C, H, W\)",
        ),
        (lambda m, x: m.conv(x).mean((1, 2, 3)), "mean.dim: expected a mean over rows or columns of records"),
        (lambda m, x: m.conv(x).mean(), "operator aten.mean.default isn't supported"),
        (
            lambda m, x: functional.conv2d(x, m.kernel),
            "weight: expected a parameter of the model",
        ),
        (lambda m, x: functional.linear(x[:, 0, :2, 0], m.mean), "weight: expected a parameter of the model"),
        (lambda m, x: m.linear(m.conv(x)[:, :, 0, :2]), "expected a last node whose outputs are the scores"),
        (lambda m, x: functional.conv2d(m.conv(x).reshape(-1, 1, 8, 8), m.conv.weight), "expected the number of records as"),
        (lambda m, x: functional.dropout(m.conv(x), training=True), "dropout.default in training mode: call model.eval"),
        (lambda m, x: (m.conv(x), x), "expected one input and one output, got 1 and 2"),
        (lambda m, x: m.conv(m.conv(x)[:, :1]), "conv.weight: two layers that share parameters"),
        (
            lambda m, x: m.conv(functional.relu(m.conv(x).view(-1, 2, 8, 8).flatten(1).unflatten(1, (1, 8, 16)))),
            "records .2, 8, 8.",
        ),
        (
            lambda m, x: functional.conv2d(m.conv(x), m.conv.weight.flatten(0, 1).unsqueeze(0)),
            "conv.weight: expected what the network computes",
        ),
        (lambda m, x: m.conv(x) + m.conv(x)[:, :1], "expected records of one shape|share parameters"),
        (
            lambda m, x: functional.batch_norm(m.conv(x), m.mean[0], m.mean[0]),
            "batch_norm.default: running_mean: expected a buffer",
        ),
        (
            lambda m, x: functional.max_pool2d(m.conv(x), 4).flatten(1),
            "max pool 2: expected a last node whose outputs are the scores",
        ),
    ],
)
def test_what_is_not_supported_is_named(function, message):
    with pytest.raises(ValueError, match=message):
        from_module(Lambda(function), (1, 10, 10))


def tied(attribute):
    """Two layers of which one parameter is the same."""
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    setattr(second, attribute, getattr(first, attribute))
    return nn.Sequential(first, nn.ReLU(), second)


@pytest.mark.parametrize("make", [lambda: tied("weight"), lambda: tied("bias"), lambda: nn.Sequential(*[nn.Linear(4, 4)] * 2)])
def test_shared_parameters_are_refused(make):
    with pytest.raises(ValueError, match="two layers that share parameters aren't supported"):
        from_module(make(), (4,))


@pytest.mark.parametrize("names", [("softmax.weight", "softmax"), ("softmax", "softmax.weight"), ("forward",), ("a.bias", "a")])
def test_layers_whose_names_no_module_can_have(names):
    layers = [Layer(name, 3, 3, (1, 1)) for name in names]
    with pytest.raises(ValueError, match="expected a name that no other layer and no attribute of a module has"):
        NetworkModule(layered((3, 1, 1), tuple(layers)))


def test_average_pooling_without_relu_and_fresh_modules():
    network = layered((1, 4, 4), (Layer("conv", 2, 1, (1, 1), pool=Pool("average", 4)), Layer("fc", 2, 2, (1, 1))))
    module = NetworkModule(network).double()
    imported, parameters = from_module(module, (1, 4, 4))
    assert imported == network
    assert build("digits-mlp").description == zoo.network("digits-mlp")
    assert_equal_modules(module, module_of(imported, parameters), (1, 4, 4), 2)
