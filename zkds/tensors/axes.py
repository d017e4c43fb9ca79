"""Weights along the axes of a tensor, and the padded index space that sumchecks over a tensor run on.

A claim about a tensor (tensor.py) weighs its entries by a product of one weight vector for each axis. A point of the
multilinear extension is the case w_d = eq(point_d, .) (`EqAxis`); sums over an axis, parts of the pass axis and the rows of a
convolution's window are other vectors (`VectorAxis`). Index bit b of an axis goes with coordinate b of its point, as in
zkds/commit/layout.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.field import ONE, K, block, to_pairs, unblock
from zkds.integers.limb_columns import Points, ones_at
from zkds.multilinear import eq_at, eq_table
from zkds.native import U64
from zkds.native import field as native

LOW_ENTRIES = 256  # of a table of weights that are stored once, to be multiplied by one weight for each run of so many entries


class Axis(ABC):
    """Weights along one axis of a tensor."""

    length: int

    @property
    def bits(self) -> int:
        """The number of coordinates of a point along this axis: ceil(log2 length)."""
        return (self.length - 1).bit_length()

    @abstractmethod
    def vector(self) -> U64:
        """The weights as (length, 2) pairs."""

    def at(self, point: Sequence[K]) -> K:
        """sum_x w(x) eq(point, x) over the real indices."""
        if len(point) != self.bits:
            raise ValueError(f"point: expected {self.bits} coordinates, got {len(point)}")
        return K(*native.k_dot(block(self.vector()), block(unblock(eq_table(point), self.length))).tolist())

    def total(self) -> K:
        """sum_x w(x)."""
        parts = self.vector().T
        low, high = (parts & np.uint64((1 << 32) - 1)).sum(axis=1), (parts >> np.uint64(32)).sum(axis=1)
        return K(*(a + (b << 32) for a, b in zip(low.tolist(), high.tolist(), strict=True)))


@dataclass(frozen=True)
class EqAxis(Axis):
    """w(x) = eq(point, x): the coordinates of a multilinear extension along this axis."""

    length: int
    point: tuple[K, ...]

    def __post_init__(self) -> None:
        if len(self.point) != self.bits:
            raise ValueError(f"point: expected {self.bits} coordinates for {self.length} entries, got {len(self.point)}")

    def vector(self) -> U64:
        return unblock(eq_table(self.point), self.length)

    def at(self, point: Sequence[K]) -> K:
        if self.length == 1 << self.bits:
            return eq_at(self.point, point)
        return super().at(point)

    def total(self) -> K:
        return ones_at(self.length, self.point)


class VectorAxis(Axis):
    """Any weights: (length, 2) pairs."""

    def __init__(self, weights: U64) -> None:
        if weights.ndim != 2 or weights.shape[1] != 2 or weights.dtype != np.uint64:
            raise ValueError(f"weights: expected (length, 2) uint64, got {weights.shape} {weights.dtype}")
        self.length = len(weights)
        self._weights = weights

    @classmethod
    def of(cls, weights: Sequence[K | int]) -> VectorAxis:
        """From a sequence of scalars."""
        return cls(to_pairs(weights))

    def vector(self) -> U64:
        return self._weights


def ones_axis(length: int) -> VectorAxis:
    """The plain sum over an axis."""
    return VectorAxis.of([1] * length)


def eq_axes(shape: Sequence[int], points: Sequence[Sequence[K]]) -> tuple[EqAxis, ...]:
    """The axes of one point of the multilinear extension of a tensor of this shape."""
    return tuple(EqAxis(length, tuple(point)) for length, point in zip(shape, points, strict=True))


def unit_axis(index: int, length: int) -> VectorAxis:
    """The weights of one entry."""
    weights = np.zeros((length, 2), dtype=np.uint64)
    weights[index, 0] = 1
    return VectorAxis(weights)


def axes_table(axes: Sequence[Axis]) -> U64:
    """prod_d w_d(x_d) over the padded index space, the last axis in the lowest bits: blocked, zero outside the real indices."""
    high, low = high_and_low(axes)
    return native.k_matmul(high[:, None], low[None]).reshape(-1, 2, 8)


def high_and_low(axes: Sequence[Axis]) -> tuple[U64, U64]:
    """The products over the first axes, (n, 2) pairs, and over the last ones, some hundreds of entries, blocked."""
    split, size = len(axes), 1
    while split and size < LOW_ENTRIES:
        split -= 1
        size <<= axes[split].bits
    return _axes_pairs(axes[:split]), block(_axes_pairs(axes[split:]))


def _axes_pairs(axes: Sequence[Axis]) -> U64:
    """`axes_table` as pairs, for few entries."""
    table = np.array([[1, 0]], dtype=np.uint64)
    for axis in reversed(axes):
        if axis.length == 1:
            table = unblock(native.k_scale(block(table), axis.vector()[0]), len(table))
            continue
        weights = np.zeros((1 << axis.bits, 1, 2), dtype=np.uint64)
        weights[: axis.length, 0] = axis.vector()
        left = block(np.broadcast_to(weights, (1 << axis.bits, len(table), 2)).reshape(-1, 2))
        right = block(np.broadcast_to(table, (1 << axis.bits, *table.shape)).reshape(-1, 2))
        table = unblock(native.k_mul(left, right), (1 << axis.bits) * len(table))
    return table


def padded(values: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """A tensor over the padded index space, flat, zero outside the real indices."""
    sides = tuple(1 << (length - 1).bit_length() for length in shape)
    if sides == tuple(shape):
        return np.ascontiguousarray(values).reshape(-1)
    result = np.zeros(sides, dtype=values.dtype)
    result[tuple(slice(length) for length in shape)] = values
    return result.reshape(-1)


def variables(shape: Sequence[int]) -> int:
    """The number of index bits of the padded index space."""
    return sum((length - 1).bit_length() for length in shape)


def split_point(shape: Sequence[int], point: Sequence[K]) -> tuple[tuple[K, ...], ...]:
    """A point of the padded index space, cut into the points of the axes."""
    points: list[tuple[K, ...]] = []
    used = 0
    for length in reversed(shape):
        bits = (length - 1).bit_length()
        points.append(tuple(point[used : used + bits]))
        used += bits
    return tuple(reversed(points))


def ones(shape: Sequence[int], points: Points) -> K:
    """The multilinear extension of the tensor that is 1 everywhere within the shape."""
    product = ONE
    for length, point in zip(shape, points, strict=True):
        product = product * ones_at(length, point)
    return product
