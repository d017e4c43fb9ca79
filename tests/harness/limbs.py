"""Values from their limbs, which only tests ask for."""

import numpy as np

from zkds.tensors.tensor import ColumnReader


def join(number, limbs):
    """The int64 values of a LimbFormat from their limbs: the inverse of its `split`."""
    total = np.full(limbs[0].shape, -number.offset, dtype=np.int64)
    for j, limb in enumerate(limbs):
        total += limb.astype(np.int64) << np.int64(j * number.limb_bits)
    return total


def completed(columns, *components):
    """Columns with what components derive, each from all before it."""
    reader = ColumnReader(columns)
    for component in components:
        reader.add(component.witness(reader))
    return reader.columns
