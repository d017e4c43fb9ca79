"""Tables of a lookup argument, and the table side: all of them, one after the other.

A row (v0, v1, v2) of the table with tag t has the fingerprint v0 + beta t + beta^2 v1 + beta^3 v2, and the leaf
multiplicity / (alpha - fingerprint). Tags count from 1; tag 0 is the public row that fills unused leaves of the lookup
side. Unused leaves of the table side are the fraction 0 / 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zkds.field import ONE, ZERO, K, powers
from zkds.lookup.subcubes import covering_subcubes
from zkds.multilinear import evaluate_integers, index_weight
from zkds.native import U32
from zkds.native.fraction import MAX_WIDTH, SEGMENT, Leaves

MAX_RANGE_BITS = 26


@dataclass(frozen=True)
class RangeTable:
    """The integers [0, 2^bits), 0 <= bits <= 26."""

    bits: int

    def __post_init__(self) -> None:
        if type(self.bits) is not int:
            raise TypeError(f"bits: expected an int, got {type(self.bits).__name__}")
        if not 0 <= self.bits <= MAX_RANGE_BITS:
            raise ValueError(f"bits: expected 0 to {MAX_RANGE_BITS}, got {self.bits}")

    @property
    def rows(self) -> int:
        return 1 << self.bits

    @property
    def width(self) -> int:
        return 1

    def columns(self) -> list[U32]:
        """The columns of the table, (rows,) uint32 each."""
        return [np.arange(self.rows, dtype=np.uint32)]

    def encode(self) -> bytes:
        """Canonical bytes: 0, bits."""
        return bytes([0, self.bits])


@dataclass(frozen=True)
class ExplicitTable:
    """A table of explicit, distinct rows: `data` is (rows, width) uint32, row-major, little-endian; 1 <= width <= 3.

    `ExplicitTable.of(array)` makes one from an array.
    """

    data: bytes
    width: int

    def __post_init__(self) -> None:
        if not isinstance(self.data, bytes) or type(self.width) is not int:
            raise TypeError("table: expected bytes and an int")
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(f"width: expected 1 to {MAX_WIDTH}, got {self.width}")
        if not self.data or len(self.data) % (4 * self.width):
            raise ValueError(f"data: expected a positive multiple of {4 * self.width} bytes, got {len(self.data)}")
        first = self._columns[0]
        if bool((first[1:] > first[:-1]).all()):
            return  # rows in the order of their first entries are distinct
        row_bytes = np.frombuffer(self.data, dtype=np.dtype((np.void, 4 * self.width)))
        if len(np.unique(row_bytes)) != self.rows:
            raise ValueError("rows: expected distinct rows")

    @classmethod
    def of(cls, rows: U32) -> ExplicitTable:
        """From (rows, width) uint32. Raises TypeError or ValueError for another dtype or shape, or equal rows."""
        if not isinstance(rows, np.ndarray) or rows.dtype != np.uint32:
            raise TypeError("rows: expected a numpy array of uint32")
        if rows.ndim != 2:
            raise ValueError(f"rows: expected shape (n, width), got {rows.shape}")
        return cls(rows.astype("<u4").tobytes(), rows.shape[1])

    @property
    def rows(self) -> int:
        return len(self.data) // (4 * self.width)

    @cached_property
    def _columns(self) -> list[U32]:
        rows = np.frombuffer(self.data, dtype="<u4").reshape(-1, self.width)
        return [np.ascontiguousarray(column, dtype=np.uint32) for column in rows.T]

    def columns(self) -> list[U32]:
        """The columns of the table, (rows,) uint32 each."""
        return self._columns

    def encode(self) -> bytes:
        """Canonical bytes: 1, width, number of rows (8 bytes), rows."""
        return bytes([1, self.width]) + self.rows.to_bytes(8, "little") + self.data


Table = RangeTable | ExplicitTable


def canonical_tables(tables: Iterable[Table]) -> list[Table]:
    """Each table once: ranges by size, largest first; then explicit tables by number of rows, largest first, ties by bytes."""
    return sorted(set(tables), key=lambda table: (isinstance(table, ExplicitTable), -table.rows, table.encode()))


class TableSide:
    """All tables of an argument, one after the other: rows offsets[j], ... are those of table j, with tag j + 1.

    rows        of all tables together
    variables   of the table side: ceil(log2 rows), at least 3
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tuple(tables)
        self.tags = {table: tag for tag, table in enumerate(self.tables, start=1)}
        self.offsets: list[int] = []
        self.rows = 0
        for table in self.tables:
            self.offsets.append(self.rows)
            self.rows += table.rows
        self.variables = max(3, (self.rows - 1).bit_length())

    def leaves(self, alpha: K, beta: K) -> Leaves:
        """The denominators of all 2^variables leaves. The unused ones are 1."""
        columns = [np.zeros(self.rows, dtype=np.uint32) for _ in range(MAX_WIDTH)]
        segments = np.zeros(len(self.tables) + 1, dtype=SEGMENT)
        for j, (table, offset) in enumerate(zip(self.tables, self.offsets, strict=True)):
            for column, values in zip(columns, table.columns(), strict=False):
                column[offset : offset + table.rows] = values
            constant = alpha - beta * (j + 1)
            seconds = (self.rows + offset, 2 * self.rows + offset)
            segments[j] = (offset, offset + table.rows, constant.re, constant.im, table.width, *seconds)
        segments[-1] = (self.rows, 1 << self.variables, 1, 0, 0, 0, 0)
        if self.rows == 1 << self.variables:
            segments = segments[:-1]
        beta2, beta3 = powers(beta, 4)[2:]
        return Leaves(np.concatenate(columns), segments, (beta2.re, beta2.im), (beta3.re, beta3.im))

    def denominator(self, alpha: K, beta: K, point: Sequence[K]) -> K:
        """The multilinear extension of the denominators at a point of `variables` coordinates."""
        total = used = ZERO
        weights = [ONE, *powers(beta, 4)[2:]]
        for tag, (table, offset) in enumerate(zip(self.tables, self.offsets, strict=True), start=1):
            for start, log_size in covering_subcubes(offset, offset + table.rows):
                mass = index_weight(point[log_size:], start >> log_size)
                value = alpha - beta * tag
                for weight, column in zip(weights, self._column_values(table, start - offset, point[:log_size]), strict=False):
                    value = value - weight * column
                total = total + mass * value
                used = used + mass
        return total + ONE - used

    @staticmethod
    def _column_values(table: Table, first: int, point: Sequence[K]) -> list[K]:
        """The multilinear extensions of 2^len(point) rows of a table's columns, from row `first`."""
        if isinstance(table, RangeTable):
            return [sum((coordinate * (1 << b) for b, coordinate in enumerate(point)), K(first))]
        end = first + (1 << len(point))
        return [evaluate_integers(column[first:end], point) for column in table.columns()]
