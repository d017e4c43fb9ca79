"""Softmax cross-entropy: exponentials by three tables, the loss by one logarithm, deltas by one exact division.

The products here exceed 95 bits and there are few of them (a score for each class and record): arrays of Python ints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic import tables
from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, EXPONENTIAL_BITS
from zkds.circuits.metric.deviation import LOSSES, logarithm
from zkds.integers.limbs import I64

Integers = NDArray[np.object_]

FACTOR_BITS = tables.TABLE_BITS  # fractional bits of what an exponential is multiplied with twice
LOG_ONE = EXPONENTIAL_BITS * LOSSES.log_of_two  # logarithm(2^58, LOSSES): that of the number 1
DISTANCE_SHIFT = EXPONENTIAL_BITS - ACTIVATION_BITS  # from the distance of two scores to a loss


@dataclass(frozen=True, repr=False)
class Softmax:
    """Of one batch; shapes as in Trajectory, without the pass axis."""

    maximum: I64
    distance: I64
    exponential_product: I64
    exponential_product_remainder: I64
    exponential: I64
    exponential_remainder: I64
    exponential_sum: Integers


@dataclass(frozen=True, repr=False)
class LogitDelta:
    """(B, K): the quotient (int64), and the remainder (Python ints) in [0, 2 B sum)."""

    logit_delta: I64
    logit_delta_remainder: Integers


def softmax(logits: I64) -> Softmax:
    """exp(z_i - max z) [58] and their sum, for logits (B, K) [32] of the format CONVOLUTION: the distance has 41 bits."""
    maximum = logits.argmax(axis=1)
    distance = np.take_along_axis(logits, maximum[:, None], axis=1) - logits
    whole, high, low = distance >> np.int64(32), (distance >> np.int64(16)) & np.int64(0xFFFF), distance & np.int64(0xFFFF)
    product, product_remainder = _rounded_product(tables.exp_int()[whole], tables.exp_hi()[high])
    exponential, remainder = _rounded_product(product, tables.exp_lo()[low])
    total = exponential.astype(object).sum(axis=1)
    return Softmax(maximum, distance, product, product_remainder, exponential, remainder, total)


def _rounded_product(left: I64, right: I64) -> tuple[I64, I64]:
    """round(left right, 48) and its remainder, for factors in [0, 2^58] and [0, 2^48]."""
    shifted = left.astype(object) * right + (1 << (FACTOR_BITS - 1))
    return (shifted >> FACTOR_BITS).astype(np.int64), (shifted & ((1 << FACTOR_BITS) - 1)).astype(np.int64)


def losses(result: Softmax, labels: I64) -> list[int]:
    """log(sum) + max z - z_label of each record [58]. Never negative: logarithm(sum) >= logarithm(2^58)."""
    distances = np.take_along_axis(result.distance, labels[:, None], axis=1)[:, 0]
    return [
        logarithm(total, LOSSES) - LOG_ONE + (distance << DISTANCE_SHIFT)
        for total, distance in zip(result.exponential_sum.tolist(), distances.tolist(), strict=True)
    ]


def logit_delta(result: Softmax, labels: I64, scale: int) -> LogitDelta:
    """scale (softmax - one-hot label) / B to the nearest integer, halves up: (B, K)."""
    batch_size, classes = result.exponential.shape
    totals = result.exponential_sum[:, None]
    target = (np.arange(classes) == labels[:, None]).astype(object)
    numerator = 2 * scale * (result.exponential - target * totals) + batch_size * totals
    denominator = 2 * batch_size * totals
    return LogitDelta((numerator // denominator).astype(np.int64), numerator % denominator)
