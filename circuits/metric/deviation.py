"""Logarithm, log ratios, their standard deviation, and which batches say nothing, on Python ints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from zkds.circuits.arithmetic import tables
from zkds.circuits.arithmetic.fixed_point import (
    EXPONENTIAL_BITS,
    LOGARITHM_WIDTH,
    RESULT_FRACTION_BITS,
    Configuration,
    Place,
    require_unsigned,
    round_half_up,
)
from zkds.circuits.metric.batch_loss import BatchLoss


@dataclass(frozen=True)
class LogarithmGrid:
    """How fine a logarithm is: its fractional bits f, and the bits mu of the mantissa M of its argument.

    Tables have 48 fractional bits on either grid. Next to 1, where losses are small, a logarithm is made of Y and Y2 alone.
    """

    bits: int
    mantissa_bits: int

    @property
    def log_of_two(self) -> int:
        """LN2 [f]."""
        return tables.LN2 << self.table_shift

    @property
    def table_shift(self) -> int:
        """From entries of tables to logarithms."""
        return self.bits - tables.TABLE_BITS

    @property
    def fraction_bits(self) -> int:
        """Of M behind its top bit and the 16 of c."""
        return self.mantissa_bits - 17

    @property
    def linear_shift(self) -> int:
        """From M INV - 2^(mu + 31) to Y [f]."""
        return self.mantissa_bits - 1 + tables.INVERSE_BITS - self.bits

    @property
    def linear_width(self) -> int:
        """Y is below 2^(f - 15): M INV - 2^(mu + 31) < 2^(mu + 15) + 2^mu."""
        return self.bits - 15

    @property
    def quadratic_width(self) -> int:
        """Y2 is below 2^(f - 31)."""
        return self.bits - 31

    @property
    def quadratic_shift(self) -> int:
        """From Y^2 to Y2 = Y^2 / 2 [f]."""
        return self.bits + 1


RATIOS = LogarithmGrid(RESULT_FRACTION_BITS, 48)
LOSSES = LogarithmGrid(EXPONENTIAL_BITS, 64)


@dataclass(frozen=True, repr=False)
class Logarithm:
    """log(N) [f] and what it is made of, for 1 <= N < 2^128, on a grid of f and mu.

    exponent     k with 2^127 <= N 2^k < 2^128
    mantissa     M = floor(N 2^k / 2^(128 - mu)), mu bits, the top one set
    cell         c = floor(M / 2^(mu - 17)) - 2^16, 16 bits
    linear       Y = round(M INV[c] - 2^(mu + 31), mu + 31 - f): y = M INV[c] / 2^(mu + 31) - 1 [f], 0 <= y < 2^-15
    quadratic    Y2 = round(Y^2, f + 1): y^2 / 2 [f]
    value        2^(f - 48) ((127 - k) LN2 + LOGT[c]) + Y - Y2 [f]
    """

    exponent: int
    mantissa: int
    cell: int
    linear: int
    quadratic: int
    value: int


def logarithm_steps(argument: int, grid: LogarithmGrid = RATIOS) -> Logarithm:
    """The natural logarithm [f] of an integer 1 <= N < 2^128. Raises ValueError for any other.

    Its error [48] is below (8 + 127 - k) 2^-49: M cuts off less than 2^-47 of N, y - y^2 / 2 misses ln(1 + y) by less than
    y^3 / 3 < 2^-49, the roundings of Y, Y2 and LOGT add 2^-49 each, and LN2 is taken 127 - k times. For N = 2^n (1 + y) with
    y < 2^-16 the logarithm of 1 + y has an error [58] below 2^-58 + y^3 / 3, beside that of n LN2.
    """
    if not 1 <= argument < 1 << LOGARITHM_WIDTH:
        raise ValueError("logarithm: expected an argument in [1, 2^128)")
    exponent = LOGARITHM_WIDTH - argument.bit_length()
    mantissa = argument << exponent >> LOGARITHM_WIDTH - grid.mantissa_bits
    cell = (mantissa >> grid.fraction_bits) - (1 << 16)
    one = 1 << grid.mantissa_bits - 1 + tables.INVERSE_BITS
    linear = round_half_up(mantissa * int(tables.inverses()[cell]) - one, grid.linear_shift)
    quadratic = round_half_up(linear * linear, grid.quadratic_shift)
    coarse = (LOGARITHM_WIDTH - 1 - exponent) * tables.LN2 + int(tables.log_table()[cell])
    return Logarithm(exponent, mantissa, cell, linear, quadratic, (coarse << grid.table_shift) + linear - quadratic)


def logarithm(argument: int, grid: LogarithmGrid = RATIOS) -> int:
    """The natural logarithm [f] of an integer 1 <= N < 2^128."""
    return logarithm_steps(argument, grid).value


def log_ratio(squares: int, loss: BatchLoss, place: Place) -> int:
    """l = log(s^2 / L + eps) but for a constant [48]: log(2^16 V + X) - log(L) - 2 k LN2. Raises Overflow.

    V is of a gradient times 2^k, so s^2 = rho^2 V 2^(-88 - 2k), and L is B 2^58 times the mean loss: the constant is
    log(B rho^2 2^-46), which no standard deviation sees.
    """
    argument = (squares << 16) + loss.eps
    require_unsigned(argument, LOGARITHM_WIDTH, "argument of the logarithm", place)
    return logarithm(argument) - logarithm(loss.counted) - 2 * loss.scale * tables.LN2


def is_saturated(loss: BatchLoss, configuration: Configuration) -> bool:
    """Whether the mean loss of a batch is below 2^-44 nats."""
    return loss.counted < configuration.loss_floor


def is_below_eps(squares: int, loss: BatchLoss) -> bool:
    """Whether s^2 / L < eps: 2^16 V < X, so that eps makes most of the logarithm's argument."""
    return squares << 16 < loss.eps


def deviation(log_ratios: Sequence[int]) -> int:
    """The population standard deviation, rounded down: floor(sqrt(T sum l^2 - (sum l)^2) / T)."""
    steps = len(log_ratios)
    total = sum(log_ratios)
    return isqrt(steps * sum(value * value for value in log_ratios) - total * total) // steps
