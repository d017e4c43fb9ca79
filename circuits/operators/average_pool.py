"""Tensors with the entries of another one in other places, or sums of them: never committed, and linear.

    AveragePooled   plain sums over windows; the division is a move of the binary point
    Repeated        every value over a window: what goes back through an average pool without ReLU

Claims on them turn into claims on what they are made of, weight vector by weight vector, without a message.
"""

from __future__ import annotations

from zkds.circuits.operators.pooling import (
    pooled_axes,
    pooled_shape,
    repeat_entries,
    repeated_axes,
    repeated_shape,
    window_sums,
)
from zkds.claims import Value
from zkds.field import ZERO, K
from zkds.integers.limbs import I64
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Reader, Tensor, TensorClaim


class AveragePooled(LinearTensor):
    """The sum over every window of size x size entries of the last two axes: size^2 times the mean."""

    def __init__(self, name: str, values: Tensor, size: int) -> None:
        self.name = name
        self.values = values
        self.sources = (values,)
        self.window = (size, size)
        self.shape = pooled_shape(values.shape, self.window)
        self.digits = tuple(digit.times(size * size) for digit in values.digits)
        self.interval = values.interval.times(size * size)

    def tables(self, reader: Reader) -> list[I64]:
        return [window_sums(digit, self.window) for digit in self.values.tables(reader)]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        return [Term(self.values, repeated_axes(claim.axes, self.window), claim.digit_weights)], ZERO


class Repeated(LinearTensor):
    """Every value repeated over a window of size x size entries of the last two axes."""

    def __init__(self, name: str, values: Tensor, size: int) -> None:
        self.name = name
        self.values = values
        self.sources = (values,)
        self.window = (size, size)
        self.shape = repeated_shape(values.shape, self.window)
        self.digits = values.digits
        self.interval = values.interval

    def tables(self, reader: Reader) -> list[I64]:
        return [repeat_entries(digit, self.window) for digit in self.values.tables(reader)]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        return [Term(self.values, pooled_axes(claim.axes, self.window), claim.digit_weights)], ZERO
