"""The operators that a network may be made of, each with the arguments that torch gives it, in torch's own notation.

A reader that looks for an argument by name and ignores the others can be told one thing and torch another: torch gives what is
called positional by position, so that one that is left out shifts the others, and drops what its schema doesn't have. So
arguments must be those of the schema, each once, in its order, by position first, without a gap.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from zkds.circuits.model_files.strict_json import repeated, shown


@dataclass(frozen=True)
class Tensor:
    """A reference to a value of the graph."""

    name: str


@dataclass(frozen=True)
class SizeName:
    """A reference to a size that the graph computes."""

    name: str


class Argument(NamedTuple):
    """What a node gives an operator.

    kind         as the file names it, such as as_ints; None for kinds that no operator below takes
    value        a Tensor, number, string or None, a SizeName, or a list of numbers and SizeNames
    by_keyword   not by position
    """

    name: str
    kind: str | None
    value: Any
    by_keyword: bool


SCHEMAS = {
    "aten.conv2d.default": (
        "Tensor input, Tensor weight, Tensor? bias=None, "
        "SymInt[2] stride=(1, 1), SymInt[2] padding=(0, 0), SymInt[2] dilation=(1, 1), SymInt groups=1"
    ),
    "aten.conv2d.padding": (
        "Tensor input, Tensor weight, Tensor? bias=None, "
        "SymInt[2] stride=(1, 1), str padding='valid', SymInt[2] dilation=(1, 1), SymInt groups=1"
    ),
    "aten.batch_norm.default": (
        "Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
        "bool training, float momentum, float eps, bool cudnn_enabled"
    ),
    "aten.conv1d.default": (
        "Tensor input, Tensor weight, Tensor? bias=None, "
        "SymInt[1] stride=(1,), SymInt[1] padding=(0,), SymInt[1] dilation=(1,), SymInt groups=1"
    ),
    "aten.conv1d.padding": (
        "Tensor input, Tensor weight, Tensor? bias=None, "
        "SymInt[1] stride=(1,), str padding='valid', SymInt[1] dilation=(1,), SymInt groups=1"
    ),
    "aten.linear.default": "Tensor input, Tensor weight, Tensor? bias=None",
    **dict.fromkeys(
        (f"aten.{name}.Tensor" for name in ("add", "add_", "sub", "sub_")), "Term self, Term other, *, Scalar alpha=1"
    ),
    **dict.fromkeys((f"aten.{name}.Tensor" for name in ("mul", "mul_", "div", "div_")), "Term self, Term other"),
    "aten.rsub.Scalar": "Tensor self, Scalar other, Scalar alpha=1",
    "aten.lift_fresh_copy.default": "Tensor self",
    "aten.detach_.default": "Tensor self",
    "aten.cat.default": "Tensor[] tensors, int dim=0",
    "aten.relu.default": "Tensor self",
    "aten.relu_.default": "Tensor self",
    "aten.relu6.default": "Tensor self",
    "aten.relu6_.default": "Tensor self",
    "aten.hardtanh.default": "Tensor self, Scalar min_val=-1, Scalar max_val=1",
    "aten.hardtanh_.default": "Tensor self, Scalar min_val=-1, Scalar max_val=1",
    "aten.clamp.default": "Tensor self, Scalar? min=None, Scalar? max=None",
    "aten.clamp_.default": "Tensor self, Scalar? min=None, Scalar? max=None",
    "aten.clip.default": "Tensor self, Scalar? min=None, Scalar? max=None",
    "aten.clamp_min.default": "Tensor self, Scalar min",
    "aten.clamp_max.default": "Tensor self, Scalar max",
    "aten.leaky_relu.default": "Tensor self, Scalar negative_slope=0.01",
    "aten.leaky_relu_.default": "Tensor self, Scalar negative_slope=0.01",
    "aten.sigmoid.default": "Tensor self",
    "aten.sigmoid_.default": "Tensor self",
    "aten.tanh.default": "Tensor self",
    "aten.tanh_.default": "Tensor self",
    "aten.gelu.default": "Tensor self, *, str approximate='none'",
    "aten.gelu_.default": "Tensor self, *, str approximate='none'",
    "aten.silu.default": "Tensor self",
    "aten.silu_.default": "Tensor self",
    "aten.max_pool2d.default": (
        "Tensor self, int[2] kernel_size, int[2] stride=(), int[2] padding=(0, 0), int[2] dilation=(1, 1), bool ceil_mode=False"
    ),
    "aten.adaptive_max_pool2d.default": "Tensor self, int[2] output_size",
    "aten.avg_pool2d.default": (
        "Tensor self, int[2] kernel_size, int[2] stride=(), int[2] padding=(0, 0), bool ceil_mode=False, "
        "bool count_include_pad=True, int? divisor_override=None"
    ),
    "aten.max_pool1d.default": (
        "Tensor self, SymInt[1] kernel_size, SymInt[1] stride=(), SymInt[1] padding=(0,), SymInt[1] dilation=(1,), "
        "bool ceil_mode=False"
    ),
    "aten.avg_pool1d.default": (
        "Tensor self, SymInt[1] kernel_size, SymInt[1] stride=(), SymInt[1] padding=(0,), bool ceil_mode=False, "
        "bool count_include_pad=True"
    ),
    "aten.adaptive_avg_pool1d.default": "Tensor self, SymInt[1] output_size",
    "aten.adaptive_avg_pool2d.default": "Tensor self, SymInt[2] output_size",
    "aten.mean.dim": "Tensor self, int[]? dim, bool keepdim=False, *, ScalarType? dtype=None",
    "aten.flatten.using_ints": "Tensor self, int start_dim=0, int end_dim=-1",
    "aten.slice.Tensor": "Tensor self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1",
    "aten.select.int": "Tensor self, int dim, SymInt index",
    "aten.split.Tensor": "Tensor self, SymInt split_size, int dim=0",
    "aten.split_with_sizes.default": "Tensor self, SymInt[] split_sizes, int dim=0",
    "aten.chunk.default": "Tensor self, int chunks, int dim=0",
    "aten.expand.default": "Tensor self, SymInt[] size, *, bool implicit=False",
    "aten.expand_as.default": "Tensor self, Tensor other",
    "aten.view.default": "Tensor self, SymInt[] size",
    "aten.reshape.default": "Tensor self, SymInt[] shape",
    "aten.unflatten.int": "Tensor self, int dim, SymInt[] sizes",
    "aten.squeeze.dim": "Tensor self, int dim",
    "aten.squeeze.dims": "Tensor self, int[] dim",
    "aten.squeeze.default": "Tensor self",
    "aten.unsqueeze.default": "Tensor self, int dim",
    "aten.permute.default": "Tensor self, int[] dims",
    "aten.transpose.int": "Tensor self, int dim0, int dim1",
    "aten.log_softmax.int": "Tensor self, int dim, ScalarType? dtype=None",
    "aten.pad.default": "Tensor self, SymInt[] pad, str mode='constant', float? value=None",
    "aten.constant_pad_nd.default": "Tensor self, SymInt[] pad, Scalar value=0",
    "aten.contiguous.default": "Tensor self, *, MemoryFormat memory_format=1",
    "aten.clone.default": "Tensor self, *, MemoryFormat? memory_format=None",
    "aten.alias.default": "Tensor self",
    "aten.dropout.default": "Tensor input, float p, bool train",
    "aten.dropout_.default": "Tensor self, float p, bool train",
    "aten.feature_dropout.default": "Tensor input, float p, bool train",
    "aten.feature_dropout_.default": "Tensor self, float p, bool train",
    "aten.sym_size.int": "Tensor self, int dim",
}

# Python's arithmetic, and torch's assertions, of sizes. They are given numbers, and tensors only to look at their sizes, so
# they change no value; what they make may be used as a size and nowhere else.
SIZE_ARITHMETIC = {
    **dict.fromkeys(
        (f"_operator.{name}" for name in "add sub mul floordiv mod eq ne lt le gt ge and_ or_".split()), ("a", "b")
    ),
    **dict.fromkeys(("_operator.neg", "_operator.not_"), ("a",)),
}
ASSERTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "aten._assert_scalar.default": {"self": ("as_sym_bool", "as_bool", "as_sym_int", "as_int"), "assert_msg": ("as_string",)},
    "aten.sym_constrain_range_for_size.default": {"size": ("as_sym_int",), "min": ("as_int",), "max": ("as_int",)},
    "aten._assert_tensor_metadata.default": {
        "a": ("as_tensor",),
        "size": ("as_none", "as_ints", "as_sym_ints"),
        "stride": ("as_none", "as_ints", "as_sym_ints"),
        "dtype": ("as_none", "as_scalar_type"),
        "device": ("as_none", "as_device"),
        "layout": ("as_none", "as_layout"),
    },
}
SIZE_KINDS = ("as_int", "as_bool", "as_sym_int", "as_sym_bool")

_KINDS = {
    "Tensor": ("as_tensor",),
    "Term": ("as_tensor", "as_int", "as_float"),  # a Tensor, which torch makes of a number
    "Tensor[]": ("as_tensors",),
    "Scalar": ("as_int", "as_float"),
    "int": ("as_int",),
    "SymInt": ("as_int", "as_sym_int"),
    "int[1]": ("as_ints", "as_int"),
    "int[2]": ("as_ints", "as_int"),
    "SymInt[2]": ("as_ints", "as_int"),
    "SymInt[1]": ("as_ints", "as_int"),
    "int[]": ("as_ints",),
    "SymInt[]": ("as_ints", "as_sym_ints"),
    "ScalarType": ("as_scalar_type",),
    "bool": ("as_bool",),
    "float": ("as_float", "as_int"),
    "str": ("as_string",),
    "MemoryFormat": ("as_memory_format",),
}
_PARAMETER = re.compile(r"(?P<type>[A-Za-z]+(?:\[[12]?\])?)(?P<optional>\??) (?P<name>\w+)(?:=(?P<default>.+))?")


class _Parameter(NamedTuple):
    name: str
    type: str
    kinds: tuple[str, ...]
    required: bool
    default: Any
    keyword_only: bool


@functools.cache
def _schema(operator: str) -> tuple[_Parameter, ...]:
    parameters, keyword_only = [], False
    for part in re.split(r", (?![^(]*\))", SCHEMAS[operator]):
        if part == "*":
            keyword_only = True
            continue
        match = _PARAMETER.fullmatch(part)
        assert match is not None, part
        kind, optional, name, default = match.group("type", "optional", "name", "default")
        kinds = (*_KINDS[kind], "as_none") if optional else _KINDS[kind]
        value = None if default is None else ast.literal_eval(default)
        parameters.append(_Parameter(name, kind, kinds, default is None, value, keyword_only))
    return tuple(parameters)


def bind(operator: str, arguments: Sequence[Argument]) -> dict[str, Any]:
    """name -> value for every argument of an operator in SCHEMAS, with the defaults for those that aren't given.

    What is of type int[2] is a pair of ints, or the default; int[1] a tuple of one. Raises ValueError, naming the argument,
    for others than those of the schema, in another order, or of another kind.
    """
    schema = {parameter.name: parameter for parameter in _schema(operator)}
    require_names(operator, arguments, tuple(schema))
    positional = [argument.name for argument in arguments if not argument.by_keyword]
    if positional != [name for name in schema if not schema[name].keyword_only][: len(positional)]:
        raise ValueError(f"{operator}: expected arguments by position without a gap, and the rest by keyword")
    values = {name: parameter.default for name, parameter in schema.items()}
    for argument in arguments:
        parameter = schema[argument.name]
        if argument.kind not in parameter.kinds:
            raise ValueError(f"{operator}: {argument.name}: expected {' or '.join(parameter.kinds)}")
        values[argument.name] = _value(operator, argument, parameter)
    missing = [name for name, parameter in schema.items() if parameter.required and name not in {a.name for a in arguments}]
    if missing:
        raise ValueError(f"{operator}: expected an argument {missing[0]}")
    return values


def require_names(operator: str, arguments: Sequence[Argument], known: Sequence[str]) -> None:
    """Raises ValueError unless the names are known ones, each once and in this order."""
    names = [argument.name for argument in arguments]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{operator}: unknown argument {shown(unknown[0])}")
    twice = repeated(names)
    if twice is not None:
        raise ValueError(f"{operator}: two arguments {twice}")
    if names != [name for name in known if name in names]:
        raise ValueError(f"{operator}: expected its arguments in the order {', '.join(known)}")


def _value(operator: str, argument: Argument, parameter: _Parameter) -> Any:
    if parameter.type.endswith("[2]"):
        return _pair(operator, argument, parameter)
    if not parameter.type.endswith("[1]"):
        return argument.value
    values = argument.value if isinstance(argument.value, list) else [argument.value]
    if not values and parameter.default == ():
        return ()
    if len(values) != 1:
        raise ValueError(f"{operator}: {argument.name}: expected one integer")
    return tuple(values)


def _pair(operator: str, argument: Argument, parameter: _Parameter) -> tuple[int, ...]:
    """(vertical, horizontal) of one int for both, or one or two in a list; () where that is the default.

    A list of one is what pools and convolutions take; sizes of outputs must be two.
    """
    values = argument.value if isinstance(argument.value, list) else [argument.value]
    if not values and parameter.default == ():
        return ()
    single = argument.kind == "as_int" or argument.name != "output_size"
    if len(values) != 2 and not (single and len(values) == 1):
        raise ValueError(f"{operator}: {argument.name}: expected one or two integers")
    return values[0], values[-1]
