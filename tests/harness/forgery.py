"""What a cheating prover of blocks of identities commits: the carries that come closest to what false identities would need."""

from __future__ import annotations

import numpy as np

from tests.harness.carries import low_sums
from zkds.tensors.tensor import ColumnReader


def forged_carries(blocks, columns):
    """The columns with the carries of all blocks, computed as if every identity held and cut off at their formats' ends."""
    reader = ColumnReader(columns)
    found = dict(columns)
    for block in blocks:
        for identity, plan, carries in zip(block.identities, block.plans, block.carries, strict=True):
            sums = low_sums(identity, reader, plan.low_digits)
            first, incoming = 0, np.zeros(identity.shape, dtype=np.int64)
            for size, carry in zip(plan.groups, carries, strict=True):
                group = incoming + sum(sums[first + i] << np.int64(16 * i) for i in range(size))
                incoming = np.clip(group >> np.int64(16 * size), carry.interval.low, carry.interval.high)
                found |= carry.columns.split(incoming)
                first += size
    return found
