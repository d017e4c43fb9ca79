"""Sigmoid, tanh, GELU (both forms) and SiLU: values and derivatives from one table of cells and a third-order rest.

For x [32] in cell c of the table (circuits/arithmetic/smooth_tables.py), r = x - m [32] its distance from the cell's middle, of
which `part` counts 256ths of the cell:

    curvature = third[c] (part - 128)                                                   exact
    slope     = first[c] + round(r (second[c] - curvature), 18 + j)                     f'(x) [30]
    step      = round(r (first[c] + slope), 31)                                         by the trapezoidal rule
    y         = value[c] + step                                                         f(x) [32]
    dx        = round(slope dy, 30)

x is cut as whole 2^32 + cell 2^(32 - j) + part 2^(24 - j) + rest, and c = unit 2^j + cell with unit = whole + B, kept within
[0, 2 B): where f is its asymptote, whole goes on alone. Functions that are x on the right get 2^32 excess, excess = how far
whole is beyond B - 1. An x of more fractional bits is rounded to 32 first.

y is within 2^-31 of f(x), slope within 2^-29 of f'(x); in PyTorch f' is what autograd computes.

The relation: the parts of x are committed, x itself is virtual; (whole, unit, excess) is a row of one table, and so are
(2^10 c + third + 512, first, second) and (c, value) of two others. y is virtual as well: value + step (+ excess). For given x
all cells are unique: the parts by their ranges, the rest by tables, products and remainders of exactly as many bits as are
rounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from zkds.circuits.arithmetic import smooth_tables
from zkds.circuits.arithmetic.exact import products
from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, CONVOLUTION, DELTA, Place, require_format
from zkds.circuits.arithmetic.smooth_tables import FIRST_BITS, SECOND_BITS, SmoothFunction
from zkds.circuits.operators.elementwise import BuiltElementwise, Elementwise
from zkds.circuits.operators.operator import (
    Backward,
    BuiltBackward,
    Forward,
    GradientKind,
    Placed,
    Scope,
    Shape,
    require_count,
)
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported
from zkds.identities.block import Block
from zkds.identities.expressions import Expression, Identity, tensor
from zkds.identities.gadget import CellFormat, joined, round_identity, split
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.lookup import ExplicitTable, Lookup
from zkds.native import U32
from zkds.tensors.circuit import ProvedByLookups
from zkds.tensors.linear import SumTensor
from zkds.tensors.tensor import Committed, Reader, Tensor

if TYPE_CHECKING:
    from torch import nn

WHOLE_BITS = CONVOLUTION.width - ACTIVATION_BITS
PART_BITS = 8
REST_BITS = 24  # minus j
ROW_BITS = 16  # of c
THIRD_WIDTH = 10
CURVATURE_WIDTH = 16
SLOPE_WIDTH = 31  # slopes and first derivatives lie in [-1/2, 3/2) and are committed plus 1/2
SLOPE_OFFSET = 1 << FIRST_BITS - 1
STEP_WIDTH = 24
SLOPE_SHIFT = 18  # and j more
STEP_SHIFT = 31


# ---- operators --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Smooth(Elementwise):
    """A function, entry by entry."""

    TABLES: ClassVar[bool] = True
    FUNCTION: ClassVar[SmoothFunction]

    def output_bits(self, inputs: Sequence[int]) -> int:
        return ACTIVATION_BITS

    def input_delta_bits(self, delta_bits: int) -> int:
        return 0

    def numbers(self) -> tuple[int, ...]:
        return ()

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 0)
        return cls()

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        x, values, extra = inputs[0], {}, placed.input_bits[0] - ACTIVATION_BITS
        if extra:
            x, values["argument: remainder"] = _rounded(x, extra)
        require_format(x, CONVOLUTION, self.KIND, place)
        found = smooth(self.FUNCTION, x)
        values |= {"whole": found.whole, "cell": found.cell, "part": found.part, "rest": found.rest}
        return Forward(found.output, values | {"slope": found.slope + np.int64(SLOPE_OFFSET)})

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        if not placed.wanted[0]:
            return Backward([None])
        slope = ahead.values["slope"] - np.int64(SLOPE_OFFSET)
        found, remainder = products(slope, delta).round(FIRST_BITS + placed.delta_bits)
        require_format(found, DELTA, "input delta", place)
        return Backward([found], {"input delta": found, "input gradient: remainder": remainder})

    def relate(self, placed: Placed, scope: Scope) -> BuiltElementwise:
        return BuiltSmooth(self.FUNCTION, placed, scope)


class Sigmoid(Smooth):
    """1 / (1 + exp(-x))"""

    KIND: ClassVar[str] = "sigmoid"
    FUNCTION: ClassVar[SmoothFunction] = smooth_tables.SIGMOID

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Sigmoid()


class Tanh(Smooth):
    """tanh(x)"""

    KIND: ClassVar[str] = "tanh"
    FUNCTION: ClassVar[SmoothFunction] = smooth_tables.TANH

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Tanh()


class Gelu(Smooth):
    """x Phi(x), exactly"""

    KIND: ClassVar[str] = "gelu"
    FUNCTION: ClassVar[SmoothFunction] = smooth_tables.GELU

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.GELU()


class GeluTanh(Smooth):
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2"""

    KIND: ClassVar[str] = "gelu tanh"
    FUNCTION: ClassVar[SmoothFunction] = smooth_tables.GELU_TANH

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.GELU(approximate="tanh")


class Silu(Smooth):
    """x / (1 + exp(-x))"""

    KIND: ClassVar[str] = "silu"
    FUNCTION: ClassVar[SmoothFunction] = smooth_tables.SILU

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.SiLU()


# ---- semantics --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class SmoothValues:
    """f(x), f'(x) and what they are made of: int64 arrays of the shape of x, by the names above. `row` is c."""

    whole: I64
    unit: I64
    excess: I64
    cell: I64
    part: I64
    rest: I64
    row: I64
    curvature: I64
    slope: I64
    slope_remainder: I64
    step: I64
    step_remainder: I64
    output: I64


def smooth(function: SmoothFunction, x: I64) -> SmoothValues:
    """The function at x [32], |x| < 2^42 (the caller's promise)."""
    j, bound, tables = function.cell_bits, function.bound, function.tables
    whole, fraction = x >> np.int64(ACTIVATION_BITS), x & np.int64((1 << ACTIVATION_BITS) - 1)
    unit = np.clip(whole + np.int64(bound), 0, 2 * bound - 1)
    excess = np.maximum(whole - np.int64(bound - 1), 0)
    cell, within = fraction >> np.int64(ACTIVATION_BITS - j), fraction & np.int64((1 << ACTIVATION_BITS - j) - 1)
    part, rest = within >> np.int64(REST_BITS - j), within & np.int64((1 << REST_BITS - j) - 1)
    row = (unit << np.int64(j)) + cell
    r = within - np.int64(1 << ACTIVATION_BITS - 1 - j)
    first = tables.first[row]
    curvature = tables.third[row] * (part - np.int64(1 << PART_BITS - 1))
    bend, slope_remainder = _rounded(r * (tables.second[row] - curvature), SLOPE_SHIFT + j)
    slope = first + bend
    step, step_remainder = _rounded(r * (first + slope), STEP_SHIFT)
    output = tables.value[row] + step
    if function.identity:
        output += excess << np.int64(ACTIVATION_BITS)
    parts = (whole, unit, excess, cell, part, rest, row)
    return SmoothValues(*parts, curvature, slope, slope_remainder, step, step_remainder, output)


def _rounded(values: I64, shift: int) -> tuple[I64, I64]:
    moved = values + np.int64(1 << shift - 1)
    return moved >> np.int64(shift), moved & np.int64((1 << shift) - 1)


# ---- relation ---------------------------------------------------------------------------------------------------------------


@cache
def unit_rows(function: SmoothFunction) -> ExplicitTable:
    """Rows (whole + 2^10, unit), with excess behind it for functions that are x on the right."""
    whole = np.arange(-(1 << WHOLE_BITS - 1), 1 << WHOLE_BITS - 1)
    values = smooth(function, whole << ACTIVATION_BITS)
    columns = [whole + (1 << WHOLE_BITS - 1), values.unit, *([values.excess] if function.identity else [])]
    return ExplicitTable.of(np.stack(columns, axis=1).astype(np.uint32))


@cache
def derivative_rows(function: SmoothFunction) -> ExplicitTable:
    """Rows (2^10 c + third + 512, first + 2^29, second + 2^(16 + j))."""
    tables = function.tables
    first, second = tables.first + SLOPE_OFFSET, tables.second + _second_offset(function)
    return ExplicitTable.of(np.stack([_packed(function, np.arange(function.rows)), first, second], axis=1).astype(np.uint32))


@cache
def value_rows(function: SmoothFunction) -> ExplicitTable:
    """Rows (c, value mod 2^16, floor(value / 2^16) + half the range of its format)."""
    value = function.tables.value
    high = (value >> DIGIT_BITS) + (1 << _high_width(function) - 1)
    return ExplicitTable.of(np.stack([np.arange(function.rows), value & 0xFFFF, high], axis=1).astype(np.uint32))


def _packed(function: SmoothFunction, row: I64) -> I64:
    return (row << THIRD_WIDTH) + function.tables.third[row] + (1 << THIRD_WIDTH - 1)


def _second_offset(function: SmoothFunction) -> int:
    return 1 << SECOND_BITS + function.cell_bits


def _high_width(function: SmoothFunction) -> int:
    """Of floor(value / 2^16): |value| <= 2^32 or below 2^32 B."""
    return 1 + ((function.bound if function.identity else 2) << DIGIT_BITS).bit_length()


class SmoothCells(ProvedByLookups):
    """The cells of a function at every entry of its argument, and their tables; identities say the rest.

    argument   x [32], virtual: made of whole, cell, part and rest
    output     f(x) [32], virtual
    slope      f'(x) + 1/2 [30]
    """

    def __init__(self, name: str, function: SmoothFunction, shape: tuple[int, ...]) -> None:
        self.name = name
        self.function = function
        self.shape = shape
        self._made: list[Committed] = []
        j = function.cell_bits
        self.whole = self._signed("whole", WHOLE_BITS)
        self.unit = self._unsigned("unit", (2 * function.bound - 1).bit_length())
        self.excess = self._unsigned("excess", WHOLE_BITS - 1) if function.identity else None
        self.cell = self._unsigned("cell", j)
        self.part = self._unsigned("part", PART_BITS)
        self.rest = self._unsigned("rest", REST_BITS - j)
        self.row = self._unsigned("row", ROW_BITS)
        self.value_low = self._unsigned("value low", DIGIT_BITS)
        width = _high_width(function)
        self.value_high = self._tensor("value high", LimbFormat(width, width, signed=True))
        self.third = self._signed("third", THIRD_WIDTH)
        self.packed = self._tensor("row and third", CellFormat(ROW_BITS + THIRD_WIDTH))
        self.first = self._tensor("first", CellFormat(SLOPE_WIDTH))
        self.second = self._tensor("second", CellFormat(SECOND_BITS + j + 1))
        self.curvature = self._signed("curvature", CURVATURE_WIDTH)
        self.slope = self._unsigned("slope", SLOPE_WIDTH)
        self.slope_remainder = self._unsigned("slope: remainder", SLOPE_SHIFT + j)
        self.step = self._signed("step", STEP_WIDTH)
        self.step_remainder = self._unsigned("step: remainder", STEP_SHIFT)
        parts = [(self.rest, 0), (self.part, REST_BITS - j), (self.cell, ACTIVATION_BITS - j), (self.whole, ACTIVATION_BITS)]
        self.argument = SumTensor(f"{name}: argument", parts)
        addends = [(self.value_low, 0), (self.value_high, DIGIT_BITS), (self.step, 0)]
        addends += [(self.excess, ACTIVATION_BITS)] if self.excess else []
        self.output = SumTensor(f"{name}: output", addends)

    def _tensor(self, name: str, number: LimbFormat) -> Committed:
        self._made.append(Committed(LimbColumns(f"{self.name}: {name}", number, self.shape)))
        return self._made[-1]

    def _signed(self, name: str, width: int) -> Committed:
        return self._tensor(name, LimbFormat(DIGIT_BITS, width, signed=True))

    def _unsigned(self, name: str, width: int) -> Committed:
        return self._tensor(name, LimbFormat(DIGIT_BITS, width, signed=False))

    @property
    def tensors(self) -> list[Tensor]:
        return list(self._made)

    @property
    def lookups(self) -> list[Lookup]:
        """Of the three tables; the cells that are not in them are checked by their ranges."""
        function = self.function
        rows = [
            (unit_rows(function), [self.whole, self.unit, *([self.excess] if self.excess else [])]),
            (derivative_rows(function), [self.packed, self.first, self.second]),
            (value_rows(function), [self.row, self.value_low, self.value_high]),
        ]
        names = [(table, [cell.columns.names[0] for cell in cells]) for table, cells in rows]
        return [Lookup(table, primary, tuple(others)) for table, (primary, *others) in names]

    @property
    def identities(self) -> list[Identity]:
        j = self.function.cell_bits
        row, part, third, first, slope, step = map(tensor, (self.row, self.part, self.third, self.first, self.slope, self.step))
        r = part * (1 << REST_BITS - j) + tensor(self.rest) - (1 << ACTIVATION_BITS - 1 - j)
        bent = r * (tensor(self.second) - _second_offset(self.function) - tensor(self.curvature))
        mean = r * (first + slope - 2 * SLOPE_OFFSET)
        stated = {
            "row": tensor(self.unit) * (1 << j) + tensor(self.cell) - row,
            "row and third": row * (1 << THIRD_WIDTH) + third + (1 << THIRD_WIDTH - 1) - tensor(self.packed),
            "curvature": (part - (1 << PART_BITS - 1)) * third - tensor(self.curvature),
            "slope": round_identity(bent, SLOPE_SHIFT + j, slope - first, tensor(self.slope_remainder)),
            "step": round_identity(mean, STEP_SHIFT, step, tensor(self.step_remainder)),
        }
        return [Identity(f"{self.name}: {name}", self.shape, expression) for name, expression in stated.items()]

    def witness(self, reader: Reader) -> dict[str, U32]:
        """The columns that follow from the argument's."""
        found = smooth(self.function, self.argument.integers(reader))
        return joined([split(owner, entries) for owner, entries in self.derived(found)])

    def derived(self, found: SmoothValues) -> list[tuple[Committed, I64]]:
        """All but the parts of the argument and the slope, which the semantics keeps."""
        tables, row = self.function.tables, found.row
        value = tables.value[row]
        return [
            (self.unit, found.unit),
            (self.row, row),
            (self.value_low, value & 0xFFFF),
            (self.value_high, value >> DIGIT_BITS),
            (self.third, tables.third[row]),
            (self.packed, _packed(self.function, row)),
            (self.first, tables.first[row] + SLOPE_OFFSET),
            (self.second, tables.second[row] + _second_offset(self.function)),
            (self.curvature, found.curvature),
            (self.slope_remainder, found.slope_remainder),
            (self.step, found.step),
            (self.step_remainder, found.step_remainder),
            *([(self.excess, found.excess)] if self.excess else []),
        ]


class BuiltSmooth(BuiltElementwise):
    """The relation of a smooth function. The argument has 32 fractional bits."""

    def __init__(self, function: SmoothFunction, placed: Placed, scope: Scope) -> None:
        self.placed = placed
        shape = (scope.schedule.passes, scope.schedule.batch_size, *placed.inputs[0])
        self.cells = SmoothCells(placed.name, function, shape)
        self.argument, self.output = self.cells.argument, self.cells.output
        self.components = [self.cells, Block(f"{placed.name}: forward", self.cells.identities)]

    def take(self, inputs: Tensor) -> None:
        """Say that x is this tensor, rounded to 32 fractional bits."""
        name, extra = f"{self.placed.name}: argument", self.placed.input_bits[0] - ACTIVATION_BITS
        if extra:
            self.components.append(_rounding(name, tensor(inputs), self.argument, extra))
        else:
            super().take(inputs)

    def backward(self, delta: Tensor) -> BuiltBackward:
        if not self.placed.wanted[0]:
            return BuiltBackward([None])
        name = self.placed.name
        found = Committed(LimbColumns(f"{name}: input delta", DELTA, delta.shape))
        exact = (tensor(self.cells.slope) - SLOPE_OFFSET) * tensor(delta)
        return BuiltBackward([found], [_rounding(f"{name}: input gradient", exact, found, FIRST_BITS + self.placed.delta_bits)])


def _rounding(name: str, exact: Expression, output: Tensor, shift: int) -> Block:
    """output = round(exact, shift)."""
    remainder = Committed(LimbColumns(f"{name}: remainder", LimbFormat(DIGIT_BITS, shift, signed=False), output.shape))
    return Block(name, [Identity(name, output.shape, round_identity(exact, shift, tensor(output), tensor(remainder)))])


# ---- import -----------------------------------------------------------------------------------------------------------------


def _handler(operator: Smooth) -> Handler:
    def add(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
        values = importer.traced(name, given["self"])
        return importer.add(name, operator, [values], values.record)

    return add


def _gelu(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    forms: dict[str, Smooth] = {"none": Gelu(), "tanh": GeluTanh()}
    if given["approximate"] not in forms:
        raise Unsupported(f"{name}: approximate: expected none or tanh")
    return _handler(forms[given["approximate"]])(importer, name, given)


IMPORTS: dict[str, Handler] = {
    "aten.sigmoid.default": _handler(Sigmoid()),
    "aten.sigmoid_.default": _handler(Sigmoid()),
    "aten.tanh.default": _handler(Tanh()),
    "aten.tanh_.default": _handler(Tanh()),
    "aten.gelu.default": _gelu,
    "aten.gelu_.default": _gelu,
    "aten.silu.default": _handler(Silu()),
    "aten.silu_.default": _handler(Silu()),
}
