"""Activations in programs of torch.export: read as the operators that they are, with the same scores and gradients."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional

from zkds.circuits.model_files.torch_import import from_module
from zkds.circuits.networks.torch_module import NetworkModule, load_parameters
from zkds.circuits.operators.clamp import Clamp
from zkds.circuits.operators.leaky_relu import LeakyRelu
from zkds.circuits.operators.smooth import Gelu, GeluTanh, Sigmoid, Silu, Tanh

pytestmark = pytest.mark.any_kernels

HALF = Fraction(1, 2)
KINDS = {
    "modules": (
        [
            *(nn.ReLU6(), nn.Hardtanh(-0.5, 0.25), nn.LeakyReLU(0.01), nn.Sigmoid(), nn.Tanh()),
            *(nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU()),
        ],
        [
            *(Clamp.of(Fraction(0), Fraction(6)), Clamp.of(-HALF, HALF / 2), LeakyRelu(42949673), Sigmoid(), Tanh()),
            *(Gelu(), GeluTanh(), Silu()),
        ],
    ),
    "in place": (
        [nn.LeakyReLU(0.5, inplace=True), nn.SiLU(inplace=True), nn.Hardtanh(inplace=True), nn.ReLU6(inplace=True)],
        [LeakyRelu(1 << 31), Silu(), Clamp.of(Fraction(-1), Fraction(1)), Clamp.of(Fraction(0), Fraction(6))],
    ),
    "functions": (
        [
            *(functional.relu6, torch.sigmoid, torch.tanh, functional.silu),
            *(lambda x: x.clamp(-1, 0.5), lambda x: x.clamp(min=-0.5), lambda x: torch.clamp_max(x, 0.5)),
        ],
        [
            *(Clamp.of(Fraction(0), Fraction(6)), Sigmoid(), Tanh(), Silu()),
            *(Clamp.of(Fraction(-1), HALF, inclusive=True), Clamp.of(-HALF, None, inclusive=True)),
            Clamp.of(None, HALF, inclusive=True),
        ],
    ),
}


class Activated(nn.Module):
    """Two dense layers with functions between them."""

    def __init__(self, functions):
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)
        self.functions = functions
        self.parts = nn.ModuleList([function for function in functions if isinstance(function, nn.Module)])

    def forward(self, x):
        x = self.first(x)
        for function in self.functions:
            x = function(x)
        return self.last(x)


@pytest.mark.parametrize("kind", KINDS)
def test_activations_are_read(kind):
    torch.manual_seed(1)
    functions, operators = KINDS[kind]
    model = Activated(functions).double()
    network, parameters = from_module(model, (5,))
    assert [node.operator for node in network.nodes][1:-1] == operators
    module = NetworkModule(network).double()
    load_parameters(module, parameters)
    x = torch.randn(20, 5, dtype=torch.float64) * 3
    assert torch.allclose(module(x), model(x), rtol=0, atol=1e-9)  # bounds and slopes have 32 fractional bits
    if kind == "in place":  # what torch itself can't differentiate, one behind the other
        return
    gradients = [torch.autograd.grad(m(x).square().sum(), list(m.parameters())) for m in (module, model)]
    for own, expected in zip(*gradients, strict=True):
        assert torch.allclose(own, expected.reshape(own.shape), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "function, message",
    [
        (nn.Hardtanh(0.0, float("inf")), "aten.hardtanh.default: max_val: expected a number"),
        (nn.Hardtanh(0.0, 2000.0), "aten.hardtanh.default: high: expected at least -1024 and below 1024"),
        (nn.LeakyReLU(-0.5), "aten.leaky_relu.default: slope: expected 0 to 1, got -0.5"),
        (nn.Mish(), "operator aten.mish.default isn't supported"),
    ],
)
def test_activations_that_are_not_there(function, message):
    with pytest.raises(ValueError, match=message):
        from_module(Activated([function]), (5,))
