"""Shows that the committed pads satisfy all equations: docs/specification/proof-system.md, section 9."""

from hashlib import sha256
from math import ceil, floor, log2

from zkds_verify import merkle
from zkds_verify.field import ONE, ZERO, dot, inverses, powers, root_of_unity
from zkds_verify.rejection import require

LEAST_ERROR_BITS = 87


class Sizes:
    """Of rows of k values: n symbols, t opened columns, `slots` messages in a row; A, B rows."""

    def __init__(self, k, messages, products):
        self.k, self.n = k, 16 * k
        e = (self.n - 2 * k) // 2
        self.column_bits = -log2((self.n - e - 1) / self.n)
        self.t = ceil(LEAST_ERROR_BITS / self.column_bits)
        self.slots = k - self.t
        if self.slots > 0:
            self.A, self.B = -(-messages // self.slots), -(-products // self.slots)
            self.witness = self.A + 3 * self.B

    @property
    def bytes(self):
        levels = (self.n.bit_length() - 1) - floor(log2(self.t)) - 1
        rows = self.A + 3 * self.B + 3
        return 16 * (5 * self.k - self.slots) + self.t * (16 * rows + 32 + 32 * max(0, levels))


def sizes(messages, products):
    every = [Sizes(1 << a, messages, products) for a in range(1, 21)]
    return min((s for s in every if s.slots > 0), key=lambda s: (s.bytes, s.k))


def verify(channel, root):
    equations = channel.equations
    s = sizes(equations.messages, len(equations.products))
    k, n, slots = s.k, s.n, s.slots
    r = channel.challenge("Ligero low-degree test", s.witness * n)
    c = channel.challenge("Ligero equations", max(1, len(equations.found) + 2 * len(equations.products)))
    m = channel.challenge("Ligero linear mask", n + 1)
    g = channel.challenge("Ligero products", max(1, s.B))
    m2 = channel.challenge("Ligero quadratic mask", n + 1)
    low_degree = channel.array("Ligero low-degree response", k)
    linear = channel.array("Ligero linear response", 2 * k)
    sent = iter(channel.array("Ligero quadratic response", 2 * k - slots))
    quadratic = [ZERO if j % 2 == 0 and j < 2 * slots else next(sent) for j in range(2 * k)]
    positions = channel.positions("Ligero queries", s.t * s.column_bits, s.t, n)
    rows = s.witness + 3
    symbols = channel.array("Ligero columns", s.t * rows)
    columns = [symbols[rows * j : rows * (j + 1)] for j in range(s.t)]
    salts = channel.bytes("Ligero salts", 32 * s.t)
    digests = channel.bytes("Ligero Merkle digests", 32 * merkle.missing(positions, n))
    leaves = {}
    for j, (position, column) in enumerate(zip(positions, columns, strict=True)):
        data = salts[32 * j : 32 * j + 32] + b"".join(symbol.to_bytes() for symbol in column)
        leaves[position] = sha256(b"\x00" + data).digest()
    require(merkle.root(leaves, n, digests) == root, "Ligero: Merkle root mismatch")

    weights, target = combined(equations, c, s)
    total = ZERO
    for j in range(slots):
        total = total + linear[2 * j]
    require(total == m * target, "Ligero: linear sum")
    r_powers, g_powers, step = powers(r, s.witness + 1)[1:], powers(g, s.B), root_of_unity(log2_of(n) + 1)
    for position, column in zip(positions, columns, strict=True):
        x, witness = step ** (2 * position + 1), column[: s.witness]
        low_mask, linear_mask, quadratic_mask = column[s.witness :]
        on_h, on_h2 = lagrange(k, x), lagrange(2 * k, x)
        require(dot(low_degree, on_h) == low_mask + dot(r_powers, witness), "Ligero: low-degree response")
        values = [dot(row, [on_h[i] for i in places]) for places, row in weights]
        require(dot(linear, on_h2) == linear_mask + m * dot(values, witness), "Ligero: linear response")
        left, right, both = (witness[s.A + i * s.B : s.A + (i + 1) * s.B] for i in range(3))
        square = dot(g_powers, [a * b - d for a, b, d in zip(left, right, both, strict=True)])
        require(dot(quadratic, on_h2) == quadratic_mask + m2 * square, "Ligero: quadratic response")


def log2_of(power):
    return power.bit_length() - 1


def lagrange(order, x):
    """At x outside the group of this order: for every point h of it (x^order - 1) / order * h / (x - h)."""
    points = powers(root_of_unity(log2_of(order)), order)
    factor = (x**order - 1) * (ONE * order).inverse()
    return [factor * h * inverse for h, inverse in zip(points, inverses([x - h for h in points]), strict=True)]


def combined(equations, c, s):
    """Of every row the slots with a weight and the weights; and what the weighted messages add up to."""
    rows = [{} for _ in range(s.witness)]

    def place(first_row, number, weight):
        row, slot = rows[first_row + number // s.slots], number % s.slots
        row[slot] = row[slot] + weight if slot in row else weight

    power, target = ONE, ZERO
    for _, equation in equations.found:
        for variable, coefficient in equation.coefficients.items():
            if variable >= 0:
                place(0, variable, power * coefficient)
            else:
                place(s.A + 2 * s.B, -1 - variable, power * coefficient)
        target = target - power * equation.constant
        power = power * c
    for t, pair in enumerate(equations.products):
        for kind, message in enumerate(pair):
            place(s.A + kind * s.B, t, power)
            place(0, message, -power)
            power = power * c
    return [(list(row), list(row.values())) for row in rows], target
