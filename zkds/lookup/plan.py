"""Which leaf of the lookup side is which cell: a public function of the lookups and the layout.

Leaf x is cell x of the checked part, so that the leaves are formed from the committed vector itself. They are summed up in
chunks, aligned subcubes of at most 2^max_log_chunk leaves, so that memory does not grow with the number of lookups. Leaves
of the last chunk beyond the checked part are public: tag 0, value 0, no cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zkds.claims import Piece, Pieces
from zkds.commit.layout import Column, Layout
from zkds.field import ONE, ZERO, K, P, powers, to_pairs
from zkds.lookup.subcubes import covering_subcubes, weights_below
from zkds.lookup.tables import Table, TableSide, canonical_tables
from zkds.multilinear import index_weight
from zkds.native import U32
from zkds.native.fraction import SEGMENT, Leaves

MULTIPLICITIES = "multiplicities"  # the column of V that holds them, a row of each table after the other
MAX_LOG_CHUNK = 26
MIN_LOG_CHUNK = 10
TAIL_CHUNKS = 4  # chunks smaller than the largest
PADDING = 16  # a chunk is rounded up if that adds at most a 16th of all lookups


@dataclass(frozen=True)
class Lookup:
    """The rows (primary[j], secondary[0][j], ...) are rows of the table; all columns have one shape.

    The primary column is in the checked part of the layout, and is looked up once.
    """

    table: Table
    primary: str
    secondary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.table, Table):
            raise TypeError(f"table: expected RangeTable or ExplicitTable, got {type(self.table).__name__}")
        if not isinstance(self.primary, str) or not isinstance(self.secondary, tuple):
            raise TypeError("columns: expected a str and a tuple of str")
        if 1 + len(self.secondary) != self.table.width:
            raise ValueError(f"{self.primary}: expected {self.table.width} columns, got {1 + len(self.secondary)}")


@dataclass(frozen=True)
class Chunk:
    """Leaves [start, start + 2^log_size), of which those below `end` are cells."""

    start: int
    log_size: int
    end: int


def multiplicity_column(lookups: Sequence[Lookup]) -> Column:
    """The column that a layout must have, in its free part, for these lookups."""
    return Column(MULTIPLICITIES, (TableSide(canonical_tables(lookup.table for lookup in lookups)).rows,))


def cut_into_chunks(leaves: int, max_log_chunk: int = MAX_LOG_CHUNK) -> list[Chunk]:
    """The chunks that cover [0, leaves): as many of the largest size as are full, then the binary expansion of the rest from
    the top, of which a chunk is the last, rounded up, as soon as this adds at most leaves / PADDING, or it is the
    TAIL_CHUNKS-th, or the least size is reached."""
    chunks: list[Chunk] = []
    start = tail = 0
    while start < leaves:
        left = leaves - start
        up = max(MIN_LOG_CHUNK, (left - 1).bit_length())
        if left >= 1 << max_log_chunk:
            log_size = max_log_chunk
        else:
            tail += 1
            last = ((1 << up) - left) * PADDING <= leaves or tail == TAIL_CHUNKS or up == MIN_LOG_CHUNK
            log_size = up if last else up - 1
        chunks.append(Chunk(start, log_size, min(leaves, start + (1 << log_size))))
        start += 1 << log_size
    return chunks


class LookupPlan:
    """Everything public about the argument.

    table_side   the tables, in canonical order
    chunks       of the lookup side
    leaves       number of lookups, the cells of the checked part
    unused       leaves of the chunks that are no cells
    degree       of a fingerprint in beta

    Raises ValueError if the lookups and the layout do not fit: every column of the checked part is the primary column of
    one lookup, secondary columns have the same shape, and the multiplicities' column is in the free part.
    """

    def __init__(self, lookups: Sequence[Lookup], layout: Layout, max_log_chunk: int = MAX_LOG_CHUNK) -> None:
        if not lookups:
            raise ValueError("lookups: expected at least one")
        if not MIN_LOG_CHUNK <= max_log_chunk <= MAX_LOG_CHUNK:
            raise ValueError(f"max_log_chunk: expected {MIN_LOG_CHUNK} to {MAX_LOG_CHUNK}, got {max_log_chunk}")
        self.lookups = tuple(lookups)
        self.layout = layout
        self.table_side = TableSide(canonical_tables(lookup.table for lookup in lookups))
        self._check_columns()
        self.leaves = layout.checked_cells
        self.chunks = cut_into_chunks(self.leaves, max_log_chunk)
        self.unused = sum(1 << chunk.log_size for chunk in self.chunks) - self.leaves
        self.degree = max(table.width for table in self.table_side.tables)
        if self.leaves + self.unused >= P:
            raise ValueError(f"lookups: expected fewer than p, got {self.leaves}")
        self._place_boxes()

    def _check_columns(self) -> None:
        primaries = [lookup.primary for lookup in self.lookups]
        if len(set(primaries)) != len(primaries) or set(primaries) != set(self.layout.checked):
            raise ValueError("lookups: expected every column of the checked part to be the primary column of one lookup")
        for lookup in self.lookups:
            shape = self.layout.column(lookup.primary).shape
            for name in lookup.secondary:
                if self.layout.column(name).shape != shape:
                    raise ValueError(f"{name}: expected shape {shape} of {lookup.primary}")
        if self.layout.column(MULTIPLICITIES).shape != (self.table_side.rows,):
            raise ValueError(f"{MULTIPLICITIES}: expected shape ({self.table_side.rows},)")
        if MULTIPLICITIES in self.layout.checked:
            raise ValueError(f"{MULTIPLICITIES}: expected a column of the free part")

    def _place_boxes(self) -> None:
        """The boxes of the checked part, in order: first leaf, log size, tag, width, cells of the other columns."""
        table = self.layout.table
        count = table.checked
        lookup_of = {lookup.primary: lookup for lookup in self.lookups}
        rows = [lookup_of.get(column.name) for column in self.layout.columns]
        tags = np.array([0 if row is None else self.table_side.tags[row.table] for row in rows], dtype=np.uint64)
        widths = np.array([0 if row is None else row.table.width for row in rows], dtype=np.uint64)
        columns = table.columns[:count]
        self._first = table.offsets[:count].astype(np.uint64)
        self._log_size = table.log_sizes[:count]
        self._tag, self._width = tags[columns], widths[columns]
        self._others = np.zeros((2, count), dtype=np.uint64)
        for j in np.flatnonzero(self._width > 1).tolist():
            row = rows[columns[j]]
            assert row is not None
            for k, name in enumerate(row.secondary):
                self._others[k, j] = self.layout.offsets(name)[table.numbers[j]]

    @cached_property
    def _runs(self) -> list[int]:
        """The boxes at which a run of one tag and width 1 begins, or a box of a wider table."""
        new = np.ones(len(self._first), dtype=bool)
        new[1:] = (self._tag[1:] != self._tag[:-1]) | (self._width[1:] > 1)
        return np.flatnonzero(new).tolist()

    def lookup_leaves(self, alpha: K, beta: K, vector: U32) -> Leaves:
        """The denominators of all leaves of all chunks."""
        runs = self._runs
        segments = np.zeros(len(runs) + (self.unused > 0), dtype=SEGMENT)
        cells = segments[: len(runs)]
        cells["first"] = self._first[runs]
        cells["end"] = np.append(self._first[runs][1:], np.uint64(self.leaves))
        constants = to_pairs([alpha - beta * tag for tag in range(len(self.table_side.tables) + 1)])
        cells["re"], cells["im"] = constants[self._tag[runs]].T
        cells["width"] = self._width[runs]
        cells["second"], cells["third"] = self._others[:, runs]
        if self.unused:
            segments[-1] = (self.leaves, self.leaves + self.unused, alpha.re, alpha.im, 0, 0, 0)
        beta2, beta3 = powers(beta, 4)[2:]
        return Leaves(vector, segments, (beta2.re, beta2.im), (beta3.re, beta3.im))

    def tag_value(self, chunk: Chunk, point: Sequence[K]) -> K:
        """The multilinear extension at `point` of the tags of a chunk's leaves, 0 for the unused ones."""
        starts = self._first[self._runs].astype(np.int64)
        first = max(0, int(np.searchsorted(starts, chunk.start, side="right")) - 1)
        last = int(np.searchsorted(starts, chunk.end, side="left"))
        tags = self._tag[self._runs][first:last].tolist()
        total, below = ZERO, ZERO
        ends = [end - chunk.start for end in [*starts[first + 1 : last].tolist(), chunk.end]]
        for tag, next_below in zip(tags, weights_below(point, ends), strict=True):
            total = total + (next_below - below) * tag
            below = next_below
        return total

    def value_pieces(self, chunk: Chunk, beta: K, point: Sequence[K]) -> Pieces:
        """The weights on V of sum_x eq(point, x) (v0 + beta^2 v1 + beta^3 v2)(x) over a chunk's cells."""
        pieces = [
            Piece(chunk.start + start, tuple(point[:log_size]), index_weight(point[log_size:], start >> log_size))
            for start, log_size in covering_subcubes(0, chunk.end - chunk.start)
        ]
        wide = np.flatnonzero((self._width > 1) & (self._first < chunk.end))
        ends = self._first[wide] + (np.uint64(1) << self._log_size[wide].astype(np.uint64))
        weights = powers(beta, 4)[2:]
        for j in wide[ends > chunk.start].tolist():
            first = int(self._first[j])
            start, log_size = max(first, chunk.start), min(int(self._log_size[j]), chunk.log_size)
            scale = index_weight(point[log_size:], (start - chunk.start) >> log_size)
            for k in range(int(self._width[j]) - 1):
                offset = int(self._others[k, j]) + start - first
                pieces.append(Piece(offset, tuple(point[:log_size]), scale * weights[k]))
        return Pieces.of(pieces)

    def multiplicity_pieces(self, point: Sequence[K]) -> Pieces:
        """The weights on V of the multilinear extension of the multiplicities at a point of the table side."""
        coordinates = self.layout.column(MULTIPLICITIES).point_sizes()[0]
        scale = ONE
        for coordinate in point[coordinates:]:
            scale = scale * (1 - coordinate)
        return self.layout.pieces([MULTIPLICITIES], [tuple(point[:coordinates])], [scale])
