"""The binary-box layout: places, reading and writing, claims as pieces, canonical bytes, misuse."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkds.claims import Piece
from zkds.commit.layout import Box, Column, Layout, binary_parts
from zkds.field import ZERO, K, to_pairs
from zkds.multilinear import index_weight

shapes = st.lists(st.integers(1, 13), min_size=1, max_size=4).map(tuple)
few = settings(deadline=None, derandomize=True, max_examples=50)


@st.composite
def layouts(draw):
    columns = [Column(f"c{j}", shape) for j, shape in enumerate(draw(st.lists(shapes, min_size=1, max_size=5)))]
    checked = [column.name for column in columns if draw(st.booleans())]
    return Layout(columns, checked)


def random_point(rng, size):
    return tuple(K(int(a), int(b)) for a, b in rng.integers(0, 2**61 - 1, size=(size, 2)))


def test_binary_parts():
    assert binary_parts(28) == [(0, 4), (16, 3), (24, 2)]
    assert binary_parts(1) == [(0, 0)]
    assert binary_parts(64) == [(0, 6)]


def test_known_layout():
    layout = Layout([Column("a", (3,)), Column("m", (5,)), Column("b", (2, 3))], checked=["a", "b"])
    assert layout.boxes("b") == (Box(0, (0, 0), (1, 1)), Box(6, (0, 2), (1, 0)))
    assert layout.boxes("a") == (Box(4, (0,), (1,)), Box(8, (2,), (0,)))
    assert layout.checked_cells == 9
    assert layout.boxes("m") == (Box(12, (0,), (2,)), Box(16, (4,), (0,)))
    assert layout.cells == 17
    assert layout.table.offsets.tolist() == [0, 4, 6, 8, 12, 16]
    assert layout.table.log_sizes.tolist() == [2, 1, 1, 0, 2, 0]
    assert layout.table.columns.tolist() == [2, 0, 2, 0, 1, 1]
    assert layout.table.numbers.tolist() == [0, 0, 1, 1, 0, 1]
    assert layout.table.checked == 4


@few
@given(layouts())
def test_boxes_are_disjoint_aligned_and_exact(layout):
    owner = np.full(layout.cells, -1)
    for j, column in enumerate(layout.columns):
        boxes = layout.boxes(column.name)
        assert len(boxes) == math.prod(d.bit_count() for d in column.shape)
        covered = np.zeros(column.shape, dtype=int)
        for box in boxes:
            size = 1 << box.log_size
            assert box.offset % size == 0
            assert (owner[box.offset : box.offset + size] == -1).all()
            owner[box.offset : box.offset + size] = j
            covered[box.slices] += 1
            assert (box.offset < layout.checked_cells) == (column.name in layout.checked)
        assert (covered == 1).all()
        assert (owner == j).sum() == column.cells
    assert (owner[: layout.checked_cells] >= 0).all()
    gap = int((owner == -1).sum())
    assert (owner[layout.checked_cells : layout.checked_cells + gap] == -1).all()
    largest_free = max((c.cells.bit_length() for c in layout.columns if c.name not in layout.checked), default=0)
    assert gap < 1 << largest_free
    table = layout.table
    for offset, log_size, column, number in zip(table.offsets, table.log_sizes, table.columns, table.numbers, strict=True):
        box = layout.boxes(layout.columns[column].name)[number]
        assert (box.offset, box.log_size) == (offset, log_size)
    assert (np.diff(table.offsets) > 0).all()
    assert (np.diff(table.log_sizes[: table.checked]) <= 0).all() and (np.diff(table.log_sizes[table.checked :]) <= 0).all()


@few
@given(layouts(), st.integers(0, 2**32))
def test_read_returns_what_was_written(layout, seed):
    rng = np.random.default_rng(seed)
    vector = np.zeros(layout.cells, dtype=np.uint32)
    tensors = {c.name: rng.integers(0, 2**32, size=c.shape, dtype=np.uint64) for c in layout.columns}
    for name, tensor in tensors.items():
        layout.write(vector, name, tensor)
    for name, tensor in tensors.items():
        assert (layout.read(vector, name) == tensor).all()
        for index in range(len(tensor)):
            assert np.array_equal(layout.read_entry(vector, name, index), tensor[index])


@few
@given(layouts(), st.integers(0, 2**32))
def test_pieces_weigh_the_real_cells_and_no_other(layout, seed):
    rng = np.random.default_rng(seed)
    vector = rng.integers(0, 2**32, size=layout.cells, dtype=np.uint32)  # garbage where no box is
    column = layout.columns[seed % len(layout.columns)]
    tensor = rng.integers(0, 2**32, size=column.shape, dtype=np.uint32)
    layout.write(vector, column.name, tensor)
    points = [random_point(rng, size) for size in column.point_sizes()]
    scale = random_point(rng, 1)[0]
    expected = ZERO
    for index in itertools.product(*map(range, column.shape)):
        weight = scale
        for point, i in zip(points, index, strict=True):
            weight = weight * index_weight(point, i)
        expected = expected + weight * int(tensor[index])
    actual, covered = ZERO, 0
    for piece in layout.pieces([column.name], points, [scale]):
        covered += 1 << len(piece.point)
        for x in range(1 << len(piece.point)):
            actual = actual + piece.scale * index_weight(piece.point, x) * int(vector[piece.offset + x])
    assert actual == expected
    assert covered == column.cells


def test_only_integers_of_the_right_shape_and_range_are_written():
    layout = Layout([Column("a", (2, 3))])
    vector = np.zeros(6, dtype=np.uint32)
    good = np.arange(6).reshape(2, 3)
    layout.write(vector, "a", good)
    assert vector.tolist() == [0, 1, 3, 4, 2, 5]
    secret = 987654321987
    with pytest.raises(ValueError, match=r"a: expected values in \[0, 2\^32\), at least one is not") as caught:
        layout.write(vector, "a", good + secret)
    assert str(secret) not in str(caught.value)
    with pytest.raises(ValueError, match="at least one is not"):
        layout.write(vector, "a", good - 1)
    with pytest.raises(ValueError, match=r"a: expected shape \(2, 3\), got \(3, 2\)"):
        layout.write(vector, "a", good.reshape(3, 2))
    with pytest.raises(TypeError, match="a: expected a numpy array of integers, got float64"):
        layout.write(vector, "a", good.astype(float))
    with pytest.raises(TypeError, match="got list"):
        layout.write(vector, "a", [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(TypeError, match="vector: expected dtype uint32, got int64"):
        layout.write(vector.astype(np.int64), "a", good)
    with pytest.raises(ValueError, match=r"vector: expected shape \(6\), got \(7,\)"):
        layout.read(np.zeros(7, dtype=np.uint32), "a")
    assert vector.tolist() == [0, 1, 3, 4, 2, 5]


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"columns: duplicate names \['a'\]"):
        Layout([Column("a", (1,)), Column("a", (2,))])
    with pytest.raises(ValueError, match="columns: expected at least one"):
        Layout([])
    with pytest.raises(TypeError, match="columns: expected Column, got str"):
        Layout(["a"])
    with pytest.raises(ValueError, match=r"checked: no columns named \['b'\]"):
        Layout([Column("a", (1,))], checked=["b"])
    with pytest.raises(ValueError, match="checked: duplicate names"):
        Layout([Column("a", (1,))], checked=["a", "a"])
    with pytest.raises(ValueError, match="expected at most 2\\^39 cells"):
        Layout([Column("a", (1 << 39,)), Column("b", (1,))])
    for shape in [(), (0,), (2, -1)]:
        with pytest.raises(ValueError, match="expected one or more positive dimensions"):
            Column("a", shape)
    for shape in [[2], (2.0,), (True,)]:
        with pytest.raises(TypeError, match="expected a tuple of ints"):
            Column("a", shape)
    with pytest.raises(ValueError, match="at least one character"):
        Column("", (1,))
    with pytest.raises(TypeError, match="expected a str"):
        Column(1, (1,))
    layout = Layout([Column("a", (3, 2))])
    with pytest.raises(ValueError, match="no column named 'z'"):
        layout.boxes("z")
    with pytest.raises(ValueError, match=r"a: expected points of \(2, 1\) coordinates, got \(1, 1\)"):
        layout.pieces(["a"], [(K(1),), (K(1),)], [K(1)])


def test_encoding_is_exact_and_separates_layouts():
    a, b = Column("a", (3,)), Column("b", (2, 3))
    number = lambda value: value.to_bytes(8, "little")  # noqa: E731
    expected = number(2) + number(1) + b"a" + number(1) + number(1) + number(3)
    expected += number(1) + b"b" + number(0) + number(2) + number(2) + number(3)
    assert Layout([a, b], checked=["a"]).encode() == expected
    different = [Layout([a, b]), Layout([b, a]), Layout([a, b], ["a"]), Layout([a, b], []), Layout([a])]
    assert len({layout.encode() for layout in different}) == len(different)


def test_tens_of_thousands_of_boxes():
    columns = [Column(f"layer {j}", (7, 6, 28 - j % 3, 28 - j % 5)) for j in range(400)]
    layout = Layout(columns, checked=[c.name for c in columns[::2]])
    assert len(layout.table.offsets) > 10_000
    assert layout.cells - sum(c.cells for c in columns) < 4 * 4 * 16 * 16


@few
@given(layouts(), st.integers(0, 2**32))
def test_slices_and_several_columns_are_what_single_ones_are(layout, seed):
    """Pieces of many columns at once, and of slices, beside those of the box definition, one by one."""
    rng = np.random.default_rng(seed)
    shape = layout.columns[seed % len(layout.columns)].shape
    names = [column.name for column in layout.columns if column.shape == shape]
    points = [random_point(rng, (d - 1).bit_length()) for d in shape]
    scales = random_point(rng, len(names))
    expected = [piece for name, scale in zip(names, scales, strict=True) for piece in slow_pieces(layout, name, points, scale)]
    assert list(layout.pieces(names, points, scales)) == expected
    if len(shape) == 1:
        return
    indices = [i for i in range(shape[0]) if rng.integers(2)]
    weights = [random_point(rng, len(names)) for _ in indices]
    pairs = to_pairs([weight for row in weights for weight in row]).reshape(len(indices), len(names), 2)
    found = list(layout.slice_pieces(names, indices, points[1:], pairs))
    assert found == [
        piece
        for i, row in zip(indices, weights, strict=True)
        for name, weight in zip(names, row, strict=True)
        for piece in slow_pieces(layout, name, points[1:], weight, index=i)
    ]


def slow_pieces(layout, name, points, scale, index=None):
    """For every box, or its slice at an index of the first dimension: its place, the local point, the weight of its start."""
    for box in layout.boxes(name):
        offset, starts, sides = box.offset, box.starts, box.log_sides
        if index is not None:
            if not starts[0] <= index < starts[0] + (1 << sides[0]):
                continue
            offset += index - starts[0] << sum(sides[1:])
            starts, sides = starts[1:], sides[1:]
        local, weight = (), scale
        for start, side, point in zip(starts, sides, points, strict=True):
            local = (*point[:side], *local)
            weight = weight * index_weight(point[side:], start >> side)
        yield Piece(offset, local, weight)


def test_pieces_of_columns_of_two_shapes_are_refused():
    layout = Layout([Column("a", (3, 2)), Column("b", (2, 3))])
    with pytest.raises(ValueError, match="a: expected columns of one shape"):
        layout.pieces(["a", "b"], [random_point(np.random.default_rng(1), 2), ()], [K(1), K(2)])
    with pytest.raises(ValueError, match=r"a: expected indices below 3, got \[3\]"):
        layout.slice_pieces(["a"], [3], [(K(1),)], np.zeros((1, 1, 2), dtype=np.uint64))
