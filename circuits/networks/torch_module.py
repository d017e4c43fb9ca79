"""The torch module of a network: the one side of the model that needs torch, for training and for the float metric."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network
from zkds.output import write_whole


class NetworkModule(nn.Module):
    """The network as a torch module with fresh parameters, named as the network names them.

    Layers that see their whole input are nn.Linear, with a weight (out, C*H*W), the others are nn.Conv2d. Raises ValueError for
    a layer's name that no module can have in this one, as that of a method, or of another layer's weight.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.description = network
        self._of_node: list[nn.Module] = []  # a plain list: nodes without parameters have no names of modules
        for node, placed in zip(network.nodes, network.placed, strict=True):
            module = node.operator.module(placed.inputs)
            self._of_node.append(module)
            if node.name:
                self._insert(node.name, module)

    def _insert(self, full_name: str, module: nn.Module) -> None:
        *path, name = full_name.split(".")
        parent: nn.Module = self
        for word in path:
            if word not in parent._modules:
                _add(parent, word, nn.Module(), full_name)
            parent = parent.get_submodule(word)
        _add(parent, name, module, full_name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (B, classes) of records (B, C, H, W), or any shape (B, ...) with as many elements in the same order."""
        values = [x.reshape(len(x), *self.description.input_shape)]
        for node, module in zip(self.description.nodes, self._of_node, strict=True):
            values.append(module(*(values[source] for source in node.inputs)))
        return values[-1].flatten(1)


def _add(parent: nn.Module, word: str, module: nn.Module, layer: str) -> None:
    if hasattr(parent, word):
        raise ValueError(f"{layer}: {word}: expected a name that no other layer and no attribute of a module has")
    parent.add_module(word, module)


def build(architecture: str) -> NetworkModule:
    """A network of the zoo with fresh parameters, from torch's own generator. Raises ValueError for an unknown name."""
    return NetworkModule(zoo.network(architecture))


def load_parameters(module: NetworkModule, parameters: Mapping[str, NDArray[np.float64]]) -> None:
    """Sets the module's parameters and constants from arrays of the network's names and shapes; the module keeps its dtype."""
    state = {name: torch.from_numpy(np.array(parameters[name])) for name, _ in module.description.tensors}
    own = module.state_dict()
    module.load_state_dict(own | {name: value.reshape(own[name].shape) for name, value in state.items()})


def save_checkpoint(module: NetworkModule, architecture: str, path: str | Path) -> None:
    """Writes {"arch": architecture, "state_dict": ...}, complete or not at all. Raises ValueError if the module is of another
    architecture.
    """
    if zoo.network(architecture) != module.description:
        raise ValueError(f"architecture: expected the module's own, got {architecture!r}")
    buffer = io.BytesIO()
    torch.save({"arch": architecture, "state_dict": module.state_dict()}, buffer)
    write_whole(Path(path), buffer.getvalue())
