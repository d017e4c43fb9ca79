"""Products of a factor of every channel with a tensor's entries, and sums of products channel by channel.

    ChannelProducts    factor_p[o] values[p, b, o, y, x]                                for every entry
    ChannelSums        sum_(b, y, x) left[p, b, o, y, x] right[p, b, o, y, x]           for every pass and channel
    ConstantProducts   values_p[o] constant[o]                                          for some passes and every channel

PerChannel is a constant of every channel in all passes, records and positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.circuits.operators.convolution.sums import place
from zkds.claims import Value
from zkds.field import ONE, ZERO, K, block, to_pairs, unblock
from zkds.identities.expressions import product_axis
from zkds.identities.low_digits import LowDigits
from zkds.identities.products import DigitProducts, Products
from zkds.integers.limb_columns import Points
from zkds.integers.limbs import I64
from zkds.native import U64
from zkds.native import field as native
from zkds.sumcheck import Table
from zkds.tensors.axes import Axis, eq_axes, ones_axis
from zkds.tensors.contraction import canonical, outer_product, weigh
from zkds.tensors.field_tables import flat_length, flat_tables, scale_outer
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Reader, Tensor, TensorClaim


class ChannelProducts(DigitProducts):
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
        weights = outer_product([batch, *positions])
        passes, channels = self.inner
        sums = []
        for table, digit in zip(reader.tables(self.right), self.right.digits, strict=True):
            by_channel = table.swapaxes(1, 2).reshape(passes * channels, len(weights))
            sums.append(weigh(by_channel.T, 0, weights, digit.magnitude()).reshape(passes, channels, 2))
        return sums

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
    """Sums over records and positions of left times right, both (P, B, C, H, W): (P, C)."""

    def __init__(self, left: Tensor, right: Tensor) -> None:
        _require_shape(right, left.shape)
        passes, batch, channels, rows, columns = left.shape
        self.left = left
        self.right = right
        self.terms = batch * rows * columns
        self.inner = left.shape
        self.output_shape = (passes, channels)

    def tables(self, reader: Reader, points: Points, weights: Sequence[K]) -> tuple[list[Table], list[U64]]:
        """The entries of left as they are; those of right take the weights of their passes and channels."""
        count, entries = len(self.right.digits), flat_length(self.inner)
        hankel = np.stack([to_pairs(weights[i : i + count]) for i in range(len(self.left.digits))])
        right = native.f_matmul(hankel, flat_tables(reader.tables(self.right), self.inner))
        by_pass, by_channel = eq_axes(self.output_shape, points)
        scale_outer(right, (by_pass, ones_axis(self.inner[1]), by_channel), self.inner[3:])
        return [table[:entries] for table in flat_tables(reader.tables(self.left), self.inner)], list(right)

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.inner, inner)

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        by_pass, batch, channel, *positions = eq_axes(self.inner, inner)
        passes, channels = eq_axes(self.output_shape, points)
        return (product_axis(passes, by_pass), batch, product_axis(channels, channel), *positions)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        totals = [np.zeros(self.output_shape, dtype=np.int64) for _ in range(count)]
        for i, left in enumerate(digits.left):
            for total, right in zip(totals[i:], digits.right, strict=False):
                total += (left * right).sum(axis=(1, 3, 4))
        return totals


class ConstantProducts(DigitProducts):
    """values (P, C) in the passes first, ..., first + count - 1, times a constant of each channel, (C,): (count, C)."""

    def __init__(self, values: Tensor, constant: Tensor, first: int, count: int) -> None:
        _require_shape(constant, values.shape[1:])
        if not 0 <= first < first + count <= values.shape[0]:
            raise ValueError(f"passes: expected a part of {values.shape[0]}, got {first} to {first + count}")
        self.left = values
        self.right = constant
        self.terms = 1
        self.inner = constant.shape
        self.first = first
        self.count = count

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        rows, channels = self._axes(points)
        tables = zip(reader.tables(self.left), self.left.digits, strict=True)
        sums = [weigh(table[self._part], 0, rows.vector(), digit.magnitude()) for table, digit in tables]
        return [multiplied(total, channels.vector()) for total in sums]

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        return [pairs(table) for table in reader.tables(self.right)]

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        rows, channels = self._axes(points)
        placed = place(rows, self.first, self.left.shape[0])
        return (placed, product_axis(channels, *eq_axes(self.inner, inner)))

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.inner, inner)

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        totals = [np.zeros((self.count, *self.inner), dtype=np.int64) for _ in range(count)]
        for i, left in enumerate(digits.left):
            for total, right in zip(totals[i:], digits.right, strict=False):
                total += left[self._part] * right
        return totals

    @property
    def _part(self) -> slice:
        return slice(self.first, self.first + self.count)

    def _axes(self, points: Points) -> tuple[Axis, ...]:
        """Of the output."""
        return eq_axes((self.count, *self.inner), points)


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


def pairs(values: I64) -> U64:
    """Integers as elements of K: (.., 2) pairs."""
    result = np.zeros((*values.shape, 2), dtype=np.uint64)
    result[..., 0] = canonical(values)
    return result


def _times(weights: U64, values: I64) -> U64:
    """(n, 2) pairs times the n integers of an array: (*shape, 2) pairs."""
    return multiplied(weights, pairs(values).reshape(-1, 2)).reshape(*values.shape, 2)


def multiplied(left: U64, right: U64) -> U64:
    """Entry by entry: (n, 2) pairs."""
    return unblock(native.k_mul(block(left), block(right)), len(left))


def _require_shape(tensor: Tensor, shape: Sequence[int]) -> None:
    if tensor.shape != tuple(shape):
        raise ValueError(f"{tensor.name}: expected shape {tuple(shape)}, got {tensor.shape}")
