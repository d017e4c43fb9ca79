"""Reads what `torch.export.save` wrote, as data: no code of the file is run, and torch isn't loaded.

torch's own `torch.export.load` unpickles and evaluates parts of the file, and its documentation warns of untrusted ones. The
archive's other parts say all that is needed here:

    NAME/archive_format                                 "pt2"
    NAME/models/model.json                              the graph: operators with arguments by name, sizes, names of parameters
    NAME/data/weights/model_weights_config.json         which member holds which tensor, its type, sizes and strides
    NAME/data/weights/weight_0, ...                     the tensors' storages
    NAME/data/weights/model.pt                          instead of the last two in torch 2.8: a file of torch.save
    NAME/data/constants/, NAME/data/sample_inputs/      of no use here, but torch loads them

These are the layouts of torch 2.8 to 2.13, versions 8.8 to 8.20 of the schema (torch/_export/serde/schema.py).

A file must mean the same here and there. So every field is known or refused, what the file says twice must agree, and what
torch would run as code must be of the plain forms that torch writes: names, sizes, guards, sample inputs. What is known but in
no network that can be proved, such as a second input, is an obstacle; torch_import.py reports all of them together.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zkds.circuits.model_files.archive import Archive
from zkds.circuits.model_files.aten import Argument, SizeName, Tensor
from zkds.circuits.model_files.program_values import Values, check_constants, check_plain
from zkds.circuits.model_files.strict_json import (
    boolean,
    fields,
    integer,
    mapping,
    one_of,
    read_json,
    repeated,
    sequence,
    shown,
    text,
    texts,
    union,
)
from zkds.circuits.model_files.tensor_meta import (
    MAX_EXPRESSION,
    PRINTABLE,
    Meta,
    Symbol,
    parameter_name,
    read_meta,
    read_size,
)
from zkds.circuits.networks.graph import MAX_NAME_BYTES

FORMAT = b"pt2"
ARCHIVE_VERSION = b"0"
SCHEMA_VERSION = 8
LAST_MINOR_VERSION = 20
ATEN_VERSION = 10
GRAPH = "models/model.json"
SAMPLE_INPUTS = "data/sample_inputs/model.pt"
MEMBERS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/version|\.data/serialization_id|\.format_version|"
    r"\.storage_alignment|models/model\.json|data/sample_inputs/model\.pt|extra/.*|"
    r"data/weights/(model\.pt|model_weights_config\.json|weight_\d+)|"
    r"data/constants/(model\.pt|model_constants_config\.json|tensor_\d+)"
)
TRAINING = "TRAINING"
DIALECTS = (TRAINING, "ATEN")  # the second one's operators are functional
METADATA = "stack_trace nn_module_stack source_fn_stack torch_fn custom from_node"

# Names become those of variables in a function that torch generates, and must not hide what it uses there.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset(("self", "torch", "device", "inf", "nan", "NoneType", "pytree", "fx_pytree", "math", *keyword.kwlist))
_IN_PLACE = re.compile(r"aten\.\w*[a-z0-9]_\.\w+")
_SYMBOL = re.compile(r"[su]\d+")
_GUARD = re.compile(r"(?:L\['\w+'\](?:\[\d+\])?\.size\(\)\[\d+\]|\d+|[-+*/%()<>=! ])+")
_MODULE = re.compile(r"[A-Za-z0-9_.@]{0,100}")
_FRAME = re.compile(r'File "([^"\n]*)", line ([0-9]{1,7}), in ')
_TORCHS_OWN = re.compile(r"[/\\](?:site|dist)-packages[/\\]torch[/\\]")
_FILE = re.compile(r"[A-Za-z0-9_.-]{1,60}")


@dataclass(frozen=True)
class Operation:
    """One node of the graph.

    operator    its name, such as aten.conv2d.default; what doesn't start with torch.ops. stands as it is
    arguments   those that are given
    outputs     (kind, value) of what it makes: ("as_tensor", Tensor), ("as_sym_int", SizeName), or (kind, None)
    module      where in the model it is: a path such as features.1
    type        of that module, such as BatchNorm2d
    line        of the model's source, such as model.py:42; empty where the file doesn't say
    """

    operator: str
    arguments: tuple[Argument, ...]
    outputs: tuple[tuple[str, Any], ...]
    module: str
    type: str
    line: str

    @property
    def output(self) -> Tensor | None:
        """The tensor that it makes; None for what isn't one tensor."""
        only = self.outputs[0][1] if len(self.outputs) == 1 else None
        return only if isinstance(only, Tensor) else None


@dataclass(frozen=True)
class Program:
    """A graph and the values of its parameters and buffers.

    inputs       what the user gives
    outputs      what the user gets
    operations   in the order of computation
    tensors      what the file says of every tensor
    parameters   tensor -> the parameter's name in the model
    buffers      tensor -> the name in the model, of buffers and constants
    values       the values of parameters, and of the buffers that are kept with them
    obstacles    what is in no network that can be proved, apart from operators
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    tensors: Mapping[Tensor, Meta]
    parameters: Mapping[Tensor, str]
    buffers: Mapping[Tensor, str]
    values: Values = field(repr=False)
    obstacles: tuple[str, ...] = ()


def is_program(archive: Archive) -> bool:
    """Whether torch.export.save wrote it, and not torch.save."""
    return "archive_format" in archive or GRAPH in archive


def read_program(archive: Archive) -> Program:
    """The program in an open archive, which must stay open until its values are read.

    Raises ValueError, naming the place, if the file is damaged, of another layout, or says anything that isn't known here.
    """
    try:
        return _read_program(archive)
    except ValueError as error:
        raise ValueError(f"exported program: {error}") from None


def _read_program(archive: Archive) -> Program:
    archive.require_only(MEMBERS)
    if GRAPH not in archive or archive.read("archive_format", most=16) != FORMAT:
        raise ValueError("expected the layout of torch 2.8 or later; export it again with such a version")
    if archive.read("archive_version", most=16) != ARCHIVE_VERSION:
        raise ValueError("archive_version: expected 0")
    document = fields(
        read_json(archive.read(GRAPH), GRAPH),
        GRAPH,
        "graph_module opset_version range_constraints schema_version",
        "verifiers torch_version guards_code",
    )
    _check_document(document)
    check_plain(archive, SAMPLE_INPUTS)
    program = _program(document["graph_module"], archive, document.get("guards_code", []))
    _check_ranges(document["range_constraints"], program)
    in_place = any(_IN_PLACE.fullmatch(operation.operator) for operation in program.operations)
    if in_place and document.get("verifiers", []) != [TRAINING]:
        raise ValueError(f"verifiers: expected {TRAINING} for a program with operators that work in place")
    return program


def _check_document(document: Mapping[str, Any]) -> None:
    """Everything but the graph."""
    version = fields(document["schema_version"], "schema_version", "major minor")
    major, minor = (integer(version[key], "schema_version") for key in ("major", "minor"))
    if major != SCHEMA_VERSION or not 0 <= minor <= LAST_MINOR_VERSION:
        raise ValueError(
            f"expected version {SCHEMA_VERSION}.{LAST_MINOR_VERSION} of its schema or an earlier {SCHEMA_VERSION}.x, "
            f"got {major}.{minor}; export it with torch 2.8 to 2.13"
        )
    opset = fields(document["opset_version"], "opset_version", "aten")
    one_of(opset["aten"], "opset_version: aten", (ATEN_VERSION,))
    for dialect in sequence(document.get("verifiers", []), "verifiers"):
        one_of(dialect, "verifiers", DIALECTS)
    text(document.get("torch_version", ""), "torch_version")
    for guard in texts(document.get("guards_code", []), "guards_code"):
        if len(guard) > MAX_EXPRESSION or not _GUARD.fullmatch(guard):
            raise ValueError("guards_code: expected comparisons of sizes of inputs; torch runs it as Python")


def _check_ranges(constraints: Any, program: Program) -> None:
    """Bounds of symbols, which the program was exported within."""
    hints = {
        size.name: size.hint for tensor in program.inputs for size in program.tensors[tensor].sizes if isinstance(size, Symbol)
    }
    for symbol, bounds in mapping(constraints, "range_constraints").items():
        if not _SYMBOL.fullmatch(symbol):
            raise ValueError("range_constraints: expected names of symbols")
        where = f"range_constraints: {symbol}"
        found = fields(bounds, where, "min_val max_val")
        least, most = (None if found[key] is None else integer(found[key], where) for key in ("min_val", "max_val"))
        hint = hints.get(symbol)
        if hint is not None and ((least is not None and hint < least) or (most is not None and hint > most)):
            raise ValueError(f"{where}: expected the size of the example to be within the bounds")


# ---- the graph ----


def _program(value: Any, archive: Archive, guards: list[str]) -> Program:
    module = fields(value, "graph_module", "graph signature module_call_graph", "metadata treespec_namedtuple_fields")
    graph = fields(
        module["graph"],
        "graph",
        "inputs outputs nodes tensor_values sym_int_values sym_bool_values",
        "is_single_tensor_return custom_obj_values sym_float_values",
    )
    for key in fields(module.get("metadata", {}), "graph_module: metadata", "", "custom").values():
        text(key, "graph_module: metadata")
    one_of(graph.get("is_single_tensor_return", False), "is_single_tensor_return", (False,))
    tensors = {
        Tensor(_variable(name, "tensor_values")): read_meta(meta, f"tensor_values: {name}")
        for name, meta in mapping(graph["tensor_values"], "tensor_values").items()
    }
    known_sizes = _check_sizes(graph)
    operations = tuple(_operation(node, f"node {index}") for index, node in enumerate(sequence(graph["nodes"], "nodes")))
    reader = _SignatureReader(module["signature"])
    called = {*_check_module_calls(module["module_call_graph"], reader), "flat_args"}
    if not called.issuperset(name for guard in guards for name in re.findall(r"'(\w+)'", guard)):
        raise ValueError("guards_code: expected sizes of arguments of the model")
    _check_variables(graph, reader, operations)
    _check_computed(graph, known_sizes, operations)
    if mapping(module.get("treespec_namedtuple_fields", {}), "treespec_namedtuple_fields"):
        raise ValueError("treespec_namedtuple_fields: expected a model that takes and gives tensors, not a NamedTuple")
    for tensor in (*reader.inputs, *reader.parameters, *reader.buffers, *reader.outputs):
        if tensor not in tensors:
            raise ValueError(f"tensor_values: expected one for {tensor.name}")
    check_constants(archive, [name for tensor, name in reader.buffers.items() if tensor not in reader.kept_buffers])
    parameters, kept = (
        {name: tensors[tensor] for tensor, name in named.items()} for named in (reader.parameters, reader.kept_buffers)
    )
    others = {name: tensors[tensor] for tensor, name in reader.buffers.items() if tensor not in reader.kept_buffers}
    values = Values(archive, parameters, kept, others)
    return Program(
        tuple(reader.inputs),
        tuple(reader.outputs),
        operations,
        tensors,
        reader.parameters,
        reader.buffers,
        values,
        tuple(reader.obstacles),
    )


def _variable(name: Any, where: str) -> str:
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or name in _RESERVED or len(name) > MAX_NAME_BYTES:
        raise ValueError(f"{where}: {shown(name)}: expected the name of a variable")
    return name


def _tensor(value: Any, where: str) -> Tensor:
    return Tensor(_variable(fields(value, where, "name")["name"], where))


def _check_sizes(graph: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the file says of sizes and conditions that the graph computes: kind -> names. Values are computed, never read."""
    for key in ("sym_int_values", "sym_bool_values", "sym_float_values"):
        for name, value in mapping(graph.get(key, {}), key).items():
            where = f"{key}: {_variable(name, key)}"
            kind, constant = union(value, where)
            if kind == "as_bool":
                boolean(constant, where)
            elif kind != "as_float":
                read_size(value, where)
    for name in mapping(graph.get("custom_obj_values", {}), "custom_obj_values"):
        _variable(name, "custom_obj_values")
    return {"as_sym_int": list(graph["sym_int_values"]), "as_sym_bool": list(graph["sym_bool_values"])}


def _check_computed(graph: Mapping[str, Any], known: Mapping[str, list[str]], operations: tuple[Operation, ...]) -> None:
    """That the file says something of every size that the graph computes, and of no other."""
    made = [_value(argument, "graph: inputs") for argument in graph["inputs"]]
    for operation in operations:
        for kind, value in operation.outputs:
            made += [("as_sym_int", size) for size in value] if kind == "as_sym_ints" else [(kind, value)]
    for kind, names in known.items():
        computed = {value.name for made_kind, value in made if made_kind == kind and isinstance(value, SizeName)}
        if computed != set(names):
            raise ValueError(f"graph: expected values of {kind} for the sizes that it computes, and for no others")


def _operation(value: Any, where: str) -> Operation:
    node = fields(value, where, "target inputs outputs metadata", "is_hop_single_tensor_return name")
    target = text(node["target"], where)
    if len(target) > MAX_NAME_BYTES or not PRINTABLE.fullmatch(target):
        raise ValueError(f"{where}: expected the name of an operator")
    operator = target.removeprefix("torch.ops.") if target.startswith("torch.ops.aten.") else target
    if operator.startswith("aten.") and operator == target:
        raise ValueError(f"{where}: {operator}: expected torch.ops in front of it")
    where = f"{where}, {operator}"
    one_of(node.get("is_hop_single_tensor_return"), where, (None, True, False))
    metadata = fields(node["metadata"], f"{where}: metadata", "", METADATA)
    for entry in metadata.values():
        text(entry, f"{where}: metadata")
    arguments = tuple(_argument(entry, where) for entry in sequence(node["inputs"], where))
    outputs = tuple(_value(output, where) for output in sequence(node["outputs"], where))
    if node.get("name") is not None:
        name = _variable(node["name"], where)
        plain = operator.startswith(("aten.", "_operator.")) and len(outputs) == 1
        if plain and isinstance(outputs[0][1], Tensor | SizeName) and outputs[0][1].name != name:
            raise ValueError(f"{where}: expected the name of its output, got {name}")
    place = (*_place(metadata.get("nn_module_stack", "")), source_line(metadata.get("stack_trace", "")))
    return Operation(operator, arguments, outputs, *place)


def _place(stack: str) -> tuple[str, str]:
    """(path of the innermost module, its type); empty where the file doesn't say, or not in plain letters."""
    _, *rest = (stack.rsplit(";", 1)[-1]).split(",")
    path, kind = (rest[0], rest[1].rpartition(".")[2]) if len(rest) == 2 else ("", "")
    path, kind = (word if _MODULE.fullmatch(word) and "_empty_nn_module" not in word else "" for word in (path, kind))
    return path, kind


def source_line(trace: str) -> str:
    """file:line of the innermost call that isn't torch's own; empty where there is none, or the file has no plain name."""
    calls = [(path, line) for path, line in _FRAME.findall(trace) if not _TORCHS_OWN.search(path)]
    if not calls:
        return ""
    path, line = calls[-1]
    name = re.split(r"[/\\]", path)[-1]
    return f"{name}:{line}" if _FILE.fullmatch(name) else ""


def _argument(value: Any, where: str) -> Argument:
    entry = fields(value, where, "name arg kind")
    name = text(entry["name"], where)
    kind, content = _value(entry["arg"], f"{where}: {shown(name) if name else 'an argument'}")
    return Argument(name, kind, content, one_of(entry["kind"], where, (1, 2)) == 2)


def _value(argument: Any, where: str) -> tuple[str, Any]:
    """(kind, value); the value of a kind that no supported operator has is None."""
    kind, value = union(argument, where)
    match kind:
        case "as_tensor":
            return kind, _tensor(value, where)
        case "as_tensors":
            return kind, [_tensor(entry, where) for entry in sequence(value, where)]
        case "as_none":
            one_of(value, where, (True,))
            return kind, None
        case "as_int" | "as_memory_format":
            return kind, integer(value, where)
        case "as_float":
            if type(value) not in (int, float):
                raise ValueError(f"{where}: expected a number")
            return kind, float(value)
        case "as_bool":
            return kind, boolean(value, where)
        case "as_string":
            return kind, text(value, where)
        case "as_ints":
            return kind, [integer(number, where) for number in sequence(value, where)]
        case "as_sym_int":
            return kind, _computed(value, where)
        case "as_sym_ints":
            return kind, [_computed(entry, where) for entry in sequence(value, where)]
        case "as_sym_bool":
            inner, name = union(value, where)
            return kind, SizeName(_variable(name, where)) if inner == "as_name" else boolean(name, where)
        case _:
            return (kind, None) if _VARIABLE.fullmatch(kind) and len(kind) < 40 else ("another kind", None)


def _computed(value: Any, where: str) -> int | SizeName:
    kind, content = union(value, where)
    if one_of(kind, where, ("as_name", "as_int")) == "as_int":
        return integer(content, where)
    return SizeName(_variable(content, where))


# ---- what goes in and out ----


class _SignatureReader:
    """Inputs and outputs in order.

    names            of all inputs, "" for one that isn't a tensor
    buffers          tensor -> the name in the model, of buffers and constants
    kept_buffers     those of them that are kept with the weights
    """

    def __init__(self, value: Any) -> None:
        signature = fields(value, "signature", "input_specs output_specs")
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.parameters: dict[Tensor, str] = {}
        self.buffers: dict[Tensor, str] = {}
        self.kept_buffers: dict[Tensor, str] = {}
        self.obstacles: list[str] = []
        self.names: list[str] = []
        self.results: list[Any] = []
        for spec in sequence(signature["input_specs"], "input_specs"):
            self._read_input(*union(spec, "input_specs"))
        for spec in sequence(signature["output_specs"], "output_specs"):
            self._read_output(*union(spec, "output_specs"))
        twice = repeated([*self.parameters.values(), *self.buffers.values()])
        if twice is not None:
            raise ValueError(f"input_specs: two inputs are called {twice} in the model")
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            self.obstacles.append(f"expected one input and one output, got {len(self.inputs)} and {len(self.outputs)}")

    def _read_input(self, kind: str, value: Any) -> None:
        where = f"input_specs: {shown(kind)}"
        match kind:
            case "parameter":
                spec = fields(value, where, "arg parameter_name")
                tensor = _tensor(spec["arg"], where)
                self.parameters[tensor] = parameter_name(spec["parameter_name"], where)
            case "buffer":
                spec = fields(value, where, "arg buffer_name persistent")
                tensor = _tensor(spec["arg"], where)
                self.buffers[tensor] = parameter_name(spec["buffer_name"], where)
                if boolean(spec["persistent"], where):
                    self.kept_buffers[tensor] = self.buffers[tensor]
            case "tensor_constant":
                spec = fields(value, where, "arg tensor_constant_name")
                tensor = _tensor(spec["arg"], where)
                self.buffers[tensor] = parameter_name(spec["tensor_constant_name"], where)
            case "user_input":
                argument, content = _value(fields(value, where, "arg")["arg"], where)
                if not isinstance(content, Tensor):
                    self.names.append("")
                    self.obstacles.append(f"an input that isn't a tensor ({argument}): fix its value before exporting")
                    return
                self.inputs.append(tensor := content)
            case "constant_input" | "custom_obj" | "token":
                self.names.append("")
                self.obstacles.append(f"an input that isn't a tensor ({kind}): fix its value before exporting")
                return
            case _:
                raise ValueError(f"{where}: unknown kind of input")
        self.names.append(tensor.name)

    def _read_output(self, kind: str, value: Any) -> None:
        where = f"output_specs: {shown(kind)}"
        match kind:
            case "user_output":
                self.results.append(argument := _value(fields(value, where, "arg")["arg"], where))
                if isinstance(argument[1], Tensor):
                    self.outputs.append(argument[1])
                else:
                    self.obstacles.append(f"an output that isn't a tensor ({argument[0]})")
            case "buffer_mutation" | "parameter_mutation" | "user_input_mutation":
                self.results.append(None)
                self.obstacles.append(f"{kind}: the model changes its own state, as batch norm does in training mode: {EVAL}")
            case "loss_output" | "gradient_to_parameter" | "gradient_to_user_input" | "token":
                self.results.append(None)
                self.obstacles.append(f"{kind}: expected the scores as the only output")
            case _:
                raise ValueError(f"{where}: unknown kind of output")


EVAL = "call model.eval() before exporting it"


def _check_variables(graph: Mapping[str, Any], reader: _SignatureReader, operations: tuple[Operation, ...]) -> None:
    """That the graph's inputs and outputs are the signature's, and that no variable is set twice."""
    inputs = [_value(argument, "graph: inputs")[1] for argument in sequence(graph["inputs"], "graph: inputs")]
    if [value.name if isinstance(value, Tensor) else "" for value in inputs] != reader.names:
        raise ValueError("graph: expected the inputs of its signature, in the same order")
    outputs = [_value(argument, "graph: outputs") for argument in sequence(graph["outputs"], "graph: outputs")]
    if len(outputs) != len(reader.results) or any(
        expected not in (None, found) for expected, found in zip(reader.results, outputs, strict=True)
    ):
        raise ValueError("graph: expected the outputs of its signature, in the same order")
    outputs_of = [
        [entry for _, value in operation.outputs for entry in (value if isinstance(value, list) else [value])]
        for operation in operations
    ]
    made = [value.name for values in outputs_of for value in values if isinstance(value, Tensor | SizeName)]
    unnamed = [
        name
        for node, operation in zip(graph["nodes"], operations, strict=True)
        if isinstance(name := node.get("name"), str)
        and all(value is None or isinstance(value, list) for _, value in operation.outputs)
    ]
    twice = repeated([name for name in reader.names if name] + made + unnamed)
    if twice is not None:
        raise ValueError(f"graph: the variable {twice} is set twice")


def _check_module_calls(value: Any, reader: _SignatureReader) -> list[str]:
    """The names of the model's arguments. The first entry says how they become inputs, and the outputs what the user gets."""
    entries = [fields(entry, "module_call_graph", "fqn", "signature") for entry in sequence(value, "module_call_graph")]
    for entry in entries:
        text(entry["fqn"], "module_call_graph")
    signatures = [(entry["fqn"], entry.get("signature")) for entry in entries]
    if not signatures or signatures[0][0] != "" or any(signature is not None for _, signature in signatures[1:]):
        raise ValueError("module_call_graph: expected the signature of the whole model, and of no module in it")
    where = "module_call_graph: signature"
    signature = fields(signatures[0][1], where, "inputs outputs in_spec out_spec", "forward_arg_names")
    for key, tensors in (("inputs", reader.inputs), ("outputs", reader.outputs)):
        found = [_value(argument, where)[1] for argument in sequence(signature[key], where)]
        if found and found != tensors:
            raise ValueError(f"{where}: expected the {key} of the graph")
    names = texts(signature.get("forward_arg_names") or [], where)
    if repeated([_variable(name, where) for name in names]) is not None:
        raise ValueError(f"{where}: forward_arg_names: expected different names")
    for key, count in (("in_spec", len(reader.inputs)), ("out_spec", len(reader.outputs))):
        version, *trees = sequence(read_json(text(signature[key], where).encode(), f"{where}: {key}"), where)
        one_of(version, f"{where}: {key}", (1,))
        if len(trees) != 1 or (_leaves(trees[0], f"{where}: {key}") != count and not reader.obstacles):
            raise ValueError(f"{where}: {key}: expected as many tensors as the graph has")
    return names


def _leaves(value: Any, where: str) -> int:
    """How many tensors a tree of Python's containers holds."""
    tree = fields(value, where, "type context children_spec")
    children = sequence(tree["children_spec"], where)
    kind = one_of(tree["type"], where, (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"))
    if tree["context"] is not None:
        text(tree["context"], where)
    if kind is None and children:
        raise ValueError(f"{where}: expected a tensor")
    return 1 if kind is None else sum(_leaves(child, where) for child in children)
