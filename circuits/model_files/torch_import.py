"""From a program of torch.export to a network and its parameters.

The program must be a chain of the operators below from one input to the scores. Dropout in evaluation mode, nn.Identity and
reshapes that keep the order of the numbers change nothing and are dropped. ReLU before max-pooling is exchanged with it
(zkds/circuits/networks/graph.py says why that changes nothing). Batch normalization isn't supported, since folding it into the
convolution before it changes the parameters and with them the metric: whoever wants the folded network's metric exports that
one (torch.nn.utils.fusion.fuse_conv_bn_eval). Every parameter counts as trainable.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.model_files.archive import open_archive
from zkds.circuits.model_files.aten import (
    ASSERTIONS,
    SIZE_ARITHMETIC,
    SIZE_KINDS,
    SizeName,
    Tensor,
    bind,
    require_names,
)
from zkds.circuits.model_files.obstacles import Obstacles, Unsupported, unsupported_operator
from zkds.circuits.model_files.program import ELEMENT_TYPES, EVAL, STRIDED, Operation, Program, Symbol, read_program
from zkds.circuits.model_files.strict_json import shown
from zkds.circuits.networks.graph import Layer, Network, Pool, Shape

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

    Raises ValueError, with everything that isn't supported and where it is, for anything but a chain of supported operators;
    and where sizes or types differ from what the operators make.
    """
    importer = _Importer(program)
    for operation in program.operations:
        importer.add(operation)
    return importer.finish()


class _Importer:
    """Follows the chain of operators and adds each to the layers.

    Behind an obstacle it goes on with the sizes that the file states, only to find further ones; it has no network then.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._obstacles = Obstacles(program.obstacles)
        self._used: set[str] = set()
        self._batch: int | Symbol = Symbol(None)  # the number of records
        self._batch_sizes: set[SizeName] = set()  # computed sizes that are the number of records
        self._computed: set[SizeName] = set()
        self._tensors = {*program.inputs, *program.parameters, *program.buffers}
        self._any_layer = False
        self._layers: list[Layer] = []
        self._parameters: Parameters = {}
        self._restart(program.inputs[0] if program.inputs else None)
        if self._obstacles:
            return
        self._input = program.tensors[program.inputs[0]]
        if self._input.sizes:
            self._batch = self._input.sizes[0]
        if len(self._record) not in (1, 3) or min(self._record) < 1:
            sizes = ", ".join(str(size) if isinstance(size, int) else "?" for size in self._input.sizes)
            self._obstacles.say(f"expected an input (B, C, H, W) or (B, d) of fixed sizes but B, got ({sizes})")
        elif self._batch == 0 or (isinstance(self._batch, Symbol) and self._batch.name is None):
            self._obstacles.say("expected a first dimension, that of the records, of a fixed size or one of torch.export.Dim")
        elif self._input.dtype not in ELEMENT_TYPES:
            self._obstacles.say("expected an input of floats: divide images by 255 before the model")

    def add(self, operation: Operation) -> None:
        """Takes the next operation of the program."""
        try:
            self._add(operation)
        except Unsupported as problem:
            self._obstacles.add(operation, str(problem))
            self._restart(operation.output)
        except ValueError as error:
            if not self._obstacles:
                raise ValueError(f"exported program: {error}") from None
            self._restart(operation.output)

    def finish(self) -> tuple[Network, Parameters]:
        if not self._obstacles and self._tensor != self._program.outputs[0]:
            self._obstacles.say("expected the end of the chain as its output, got a tensor from within it")
        if self._obstacles:
            raise ValueError(self._obstacles.message())
        unknown = [tensor.name for tensor in self._program.tensors if tensor not in self._tensors]
        if unknown:
            raise ValueError(f"exported program: tensor_values: {unknown[0]} is made by no operator")
        network = Network(self._input_shape, tuple(self._layers))
        if len(self._record) != 1:
            raise ValueError(f"expected scores (B, {network.classes}), got records {self._record}: flatten them at the end")
        return network, self._parameters

    def _restart(self, tensor: Tensor | None) -> None:
        """Goes on from a tensor with the sizes that the file states."""
        meta = None if tensor is None else self._program.tensors.get(tensor)
        sizes = () if meta is None else meta.sizes[1:]
        self._tensor = tensor
        self._record = tuple(size if isinstance(size, int) else 0 for size in sizes)  # sizes of one record, where the chain is
        self._input_shape = _image(self._record) if self._record else (1, 1, 1)
        self._layers = []
        if tensor is not None:
            self._tensors.add(tensor)

    def _add(self, operation: Operation) -> None:
        name = operation.operator
        if name in ASSERTIONS or name in SIZE_ARITHMETIC or name == SIZE_OF:
            self._compute_size(operation)
            return
        if name not in _HANDLERS:
            raise unsupported_operator(
                operation, before_layers=not self._any_layer, is_buffer=self._program.buffers.__contains__
            )
        arguments = bind(name, operation.arguments)
        if operation.output is None:
            raise ValueError(f"{name}: expected one tensor as its output")
        source = next(iter(arguments.values()))
        if source != self._tensor:
            self._branch(name, source)
        _HANDLERS[name](self, name, arguments)
        self._tensor = operation.output
        self._tensors.add(operation.output)
        self._check_tensor(name, operation.output)

    def _branch(self, name: str, source: Tensor) -> None:
        if not self._obstacles:
            raise Unsupported(f"{name}: expected a chain, in which each operator takes what the one before made (a branch)")
        self._restart(source)

    def _check_tensor(self, name: str, tensor: Tensor) -> None:
        """That the file says of a tensor what the operators make."""
        if self._obstacles:
            return
        meta = self._program.tensors.get(tensor)
        if meta is None or meta.sizes != (self._batch, *self._record):
            sizes = ", ".join(map(str, self._record))
            raise ValueError(f"tensor_values: {tensor.name}: expected the sizes (B, {sizes}) that {name} makes")
        if (meta.dtype, meta.device, meta.layout) != (self._input.dtype, self._input.device, STRIDED):
            raise ValueError(f"tensor_values: {tensor.name}: expected the type, device and layout of the input")

    def _compute_size(self, operation: Operation) -> None:
        """Sizes are known only as the number of records or as something else; assertions make nothing."""
        name, arguments = operation.operator, operation.arguments
        made = [value for _, value in operation.outputs]
        if name in ASSERTIONS:
            require_names(name, arguments, tuple(ASSERTIONS[name]))
            if made or any(argument.kind not in ASSERTIONS[name][argument.name] for argument in arguments):
                raise ValueError(f"{name}: expected sizes and conditions")
        elif len(made) != 1 or not isinstance(made[0], SizeName):
            raise ValueError(f"{name}: expected one size or condition as its output")
        elif name == SIZE_OF:
            given = bind(name, arguments)
            if given["dim"] == 0 and given["self"] in self._tensors - set(self._program.parameters) - self._program.buffers:
                self._batch_sizes.add(made[0])
        elif tuple(argument.name for argument in arguments) != SIZE_ARITHMETIC[name] or any(
            argument.kind not in SIZE_KINDS or argument.by_keyword for argument in arguments
        ):
            raise ValueError(f"{name}: expected {' and '.join(SIZE_ARITHMETIC[name])}, sizes or conditions")
        self._require_computed(name, [argument.value for argument in arguments])
        self._computed |= {value for value in made if isinstance(value, SizeName)}

    def _require_computed(self, name: str, values: list[Any]) -> None:
        for value in values:
            if isinstance(value, SizeName) and value not in self._computed:
                raise ValueError(f"{name}: expected the size {value.name} to be computed before it")

    # ---- one method for each kind of operator; each sets the sizes of one record ----

    def convolution(self, name: str, given: Mapping[str, Any]) -> None:
        self._require(name, given, dilation=(1, 1), groups=1)
        weight_shape = self._weight_shape(name, given, dimensions=4)
        kernel = (weight_shape[2], weight_shape[3])
        stride, padding = given["stride"], given["padding"]
        if isinstance(padding, str):
            padding = _named_padding(name, padding, kernel, stride)
        if len(self._record) != 3:
            raise Unsupported(f"{name}: expected records (C, H, W), got {self._record}")
        if not self._layers:
            self._input_shape = _image(self._record)
        elif self._record != self._shape:
            raise Unsupported(f"{name}: expected records {self._shape} as the layer before made them, got {self._record}")
        self._add_layer(given, weight_shape, (kernel, stride, padding))
        self._record = self._shape

    def linear(self, name: str, given: Mapping[str, Any]) -> None:
        outer, inner = self._weight_shape(name, given, dimensions=2)
        if len(self._record) != 1 or inner != self._record[0]:
            raise Unsupported(f"{name}: expected flat records of {inner} numbers, got {self._record}: flatten them before it")
        channels, height, width = self._shape
        self._add_layer(given, (outer, channels, height, width), ((height, width), (1, 1), (0, 0)))
        self._record = (outer,)

    def relu(self, name: str, given: Mapping[str, Any]) -> None:
        layer = self._last(name)
        if layer is None:
            return
        if layer.pool and layer.pool.kind == "average" and not layer.relu:
            raise Unsupported(f"{name} after average pooling isn't supported, only before it: exchange the two and train again")
        self._layers[-1] = replace(layer, relu=True)

    def max_pool(self, name: str, given: Mapping[str, Any]) -> None:
        self._require(name, given, padding=(0, 0), dilation=(1, 1), ceil_mode=False)
        self._add_pool(name, "max", _window(name, given))

    def average_pool(self, name: str, given: Mapping[str, Any]) -> None:
        self._require(name, given, padding=(0, 0), ceil_mode=False, divisor_override=None)
        self._add_pool(name, "average", _window(name, given))

    def adaptive_average_pool(self, name: str, given: Mapping[str, Any]) -> None:
        """Windows of equal sizes only."""
        output = given["output_size"]
        if len(self._record) != 3:
            raise Unsupported(f"{name}: expected records (C, H, W), got {self._record}")
        size = self._record[1] // output[0] if output[0] > 0 else 0
        if size < 1 or self._record[1:] != (size * output[0], size * output[1]):
            raise Unsupported(f"{name}: expected square windows of one size, got {self._record[1:]} to {output}")
        if size > 1:
            self._add_pool(name, "average", size)

    def flatten(self, name: str, given: Mapping[str, Any]) -> None:
        rank = 1 + len(self._record)
        first, last = (_axis(name, given[key], rank) for key in ("start_dim", "end_dim"))
        if first == 0 and last > 0:
            raise Unsupported(f"{name}: expected records to stay apart: flatten from dimension 1 on")
        if first > last:
            raise ValueError(f"{name}: expected start_dim before end_dim")
        if first > 0:
            self._reshape(name, (*self._record[: first - 1], math.prod(self._record[first - 1 : last]), *self._record[last:]))

    def view(self, name: str, given: Mapping[str, Any]) -> None:
        """(B, ...) or (-1, ...): B is the number of records, as a number or as a computed size."""
        sizes = given["size" if name == "aten.view.default" else "shape"]
        self._require_computed(name, sizes)
        first, record = sizes[0] if sizes else None, sizes[1:]
        count = math.prod(self._record)
        if any(not isinstance(size, int) or size < -1 for size in record):
            raise Unsupported(f"{name}: expected records of fixed sizes")
        is_batch = first in self._batch_sizes or first in (-1, self._batch)
        if not is_batch or (first == -1 and (-1 in record or math.prod(record) != count)):
            raise Unsupported(f"{name}: expected the number of records as the first size, and {count} numbers in each")
        self._reshape(name, _filled(name, record, count))

    def unflatten(self, name: str, given: Mapping[str, Any]) -> None:
        axis = _axis(name, given["dim"], 1 + len(self._record))
        sizes = given["sizes"]
        if axis == 0 or any(not isinstance(size, int) for size in sizes):
            raise Unsupported(f"{name}: expected records of fixed sizes to stay apart")
        filled = _filled(name, sizes, self._record[axis - 1])
        self._reshape(name, (*self._record[: axis - 1], *filled, *self._record[axis:]))

    def identity(self, name: str, given: Mapping[str, Any]) -> None:
        """Contiguous copies and the like."""

    def dropout(self, name: str, given: Mapping[str, Any]) -> None:
        if not 0 <= given["p"] <= 1:
            raise ValueError(f"{name}: p: expected a probability")
        if given["train"]:
            raise Unsupported(f"{name} in training mode: {EVAL}")

    # ---- what they share ----

    @property
    def _shape(self) -> Shape:
        """(C, H, W) of the records that the chain has got to, flattened or not."""
        shape = self._input_shape
        for layer in self._layers:
            shape = layer.shapes(shape).output
        return shape

    def _last(self, name: str) -> Layer | None:
        """The layer before; None where an obstacle is before it."""
        if not self._layers and not self._obstacles:
            raise Unsupported(f"{name} before the first convolution or linear layer isn't supported")
        return self._layers[-1] if self._layers else None

    def _reshape(self, name: str, record: tuple[int, ...]) -> None:
        """All reshapes keep the order of a record's numbers, and each layer says what sizes it takes."""
        if math.prod(record) != math.prod(self._record):
            raise ValueError(f"{name}: expected {math.prod(self._record)} numbers in a record, got {record}")
        self._record = record
        if not self._layers and len(record) == 3:
            self._input_shape = _image(record)

    def _weight_shape(self, name: str, given: Mapping[str, Any], *, dimensions: int) -> tuple[int, ...]:
        """Sizes of the weight, which must be a parameter that nothing else uses; also of the bias, if there is one."""
        self._any_layer = True
        shapes = []
        for argument, length in (("weight", dimensions), ("bias", 1)):
            tensor = given[argument]
            if tensor is None:
                continue
            parameter = self._program.parameters.get(tensor)
            if parameter is None:
                raise Unsupported(f"{name}: {argument}: expected a parameter of the model, got a computed tensor or a buffer")
            if parameter in self._used or parameter in self._program.values.shared:
                raise Unsupported(f"{shown(parameter)}: two layers that share parameters aren't supported")
            self._used.add(parameter)
            meta = self._program.tensors[tensor]
            if meta.dtype not in ELEMENT_TYPES or len(meta.sizes) != length:
                raise ValueError(f"{parameter}: expected a tensor of floats of {length} dimensions")
            if not self._obstacles and (meta.dtype, meta.device) != (self._input.dtype, self._input.device):
                raise ValueError(f"{parameter}: expected the type and device of the input")
            shapes.append(tuple(size if isinstance(size, int) else 0 for size in meta.sizes))
        if len(shapes) == 2 and shapes[1] != shapes[0][:1]:
            raise ValueError(f"{name}: bias: expected {shapes[0][0]} numbers, got {shapes[1]}")
        return shapes[0]

    def _add_layer(self, given: Mapping[str, Any], shape: tuple[int, ...], window: Window) -> None:
        parameter = self._program.parameters[given["weight"]]
        name = parameter.removesuffix(".weight")
        try:
            layer = Layer(name, shape[0], shape[1], *window, given["bias"] is not None)
            layer.shapes(self._shape)
        except ValueError as error:  # says which layer, and what about it
            raise Unsupported(str(error)) from None
        self._layers.append(layer)
        if self._obstacles:
            return
        self._parameters[f"{name}.weight"] = self._program.values.read(parameter).reshape(layer.weight_shape)
        if given["bias"] is not None:
            self._parameters[f"{name}.bias"] = self._program.values.read(self._program.parameters[given["bias"]])

    def _add_pool(self, name: str, kind: str, size: int) -> None:
        if len(self._record) != 3:
            raise Unsupported(f"{name} after flattening isn't supported")
        layer = self._last(name)
        if layer is None:
            self._record = (self._record[0], self._record[1] // size, self._record[2] // size)
            return
        if layer.pool:
            raise Unsupported(f"{name} after another pooling isn't supported")
        if self._record != self._shape:
            raise Unsupported(f"{name}: expected records {self._shape} as the layer before made them, got {self._record}")
        try:
            self._layers[-1] = replace(layer, pool=Pool(kind, size))
            self._record = self._shape
        except ValueError as error:
            raise Unsupported(f"{name}: {error}") from None

    def _require(self, name: str, given: Mapping[str, Any], **supported: Any) -> None:
        others = [f"{argument} {value}" for argument, value in supported.items() if given[argument] != value]
        if others:
            raise Unsupported(f"{name}: expected {', '.join(others)}; others aren't supported")


def _image(record: tuple[int, ...]) -> Shape:
    """(C, H, W) of records of any sizes, which only three dimensions have themselves."""
    return (record[0], record[1], record[2]) if len(record) == 3 else (math.prod(record), 1, 1)


def _named_padding(name: str, padding: str, kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding != "same":
        raise ValueError(f"{name}: padding: expected same or valid")
    if kernel[0] % 2 == 0 or kernel[1] % 2 == 0 or stride != (1, 1):
        raise Unsupported(f"{name}: padding: 'same' is supported for kernels of odd size and stride 1, got {kernel}, {stride}")
    return kernel[0] // 2, kernel[1] // 2


def _window(name: str, given: Mapping[str, Any]) -> int:
    kernel: tuple[int, int] = given["kernel_size"]
    stride = given["stride"] or kernel
    if kernel != stride or kernel[0] != kernel[1]:
        raise Unsupported(f"{name}: expected square windows side by side, not overlapping: got size {kernel}, stride {stride}")
    if kernel[0] < 1:
        raise ValueError(f"{name}: kernel_size: expected at least 1")
    return kernel[0]


def _axis(name: str, axis: int, rank: int) -> int:
    """A dimension of (B, ...); negative ones count from the end."""
    if not -rank <= axis < rank:
        raise ValueError(f"{name}: expected a dimension from {-rank} to {rank - 1}, got {axis}")
    return axis % rank


def _filled(name: str, sizes: Sequence[int], count: int) -> tuple[int, ...]:
    """The sizes of `count` numbers; one of them may be -1, for what the others leave."""
    rest = math.prod(size for size in sizes if size != -1)
    if min(sizes, default=1) < -1 or sizes.count(-1) > 1 or rest < 1 or count % rest or (-1 not in sizes and rest != count):
        raise ValueError(f"{name}: expected sizes of {count} numbers, got {tuple(sizes)}")
    return tuple(count // rest if size == -1 else size for size in sizes)


SIZE_OF = "aten.sym_size.int"

_HANDLERS: Mapping[str, Callable[[_Importer, str, Mapping[str, Any]], None]] = {
    "aten.conv2d.default": _Importer.convolution,
    "aten.conv2d.padding": _Importer.convolution,
    "aten.linear.default": _Importer.linear,
    "aten.relu.default": _Importer.relu,
    "aten.relu_.default": _Importer.relu,
    "aten.max_pool2d.default": _Importer.max_pool,
    "aten.avg_pool2d.default": _Importer.average_pool,
    "aten.adaptive_avg_pool2d.default": _Importer.adaptive_average_pool,
    "aten.flatten.using_ints": _Importer.flatten,
    "aten.view.default": _Importer.view,
    "aten.reshape.default": _Importer.view,
    "aten.unflatten.int": _Importer.unflatten,
    "aten.contiguous.default": _Importer.identity,
    "aten.clone.default": _Importer.identity,
    "aten.alias.default": _Importer.identity,
    "aten.dropout.default": _Importer.dropout,
    "aten.dropout_.default": _Importer.dropout,
    "aten.feature_dropout.default": _Importer.dropout,
    "aten.feature_dropout_.default": _Importer.dropout,
}
