"""Tables of field elements from arrays of integers."""

import numpy as np
import pytest

from zkds.field import P
from zkds.native import field
from zkds.tensors.field_tables import field_table, flat_tables


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 7, 3, 3), (1, 1, 1), (2, 16, 8), (3, 5, 1, 70, 200)], ids=str)
def test_flat_tables(shape):
    """Every axis but the first padded; integers of any sign, strides and broadcasting; zeros up to a whole vector."""
    integers = np.random.default_rng(1).integers(1 - P, P, size=shape)
    sides = (shape[0], *(1 << (length - 1).bit_length() for length in shape[1:]))
    for given in (integers, np.asfortranarray(integers), integers[:1], integers[..., :1], integers[..., ::-1]):
        expected = np.zeros(sides, dtype=np.uint64)
        expected[tuple(slice(length) for length in shape)] = np.where(given < 0, given + P, given)
        (table,) = flat_tables([given], shape)
        np.testing.assert_array_equal(table[: expected.size], expected.reshape(-1))
        assert len(table) == -(-expected.size // 8) * 8 and not table[expected.size :].any()
        if given.shape == shape:  # a sumcheck takes no entry beyond its index space
            np.testing.assert_array_equal(field_table(given), expected.reshape(-1))


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"sides: expected \(3, 5\) or more, and at most 15 entries, got \(3, 8\)"):
        field.f_table(np.zeros((3, 5), dtype=np.int64), (3, 8), np.zeros(15, dtype=np.uint64))
    with pytest.raises(ValueError, match="integers: expected int64 of 1 dimensions, got int32"):
        field.f_table(np.zeros(3, dtype=np.int32), (3,), np.zeros(3, dtype=np.uint64))
