"""Model files: a program of torch.export.save, or a checkpoint {"arch": name, "state_dict": ...} of a network of the zoo.

Both are read as data; no code of theirs is run, and torch isn't needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zkds.circuits import zoo
from zkds.circuits.checkpoint import open_archive, read_object
from zkds.circuits.graph import Network
from zkds.circuits.program import is_program, read_program
from zkds.circuits.torch_import import from_program
from zkds.circuits.weights import require_finite

if TYPE_CHECKING:
    from zkds.circuits.torch_module import NetworkModule


class Model(NamedTuple):
    """A network with its parameters.

    parameters     name -> float64 array, of the names and shapes, and in the order, of `network.parameters`
    architecture   the name in the zoo, or None for an exported program
    """

    network: Network
    parameters: Mapping[str, NDArray[np.float64]]
    architecture: str | None = None

    def __repr__(self) -> str:
        """Without the parameters, which may be secret."""
        return f"Model(network={self.network!r}, architecture={self.architecture!r})"

    def module(self) -> NetworkModule:
        """The torch module with these parameters, float64. Needs torch."""
        from zkds.circuits.torch_module import NetworkModule, load_parameters

        module = NetworkModule(self.network).double().eval()
        load_parameters(module, self.parameters)
        return module


def load_model(path: str | Path) -> Model:
    """Reads a model file.

    Raises OSError if it can't be opened; ValueError, naming the file, if it is damaged, of another kind, of an unknown
    architecture, with an unsupported operator, or with a weight that isn't finite.
    """
    try:
        with open_archive(path) as archive:
            if is_program(archive):
                network, parameters = from_program(read_program(archive))
                model = Model(network, parameters)
            else:
                model = _from_checkpoint(read_object(archive))
        for name, values in model.parameters.items():
            require_finite(name, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return model


def _from_checkpoint(document: Any) -> Model:
    if (
        not isinstance(document, dict)
        or set(document) != {"arch", "state_dict"}
        or not isinstance(document["state_dict"], dict)
    ):
        raise ValueError('checkpoint: expected {"arch": name, "state_dict": ...}; other models: torch.export.save')
    network = zoo.network(document["arch"])
    return Model(network, from_state_dict(network, document["state_dict"]), document["arch"])


def from_state_dict(network: Network, state: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    """The parameters from arrays by name. A weight may have the shape (out, C*H*W) of a linear layer instead of its own.

    Raises ValueError for missing and unknown names, other shapes, and numbers that aren't floats.
    """
    expected = dict(network.parameters)
    if set(state) != set(expected):
        missing, unknown = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
        raise ValueError(f"state_dict: missing {missing}, unknown {unknown}")
    parameters = {}
    for name, shape in expected.items():
        values = state[name]
        if not isinstance(values, np.ndarray) or values.dtype != np.float64:
            raise ValueError(f"{name}: expected a tensor of floats")
        if values.shape not in (shape, (shape[0], values.size // shape[0])) or values.size != np.prod(shape):
            raise ValueError(f"{name}: expected shape {shape}, got {values.shape}")
        parameters[name] = values.reshape(shape)
    return parameters
