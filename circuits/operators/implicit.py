"""Weights whose movements are never stored: large layers with few outputs (docs/fixed-point.md, "Implicit layers").

The gradient of a layer's weight is d^T a, a product of two matrices with a row for every record of the batch and every position
of the output: of a dense layer the records, of a convolution of small images some hundred rows. So are updates and
perturbations by SAM, unless they are rounded entry by entry. Here the small matrices are rounded,

    D^_u = round(d_(T+u) / 2^(e_2 - 38 + db))       (R, M) [38]      from the second pass of step u
    E^_t = round(kappa_t d_t / 2^(34 + db))         (R, M) [38]      from the first pass of step t

and U_u = D^_u^T a_(T+u) and E_t = E^_t^T a_t are exact, as is the gradient g_t = d_t^T a_t. d: deltas of the layer's outputs,
a: the patches of its inputs (R, N), what the kernel meets at each position; db and ib: their fractional bits as `Placed` counts
them (`delta_bits`, `input_bits`). Where sums of squares of w_t o g_t have no room for updates of many rows, U_u is rounded to
the grid of weights, and w_t is a matrix of its own in every step; E_t and g_t are what they are. This module says which weights
are implicit, all formats and shifts, and what such a weight is; circuits/operators/convolution/implicit.py computes with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from zkds.circuits.arithmetic.exact import WORD_BITS, Integers, Operand, Rounded, Wide, matrix_product, round_integers
from zkds.circuits.arithmetic.fixed_point import (
    ACTIVATION_BITS,
    DELTA,
    GRADIENT_BITS,
    KAPPA_BITS,
    LIMB_BITS,
    WEIGHT,
    WEIGHT_BITS,
    Configuration,
    Overflow,
    Place,
    exact_sums,
    require_format,
)
from zkds.integers.limbs import I64, LimbFormat, WitnessOverflow, require_fit

MIN_WEIGHTS = 1 << 16  # of a layer whose weight is implicit
MAX_ROWS = 128  # R

MAX_BATCH = 8  # records, sharpness ASAM, exact updates: the sums of (w g)^2 take the fourth power of it in cells
MAX_UPDATES = 32  # rows of all updates' factors together, B (T - 1), likewise
WEIGHTS_AN_ENTRY = 8  # at least, rounded updates, for every entry of a batch's inputs and outputs, whose digits are committed
MAX_PRODUCTS = 1 << 15  # likewise, in a sum, times the numbers that an input is the sum of: digits of w_t have up to 27 bits

MAX_MOVEMENT = 512  # sharpness SAM: rows of all updates' factors together, R (T - 1)
WEIGHTS_A_PRODUCT = 4  # at least, for every product of a row with one of the updates'

PERTURBATION_FACTOR = LimbFormat(LIMB_BITS, 44, signed=True)  # E^
PRODUCTS = LimbFormat(LIMB_BITS, 50, signed=True)  # G, H, K, L

BASE = 3  # of the digits of a, d and D^ in sums of squares
START_BASE = BASE**4  # of those of w_0; 7 digits of 6.3 bits are fewer cells, with those of the sums, than 6 of 7.9 bits
WEIGHT_STRIDES = ((32, 7), (64, 6), (MAX_ROWS, 5))  # up to so many rows: digits of w_t have the base BASE^stride; likewise
UPDATE = LimbFormat(LIMB_BITS, WEIGHT.width + 1, signed=True)  # the difference of two weights

FACTOR_BITS = 38  # fractional bits of D^ and E^
INPUT_PRODUCTS_BITS = 30  # of G and H
DELTA_PRODUCTS_BITS = 4  # of K and L, beyond those of the scores' deltas
SQUARES_BITS = 2 * GRADIENT_BITS  # fractional bits of sums of squares


class Movement(Enum):
    """By what an implicit weight moves from step to step."""

    EXACT = "products of small matrices"
    ROUNDED = "these, rounded to the grid of weights: w_t is a matrix of its own in every step"


def movement_of(
    shape: Sequence[int], positions: int, entries: int, input_bits: int, dense: bool, configuration: Configuration
) -> Movement | None:
    """Whether a layer is implicit: a fixed public rule of sizes, no search for what is cheaper.

    shape       of the weight, (M, C, *kernel)
    positions   of an output
    entries     of a record's input and output together
    input_bits  fractional bits of the inputs
    dense       whether there is one position, at which the kernel is the whole input
    None for an explicit layer.
    """
    weights = math.prod(shape)
    rows = configuration.batch_size * positions
    moving = rows * (configuration.steps - 1)
    if configuration.perturbation != "SAM" or weights < MIN_WEIGHTS or rows > MAX_ROWS:
        return None
    if configuration.sharpness == "ASAM":
        if dense and rows <= MAX_BATCH and moving <= MAX_UPDATES:
            return Movement.EXACT
        narrow = weights << input_bits - ACTIVATION_BITS <= MAX_PRODUCTS * min(shape[:2])
        return Movement.ROUNDED if narrow and weights >= WEIGHTS_AN_ENTRY * configuration.batch_size * entries else None
    return Movement.EXACT if moving <= MAX_MOVEMENT and weights >= WEIGHTS_A_PRODUCT * rows * moving else None


def weight_base(rows: int) -> int:
    """Of the digits of w_t, if updates are rounded. Raises ValueError for more than MAX_ROWS rows."""
    for most, stride in WEIGHT_STRIDES:
        if rows <= most:
            return int(BASE**stride)
    raise ValueError(f"rows: expected at most {MAX_ROWS}, got {rows}")


def pairs(steps: int) -> list[tuple[int, int]]:
    """(p, u) of every pass p and every step u before that of p, in the order in which their products are stacked."""
    return [(p, u) for p in range(2 * steps - 1) for u in range(_earlier(steps, p))]


def pairs_of_pass(steps: int, pass_index: int) -> slice:
    """Where `pairs` has those of one pass."""
    start = sum(_earlier(steps, p) for p in range(pass_index))
    return slice(start, start + _earlier(steps, pass_index))


def _earlier(steps: int, pass_index: int) -> int:
    return pass_index if pass_index < steps else pass_index - steps


def rounded(values: Integers, shift: int, number: LimbFormat, tensor: str, place: Place) -> Rounded:
    """Python ints to the nearest multiple of 2^shift, halves up. Raises Overflow for a quotient outside the format."""
    quotient, remainder = round_integers(values, shift)
    low, high = number.interval.low, number.interval.high
    try:
        require_fit(tensor, (quotient >= low) & (quotient <= high), number.width)
    except WitnessOverflow as error:
        raise Overflow(tensor, place, error.index, error.width) from None
    return Rounded(quotient.astype(np.int64), remainder.astype(np.int64))


def require_wide(values: Wide, bits: int, tensor: str, place: Place) -> None:
    """Raise Overflow unless all are from -2^bits to 2^bits - 1, for bits >= 32."""
    limit, (hi, _) = np.int64(1 << (bits - WORD_BITS)), values.words
    try:
        require_fit(tensor, (hi >= -limit) & (hi < limit), bits + 1)
    except WitnessOverflow as error:
        raise Overflow(tensor, place, error.index, error.width) from None


@dataclass(frozen=True)
class ImplicitBits:
    """The sizes and binary points of an implicit weight's values, and what brings sums of products to common ones.

    input_bits    ib: fractional bits of the layer's inputs a
    delta_bits    db: by how many fractional bits the deltas d of its outputs exceed those of the scores
    second_bits   e_2, of the scores' deltas in second passes
    positions     (Y, X), of an output
    movement      of the weight
    """

    input_bits: int
    delta_bits: int
    second_bits: int
    positions: tuple[int, ...] = (1, 1)
    movement: Movement = Movement.EXACT

    # ---- factors ----

    @property
    def update_format(self) -> LimbFormat:
        """Of D^ [38]: as far as deltas reach, 4 times the learning rate at least. 28 bits for a learning rate of 1e-4."""
        return LimbFormat(LIMB_BITS, DELTA.width + FACTOR_BITS - self.second_bits, signed=True)

    @property
    def update_shift(self) -> int:
        """From a delta of a second pass to D^."""
        return self.second_bits - FACTOR_BITS + self.delta_bits

    @property
    def perturbation_shift(self) -> int:
        """From kappa [28] times a delta of a first pass to E^."""
        return KAPPA_BITS + GRADIENT_BITS - FACTOR_BITS + self.delta_bits

    @property
    def rounding_shift(self) -> int:
        """From D^^T a [38 + ib] to U [40], if updates are rounded."""
        return FACTOR_BITS + self.input_bits - WEIGHT_BITS

    # ---- their products with what a pass sees ----

    @property
    def input_products_shift(self) -> int:
        """From inner products of inputs to G and H [30]."""
        return 2 * self.input_bits - INPUT_PRODUCTS_BITS

    @property
    def delta_products_shift(self) -> int:
        """From inner products of d and D^ or E^ to K and L [e + 4], e = 44 or e_2."""
        return FACTOR_BITS - DELTA_PRODUCTS_BITS + self.delta_bits

    # ---- z, whose terms are brought to 40 + ib fractional bits ----

    @property
    def forward_exponent(self) -> int:
        """Of G D^ and H E^ [68] in z."""
        return WEIGHT_BITS + self.input_bits - INPUT_PRODUCTS_BITS - FACTOR_BITS

    @property
    def forward_shift(self) -> int:
        """From there to z [32]."""
        return WEIGHT_BITS + self.input_bits - ACTIVATION_BITS

    # ---- dx [e], whose terms are brought to e + db + F fractional bits ----

    @property
    def _common_bits(self) -> int:
        """F."""
        return max(WEIGHT_BITS, DELTA_PRODUCTS_BITS + self.input_bits)

    @property
    def weight_exponent(self) -> int:
        """Of d w_0 [e + db + 40] in dx."""
        return self._common_bits - WEIGHT_BITS

    @property
    def backward_exponent(self) -> int:
        """Of K a and L a [e + 4 + ib] in dx."""
        return self._common_bits + self.delta_bits - DELTA_PRODUCTS_BITS - self.input_bits

    @property
    def input_gradient_shift(self) -> int:
        """From there to dx."""
        return self._common_bits + self.delta_bits

    # ---- squares ----

    @property
    def weight_bits(self) -> int:
        """f_w, of w_t exactly. Those of exact U, as of E, are more than the 40 of w_0, since ib is at least 32."""
        return FACTOR_BITS + self.input_bits if self.movement is Movement.EXACT else WEIGHT_BITS

    @property
    def gradient_bits(self) -> int:
        """Of g_t, exactly."""
        return GRADIENT_BITS + self.delta_bits + self.input_bits

    @property
    def squares_shift(self) -> int:
        """From sum g^2 to Q_t [88]."""
        return 2 * self.gradient_bits - SQUARES_BITS

    @property
    def scaled_squares_shift(self) -> int:
        """From sum (w_t g)^2 to V_t [88]."""
        return 2 * (self.weight_bits + self.gradient_bits) - SQUARES_BITS


@dataclass(frozen=True, repr=False)
class OuterProducts:
    """The matrix sum_r left_r right_r^T (M, N), as its factors, int64; a row for every record and position.

    deltas    (B, M, Y, X), as outputs lie
    patches   (R, N)
    """

    deltas: I64
    patches: I64

    @property
    def rows(self) -> I64:
        """The left factor (R, M)."""
        return output_rows(self.deltas)


def output_rows(values: I64) -> I64:
    """(B, M, Y, X) -> (B Y X, M)."""
    return np.ascontiguousarray(np.moveaxis(values, 1, -1)).reshape(-1, values.shape[1])


@dataclass(frozen=True, repr=False)
class PassProducts:
    """Inner products of what a pass sees with what earlier ones left, rounded, by the last words of their tensors' names.

    pairs       (t, R, R), of the steps before the pass's; none in passes of the first step
    perturbed   (1, R, R), of the first pass of the same step; none in a first pass
    """

    pairs: Mapping[str, Rounded] = field(default_factory=dict)
    perturbed: Mapping[str, Rounded] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class ImplicitWeight:
    """The weight of an implicit layer in one pass: w_0 - sum_u D^_u^T a_u + E^^T a, of which only the parts exist.

    start          w_0 (M, C, H, W) [40], as a factor of exact products; w_t, if updates are rounded
    updates        D^_u [38] and a_(T+u) [ib], for all steps u before the pass's; none, if they are rounded
    perturbation   E^_t [38] and a_t [ib], in a second pass
    """

    bits: ImplicitBits
    start: Operand
    updates: Sequence[OuterProducts] = ()
    perturbation: OuterProducts | None = None

    def updated(self, update: OuterProducts) -> ImplicitWeight:
        """w_(t+1)."""
        return replace(self, updates=(*self.updates, update))

    def rounded(self, update: OuterProducts, place: Place) -> tuple[ImplicitWeight, I64]:
        """w_(t+1) = w_t - round(D^^T a) [40], and the remainders of the rounding, of the weight's shape. Raises Overflow."""
        with exact_sums(place):
            exact = matrix_product(np.ascontiguousarray(update.rows.T), update.patches)
        found, remainder = (part.reshape(self.start.values.shape) for part in exact.round(self.bits.rounding_shift))
        require_format(found, UPDATE, "update", place)
        moved = self.start.values - found
        require_format(moved, WEIGHT, "weight", place)
        return replace(self, start=Operand.of(moved)), remainder

    def perturbed(self, perturbation: OuterProducts) -> ImplicitWeight:
        """w_t + E_t."""
        return replace(self, perturbation=perturbation)

    @property
    def moved(self) -> bool:
        """Whether it is not w_0."""
        return bool(self.updates) or self.perturbation is not None

    @property
    def movements(self) -> tuple[I64, I64]:
        """The rows of all updates, then of the perturbation: (n R, M) and (n R, N). At least one must be there."""
        parts = [*self.updates, *([] if self.perturbation is None else [self.perturbation])]
        return np.concatenate([part.rows for part in parts]), np.concatenate([part.patches for part in parts])
