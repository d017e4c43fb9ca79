"""Zeros around the input, and slices of it: along each of channels, rows and columns

    y(i) = x(first + step (i - before)) where there is such an i - before >= 0 and such an entry, else 0

Nothing is committed: a claim on the output is one on the input, whose weight vectors have the output's weights in their places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from zkds.circuits.arithmetic.fixed_point import Place
from zkds.circuits.operators.operator import (
    Backward,
    Built,
    BuiltBackward,
    Forward,
    GradientKind,
    Operator,
    Placed,
    Scope,
    Shape,
    require_count,
    require_dimension,
    require_elements,
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported
from zkds.claims import Value
from zkds.field import ZERO, K
from zkds.integers.intervals import Interval
from zkds.integers.limbs import I64
from zkds.tensors.axes import Axis, VectorAxis
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Reader, Tensor, TensorClaim

if TYPE_CHECKING:
    from torch import nn

FIRST = 2  # axes of (P, B, C, H, W) before the channels

Triple = tuple[int, int, int]  # of (channels, height, width)


@dataclass(frozen=True)
class Pad(Operator):
    """A slice of the input in a frame of zeros; numbers for (channels, height, width).

    outputs   sides of the output
    before    zeros in front of the slice; behind it there are as many as the outputs reach
    first     entry of the input with which the slice begins
    step      from one entry of the slice to the next
    """

    KIND: ClassVar[str] = "pad"

    outputs: Triple
    before: Triple = (0, 0, 0)
    first: Triple = (0, 0, 0)
    step: Triple = (1, 1, 1)

    def __post_init__(self) -> None:
        for name, triple, least in (
            ("outputs", self.outputs, 1),
            ("before", self.before, 0),
            ("first", self.first, 0),
            ("step", self.step, 1),
        ):
            if not isinstance(triple, tuple) or len(triple) != 3:
                raise TypeError(f"{name}: expected three ints, got {triple!r}")
            for value in triple:
                require_dimension(name, value, least)
        require_elements("output", self.outputs)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        for name, counts, sides in (("first", self.first, inputs[0]), ("before", self.before, self.outputs)):
            if any(count >= side for count, side in zip(counts, sides, strict=True)):
                raise ValueError(f"{name}: expected entries of {inputs[0]} in the output {self.outputs}, got {counts}")
        return self.outputs

    def numbers(self) -> tuple[int, ...]:
        return (*self.outputs, *self.before, *self.first, *self.step)

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 12)
        outputs, before, first, step = ((numbers[j], numbers[j + 1], numbers[j + 2]) for j in (0, 3, 6, 9))
        return cls(outputs, before, first, step)

    def holds(self, inputs: Shape) -> bool:
        """Whether the output has every entry of the input, next to each other."""
        counts = zip(self.outputs, self.before, inputs, strict=True)
        return self.step == (1, 1, 1) and not any(self.first) and all(a >= before + length for a, before, length in counts)

    def meetings(self, inputs: Shape) -> list[tuple[slice, slice]]:
        """Along each axis, the entries of the input and, one for one, those of the output that hold them."""
        return [_meeting(*numbers) for numbers in zip(inputs, self.outputs, self.before, self.first, self.step, strict=True)]

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        return Forward(_moved(inputs[0], self.outputs, self.meetings(placed.inputs[0])))

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        if not placed.wanted[0]:
            return Backward([None])
        return Backward([_moved(delta, placed.inputs[0], _exchanged(self.meetings(placed.inputs[0])))])

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        return BuiltPad(self, placed, inputs[0])

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        import torch

        from zkds.circuits.operators.torch_functions import Function

        meetings = self.meetings(inputs[0])
        sources, targets = ((slice(None), *(meeting[i] for meeting in meetings)) for i in (0, 1))

        def padded(x: torch.Tensor) -> torch.Tensor:
            result = x.new_zeros((len(x), *self.outputs))
            result[targets] = x[sources]
            return result

        return Function(padded)


class BuiltPad(Built):
    """The relation of a padding: that of linear tensors."""

    def __init__(self, operator: Pad, placed: Placed, inputs: Tensor) -> None:
        self.placed = placed
        self.meetings = operator.meetings(placed.inputs[0])
        self.output = Moved(f"{placed.name}: output", inputs, operator.outputs, self.meetings)

    def backward(self, delta: Tensor) -> BuiltBackward:
        name, (shape,) = self.placed.name, self.placed.inputs
        found = Moved(f"{name}: delta", delta, shape, _exchanged(self.meetings)) if self.placed.wanted[0] else None
        return BuiltBackward([found])


class Moved(LinearTensor):
    """Entries of the last three axes of (P, B, C, H, W) in other places, and zeros in all others.

    meetings   along each axis, the entries of the source and those of the result that hold them
    """

    def __init__(self, name: str, source: Tensor, sides: Shape, meetings: Sequence[tuple[slice, slice]]) -> None:
        self.name = name
        self.sources = (source,)
        self._sides = sides
        self._meetings = meetings
        self.shape = (*source.shape[:FIRST], *sides)
        self.digits = tuple(_with_zero(digit) for digit in source.digits)
        self.interval = _with_zero(source.interval)

    def tables(self, reader: Reader) -> list[I64]:
        return [_moved(digit, self._sides, self._meetings) for digit in reader.tables(self.sources[0])]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        (source,) = self.sources
        triples = zip(claim.axes[FIRST:], source.shape[FIRST:], self._meetings, strict=True)
        axes: list[Axis] = [_placed_back(axis, length, meeting) for axis, length, meeting in triples]
        return [Term(source, (*claim.axes[:FIRST], *axes), claim.digit_weights)], ZERO


def _meeting(length: int, outputs: int, before: int, first: int, step: int) -> tuple[slice, slice]:
    """(entries of the input, entries of the output), as many of the one as of the other."""
    count = min(-(-(length - first) // step), outputs - before)
    return slice(first, first + (count - 1) * step + 1, step), slice(before, before + count)


def _exchanged(meetings: Sequence[tuple[slice, slice]]) -> list[tuple[slice, slice]]:
    return [(target, source) for source, target in meetings]


def _moved(values: I64, sides: Shape, meetings: Sequence[tuple[slice, slice]]) -> I64:
    """(.., C, H, W) -> (.., *sides)"""
    (a, channels), (b, rows), (c, columns) = meetings
    result = np.zeros((*values.shape[:-3], *sides), dtype=np.int64)
    result[..., channels, rows, columns] = values[..., a, b, c]
    return result


def _placed_back(axis: Axis, length: int, meeting: tuple[slice, slice]) -> Axis:
    """The weights on the source along one axis."""
    source, target = meeting
    if length == axis.length and source == target:
        return axis
    weights = np.zeros((length, 2), dtype=np.uint64)
    weights[source] = axis.vector()[target]
    return VectorAxis(weights)


def _with_zero(interval: Interval) -> Interval:
    return Interval(min(interval.low, 0), max(interval.high, 0))


# ---- import from programs of torch.export ----


def _pad(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    if given.get("mode", "constant") != "constant" or given["value"] not in (None, 0):
        raise Unsupported(f"{name}: expected zeros around images; other paddings aren't supported")
    values = importer.traced(name, given["self"])
    amounts = given["pad"]
    if len(amounts) % 2 or any(not isinstance(amount, int) for amount in amounts):
        raise ValueError(f"{name}: pad: expected pairs of integers")
    if len(values.record) not in (2, 3) or len(amounts) > 2 * len(values.record):
        raise Unsupported(f"{name}: expected records (C, H, W) or (C, L), padded along these, got {values.record}")
    is_line = len(values.record) == 2
    images = importer.line(name, values) if is_line else importer.image(name, given["self"])
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]  # those of the last axis first
    if is_line:
        pairs.insert(1, (0, 0))
    pairs = [*[(0, 0)] * (3 - len(pairs)), *reversed(pairs)]
    outputs = [side + sum(pair) for side, pair in zip(images.shape, pairs, strict=True)]
    return placed_in_zeros(importer, name, images, outputs, [front for front, _ in pairs])


def placed_in_zeros(
    importer: Importer,
    name: str,
    images: Traced,
    outputs: Sequence[int],
    front: Sequence[int],
    step: Sequence[int] = (1, 1, 1),
) -> Traced:
    """A new node: so many zeros in front of the images, or, where negative, so many entries left out there."""
    before, first = [max(0, count) for count in front], [max(0, -count) for count in front]
    try:
        operator = Pad(_triple(outputs), _triple(before), _triple(first), _triple(step))
    except ValueError as error:  # says what about it
        raise Unsupported(f"{name}: {error}") from None
    if operator == Pad(images.shape):
        return images
    return importer.add(name, operator, [images], None if len(images.record) == 3 else (outputs[0], outputs[2]))


def _triple(numbers: Sequence[int]) -> Triple:
    first, second, third = numbers
    return first, second, third


IMPORTS: dict[str, Handler] = {"aten.pad.default": _pad, "aten.constant_pad_nd.default": _pad}
