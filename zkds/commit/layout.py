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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.claims import Pieces
from zkds.field import K, to_pairs
from zkds.native import U32, U64, array, cells, columns
from zkds.native.columns import Digits

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


class Boxes:
    """How a shape falls into boxes, row-major over the parts of its dimensions: the same for all columns of this shape.

    starts, log_sides   of every box, as in `Box`
    slices, shapes      the same as indices into the tensor, and as the box's own shape
    log_sizes           (boxes,) int64
    coordinates         for every box its point, positions in the points of all dimensions one after the other; the last
                        dimension's come first, for it has the lowest index bits
    places              starts and sides as the C core takes them
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        boxes = list(itertools.product(*map(binary_parts, shape)))
        self.starts = [tuple(start for start, _ in box) for box in boxes]
        self.log_sides = [tuple(log_side for _, log_side in box) for box in boxes]
        self.slices = [tuple(slice(start, start + (1 << a)) for start, a in box) for box in boxes]
        self.shapes = [tuple(1 << a for a in sides) for sides in self.log_sides]
        self.log_sizes: I64 = np.array([sum(sides) for sides in self.log_sides], dtype=np.int64)
        firsts = list(itertools.accumulate(((length - 1).bit_length() for length in shape), initial=0))[:-1]
        self.coordinates = np.array(
            [
                first + bit
                for sides in self.log_sides
                for first, log_side in zip(reversed(firsts), reversed(sides), strict=True)
                for bit in range(log_side)
            ],
            dtype=np.int64,
        )

        self.places = columns.Boxes(
            shape, np.array(self.starts, dtype=np.uint64), np.uint64(1) << np.array(self.log_sides, dtype=np.uint64)
        )

    def __len__(self) -> int:
        return len(self.starts)


@functools.lru_cache(maxsize=1024)
def boxes_of(shape: tuple[int, ...]) -> Boxes:
    return Boxes(shape)


def _pieces(shape: tuple[int, ...], offsets: I64, points: Sequence[Sequence[K]], scales: Sequence[K] | U64) -> Pieces:
    """The pieces of several tensors of one shape at one point: offsets (tensors, boxes), a scale for each tensor."""
    boxes = boxes_of(shape)
    point = to_pairs([coordinate for coordinates in points for coordinate in coordinates])
    pairs = scales if isinstance(scales, np.ndarray) else to_pairs(scales)
    return Pieces(
        offsets.reshape(-1),
        np.tile(boxes.log_sizes, len(offsets)),
        np.tile(point[boxes.coordinates], (len(offsets), 1)),
        cells.box_weights(shape, point, pairs),
    )


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
        boxes = [boxes_of(column.shape) for column in self.columns]
        counts = [len(own) for own in boxes]
        column_of = np.repeat(np.arange(len(boxes)), counts)
        number_of = np.concatenate([np.arange(count) for count in counts])
        log_sizes = np.concatenate([own.log_sizes for own in boxes])
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
        self._offsets = np.split(offset_of, np.cumsum(counts)[:-1])

    def column(self, name: str) -> Column:
        """The column of this name. Raises ValueError if there is none."""
        return self.columns[self._index(name)]

    def boxes(self, name: str) -> tuple[Box, ...]:
        """The boxes of a column, in box order."""
        boxes = boxes_of(self.column(name).shape)
        return tuple(map(Box, self.offsets(name).tolist(), boxes.starts, boxes.log_sides))

    def offsets(self, name: str) -> I64:
        """Their offsets, (boxes,) int64."""
        return self._offsets[self._index(name)]

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
        for part, slices in self._views(vector, column):
            part[...] = values[slices]

    def read(self, vector: U32, name: str) -> U32:
        """The tensor of a column, a new array of its shape, uint32."""
        column = self.column(name)
        array("vector", vector, np.uint32, (self.cells,))
        values = np.empty(column.shape, dtype=np.uint32)
        for part, slices in self._views(vector, column):
            values[slices] = part
        return values

    def runs(self, names: Sequence[str]) -> tuple[U64, U64]:
        """Where these columns lie: the first cells of all their boxes, and how many there are."""
        lengths = [boxes_of(self.column(name).shape).places.cells for name in names]
        return np.concatenate([self._offsets[self._index(name)] for name in names]).astype(np.uint64), np.concatenate(lengths)

    def write_digits(self, vector: U32, names: Sequence[str], values: I64, digits: Digits) -> bool:
        """Put the digits of a tensor in the places of these columns; False, with any cells there, if a value has none."""
        array("vector", vector, np.uint32, (self.cells,))
        return columns.write(values, digits, *self._digit_places(names), vector)

    def read_digits(self, vector: U32, names: Sequence[str], digits: Digits) -> I64:
        """The tensor whose digits these columns are, a new array."""
        array("vector", vector, np.uint32, (self.cells,))
        boxes, places = self._digit_places(names)
        values = np.empty(boxes.shape, dtype=np.int64)
        columns.read(vector, digits, boxes, places, values)
        return values

    def _digit_places(self, names: Sequence[str]) -> tuple[columns.Boxes, U64]:
        """The boxes that columns of one shape have, and where each column has them: (columns, boxes)."""
        offsets = np.stack([self._offsets[self._index(name)] for name in names])
        return boxes_of(self.column(names[0]).shape).places, offsets.astype(np.uint64)

    def read_entry(self, vector: U32, name: str, index: int) -> U32:
        """`read`, entry `index` along the first of two or more dimensions only: a new array of the shape of the others."""
        column = self.column(name)
        values = np.empty(column.shape[1:], dtype=np.uint32)
        for part, (first, *others) in self._views(vector, column):
            if first.start <= index < first.stop:
                values[tuple(others)] = part[index - first.start]
        return values

    def _views(self, vector: U32, column: Column) -> Iterator[tuple[U32, tuple[slice, ...]]]:
        """For every box of a column its cells, in its shape, and the slices of the tensor that they are."""
        boxes = boxes_of(column.shape)
        for offset, shape, slices in zip(self.offsets(column.name).tolist(), boxes.shapes, boxes.slices, strict=True):
            yield vector[offset : offset + math.prod(shape)].reshape(shape), slices

    def pieces(self, names: Sequence[str], points: Sequence[Sequence[K]], scales: Sequence[K]) -> Pieces:
        """The weights of sum_j scales[j] sum_i prod_k eq(points[k], i_k) T_j[i], i over the real indices, on the boxes of the
        columns T_j = names[j], which have one shape.

        points: for each dimension ceil(log2 d) coordinates, lowest index bit first. A box that starts at s, a multiple of its
        side 2^a, has eq(point, s + x) = eq(point[a:], s >> a) eq(point[:a], x) along a dimension.
        """
        shape = self._shape(names)
        _check_points(names[0], points, shape)
        return _pieces(shape, np.stack([self.offsets(name) for name in names]), points, scales)

    def slice_pieces(self, names: Sequence[str], indices: Sequence[int], points: Sequence[Sequence[K]], scales: U64) -> Pieces:
        """`pieces` for the slices T_j[i], i in indices, of columns of two or more dimensions; points of the other dimensions,
        scales (indices, names, 2) pairs.

        The first dimension has the highest index bits of a box, so the slice of a box is an aligned subcube too.
        """
        length, *others = self._shape(names)
        shape = tuple(others)
        _check_points(names[0], points, shape)
        if not all(0 <= index < length for index in indices):
            raise ValueError(f"{names[0]}: expected indices below {length}, got {list(indices)}")
        slices = self.slice_offsets(names, indices)
        return _pieces(shape, slices.reshape(-1, slices.shape[-1]), points, scales.reshape(-1, 2))

    def slice_offsets(self, names: Sequence[str], indices: Sequence[int]) -> I64:
        """Where slices T_j[i] of columns of two or more dimensions have the boxes of their shape: (indices, names, boxes)."""
        length, *others = self._shape(names)
        boxes, parts = boxes_of(tuple(others)), binary_parts(length)
        offsets = np.stack([self.offsets(name) for name in names]).reshape(len(names), len(parts), len(boxes))
        part_of = [next(p for p, (start, log_side) in enumerate(parts) if index < start + (1 << log_side)) for index in indices]
        inside = np.array([index - parts[p][0] for index, p in zip(indices, part_of, strict=True)], dtype=np.int64)
        found: I64 = offsets[:, part_of].transpose(1, 0, 2) + (inside[:, None, None] << boxes.log_sizes)
        return found

    def _shape(self, names: Sequence[str]) -> tuple[int, ...]:
        """The one shape of these columns."""
        shape, *others = (self.column(name).shape for name in names)
        if any(other != shape for other in others):
            raise ValueError(f"{names[0]}: expected columns of one shape, got {[shape, *others]}")
        return shape

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


def _check_points(name: str, points: Sequence[Sequence[K]], shape: tuple[int, ...]) -> None:
    sizes = tuple((length - 1).bit_length() for length in shape)
    if tuple(map(len, points)) != sizes:
        raise ValueError(f"{name}: expected points of {sizes} coordinates, got {tuple(map(len, points))}")
