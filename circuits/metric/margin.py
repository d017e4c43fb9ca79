"""The margin of a record: its largest logit less the second largest of its logits, whichever its label is.

Multiplying the last layer by a gain multiplies it, and it bounds the loss: no record's is below log(1 + exp(-margin)). So it
shows single records whose loss is next to nothing in a batch whose mean loss looks ordinary. docs/fixed-point.md says why this
difference, and why it is published in whole nats.
"""

from __future__ import annotations

import numpy as np

from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, CONVOLUTION
from zkds.integers.limbs import I64

MAX_MARGIN = 1 << CONVOLUTION.width - ACTIVATION_BITS  # nats: the difference of two logits is below it


def margins(distances: I64) -> I64:
    """The margin of every record [32], from the distances of its scores to their maximum (.., K) [32]: the second least."""
    found: I64 = np.partition(distances, 1, axis=-1)[..., 1]
    return found


def largest_margin(distances: I64) -> int:
    """The largest margin in nats, rounded up; distances as in `margins`."""
    return -(-int(margins(distances).max()) >> ACTIVATION_BITS)
