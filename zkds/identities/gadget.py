"""What gadgets are made of: committed tensors with their lookups, wide integers, and identities sorted into blocks.

A gadget commits tensors, each column of which is checked by one lookup or bound by one as a secondary column, and states
integer identities (expressions.py) about them and about tensors of others. `make_blocks` gathers the identities of
several gadgets: one block for each name, proved at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.commit.layout import Column
from zkds.identities.block import Block
from zkds.identities.expressions import AxisUse, Expression, Identity, sum_of, tensor
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.lookup import ExplicitTable, Lookup
from zkds.native import U32
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Committed, ProverContext, Reader, Tensor, VerifierContext

Integers = NDArray[np.object_]  # of Python ints, for what exceeds 63 bits
CELL_BITS = 32
WIDE_BITS = 48  # of every part of a wide integer but the last


class CellFormat(LimbFormat):
    """One cell of up to 32 bits that is a secondary column of a lookup: the table bounds it, there is no range check."""

    def __init__(self, width: int) -> None:
        if not 1 <= width <= CELL_BITS:
            raise ValueError(f"width: expected 1 to {CELL_BITS} bits, got {width}")
        object.__setattr__(self, "limb_bits", CELL_BITS)
        object.__setattr__(self, "width", width)
        object.__setattr__(self, "signed", False)


@dataclass(frozen=True)
class Wide:
    """An unsigned integer of any width: parts of 48 bits, lowest first, the last one of what is left."""

    parts: tuple[Committed, ...]

    def expression(self, *uses: AxisUse | int) -> Expression:
        """The value as an expression; uses as in `tensor`."""
        return sum_of([tensor(part, *uses) * (1 << WIDE_BITS * i) for i, part in enumerate(self.parts)])

    def split(self, values: Integers | I64) -> dict[str, U32]:
        """The columns of (shape) non-negative integers. Raises WitnessOverflow for one that does not fit."""
        columns: dict[str, U32] = {}
        rest = values.astype(object)
        for part in self.parts[:-1]:
            columns |= split(part, rest & ((1 << WIDE_BITS) - 1))
            rest = rest >> WIDE_BITS
        return columns | split(self.parts[-1], rest)


def split(owner: Committed, values: Integers | I64) -> dict[str, U32]:
    """The columns of a tensor from integers, in its shape or with axes of length 1 added or left out."""
    shaped = np.asarray(values).reshape(owner.shape)
    if shaped.dtype == object:  # a Python int that does not fit int64 does not fit the format either
        shaped = np.clip(shaped, -(1 << 62), 1 << 62)
    return owner.columns.split(shaped.astype(np.int64))


class Gadget:
    """Committed tensors, lookups and identities; `identities` maps the name of a block to those that it proves."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tensors: list[Committed] = []
        self.lookups: list[Lookup] = []
        self.identities: dict[str, list[Identity]] = {}

    @property
    def columns(self) -> list[Column]:
        return [column for owner in self.tensors for column in owner.columns.columns]

    def integer(self, name: str, width: int, shape: tuple[int, ...], signed: bool = False) -> Committed:
        """A new tensor of integers of this width, range-checked."""
        return self.own(Committed(LimbColumns(f"{self.name}: {name}", LimbFormat(DIGIT_BITS, width, signed), shape)))

    def own(self, owner: Committed) -> Committed:
        """Commit this tensor here, range-checked."""
        self.tensors.append(owner)
        self.lookups += owner.range_checks
        return owner

    def wide(self, name: str, width: int, shape: tuple[int, ...]) -> Wide:
        """A new tensor of unsigned integers of any width, range-checked."""
        widths = [min(WIDE_BITS, width - low) for low in range(0, width, WIDE_BITS)]
        return Wide(tuple(self.integer(f"{name} {i}", bits, shape) for i, bits in enumerate(widths)))

    def table_value(self, name: str, format: LimbFormat, shape: tuple[int, ...]) -> Committed:
        """A new tensor without a check of its own: its columns must be secondary columns of a lookup."""
        owner = Committed(LimbColumns(f"{self.name}: {name}", format, shape))
        self.tensors.append(owner)
        return owner

    def indices(self, name: str, width: int, shape: tuple[int, ...], tables: Sequence[ExplicitTable]) -> Committed:
        """A new tensor of unsigned integers; limb j is to be looked up in tables[j], see `look_up`."""
        owner = self.table_value(name, LimbFormat(DIGIT_BITS, width, False), shape)
        if len(tables) != len(owner.digits):
            raise ValueError(f"{owner.name}: expected {len(owner.digits)} tables, got {len(tables)}")
        return owner

    def look_up(self, table: ExplicitTable, index: Committed, limb: int, values: Sequence[Committed]) -> None:
        """(limb of index, all columns of values) is a row of the table, for every entry."""
        secondary = tuple(name for value in values for name in value.columns.names)
        self.lookups.append(Lookup(table, index.columns.names[limb], secondary))

    def identity(
        self, block: str, name: str, shape: tuple[int, ...], expression: Expression, total: Interval | None = None
    ) -> None:
        """State that the expression is zero for every index of the shape."""
        self.identities.setdefault(block, []).append(Identity(f"{self.name}: {name}", shape, expression, total))


def make_blocks(gadgets: Sequence[Gadget], limb_bits: int = DIGIT_BITS, prefix: str = "") -> list[Block]:
    """One block for each name, in order of first use; limb_bits: of their carries; prefix: of the names, for messages."""
    identities: dict[str, list[Identity]] = {}
    for gadget in gadgets:
        for block, stated in gadget.identities.items():
            identities.setdefault(block, []).extend(stated)
    return [Block(f"{prefix}{name}", stated, limb_bits) for name, stated in identities.items() if stated]


class Gadgets(Component):
    """The relation of gadgets: their lookups, and blocks of their identities, in order of first use.

    limb_bits   of the blocks' carries (`plan_identity`)
    prefix      of the blocks' names
    """

    def __init__(self, name: str, gadgets: Sequence[Gadget], limb_bits: int = DIGIT_BITS, prefix: str = "") -> None:
        self.name = name
        self.gadgets = list(gadgets)
        self.blocks: list[Block] = make_blocks(gadgets, limb_bits, prefix)

    @property
    def _parts(self) -> list[Gadget | Block]:
        return [*self.gadgets, *self.blocks]

    @property
    def tensors(self) -> list[Tensor]:
        """What is committed here, and what the identities are about."""
        return [owner for part in self._parts for owner in part.tensors]

    @property
    def lookups(self) -> list[Lookup]:
        """One for each column that is no secondary column of another one's."""
        return [lookup for part in self._parts for lookup in part.lookups]

    def check(self) -> None:
        """Raise PlanRejected unless every identity's plan is sound."""
        for block in self.blocks:
            block.check()

    def witness(self, reader: Reader) -> Iterator[tuple[str | LimbColumns, NDArray[Any]]]:
        """The carries, from a reader of all other columns of the circuit. Raises ValueError if an identity fails."""
        return itertools.chain.from_iterable(block.witness(reader) for block in self.blocks)

    def prove(self, context: ProverContext) -> None:
        """The prover's side. Adds claims to the tensors."""
        for block in self.blocks:
            block.prove(context)

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side. Adds claims to the tensors."""
        for block in self.blocks:
            block.verify(context)


def round_identity(exact: Expression, shift: int, out: Expression, remainder: Expression) -> Expression:
    """exact + 2^(shift - 1) - remainder - 2^shift out: zero iff out is exact / 2^shift rounded to nearest, halves up.

    The remainder must be of exactly `shift` unsigned bits.
    """
    return exact + (1 << (shift - 1)) - remainder - out * (1 << shift)


@dataclass(frozen=True)
class SquareRoot:
    """y = floor(sqrt(x)): x = y^2 + rest and rest + gap = 2 y, all unsigned."""

    root: Wide
    rest: Wide
    gap: Wide

    def split(self, roots: Integers, arguments: Integers) -> dict[str, U32]:
        """The columns, from y and x."""
        rest = arguments - roots * roots
        return self.root.split(roots) | self.rest.split(rest) | self.gap.split(2 * roots - rest)


def square_root(gadget: Gadget, block: str, name: str, width: int, shape: tuple[int, ...], argument: Expression) -> SquareRoot:
    """Commit the floor square root, below 2^width, of an expression over `shape`."""
    result = SquareRoot(
        gadget.wide(f"{name}", width, shape),
        gadget.wide(f"{name}, rest", width + 1, shape),
        gadget.wide(f"{name}, gap", width + 1, shape),
    )
    root, rest = result.root.expression(), result.rest.expression()
    gadget.identity(block, f"{name}: square", shape, argument - root * root - rest)
    gadget.identity(block, f"{name}: rest", shape, root * 2 - rest - result.gap.expression())
    return result


def value_table(values: I64) -> ExplicitTable:
    """Rows (index, value mod 2^32, floor(value / 2^32)) of non-negative values."""
    rows = [np.arange(len(values)), values & ((1 << CELL_BITS) - 1), values >> CELL_BITS]
    return ExplicitTable.of(np.stack(rows, axis=1).astype(np.uint32))


def joined(parts: Sequence[Mapping[str, U32]]) -> dict[str, U32]:
    """All columns of several parts."""
    return {name: cells for part in parts for name, cells in part.items()}
