"""The sums of a layer whose weight is implicit (circuits/operators/implicit.py): what w_0 gives, and corrections.

    z_p  = round( sum_i w_0 a_p  - sum_(u < t) G_(p,u) D^_u  + H_t E^_t  + 2^ib bias )
    dx_p = round( sum_o d_p w_0  - sum_(u < t) K_(p,u) a_(T+u)  + L_t a_t )

for a pass p of step t; H and L in second passes only. a stands for the patches of the inputs (exact.py), a row for every record
and every position of the output, z and dx likewise; where patches overlap, dx is the sum of what they have. With rows r of
pass p and s of the pass that left a factor,

    G_(p,u)[r, s] = round(<a_p[r], a_(T+u)[s]>)          H_t[r, s] = round(<a_(T+t)[r], a_t[s]>)          [30]
    K_(p,u)[r, s] = round(<d_p[r], D^_u[s]>)             L_t[r, s] = round(<d_(T+t)[r], E^_t[s]>)

and every product brought to one binary point (`ImplicitBits`).

If updates are rounded, w_0 is w_t, and there is no G and no K.

Nothing wraps: exact products hold sums of up to 113 bits of factors of up to 51, and at the common binary point what w_0 gives,
and what all corrections give together, is an `Overflow` from 2^92 on. So the two, a bias below 2^43 2^ib and half a unit are
below the 2^94 of a `Wide`.
"""

from __future__ import annotations

import numpy as np

from zkds.circuits.arithmetic.exact import Operand, Rounded, Wide, gram, matrix_product
from zkds.circuits.arithmetic.fixed_point import Place
from zkds.circuits.operators.convolution.exact import Window, input_gradient
from zkds.circuits.operators.implicit import (
    PRODUCTS,
    ImplicitWeight,
    PassProducts,
    output_rows,
    require_wide,
    rounded,
)
from zkds.integers.limbs import I64

SUM_BITS = 92


def forward_sum(start: Wide, weight: ImplicitWeight, patches: I64, place: Place) -> tuple[Wide, PassProducts]:
    """All of z but its bias (B, M, Y, X), with 40 + ib fractional bits, and G and H.

    start: sum_i w_0 a (B, M, Y, X); patches: a (R, N) [ib]. Raises Overflow.
    """
    bits = weight.bits
    total = _shifted(start, 0, "convolution", place)
    if not weight.moved:
        return total, PassProducts()
    rows, moving = weight.movements
    products = _products(patches, moving, bits.input_products_shift, "input products", place)
    moved = _as_outputs(matrix_product(_signed(weight, products), rows), start.words[0].shape)
    moved = _shifted(moved, bits.forward_exponent, "movement of the convolution", place)
    return total + moved, _by_kind(weight, "input products", products)


def input_gradient_sum(
    start: Wide, weight: ImplicitWeight, deltas: I64, window: Window, place: Place
) -> tuple[Wide, PassProducts]:
    """All of dx (B, C, H, W), with e + db + F fractional bits, and K and L.

    start: sum_o d w_0 (B, C, H, W); deltas: d (B, M, Y, X) [e + db]. Raises Overflow.
    """
    bits, (batch, _, *positions) = weight.bits, deltas.shape
    size = start.words[0].shape[2:]
    total = _shifted(start, bits.weight_exponent, "input delta", place)
    if not weight.moved:
        return total, PassProducts()
    rows, moving = weight.movements
    products = _products(output_rows(deltas), rows, bits.delta_products_shift, "delta products", place)
    by_row = _signed(weight, products).reshape(batch, *positions, -1)
    kernels = Operand.of(moving.reshape(len(moving), -1, *window.kernel))
    moved = input_gradient(kernels, Operand.of(np.moveaxis(by_row, -1, 1)), window, size)
    moved = _shifted(moved, bits.backward_exponent, "movement of the input delta", place)
    return total + moved, _by_kind(weight, "delta products", products)


def _products(own: I64, factors: I64, shift: int, tensor: str, place: Place) -> Rounded:
    """(n, R, R): inner products of the pass's rows (R, ..) with n R others, a matrix [own row, other] for each of the n."""
    rows = len(own)
    exact = gram(own, factors).reshape(rows, -1, rows).swapaxes(0, 1)
    return rounded(exact, shift, PRODUCTS, tensor, place)


def _signed(weight: ImplicitWeight, products: Rounded) -> I64:
    """(R, n R): the weights of n R rows in each of the pass's, those of updates negative."""
    signs = np.where(np.arange(len(products.value)) < len(weight.updates), -1, 1)
    signed: I64 = products.value * signs[:, None, None]
    return signed.swapaxes(0, 1).reshape(signed.shape[1], -1)


def _as_outputs(rows: Wide, shape: tuple[int, ...]) -> Wide:
    """(B Y X, M) -> (B, M, Y, X)."""
    batch, channels, *positions = shape
    hi, lo = (np.moveaxis(part.reshape(batch, *positions, channels), -1, 1) for part in rows.words)
    return Wide(hi, lo)


def _by_kind(weight: ImplicitWeight, word: str, products: Rounded) -> PassProducts:
    """Of updates, and of the perturbation."""
    steps = len(weight.updates)
    pairs = {word: Rounded(products.value[:steps], products.remainder[:steps])} if steps else {}
    if weight.perturbation is None:
        return PassProducts(pairs)
    return PassProducts(pairs, {f"perturbed {word}": Rounded(products.value[steps:], products.remainder[steps:])})


def _shifted(total: Wide, shift: int, tensor: str, place: Place) -> Wide:
    """2^shift times as much. Raises Overflow from 2^92 on, in absolute value."""
    require_wide(total, SUM_BITS - shift, tensor, place)
    return total.shifted(shift)
