"""The tables of sigmoid, tanh, GELU and SiLU, by integer arithmetic alone: the same bits on every machine.

A function has 2^j cells in every unit interval of [-B, B); a cell's row holds, for its middle m,

    value[c]  = round(2^32 f(m))            first[c] = round(2^30 f'(m))
    second[c] = round(2^(16 + j) f''(m))    third[c] = round(-2^8 f'''(m) / 2)

except in the first and the last unit interval, where f is its asymptote: 0, -1 or 1, or the identity, with derivative 0 or 1.

    sigmoid     1 / (1 + exp(-x))                                      j = 10, B = 24
    tanh        2 sigmoid(2 x) - 1                                     j = 11, B = 13
    gelu        x Phi(x), Phi the normal distribution function         j = 11, B = 8
    gelu tanh   x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))           j = 11, B = 8
    silu        x sigmoid(x)                                           j = 10, B = 27

Error. Values are first found as integers in units of 2^-128, each step rounded down, for m > 0; those for -m follow by
symmetry.

- exp(-x), 0 <= x <= 1, by its Taylor series: below 80 units, as in tables.py. Powers of such a value: below 81 units a factor,
  so below 2^22 units for the at most 2^15 cells of a side.
- The normal density by quotients of neighbours, which are powers: below 81 (i + 1) units for quotient i, so below 2^34 units
  for a density, of 2^14 cells. Phi by 13 terms of its Taylor series from each middle to the next, of which the first one left
  out is below one unit: a step is off by less than the density's error times 2^-11 and 2^6 units, all together below 2^38.
- gelu tanh: its argument is below 50 and off by less than 2^10 units; the exponential as a product of powers of exp(-1), of
  exp(-k / 256) and of a series: below 2^14 units.
- sigmoid and its derivatives are polynomials in 1 / (1 + exp(-x)), and the argument of gelu tanh has a derivative below 16; no
  entry is off by more than 2^20 times what the exponentials in it are, nor by more than 2^10 times what a density or Phi is.

So an unrounded value is off by less than 2^52 units = 2^-76, and its rounding is right unless the real value lies within 2^-76
of the middle between two entries; tests/arithmetic/test_smooth_tables.py shows that none is within 2^-60.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import isqrt

import numpy as np

from zkds.integers.limbs import I64

VALUE_BITS = 32  # fractional bits of `value`
FIRST_BITS = 30
SECOND_BITS = 16  # and j more
THIRD_BITS = 8

_BITS = 128  # fractional bits of unrounded values
_ONE = 1 << _BITS
_TERMS = 36  # of an exponential: 1 / 36! < 2^-128 / 2^9
_NORMAL_TERMS = 13

Derivatives = tuple[int, int, int, int]  # f, f', f'', f''' in units of 2^-128


@dataclass(frozen=True)
class SmoothFunction:
    """A function, its cells and its asymptotes.

    bound       B: below -B + 1 and from B - 1 on it is its asymptote
    cell_bits   j
    left        the value on the left
    identity    whether it is x on the right; otherwise 1
    """

    name: str
    bound: int
    cell_bits: int
    left: int = 0
    identity: bool = False

    @property
    def rows(self) -> int:
        """The number of cells."""
        return 2 * self.bound << self.cell_bits

    @property
    def tables(self) -> SmoothTables:
        return _tables(self)


@dataclass(frozen=True, repr=False)
class SmoothTables:
    """The entries of all cells, from the left: (rows,) int64, read-only."""

    value: I64
    first: I64
    second: I64
    third: I64


SIGMOID = SmoothFunction("sigmoid", 24, 10)
TANH = SmoothFunction("tanh", 13, 11, left=-1)
GELU = SmoothFunction("gelu", 8, 11, identity=True)
GELU_TANH = SmoothFunction("gelu tanh", 8, 11, identity=True)
SILU = SmoothFunction("silu", 27, 10, identity=True)
FUNCTIONS = (SIGMOID, TANH, GELU, GELU_TANH, SILU)


@cache
def _tables(function: SmoothFunction) -> SmoothTables:
    bits = (VALUE_BITS, FIRST_BITS, SECOND_BITS + function.cell_bits, THIRD_BITS - 1)  # the last one's entries are halves
    shifts = [_BITS - places for places in bits]
    columns = [
        np.array([value + (1 << shift - 1) >> shift for value in values], dtype=np.int64)
        for values, shift in zip(zip(*unrounded(function), strict=True), shifts, strict=True)
    ]
    columns[3] = -columns[3]  # no entry is a tie
    _asymptotes(function, columns)
    for column in columns:
        column.setflags(write=False)
    return SmoothTables(*columns)


def _asymptotes(function: SmoothFunction, columns: list[I64]) -> None:
    """Replace the first and the last unit interval."""
    cells = 1 << function.cell_bits
    middles = (np.arange(-cells, 0, dtype=np.int64) * 2 + 1 << VALUE_BITS - 1 - function.cell_bits) + (
        function.bound << VALUE_BITS
    )
    for column in columns:
        column[:cells] = column[-cells:] = 0
    columns[0][:cells] = function.left << VALUE_BITS
    columns[0][-cells:] = middles if function.identity else 1 << VALUE_BITS
    columns[1][-cells:] = function.identity << FIRST_BITS


def unrounded(function: SmoothFunction) -> list[Derivatives]:
    """f, f', f'', f''' at the middle of every cell, from the left, in units of 2^-128."""
    right = list(_RIGHT[function.name](function))
    middles = _middles(function)
    if function.identity:  # f(-m) = f(m) - m
        left = [(f - m, _ONE - d1, d2, -d3) for m, (f, d1, d2, d3) in zip(middles, right, strict=True)]
    else:
        total = (1 + function.left) * _ONE
        left = [(total - f, d1, -d2, d3) for f, d1, d2, d3 in right]
    return [*reversed(left), *right]


def _middles(function: SmoothFunction) -> list[int]:
    """Those on the right, exactly."""
    unit = 1 << _BITS - 1 - function.cell_bits
    return [(2 * i + 1) * unit for i in range(function.rows // 2)]


def _sigmoid(function: SmoothFunction) -> Iterator[Derivatives]:
    return map(_logistic, _powers(function, 0))


def _tanh(function: SmoothFunction) -> Iterator[Derivatives]:
    for f, d1, d2, d3 in map(_logistic, _powers(function, 1)):
        yield 2 * f - _ONE, 4 * d1, 8 * d2, 16 * d3


def _silu(function: SmoothFunction) -> Iterator[Derivatives]:
    return map(_times_argument, _middles(function), map(_logistic, _powers(function, 0)))


def _gelu(function: SmoothFunction) -> Iterator[Derivatives]:
    """f = m Phi, f' = Phi + m phi, f'' = (2 - m^2) phi, f''' = (m^3 - 4 m) phi."""
    middles, unit = _middles(function), function.cell_bits
    ratio = _exponential(1, 2 * unit)  # phi(m + h) / phi(m) = exp(-(i + 1) h^2) from cell i on
    ratios = accumulate(range(len(middles) - 2), lambda value, _: value * ratio >> _BITS, initial=ratio)
    root = isqrt(_ONE**3 // (2 * _pi()))  # 1 / sqrt(2 pi)
    first = root * _exponential(1, 2 * unit + 3) >> _BITS
    densities = accumulate(ratios, lambda value, ratio: value * ratio >> _BITS, initial=first)
    phi = (_ONE >> 1) + _normal_step(0, root, unit + 1)
    for m, density in zip(middles, densities, strict=True):
        square = m * m >> _BITS
        yield (
            m * phi >> _BITS,
            phi + (m * density >> _BITS),
            (2 * _ONE - square) * density >> _BITS,
            ((square - 4 * _ONE) * m >> _BITS) * density >> _BITS,
        )
        phi += _normal_step(m, density, unit)


def _normal_step(m: int, density: int, bits: int) -> int:
    """Phi(m + h) - Phi(m) for h = 2^-bits: density h sum_n (-1)^n T_n / (n + 1), T_n = h^n He_n(m) / n!.

    He_(n+1)(m) = m He_n(m) - n He_(n-1)(m) are the Hermite polynomials of the density's derivatives.
    """
    before, term, total = 0, _ONE, 0
    for n in range(_NORMAL_TERMS):
        total += (-term if n % 2 else term) // (n + 1)
        before, term = term, ((m * term >> _BITS + bits) - (before >> 2 * bits)) // (n + 1)
    return density * total >> _BITS + bits


def _gelu_tanh(function: SmoothFunction) -> Iterator[Derivatives]:
    """m S(m), S the logistic function of z = k (m + b m^3)."""
    k = 2 * isqrt(2 * _ONE**3 // _pi())
    for m in _middles(function):
        square = m * m >> _BITS
        cubic = 44715 * square // 10**6  # b m^2
        z = k * (m + (m * cubic >> _BITS)) >> _BITS
        z1 = k * (_ONE + 3 * cubic) >> _BITS
        z2 = k * (6 * 44715 * m // 10**6) >> _BITS
        z3 = 6 * 44715 * k // 10**6
        f, s1, s2, s3 = _logistic(_exponential_of(z))
        square = z1 * z1 >> _BITS
        d1 = s1 * z1 >> _BITS
        d2 = s2 * square + s1 * z2 >> _BITS
        d3 = s3 * (square * z1 >> _BITS) + 3 * s2 * (z1 * z2 >> _BITS) + s1 * z3 >> _BITS
        yield _times_argument(m, (f, d1, d2, d3))


_RIGHT: dict[str, Callable[[SmoothFunction], Iterator[Derivatives]]] = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "gelu": _gelu,
    "gelu tanh": _gelu_tanh,
    "silu": _silu,
}


def _logistic(exponential: int) -> Derivatives:
    """1 / (1 + e) for e = exp(-x), and its derivatives by x: s (1 - s), s' (1 - 2 s), s' (1 - 6 s')."""
    s = _ONE * _ONE // (_ONE + exponential)
    d1 = s * (_ONE - s) >> _BITS
    return s, d1, d1 * (_ONE - 2 * s) >> _BITS, d1 * (_ONE - 6 * d1) >> _BITS


def _times_argument(m: int, derivatives: Derivatives) -> Derivatives:
    """x g(x) and its derivatives at m."""
    g, g1, g2, g3 = derivatives
    return m * g >> _BITS, g + (m * g1 >> _BITS), 2 * g1 + (m * g2 >> _BITS), 3 * g2 + (m * g3 >> _BITS)


def _powers(function: SmoothFunction, doubled: int) -> Iterator[int]:
    """exp(-m 2^doubled) for the middles on the right."""
    step = _exponential(1, function.cell_bits - doubled)
    first = _exponential(1, function.cell_bits + 1 - doubled)
    return accumulate(range(function.rows // 2 - 1), lambda value, _: value * step >> _BITS, initial=first)


@cache
def _whole_and_parts() -> tuple[list[int], list[int]]:
    """exp(-k), k < 64; exp(-k / 256), k < 256."""
    step = _exponential(1, 0)
    return (
        list(accumulate(range(63), lambda value, _: value * step >> _BITS, initial=_ONE)),
        [_exponential(k, 8) for k in range(256)],
    )


def _exponential_of(x: int) -> int:
    """exp(-x) for 0 <= x < 64 in units of 2^-128."""
    whole, parts = _whole_and_parts()
    product = whole[x >> _BITS] * parts[x >> _BITS - 8 & 255] >> _BITS
    return product * _exponential(x & (_ONE >> 8) - 1, _BITS) >> _BITS


def _exponential(numerator: int, shift: int) -> int:
    """exp(-x) for 0 <= x = numerator / 2^shift <= 1."""
    total, term = _ONE, _ONE
    for n in range(1, _TERMS):
        term = (term * numerator >> shift) // n
        if not term:
            break
        total += -term if n % 2 else term
    return total


def _pi() -> int:
    """pi in units of 2^-128, within 100 units: 16 arctan(1/5) - 4 arctan(1/239)."""
    return 16 * _arctan_of_inverse(5) - 4 * _arctan_of_inverse(239)


def _arctan_of_inverse(n: int) -> int:
    total, power, k = 0, _ONE // n, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power, k = power // (n * n), k + 2
    return total
