"""Tensors with the entries of another one in other places, or sums of them: never committed, and linear.

    AveragePooled   plain sums over windows; the division is a move of the binary point
    Repeated        every value over a window: what goes back through an average pool without ReLU
    Reshaped        the same entries with other axes of length 1

Claims on them turn into claims on what they are made of, weight vector by weight vector, without a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zkds.circuits.pooling import pooled_axes, pooled_shape, repeat_entries, repeated_axes, repeated_shape, window_sums
from zkds.circuits.tensors import Axis, Book, EqAxis, ProverContext, Reader, Tensor, VerifierContext
from zkds.claims import Value
from zkds.field import ONE, K
from zkds.integers.limbs import I64


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
        _pass_on(context.book, self, self.values, lambda axes: (repeated_axes(axes, self.size), ONE))

    def verify_claims(self, context: VerifierContext) -> None:
        _pass_on(context.book, self, self.values, lambda axes: (repeated_axes(axes, self.size), ONE))


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
        _pass_on(context.book, self, self.values, lambda axes: (pooled_axes(axes, self.size), ONE))

    def verify_claims(self, context: VerifierContext) -> None:
        _pass_on(context.book, self, self.values, lambda axes: (pooled_axes(axes, self.size), ONE))


class Reshaped(Tensor):
    """The same entries with axes of length 1 put in or left out: (P, B, K, 1, 1) as (P, B, K), or the other way round."""

    def __init__(self, name: str, values: Tensor, shape: tuple[int, ...]) -> None:
        if _longer_than_one(shape) != _longer_than_one(values.shape):
            raise ValueError(f"{name}: expected {values.shape} with other axes of length 1, got {shape}")
        self.name = name
        self.values = values
        self.shape = shape
        self.digits = values.digits
        self.interval = values.interval

    def tables(self, reader: Reader) -> list[I64]:
        return [digit.reshape(self.shape) for digit in self.values.tables(reader)]

    def prove_claims(self, context: ProverContext) -> None:
        _pass_on(context.book, self, self.values, self._axes)

    def verify_claims(self, context: VerifierContext) -> None:
        _pass_on(context.book, self, self.values, self._axes)

    def _axes(self, axes: Sequence[Axis]) -> tuple[list[Axis], K]:
        kept = iter([axis for axis in axes if axis.length > 1])
        factor = ONE
        for axis in axes:
            if axis.length == 1:
                factor = factor * axis.total()
        return [next(kept) if length > 1 else EqAxis(1, ()) for length in self.values.shape], factor


def _pass_on(
    book: Book[Value], tensor: Tensor, source: Tensor, weights: Callable[[Sequence[Axis]], tuple[list[Axis], K]]
) -> None:
    """Claims on a tensor as claims on the one that its digits are sums of: other axes, digit weights times a factor."""
    for claim in book.take(tensor):
        axes, factor = weights(claim.axes)
        book.add(source, axes, [factor * weight for weight in claim.digit_weights], claim.value)


def _longer_than_one(shape: Sequence[int]) -> list[int]:
    return [length for length in shape if length > 1]
