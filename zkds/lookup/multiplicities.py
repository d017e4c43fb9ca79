"""How often each row of each table is looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.commit.layout import Layout
from zkds.errors import ZkdsError
from zkds.lookup.plan import MULTIPLICITIES, Lookup, LookupPlan
from zkds.lookup.tables import ExplicitTable, RangeTable, Table
from zkds.native import U32, U64, array
from zkds.native.columns import add_histogram

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
    by_table: dict[Table, list[Lookup]] = {}
    for lookup in lookups:
        by_table.setdefault(lookup.table, []).append(lookup)
    counts = [_count(table, by_table[table], layout, vector) for table in plan.table_side.tables]
    layout.write(vector, MULTIPLICITIES, np.concatenate(counts))


def _count(table: Table, lookups: Sequence[Lookup], layout: Layout, vector: U32) -> U32:
    """How often each row of the table is looked up, (rows,). Raises NotInTable if something else is."""
    counts = _counts(table, lookups, layout, vector)
    if counts is not None:
        return counts
    culprit = next(lookup for lookup in lookups if _counts(table, [lookup], layout, vector) is None)
    names = ", ".join((culprit.primary, *culprit.secondary))
    raise NotInTable(f"{names}: not in a table of {table.rows} rows")


def _counts(table: Table, lookups: Sequence[Lookup], layout: Layout, vector: U32) -> U32 | None:
    """`_count`; None if something else is looked up."""
    if isinstance(table, RangeTable):
        return _count_cells(lookups, table.rows, layout, vector)
    first, *others = table.columns()
    bound = int(first.max()) + 1
    if bound > MAX_DIRECT or len(np.unique(first)) < table.rows:
        return _count_rows(table, lookups, layout, vector)
    cells = _count_cells(lookups, bound, layout, vector)
    if cells is None or int(cells[first].sum(dtype=np.int64)) < int(cells.sum(dtype=np.int64)):
        return None
    for position, column in enumerate(others):  # which the first one, if it is in the table, decides
        decided = np.zeros(bound, dtype=np.uint32)
        decided[first] = column
        for lookup in lookups:
            primary, secondary = (layout.read(vector, name) for name in (lookup.primary, lookup.secondary[position]))
            if not np.array_equal(decided[primary], secondary):
                return None
    return np.ascontiguousarray(cells[first])


def _count_cells(lookups: Sequence[Lookup], bound: int, layout: Layout, vector: U32) -> U32 | None:
    """How often the cells of the first columns are 0, ..., bound - 1; None if one of them is more."""
    counts = np.zeros(bound, dtype=np.uint32)
    return counts if add_histogram(vector, *layout.runs([lookup.primary for lookup in lookups]), counts) else None


def _count_rows(table: ExplicitTable, lookups: Sequence[Lookup], layout: Layout, vector: U32) -> U32 | None:
    """Of any table, row by row."""
    counts = np.zeros(table.rows, dtype=np.uint32)
    for lookup in lookups:
        rows = _row_numbers(table, [layout.read(vector, name).reshape(-1) for name in (lookup.primary, *lookup.secondary)])
        if rows is None:
            return None
        counts += np.bincount(rows, minlength=table.rows).astype(np.uint32)
    return counts


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
