"""Channels, rows and columns in another order.

    y(i_0, i_1, i_2) = x(j),  j_(order_k) = i_k

Nothing is committed: a claim on the output is one on the input, with its weight vectors in the input's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

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
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported, as_image, axis_of
from zkds.claims import Value
from zkds.field import ZERO, K
from zkds.integers.limbs import I64
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Reader, Tensor, TensorClaim

if TYPE_CHECKING:
    from torch import nn

FIRST = 2  # axes of (P, B, C, H, W) before the channels
IN_ORDER = (0, 1, 2)

Order = tuple[int, int, int]


@dataclass(frozen=True)
class Permute(Operator):
    """Axis k of the output is axis order_k of the input, of (channels, height, width); some axis moves."""

    KIND: ClassVar[str] = "permute"

    order: Order

    def __post_init__(self) -> None:
        if not isinstance(self.order, tuple) or any(type(axis) is not int for axis in self.order):
            raise TypeError(f"order: expected a tuple of ints, got {self.order!r}")
        if sorted(self.order) != list(IN_ORDER) or self.order == IN_ORDER:
            raise ValueError(f"order: expected 0, 1 and 2 in another order, got {self.order}")

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        first, second, third = (inputs[0][axis] for axis in self.order)
        return first, second, third

    def numbers(self) -> tuple[int, ...]:
        return self.order

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 3)
        return cls((numbers[0], numbers[1], numbers[2]))

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        return Forward(_permuted(inputs[0], self.order))

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        return Backward([_permuted(delta, inverse(self.order)) if placed.wanted[0] else None])

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        return BuiltPermute(self, placed, inputs[0])

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from zkds.circuits.operators.torch_functions import Function

        first, second, third = (1 + axis for axis in self.order)
        return Function(lambda x: x.permute(0, first, second, third))


class BuiltPermute(Built):
    """The relation of a permutation: that of linear tensors."""

    def __init__(self, operator: Permute, placed: Placed, inputs: Tensor) -> None:
        self.placed = placed
        self.order = operator.order
        self.output = Permuted(f"{placed.name}: output", inputs, operator.order)

    def backward(self, delta: Tensor) -> BuiltBackward:
        wanted = self.placed.wanted[0]
        return BuiltBackward([Permuted(f"{self.placed.name}: delta", delta, inverse(self.order)) if wanted else None])


class Permuted(LinearTensor):
    """A tensor (P, B, C, H, W) whose last three axes are in another order."""

    def __init__(self, name: str, source: Tensor, order: Order) -> None:
        self.name = name
        self.sources = (source,)
        self._order = order
        self.shape = (*source.shape[:FIRST], *(source.shape[FIRST + axis] for axis in order))
        self.digits = source.digits
        self.interval = source.interval

    def tables(self, reader: Reader) -> list[I64]:
        return [_permuted(digit, self._order) for digit in reader.tables(self.sources[0])]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        axes = (*claim.axes[:FIRST], *(claim.axes[FIRST + axis] for axis in inverse(self._order)))
        return [Term(self.sources[0], axes, claim.digit_weights)], ZERO


def inverse(order: Order) -> Order:
    """The order that undoes another one."""
    return order.index(0), order.index(1), order.index(2)


def composed(first: Order, second: Order) -> Order:
    """What two permutations, one after the other, do in one."""
    return first[second[0]], first[second[1]], first[second[2]]


def _permuted(values: I64, order: Order) -> I64:
    """The last three axes in another order."""
    lead = values.ndim - 3
    return values.transpose(*range(lead), *(lead + axis for axis in order))


# ---- import from programs of torch.export ----


def _permute(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    values = importer.traced(name, given["self"])
    rank = 1 + len(values.record)
    return _reordered(importer, name, values, [axis_of(name, axis, rank) for axis in given["dims"]])


def _transpose(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    values = importer.traced(name, given["self"])
    order = list(range(1 + len(values.record)))
    a, b = (axis_of(name, given[key], len(order)) for key in ("dim0", "dim1"))
    order[a], order[b] = b, a
    return _reordered(importer, name, values, order)


def _reordered(importer: Importer, name: str, values: Traced, order: Sequence[int]) -> Traced:
    """Axes of length 1 may stand anywhere: what counts is the order of the others, in a record as in the node's output."""
    if sorted(order) != list(range(len(values.record) + 1)):
        raise ValueError(f"{name}: expected every dimension once, got {list(order)}")
    if order[0] != 0:
        raise Unsupported(f"{name}: expected records to stay apart, in the first dimension")
    record = tuple(values.record[axis - 1] for axis in order[1:])
    moved = [axis - 1 for axis in order[1:] if values.record[axis - 1] != 1]
    if moved == sorted(moved):
        return importer.reshaped(name, values, record)
    if len(values.record) == 2 and not values.node:
        values = importer.line(name, values)
    long = [axis for axis, length in enumerate(values.shape) if length != 1]
    of_record = [axis for axis, length in enumerate(values.record) if length != 1]
    if [values.shape[axis] for axis in long] != [values.record[axis] for axis in of_record]:
        raise Unsupported(
            f"{name}: expected records {values.shape} as the layer before made them, got {values.record}; permute first"
        )
    longs = iter(long[of_record.index(axis)] for axis in moved)
    shorts = iter(axis for axis in IN_ORDER if axis not in long)
    first, second, third = (next(shorts) if length == 1 else next(longs) for length in as_image(record))
    made = importer.add(name, Permute((first, second, third)), [values], record)
    return replace(made, storage=values.storage)  # a view


IMPORTS: dict[str, Handler] = {
    "aten.permute.default": _permute,
    "aten.transpose.int": _transpose,
}
