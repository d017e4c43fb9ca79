"""Products of a factor of every channel with a tensor's entries, and sums of products channel by channel.

ChannelProducts    factor_p[o] values[p, b, o, y, x]                                for every entry
ChannelSums        sum_(b, y, x) left[p, b, o, y, x] right[p, b, o, y, x]           for every pass and channel
ConstantProducts   values_n[o] constant[o]                                          for every n and channel
PerChannel         constant[o] in every pass, record and position: linear
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.circuits.operators.convolution.sums import place
from zkds.claims import Value
from zkds.field import ONE, ZERO, K, block, unblock
from zkds.identities.expressions import product_axis
from zkds.identities.low_digits import LowDigits
from zkds.identities.products import Products
from zkds.integers.limb_columns import Points
from zkds.integers.limbs import I64
from zkds.native import U64
from zkds.native import field as native
from zkds.tensors.axes import Axis, eq_axes
from zkds.tensors.contraction import canonical, multiply, outer_product, weigh
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Reader, Tensor, TensorClaim


class ChannelProducts(Products):
    """factor (P, C) times values (P, B, C, H, W), entry by entry."""

    def __init__(self, factor: Tensor, values: Tensor) -> None:
        _require_shape(factor, (values.shape[0], values.shape[2]))
        self.left = factor
        self.right = values
        self.terms = 1
        self.inner = factor.shape

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        weights = outer_product(self._outer(points))
        return [_times(weights, table) for table in reader.tables(self.left)]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        _, batch, _, *positions = eq_axes(self.right.shape, points)
        by_position = outer_product(positions)[:, None]
        tables = zip(reader.tables(self.right), self.right.digits, strict=True)
        by_record = (weigh(table, 1, batch.vector(), digit.magnitude()) for table, digit in tables)
        return [multiply(table.reshape(*self.inner, len(by_position), 2), by_position)[:, :, 0] for table in by_record]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return tuple(map(product_axis, self._outer(points), eq_axes(self.inner, inner)))

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.right.shape, (inner[0], points[1], inner[1], *points[3:]))

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        totals = [np.zeros(self.right.shape, dtype=np.int64) for _ in range(count)]
        for i, left in enumerate(digits.left):
            for total, right in zip(totals[i:], digits.right, strict=False):
                total += left[:, None, :, None, None] * right
        return totals

    def _outer(self, points: Points) -> tuple[Axis, ...]:
        return eq_axes(self.inner, (points[0], points[2]))


class ChannelSums(Products):
    """Sums over records and positions of left times right, both (P, B, C, H, W), in `count` passes from `first`: (count, C)."""

    def __init__(self, left: Tensor, right: Tensor, first: int, count: int) -> None:
        _require_shape(right, left.shape)
        if not 0 <= first < first + count <= left.shape[0]:
            raise ValueError(f"passes: expected a part of {left.shape[0]}, got {first} to {first + count}")
        _, batch, channels, rows, columns = left.shape
        self.left = left
        self.right = right
        self.first = first
        self.count = count
        self.terms = batch * rows * columns
        self.inner = (count, batch, channels, rows, columns)

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        channels = self.inner[2]
        weights = outer_product(eq_axes((self.count, channels), points)).reshape(self.count, 1, channels, 1, 1, 2)
        spread = np.broadcast_to(weights, (*self.inner, 2)).reshape(-1, 2)
        return [_times(spread, table[self._part]) for table in reader.tables(self.left)]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        return [_pairs(table[self._part]) for table in reader.tables(self.right)]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        by_step, batch, channel, *positions = eq_axes(self.inner, inner)
        steps, channels = eq_axes((self.count, self.inner[2]), points)
        return (self._placed(product_axis(steps, by_step)), batch, product_axis(channels, channel), *positions)

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        by_step, *rest = eq_axes(self.inner, inner)
        return (self._placed(by_step), *rest)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        totals = [np.zeros((self.count, self.inner[2]), dtype=np.int64) for _ in range(count)]
        for i, left in enumerate(digits.left):
            for total, right in zip(totals[i:], digits.right, strict=False):
                total += (left[self._part] * right[self._part]).sum(axis=(1, 3, 4))
        return totals

    @property
    def _part(self) -> slice:
        return slice(self.first, self.first + self.count)

    def _placed(self, axis: Axis) -> Axis:
        return place(axis, self.first, self.left.shape[0])


class ConstantProducts(Products):
    """values (n, C) times a constant of each channel, (C,)."""

    def __init__(self, values: Tensor, constant: Tensor) -> None:
        _require_shape(constant, values.shape[1:])
        self.left = values
        self.right = constant
        self.terms = 1
        self.inner = constant.shape

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        rows, channels = eq_axes(self.left.shape, points)
        tables = zip(reader.tables(self.left), self.left.digits, strict=True)
        sums = [weigh(table, 0, rows.vector(), digit.magnitude()) for table, digit in tables]
        return [_multiplied(total, channels.vector()) for total in sums]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        return [_pairs(table) for table in reader.tables(self.right)]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        rows, channels = eq_axes(self.left.shape, points)
        return (rows, product_axis(channels, *eq_axes(self.inner, inner)))

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.inner, inner)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        totals = [np.zeros(self.left.shape, dtype=np.int64) for _ in range(count)]
        for i, left in enumerate(digits.left):
            for total, right in zip(totals[i:], digits.right, strict=False):
                total += left * right
        return totals


class PerChannel(LinearTensor):
    """A constant of each channel, (C,), in every pass, record and position of `shape` = (P, B, C, H, W)."""

    def __init__(self, name: str, constant: Tensor, shape: tuple[int, ...]) -> None:
        _require_shape(constant, (shape[2],))
        self.name = name
        self.constant = constant
        self.sources = (constant,)
        self.shape = shape
        self.digits = constant.digits
        self.interval = constant.interval

    def tables(self, reader: Reader) -> list[I64]:
        return [np.broadcast_to(table[:, None, None], self.shape) for table in reader.tables(self.constant)]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        by_pass, batch, channels, *positions = claim.axes
        factor = ONE
        for axis in (by_pass, batch, *positions):
            factor = factor * axis.total()
        return [Term(self.constant, (channels,), [weight * factor for weight in claim.digit_weights])], ZERO


def _pairs(values: I64) -> U64:
    """Integers as elements of K: (.., 2) pairs."""
    result = np.zeros((*values.shape, 2), dtype=np.uint64)
    result[..., 0] = canonical(values)
    return result


def _times(weights: U64, values: I64) -> U64:
    """(n, 2) pairs times the n integers of an array: (*shape, 2) pairs."""
    return _multiplied(weights, _pairs(values).reshape(-1, 2)).reshape(*values.shape, 2)


def _multiplied(left: U64, right: U64) -> U64:
    """Entry by entry: (n, 2) pairs."""
    return unblock(native.k_mul(block(left), block(right)), len(left))


def _require_shape(tensor: Tensor, shape: Sequence[int]) -> None:
    if tensor.shape != tuple(shape):
        raise ValueError(f"{tensor.name}: expected shape {tuple(shape)}, got {tensor.shape}")
