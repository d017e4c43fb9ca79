"""Virtual tensors whose digits are linear in the digits of others: sums, entries in other places, affine maps.

A claim on such a tensor says that a sum of weighted sums of its sources, plus a public constant, has the claim's value. It
becomes one claim on each source, without a sumcheck: the prover sends the values of all terms but the last, whose value is
what is left. Many claims become one first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from zkds import sumcheck
from zkds.claims import Value
from zkds.field import ONE, ZERO, K, dot
from zkds.hidden import Hidden
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limbs import I64
from zkds.native import field as native
from zkds.tensors.axes import Axis, VectorAxis, eq_axes, split_point, unit_axis, variables
from zkds.tensors.contraction import weighted_sum
from zkds.tensors.field_tables import field_table
from zkds.tensors.tensor import (
    MOST_SEPARATE_CLAIMS,
    Book,
    Combination,
    LinearDigit,
    ProverContext,
    Reader,
    Tensor,
    TensorClaim,
    VerifierContext,
    sum_of_digits,
)


class Term(NamedTuple):
    """A weighted sum of a source's entries and digits, with weights as in a claim on it."""

    source: Tensor
    axes: Sequence[Axis]
    digit_weights: Sequence[K]

    def value(self, reader: Reader) -> K:
        return weighted_sum(reader.tables(self.source), self.source.digits, self.axes, self.digit_weights)


class LinearTensor(Tensor):
    """A tensor whose digits are linear in those of its sources, plus public constants; it is never committed."""

    @abstractmethod
    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        """What the claim's weights say of the sources, one term or more, and a constant: they add up to the claim's value."""

    def prove_claims(self, context: ProverContext) -> None:
        for claim in self._one_if_many_prover(context, context.book.take(self)):
            terms, constant = self.terms(claim)
            values = [term.value(context.reader) for term in terms[:-1]]
            if values:
                context.channel.send(f"{self.name}: shares", values)
            _pass_on(context.book, terms, values, claim.value - constant)

    def verify_claims(self, context: VerifierContext) -> None:
        for claim in self._one_if_many_verifier(context, context.book.take(self)):
            terms, constant = self.terms(claim)
            values = context.channel.receive(f"{self.name}: shares", len(terms) - 1) if len(terms) > 1 else []
            _pass_on(context.book, terms, values, claim.value - constant)

    def _one_if_many_prover(self, context: ProverContext, claims: list[TensorClaim[K]]) -> list[TensorClaim[K]]:
        """The claims; more than MOST_SEPARATE_CLAIMS become one, at a point, by a sumcheck of degree 2."""
        if len(claims) <= MOST_SEPARATE_CLAIMS:
            return claims
        combination = Combination.draw(context, self, claims)
        digits = [field_table(digit) for digit in self.tables(context.reader)]
        count = len(digits)
        tables, terms = [*combination.weight_tables(), *digits], [(ONE, (j, count + j)) for j in range(count)]
        point, finals = sumcheck.prove(context.channel, tables, terms, name=self.name, variables=variables(self.shape))
        points = split_point(self.shape, point)
        weights = combination.weights_at(points)
        return [TensorClaim(eq_axes(self.shape, points), tuple(weights), dot(weights, finals[count:]))]

    def _one_if_many_verifier(self, context: VerifierContext, claims: list[TensorClaim[Hidden]]) -> list[TensorClaim[Hidden]]:
        """The verifier's side."""
        if len(claims) <= MOST_SEPARATE_CLAIMS:
            return claims
        combination = Combination.draw(context, self, claims)
        point, final = sumcheck.verify(context.channel, combination.value, variables(self.shape), 2, name=self.name)
        points = split_point(self.shape, point)
        return [TensorClaim(eq_axes(self.shape, points), tuple(combination.weights_at(points)), final)]


def _pass_on(book: Book[Value], terms: Sequence[Term], values: Sequence[Value], total: Value) -> None:
    """Claims on the sources: the last term's value is what is left of the total."""
    for term, value in zip(terms, values, strict=False):
        book.add(*term, value)
        total = total - value
    book.add(*terms[-1], total)


class Addend(NamedTuple):
    """sign * 2^shift * source; sign 1 or -1."""

    source: Tensor
    shift: int = 0
    sign: int = 1


class SumTensor(LinearTensor):
    """sum_i sign_i 2^shift_i source_i, for every entry: sources of one shape.

    A shift of 16 k + r multiplies digits by 2^r and makes digit j digit j + k. Digits are not carried: the intervals are those
    of independent sources. Raises ValueError for no addend, different shapes, a negative shift or another sign than 1 and -1.
    """

    def __init__(self, name: str, addends: Iterable[Addend | tuple[Tensor, int]]) -> None:
        self.name = name
        self.addends = tuple(Addend(*addend) for addend in addends)
        self.sources = tuple(addend.source for addend in self.addends)
        if len({source.shape for source in self.sources}) != 1:
            raise ValueError(f"{name}: expected addends of one shape, got {[source.shape for source in self.sources]}")
        if any(addend.shift < 0 or addend.sign not in (1, -1) for addend in self.addends):
            raise ValueError(f"{name}: expected shifts of 0 or more bits and signs 1 or -1")
        self.shape = self.sources[0].shape
        self.interval = Interval.point(0)
        digits = [Interval.point(0)] * max(len(s.digits) + shift // DIGIT_BITS for s, shift, _ in self.addends)
        for source, shift, sign in self.addends:
            self.interval = self.interval + source.interval.times(sign << shift)
            for j, digit in enumerate(source.digits, shift // DIGIT_BITS):
                digits[j] = digits[j] + digit.times(sign << shift % DIGIT_BITS)
        self.digits = tuple(digits)

    def tables(self, reader: Reader) -> list[I64]:
        result = [np.zeros(self.shape, dtype=np.int64) for _ in self.digits]
        for source, shift, sign in self.addends:
            for j, digit in enumerate(source.tables(reader), shift // DIGIT_BITS):
                result[j] += digit * np.int64(sign << shift % DIGIT_BITS)
        return result

    def linear_digits(self, index: int | None = None) -> list[LinearDigit] | None:
        parts: list[list[tuple[int, LinearDigit]]] = [[] for _ in self.digits]
        for source, shift, sign in self.addends:
            digits = source.linear_digits(index)
            if digits is None:
                return None
            for summands, digit in zip(parts[shift // DIGIT_BITS :], digits, strict=False):
                summands.append((sign << shift % DIGIT_BITS, digit))
        return list(map(sum_of_digits, parts))

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        terms = []
        for source, shift, sign in self.addends:
            first, factor = shift // DIGIT_BITS, sign << shift % DIGIT_BITS
            weights = claim.digit_weights[first : first + len(source.digits)]
            terms.append(Term(source, claim.axes, [weight * factor for weight in weights]))
        return terms, ZERO


class EntryOf(LinearTensor):
    """Entry `index` along the first axis of another tensor."""

    def __init__(self, name: str, source: Tensor, index: int) -> None:
        self.name = name
        self.source = source
        self.index = index
        self.sources = (source,)
        self.shape = source.shape[1:]
        self.digits, self.interval = source.digits, source.interval

    def tables(self, reader: Reader) -> list[I64]:
        return reader.tables_at(self.source, self.index)

    def linear_digits(self, index: int | None = None) -> list[LinearDigit] | None:
        return self.source.linear_digits(self.index) if index is None else None

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        return [Term(self.source, [unit_axis(self.index, self.source.shape[0]), *claim.axes], claim.digit_weights)], ZERO


class HighestFirst(LinearTensor):
    """Another tensor with its digits in the opposite order, so that the digits of products come in the opposite order, too."""

    def __init__(self, source: Tensor) -> None:
        self.name = f"{source.name}: highest digits first"
        self.source = source
        self.sources = (source,)
        self.shape = source.shape
        self.digits, self.interval = source.digits[::-1], source.interval

    def tables(self, reader: Reader) -> list[I64]:
        return reader.tables(self.source)[::-1]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        return [Term(self.source, claim.axes, claim.digit_weights[::-1])], ZERO


class DifferencesOf(LinearTensor):
    """source[i] - source[i + 1] along the first axis, digit by digit; nothing is carried."""

    def __init__(self, name: str, source: Tensor) -> None:
        self.name = name
        self.source = source
        self.sources = (source,)
        self.shape = (source.shape[0] - 1, *source.shape[1:])
        self.digits = tuple(digit - digit for digit in source.digits)
        self.interval = source.interval - source.interval

    def tables(self, reader: Reader) -> list[I64]:
        return [table[:-1] - table[1:] for table in reader.tables(self.source)]

    def tables_at(self, reader: Reader, index: int) -> list[I64]:
        pairs = zip(reader.tables_at(self.source, index), reader.tables_at(self.source, index + 1), strict=True)
        return [this - following for this, following in pairs]

    def linear_digits(self, index: int | None = None) -> list[LinearDigit] | None:
        if index is None:
            return None
        this, following = (self.source.linear_digits(i) for i in (index, index + 1))
        if this is None or following is None:
            return None
        return [sum_of_digits([(1, a), (-1, b)]) for a, b in zip(this, following, strict=True)]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        first, *rest = claim.axes
        nothing = np.zeros((1, 2), dtype=np.uint64)
        own = first.vector()
        weights = native.sub(np.concatenate([own, nothing]), np.concatenate([nothing, own]))
        return [Term(self.source, [VectorAxis(weights), *rest], claim.digit_weights)], ZERO


class AffineTensor(LinearTensor):
    """constant + sum_i coefficient_i source_i, for every entry: sources of one shape, public integers.

    Coefficients are cut into base-2^16 digits of their own sign, and so is the constant; digits are not carried.
    interval   of the value, where more is known than that the sources are independent
    Raises ValueError for no addend and for different shapes.
    """

    def __init__(
        self, name: str, addends: Sequence[tuple[Tensor, int]], constant: int, interval: Interval | None = None
    ) -> None:
        self.name = name
        self.sources = tuple(source for source, _ in addends)
        if len({source.shape for source in self.sources}) != 1:
            raise ValueError(f"{name}: expected addends of one shape, got {[source.shape for source in self.sources]}")
        self.shape = self.sources[0].shape
        self._coefficients = [base_digits(coefficient) for _, coefficient in addends]
        self._constant = base_digits(constant)
        total = Interval.point(constant)
        digits = _placed([Interval.point(1)], self._constant)
        for (source, coefficient), places in zip(addends, self._coefficients, strict=True):
            total = total + source.interval.times(coefficient)
            digits = [a + b for a, b in zip_longest(digits, _placed(source.digits, places), fillvalue=Interval.point(0))]
        self.digits = tuple(digits)
        self.interval = total if interval is None else interval

    def tables(self, reader: Reader) -> list[I64]:
        result = [np.zeros(self.shape, dtype=np.int64) for _ in self.digits]
        for s, digit in self._constant:
            result[s] += digit
        for source, places in zip(self.sources, self._coefficients, strict=True):
            for j, table in enumerate(source.tables(reader)):
                for s, digit in places:
                    result[s + j] += table * np.int64(digit)
        return result

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        weights = claim.digit_weights
        terms = []
        for source, places in zip(self.sources, self._coefficients, strict=True):
            own = [sum((weights[s + j] * digit for s, digit in places), ZERO) for j in range(len(source.digits))]
            terms.append(Term(source, claim.axes, own))
        constant = sum((weights[s] * digit for s, digit in self._constant), ZERO)
        for axis in claim.axes:
            constant = constant * axis.total()
        return terms, constant


def base_digits(number: int) -> list[tuple[int, int]]:
    """(s, digit_s) with number = sum_s digit_s 2^(16 s), every digit of the number's sign; without zeros."""
    sign, rest = (-1 if number < 0 else 1), abs(number)
    digits = [(s, rest >> DIGIT_BITS * s & ((1 << DIGIT_BITS) - 1)) for s in range(-(-rest.bit_length() // DIGIT_BITS))]
    return [(s, sign * digit) for s, digit in digits if digit]


def _placed(digits: Sequence[Interval], places: Sequence[tuple[int, int]]) -> list[Interval]:
    """The digits' intervals of a number times an integer that is given by its digits."""
    found = [Interval.point(0)] * (len(digits) + max((s for s, _ in places), default=0))
    for s, factor in places:
        for j, digit in enumerate(digits):
            found[s + j] = found[s + j] + digit.times(factor)
    return found
