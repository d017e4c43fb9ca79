"""What an exported program says of a tensor, in its graph and beside the values: type, sizes, strides, place in a storage."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

from zkds.circuits.model_files.stored_tensors import BFLOAT16
from zkds.circuits.model_files.strict_json import boolean, fields, integer, one_of, sequence, text, union
from zkds.circuits.networks.graph import MAX_NAME_BYTES

ELEMENT_TYPES = {6: "<f2", 7: "<f4", 8: "<f8", 13: BFLOAT16}  # torch's numbers of the types that parameters may have
ELEMENT_BYTES = {
    **dict.fromkeys((1, 2, 12, *range(29, 34)), 1),
    **dict.fromkeys((3, 6, 13, 28), 2),
    **dict.fromkeys((4, 7, 9, 34), 4),
    **dict.fromkeys((5, 8, 10, 35), 8),
    11: 16,
}  # of all of torch's types, by their numbers
STRIDED = 7  # torch's number of the layout
DEVICES = ("cpu", "cuda", "mps", "xpu")
MAX_EXPRESSION = 1 << 12

PRINTABLE = re.compile(r"[ -~]*")
_BATCH = re.compile(r"Symbol\('(s\d+)', positive=True, integer=True\)")
# sympy evaluates what torch writes for other computed sizes: calls of these functions
_EXPRESSION = re.compile(
    r"(?:(?:Symbol|Integer|Rational|Add|Mul|Pow|Mod|Min|Max|Not|And|Or|Equality|Unequality|GreaterThan|LessThan|StrictGreaterThan|"
    r"StrictLessThan|FloorDiv|CeilDiv|CleanDiv|PythonMod|ModularIndexing|PowByNatural|true|false)(?=[(,)]|$)|'[su]\d+'|"
    r"(?:positive|integer|nonnegative|negative|zero|evaluate)=(?:True|False)|-?\d+|[(), ])+"
)


@dataclass(frozen=True)
class Symbol:
    """A size that isn't a number.

    name   of the symbol, which may stand for the number of records; None for another expression
    hint   what it was when the program was exported, if the file says so
    """

    name: str | None
    hint: int | None = None


@dataclass(frozen=True)
class Meta:
    """What the file says of a tensor: torch's number of its type, sizes, strides, where its storage lies."""

    dtype: int
    sizes: tuple[int | Symbol, ...]
    strides: tuple[int | Symbol, ...]
    offset: int | Symbol
    requires_grad: bool
    device: tuple[str, int | None]
    layout: int


def parameter_name(name: Any, where: str) -> str:
    """A parameter's or buffer's name in the model. Raises ValueError, as all of these, with the place in the file."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_BYTES or not PRINTABLE.fullmatch(name):
        raise ValueError(f"{where}: expected a name of at most {MAX_NAME_BYTES} printable letters")
    return name


def read_size(value: Any, where: str) -> int | Symbol:
    """A number, or an expression of the plain form that torch writes, which isn't evaluated."""
    kind, size = union(value, where)
    if kind == "as_int":
        if integer(size, where) < 0:
            raise ValueError(f"{where}: expected a size of at least 0")
        return int(size)
    if kind != "as_expr":
        raise ValueError(f"{where}: expected as_int or as_expr")
    expression = fields(size, where, "expr_str", "hint")
    hint = None
    if expression.get("hint") is not None:
        hint_kind, hint = union(expression["hint"], where)
        one_of(hint_kind, where, ("as_int", "as_bool"))
        integer(hint, where) if hint_kind == "as_int" else boolean(hint, where)
    written = text(expression["expr_str"], where)
    if len(written) > MAX_EXPRESSION or not _EXPRESSION.fullmatch(written) or not _is_python(written):
        raise ValueError(f"{where}: expected an expression in sizes of inputs; torch evaluates it as Python")
    symbol = _BATCH.fullmatch(written)
    return Symbol(symbol.group(1) if symbol else None, hint)


def _is_python(expression: str) -> bool:
    try:
        ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def read_meta(value: Any, where: str) -> Meta:
    """The description of a tensor, every field of which is known."""
    meta = fields(value, where, "dtype sizes requires_grad device strides storage_offset layout")
    device = fields(meta["device"], f"{where}: device", "type", "index")
    kind, index = one_of(device["type"], f"{where}: device", DEVICES), device.get("index")
    sizes, strides = (
        tuple(read_size(size, f"{where}: {key}") for size in sequence(meta[key], f"{where}: {key}"))
        for key in ("sizes", "strides")
    )
    if len(sizes) != len(strides):
        raise ValueError(f"{where}: expected a stride for every size")
    return Meta(
        integer(meta["dtype"], f"{where}: dtype"),
        sizes,
        strides,
        read_size(meta["storage_offset"], f"{where}: storage_offset"),
        boolean(meta["requires_grad"], f"{where}: requires_grad"),
        (kind, None if index is None else integer(index, f"{where}: device")),
        integer(meta["layout"], f"{where}: layout"),
    )


def as_numbers(name: str, sizes: tuple[int | Symbol, ...]) -> tuple[int, ...]:
    """Sizes, strides or an offset of which none is an expression."""
    numbers = tuple(size for size in sizes if isinstance(size, int) and size >= 0)
    if len(numbers) != len(sizes):
        raise ValueError(f"{name}: expected sizes, strides and an offset that are numbers")
    return numbers
