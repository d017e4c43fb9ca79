"""Where every tensor of a statement lies in the one committed vector: binary boxes (protocol.md, section 4).

Rounding each dimension up to a power of two would commit cells that no tensor owns, and a cell that nobody owns is a free
witness. So each dimension is split by its binary expansion, largest part first (28 = 16 + 8 + 4), and a tensor becomes the
boxes of the product: prod popcount(d_i) boxes with power-of-two sides and exactly prod d_i cells. Sorted by size, largest
first, and packed without gaps, every box is an aligned subcube of the vector. A claim on the tensor's multilinear extension
is then a claim on each box, a constant times eq, and sums run over real indices only.

    checked part   boxes of the columns whose cells are leaves of a lookup, from offset 0
    free part      boxes of all other columns, from the next multiple of their largest box

Ties are in column order, then box order (row-major over the parts of the dimensions). Inside a box cells are row-major: the
last dimension has the lowest index bits. The cells between the two parts, and beyond the end, belong to no box.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.claims import Piece
from zkds.field import ONE, K
from zkds.multilinear import index_weight
from zkds.native import U32, array

I64 = NDArray[np.int64]

MAX_LOG_CELLS = 40
CELL_BITS = 32  # a cell is an integer in [0, 2^32)


@dataclass(frozen=True)
class Column:
    """One committed tensor: its name and its shape, one or more positive dimensions."""

    name: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"column name: expected a str, got {type(self.name).__name__}")
        if not self.name:
            raise ValueError("column name: expected at least one character")
        if not isinstance(self.shape, tuple) or not all(type(d) is int for d in self.shape):
            raise TypeError(f"column {self.name}: expected a tuple of ints as shape, got {self.shape!r}")
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"column {self.name}: expected one or more positive dimensions, got {self.shape}")

    @property
    def cells(self) -> int:
        return math.prod(self.shape)

    def point_sizes(self) -> tuple[int, ...]:
        """The number of coordinates of a point for each dimension: ceil(log2 d)."""
        return tuple((d - 1).bit_length() for d in self.shape)


@dataclass(frozen=True)
class Box:
    """The cells offset + x of the vector hold tensor[starts : starts + 2^log_sides], row-major.

    offset is a multiple of the box's size, and each start a multiple of its side.
    """

    offset: int
    starts: tuple[int, ...]
    log_sides: tuple[int, ...]

    @property
    def log_size(self) -> int:
        return sum(self.log_sides)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(1 << a for a in self.log_sides)

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(s, s + (1 << a)) for s, a in zip(self.starts, self.log_sides, strict=True))


@dataclass(frozen=True)
class BoxTable:
    """All boxes in the order of their offsets: entry j is box numbers[j] of column columns[j] (positions in the layout's
    `columns` and in `boxes(name)`), 2^log_sizes[j] cells from offsets[j]. The first `checked` entries are the checked part.
    """

    offsets: I64
    log_sizes: I64
    columns: I64
    numbers: I64
    checked: int


def binary_parts(length: int) -> list[tuple[int, int]]:
    """(start, log side) of the parts of [0, length), largest first: 28 -> (0, 4), (16, 3), (24, 2)."""
    parts = []
    start = 0
    for log_side in reversed(range(length.bit_length())):
        if length >> log_side & 1:
            parts.append((start, log_side))
            start += 1 << log_side
    return parts


@functools.lru_cache(maxsize=64)
def _box_weights(shape: tuple[int, ...], points: tuple[tuple[K, ...], ...]) -> list[tuple[tuple[K, ...], K]]:
    """For every box of a shape, in the boxes' order: the point inside the box, and the weight of the box's position.

    Kept because all limbs of a tensor are asked for at the same points.
    """
    partial: list[tuple[tuple[K, ...], K]] = [((), ONE)]
    for length, point in zip(shape, points, strict=True):
        parts = [
            (tuple(point[:log_side]), index_weight(point[log_side:], start >> log_side))
            for start, log_side in binary_parts(length)
        ]
        if len(parts) == 1:
            partial = [(parts[0][0] + local, constant) for local, constant in partial]
        else:
            partial = [(low + local, weight * constant) for local, constant in partial for low, weight in parts]
    return partial


class Layout:
    """The place of every column, a public function of the columns' names, shapes and order.

    columns   all columns of a statement, in its order
    checked   names of the columns whose cells are looked up; None: all of them

    cells           length of the vector, from offset 0 to the end of the last box
    checked_cells   number of cells of the checked part; cell x < checked_cells always belongs to a box
    """

    def __init__(self, columns: Sequence[Column], checked: Sequence[str] | None = None) -> None:
        self.columns = tuple(columns)
        if not self.columns:
            raise ValueError("columns: expected at least one")
        for column in self.columns:
            if not isinstance(column, Column):
                raise TypeError(f"columns: expected Column, got {type(column).__name__}")
        self._position = {column.name: j for j, column in enumerate(self.columns)}
        if len(self._position) != len(self.columns):
            names = [column.name for column in self.columns]
            raise ValueError(f"columns: duplicate names {sorted({n for n in names if names.count(n) > 1})}")
        self.checked = frozenset(self._position if checked is None else checked)
        unknown = sorted(self.checked - set(self._position))
        if unknown:
            raise ValueError(f"checked: no columns named {unknown}")
        if checked is not None and len(self.checked) != len(checked):
            raise ValueError("checked: duplicate names")
        if sum(column.cells for column in self.columns) > 1 << (MAX_LOG_CELLS - 1):
            raise ValueError(f"columns: expected at most 2^{MAX_LOG_CELLS - 1} cells")
        self._place()

    def _place(self) -> None:
        parts = [list(itertools.product(*map(binary_parts, column.shape))) for column in self.columns]
        counts = [len(boxes) for boxes in parts]
        column_of = np.repeat(np.arange(len(parts)), counts)
        number_of = np.concatenate([np.arange(count) for count in counts])
        log_sizes = np.array([sum(a for _, a in box) for boxes in parts for box in boxes], dtype=np.int64)
        is_checked = np.array([column.name in self.checked for column in self.columns])[column_of]
        order = np.lexsort((-log_sizes, ~is_checked))  # stable: ties stay in column order, then box order
        sizes = np.int64(1) << log_sizes[order]
        offsets = np.cumsum(sizes) - sizes
        checked_boxes = int(is_checked.sum())
        self.checked_cells = int(sizes[:checked_boxes].sum())
        if checked_boxes < len(order):
            largest = int(sizes[checked_boxes])
            offsets[checked_boxes:] += -self.checked_cells % largest
        self.cells = int(offsets[-1] + sizes[-1])
        self.table = BoxTable(offsets, log_sizes[order], column_of[order], number_of[order], checked_boxes)
        offset_of = np.empty_like(offsets)
        offset_of[order] = offsets
        places = iter(offset_of.tolist())
        self._boxes = [
            tuple(Box(next(places), tuple(s for s, _ in box), tuple(a for _, a in box)) for box in boxes) for boxes in parts
        ]

    def column(self, name: str) -> Column:
        """The column of this name. Raises ValueError if there is none."""
        return self.columns[self._index(name)]

    def boxes(self, name: str) -> tuple[Box, ...]:
        """The boxes of a column, in box order."""
        return self._boxes[self._index(name)]

    def _index(self, name: str) -> int:
        if name not in self._position:
            raise ValueError(f"layout: no column named {name!r}")
        return self._position[name]

    def write(self, vector: U32, name: str, values: NDArray[Any]) -> None:
        """Put a tensor in its place: vector (cells,) uint32; values of the column's shape, integers in [0, 2^32).

        Raises TypeError for other dtypes, ValueError for another shape or a value out of range (which is not shown).
        """
        column = self.column(name)
        array("vector", vector, np.uint32, (self.cells,))
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
            found = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
            raise TypeError(f"{name}: expected a numpy array of integers, got {found}")
        if values.shape != column.shape:
            raise ValueError(f"{name}: expected shape {column.shape}, got {values.shape}")
        if (values.dtype.kind == "i" and values.min() < 0) or (values.dtype.itemsize > 4 and values.max() >> CELL_BITS):
            raise ValueError(f"{name}: expected values in [0, 2^{CELL_BITS}), at least one is not")
        for box in self.boxes(name):
            vector[box.offset : box.offset + (1 << box.log_size)].reshape(box.shape)[...] = values[box.slices]

    def read(self, vector: U32, name: str) -> U32:
        """The tensor of a column, a new array of its shape, uint32."""
        column = self.column(name)
        array("vector", vector, np.uint32, (self.cells,))
        values = np.empty(column.shape, dtype=np.uint32)
        for box in self.boxes(name):
            values[box.slices] = vector[box.offset : box.offset + (1 << box.log_size)].reshape(box.shape)
        return values

    def read_entry(self, vector: U32, name: str, index: int) -> U32:
        """`read`, entry `index` along the first of two or more dimensions only: a new array of the shape of the others."""
        column = self.column(name)
        values = np.empty(column.shape[1:], dtype=np.uint32)
        for box in self.boxes(name):
            if 0 <= index - box.starts[0] < box.shape[0]:
                cells = vector[box.offset : box.offset + (1 << box.log_size)].reshape(box.shape)
                values[box.slices[1:]] = cells[index - box.starts[0]]
        return values

    def pieces(self, name: str, points: Sequence[Sequence[K]], scale: K) -> list[Piece]:
        """The weights of scale * sum_i prod_k eq(points[k], i_k) T[i], i over the real indices of column T, on its boxes.

        points: for each dimension ceil(log2 d) coordinates, lowest index bit first. A box that starts at s, a multiple of its
        side 2^a, has eq(point, s + x) = eq(point[a:], s >> a) eq(point[:a], x) along a dimension.
        """
        column = self.column(name)
        if tuple(map(len, points)) != column.point_sizes():
            raise ValueError(f"{name}: expected points of {column.point_sizes()} coordinates, got {tuple(map(len, points))}")
        weights = _box_weights(column.shape, tuple(map(tuple, points)))
        boxes = self.boxes(name)
        return [Piece(box.offset, local, constant * scale) for box, (local, constant) in zip(boxes, weights, strict=True)]

    def slice_pieces(self, name: str, index: int, points: Sequence[Sequence[K]], scale: K) -> list[Piece]:
        """`pieces` for the slice T[index] of a column of two or more dimensions; points of the other dimensions.

        The first dimension has the highest index bits of a box, so the slice of a box is an aligned subcube too.
        """
        column = self.column(name)
        if not 0 <= index < column.shape[0]:
            raise ValueError(f"{name}: expected an index below {column.shape[0]}, got {index}")
        if tuple(map(len, points)) != column.point_sizes()[1:]:
            raise ValueError(
                f"{name}: expected points of {column.point_sizes()[1:]} coordinates, got {tuple(map(len, points))}"
            )
        weights = _box_weights(column.shape[1:], tuple(map(tuple, points)))
        part = next(j for j, (start, log_side) in enumerate(binary_parts(column.shape[0])) if index < start + (1 << log_side))
        boxes = self.boxes(name)[part * len(weights) : (part + 1) * len(weights)]
        return [
            Piece(box.offset + ((index - box.starts[0]) << len(local)), local, constant * scale)
            for box, (local, constant) in zip(boxes, weights, strict=True)
        ]

    def encode(self) -> bytes:
        """The canonical bytes of what determines the layout, for the statement.

        Number of columns; for each: length of the name, name in UTF-8, 1 if checked else 0, number of dimensions, dimensions.
        All numbers are 8 bytes, little-endian.
        """

        def number(value: int) -> bytes:
            return value.to_bytes(8, "little")

        encoded = [number(len(self.columns))]
        for column in self.columns:
            name = column.name.encode()
            encoded += [number(len(name)), name, number(column.name in self.checked), number(len(column.shape))]
            encoded += [number(d) for d in column.shape]
        return b"".join(encoded)
