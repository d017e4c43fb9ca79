"""The certified model as a file: the values on the grid of a proof, in a file of the kind that the model was read from.

    checkpoint, safetensors    {"arch": name, "state_dict": ...}, float64, in the shapes of the file, nothing else of it
    program                    the same program with other values, in its own type of floats

A parameter of 16 or 32 bits that is rounded to the grid needs no more bits than before, and so does a running mean: either is a
multiple of the grid's step already, or rounding leaves it fewer bits. A running variance may need more: in a program it stays
what it was then, and stands for the same integer.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.model_files.model_file import FileKind, Model, read_model
from zkds.circuits.model_files.written import checkpoint_bytes, safetensors_bytes
from zkds.circuits.networks.grid import grid_values
from zkds.circuits.networks.weights import model_digest

if TYPE_CHECKING:
    import torch

Values = Mapping[str, NDArray[np.float64]]


def certified_file(model: Model, program: IO[bytes] | None = None) -> bytes:
    """The bytes of a file that is read as the model on the grid, with the digest that a proof about the model states.

    program   where an exported program is read from; default: the model's file. torch reads it, which **runs code of the file**

    Of its own result it makes the same bytes. Raises ValueError, naming the file, for weights out of a proof's range and for
    what can't be written; ModuleNotFoundError for a program, without torch.
    """
    weights = model.quantised()
    try:
        if program is not None:
            program.seek(0)
        data = _file(model, _finite(model, grid_values(model.network, weights)), program)
        written = read_model(io.BytesIO(data))
        if model_digest(written.network, written.quantised()) != model_digest(model.network, weights):
            raise ValueError("cannot be written with the values of a proof: torch writes it as another network")
    except ValueError as error:
        raise ValueError(f"{model.file}: {error}") from None
    return data


def export_file(module: torch.nn.Module, record_shape: tuple[int, ...]) -> IO[bytes]:
    """A module as a file of torch.export.save, for records of this shape."""
    import torch

    from zkds.circuits.model_files.torch_import import exported

    buffer = io.BytesIO()
    torch.export.save(exported(module, record_shape), buffer)
    buffer.seek(0)
    return buffer


def _finite(model: Model, grid: Values) -> dict[str, NDArray[np.float64]]:
    """In the shapes of the file. Raises ValueError for a variance whose reciprocal deviation is 0 in a proof."""
    for name, values in grid.items():
        if not np.isfinite(values).all():
            index = int(np.argmin(np.isfinite(values)))
            raise ValueError(f"{name}[{index}]: so large that its channel is constant in a proof, which no model file can say")
    return {name: values.reshape(model.shapes.get(name, values.shape)) for name, values in grid.items()}


def _file(model: Model, values: Values, program: IO[bytes] | None) -> bytes:
    if model.kind is FileKind.PROGRAM:
        return _program(model, values, program)
    assert model.architecture is not None
    write = safetensors_bytes if model.kind is FileKind.SAFETENSORS else checkpoint_bytes
    return write(model.architecture, values)


def _program(model: Model, values: Values, source: IO[bytes] | None) -> bytes:
    """A value that the program's type of floats doesn't hold stays what it was."""
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.load(source if source is not None else model.file)
        tensors = {**program.constants, **program.state_dict}
        for name, array in values.items():
            tensor = tensors[model.names[name]]
            grid = torch.from_numpy(array)
            near = grid.to(tensor.dtype)
            tensor.copy_(torch.where(near.double() == grid, near, tensor))
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
    return buffer.getvalue()
