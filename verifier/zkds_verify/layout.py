"""Where the cells of columns lie in the committed vector, and claims on it: docs/specification/proof-system.md, section 4."""

from collections import namedtuple
from itertools import product

from zkds_verify.field import ONE, ZERO, dot, eq_at, eq_points, eq_table
from zkds_verify.transcript import number, sized

# starts, logs: of each dimension, where the box begins and log2 of its length
Box = namedtuple("Box", "offset starts logs size")
Piece = namedtuple("Piece", "offset point scale")


def parts(length):
    """(start, log2 of the length) of the binary parts, largest first."""
    found, start = [], 0
    for a in range(length.bit_length() - 1, -1, -1):
        if length >> a & 1:
            found.append((start, a))
            start += 1 << a
    return found


class Layout:
    """columns: (name, shape); checked: the names of those whose cells are leaves of a lookup."""

    def __init__(self, columns, checked):
        self.columns, self.checked, self.boxes = columns, checked, {name: {} for name, _ in columns}
        self.shapes = dict(columns)
        self.checked_cells = self.place([c for c in columns if c[0] in checked], 0)
        free = [c for c in columns if c[0] not in checked]
        largest = max((size for _, _, size, *_ in boxes_of(free)), default=1)
        self.cells = self.place(free, -(-self.checked_cells // largest) * largest)
        self.boxes = {name: [found[i] for i in range(len(found))] for name, found in self.boxes.items()}

    def place(self, columns, offset):
        """Boxes by size, largest first; the order of equal ones stays."""
        for name, index, size, starts, logs in sorted(boxes_of(columns), key=lambda box: -box[2]):
            self.boxes[name][index] = Box(offset, starts, logs, size)
            offset += size
        return offset

    def encode(self):
        encoded = number(len(self.columns))
        for name, shape in self.columns:
            numbers = [int(name in self.checked), len(shape), *shape]
            encoded += sized(name.encode()) + b"".join(map(number, numbers))
        return encoded


def boxes_of(columns):
    """(name, number of the box, size, starts, logs)"""
    found = []
    for name, shape in columns:
        for index, box in enumerate(product(*map(parts, shape))):
            starts, logs = tuple(s for s, _ in box), tuple(a for _, a in box)
            found.append((name, index, 1 << sum(logs), starts, logs))
    return found


class PiecesClaim:
    """The sum over pieces of scale times eq(point, .) on 2^len(point) cells from `offset` on."""

    def __init__(self, pieces, value):
        self.pieces, self.value = pieces, value

    def weight_at(self, rho):
        total = ZERO
        for offset, point, scale in self.pieces:
            a = len(point)
            total = total + scale * eq_points(point, rho[:a]) * eq_at(rho[a:], offset >> a)
        return total


class TensorsClaim:
    """Sums of scale times a product of weights along the axes of a column: see claims_ledger.Weights."""

    def __init__(self, layout, terms, value):
        self.layout, self.terms, self.value = layout, terms, value

    def weight_at(self, rho):
        total, inside = ZERO, {}
        for column, axes, scale in self.terms:
            own = ZERO
            for box in self.layout.boxes[column]:
                bits = sum(box.logs)
                own = own + eq_at(rho[bits:], box.offset >> bits) * within(axes, box, rho, inside)
            total = total + scale * own
        return total


def within(axes, box, rho, known):
    """The extension of the weights of a box; its last axis has the lowest bits."""
    result, low = ONE, 0
    for axis, start, log in zip(reversed(axes), reversed(box.starts), reversed(box.logs), strict=True):
        key = (id(axis), start, log, low)
        if key not in known:
            known[key] = along(axis, start, log, rho[low : low + log])
        result = result * known[key]
        low += log
    return result


def along(axis, start, log, rho):
    """sum of the weights from `start` on times eq(rho, .)"""
    if axis.coordinates is not None:
        return eq_points(axis.coordinates[:log], rho) * eq_at(axis.coordinates[log:], start >> log)
    return dot(axis.weights[start : start + (1 << log)], eq_table(rho))
