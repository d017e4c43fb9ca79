"""What it costs to break the binding of the Ajtai commitments: an estimate, as code.

An attacker needs z != 0 with A z = 0 mod p and |z_j| <= 255. The method is that of CRYSTALS-Dilithium for SIS in the infinity
norm (specification of round 3, appendix C.3): run BKZ with block size b on the kernel lattice of w of A's columns; its first
vector has the length delta^w p^(n/w) and, its coordinates being like independent Gaussians of deviation length / sqrt(w),
fits the bound with a probability P; a sieve gives 2^(0.2075 b) such vectors at once. One run costs 2^(0.292 b) classically
(Becker, Ducas, Gama, Laarhoven, SODA 2016) and 2^(0.265 b) with a quantum computer (Laarhoven 2015), the "core-SVP" count,
which leaves out everything else that an attack costs:

    bits = min over b, w of  c b + max(0, -log2 P - 0.2075 b),   delta = ((pi b)^(1/b) b / (2 pi e))^(1 / (2 (b - 1)))

`euclidean_bits` is a lower bound under weaker assumptions: the cost of reaching the Euclidean length 255 sqrt(w), which a
solution needs but which does not make one. Generalized birthday attacks (Wagner 2002) stay above 2^400 for all lengths.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from zkds.dataset.ajtai import ROWS
from zkds.field import P

CLASSICAL = 0.292
QUANTUM = 0.265
SIEVE_VECTORS = 0.2075
BOUND = 255  # the difference of two bytes
LOG2_P = math.log2(P)

BLOCK_SIZES = range(60, 1200, 4)
WIDTHS = range(600, 3000, 20)  # the minimum lies inside


def log2_delta(block_size: int) -> float:
    """log2 of the root Hermite factor of BKZ (Chen 2013)."""
    b = block_size
    return math.log2((math.pi * b) ** (1 / b) * b / (2 * math.pi * math.e)) / (2 * (b - 1))


def log2_length(block_size: int, width: int, rows: int) -> float:
    """log2 of the length of the first vector, for the kernel of a rows x width matrix over F."""
    return width * log2_delta(block_size) + rows * LOG2_P / width


def binding_bits(exponent: float, rows: int = ROWS, bound: int = BOUND) -> float:
    """Core-SVP bits against an attack on SIS in the infinity norm; exponent CLASSICAL or QUANTUM."""
    return min(exponent * b + max(0.0, -_log2_short(b, w, rows, bound) - SIEVE_VECTORS * b) for b, w in _attacks(rows))


def _attacks(rows: int) -> Iterator[tuple[int, int]]:
    for b in BLOCK_SIZES:
        for w in WIDTHS:
            if log2_length(b, w, rows) < LOG2_P:  # otherwise BKZ finds only the trivial vectors of length p
                yield b, w


def _log2_short(block_size: int, width: int, rows: int, bound: int) -> float:
    """log2 of the probability that all coordinates are at most `bound`."""
    deviation = 2.0 ** log2_length(block_size, width, rows) / math.sqrt(width)
    inside = math.erf((bound + 0.5) / (deviation * math.sqrt(2)))
    return width * math.log2(inside) if inside else -math.inf


def euclidean_bits(exponent: float, rows: int = ROWS, bound: int = BOUND) -> float:
    """Core-SVP bits of the smallest block size that reaches the length bound * sqrt(width)."""
    return min(
        exponent * b for b in BLOCK_SIZES for w in WIDTHS if log2_length(b, w, rows) <= math.log2(bound) + math.log2(w) / 2
    )
