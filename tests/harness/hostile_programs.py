"""Exported programs by people who mean harm, each with what the refusal says. Made by code: none is kept as a file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import torch

from tests.harness.program_files import CONFIG, GRAPH, edited, in_one_file, members, packed

Document = Any


def node(document: Document, operator: str) -> Document:
    """The first node of this operator."""
    return next(each for each in nodes(document) if operator in each["target"])


def nodes(document: Document) -> Document:
    return document["graph_module"]["graph"]["nodes"]


def argument(document: Document, operator: str, name: str) -> Document:
    return next(entry for entry in node(document, operator)["inputs"] if entry["name"] == name)


def tensor(name: str) -> Document:
    return {"as_tensor": {"name": name}}


# ---- edits of the graph of tests.harness.program_files.Small, exported with a batch of 3 ----


def self_and_input(document: Document) -> None:
    """zkds took the one, torch the other: here ReLU of what is before it, or of the second convolution's output twice."""
    inputs = node(document, "aten.clone")["inputs"]
    inputs.append({"name": "input", "arg": tensor("x"), "kind": 1})


def self_for_a_convolution(document: Document) -> None:
    node(document, "conv2d.default")["inputs"].insert(0, {"name": "self", "arg": tensor("relu_"), "kind": 1})


def gap(document: Document) -> None:
    """torch takes what is called positional by position: padding [1, 1] becomes the stride."""
    inputs = node(document, "conv2d.default")["inputs"]
    inputs.remove(next(entry for entry in inputs if entry["name"] == "stride"))


def keyword_in_front(document: Document) -> None:
    argument(document, "max_pool2d", "self")["kind"] = 2


def twice(document: Document) -> None:
    inputs = node(document, "max_pool2d")["inputs"]
    inputs.append({"name": "kernel_size", "arg": {"as_ints": [1, 1]}, "kind": 1})


def parts_of_one_name(document: Document) -> None:
    """A split's list names a tensor that another operator makes."""
    node(document, "aten.clone")["outputs"] = [{"as_tensors": [{"name": name} for name in ("relu_", "clone")]}]


def reshape_lie(document: Document) -> None:
    """The size says that records are mixed, tensor_values says that they aren't."""
    argument(document, "aten.view", "size")["arg"] = {"as_ints": [4, -1]}


def sizes_lie(document: Document) -> None:
    document["graph_module"]["graph"]["tensor_values"]["view"]["sizes"][1] = {"as_int": 5}


def computed_batch(document: Document) -> None:
    """A size that is computed, but not the number of records."""
    made = {
        "target": "_operator.add",
        "inputs": [{"name": name, "arg": {"as_int": 2}, "kind": 1} for name in "ab"],
        "outputs": [{"as_sym_int": {"as_name": "four"}}],
        "metadata": {},
        "is_hop_single_tensor_return": None,
        "name": "four",
    }
    nodes(document).insert(0, made)
    document["graph_module"]["graph"]["sym_int_values"]["four"] = {"as_int": 3}
    argument(document, "aten.view", "size")["arg"] = {"as_sym_ints": [{"as_name": "four"}, {"as_int": -1}]}


def arithmetic_of_tensors(document: Document) -> None:
    """What zkds took for arithmetic of sizes doubles a tensor in place."""
    made = {
        "target": "_operator.iadd",
        "inputs": [{"name": name, "arg": tensor("relu_"), "kind": 1} for name in "ab"],
        "outputs": [],
        "metadata": {},
        "is_hop_single_tensor_return": None,
        "name": "harmless",
    }
    nodes(document).insert(2, made)


def add_of_tensors(document: Document) -> None:
    arithmetic_of_tensors(document)
    document["graph_module"]["graph"]["sym_int_values"]["harmless"] = {"as_int": 3}
    nodes(document)[2] |= {"target": "_operator.add", "outputs": [{"as_sym_int": {"as_name": "harmless"}}]}


def hidden_mutation(document: Document) -> None:
    """A node that nothing uses clears a weight in place."""
    made = json.loads(json.dumps(node(document, "aten.relu_.default")))
    made["inputs"][0]["arg"] = tensor("p_scores_0_weight")
    made["outputs"] = [tensor("cleared")]
    made["name"] = "cleared"
    document["graph_module"]["graph"]["tensor_values"]["cleared"] = document["graph_module"]["graph"]["tensor_values"]["relu_"]
    nodes(document).insert(1, made)


def adaptive_pool_to_nothing(document: Document) -> None:
    argument(document, "adaptive_avg_pool2d", "output_size")["arg"] = {"as_ints": [0, 0]}


def huge_stride(document: Document) -> None:
    argument(document, "conv2d.default", "stride")["arg"] = {"as_ints": [1 << 63, 1]}


def large_stride(document: Document) -> None:
    argument(document, "conv2d.default", "stride")["arg"] = {"as_ints": [1 << 62, 1]}


def no_stride(document: Document) -> None:
    argument(document, "conv2d.default", "stride")["arg"] = {"as_ints": [0, 0]}


def three_sizes(document: Document) -> None:
    argument(document, "max_pool2d", "kernel_size")["arg"] = {"as_ints": [2, 3, 2]}


def truth_as_number(document: Document) -> None:
    argument(document, "conv2d.default", "stride")["arg"] = {"as_ints": [True, True]}


def numbers_as_names(document: Document) -> None:
    document["graph_module"]["signature"]["input_specs"][0]["parameter"]["parameter_name"] = 7


def long_name(document: Document) -> None:
    document["graph_module"]["signature"]["input_specs"][0]["parameter"]["parameter_name"] = "w" * 100000


def code_as_name(document: Document) -> None:
    """Variables of the function that torch generates."""
    for each in nodes(document):
        for output in each["outputs"]:
            if output == tensor("view"):
                output["as_tensor"]["name"] = each["name"] = "view = 0; x"


def code_as_size(document: Document) -> None:
    expression = "__import__('os').system('false')"
    document["graph_module"]["graph"]["tensor_values"]["x"]["strides"][0] = {"as_expr": {"expr_str": expression, "hint": None}}


def code_as_guard(document: Document) -> None:
    document["guards_code"] = ["exec('raise SystemExit') is None"]


def guard_of_nothing(document: Document) -> None:
    document["guards_code"] = ["L['z'].size()[0] == 3"]


def hidden_torch(document: Document) -> None:
    text = json.dumps(document["graph_module"]).replace('"relu_"', '"torch"')
    document["graph_module"] = json.loads(text)


def inputs_exchanged(document: Document) -> None:
    inputs = document["graph_module"]["graph"]["inputs"]
    names = [entry["as_tensor"]["name"] for entry in inputs]
    first, second = names.index("p_scores_0_weight"), names.index("p_scores_2_weight")
    inputs[first], inputs[second] = inputs[second], inputs[first]


def one_name_for_two(document: Document) -> None:
    """torch takes a buffer's values from another place, and sets them under the name of a weight."""
    for spec in document["graph_module"]["signature"]["input_specs"]:
        if "buffer" in spec:
            spec["buffer"] |= {"buffer_name": "scores.0.weight", "persistent": False}


def earlier_output(document: Document) -> None:
    document["graph_module"]["graph"]["outputs"] = [tensor("linear_1")]


def buffer_changes(document: Document) -> None:
    specs = document["graph_module"]["signature"]["output_specs"]
    specs.insert(0, {"buffer_mutation": {"arg": {"name": "relu_"}, "buffer_name": "unused"}})
    document["graph_module"]["graph"]["outputs"].insert(0, tensor("relu_"))


def other_type(document: Document) -> None:
    document["graph_module"]["graph"]["tensor_values"]["conv2d_1"]["dtype"] = 8


def unknown_field(document: Document) -> None:
    node(document, "conv2d.default")["scale"] = 2


def newer_version(document: Document) -> None:
    document["schema_version"]["minor"] = 99


def training(document: Document) -> None:
    argument(document, "aten.dropout", "train")["arg"] = {"as_bool": True}


EDITS: dict[str, tuple[Callable[[Document], None], str]] = {
    each.__name__: (each, message)
    for each, message in (
        (self_and_input, "aten.clone.default: unknown argument input"),
        (self_for_a_convolution, "aten.conv2d.default: unknown argument self"),
        (gap, "aten.conv2d.default: expected arguments by position without a gap"),
        (keyword_in_front, "aten.max_pool2d.default: expected arguments by position without a gap"),
        (twice, "aten.max_pool2d.default: two arguments kernel_size"),
        (parts_of_one_name, "graph: the variable relu_ is set twice"),
        (reshape_lie, "aten.view.default: expected the number of records as the first size"),
        (sizes_lie, "tensor_values: view: expected the sizes (B, 4) that aten.view.default makes"),
        (computed_batch, "aten.view.default: expected the number of records as the first size"),
        (arithmetic_of_tensors, "operator _operator.iadd isn't supported"),
        (add_of_tensors, "_operator.add: expected a and b, sizes or conditions"),
        (hidden_mutation, "aten.relu_.default: scores.0.weight: expected what the network computes; parameters are"),
        (adaptive_pool_to_nothing, "adaptive_avg_pool2d.default: outputs: expected 1 to 1048576, got 0"),
        (huge_stride, "models/model.json: expected integers of 64 bits"),
        (large_stride, "): aten.conv2d.default: stride: expected 1 to 1048576"),
        (no_stride, "): aten.conv2d.default: stride: expected 1 to 1048576"),
        (three_sizes, "kernel_size: expected one or two integers"),
        (truth_as_number, "aten.conv2d.default: stride: expected an integer"),
        (numbers_as_names, "input_specs: parameter: expected a name of at most 200 printable letters"),
        (long_name, "input_specs: parameter: expected a name of at most 200 printable letters"),
        (code_as_name, "expected the name of a variable"),
        (code_as_size, "expected an expression in sizes of inputs"),
        (code_as_guard, "guards_code: expected comparisons of sizes of inputs"),
        (guard_of_nothing, "guards_code: expected sizes of arguments of the model"),
        (hidden_torch, "torch: expected the name of a variable"),
        (inputs_exchanged, "graph: expected the inputs of its signature, in the same order"),
        (one_name_for_two, "input_specs: two inputs are called scores.0.weight in the model"),
        (earlier_output, "graph: expected the outputs of its signature, in the same order"),
        (buffer_changes, "the model changes its own state, as batch norm does in training mode: call model.eval()"),
        (other_type, "tensor_values: conv2d_1: expected the type, device and layout of the input"),
        (unknown_field, "unknown field scale"),
        (newer_version, "export it with torch 2.8 to 2.13"),
        (training, "aten.dropout.default in training mode: call model.eval() before exporting it"),
    )
}


# ---- edits of what says where the weights are ----


def entry(name: str, **changes: Any) -> Callable[[Document], None]:
    """Changes the fields of a weight's description."""

    def edit(document: Document) -> None:
        found = document["config"][name]
        meta = {key: value for key, value in changes.items() if key in found["tensor_meta"]}
        found["tensor_meta"] |= meta
        found |= {key: value for key, value in changes.items() if key not in meta}

    return edit


def numbers(*values: int) -> list[Document]:
    return [{"as_int": value} for value in values]


WEIGHT_EDITS = {
    "type": (entry("scores.0.weight", dtype=8), "scores.0.weight: expected whole elements, 16 or more"),
    "other bits": (entry("scores.0.weight", dtype=4), "the graph and data/weights/model_weights_config.json say different"),
    "transposed": (entry("scores.0.weight", strides=numbers(1, 4)), "the graph and data/weights/model_weights_config.json"),
    "sizes": (entry("scores.0.weight", sizes=numbers(2, 8), strides=numbers(8, 1)), "say different things of it"),
    "exchanged": (entry("scores.0.weight", path_name="weight_8"), "scores.0.weight: expected whole elements, 16 or more"),
    "not a parameter": (entry("scores.0.weight", is_param=False), "the graph and data/weights/model_weights_config.json"),
    "pickle": (entry("scores.0.weight", use_pickle=True), "scores.0.weight: expected a plain tensor; torch would unpickle it"),
    "elsewhere": (entry("scores.0.weight", path_name="../weights/weight_5"), "scores.0.weight: expected a plain tensor, in a"),
    "overflow": (entry("scores.0.weight", storage_offset={"as_int": 1 << 62}), "expected whole elements"),
    "gradient": (entry("scores.0.weight", requires_grad=False), "the graph and data/weights/model_weights_config.json"),
}


# ---- other files ----


def both(data: bytes, change: Callable[[Document], None]) -> bytes:
    """Graph and weights edited alike: the description of every parameter."""

    def graph(document: Document) -> None:
        for name, meta in document["graph_module"]["graph"]["tensor_values"].items():
            if name.startswith("p_"):
                change(meta)

    def config(document: Document) -> None:
        for each in document["config"].values():
            change(each["tensor_meta"])

    return edited(edited(data, graph), config, CONFIG)


def stride_zero(meta: Document) -> None:
    """A few bytes as 2^26 elements each."""
    if len(meta["sizes"]) == 2:
        meta["sizes"], meta["strides"] = numbers(1 << 13, 1 << 13), numbers(0, 0)


def duplicate_name(data: bytes) -> bytes:
    parts = members(data)
    text = parts[GRAPH]
    return packed(parts | {GRAPH: text.replace(b'"opset_version"', b'"graph_module": {}, "opset_version"', 1)})


def not_a_number(data: bytes) -> bytes:
    parts = members(data)
    return packed(parts | {GRAPH: parts[GRAPH].replace(b'"as_float": 0.2', b'"as_float": NaN', 1)})


def infinite(data: bytes) -> bytes:
    parts = members(data)
    return packed(parts | {GRAPH: parts[GRAPH].replace(b'"as_float": 0.2', b'"as_float": 1e999', 1)})


def nested(data: bytes) -> bytes:
    return packed(members(data) | {GRAPH: b'{"graph_module": ' + b"[" * 200000 + b"]" * 200000 + b"}"})


def long_list(data: bytes) -> bytes:
    return packed(members(data) | {GRAPH: b'{"graph_module": [' + b"[]," * 3000000 + b"[]]}"})


def long_text(data: bytes) -> bytes:
    return packed(members(data) | {GRAPH: b'"' + b"\\\\" * (1 << 24) + b'"'})


def other_encoding(data: bytes) -> bytes:
    parts = members(data)
    return packed(parts | {GRAPH: parts[GRAPH].decode().encode("utf-16")})


def state_of(data: bytes) -> dict[str, torch.Tensor]:
    """name -> values of parameters and buffers."""
    return dict(torch.export.load(io.BytesIO(data)).state_dict)


def one_storage_for_two(data: bytes) -> bytes:
    state = state_of(data)
    return in_one_file(data, state | {"scores.2.weight": state["scores.0.weight"]})


def one_number_for_many(data: bytes) -> bytes:
    return in_one_file(data, state_of(data) | {"scores.0.weight": torch.ones(1, 1).expand(4, 4)})


def another_type(data: bytes) -> bytes:
    return in_one_file(data, state_of(data) | {"scores.0.weight": torch.ones(4, 4, dtype=torch.float64)})


def one_weight_less(data: bytes) -> bytes:
    return in_one_file(data, {name: values for name, values in state_of(data).items() if name != "scores.0.weight"})


def other_object(data: bytes) -> bytes:
    return in_one_file(data, [1, 2])


def one_member_for_two(data: bytes) -> bytes:
    tied = members(edited(data, entry("scores.2.weight", path_name="weight_5"), CONFIG))
    return packed({name: part for name, part in tied.items() if name != "data/weights/weight_7"})


def surplus(data: bytes) -> bytes:
    return packed(members(data) | {"data/weights/weight_99": b""})


def two_places(data: bytes) -> bytes:
    parts = members(data)
    return packed(parts | {"data/weights/model.pt": parts["data/sample_inputs/model.pt"]})


FILES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    each.__name__: (each, message)
    for each, message in (
        (duplicate_name, "models/model.json: the name graph_module stands twice in one object"),
        (not_a_number, "models/model.json: expected finite numbers"),
        (infinite, "models/model.json: expected finite numbers"),
        (nested, "models/model.json: expected at most 64 values within each other"),
        (long_list, "models/model.json: expected at most 1048576 values"),
        (long_text, "models/model.json: expected at most 33554432 bytes"),
        (other_encoding, "models/model.json: 'utf-8' codec can't decode"),
        (one_storage_for_two, "two layers that share parameters aren't supported"),
        (one_number_for_many, "scores.0.weight: the graph and data/weights/model.pt say different things of it"),
        (another_type, "scores.0.weight: expected the type that the graph says"),
        (one_weight_less, "data/weights/model.pt: expected the parameters and buffers of the graph"),
        (other_object, "data/weights/model.pt: expected the parameters and buffers of the graph"),
        (one_member_for_two, "two layers that share parameters aren't supported"),
        (surplus, "data/weights/weight_99: expected a tensor in it"),
        (two_places, "expected weights in data/weights/model.pt or beside it, got both"),
    )
} | {"stride_zero": (lambda data: both(data, stride_zero), "expected every element once, got one in several places")}


def hostile(data: bytes) -> dict[str, tuple[bytes, str]]:
    """name -> (a file, what the error must say), from the file of tests.harness.program_files.Small with a batch of 3."""
    found = {name: (edited(data, edit), message) for name, (edit, message) in EDITS.items()}
    found |= {f"weights: {name}": (edited(data, edit, CONFIG), message) for name, (edit, message) in WEIGHT_EDITS.items()}
    return found | {name: (make(data), message) for name, (make, message) in FILES.items()}
