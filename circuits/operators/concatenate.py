"""Concatenation of channels (DenseNet, Inception).

    y = (2^(bits - bits_1) x_1, 2^(bits - bits_2) x_2, ...) along the channels,    dx_i = its channels of dy

Nothing is committed: a claim on the output is one on each input, with the weights of its channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
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
    require_elements,
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported
from zkds.claims import Value
from zkds.field import ZERO, K
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limbs import I64
from zkds.tensors.axes import VectorAxis
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Reader, Tensor, TensorClaim

CHANNELS = 2  # the axis of channels in (P, B, C, H, W)

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Concatenate(Operator):
    """The channels of two or more inputs, one after the other."""

    KIND: ClassVar[str] = "concatenate"
    INPUTS: ClassVar[int | None] = None

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if any(shape[1:] != inputs[0][1:] for shape in inputs):
            raise ValueError(f"inputs: expected one height and width, got {', '.join(map(str, inputs))}")
        output = (sum(shape[0] for shape in inputs), *inputs[0][1:])
        require_elements("output", output)
        return output

    def numbers(self) -> tuple[int, ...]:
        return ()

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 0)
        return cls()

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        parts = [x << np.int64(placed.output_bits - bits) for x, bits in zip(inputs, placed.input_bits, strict=True)]
        return Forward(np.concatenate(parts, axis=1))

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        parts = zip(_ranges(placed), placed.wanted, strict=True)
        return Backward([delta[:, channels] if wanted else None for channels, wanted in parts])

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        return BuiltConcatenate(placed, inputs)

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        import torch

        from zkds.circuits.operators.torch_functions import Function

        return Function(lambda *parts: torch.cat(parts, dim=1))


class BuiltConcatenate(Built):
    """The relation of a concatenation: that of linear tensors."""

    def __init__(self, placed: Placed, inputs: Sequence[Tensor]) -> None:
        self.placed = placed
        shifts = [placed.output_bits - bits for bits in placed.input_bits]
        self.output = Concatenated(f"{placed.name}: output", inputs, shifts)

    def backward(self, delta: Tensor) -> BuiltBackward:
        name = self.placed.name
        parts = enumerate(zip(_ranges(self.placed), self.placed.wanted, strict=True))
        return BuiltBackward(
            [Channels(f"{name}: delta {i}", delta, channels) if wanted else None for i, (channels, wanted) in parts]
        )


def _ranges(placed: Placed) -> list[slice]:
    """The channels of the output that come from each input."""
    ends = list(accumulate(shape[0] for shape in placed.inputs))
    return [slice(end - shape[0], end) for end, shape in zip(ends, placed.inputs, strict=True)]


class Concatenated(LinearTensor):
    """2^shift_i source_i, one after the other along the channels: a digit of the sources is one of the result's."""

    def __init__(self, name: str, sources: Sequence[Tensor], shifts: Sequence[int]) -> None:
        self.name = name
        self.sources = tuple(sources)
        self._shifts = tuple(shifts)
        channels = sum(source.shape[CHANNELS] for source in sources)
        self.shape = (*sources[0].shape[:CHANNELS], channels, *sources[0].shape[CHANNELS + 1 :])
        count = max(len(s.digits) + shift // DIGIT_BITS for s, shift in zip(sources, shifts, strict=True))
        digits = [Interval.point(0)] * count
        for source, shift in zip(sources, shifts, strict=True):
            for j, digit in enumerate(source.digits, shift // DIGIT_BITS):
                digits[j] = _hull(digits[j], digit.times(1 << shift % DIGIT_BITS))
        self.digits = tuple(digits)
        self.interval = Interval.point(0)
        for source, shift in zip(sources, shifts, strict=True):
            self.interval = _hull(self.interval, source.interval.times(1 << shift))

    def tables(self, reader: Reader) -> list[I64]:
        result = [np.zeros(self.shape, dtype=np.int64) for _ in self.digits]
        first = 0
        for source, shift in zip(self.sources, self._shifts, strict=True):
            last = first + source.shape[CHANNELS]
            for j, digit in enumerate(source.tables(reader), shift // DIGIT_BITS):
                result[j][:, :, first:last] = digit << np.int64(shift % DIGIT_BITS)
            first = last
        return result

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        weights, terms, first = claim.axes[CHANNELS].vector(), [], 0
        for source, shift in zip(self.sources, self._shifts, strict=True):
            last, low, factor = first + source.shape[CHANNELS], shift // DIGIT_BITS, 1 << shift % DIGIT_BITS
            own = VectorAxis(np.ascontiguousarray(weights[first:last]))
            digit_weights = [weight * factor for weight in claim.digit_weights[low : low + len(source.digits)]]
            terms.append(Term(source, (*claim.axes[:CHANNELS], own, *claim.axes[CHANNELS + 1 :]), digit_weights))
            first = last
        return terms, ZERO


class Channels(LinearTensor):
    """Some of a tensor's channels, one after the other."""

    def __init__(self, name: str, source: Tensor, channels: slice) -> None:
        self.name = name
        self.sources = (source,)
        self._channels = channels
        self.shape = (*source.shape[:CHANNELS], channels.stop - channels.start, *source.shape[CHANNELS + 1 :])
        self.digits = source.digits
        self.interval = source.interval

    def tables(self, reader: Reader) -> list[I64]:
        return [digit[:, :, self._channels] for digit in self.sources[0].tables(reader)]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        (source,) = self.sources
        weights = np.zeros((source.shape[CHANNELS], 2), dtype=np.uint64)
        weights[self._channels] = claim.axes[CHANNELS].vector()
        axes = (*claim.axes[:CHANNELS], VectorAxis(weights), *claim.axes[CHANNELS + 1 :])
        return [Term(source, axes, claim.digit_weights)], ZERO


def _hull(a: Interval, b: Interval) -> Interval:
    return Interval(min(a.low, b.low), max(a.high, b.high))


def _concatenate(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    parts = [importer.traced(name, tensor) for tensor in given["tensors"]]
    ranks = {len(part.record) for part in parts}
    if len(ranks) != 1 or given["dim"] not in (1, -min(ranks)):
        raise Unsupported(f"{name}: expected channels, dimension 1, got dimension {given['dim']}")
    if len(parts) == 1:
        return parts[0]
    if ranks == {1} and any(part.shape[1:] != (1, 1) for part in parts):
        raise Unsupported(f"{name}: expected vectors that no flattening made, or images")
    record = (sum(part.record[0] for part in parts), *parts[0].record[1:])
    return importer.add(name, Concatenate(), parts, record)


IMPORTS: dict[str, Handler] = {"aten.cat.default": _concatenate}
