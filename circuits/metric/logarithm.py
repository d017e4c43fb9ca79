"""The logarithm of wide integers (the semantics: circuits/metric/deviation.py), as cells, lookups and identities.

For 1 <= N < 2^128 and k = 16 a + b, b < 16, a < 8, let W = 2^k N have the digits W_0, ..., W_7 of 16 bits, q_a be the selector
of a (eight bits with sum 1) and 2^b come from a table. All other cells are unsigned: c (16 bits), m (mu - 17), INV (33), d, Y,
Y2, remainders. A grid has f fractional bits and mantissas of mu bits, mu = 16 n: 48 and 48, or 58 and 64 for losses.

    2^b N = sum_a q_a sum_(d >= a) 2^(16 (d - a)) W_d        the shift by a digits, backwards: all values stay below 2^145
    0 = sum_a q_a sum_(d < a) W_d                            the lowest a digits of W are zero
    M = W_(8-n) + ... + 2^(mu-16) W_7                        the n top digits
    M = 2^(mu-1) + 2^(mu-17) c + m                           so 2^127 <= W < 2^128: k and W are unique
    INV (2^16 + c) = 2^48 + d,   0 <= d < 2^16 + c           INV = ceil(2^48 / (2^16 + c))
    M INV - 2^(mu+31) rounds to 2^(mu+31-f) Y,   Y^2 to 2^(f+1) Y2
    LOG = 2^(f-48) ((127 - k) LN2 + LOGT[c]) + Y - Y2        linear in the cells: never committed

LOGT is a table of 2^16 rows. INV needs none: a quotient is cheaper than 2^16 rows for few logarithms.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from zkds.circuits.arithmetic import tables
from zkds.circuits.metric.deviation import RATIOS, LogarithmGrid, logarithm_steps
from zkds.identities.expressions import AxisUse, Expression, Over, at, sum_of, tensor
from zkds.identities.gadget import CELL_BITS, CellFormat, Gadget, Integers, joined, round_identity, split, value_table
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.limbs import LimbFormat
from zkds.lookup import ExplicitTable
from zkds.native import U32
from zkds.tensors.tensor import Committed

DIGITS = 8  # of W
CELL_SIZE = 1 << 16
INVERSE_WIDTH = 33
LOG_WIDTH = 55  # LOG [48] < 128 LN2 + 2^34 < 2^55


@cache
def power_rows() -> ExplicitTable:
    """Rows (b, 2^b), b < 16."""
    return ExplicitTable.of(np.array([[b, 1 << b] for b in range(DIGIT_BITS)], dtype=np.uint32))


@cache
def log_rows() -> ExplicitTable:
    """Rows (c, LOGT[c] mod 2^32, floor(LOGT[c] / 2^32))."""
    return value_table(tables.log_table())


class Logarithm(Gadget):
    """LOG of every entry of an expression over `shape`. `value` is the logarithm [f], an expression over the same shape."""

    def __init__(
        self, name: str, shape: tuple[int, ...], argument: Expression, block: str, grid: LogarithmGrid = RATIOS
    ) -> None:
        super().__init__(name)
        self.shape, self.grid = shape, grid
        self.block = block
        self.bits = self.table_value("b", LimbFormat(DIGIT_BITS, 4, False), shape)
        self.power = self.table_value("2^b", LimbFormat(DIGIT_BITS, DIGIT_BITS, False), shape)
        self.selectors = self.integer("q", 1, (DIGITS, *shape))
        self.shifted = self.integer("W", DIGIT_BITS, (DIGITS, *shape))
        self.cell = self.table_value("c", LimbFormat(DIGIT_BITS, 16, False), shape)
        self.table_low = self.table_value("LOGT low", CellFormat(32), shape)
        self.table_high = self.table_value("LOGT high", CellFormat(16), shape)
        self.fraction = self.integer("m", grid.fraction_bits, shape)
        self.inverse = self.integer("INV", INVERSE_WIDTH, shape)
        self.excess = self.integer("d", 17, shape)
        self.excess_gap = self.integer("d, gap", 17, shape)
        self.linear = self.integer("Y", grid.linear_width, shape)
        self.linear_remainder = self.integer("Y, remainder", grid.linear_shift, shape)
        self.quadratic = self.integer("Y2", grid.quadratic_width, shape)
        self.quadratic_remainder = self.integer("Y2, remainder", grid.quadratic_shift, shape)
        self.look_up(power_rows(), self.bits, 0, [self.power])
        self.look_up(log_rows(), self.cell, 0, [self.table_low, self.table_high])
        self.value = self._shift(argument) + self._series()

    def _digit(self, digits: Committed, use: AxisUse) -> Expression:
        """An expression in the entries along the first axis of q or W."""
        return tensor(digits, use, *range(len(self.shape)))

    def _shift(self, argument: Expression) -> Expression:
        """State the identities of W. Returns (127 - k) LN2 [f]."""
        q = [self._digit(self.selectors, at(a, DIGITS)) for a in range(DIGITS)]
        w = [self._digit(self.shifted, at(d, DIGITS)) for d in range(DIGITS)]
        back = [q[a] * w[d] * (1 << DIGIT_BITS * (d - a)) for a in range(DIGITS) for d in range(a, DIGITS)]
        below = [q[a] * w[d] for a in range(DIGITS) for d in range(a)]
        highest = w[-(self.grid.mantissa_bits // DIGIT_BITS) :]
        top = sum_of([digit * (1 << DIGIT_BITS * j) for j, digit in enumerate(highest)])
        self.identity(self.block, "one a", self.shape, self._digit(self.selectors, Over((1,) * DIGITS)) - 1)
        self.identity(self.block, "W", self.shape, argument * tensor(self.power) - sum_of(back))
        self.identity(self.block, "W, low digits", self.shape, sum_of(below))
        self.identity(self.block, "M", self.shape, top - self._mantissa())
        whole = self._digit(self.selectors, Over(tuple(DIGIT_BITS * a for a in range(DIGITS))))
        return (127 - whole - tensor(self.bits)) * self.grid.log_of_two

    @property
    def _top(self) -> int:
        """The top bit of M."""
        return 1 << self.grid.mantissa_bits - 1

    def _mantissa(self) -> Expression:
        """M."""
        return self._top + tensor(self.cell) * (1 << self.grid.fraction_bits) + tensor(self.fraction)

    def _series(self) -> Expression:
        """State the identities of INV, Y and Y2. Returns LOGT[c] + Y - Y2 [f]."""
        inverse, excess, linear, quadratic = map(tensor, (self.inverse, self.excess, self.linear, self.quadratic))
        divisor = tensor(self.cell) + CELL_SIZE
        product = inverse * self._mantissa() - (self._top << tables.INVERSE_BITS)
        first = round_identity(product, self.grid.linear_shift, linear, tensor(self.linear_remainder))
        second = round_identity(linear * linear, self.grid.quadratic_shift, quadratic, tensor(self.quadratic_remainder))
        self.identity(self.block, "INV", self.shape, inverse * divisor - (1 << 48) - excess)
        self.identity(self.block, "INV, least", self.shape, divisor - 1 - excess - tensor(self.excess_gap))
        self.identity(self.block, "Y", self.shape, first)
        self.identity(self.block, "Y2", self.shape, second)
        entry = tensor(self.table_low) + tensor(self.table_high) * (1 << CELL_BITS)
        return entry * (1 << self.grid.table_shift) + linear - quadratic

    def witness(self, arguments: Integers) -> dict[str, U32]:
        """The columns, from Python ints of this shape. Raises ValueError for one outside [1, 2^128)."""
        numbers = arguments.reshape(-1).tolist()
        steps = [logarithm_steps(number, self.grid) for number in numbers]
        k, mantissa, c, y, y2 = (
            np.array([getattr(step, field) for step in steps], dtype=object)
            for field in ("exponent", "mantissa", "cell", "linear", "quadratic")
        )
        whole, bits = k // DIGIT_BITS, (k % DIGIT_BITS).astype(np.int64)
        shifted = np.array([number << step.exponent for number, step in zip(numbers, steps, strict=True)], dtype=object)
        table = tables.log_table()[c.astype(np.int64)]
        inverse = tables.inverses()[c.astype(np.int64)].astype(object)
        excess = inverse * (c + CELL_SIZE) - (1 << 48)
        product = mantissa * inverse - (self._top << tables.INVERSE_BITS)
        values = [
            (self.bits, bits),
            (self.power, np.int64(1) << bits),
            (self.selectors, np.array([whole == a for a in range(DIGITS)])),
            (self.shifted, np.array([shifted >> DIGIT_BITS * d & 0xFFFF for d in range(DIGITS)])),
            (self.cell, c),
            (self.table_low, table & ((1 << CELL_BITS) - 1)),
            (self.table_high, table >> CELL_BITS),
            (self.fraction, mantissa & ((1 << self.grid.fraction_bits) - 1)),
            (self.inverse, inverse),
            (self.excess, excess),
            (self.excess_gap, c + CELL_SIZE - 1 - excess),
            (self.linear, y),
            (self.linear_remainder, _remainder(product, y, self.grid.linear_shift)),
            (self.quadratic, y2),
            (self.quadratic_remainder, _remainder(y * y, y2, self.grid.quadratic_shift)),
        ]
        return joined([split(owner, value) for owner, value in values])


def _remainder(exact: Integers, rounded: Integers, shift: int) -> Integers:
    """What is left of exact + 2^(shift - 1) beside its quotient."""
    left: Integers = exact + (1 << shift - 1) - (rounded << shift)
    return left
