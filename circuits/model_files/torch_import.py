"""From a program of torch.export to a network and its parameters.

The program must be a graph of the operators of circuits/operators/ from one input to the scores. Dropout in evaluation mode,
nn.Identity and reshapes that keep the order of the numbers change nothing and are dropped. ReLU beside a max pool becomes part
of it (circuits/operators/maximum.py says why that changes nothing), and a convolution's last rows and columns that no pool uses
are not computed. Batch norm is never folded into the convolution before it, which would change the parameters and with them the
metric. Every parameter counts as trainable; what is kept with them and isn't one, such as a running mean, is a constant.
"""

from __future__ import annotations

import io
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
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
from zkds.circuits.model_files.obstacles import Obstacles, unsupported_operator
from zkds.circuits.model_files.program import EVAL, Operation, Program, read_program, source_line
from zkds.circuits.model_files.strict_json import shown
from zkds.circuits.model_files.tensor_meta import ELEMENT_TYPES, STRIDED, Symbol
from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.networks.simplify import simplified
from zkds.circuits.operators.affine import Affine
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.operator import Operator, Shape
from zkds.circuits.operators.pad import placed_in_zeros
from zkds.circuits.operators.registry import IMPORTS
from zkds.circuits.operators.relu import Relu
from zkds.circuits.operators.tracing import Traced, Unsupported, as_image, axis_of

if TYPE_CHECKING:
    import torch

Parameters = dict[str, NDArray[np.float64]]
_IN_PLACE = re.compile(r"aten\.\w+_\.\w+")
WITH_INDICES = frozenset(
    {"aten.adaptive_max_pool2d.default"}
)  # the second output: where in the input the first one's numbers are


def from_module(module: torch.nn.Module, input_shape: tuple[int, ...]) -> tuple[Network, Parameters]:
    """The network that a module computes in evaluation mode for records of `input_shape`, (C, H, W) or (d,).

    Raises ValueError as `from_program`. The module itself stays in the mode that it is in.
    """
    return from_exported_program(exported(module, input_shape))


def exported(module: torch.nn.Module, input_shape: tuple[int, ...]) -> torch.export.ExportedProgram:
    """The program of a module in evaluation mode, for two records; the module itself stays in the mode that it is in.

    Raises ValueError, with the line of its source, if torch can't follow its forward.
    """
    import torch

    training = module.training
    module.eval()
    try:
        first = next(module.parameters(), torch.zeros(()))
        example = torch.zeros((2, *input_shape), dtype=first.dtype, device=first.device)
        return torch.export.export(module, (example,))
    except RuntimeError as error:  # of torch.export, or what forward itself raises for such records
        raise ValueError(_not_followed(str(error))) from error
    finally:
        module.train(training)


def _not_followed(text: str) -> str:
    line = source_line(text)
    place = f"torch.export can't follow the model's forward{f' ({line})' if line else ''}"
    if "data-dependent" not in text.lower():
        return f"{place}: {text.strip().splitlines()[0] if text.strip() else 'it raises an error'}"
    return (
        f"{place}: it branches on numbers that it computes. torchvision's transforms.Normalize does, and "
        "transforms.v2.Normalize doesn't; nor does (x - mean) / std with buffers of sizes (C, 1, 1)"
    )


def from_exported_program(exported: torch.export.ExportedProgram) -> tuple[Network, Parameters]:
    """The network of a program in memory; see `from_program`."""
    import torch

    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    with open_archive(buffer) as archive:
        return from_program(read_program(archive))


def from_program(program: Program) -> tuple[Network, Parameters]:
    """The network, and its parameters and constants: arrays of the names and shapes of `Network.tensors`.

    Raises ValueError, with everything that isn't supported and where it is, for anything but a graph of supported operators;
    and where sizes or types differ from what the operators make.
    """
    network, parameters, _ = named_from_program(program)
    return network, parameters


def named_from_program(program: Program) -> tuple[Network, Parameters, dict[str, str]]:
    """Likewise; beside it the name that each parameter and constant of the network has in the program."""
    importer = _Importer(program)
    for operation in program.operations:
        importer.take(operation)
    return importer.finish()


class _Importer:
    """Follows the operators and makes a node of each.

    Behind an obstacle it goes on with the sizes that the file states, only to find further ones; it has no network then.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._obstacles = Obstacles(program.obstacles)
        self._used: set[str] = set()
        self._batch: int | Symbol = Symbol(None)  # the number of records
        self._batch_sizes: set[SizeName] = set()  # computed sizes that are the number of records
        self._computed: set[SizeName] = set()
        self._traced: dict[Tensor, Traced] = {}
        self._stale: dict[Tensor, str] = {}  # tensors that are not followed any more, and why
        self._logarithms: set[Tensor] = set()  # of the scores' softmax, which may only be the model's output
        self._derived: dict[Tensor, NDArray[np.float64]] = {}  # what was made of buffers and constants of the model
        self._other_constants: set[Tensor] = set()  # copies of constants that aren't floats, which no operator takes
        self._affine: dict[int, tuple[Traced, list[Fraction], list[Fraction]]] = {}  # node -> what it maps, and how
        self._storages = 0
        self._nodes: list[Node] = []
        self._shapes: list[Shape] = [(1, 1, 1)]  # of the input, then of each node's output
        self._input_used = False
        self._parameters: Parameters = {}
        self._constants: Parameters = {}
        self._names: dict[str, str] = {}  # of parameters and constants: in the network -> in the model
        self._read_buffers: Parameters = {}  # by their names in the model; two layers may have one in common
        if program.inputs:
            self._trace_input(program.inputs[0])

    def _trace_input(self, tensor: Tensor) -> None:
        found = self._unknown(tensor)
        self._shapes = [found.shape]
        self._traced[tensor] = replace(found, node=0)
        if self._obstacles:
            return
        self._input = self._program.tensors[tensor]
        if self._input.sizes:
            self._batch = self._input.sizes[0]
        if len(found.record) not in (1, 2, 3) or min(found.record) < 1:
            sizes = ", ".join(str(size) if isinstance(size, int) else "?" for size in self._input.sizes)
            self._obstacles.say(f"expected an input (B, C, H, W), (B, C, L) or (B, d) of fixed sizes but B, got ({sizes})")
        elif self._batch == 0 or (isinstance(self._batch, Symbol) and self._batch.name is None):
            self._obstacles.say("expected a first dimension, that of the records, of a fixed size or one of torch.export.Dim")
        elif self._input.dtype not in ELEMENT_TYPES:
            self._obstacles.say("expected an input of floats: divide images by 255 before the model")

    def take(self, operation: Operation) -> None:
        """Takes the next operation of the program."""
        try:
            self._take(operation)
        except Unsupported as problem:
            self._obstacles.add(operation, str(problem))
            self._go_on(operation)
        except ValueError as error:
            if not self._obstacles:
                raise ValueError(f"exported program: {error}") from None
            self._go_on(operation)

    def _go_on(self, operation: Operation) -> None:
        """Behind an obstacle: every tensor that the operation makes has the sizes that the file states."""
        for _, made in operation.outputs:
            for tensor in made if isinstance(made, list) else [made]:
                if isinstance(tensor, Tensor):
                    self._traced[tensor] = self._unknown(tensor)

    def finish(self) -> tuple[Network, Parameters, dict[str, str]]:
        scores = self._traced.get(self._program.outputs[0]) if self._program.outputs else None
        if not self._obstacles and (scores is None or self._program.outputs[0] in self._stale):
            self._obstacles.say("expected what the operators make as its output, got something else")
        if self._obstacles or scores is None:
            raise ValueError(self._obstacles.message())
        known = {*self._traced, *self._derived, *self._other_constants, *self._program.parameters, *self._program.buffers}
        unknown = [tensor.name for tensor in self._program.tensors if tensor not in known]
        if unknown:
            raise ValueError(f"exported program: tensor_values: {unknown[0]} is made by no operator")
        if not scores.node:
            raise ValueError("expected at least one layer")
        network = simplified(self._shapes[0], self._nodes, scores.node)
        if len(scores.record) != 1:
            raise ValueError(f"expected scores (B, {network.classes}), got records {scores.record}: flatten them at the end")
        found = self._parameters | self._constants
        names = [name for name, _ in network.tensors]
        return network, {name: found[name] for name in names}, {name: self._names[name] for name in names}

    def _unknown(self, tensor: Tensor) -> Traced:
        """A tensor behind an obstacle, with the sizes that the file states."""
        meta = self._program.tensors.get(tensor)
        sizes = () if meta is None else meta.sizes[1:]
        record = tuple(size if isinstance(size, int) else 0 for size in sizes)
        return Traced(None, as_image(record) if record else (1, 1, 1), record, self._new_storage())

    def _new_storage(self) -> int:
        self._storages += 1
        return self._storages

    def _take(self, operation: Operation) -> None:
        name = operation.operator
        if name in ASSERTIONS or name in SIZE_ARITHMETIC or name == SIZE_OF:
            self._compute_size(operation)
            return
        if self._take_constant(operation):
            return
        if name in PARTS:
            self._take_parts(operation)
            return
        handler = IMPORTS.get(name) or _RESHAPES.get(name)
        if handler is None or self._changes_a_constant(operation):
            raise unsupported_operator(operation, is_buffer=self._program.buffers.__contains__)
        arguments = bind(name, operation.arguments)
        output = operation.output
        if name in WITH_INDICES:
            output = self._without_indices(operation)
        if output is None:
            raise ValueError(f"{name}: expected one tensor as its output")
        made = handler(self, name, arguments)
        if _IN_PLACE.fullmatch(name):
            made = self._changed_in_place(next(iter(arguments.values())), made)
        self._traced[output] = made
        if name == LOG_SOFTMAX:
            self._logarithms.add(output)
        self._check_tensor(name, output)

    def _without_indices(self, operation: Operation) -> Tensor | None:
        """The first output of an operator with two, whose second one nothing may use."""
        made = [value for _, value in operation.outputs]
        if len(made) != 2 or not isinstance(made[0], Tensor):
            raise ValueError(f"{operation.operator}: expected a tensor and its indices as its outputs")
        if isinstance(made[1], Tensor):
            self._traced[made[1]] = self._unknown(made[1])
            self._stale[made[1]] = f"the indices that {operation.operator} makes aren't followed"
        return made[0]

    def _take_constant(self, operation: Operation) -> bool:
        """Whether it is a constant's copy or another shape of it, which is followed then."""
        name, first = operation.operator, next((argument.value for argument in operation.arguments), None)
        if name not in _OF_CONSTANTS or not isinstance(first, Tensor) or operation.output is None:
            return False
        values = self.constant(first)
        if values is None:
            if name not in _COPIES or first not in {*self._program.buffers, *self._other_constants}:
                return False
            bind(name, operation.arguments)
            self._other_constants.add(operation.output)
            return True
        made = _OF_CONSTANTS[name](values, bind(name, operation.arguments))
        meta = self._program.tensors.get(operation.output)
        if meta is None or meta.sizes != made.shape:
            raise ValueError(f"tensor_values: {operation.output.name}: expected the sizes {made.shape} that {name} makes")
        self._derived[operation.output] = made
        return True

    def _take_parts(self, operation: Operation) -> None:
        name = operation.operator
        parts = self._parts(name, bind(name, operation.arguments))
        tensors = operation.outputs[0][1] if len(operation.outputs) == 1 else None
        if not isinstance(tensors, list) or len(tensors) != len(parts):
            raise ValueError(f"{name}: expected {len(parts)} tensors as its output")
        for tensor, part in zip(tensors, parts, strict=True):
            self._traced[tensor] = part
            self._check_tensor(name, tensor)

    def _changes_a_constant(self, operation: Operation) -> bool:
        """Whether it works in place on a buffer or a constant of the model."""
        first = next((argument.value for argument in operation.arguments), None)
        constants = {*self._derived, *self._program.buffers}
        return bool(_IN_PLACE.fullmatch(operation.operator)) and isinstance(first, Tensor) and first in constants

    def _changed_in_place(self, target: Tensor, made: Traced) -> Traced:
        """What an operator that works in place made of its first argument, which is from now on that.

        What else may share its memory has changed, too, or not: a reshape is a view or a copy. Using it is refused.
        """
        before = self._traced[target]
        made = replace(made, storage=before.storage)
        for tensor, traced in self._traced.items():
            if traced.storage == before.storage and tensor != target:
                self._stale[tensor] = "its argument may share memory with what was changed in place before: use inplace=False"
        self._traced[target] = made
        return made

    def _check_tensor(self, name: str, tensor: Tensor) -> None:
        """That the file says of a tensor what the operators make."""
        if self._obstacles:
            return
        meta = self._program.tensors.get(tensor)
        record = self._traced[tensor].record
        if meta is None or meta.sizes != (self._batch, *record):
            sizes = ", ".join(map(str, record))
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
            if given["dim"] == 0 and given["self"] in self._traced:
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

    # ---- what operators' handlers ask for ----

    def traced(self, name: str, tensor: Tensor | Traced) -> Traced:
        if isinstance(tensor, Traced):
            return tensor
        if tensor in self._stale:
            raise Unsupported(f"{name}: {self._stale[tensor]}")
        if tensor in self._logarithms:
            raise Unsupported(f"{name}: log_softmax is dropped only at the end of the network")
        if tensor in self._program.parameters:
            raise Unsupported(
                f"{name}: {shown(self._program.parameters[tensor])}: expected what the network computes; parameters are "
                "the weights and biases of convolutions, linear layers and batch norm, others can only be constants "
                "(register_buffer)"
            )
        if tensor not in self._traced:
            raise Unsupported(f"{name}: expected what the network computes, got a parameter, a buffer or a constant")
        return self._traced[tensor]

    def image(self, name: str, tensor: Tensor | Traced) -> Traced:
        found = self.traced(name, tensor)
        if len(found.record) != 3:
            raise Unsupported(f"{name}: expected records (C, H, W), got {found.record}")
        if found.record != found.shape:
            raise Unsupported(f"{name}: expected records {found.shape} as the layer before made them, got {found.record}")
        return found

    def line(self, name: str, values: Traced) -> Traced:
        if len(values.record) != 2:
            raise Unsupported(f"{name}: expected records (C, L), got {values.record}")
        shape = as_image(values.record)
        if values.node == 0 and not self._input_used:
            self._set_input_shape(shape)
            values = replace(values, shape=shape)
        if values.shape != shape:
            raise Unsupported(f"{name}: expected records {values.shape} as the layer before made them, got {values.record}")
        return values

    def constant(self, value: Any) -> NDArray[np.float64] | None:
        if isinstance(value, int | float):
            return np.array(float(value))
        if value in self._derived:
            return self._derived[value]
        buffer = self._program.buffers.get(value)
        if buffer is None or self._program.tensors[value].dtype not in ELEMENT_TYPES:
            return None
        if buffer not in self._read_buffers:
            self._read_buffers[buffer] = self._program.values.read(buffer)
        return self._read_buffers[buffer]

    def affine(self, name: str, values: Traced, scale: Sequence[Fraction], shift: Sequence[Fraction]) -> Traced:
        source, before = values, self._affine.get(values.node or 0)
        if before is not None:
            source, scales, shifts = before
            shift = [a * b + c for a, b, c in zip(scale, shifts, shift, strict=True)]
            scale = [a * b for a, b in zip(scale, scales, strict=True)]
        try:
            operator = Affine.of(scale, shift)
        except ValueError as error:  # says what about it
            raise Unsupported(f"{name}: {error}") from None
        made = self.add(name, operator, [source], values.record)
        if made.node is not None:
            self._affine[made.node] = source, list(scale), list(shift)
        return made

    def weight_shape(self, name: str, given: Mapping[str, Any], dimensions: int) -> tuple[int, ...]:
        shapes = []
        for argument, length in (("weight", dimensions), ("bias", 1)):
            tensor = given[argument]
            if tensor is None:
                continue
            parameter = self._program.parameters.get(tensor)
            if parameter is None:
                raise Unsupported(
                    f"{name}: {argument}: expected a parameter of the model, got a computed tensor or a buffer; a computed one "
                    "becomes a parameter by torch.nn.utils.parametrize.remove_parametrizations"
                )
            if parameter in self._used or parameter in self._program.values.shared:
                raise Unsupported(
                    f"{shown(parameter)}: two layers that share parameters aren't supported; give each its own, "
                    f"nn.Parameter(layer.{argument}.detach().clone()), and train on"
                )
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

    def add(self, name: str, operator: Operator, inputs: Sequence[Traced], record: tuple[int, ...] | None = None) -> Traced:
        return self._add_node(name, operator, inputs, record, "")

    def add_layer(
        self, name: str, given: Mapping[str, Any], operator: Operator, inputs: Sequence[Traced], record: tuple[int, ...] | None
    ) -> Traced:
        layer = self._program.parameters[given["weight"]].removesuffix(".weight")
        made = self._add_node(name, operator, inputs, record, layer)
        if made.node is not None and not self._obstacles:
            for word, shape in operator.parameters:
                parameter = self._program.parameters[given[word]]
                self._names[f"{layer}.{word}"] = parameter
                self._parameters[f"{layer}.{word}"] = self._program.values.read(parameter).reshape(shape)
            for word, shape in operator.constants:
                self._constants[f"{layer}.{word}"] = self._constant(name, word, given[word], shape)
                self._names[f"{layer}.{word}"] = self._program.buffers[given[word]]
        return made

    def _constant(self, name: str, word: str, tensor: Tensor, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """The values of an argument that must be a buffer of the model, kept with its parameters."""
        buffer = self._program.buffers.get(tensor)
        if buffer is None:
            raise Unsupported(f"{name}: {word}: expected a buffer of the model, got a computed tensor or a parameter")
        meta = self._program.tensors[tensor]
        if meta.dtype not in ELEMENT_TYPES or meta.sizes != shape:
            raise ValueError(f"{buffer}: expected a tensor of floats of shape {shape}")
        if buffer not in self._read_buffers:
            self._read_buffers[buffer] = self._program.values.read(buffer)
        return self._read_buffers[buffer]

    def _add_node(
        self, name: str, operator: Operator, inputs: Sequence[Traced], record: tuple[int, ...] | None, layer: str
    ) -> Traced:
        try:
            shape = operator.output_shape([traced.shape for traced in inputs])
        except ValueError as error:  # says what about it
            raise Unsupported(f"{layer or name}: {error}") from None
        made = Traced(None, shape, shape if record is None else record, self._new_storage())
        sources = [traced.node for traced in inputs if traced.node is not None]
        if len(sources) < len(inputs):
            return made
        try:
            self._nodes.append(Node(operator, tuple(sources), layer))
        except ValueError as error:
            raise Unsupported(str(error)) from None
        self._input_used |= 0 in sources
        self._shapes.append(shape)
        return replace(made, node=len(self._nodes))

    def crop(self, name: str, images: Traced, sides: tuple[int, int]) -> Traced:
        shape = (images.shape[0], *sides)
        if images.shape == shape:
            return images
        record = shape if len(images.record) == 3 else (shape[0], shape[2])
        if images.node is None:
            return replace(images, shape=shape, record=record)
        path = self._only_layer_before(images)
        if not path:
            raise Unsupported(f"{name}: expected windows that cover {images.shape}; others aren't supported here")
        layer = self._nodes[path[-1] - 1]
        assert isinstance(layer.operator, Convolution)
        self._nodes[path[-1] - 1] = replace(layer, operator=replace(layer.operator, outputs=sides))
        for index in path:
            self._shapes[index] = shape
        for tensor, traced in self._traced.items():
            if traced.node in path:
                self._stale[tensor] = "rows and columns of its argument that a pool leaves out are not computed"
        return replace(images, shape=shape, record=record)

    def _only_layer_before(self, images: Traced) -> list[int]:
        """ReLUs back to the convolution that they are of, if nothing else uses them or it; else empty."""
        path = [images.node or 0]
        while path[-1] and isinstance(self._nodes[path[-1] - 1].operator, Relu):
            path += self._nodes[path[-1] - 1].inputs
        users = [sum(index in node.inputs for node in self._nodes) for index in path]
        is_layer = path[-1] and isinstance(self._nodes[path[-1] - 1].operator, Convolution)
        return path if is_layer and users == [0, *[1] * (len(path) - 1)] else []

    # ---- what changes no number ----

    def flatten(self, name: str, given: Mapping[str, Any]) -> Traced:
        values = self.traced(name, given["self"])
        rank = 1 + len(values.record)
        first, last = (axis_of(name, given[key], rank) for key in ("start_dim", "end_dim"))
        if first == 0 and last > 0:
            raise Unsupported(f"{name}: expected records to stay apart: flatten from dimension 1 on")
        if first > last:
            raise ValueError(f"{name}: expected start_dim before end_dim")
        record = values.record
        if first == 0:
            return values
        return self.reshaped(name, values, (*record[: first - 1], math.prod(record[first - 1 : last]), *record[last:]))

    def view(self, name: str, given: Mapping[str, Any]) -> Traced:
        """(B, ...) or (-1, ...): B is the number of records, as a number or as a computed size."""
        sizes = given["size" if name == "aten.view.default" else "shape"]
        self._require_computed(name, sizes)
        first, record = sizes[0] if sizes else None, sizes[1:]
        values = self.traced(name, given["self"])
        count = math.prod(values.record)
        if any(not isinstance(size, int) or size < -1 for size in record):
            raise Unsupported(f"{name}: expected records of fixed sizes")
        is_batch = first in self._batch_sizes or first in (-1, self._batch)
        if not is_batch or (first == -1 and (-1 in record or math.prod(record) != count)):
            raise Unsupported(f"{name}: expected the number of records as the first size, and {count} numbers in each")
        return self.reshaped(name, values, _filled(name, record, count))

    def unflatten(self, name: str, given: Mapping[str, Any]) -> Traced:
        values = self.traced(name, given["self"])
        axis = axis_of(name, given["dim"], 1 + len(values.record))
        sizes = given["sizes"]
        if axis == 0 or any(not isinstance(size, int) for size in sizes):
            raise Unsupported(f"{name}: expected records of fixed sizes to stay apart")
        filled = _filled(name, sizes, values.record[axis - 1])
        return self.reshaped(name, values, (*values.record[: axis - 1], *filled, *values.record[axis:]))

    def slice(self, name: str, given: Mapping[str, Any]) -> Traced:
        """Every step-th channel, row or column from one to another; all of anything."""
        values = self.traced(name, given["self"])
        axis = axis_of(name, given["dim"], 1 + len(values.record))
        start, end, step = given["start"] or 0, WHOLE if given["end"] is None else given["end"], given["step"]
        if any(not isinstance(number, int) for number in (start, end, step)) or step < 1:
            raise Unsupported(f"{name}: expected fixed numbers of channels, rows or columns")
        if axis == 0:
            if (start, step) == (0, 1) and end == WHOLE:
                return values
            raise Unsupported(f"{name}: expected all records")
        length = values.record[axis - 1]
        start, end = (min(max(0, at + length if at < 0 else at), length) for at in (start, end))
        return self._part(name, values, axis, range(start, end, step), alone=True)

    def select(self, name: str, given: Mapping[str, Any]) -> Traced:
        """One channel, row or column, without its dimension."""
        values = self.traced(name, given["self"])
        axis, at = axis_of(name, given["dim"], 1 + len(values.record)), given["index"]
        if axis == 0:
            raise Unsupported(f"{name}: expected all records")
        length = values.record[axis - 1]
        if not isinstance(at, int) or not -length <= at < length:
            raise ValueError(f"{name}: expected a number from {-length} to {length - 1}")
        part = self._part(name, values, axis, range(at % length, at % length + 1), alone=True)
        return self.reshaped(name, part, (*values.record[: axis - 1], *values.record[axis:]))

    def _parts(self, name: str, given: Mapping[str, Any]) -> list[Traced]:
        """Runs of channels, rows or columns side by side, all of them together."""
        values = self.traced(name, given["self"])
        axis = axis_of(name, given["dim"], 1 + len(values.record))
        if axis == 0:
            raise Unsupported(f"{name}: expected records to stay together")
        ends = list(itertools.accumulate(_sizes_of_parts(name, given, values.record[axis - 1]), initial=0))
        return [self._part(name, values, axis, range(*run), alone=False) for run in itertools.pairwise(ends)]

    def _part(self, name: str, values: Traced, axis: int, kept: range, *, alone: bool) -> Traced:
        """The entries `kept` of a dimension of (B, ...) but the first: of channels, rows or columns, or all of anything.

        alone   whether the rest may be left uncomputed, where nothing else has used it so far
        """
        if kept == range(values.record[axis - 1]):
            return values
        if len(values.record) not in (2, 3):
            raise Unsupported(f"{name}: expected channels, rows or columns of images; others aren't supported")
        images = self.line(name, values) if len(values.record) == 2 else self.image(name, values)
        along = axis if len(values.record) == 2 and axis == 2 else axis - 1
        first, steps, outputs = [0, 0, 0], [1, 1, 1], list(images.shape)
        first[along], steps[along], outputs[along] = -kept.start, kept.step, len(kept)
        if alone and (kept.start, kept.step) == (0, 1) and along and self._only_layer_before(images):
            return self.crop(name, images, (outputs[1], outputs[2]))
        return replace(placed_in_zeros(self, name, images, outputs, first, steps), storage=values.storage)

    def expand(self, name: str, given: Mapping[str, Any]) -> Traced:
        """To the sizes that there are, which changes nothing."""
        values = self.traced(name, given["self"])
        if "other" in given:
            same = self.traced(name, given["other"]).record == values.record
        else:
            self._require_computed(name, given["size"])
            first, *record = given["size"] or [None]
            same = first in (-1, self._batch, *self._batch_sizes) and len(record) == len(values.record)
            same = same and all(size in (-1, length) for size, length in zip(record, values.record, strict=True))
        if not same:
            raise Unsupported(
                f"{name}: expected the sizes {values.record} that the records have: sums with a constant are broadcast, and "
                "copies of channels are torch.cat((x, x), 1)"
            )
        return values

    def squeeze(self, name: str, given: Mapping[str, Any]) -> Traced:
        """Without dimensions of length 1: those that are named, or all."""
        values = self.traced(name, given["self"])
        rank = 1 + len(values.record)
        named = given.get("dim", range(1, rank))
        axes = {axis_of(name, axis, rank) for axis in ([named] if isinstance(named, int) else named)}
        if (0 in axes or "dim" not in given) and self._batch == 1:
            raise Unsupported(f"{name}: expected records to stay apart: squeeze other dimensions than the first")
        record = (length for axis, length in enumerate(values.record, 1) if axis not in axes or length != 1)
        return self.reshaped(name, values, tuple(record))

    def unsqueeze(self, name: str, given: Mapping[str, Any]) -> Traced:
        values = self.traced(name, given["self"])
        axis = axis_of(name, given["dim"], 2 + len(values.record))
        if axis == 0:
            raise Unsupported(f"{name}: expected records to stay apart, in the first dimension")
        return self.reshaped(name, values, (*values.record[: axis - 1], 1, *values.record[axis - 1 :]))

    def log_softmax(self, name: str, given: Mapping[str, Any]) -> Traced:
        """Of the scores: cross-entropy takes it anyway, and log_softmax of log_softmax is log_softmax."""
        scores = self.traced(name, given["self"])
        if len(scores.record) != 1 or axis_of(name, given["dim"], 2) != 1 or given["dtype"] is not None:
            raise Unsupported(f"{name}: expected the classes' dimension of scores (B, classes), and no other type")
        return scores

    def identity(self, name: str, given: Mapping[str, Any]) -> Traced:
        """Contiguous copies and the like."""
        return self.traced(name, given["self"])

    def clone(self, name: str, given: Mapping[str, Any]) -> Traced:
        """A copy, with memory of its own."""
        return replace(self.traced(name, given["self"]), storage=self._new_storage())

    def dropout(self, name: str, given: Mapping[str, Any]) -> Traced:
        if not 0 <= given["p"] <= 1:
            raise ValueError(f"{name}: p: expected a probability")
        if given["train"]:
            raise Unsupported(f"{name} in training mode: {EVAL}")
        return self.traced(name, next(iter(given.values())))

    def reshaped(self, name: str, values: Traced, record: tuple[int, ...]) -> Traced:
        """All reshapes keep the order of a record's numbers, and each operator says what sizes it takes."""
        if math.prod(record) != math.prod(values.record):
            raise ValueError(f"{name}: expected {math.prod(values.record)} numbers in a record, got {record}")
        if values.node == 0 and len(record) == 3 and not self._input_used:
            self._set_input_shape(as_image(record))
        return replace(values, record=record, shape=self._shapes[0] if values.node == 0 else values.shape)

    def _set_input_shape(self, shape: Shape) -> None:
        """The input is what the first operator takes it for."""
        self._shapes[0] = shape
        for tensor, traced in self._traced.items():
            if traced.node == 0:
                self._traced[tensor] = replace(traced, shape=shape)


def _filled(name: str, sizes: Sequence[int], count: int) -> tuple[int, ...]:
    """The sizes of `count` numbers; one of them may be -1, for what the others leave."""
    rest = math.prod(size for size in sizes if size != -1)
    if min(sizes, default=1) < -1 or sizes.count(-1) > 1 or rest < 1 or count % rest or (-1 not in sizes and rest != count):
        raise ValueError(f"{name}: expected sizes of {count} numbers, got {tuple(sizes)}")
    return tuple(count // rest if size == -1 else size for size in sizes)


def _sizes_of_parts(name: str, given: Mapping[str, Any], length: int) -> list[int]:
    """What torch.split and torch.chunk make of a dimension's length."""
    if "split_sizes" in given:
        sizes = given["split_sizes"]
    else:
        each = given["split_size"] if "split_size" in given else -(-length // max(1, given["chunks"]))
        fixed = isinstance(each, int) and each >= 1
        sizes = [min(each, length - at) for at in range(0, length, each)] if fixed else []
    if any(not isinstance(size, int) or size < 1 for size in sizes) or sum(sizes) != length:
        raise Unsupported(f"{name}: expected parts of fixed sizes, {length} together")
    return list(sizes)


_COPIES = frozenset({"aten.lift_fresh_copy.default", "aten.detach_.default"})
_OF_CONSTANTS: Mapping[str, Callable[[NDArray[np.float64], Mapping[str, Any]], NDArray[np.float64]]] = {
    **dict.fromkeys(
        (f"aten.{name}.default" for name in ("lift_fresh_copy", "detach_", "clone", "alias", "contiguous")),
        lambda values, given: values,
    ),
    "aten.view.default": lambda values, given: values.reshape(given["size"]),
    "aten.reshape.default": lambda values, given: values.reshape(given["shape"]),
    "aten.unsqueeze.default": lambda values, given: np.expand_dims(values, given["dim"]),
}
PARTS = frozenset({"aten.split.Tensor", "aten.split_with_sizes.default", "aten.chunk.default"})  # their output is a list
WHOLE = (1 << 63) - 1  # the end that torch writes for "to the end"
SIZE_OF = "aten.sym_size.int"
LOG_SOFTMAX = "aten.log_softmax.int"

_RESHAPES: Mapping[str, Callable[[_Importer, str, Mapping[str, Any]], Traced]] = {
    "aten.flatten.using_ints": _Importer.flatten,
    "aten.view.default": _Importer.view,
    "aten.reshape.default": _Importer.view,
    "aten.unflatten.int": _Importer.unflatten,
    "aten.slice.Tensor": _Importer.slice,
    "aten.select.int": _Importer.select,
    "aten.expand.default": _Importer.expand,
    "aten.expand_as.default": _Importer.expand,
    "aten.squeeze.default": _Importer.squeeze,
    "aten.squeeze.dim": _Importer.squeeze,
    "aten.squeeze.dims": _Importer.squeeze,
    "aten.unsqueeze.default": _Importer.unsqueeze,
    LOG_SOFTMAX: _Importer.log_softmax,
    "aten.contiguous.default": _Importer.identity,
    "aten.clone.default": _Importer.clone,
    "aten.alias.default": _Importer.identity,
    "aten.dropout.default": _Importer.dropout,
    "aten.dropout_.default": _Importer.dropout,
    "aten.feature_dropout.default": _Importer.dropout,
    "aten.feature_dropout_.default": _Importer.dropout,
}
