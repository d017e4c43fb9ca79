"""Tensors with the entries of another one in other places, or sums of them: never committed, and linear.

    AveragePooled   plain sums over windows; the division is a move of the binary point
    Repeated        every value over a window: what goes back through an average pool without ReLU

Claims on them turn into claims on what they are made of, weight vector by weight vector, without a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zkds.circuits.operators.pooling import (
    pooled_axes,
    pooled_shape,
    repeat_entries,
    repeated_axes,
    repeated_shape,
    window_sums,
)
from zkds.claims import Value
from zkds.integers.limbs import I64
from zkds.tensors.axes import Axis
from zkds.tensors.tensor import Book, ProverContext, Reader, Tensor, VerifierContext


class AveragePooled(Tensor):
    """The sum over every window of size x size entries of the last two axes: size^2 times the mean."""

    def __init__(self, name: str, values: Tensor, size: int) -> None:
        self.name = name
        self.values = values
        self.size = size
        self.shape = pooled_shape(values.shape, size)
        self.digits = tuple(digit.times(size * size) for digit in values.digits)
        self.interval = values.interval.times(size * size)

    def tables(self, reader: Reader) -> list[I64]:
        return [window_sums(digit, self.size) for digit in self.values.tables(reader)]

    def prove_claims(self, context: ProverContext) -> None:
        _pass_on(context.book, self, self.values, lambda axes: repeated_axes(axes, self.size))

    def verify_claims(self, context: VerifierContext) -> None:
        _pass_on(context.book, self, self.values, lambda axes: repeated_axes(axes, self.size))


class Repeated(Tensor):
    """Every value repeated over a window of size x size entries of the last two axes."""

    def __init__(self, name: str, values: Tensor, size: int) -> None:
        self.name = name
        self.values = values
        self.size = size
        self.shape = repeated_shape(values.shape, size)
        self.digits = values.digits
        self.interval = values.interval

    def tables(self, reader: Reader) -> list[I64]:
        return [repeat_entries(digit, self.size) for digit in self.values.tables(reader)]

    def prove_claims(self, context: ProverContext) -> None:
        _pass_on(context.book, self, self.values, lambda axes: pooled_axes(axes, self.size))

    def verify_claims(self, context: VerifierContext) -> None:
        _pass_on(context.book, self, self.values, lambda axes: pooled_axes(axes, self.size))


def _pass_on(book: Book[Value], tensor: Tensor, source: Tensor, axes: Callable[[Sequence[Axis]], Sequence[Axis]]) -> None:
    """Claims on a tensor as claims on the one that its digits are sums of, with other axes."""
    for claim in book.take(tensor):
        book.add(source, axes(claim.axes), claim.digit_weights, claim.value)
