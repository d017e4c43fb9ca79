"""Reshapes, permutations, paddings, slices, layers in one dimension: the same scores and gradients, or errors that say why."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.harness.commands import shell
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.model_files.torch_import import from_module
from zkds.circuits.networks.torch_module import NetworkModule, load_parameters

pytestmark = pytest.mark.any_kernels

TOLERANCE = 1e-11  # constants have 40 fractional bits


@pytest.fixture(autouse=True)
def generator():
    torch.manual_seed(3)
    torch.set_num_threads(1)


class Function(nn.Module):
    """A function of the input and some layers."""

    def __init__(self, function, *layers):
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x):
        return self.function(x, *self.layers)


def compared(module, shape, records=3):
    """The network, after its scores and gradients were compared with the module's."""
    module = module.double().eval()
    network, parameters = from_module(module, shape)
    found = NetworkModule(network).double().eval()
    load_parameters(found, parameters)
    inputs, labels = torch.rand(records, *shape, dtype=torch.float64), torch.randint(2, (records,))
    gradients = []
    for each in (module, found):
        loss = functional.cross_entropy(each(inputs), labels)
        loss.backward()
        gradients.append({name: parameter.grad.flatten() for name, parameter in each.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=TOLERANCE, atol=TOLERANCE)
    return [node.operator.KIND for node in network.nodes]


MODULES = {
    "unsqueezed vectors": (
        Function(lambda x, conv, fc: fc(conv(x.unsqueeze(1)).relu().flatten(1)), nn.Conv1d(1, 2, 3), nn.Linear(8, 2)),
        (6,),
        ["convolution", "relu", "convolution"],
    ),
    "convolutions of lines": (
        nn.Sequential(
            nn.Conv1d(2, 4, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(4, 4, 2, dilation=2, groups=2, padding="same"),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16, 3),
        ),
        (2, 8),
        ["convolution", "relu", "convolution", "relu", "convolution"],
    ),
    "pools of lines": (
        nn.Sequential(
            *(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.MaxPool1d(3, 2, padding=1), nn.AvgPool1d(2)),
            *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2)),
        ),
        (2, 14),
        ["convolution", "batch norm", "max pool", "average pool", "average pool", "convolution"],
    ),
    "squeezed": (
        Function(lambda x, conv, fc: fc(conv(x).relu().squeeze(-1).squeeze((-1,))), nn.Conv2d(1, 3, (4, 5)), nn.Linear(3, 2)),
        (1, 4, 5),
        ["convolution", "relu", "convolution"],
    ),
    "squeezed all": (
        Function(lambda x, conv, fc: fc(conv(x).squeeze()), nn.Conv2d(1, 3, (4, 5)), nn.Linear(3, 2)),
        (1, 4, 5),
        ["convolution", "convolution"],
    ),
    "permuted ones": (
        Function(lambda x, conv, fc: fc(conv(x).permute(0, 2, 3, 1).flatten(1)), nn.Conv2d(1, 3, (4, 5)), nn.Linear(3, 2)),
        (1, 4, 5),
        ["convolution", "convolution"],
    ),
    "channels last": (
        Function(
            lambda x, conv, fc: fc(conv(x.permute(0, 3, 1, 2)).relu().permute(0, 2, 3, 1).flatten(1)),
            *(nn.Conv2d(3, 2, 3), nn.Linear(2 * 2 * 3, 2)),
        ),
        (4, 5, 3),
        ["permute", "convolution", "relu", "permute", "convolution"],
    ),
    "permuted twice": (
        Function(
            lambda x, conv, fc: fc(conv(x.transpose(1, 2).transpose(2, 3).permute(0, 3, 1, 2)).flatten(1)),
            nn.Conv2d(2, 2, 3),
            nn.Linear(12, 2),
        ),
        (2, 4, 5),
        ["convolution", "convolution"],
    ),
    "dense layers along lines": (
        Function(
            lambda x, a, b, c: c(b(a(x).relu()).flatten(1)), nn.Linear(4, 3), nn.Linear(3, 5, bias=False), nn.Linear(15, 2)
        ),
        (3, 4),
        ["permute", "convolution", "permute", "relu", "permute", "convolution", "permute", "convolution"],
    ),
    "dense layers along rows": (
        Function(lambda x, a, b: b(a(x).flatten(1)), nn.Linear(4, 2), nn.Linear(12, 2)),
        (2, 3, 4),
        ["permute", "convolution", "permute", "convolution"],
    ),
    "zeros in front of a convolution": (
        nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(32, 2)),
        (1, 4, 5),
        ["convolution", "convolution"],
    ),
    "zeros elsewhere": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.ZeroPad2d((1, -1, 2, 0)), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2)),
        (1, 4, 5),
        ["convolution", "pad", "relu", "convolution"],
    ),
    "shortcuts of zero channels": (
        Function(
            lambda x, conv, fc: fc((conv(x) + functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2))).relu().flatten(1)),
            *(nn.Conv2d(1, 4, 3, 2, 1), nn.Linear(24, 2)),
        ),
        (1, 4, 5),
        ["convolution", "pad", "pad", "pad", "add", "relu", "convolution"],
    ),
    "slices of lines": (
        Function(lambda x, a, b: b(a(x)[:, 1:, 1:-1:2].flatten(1)), nn.Conv1d(2, 3, 1), nn.Linear(4, 2)),
        (2, 6),
        ["convolution", "pad", "pad", "convolution"],
    ),
    "splits, chunks and selected rows": (
        Function(
            lambda x, conv, fc: fc(
                torch.add(*torch.cat(conv(x).split([1, 3], 1)[::-1], 1).chunk(2, 2)).expand(-1, 4, 2, 5)[:, :, 1].flatten(1)
            ),
            *(nn.Conv2d(1, 4, 3, padding=1), nn.Linear(20, 2)),
        ),
        (1, 4, 5),
        ["convolution", "pad", "pad", "concatenate", "pad", "pad", "add", "pad", "convolution"],
    ),
    "log_softmax": (
        nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(dim=1)),
        (4,),
        ["convolution"],
    ),
}


class Normalized(nn.Module):
    """(x - mean) / std with numbers, buffers, or tensors that are made on the spot; and others."""

    def __init__(self, map_of):
        super().__init__()
        self.map_of = map_of
        self.register_buffer("mean", torch.tensor([0.1, 0.2]).view(2, 1, 1))
        self.register_buffer("std", torch.tensor([0.5, 0.3]).view(1, 2, 1, 1), persistent=False)
        self.scores = nn.Linear(12, 2)

    def forward(self, x):
        return self.scores(self.map_of(self, x).flatten(1))


def on_the_spot(m, x):
    mean, std = (torch.tensor(values, dtype=x.dtype) for values in ([0.1, 0.2], [0.5, 0.3]))
    return x.clone().sub_(mean.view(-1, 1, 1)).div_(std[:, None, None])


@pytest.mark.parametrize(
    "map_of",
    [
        lambda m, x: (x - 0.1307) / 0.3081,
        lambda m, x: (x - m.mean) / m.std,
        on_the_spot,
        lambda m, x: 2 * x - 1,
        lambda m, x: 1 - x / 3,
        lambda m, x: m.mean + (0.5 - x.add(m.std, alpha=2)).mul_(3),
    ],
)
def test_affine_maps_by_constants_are_one_node(map_of):
    assert compared(Normalized(map_of), (2, 2, 3)) == ["affine", "convolution"]


@pytest.mark.parametrize("name", MODULES)
def test_networks_with(name):
    module, shape, kinds = MODULES[name]
    assert compared(module, shape) == kinds


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, fc: fc(x.transpose(0, 1).flatten(1)), "aten.transpose.int: expected records to stay apart"),
        (lambda x, fc: fc(functional.pad(x, (1, -1), value=0.5).flatten(1)), "expected zeros around images"),
        (
            lambda x, fc: fc(functional.pad(x, (1, 1, 1, 1), mode="reflect")[:, :, 1:-1, 1:-1].flatten(1)),
            "expected zeros around",
        ),
        (lambda x, fc: fc(x.flatten(1)).log_softmax(1) + 1, "log_softmax is dropped only at the end|isn't supported"),
        (lambda x, fc: fc(x.flatten(1)).log_softmax(0), "expected the classes' dimension of scores"),
        (lambda x, fc: fc(x.flatten(1)).softmax(1), "before softmax"),
        (lambda x, fc: fc(x.flatten(1)).relu().log_softmax(1).relu(), "log_softmax is dropped only at the end"),
        (lambda x, fc: fc(x.unsqueeze(0).flatten(0, 1).flatten(1)), "aten.unsqueeze.default: expected records to stay apart"),
        (lambda x, fc: fc(x.flatten(1))[1:], "aten.slice.Tensor: expected all records"),
        (
            lambda x, fc: fc(x.view(-1, 2, 12).transpose(1, 2).unflatten(1, (3, 4)).transpose(2, 3).flatten(1)),
            "as the layer before",
        ),
    ],
)
def test_what_is_refused(function, message):
    with pytest.raises(ValueError, match=message):
        from_module(Function(function, nn.Linear(24, 2)), (2, 3, 4))


def test_compile_says_what_is_dropped(tmp_path):
    path = tmp_path / "m.pt"
    module = nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(dim=1)).eval()
    torch.export.save(torch.export.export(module, (torch.zeros(2, 4),)), path)
    assert load_model(path).dropped == "aten.log_softmax.int"
    assert (
        "aten.log_softmax.int at the end is dropped: cross-entropy takes it" in shell("compile --model m.pt", tmp_path).stdout
    )
