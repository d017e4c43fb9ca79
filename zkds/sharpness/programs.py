"""Modules of exported programs (torch.export): what differs from the module that they were made from.

An exported program is a recorded graph. What the module decided while it was recorded is fixed in it: training or evaluation
mode, the number of records in a batch unless that was declared dynamic, and the types of numbers that it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Node
from torch.fx.node import map_aggregate

MODES = ("train", "training")  # arguments of operators that behave otherwise in training


def module_of(model: nn.Module | torch.export.ExportedProgram) -> nn.Module:
    """The module itself, or that of an exported program.

    Raises TypeError for what is neither; ValueError for TorchScript, and for a program that was exported in training mode or
    with other inputs than the records alone.
    """
    if isinstance(model, torch.export.ExportedProgram):
        model = model.module()
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError("model: TorchScript modules cannot be probed; load the module they were made from")
    if is_program(model):
        _check_inputs(model)
        _check_mode(model)
    return model


def is_program(module: nn.Module) -> bool:
    """Whether the module is that of an exported program."""
    return isinstance(module, GraphModule) and any("val" in node.meta for node in _inputs(module))


def recorded_shape(module: nn.Module) -> tuple[int | None, ...] | None:
    """Of the input, as the program has it, None for a length that may be any; None for what is no exported program."""
    if not is_program(module):
        return None
    value = _inputs(module)[0].meta["val"]
    return tuple(length if isinstance(length, int) else None for length in value.shape)


def constants(module: nn.Module) -> dict[str, torch.Tensor]:
    """Tensors that a program holds beside its parameters and buffers, by their names: those that forward made of numbers."""
    if not is_program(module):
        return {}
    return {
        f"{path}.{name}".lstrip("."): value
        for path, part in module.named_modules()
        for name, value in vars(part).items()
        if isinstance(value, torch.Tensor)
    }


def in_float64(module: nn.Module) -> nn.Module:
    """The same module with its parameters, buffers and what the graph names as float32 in float64; changed in place.

    `constants` stay as they are: `Network` takes them in the type that it computes in.
    """
    if is_program(module):
        for graph_module in _graphs(module):
            _rename_types(graph_module)
    return module.double()


def _rename_types(module: GraphModule) -> None:
    """float32 becomes float64 in the arguments of operators; checks of types go."""
    for node in list(module.graph.nodes):
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            module.graph.erase_node(node)
        elif node.op == "call_function":
            node.args = map_aggregate(node.args, _double)
            node.kwargs = map_aggregate(node.kwargs, _double)
    module.recompile()


def _double(argument: Any) -> Any:
    return torch.float64 if argument is torch.float32 else argument


def _check_inputs(module: nn.Module) -> None:
    inputs = _inputs(module)
    if len(inputs) != 1 or not isinstance(inputs[0].meta.get("val"), torch.Tensor):
        raise ValueError(
            f"model: expected a program with one input, the records, got {len(inputs)}; export a module whose forward takes "
            "the records alone"
        )


def _check_mode(module: nn.Module) -> None:
    """In training mode batches decide the statistics of batch norm, and dropout is random."""
    for graph_module in _graphs(module):
        for node in graph_module.graph.nodes:
            if node.op == "call_function" and _trains(node):
                raise ValueError(
                    f"model: the program was exported in training mode ({node.target}); call model.eval() before "
                    "torch.export.export"
                )


def _trains(node: Node) -> bool:
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    names = [argument.name for argument in node.target._schema.arguments]
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    return any(given.get(name) is True for name in MODES)


def _inputs(module: nn.Module) -> list[Node]:
    return [node for node in module.graph.nodes if node.op == "placeholder"] if isinstance(module, GraphModule) else []


def _graphs(module: nn.Module) -> Iterator[GraphModule]:
    """The graph and those within it."""
    return (part for part in module.modules() if isinstance(part, GraphModule))
