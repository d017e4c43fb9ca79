"""Reads what `torch.export.save` wrote, as data: no code of the file is run, and torch isn't loaded.

torch's own `torch.export.load` unpickles and evaluates parts of the file, and its documentation warns of untrusted ones. The
archive's other parts say all that is needed here:

    NAME/archive_format                                 "pt2"
    NAME/models/model.json                              the graph: operators with arguments by name, shapes, names of parameters
    NAME/data/weights/model_weights_config.json         which member holds which tensor, its type, shape and stride
    NAME/data/weights/weight_0, ...                     the tensors' storages
    NAME/data/weights/model.pt                          instead of the last two in older versions: a file of torch.save

These are the layouts of torch 2.8 and later, with version 8 of the schema.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.checkpoint import BFLOAT16, Archive, float64, open_archive, read_object, strided

FORMAT = b"pt2"
SCHEMA_VERSION = 8
GRAPH = "models/model.json"
WEIGHTS = "data/weights/"
WEIGHTS_CONFIG = WEIGHTS + "model_weights_config.json"
WEIGHTS_FILE = WEIGHTS + "model.pt"
MAX_JSON_BYTES = 1 << 26
ELEMENT_TYPES = {6: "<f2", 7: "<f4", 8: "<f8", 13: BFLOAT16}  # torch's numbers of the types that parameters may have


@dataclass(frozen=True)
class Tensor:
    """A reference to a value of the graph."""

    name: str


@dataclass(frozen=True)
class Operation:
    """One operator of the graph.

    operator    its name, such as aten.conv2d.default
    arguments   those that are given, by name; tensors as `Tensor`
    output      the tensor that it makes; None for what isn't one tensor, as sizes and assertions
    """

    operator: str
    arguments: Mapping[str, Any]
    output: Tensor | None


@dataclass(frozen=True)
class Program:
    """A graph and the values of its parameters.

    inputs       what the user gives
    outputs      what the user gets
    operations   in the order of computation
    shapes       of every tensor, without its first dimension, that of the batch
    parameters   tensor -> the parameter's name in the model
    values       name of a parameter -> a float64 array, unless the file holds something else
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    shapes: Mapping[Tensor, tuple[int, ...]]
    parameters: Mapping[Tensor, str]
    values: Mapping[str, Any] = field(repr=False)


def is_program(archive: Archive) -> bool:
    """Whether torch.export.save wrote it, and not torch.save."""
    return "archive_format" in archive or GRAPH in archive


def read_program(archive: Archive) -> Program:
    """The program in an open archive. Raises ValueError if it is damaged or of another layout."""
    if GRAPH not in archive or archive.read("archive_format", most=16) != FORMAT:
        raise ValueError("exported program: expected the layout of torch 2.8 or later; export it again with such a version")
    document = _read_json(archive, GRAPH)
    try:
        version = document["schema_version"]["major"]
        if version != SCHEMA_VERSION:
            raise ValueError(f"exported program: expected version {SCHEMA_VERSION} of its schema, got {version}")
        return _program(document["graph_module"], _read_values(archive))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"exported program: damaged at {error}") from None


def _read_json(archive: Archive, name: str) -> Any:
    try:
        return json.loads(archive.read(name, most=MAX_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"exported program: {name}: {error}") from None


def _program(module: Any, values: Mapping[str, Any]) -> Program:
    graph, signature = module["graph"], module["signature"]
    inputs: list[Tensor] = []
    parameters: dict[Tensor, str] = {}
    for spec in signature["input_specs"]:
        ((kind, value),) = spec.items()
        if kind == "parameter":
            parameters[Tensor(value["arg"]["name"])] = value["parameter_name"]
        elif kind == "user_input":
            inputs.append(_argument(value["arg"]))
    outputs = [_argument(spec["user_output"]["arg"]) for spec in signature["output_specs"] if "user_output" in spec]
    return Program(
        tuple(inputs),
        tuple(outputs),
        tuple(map(_operation, graph["nodes"])),
        {Tensor(name): _record_shape(meta["sizes"]) for name, meta in graph["tensor_values"].items()},
        parameters,
        values,
    )


def _operation(node: Any) -> Operation:
    outputs = [_argument(output) for output in node["outputs"]]
    output = outputs[0] if len(outputs) == 1 and isinstance(outputs[0], Tensor) else None
    arguments = {entry["name"]: _argument(entry["arg"]) for entry in node["inputs"]}
    return Operation(node["target"].removeprefix("torch.ops."), arguments, output)


def _argument(argument: Any) -> Any:
    """Numbers, strings, lists of them and None as themselves, tensors as references; anything else as its JSON."""
    ((kind, value),) = argument.items()
    match kind:
        case "as_tensor":
            return Tensor(value["name"])
        case "as_none":
            return None
        case "as_int" | "as_float" | "as_bool" | "as_string" | "as_ints" | "as_floats" | "as_bools":
            return value
        case "as_sym_ints":
            return [entry.get("as_int") for entry in value]
        case _:
            return argument


def _record_shape(sizes: Any) -> tuple[int, ...]:
    """Without the first dimension; -1 for a length that isn't a number."""
    return tuple(size.get("as_int", -1) for size in sizes[1:])


def _read_values(archive: Archive) -> dict[str, Any]:
    if WEIGHTS_FILE in archive:
        with open_archive(io.BytesIO(archive.read(WEIGHTS_FILE))) as inner:
            return dict(read_object(inner))
    config = _read_json(archive, WEIGHTS_CONFIG)["config"]
    return {name: _read_tensor(archive, name, entry) for name, entry in config.items() if entry["is_param"]}


def _read_tensor(archive: Archive, name: str, entry: Any) -> NDArray[np.float64]:
    meta = entry["tensor_meta"]
    if entry["use_pickle"] or meta["dtype"] not in ELEMENT_TYPES:
        raise ValueError(f"{name}: expected a plain tensor of floats of 16, 32 or 64 bits")
    storage = float64(archive.read(WEIGHTS + entry["path_name"]), ELEMENT_TYPES[meta["dtype"]])
    shape, stride = (tuple(size["as_int"] for size in meta[key]) for key in ("sizes", "strides"))
    return strided(storage, meta["storage_offset"]["as_int"], shape, stride)
