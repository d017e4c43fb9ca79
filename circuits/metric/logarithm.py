"""The logarithm of wide integers (the semantics: circuits/metric/deviation.py), as cells, lookups and identities.

For 1 <= N < 2^128 and k = 16 a + b, b < 16, a < 8, let W = 2^k N have the digits W_0, ..., W_7 of 16 bits, q_a be the selector
of a (eight bits with sum 1) and 2^b come from a table. All other cells are unsigned: c (16 bits), m (31), INV (33), d, Y, Y2,
remainders.

    2^b N = sum_a q_a sum_(d >= a) 2^(16 (d - a)) W_d        the shift by a digits, backwards: all values stay below 2^145
    0 = sum_a q_a sum_(d < a) W_d                            the lowest a digits of W are zero
    M = W_5 + 2^16 W_6 + 2^32 W_7 = 2^47 + 2^31 c + m        so 2^127 <= W < 2^128: k and W are unique
    INV (2^16 + c) = 2^48 + d,   0 <= d < 2^16 + c           INV = ceil(2^48 / (2^16 + c))
    M INV - 2^79 rounds to 2^31 Y,   Y^2 to 2^49 Y2
    LOG = (127 - k) LN2 + LOGT[c] + Y - Y2                   linear in the cells: never committed

LOGT is a table of 2^16 rows. INV needs none: a quotient is cheaper than 2^16 rows for few logarithms.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from zkds.circuits.arithmetic import tables
from zkds.circuits.metric.deviation import logarithm_steps
from zkds.identities.expressions import AxisUse, Expression, Over, at, sum_of, tensor
from zkds.identities.gadget import CELL_BITS, CellFormat, Gadget, Integers, joined, round_identity, split, value_table
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.limbs import LimbFormat
from zkds.lookup import ExplicitTable
from zkds.native import U32
from zkds.tensors.tensor import Committed

DIGITS = 8  # of W
TOP_DIGITS = (5, 6, 7)  # M
CELL_SHIFT = 31  # of c in M
CELL_SIZE = 1 << 16
INVERSE_WIDTH = 33
LINEAR_SHIFT = 31
LINEAR_WIDTH = 33  # M INV - 2^79 < 2^63 + 2^48
QUADRATIC_SHIFT = 49
QUADRATIC_WIDTH = 17  # Y < 2^33
LOG_WIDTH = 55  # LOG < 128 LN2 + 2^34 < 2^55


@cache
def power_rows() -> ExplicitTable:
    """Rows (b, 2^b), b < 16."""
    return ExplicitTable.of(np.array([[b, 1 << b] for b in range(DIGIT_BITS)], dtype=np.uint32))


@cache
def log_rows() -> ExplicitTable:
    """Rows (c, LOGT[c] mod 2^32, floor(LOGT[c] / 2^32))."""
    return value_table(tables.log_table())


class Logarithm(Gadget):
    """LOG of every entry of an expression over `shape`. `value` is the logarithm, an expression over the same shape."""

    def __init__(self, name: str, shape: tuple[int, ...], argument: Expression, block: str) -> None:
        super().__init__(name)
        self.shape = shape
        self.block = block
        self.bits = self.table_value("b", LimbFormat(DIGIT_BITS, 4, False), shape)
        self.power = self.table_value("2^b", LimbFormat(DIGIT_BITS, DIGIT_BITS, False), shape)
        self.selectors = self.integer("q", 1, (DIGITS, *shape))
        self.shifted = self.integer("W", DIGIT_BITS, (DIGITS, *shape))
        self.cell = self.table_value("c", LimbFormat(DIGIT_BITS, 16, False), shape)
        self.table_low = self.table_value("LOGT low", CellFormat(32), shape)
        self.table_high = self.table_value("LOGT high", CellFormat(16), shape)
        self.fraction = self.integer("m", CELL_SHIFT, shape)
        self.inverse = self.integer("INV", INVERSE_WIDTH, shape)
        self.excess = self.integer("d", 17, shape)
        self.excess_gap = self.integer("d, gap", 17, shape)
        self.linear = self.integer("Y", LINEAR_WIDTH, shape)
        self.linear_remainder = self.integer("Y, remainder", LINEAR_SHIFT, shape)
        self.quadratic = self.integer("Y2", QUADRATIC_WIDTH, shape)
        self.quadratic_remainder = self.integer("Y2, remainder", QUADRATIC_SHIFT, shape)
        self.look_up(power_rows(), self.bits, 0, [self.power])
        self.look_up(log_rows(), self.cell, 0, [self.table_low, self.table_high])
        self.value = self._shift(argument) + self._series()

    def _digit(self, digits: Committed, use: AxisUse) -> Expression:
        """An expression in the entries along the first axis of q or W."""
        return tensor(digits, use, *range(len(self.shape)))

    def _shift(self, argument: Expression) -> Expression:
        """State the identities of W. Returns (127 - k) LN2."""
        q = [self._digit(self.selectors, at(a, DIGITS)) for a in range(DIGITS)]
        w = [self._digit(self.shifted, at(d, DIGITS)) for d in range(DIGITS)]
        back = [q[a] * w[d] * (1 << DIGIT_BITS * (d - a)) for a in range(DIGITS) for d in range(a, DIGITS)]
        below = [q[a] * w[d] for a in range(DIGITS) for d in range(a)]
        top = sum_of([w[d] * (1 << DIGIT_BITS * j) for j, d in enumerate(TOP_DIGITS)])
        self.identity(self.block, "one a", self.shape, self._digit(self.selectors, Over((1,) * DIGITS)) - 1)
        self.identity(self.block, "W", self.shape, argument * tensor(self.power) - sum_of(back))
        self.identity(self.block, "W, low digits", self.shape, sum_of(below))
        self.identity(self.block, "M", self.shape, top - self._mantissa())
        whole = self._digit(self.selectors, Over(tuple(DIGIT_BITS * a for a in range(DIGITS))))
        return (127 - whole - tensor(self.bits)) * tables.LN2

    def _mantissa(self) -> Expression:
        """M."""
        return (1 << 47) + tensor(self.cell) * (1 << CELL_SHIFT) + tensor(self.fraction)

    def _series(self) -> Expression:
        """State the identities of INV, Y and Y2. Returns LOGT[c] + Y - Y2."""
        inverse, excess, linear, quadratic = map(tensor, (self.inverse, self.excess, self.linear, self.quadratic))
        divisor = tensor(self.cell) + CELL_SIZE
        product = inverse * self._mantissa() - (1 << 79)
        first = round_identity(product, LINEAR_SHIFT, linear, tensor(self.linear_remainder))
        second = round_identity(linear * linear, QUADRATIC_SHIFT, quadratic, tensor(self.quadratic_remainder))
        self.identity(self.block, "INV", self.shape, inverse * divisor - (1 << 48) - excess)
        self.identity(self.block, "INV, least", self.shape, divisor - 1 - excess - tensor(self.excess_gap))
        self.identity(self.block, "Y", self.shape, first)
        self.identity(self.block, "Y2", self.shape, second)
        return tensor(self.table_low) + tensor(self.table_high) * (1 << CELL_BITS) + linear - quadratic

    def witness(self, arguments: Integers) -> dict[str, U32]:
        """The columns, from Python ints of this shape. Raises ValueError for one outside [1, 2^128)."""
        numbers = arguments.reshape(-1).tolist()
        steps = [logarithm_steps(number) for number in numbers]
        k, mantissa, c, y, y2 = (
            np.array([getattr(step, field) for step in steps], dtype=object)
            for field in ("exponent", "mantissa", "cell", "linear", "quadratic")
        )
        whole, bits = k // DIGIT_BITS, (k % DIGIT_BITS).astype(np.int64)
        shifted = np.array([number << step.exponent for number, step in zip(numbers, steps, strict=True)], dtype=object)
        table = tables.log_table()[c.astype(np.int64)]
        inverse = tables.inverses()[c.astype(np.int64)].astype(object)
        excess = inverse * (c + CELL_SIZE) - (1 << 48)
        values = [
            (self.bits, bits),
            (self.power, np.int64(1) << bits),
            (self.selectors, np.array([whole == a for a in range(DIGITS)])),
            (self.shifted, np.array([shifted >> DIGIT_BITS * d & 0xFFFF for d in range(DIGITS)])),
            (self.cell, c),
            (self.table_low, table & ((1 << CELL_BITS) - 1)),
            (self.table_high, table >> CELL_BITS),
            (self.fraction, mantissa & ((1 << CELL_SHIFT) - 1)),
            (self.inverse, inverse),
            (self.excess, excess),
            (self.excess_gap, c + CELL_SIZE - 1 - excess),
            (self.linear, y),
            (self.linear_remainder, mantissa * inverse - (1 << 79) + (1 << LINEAR_SHIFT - 1) - (y << LINEAR_SHIFT)),
            (self.quadratic, y2),
            (self.quadratic_remainder, y * y + (1 << QUADRATIC_SHIFT - 1) - (y2 << QUADRATIC_SHIFT)),
        ]
        return joined([split(owner, value) for owner, value in values])
