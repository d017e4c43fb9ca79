"""From a program of torch.export to a network and its parameters.

The program must be a chain of the operators below from one input to the scores. Dropout in evaluation mode, nn.Identity and
reshapes that keep the order of the numbers change nothing and are dropped. ReLU before max-pooling is exchanged with it
(zkds/circuits/graph.py says why that changes nothing). Batch normalization isn't supported, since folding it into the
convolution before it changes the parameters and with them the metric: whoever wants the folded network's metric exports that
one (torch.nn.utils.fusion.fuse_conv_bn_eval). Every parameter counts as trainable.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.checkpoint import open_archive
from zkds.circuits.graph import Layer, Network, Pool, Shape
from zkds.circuits.program import Operation, Program, Tensor, read_program

if TYPE_CHECKING:
    import torch

Parameters = dict[str, NDArray[np.float64]]
Window = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]  # kernel, stride, padding


def from_module(module: torch.nn.Module, input_shape: tuple[int, ...]) -> tuple[Network, Parameters]:
    """The network that a module computes in evaluation mode for records of `input_shape`, (C, H, W) or (d,).

    Raises ValueError as `from_program`. The module itself stays in the mode that it is in.
    """
    import torch

    training = module.training
    module.eval()
    try:
        first = next(module.parameters(), torch.zeros(()))
        example = torch.zeros((2, *input_shape), dtype=first.dtype, device=first.device)
        return from_exported_program(torch.export.export(module, (example,)))
    finally:
        module.train(training)


def from_exported_program(exported: torch.export.ExportedProgram) -> tuple[Network, Parameters]:
    """The network of a program in memory; see `from_program`."""
    import torch

    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    with open_archive(buffer) as archive:
        return from_program(read_program(archive))


def from_program(program: Program) -> tuple[Network, Parameters]:
    """The network, and its parameters: arrays of the names and shapes of `Network.parameters`.

    Raises ValueError, naming the operator and what is supported, for anything but a chain of supported operators.
    """
    try:
        importer = _Importer(program)
        for operation in program.operations:
            importer.add(operation)
        return importer.finish()
    except (KeyError, TypeError, IndexError) as error:  # only in files that torch did not write
        raise ValueError(f"exported program: damaged at {error}") from None


class _Importer:
    """Follows the chain of operators and adds each to the layers."""

    def __init__(self, program: Program) -> None:
        if len(program.inputs) != 1 or len(program.outputs) != 1 or not isinstance(program.inputs[0], Tensor):
            found = f"{len(program.inputs)} and {len(program.outputs)}"
            raise ValueError(f"exported program: expected one input and one output, got {found}")
        self._program = program
        self._tensor = program.inputs[0]  # where the chain has got to
        shape = program.shapes[self._tensor]
        if len(shape) not in (1, 3):
            raise ValueError(f"exported program: expected an input (B, C, H, W) or (B, d), got {('B', *shape)}")
        self._input_shape: Shape = (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)
        self._layers: list[Layer] = []
        self._parameters: Parameters = {}
        self._used: set[str] = set()

    def add(self, operation: Operation) -> None:
        """Takes the next operation of the program."""
        name = operation.operator
        if name.startswith(ARITHMETIC_OF_SIZES):
            return
        if name not in _HANDLERS:
            raise ValueError(_unsupported(name))
        source = operation.arguments.get("input", operation.arguments.get("self"))
        if source != self._tensor or operation.output is None:
            raise ValueError(f"{name}: expected a chain, in which each operator takes what the one before made")
        _HANDLERS[name](self, operation)
        self._tensor = operation.output

    def finish(self) -> tuple[Network, Parameters]:
        if self._tensor != self._program.outputs[0]:
            raise ValueError("exported program: expected the end of the chain as its output")
        return Network(self._input_shape, tuple(self._layers)), self._parameters

    # ---- one method for each kind of operator ----

    def convolution(self, operation: Operation) -> None:
        given = operation.arguments
        self._require(operation, dilation=([1, 1], [1], 1, None), groups=(1, None))
        weight = self._parameter(operation, "weight", dimensions=4)
        kernel = (weight.shape[2], weight.shape[3])
        stride, padding = _pair(given.get("stride", 1)), given.get("padding", 0)
        if padding == "same" and (kernel[0] % 2 == 0 or kernel[1] % 2 == 0):
            raise ValueError(f"{operation.operator}: padding: 'same' is supported for kernels of odd size, got {kernel}")
        named = {"same": (kernel[0] // 2, kernel[1] // 2), "valid": (0, 0)}
        window = (kernel, stride, named[padding] if isinstance(padding, str) else _pair(padding))
        self._add_layer(operation, weight, window)

    def linear(self, operation: Operation) -> None:
        weight = self._parameter(operation, "weight", dimensions=2)
        channels, height, width = self._shape
        if len(self._program.shapes[self._tensor]) != 1 or weight.shape[1] != channels * height * width:
            raise ValueError(
                f"{operation.operator}: expected flat records of {weight.shape[1]} numbers, flatten them before it"
            )
        self._add_layer(operation, weight.reshape(-1, channels, height, width), ((height, width), (1, 1), (0, 0)))

    def relu(self, operation: Operation) -> None:
        layer = self._last(operation)
        if layer.pool and layer.pool.kind == "average" and not layer.relu:
            raise ValueError(f"{operation.operator} after average pooling isn't supported, only before it")
        self._layers[-1] = replace(layer, relu=True)

    def max_pool(self, operation: Operation) -> None:
        self._require(operation, padding=([0, 0], [0], 0, None), dilation=([1, 1], [1], 1, None), ceil_mode=(False, None))
        self._add_pool(operation, "max", self._window(operation))

    def average_pool(self, operation: Operation) -> None:
        self._require(operation, padding=([0, 0], [0], 0, None), ceil_mode=(False, None), divisor_override=(None,))
        self._add_pool(operation, "average", self._window(operation))

    def adaptive_average_pool(self, operation: Operation) -> None:
        """Windows of equal sizes only."""
        (height, width), output = self._shape[1:], _pair(operation.arguments["output_size"])
        size = height // output[0]
        if (height, width) != (size * output[0], size * output[1]):
            raise ValueError(f"{operation.operator}: expected square windows of one size, got {(height, width)} to {output}")
        if size > 1:
            self._add_pool(operation, "average", size)

    def reshape(self, operation: Operation) -> None:
        assert operation.output is not None
        shape = self._program.shapes[operation.output]
        count = math.prod(self._shape)
        if shape == (count,) or shape == self._shape:
            return
        if self._layers or len(shape) != 3 or math.prod(shape) != count or min(shape) < 1:
            raise ValueError(f"{operation.operator}: expected records flattened to ({count},), got {shape}")
        self._input_shape = (shape[0], shape[1], shape[2])

    def identity(self, operation: Operation) -> None:
        """Contiguous copies and the like."""

    def dropout(self, operation: Operation) -> None:
        if operation.arguments.get("train"):
            raise ValueError(f"{operation.operator} in training mode: call model.eval() before exporting it")

    # ---- what they share ----

    @property
    def _shape(self) -> Shape:
        """(C, H, W) of the records that the chain has got to, flattened or not. Raises ValueError if the layers don't fit."""
        shape = self._input_shape
        for layer in self._layers:
            shape = layer.shapes(shape).output
        return shape

    def _last(self, operation: Operation) -> Layer:
        if not self._layers:
            raise ValueError(f"{operation.operator} before the first convolution or linear layer isn't supported")
        return self._layers[-1]

    def _add_layer(self, operation: Operation, weight: NDArray[np.float64], window: Window) -> None:
        parameter = self._program.parameters[operation.arguments["weight"]]
        bias = operation.arguments.get("bias")
        name = parameter.removesuffix(".weight")
        layer = Layer(name, weight.shape[0], weight.shape[1], *window, bias is not None)
        layer.shapes(self._shape)
        self._layers.append(layer)
        self._parameters[f"{name}.weight"] = weight
        if bias is not None:
            values = self._parameter(operation, "bias", dimensions=1)
            if len(values) != len(weight):
                raise ValueError(f"{name}.bias: expected {len(weight)} numbers, got {len(values)}")
            self._parameters[f"{name}.bias"] = values

    def _add_pool(self, operation: Operation, kind: str, size: int) -> None:
        layer = self._last(operation)
        if layer.pool:
            raise ValueError(f"{operation.operator} after another pooling isn't supported")
        if len(self._program.shapes[self._tensor]) != 3:
            raise ValueError(f"{operation.operator} after flattening isn't supported")
        layer = replace(layer, pool=Pool(kind, size))
        self._layers[-1] = layer
        _ = self._shape

    def _window(self, operation: Operation) -> int:
        kernel = _pair(operation.arguments["kernel_size"])
        stride = _pair(operation.arguments.get("stride") or operation.arguments["kernel_size"])
        if kernel != stride or kernel[0] != kernel[1]:
            raise ValueError(f"{operation.operator}: expected square windows side by side, got size {kernel}, stride {stride}")
        return kernel[0]

    def _parameter(self, operation: Operation, argument: str, *, dimensions: int) -> NDArray[np.float64]:
        name = self._program.parameters.get(operation.arguments[argument])
        if name is None:
            raise ValueError(
                f"{operation.operator}: {argument}: expected a parameter of the model, got a computed tensor or a buffer"
            )
        values = self._program.values.get(name)
        if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.ndim != dimensions:
            raise ValueError(f"{name}: expected a tensor of floats of {dimensions} dimensions")
        if name in self._used:
            raise ValueError(f"{name}: two layers that share parameters aren't supported")
        self._used.add(name)
        return values

    def _require(self, operation: Operation, **supported: tuple[Any, ...]) -> None:
        for argument, values in supported.items():
            value = operation.arguments.get(argument)
            if value not in values:
                raise ValueError(f"{operation.operator}: {argument}: {value} isn't supported, only {values[0]}")


def _pair(value: Any) -> tuple[int, int]:
    """(vertical, horizontal) of an argument that is one int for both, or one or two in a list."""
    values = value if isinstance(value, list) else [value]
    return values[0], values[-1]


def _unsupported(operator: str) -> str:
    hint = next((text for part, text in HINTS.items() if part in operator), "")
    return f"operator {operator} isn't supported{hint}; supported are {SUPPORTED}"


ARITHMETIC_OF_SIZES = ("aten.sym_size", "aten._assert", "_operator.")  # it has no effect on values

SUPPORTED = (
    "conv2d (stride, padding; dilation 1, one group), linear, relu, max_pool2d and avg_pool2d (square windows side by side), "
    "adaptive_avg_pool2d (windows of one size), flatten, view, reshape, dropout in evaluation mode, one after another"
)

HINTS = {
    "batch_norm": " (fold it into the convolution before it, with torch.nn.utils.fusion.fuse_conv_bn_eval)",
    "softmax": " (the network should end with its scores, before softmax)",
    "aten.add": " (a residual connection, or an addition)",
    "aten.convolution": " (export without run_decompositions)",
    "addmm": " (export without run_decompositions)",
}

_HANDLERS: Mapping[str, Callable[[_Importer, Operation], None]] = {
    "aten.conv2d.default": _Importer.convolution,
    "aten.conv2d.padding": _Importer.convolution,
    "aten.linear.default": _Importer.linear,
    "aten.relu.default": _Importer.relu,
    "aten.relu_.default": _Importer.relu,
    "aten.max_pool2d.default": _Importer.max_pool,
    "aten.avg_pool2d.default": _Importer.average_pool,
    "aten.adaptive_avg_pool2d.default": _Importer.adaptive_average_pool,
    "aten.flatten.using_ints": _Importer.reshape,
    "aten.view.default": _Importer.reshape,
    "aten.reshape.default": _Importer.reshape,
    "aten.unflatten.int": _Importer.reshape,
    "aten.contiguous.default": _Importer.identity,
    "aten.clone.default": _Importer.identity,
    "aten.alias.default": _Importer.identity,
    "aten.dropout.default": _Importer.dropout,
    "aten.dropout_.default": _Importer.dropout,
    "aten.feature_dropout.default": _Importer.dropout,
}
