"""Integer expressions in tensors of the circuit: what the identities of zkds/identities/block.py are written in.

An expression over a shape is, for every index x of it, the integer

    constant + sum_k c_k left_k right_k + sum_k c'_k linear_k

with public integer coefficients. An operand is a tensor whose axes run along axes of the shape (`Along`; it is broadcast along
those that none of them runs along) or are added up (`Over`, `UpTo`). A product may be summed over further axes
(`Expression.summed`), which count after those of the shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import TypeAlias

import numpy as np

from zkds.field import ONE, K, block, from_pairs, unblock
from zkds.integers.identity import DIGIT_BITS, IdentityPlan
from zkds.integers.intervals import Interval
from zkds.integers.limbs import I64
from zkds.native import field as native
from zkds.tensors.axes import Axis, EqAxis, VectorAxis
from zkds.tensors.entrywise import EntrywiseSums
from zkds.tensors.linear import base_digits
from zkds.tensors.tensor import Operand as EntrywiseOperand
from zkds.tensors.tensor import Reader, Tensor

DIGIT = 1 << DIGIT_BITS


@dataclass(frozen=True)
class Along:
    """The tensor's index is `start` plus the index along axis `axis` of the expression."""

    axis: int
    start: int = 0


@dataclass(frozen=True)
class UpTo:
    """The sum over the tensor's indices up to and with the index along axis `axis`, which is as long."""

    axis: int


@dataclass(frozen=True)
class Over:
    """The sum over all of the tensor's indices, each times its weight. `only`: the index, if it is one entry with weight 1."""

    weights: tuple[int, ...]

    @property
    def only(self) -> int | None:
        used = [index for index, weight in enumerate(self.weights) if weight]
        return used[0] if len(used) == 1 and self.weights[used[0]] == 1 else None


AxisUse: TypeAlias = Along | UpTo | Over
ONLY = Over((1,))  # an axis of length 1


def at(index: int, length: int) -> Over:
    """One entry of an axis."""
    return Over(tuple(int(i == index) for i in range(length)))


@dataclass(frozen=True)
class Operand:
    """A tensor with the use of each of its axes. Raises ValueError if they do not fit."""

    tensor: Tensor
    uses: tuple[AxisUse, ...]

    def __post_init__(self) -> None:
        name, shape = self.tensor.name, self.tensor.shape
        if len(self.uses) != len(shape):
            raise ValueError(f"{name}: expected uses of {len(shape)} axes, got {len(self.uses)}")
        for use, length in zip(self.uses, shape, strict=True):
            if isinstance(use, Over) and len(use.weights) != length:
                raise ValueError(f"{name}: expected {length} weights, got {len(use.weights)}")
        if len(set(self.axes)) != len(self.axes):
            raise ValueError(f"{name}: two of its axes run along one axis")

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of the expression that the tensor's axes run along, in the tensor's order."""
        return tuple(use.axis for use in self.uses if not isinstance(use, Over))

    def check(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless the tensor has all indices that an expression over `shape` reads."""
        for use, length in zip(self.uses, self.tensor.shape, strict=True):
            if isinstance(use, Over):
                continue
            if not 0 <= use.axis < len(shape):
                raise ValueError(f"{self.tensor.name}: no axis {use.axis} in {tuple(shape)}")
            needed = shape[use.axis]
            fits = 0 <= use.start <= length - needed if isinstance(use, Along) else length == needed
            if not fits:
                raise ValueError(f"{self.tensor.name}: an axis of {length} cannot run along one of {needed}: {use}")

    def interval(self, interval: Interval) -> Interval:
        """Of the operand, or of a digit of it, from that of the tensor's."""
        for use, length in zip(self.uses, self.tensor.shape, strict=True):
            if isinstance(use, UpTo):
                interval = Interval(min(interval.low, length * interval.low), max(interval.high, length * interval.high))
            elif isinstance(use, Over):
                positive = sum(weight for weight in use.weights if weight > 0)
                interval = interval.times(positive) + interval.times(sum(use.weights) - positive)
        return interval

    def values(self, table: I64, shape: Sequence[int]) -> I64:
        """A table of the tensor -> the operand, with as many axes as `shape`: of its lengths, or 1 where broadcast."""
        return _values(table, self.uses, shape)

    def digits(self, reader: Reader, shape: Sequence[int]) -> list[I64]:
        """`values` of all digits; of a tensor of which one entry of the first axis is used, no other is read."""
        first, *others = self.uses
        if isinstance(first, Over) and first.only is not None:
            tables = reader.tables_at(self.tensor, first.only)
            return [_values(np.asarray(table), others, shape) for table in tables]
        return [self.values(table, shape) for table in reader.tables(self.tensor)]

    @property
    def follows_first_axis(self) -> bool:
        """Whether the tensor's first axis runs along the expression's."""
        return isinstance(self.uses[0], Along) and self.uses[0].axis == 0

    def entries(self, reader: Reader, shape: tuple[int, ...], index: int | None) -> list[EntrywiseOperand]:
        """All digits over an expression's shape, or over its axes behind the first, at an index of that one.

        As the reader has them where the tensor's axes are these, else arrays.
        """
        here, (first, *others) = shape if index is None else shape[1:], self.uses
        aligned = tuple(Along(axis) for axis in range(len(shape) - len(here), len(shape)))
        if index is None and (self.tensor.shape, self.uses) == (here, aligned):
            return reader.operands(self.tensor)
        if (self.tensor.shape[1:], tuple(others)) == (here, aligned):
            if isinstance(first, Over) and first.only is not None:
                return reader.operands(self.tensor, first.only)
            if isinstance(first, Along) and index is not None:
                return reader.operands(self.tensor, first.start + index)
        digits = [np.broadcast_to(digit, shape) for digit in self.digits(reader, shape)]
        return [digit if index is None else digit[index] for digit in digits]

    def weights(self, axes: Sequence[Axis]) -> tuple[tuple[Axis, ...], K]:
        """Weights on an expression's axes -> on those of the tensor, and a factor for the axes that it is broadcast along."""
        factor = ONE
        for axis, weights in enumerate(axes):
            if axis not in self.axes:
                factor = factor * weights.total()
        return tuple(_axis(use, length, axes) for use, length in zip(self.uses, self.tensor.shape, strict=True)), factor


def _values(table: I64, uses: Sequence[AxisUse], shape: Sequence[int]) -> I64:
    axes = tuple(use.axis for use in uses if not isinstance(use, Over))
    for axis, use in reversed(list(enumerate(uses))):
        if use == ONLY:
            table = np.squeeze(table, axis)
        elif isinstance(use, Over):
            table = np.tensordot(table, np.array(use.weights, dtype=np.int64), axes=(axis, 0))
        elif isinstance(use, UpTo):
            table = np.cumsum(table, axis=axis)
        else:
            index = [slice(None)] * table.ndim
            index[axis] = slice(use.start, use.start + shape[use.axis])
            table = table[tuple(index)]
    order = np.argsort(axes) if axes else ()
    lengths = [length if axis in axes else 1 for axis, length in enumerate(shape)]
    return np.transpose(table, order).reshape(lengths)


def _axis(use: AxisUse, length: int, axes: Sequence[Axis]) -> Axis:
    if use == ONLY:
        return EqAxis(1, ())
    if isinstance(use, Over):
        return VectorAxis.of(use.weights)
    weights = axes[use.axis]
    if isinstance(use, UpTo):
        vector = from_pairs(weights.vector())
        suffixes = [vector[-1]]
        for weight in reversed(vector[:-1]):
            suffixes.append(suffixes[-1] + weight)
        return VectorAxis.of(suffixes[::-1])
    if weights.length == length:
        return weights
    spread = np.zeros((length, 2), dtype=np.uint64)
    spread[use.start : use.start + weights.length] = weights.vector()
    return VectorAxis(spread)


def product_axis(left: Axis, right: Axis) -> Axis:
    """The weights left(x) right(x)."""
    if left.length == 1 and isinstance(left, EqAxis) and isinstance(right, EqAxis):
        return left
    return VectorAxis(unblock(native.k_mul(block(left.vector()), block(right.vector())), left.length))


@dataclass(frozen=True)
class Term:
    """coefficient times the product of 0 to 2 operands, summed over the axes `inner` (if there are operands)."""

    coefficient: int
    factors: tuple[Operand, ...]
    inner: tuple[int, ...] = ()


class Expression:
    """A sum of terms. Sums, differences, integer multiples and products (of degree 2 at most) are expressions."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self.terms = tuple(terms)

    def __add__(self, other: Expression | int) -> Expression:
        return Expression([*self.terms, *_terms(other)])

    __radd__ = __add__

    def __neg__(self) -> Expression:
        return self * -1

    def __sub__(self, other: Expression | int) -> Expression:
        return self + -(other if isinstance(other, Expression) else Expression(_terms(other)))

    def __rsub__(self, other: int) -> Expression:
        return -self + other

    def __mul__(self, other: Expression | int) -> Expression:
        products = [(a, b) for a in self.terms for b in _terms(other)]
        if any(a.inner or b.inner for a, b in products if a.factors and b.factors):
            raise ValueError("expression: expected a product before a sum over further axes")
        return Expression([Term(a.coefficient * b.coefficient, a.factors + b.factors, a.inner or b.inner) for a, b in products])

    __rmul__ = __mul__

    def summed(self, *inner: int) -> Expression:
        """The sum over further axes of these lengths, which follow those of the identity's shape."""
        if any(term.inner or not term.factors for term in self.terms):
            raise ValueError("expression: expected products to be summed once")
        return Expression([replace(term, inner=inner) for term in self.terms])


def _terms(value: Expression | int) -> tuple[Term, ...]:
    return value.terms if isinstance(value, Expression) else (Term(value, ()),)


def tensor(source: Tensor, *uses: AxisUse | int) -> Expression:
    """An operand as an expression; an int is the axis that an axis runs along. Default: axis by axis."""
    given = uses or tuple(range(len(source.shape)))
    return Expression([Term(1, (Operand(source, tuple(Along(use) if isinstance(use, int) else use for use in given)),))])


def sum_of(parts: Sequence[Expression]) -> Expression:
    """The sum of expressions, at least one."""
    return Expression([term for part in parts for term in part.terms])


@dataclass(frozen=True)
class Identity:
    """expression = 0 over the integers for every index of `shape`.

    total   an interval of the expression's value, if another argument gives a narrower one than the operands' intervals do
    """

    name: str
    shape: tuple[int, ...]
    expression: Expression
    total: Interval | None = None

    def __post_init__(self) -> None:
        for term in self.expression.terms:
            if len(term.factors) > 2:
                raise ValueError(f"{self.name}: expected products of two operands")
            for operand in term.factors:
                operand.check((*self.shape, *term.inner))
            if term.inner and len(term.factors) != 2:
                raise ValueError(f"{self.name}: only products are summed over further axes")
            covered = {axis for operand in term.factors for axis in operand.axes}
            if not covered.issuperset(range(len(self.shape), len(self.shape) + len(term.inner))):
                raise ValueError(f"{self.name}: both factors are broadcast along an axis of the sum")

    def intervals(self) -> tuple[list[Interval], Interval]:
        """The intervals of the digit sums e_0, e_1, ... and of the value."""
        digits: list[Interval] = []
        total = Interval(0, 0)
        for term in self.expression.terms:
            parts = [[operand.interval(digit) for digit in operand.tensor.digits] for operand in term.factors]
            values = [operand.interval(operand.tensor.interval) for operand in term.factors]
            count = math.prod(term.inner)
            for s, digit in base_digits(term.coefficient):
                for d, interval in enumerate(_product(parts)):
                    digits += [Interval(0, 0)] * (s + d + 1 - len(digits))
                    digits[s + d] += interval.times(count).times(digit)
            total += _value(values).times(count).times(term.coefficient)
        return digits, total if self.total is None else self.total

    def carries(self, reader: Reader, plan: IdentityPlan) -> list[I64]:
        """The carries of every index. Raises ValueError where 2^(16 m) does not divide the value, m the plan's low digits."""
        found = [np.empty(self.shape, dtype=np.int64) for _ in plan.groups]
        for part, sums in self._parts(reader, plan.low_digits):
            sums.carries(plan, [values[part] for values in found])
        return found

    def _parts(self, reader: Reader, count: int) -> Iterator[tuple[int | EllipsisType, EntrywiseSums]]:
        """The digit sums of every index of the first axis, if all operands run along it, or of all indices.

        Entries of one index lie side by side in the vector, whatever the length of a tensor's first axis is.
        """
        terms = self.expression.terms
        if len(self.shape) > 1 and all(not term.inner and all(f.follows_first_axis for f in term.factors) for term in terms):
            yield from ((index, self._sums(reader, count, index)) for index in range(self.shape[0]))
        else:
            yield ..., self._sums(reader, count, None)

    def _sums(self, reader: Reader, count: int, index: int | None) -> EntrywiseSums:
        """Those of one index of the first axis, or all."""
        sums = EntrywiseSums(reader, self.shape if index is None else self.shape[1:], range(count))
        factors = {factor for term in self.expression.terms for factor in term.factors if not term.inner}
        entries = {factor: factor.entries(reader, self.shape, index) for factor in factors}
        for term in self.expression.terms:
            if term.inner:
                parts: list[Sequence[EntrywiseOperand]] = [_summed(reader, term.factors, self.shape, term.inner, count)]
            else:
                parts = [entries[factor] for factor in term.factors]
            for s, digit in base_digits(term.coefficient):
                sums.add(digit, s, *parts)
        return sums


def _summed(
    reader: Reader, factors: Sequence[Operand], outer: tuple[int, ...], inner: tuple[int, ...], count: int
) -> list[I64]:
    """The low digits of a product of two operands, summed over the axes `inner`, at every index of `outer`."""
    found = np.zeros((count, *outer), dtype=np.int64)
    if len(outer) == 1:
        for index in range(outer[0]):
            sums = EntrywiseSums(reader, inner, range(count))
            sums.add(1, 0, *(operand.entries(reader, (*outer, *inner), index) for operand in factors))
            found[:, index] = sums.totals()
        return [*found]
    left, right = (operand.digits(reader, (*outer, *inner))[:count] for operand in factors)
    for i, a in enumerate(left):
        for j, b in enumerate(right[: count - i]):
            found[i + j] += (a * b).sum(axis=tuple(range(len(outer), len(outer) + len(inner))))
    return [*found]


def _product(parts: list[list[Interval]]) -> list[Interval]:
    if not parts:
        return [Interval(1, 1)]
    if len(parts) == 1:
        return parts[0]
    left, right = parts
    result = [Interval(0, 0)] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            result[i + j] += a * b
    return result


def _value(values: list[Interval]) -> Interval:
    result = Interval(1, 1)
    for value in values:
        result = result * value
    return result
