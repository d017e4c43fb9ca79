"""A network with batch norms as the network without them that computes the same: vgg11-bn as vgg11."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zkds.circuits.networks import zoo
from zkds.circuits.networks.torch_module import NetworkModule, build


def folded(trained: NetworkModule, architecture: str) -> NetworkModule:
    """`architecture` of the zoo, whose layers are those of `trained` in order, every batch norm folded into the layer before.

    Raises ValueError if the layers' shapes are not those of the architecture.
    """
    layers: list[tuple[Tensor, Tensor]] = []
    for module in trained.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.bias is not None
            layers.append((module.weight.detach().double(), module.bias.detach().double()))
        elif isinstance(module, nn.BatchNorm2d):
            layers[-1] = _through(module, *layers[-1])
    plain = build(architecture)
    names = [name for name, _ in zoo.network(architecture).tensors]
    values = [value for layer in layers for value in layer]
    own = plain.state_dict()
    if [value.shape for value in values] != [own[name].shape for name in names]:
        raise ValueError(f"architecture: expected one with the layers of the trained network, got {architecture!r}")
    plain.load_state_dict(dict(zip(names, (value.float() for value in values), strict=True)))
    return plain


def _through(norm: nn.BatchNorm2d, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.detach().double() - scale * norm.running_mean.double()
    return weight * scale[:, None, None, None], scale * bias + shift
