"""The commitment and its opening: docs/specification/proof-system.md, section 8."""

from collections import namedtuple
from hashlib import sha256
from math import ceil, log2

from zkds_verify import merkle
from zkds_verify.channel import QUERY_BITS, QUERY_GRINDING, elements_of
from zkds_verify.field import HALF, ONE, UNIT, ZERO, dot, eq_table, powers, root_of_unity
from zkds_verify.rejection import require
from zkds_verify.transcript import number

LEAST_ROW = 12  # log2 of the longest row that is sent as it is
LEVEL_ROWS = 4  # log2 of the rows of a level of the recursion


class Code:
    """rows   committed ones, the blinding row among them, if there is one
    data   log2 of a row's elements; tail: further coefficients; k = 2^data + tail
    log_n  log2 of the length; q: opened columns
    """

    def __init__(self, rows, data, log_rate, *, padded):
        self.rows, self.data, self.log_n = rows, data, data + log_rate
        while (q := queries(1 << data, 1 << self.log_n, padded=padded)) is None:
            self.log_n += 1
        self.q, self.tail = q, 2 * q * padded
        self.k, self.n = (1 << data) + self.tail, 1 << self.log_n

    @property
    def query_bits(self):
        return self.q * (1 - log2(1 + (self.k - 1) / self.n))

    def encode(self):
        return b"".join(map(number, (self.rows, self.data, self.tail, self.log_n, self.q)))

    def point(self, column):
        """w of a column."""
        mirrored = int(format(column, f"0{self.log_n}b")[::-1], 2)
        return root_of_unity(self.log_n + 1) ** (2 * mirrored + 1)


def queries(data, n, *, padded):
    for q in range(1, n // 2):
        k = data + 2 * q * padded
        if k >= n:
            return None
        if q * (1 - log2(1 + (k - 1) / n)) + QUERY_GRINDING >= QUERY_BITS:
            return q
    return None


class Parameters:
    """Of a vector of so many cells."""

    def __init__(self, cells):
        bits = (cells - 1).bit_length()
        data = min(21, max(8, min(12, ceil(bits / 2) + 3), bits - 6))
        rows = -(-cells // (2 << data))
        self.cells, self.variables = cells, max(data, bits)
        self.code = Code(rows + 1, data, 1 if data >= 13 else 2, padded=True)
        self.levels, left = [], data
        while left > LEAST_ROW:
            left -= LEVEL_ROWS
            self.levels.append(Code(1 << LEVEL_ROWS, left, 3 if self.levels else 2, padded=False))

    def encode(self):
        encoded = number(self.cells) + number(len(self.levels))
        return encoded + b"".join(code.encode() for code in (self.code, *self.levels))


# A claim that the row's polynomial has a value at a point, and why it is rejected if it has not
Point = namedtuple("Point", "x value")


class Opening:
    def __init__(self, channel, parameters, root, rho, value):
        self.channel, self.parameters, self.code, self.root = channel, parameters, parameters.code, root
        self.low, self.high, self.value = rho[: self.code.data], rho[self.code.data :], value

    def first_half(self):
        channel, code = self.channel, self.code
        (mu,) = channel.hidden("opening: mu", 1)
        self.theta = channel.challenge("opening: theta", 1 + code.n)
        if self.parameters.levels:
            self.row_root = channel.bytes("opening: root of the masked row", 32)
        else:
            self.row = channel.elements("opening: masked row", 1 << code.data)
        self.tail = channel.elements("opening: tail of the masked row", code.tail)
        (self.u,) = channel.elements("opening: value of the masked row", 1)
        channel.equation("opening: value of the masked row", mu + self.theta * self.value - self.u)

    def second_half(self):
        channel, code = self.channel, self.code
        positions = channel.positions("opening: query positions", code.query_bits, code.q, code.n // 2)
        columns = receive_columns(channel, "opening", code, positions, self.root, salted=not channel.plain)
        factors = [self.theta * e for e in eq_table(self.high)][: 2 * code.rows - 2]
        factors += [ZERO] * (2 * code.rows - 2 - len(factors))
        half_i = (UNIT * 2).inverse()
        a = [x * HALF + y * half_i for x, y in zip(factors[::2], factors[1::2], strict=True)]
        b = [x * HALF - y * half_i for x, y in zip(factors[::2], factors[1::2], strict=True)]
        points = []
        for position, column in zip(positions, columns, strict=True):
            *rows, (s, s_inverse) = zip(column[::2], column[1::2], strict=True)
            at_w, at_inverse = [c for c, _ in rows], [d for _, d in rows]
            y = s + dot(a, at_w) + dot(b, [d.conjugate() for d in at_inverse])
            y_inverse = s_inverse + dot(a, at_inverse) + dot(b, [c.conjugate() for c in at_w])
            w = code.point(position)
            points += [self.without_tail(w, y), self.without_tail(w.conjugate(), y_inverse)]
        if self.parameters.levels:
            self.recursion(points)
        else:
            require_points(self.row, points, "proximity: masked row")
            require(dot(eq_table(self.low), self.row) == self.u, "opening: value of the masked row")

    def without_tail(self, x, value):
        return Point(x, value - x ** (1 << self.code.data) * evaluate(self.tail, x))

    def recursion(self, points):
        """The row has the value u at eq(low), and these values at points."""
        channel, value, root, low = self.channel, self.u, self.row_root, self.low
        weights = [(ONE, None)]  # (factor, point of a power or None for eq)
        for number_of_level, code in enumerate(self.parameters.levels, 1):
            last = number_of_level == len(self.parameters.levels)
            chi = channel.challenge("recursion: batching", len(points))
            for power, point in zip(powers(chi, len(points) + 1)[1:], points, strict=True):
                weights.append((power, point.x))
                value = value + power * point.value
            r = []
            for bit in range(code.data + LEVEL_ROWS - 1, code.data - 1, -1):
                zero, infinity = channel.elements("recursion: round", 2)
                challenge = channel.challenge("recursion: sumcheck round", 2 + code.n)
                value = zero + (value - zero * 2 - infinity) * challenge + infinity * (challenge * challenge)
                r.insert(0, challenge)
                weights = [(w * self.bound(x, bit, challenge), x) for w, x in weights]
            low = low[: code.data]
            if last:
                row = channel.elements("recursion: last row", 1 << code.data)
            else:
                below = channel.bytes("recursion: root", 32)
            positions = channel.positions("recursion: query positions", code.query_bits, code.q, code.n // 2)
            columns = receive_columns(channel, "recursion", code, positions, root, salted=False)
            e = eq_table(r)
            points = []
            for position, column in zip(positions, columns, strict=True):
                w = code.point(position)
                points += [Point(w, dot(e, column[::2])), Point(w.conjugate(), dot(e, column[1::2]))]
            if not last:
                root = below
        require_points(row, points, "proximity: last row")
        found = evaluate_all(row, [x for _, x in weights[1:]])
        total = weights[0][0] * dot(eq_table(low), row) + dot([w for w, _ in weights[1:]], found)
        require(total == value, "recursion: linear claim on the last row")

    def bound(self, x, bit, r):
        """The factor of a weight at index bit `bit`, bound to r."""
        if x is None:
            z = self.low[bit]
            return z * r + (1 - z) * (1 - r)
        return 1 - r + r * x ** (1 << bit)


def receive_columns(channel, kind, code, positions, root, *, salted):
    """For each column the pairs of all rows, at w and 1/w."""
    rows = code.rows
    size = 32 * rows
    data = channel.bytes(f"{kind}: columns", size * len(positions))
    salts = channel.bytes(f"{kind}: salts", 32 * len(positions)) if salted else bytes(32 * len(positions))
    proof = channel.bytes(f"{kind}: Merkle proof", 32 * merkle.missing(positions, code.n // 2))
    elements = elements_of(f"{kind}: columns", data)
    leaves = {}
    for j, position in enumerate(positions):
        header = b"\x00" + b"zkds leaf" + bytes(22) + salts[32 * j : 32 * j + 32]
        leaves[position] = sha256(header + data[size * j : size * (j + 1)]).digest()
    found = merkle.root(leaves, code.n // 2, proof)
    require(found == root, "Merkle root mismatch", root.hex(), found.hex())
    return [elements[2 * rows * j : 2 * rows * (j + 1)] for j in range(len(positions))]


def require_points(row, points, reason):
    """In pairs, at w and 1/w."""
    found = evaluate_all(row, [x for x, _ in points])
    for place, (value, point) in enumerate(zip(found, points, strict=True)):
        require(value == point.value, f"{reason} at {'1/w' if place % 2 else 'w'}")


def evaluate(coefficients, x):
    return dot(coefficients, powers(x, len(coefficients)))


def evaluate_all(coefficients, points):
    """At every point: pieces of so many coefficients, then a polynomial in x^pieces."""
    step = 1 << (len(coefficients).bit_length() // 2)
    pieces = [coefficients[i : i + step] for i in range(0, len(coefficients), step)]
    found = []
    for x in points:
        low = powers(x, step)
        values = [dot(piece, low[: len(piece)]) for piece in pieces]
        found.append(dot(values, powers(low[-1] * x, len(values))))
    return found
