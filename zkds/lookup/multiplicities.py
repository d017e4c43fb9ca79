"""How often each row of each table is looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.commit.layout import Layout
from zkds.errors import ZkdsError
from zkds.lookup.plan import MULTIPLICITIES, Lookup, LookupPlan
from zkds.lookup.tables import ExplicitTable, RangeTable
from zkds.native import U32, U64, array
from zkds.native.fraction import add_histogram

MAX_DIRECT = 2**24  # keys below this are looked up in an array, larger ones by binary search
MAX_LOOKUPS = 2**32 - 1  # a multiplicity is a cell


class NotInTable(ZkdsError, ValueError):
    """A cell, or a row of cells, is not in its table. Names the columns, never a value."""


def multiplicities(lookups: Sequence[Lookup], layout: Layout, vector: U32) -> None:
    """Write the multiplicities' column of `vector`, (cells,) uint32, whose other columns are complete.

    Raises NotInTable if a lookup fails.
    """
    plan = LookupPlan(lookups, layout)
    array("vector", vector, np.uint32, (layout.cells,))
    if plan.leaves > MAX_LOOKUPS:
        raise ValueError(f"lookups: expected at most {MAX_LOOKUPS}, got {plan.leaves}")
    counts = np.zeros(plan.table_side.rows, dtype=np.uint32)
    offset_of = dict(zip(plan.table_side.tables, plan.table_side.offsets, strict=True))
    for lookup in lookups:
        offset = offset_of[lookup.table]
        _count(lookup, layout, vector, counts[offset : offset + lookup.table.rows])
    layout.write(vector, MULTIPLICITIES, counts)


def _count(lookup: Lookup, layout: Layout, vector: U32, counts: U32) -> None:
    names = (lookup.primary, *lookup.secondary)
    found = True
    if isinstance(lookup.table, RangeTable):
        for box in layout.boxes(lookup.primary):
            found = found and add_histogram(vector[box.offset : box.offset + (1 << box.log_size)], counts)
    else:
        rows = _row_numbers(lookup.table, [layout.read(vector, name).reshape(-1) for name in names])
        found = rows is not None and add_histogram(rows, counts)
    if not found:
        raise NotInTable(f"{', '.join(names)}: not in a table of {lookup.table.rows} rows")


def _row_numbers(table: ExplicitTable, columns: Sequence[U32]) -> U32 | None:
    """The number of the table's row that each row of the columns is, (n,) uint32; None if one is missing.

    Column by column: the rows' first columns become their rank among the table's, then (rank, next column) is one key.
    """
    wanted: U64 = np.zeros(len(columns[0]), dtype=np.uint64)
    stored: U64 = np.zeros(table.rows, dtype=np.uint64)
    for column, table_column in zip(columns, table.columns(), strict=True):
        bound = int(table_column.max()) + 1
        if int(column.max()) >= bound:
            return None
        keys, stored = np.unique(stored * np.uint64(bound) + table_column, return_inverse=True)
        rank = _ranks(keys, wanted * np.uint64(bound) + column)
        if rank is None:
            return None
        stored, wanted = stored.astype(np.uint64), rank.astype(np.uint64)
    row_of_rank = np.empty(table.rows, dtype=np.uint32)
    row_of_rank[stored] = np.arange(table.rows, dtype=np.uint32)
    return np.ascontiguousarray(row_of_rank[wanted])


def _ranks(keys: U64, wanted: U64) -> NDArray[Any] | None:
    """The position of each wanted key among the sorted keys; None if one is missing."""
    last = int(keys[-1])
    if int(wanted.max()) > last:
        return None
    if last < MAX_DIRECT:
        rank_of = np.full(last + 1, -1, dtype=np.int64)
        rank_of[keys] = np.arange(len(keys))
        rank = rank_of[wanted]
        return None if int(rank.min()) < 0 else rank
    rank = np.searchsorted(keys, wanted)
    return rank if np.array_equal(keys[rank], wanted) else None
