"""The loss of a batch, and the power of two that its deltas are multiplied with (docs/fixed-point.md, "Loss scale").

L = max(sum of the losses, 1)                            [58]
k = the largest number up to 40 with 2^k L < 2^c, 0 if there is none
X = round(eps_int 2^(2k) L, 10)                          eps beside 2^16 V, the squares of a gradient times 2^k
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkds.circuits.arithmetic.fixed_point import (
    LOSS_WIDTH,
    MAX_LOSS_SCALE,
    Configuration,
    Place,
    require_unsigned,
    round_half_up,
)

EPS_SHIFT = 10  # eps_int is of losses with 48 fractional bits


@dataclass(frozen=True, repr=False)
class BatchLoss:
    """Lsum [58], L [58], k and X of one batch."""

    total: int
    counted: int
    scale: int
    eps: int


def batch_loss(losses: Sequence[int], configuration: Configuration, place: Place) -> BatchLoss:
    """From the losses [58] of its records. Raises Overflow for a sum from 4096 on."""
    total = sum(losses)
    require_unsigned(total, LOSS_WIDTH, "sum of the losses", place)
    counted = max(total, 1)
    scale = min(max(configuration.loss_target - counted.bit_length(), 0), MAX_LOSS_SCALE)
    return BatchLoss(total, counted, scale, round_half_up(configuration.eps_int * counted << 2 * scale, EPS_SHIFT))
