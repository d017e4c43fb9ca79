"""How often each row of each table is looked up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.commit.layout import Layout
from zkds.errors import ZkdsError
from zkds.lookup.plan import MULTIPLICITIES, Lookup, LookupPlan
from zkds.lookup.tables import ExplicitTable, RangeTable
from zkds.native import U32, U64, array
from zkds.native.fraction import add_histogram

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
        keys, stored = np.unique(stored << np.uint64(32) | table_column, return_inverse=True)
        key = wanted << np.uint64(32) | column
        rank = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        if not np.array_equal(keys[rank], key):
            return None
        stored, wanted = stored.astype(np.uint64), rank.astype(np.uint64)
    row_of_rank = np.empty(table.rows, dtype=np.uint32)
    row_of_rank[stored] = np.arange(table.rows, dtype=np.uint32)
    return np.ascontiguousarray(row_of_rank[wanted])
