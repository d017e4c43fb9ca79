"""Logarithm, log ratios, their standard deviation, and which batches say nothing, on Python ints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from zkds.circuits.arithmetic import tables
from zkds.circuits.arithmetic.fixed_point import LOGARITHM_WIDTH, Configuration, Place, require_unsigned, round_half_up


@dataclass(frozen=True, repr=False)
class Logarithm:
    """log(N) and what it is made of, for 1 <= N < 2^128.

    exponent     k with 2^127 <= N 2^k < 2^128
    mantissa     M = floor(N 2^k / 2^80), 48 bits, the top one set
    cell         c = floor(M / 2^31) - 2^16, 16 bits
    linear       Y = round(M INV[c] - 2^79, 31): y = M INV[c] / 2^79 - 1 [48], 0 <= y < 2^-15
    quadratic    Y2 = round(Y^2, 49): y^2 / 2 [48]
    value        (127 - k) LN2 + LOGT[c] + Y - Y2 [48]
    """

    exponent: int
    mantissa: int
    cell: int
    linear: int
    quadratic: int
    value: int


def logarithm_steps(argument: int) -> Logarithm:
    """The natural logarithm [48] of an integer 1 <= N < 2^128. Raises ValueError for any other.

    Its error is below (8 + 127 - k) 2^-49: M cuts off less than 2^-47 of N, y - y^2 / 2 misses ln(1 + y) by less than
    y^3 / 3 < 2^-49, the roundings of Y, Y2 and LOGT add 2^-49 each, and LN2 is taken 127 - k times.
    """
    if not 1 <= argument < 1 << LOGARITHM_WIDTH:
        raise ValueError("logarithm: expected an argument in [1, 2^128)")
    exponent = LOGARITHM_WIDTH - argument.bit_length()
    mantissa = argument << exponent >> 80
    cell = (mantissa >> 31) - (1 << 16)
    linear = round_half_up(mantissa * int(tables.inverses()[cell]) - (1 << 79), 31)
    quadratic = round_half_up(linear * linear, 49)
    value = (LOGARITHM_WIDTH - 1 - exponent) * tables.LN2 + int(tables.log_table()[cell]) + linear - quadratic
    return Logarithm(exponent, mantissa, cell, linear, quadratic, value)


def logarithm(argument: int) -> int:
    """The natural logarithm [48] of an integer 1 <= N < 2^128."""
    return logarithm_steps(argument).value


def log_ratio(squares: int, loss_sum: int, configuration: Configuration, place: Place) -> int:
    """l = log(s^2 / L + eps) but for a constant [48]: log(2^16 V + eps_int L) - log(L), L = max(Lsum, 1). Raises Overflow.

    s^2 / L = rho^2 V 2^-88 / (L 2^-48 / B): the constant is log(B rho^2 2^-56), which no standard deviation sees.
    """
    loss = max(loss_sum, 1)
    argument = (squares << 16) + configuration.eps_int * loss
    require_unsigned(argument, LOGARITHM_WIDTH, "argument of the logarithm", place)
    return logarithm(argument) - logarithm(loss)


def is_saturated(loss_sum: int, configuration: Configuration) -> bool:
    """Whether the mean loss of a batch is below 2^-32 nats."""
    return loss_sum < configuration.loss_floor


def is_below_eps(squares: int, loss_sum: int, configuration: Configuration) -> bool:
    """Whether s^2 / L < eps: 2^16 V < eps_int L, L = max(Lsum, 1), so that eps makes most of the logarithm's argument."""
    return squares << 16 < configuration.eps_int * max(loss_sum, 1)


def deviation(log_ratios: Sequence[int]) -> int:
    """The population standard deviation, rounded down: floor(sqrt(T sum l^2 - (sum l)^2) / T)."""
    steps = len(log_ratios)
    total = sum(log_ratios)
    return isqrt(steps * sum(value * value for value in log_ratios) - total * total) // steps
