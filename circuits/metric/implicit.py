"""What implicit layers (circuits/operators/implicit.py) contribute to norms, perturbations and updates.

    Q_t = round( sum (d_t^T a_t)^2 )           [88]       of |g|^2; a: patches of the inputs
    V_t = round( sum (w_t o d_t^T a_t)^2 )     [88]       of |w o g|^2
    E^_t = round( kappa_t d_t )                [38]
    D^_u = round( d_(T+u) )                    [38]

Sums of squares are exact and rounded once for every layer.
"""

from __future__ import annotations

import numpy as np

from zkds.circuits.arithmetic.exact import Integers, Rounded, gram
from zkds.circuits.arithmetic.fixed_point import SQUARES_WIDTH, WEIGHT_BITS, Place, require_unsigned
from zkds.circuits.operators.implicit import (
    PERTURBATION_FACTOR,
    ImplicitBits,
    ImplicitWeight,
    OuterProducts,
    rounded,
)
from zkds.native.wide_squares import sum_of_squared_products


def update_factor(gradient: OuterProducts, bits: ImplicitBits, place: Place) -> Rounded:
    """D^ (B, M, Y, X) of a second pass. Raises Overflow."""
    return rounded(gradient.deltas.astype(object), bits.update_shift, bits.update_format, "update factor", place)


def perturbation_factor(kappa: int, gradient: OuterProducts, bits: ImplicitBits, place: Place) -> Rounded:
    """E^ (B, M, Y, X) of a first pass. Raises Overflow."""
    exact: Integers = kappa * gradient.deltas.astype(object)
    return rounded(exact, bits.perturbation_shift, PERTURBATION_FACTOR, "perturbation factor", place)


def gradient_squares(gradient: OuterProducts, bits: ImplicitBits, place: Place) -> tuple[int, int]:
    """Q and its remainder: |d^T a|^2 = sum_(r, s) <d_r, d_s> <a_r, a_s>. Raises Overflow from 2^112 on."""
    exact: Integers = gram(gradient.rows, gradient.rows) * gram(gradient.patches, gradient.patches)
    return _rounded(int(exact.sum()), bits.squares_shift, place)


def scaled_squares(weight: ImplicitWeight, gradient: OuterProducts, place: Place) -> tuple[int, int]:
    """V and its remainder: |w o g|^2, w on its grid [f_w]. Raises Overflow from 2^112 on."""
    bits, start = weight.bits, weight.start.values.reshape(len(weight.start.values), -1)
    nothing = [np.zeros((0, length), dtype=np.int64) for length in start.shape]
    updates, movements = weight.movements if weight.updates else nothing
    factors = (updates, movements), (gradient.rows, np.ascontiguousarray(gradient.patches))
    total = sum_of_squared_products(start, bits.weight_bits - WEIGHT_BITS, *factors)
    return _rounded(total, bits.scaled_squares_shift, place)


def _rounded(total: int, shift: int, place: Place) -> tuple[int, int]:
    """Quotient and remainder."""
    value, remainder = divmod(total + (1 << (shift - 1)), 1 << shift)
    require_unsigned(value, SQUARES_WIDTH, "squared norm", place)
    return value, remainder
