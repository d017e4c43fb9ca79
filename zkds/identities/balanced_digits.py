"""Integers committed in balanced digits of a small base: what polynomials of few bits are made of.

    value = sum_j digit_j base^j,      -floor(base / 2) <= digit_j <= base - 1 - floor(base / 2)

A cell holds digit_j + floor(base / 2), which a lookup keeps below the base. Every digit has its own offset, so that none is
larger than base / 2: in offset binary, which moves the number as a whole, digits reach base - 1, and a product of four of them
four bits more. The digits of an integer are unique (that value - digit_0 is a multiple of the base leaves one digit_0), and
`count` of them reach exactly the integers from -floor(base / 2) R to (base - 1 - floor(base / 2)) R, R = 1 + base + ... +
base^(count - 1).

Digits are either the second commitment of a tensor, and `Decomposition` ties them to it: sum_j digit_j base^j - value = 0 for
every entry, modulo p and so, both sides being small, over the integers. Or they are the only one, and `BalancedValue` is the
tensor whose digits of base 2^16 are linear in them, for identities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from zkds.claims import Value
from zkds.errors import PlanRejected
from zkds.field import ONE, ZERO, K, P, dot, powers
from zkds.hidden import Hidden
from zkds.identities.equations import Equation, Form, settle_prover, settle_verifier
from zkds.identities.expressions import Along, AxisUse, Operand
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, MAX_WIDTH, LimbFormat
from zkds.lookup import ExplicitTable, Lookup, RangeTable, Table
from zkds.native import U32
from zkds.native.columns import Digits
from zkds.soundness import algebraic
from zkds.tensors.axes import eq_axes
from zkds.tensors.circuit import Component
from zkds.tensors.linear import LinearTensor, Term, base_digits
from zkds.tensors.tensor import (
    MOST_SEPARATE_CLAIMS,
    SCHWARTZ_ZIPPEL,
    Columns,
    Committed,
    Context,
    LinearDigit,
    ProverContext,
    Reader,
    Tensor,
    TensorClaim,
    VerifierContext,
    draw_points,
    sum_of_digits,
    value_weights,
)

MAX_BASE = 1 << DIGIT_BITS


@dataclass(frozen=True)
class BalancedFormat(LimbFormat):
    """`count` balanced digits of a base; limb_bits: of a cell, width: what any value that they reach fits, with its sign."""

    base: int
    count: int

    @classmethod
    def holding(cls, base: int, interval: Interval) -> BalancedFormat:
        """The least number of digits that reach every integer of the interval.

        Raises ValueError for a base below 3 (digits of base 2 are -1 and 0) or above 2^16, PlanRejected beyond 60 bits.
        """
        if not 3 <= base <= MAX_BASE:
            raise ValueError(f"base: expected 3 to {MAX_BASE}, got {base}")
        count = 1
        while True:
            reach = _reach(base, count)
            width = reach.magnitude().bit_length() + 1
            if width > MAX_WIDTH:
                raise PlanRejected(f"base {base}: {count} digits reach numbers of more than {MAX_WIDTH} bits")
            if reach.low <= interval.low and interval.high <= reach.high:
                return cls((base - 1).bit_length(), width, True, base, count)
            count += 1

    @property
    def limbs(self) -> int:
        return self.count

    @property
    def limb_widths(self) -> tuple[int, ...]:
        return (self.limb_bits,) * self.count

    @property
    def digit_offset(self) -> int:
        """What is subtracted from every cell."""
        return self.base // 2

    @property
    def digit_interval(self) -> Interval:
        return _reach(self.base, 1)

    @property
    def offset(self) -> int:
        return -self.interval.low

    @property
    def cell_offsets(self) -> tuple[int, ...]:
        return (self.digit_offset,) * self.count

    @property
    def digits(self) -> Digits:
        return Digits(self.count, self.base, self.offset, self.base**self.count)

    @property
    def interval(self) -> Interval:
        return _reach(self.base, self.count)

    @property
    def coefficient_intervals(self) -> tuple[Interval, ...]:
        return (self.digit_interval,) * self.count

    @property
    def digit_factors(self) -> tuple[int, ...]:
        """Digits are those of the base, not of 2^16."""
        return (1,) * self.count

    @property
    def table(self) -> RangeTable | ExplicitTable:
        """What a cell is looked up in: 0, ..., base - 1."""
        if self.base == 1 << self.limb_bits:
            return RangeTable(self.limb_bits)
        return ExplicitTable.of(np.arange(self.base, dtype=np.uint32)[:, None])


def _reach(base: int, count: int) -> Interval:
    """The integers that have `count` balanced digits."""
    ones = (base**count - 1) // (base - 1)
    return Interval(-(base // 2) * ones, (base - 1 - base // 2) * ones)


class BalancedColumns(Committed):
    """Integers in balanced digits: one column for each digit. Claims end here; as digits of identities, which are of base 2^16,
    it must not be used (`BalancedValue`).
    """

    def __init__(
        self, name: str, number: BalancedFormat, shape: tuple[int, ...], *, most_separate: int = MOST_SEPARATE_CLAIMS
    ) -> None:
        self.number = number
        self.base = number.base
        super().__init__(LimbColumns(name, number, shape), most_separate=most_separate)

    def table(self, limb: int) -> Table:
        return self.number.table

    def _offset(self, claim: TensorClaim[Value]) -> K:
        """What a claim says of the public part that is subtracted from every cell."""
        product = sum(claim.digit_weights, ZERO) * self.number.digit_offset
        for axis in claim.axes:
            product = product * axis.total()
        return product


class BalancedDigits(BalancedColumns):
    """The balanced digits of a tensor, or of a part of it.

    value   the tensor
    shape   of the digits; default: the value's
    uses    how the value's axes run along those of `shape`, as in an expression; default: axis by axis
    """

    def __init__(
        self, name: str, value: Tensor, base: int, shape: tuple[int, ...] | None = None, uses: Sequence[AxisUse | int] = ()
    ) -> None:
        given = uses or range(len(value.shape))
        self.operand = Operand(value, tuple(Along(use) if isinstance(use, int) else use for use in given))
        shape = value.shape if shape is None else shape
        self.operand.check(shape)
        super().__init__(name, BalancedFormat.holding(base, self.operand.interval(value.interval)), shape)

    def values(self, reader: Reader) -> I64:
        """What the digits are of."""
        found = self.operand.values(self.operand.tensor.integers(reader), self.shape)
        return np.broadcast_to(found, self.shape)


class BalancedValue(LinearTensor):
    """sum_j digit_j base^j, in digits of base 2^16 that are not carried: with base^j = sum_s c_js 2^(16 s), digit s is
    sum_j c_js digit_j.
    """

    def __init__(self, name: str, source: BalancedColumns) -> None:
        self.name = name
        self.source = source
        self.sources = (source,)
        self.shape = source.shape
        self.interval = source.interval
        places = [dict(base_digits(source.base**j)) for j in range(source.number.count)]
        count = 1 + max(s for own in places for s in own)
        self._factors = [[own.get(s, 0) for own in places] for s in range(count)]
        self.digits = tuple(source.number.digit_interval.times(sum(factors)) for factors in self._factors)

    def tables(self, reader: Reader) -> list[I64]:
        return self._tables(reader.read(name) for name in self.source.columns.names)

    def tables_at(self, reader: Reader, index: int) -> list[I64]:
        return self._tables(reader.read_entry(name, index) for name in self.source.columns.names)

    def _tables(self, columns: Iterable[U32]) -> list[I64]:
        """From the cells of all digits."""
        offset = np.int64(self.source.number.digit_offset)
        result: list[I64] = []
        for j, column in enumerate(columns):
            digit = column.astype(np.int64) - offset
            if not result:
                result = [np.zeros_like(digit) for _ in self._factors]
            for total, factors in zip(result, self._factors, strict=True):
                if factors[j]:
                    total += digit * np.int64(factors[j])
        return result

    def linear_digits(self, index: int | None = None) -> list[LinearDigit]:
        return [sum_of_digits(zip(factors, self.source.linear_digits(index), strict=True)) for factors in self._factors]

    def integers(self, reader: Reader) -> I64:
        return reader.values(self.source.columns)

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        weights = [dot(claim.digit_weights, own) for own in zip(*self._factors, strict=True)]
        return [Term(self.source, claim.axes, weights)], ZERO


class Decomposition(Component):
    """Digits and their values agree: at a random point of each, all together by powers of a challenge.

    sum_j digit_j base^j - value lies between -p and p by the intervals (`check`), so that it is zero if it is modulo p.
    """

    def __init__(self, name: str, digits: Sequence[BalancedDigits]) -> None:
        self.name = name
        self.digits = tuple(digits)

    @property
    def tensors(self) -> list[Tensor]:
        return [*self.digits, *(digits.operand.tensor for digits in self.digits)]

    @property
    def lookups(self) -> list[Lookup]:
        return [lookup for digits in self.digits for lookup in digits.range_checks]

    def check(self) -> None:
        """Raise PlanRejected unless equality modulo p is one of integers."""
        for digits in self.digits:
            value = digits.operand.interval(digits.operand.tensor.interval)
            if (digits.interval - value).magnitude() >= P:
                raise PlanRejected(f"{digits.name}: digits and value may differ by p or more, and are compared modulo p")

    def witness(self, reader: Reader) -> Columns:
        """The digits."""
        return ((digits.columns, digits.values(reader)) for digits in self.digits)

    def prove(self, context: ProverContext) -> None:
        settle_prover(context, self.name, [Equation(self._forms(context), ZERO)])

    def verify(self, context: VerifierContext) -> None:
        settle_verifier(context, self.name, [Equation(self._forms(context), Hidden.public(ZERO))])

    def _forms(self, context: Context) -> list[Form]:
        count, rho = len(self.digits), ONE
        if count > 1:
            term = algebraic(f"{self.name}: rho", count - 1, "(tensors - 1) / |K|", SCHWARTZ_ZIPPEL)
            rho = context.channel.challenge(term)
        forms = []
        for digits, scale in zip(self.digits, powers(rho, count), strict=True):
            axes = eq_axes(digits.shape, draw_points(context, self.name, digits.shape))
            own, factor = digits.operand.weights(axes)
            value = digits.operand.tensor
            forms.append(Form(digits, axes, tuple(scale * weight for weight in powers(K(digits.base), digits.number.count))))
            forms.append(Form(value, own, tuple(-scale * factor * weight for weight in value_weights(value))))
        return forms
