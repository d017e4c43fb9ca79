"""What a rounded sum (zkds/identities/rounded_sum.py) adds up: products of two tensors' entries, multiples of one's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass

from zkds.field import K
from zkds.integers.limb_columns import Points
from zkds.integers.limbs import I64
from zkds.native import U64
from zkds.sumcheck import Table
from zkds.tensors.axes import Axis
from zkds.tensors.contraction import combine, padded_pairs
from zkds.tensors.linear import HighestFirst
from zkds.tensors.tensor import Reader, Tensor


class Products(ABC):
    """Sums of products of two tensors' entries, one sum for every entry of an output; contracted at a point of its index.

    left, right   the operands
    terms         the largest number of products in the sum of one entry; entries at a border may have fewer
    inner         the shape of the contraction's index
    """

    left: Tensor
    right: Tensor
    terms: int
    inner: tuple[int, ...]

    @abstractmethod
    def tables(self, reader: Reader, points: Points, weights: Sequence[K]) -> tuple[list[Table], list[U64]]:
        """left_i, of F or K, and right^(i) = sum_j weights_(i + j) right_j, of K, over the padded `inner`, for every i."""

    @abstractmethod
    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        """The weights on `left` of the multilinear extension of its tables at a point of `inner`."""

    @abstractmethod
    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        """The same for `right`."""

    @abstractmethod
    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        """sum_k sum_(i + j = d) left_i right_j for d < count, over the whole output; for the witness."""

    def some_digit_sums(self, reader: Reader, digits: Sequence[int]) -> Iterator[tuple[int, I64]]:
        """(d, sum_k sum_(i + j = d) left_i right_j) for those of the digits that there are; a gap among them costs nothing."""
        most = len(self.left.digits) + len(self.right.digits) - 1
        wanted = {d for d in digits if 0 <= d < most}
        low = next(d for d in range(most + 1) if d not in wanted)  # below it all are wanted
        yield from enumerate(self.digit_sums(reader, low) if low else [])
        above = [d for d in wanted if d > low]
        if above:
            highest_first = copy(self)
            highest_first.left, highest_first.right = HighestFirst(self.left), HighestFirst(self.right)
            sums = highest_first.digit_sums(reader, most - min(above))
            yield from ((most - 1 - d, digit) for d, digit in enumerate(sums) if most - 1 - d in wanted)


class DigitProducts(Products):
    """Products whose tables come digit by digit."""

    @abstractmethod
    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        """For every digit of `left`, its part of the summand over `inner`: (*inner, 2) pairs."""

    @abstractmethod
    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        """The same for `right`."""

    def tables(self, reader: Reader, points: Points, weights: Sequence[K]) -> tuple[list[Table], list[U64]]:
        left = self.left_tables(reader, points)
        right = self.right_tables(reader, points)
        hankel = [combine(right, weights[i : i + len(right)]) for i in range(len(left))]
        return [padded_pairs(table) for table in left], [padded_pairs(table) for table in hankel]


@dataclass(frozen=True)
class Scaled:
    """sign * 2^exponent times sums of products; sign 1 or -1. Several of them, in one rounded sum, have labels."""

    products: Products
    exponent: int = 0
    sign: int = 1
    label: str = ""

    def __post_init__(self) -> None:
        if self.exponent < 0 or self.sign not in (1, -1):
            raise ValueError(f"{self.label}: expected an exponent of 0 or more and a sign 1 or -1")


@dataclass(frozen=True)
class Linear:
    """2^exponent times sums of up to `terms` entries of one tensor.

    axes   the weights on the tensor of the sums' multilinear extension at a point of the output
    sums   from one digit of the tensor, the sums that belong to the output's entries (broadcast to its shape)
    """

    tensor: Tensor
    exponent: int
    terms: int
    axes: Callable[[Points], tuple[Axis, ...]]
    sums: Callable[[I64], I64]
