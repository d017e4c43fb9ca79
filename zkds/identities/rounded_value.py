"""From the integer coefficients of a polynomial to its value at the base, rounded: a chain of carries.

With 2^pad, pad = -shift mod 16, so that the bits that are rounded away are whole digits of base 2^16, and with the digits
k_(m, j) of 2^pad base^m,

    y_j = sum_m k_(m, j) C_m (+ 2^15, the half unit, for the last digit that is rounded away)
    y_j + q_j = r_j + 2^16 q_(j + 1),       q_0 = 0, q_J = 0,       0 <= r_j < 2^16

so that sum_j r_j 2^(16 j) = 2^pad (value + half): the r_j from the shift on are the digits of the rounded value, and above its
width there are none. The digits of an integer are unique, and so are the carries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.claims import Value
from zkds.field import ZERO, K
from zkds.identities.expressions import Along, Expression, at, sum_of, tensor
from zkds.identities.gadget import Gadget, Integers, split
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.limbs import I64, WitnessOverflow
from zkds.native import U32
from zkds.tensors.axes import VectorAxis
from zkds.tensors.contraction import multiply
from zkds.tensors.linear import LinearTensor, Term, base_digits
from zkds.tensors.tensor import Reader, Tensor, TensorClaim

PART_BITS = 48  # of a carry's lower part
DIGIT = 1 << DIGIT_BITS


class RoundedValue(Gadget):
    """round(sum_m base^m coefficients[m, t] / 2^shift), halves up, of `width` unsigned bits, for every t.

    coefficients   (terms, steps)
    shift          at least 1; width: a multiple of 16
    block          the name of the block that proves it
    Raises ValueError for other numbers.
    """

    def __init__(self, name: str, coefficients: Tensor, base: int, shift: int, width: int, block: str) -> None:
        super().__init__(name)
        if shift < 1 or width < DIGIT_BITS or width % DIGIT_BITS:
            raise ValueError(f"{name}: expected a shift of at least 1 and a width of whole digits, got {shift} and {width}")
        self.base, self.shift, self.width, self.block = base, shift, width, block
        self.dropped = -(-shift // DIGIT_BITS)  # digits that are rounded away
        self.kept = width // DIGIT_BITS
        self.source = coefficients
        terms, steps = coefficients.shape
        digits = [base_digits(base**m << -shift % DIGIT_BITS) for m in range(terms)]
        count = max(1 + max(s for own in digits for s, _ in own), self.dropped + self.kept) + 1
        self.sums = DigitSums(f"{name}: digit sums", coefficients, [dict(own) for own in digits], count)
        self.limbs = self.integer("digits", DIGIT_BITS, (self.dropped + self.kept, steps))
        low, high = self._carry_widths()
        self.carries = (
            self.integer("carries, low", low, (count - 1, steps)),
            self.integer("carries, high", high, (count - 1, steps), signed=True),
        )
        self._state(block, count)

    def _carry_widths(self) -> tuple[int, int]:
        """Widths of the parts of q_1, ...: |q_(j + 1)| <= (|y_j| + |q_j|) / 2^16 + 1 holds for max |y_j| / (2^16 - 1) + 2."""
        most = max(digit.magnitude() for digit in self.sums.digit_sums) + DIGIT
        return PART_BITS, max(2, (most // (DIGIT - 1) + 2).bit_length() + 1 - PART_BITS)

    def _state(self, block: str, count: int) -> None:
        """y_j + q_j - r_j - 2^16 q_(j + 1) = 0, in runs of j that have the same terms."""
        steps, rounded = self.source.shape[1], self.dropped + self.kept
        starts = sorted({0, 1, self.dropped - 1, self.dropped, rounded, count - 1})
        for first, last in zip(starts, [*starts[1:], count], strict=True):
            parts = [self.sums.expression(first)]
            if first > 0:
                parts.append(self._carry(first - 1))
            if last < count:
                parts.append(self._carry(first) * -DIGIT)
            if first < rounded:
                parts.append(-tensor(self.limbs, Along(0, first), 1))
            stated = sum_of(parts)
            if first == self.dropped - 1:
                stated = stated + (DIGIT >> 1)
            self.identity(block, f"digits from {first}", (last - first, steps), stated)

    def _carry(self, first: int) -> Expression:
        low, high = (tensor(part, Along(0, first), 1) for part in self.carries)
        return low + high * (1 << PART_BITS)

    def expression(self) -> Expression:
        """The rounded value over (steps,)."""
        count = self.dropped + self.kept
        digits = [tensor(self.limbs, at(self.dropped + j, count), 0) * (1 << DIGIT_BITS * j) for j in range(self.kept)]
        return sum_of(digits)

    # ---- witness -----------------------------------------------------------------------------------------------------

    def values(self, reader: Reader) -> Integers:
        """The rounded values, (steps,) Python integers."""
        half = 1 << (self.shift - 1)
        totals = [sum(self.base**m * c for m, c in enumerate(own)) for own in self._coefficients(reader)]
        return np.array([total + half >> self.shift for total in totals] + [None], dtype=object)[:-1]

    def witness(self, reader: Reader) -> dict[str, U32]:
        """The columns of digits and carries. Raises WitnessOverflow for a value that is negative or wider than `width`."""
        columns = list(self._coefficients(reader))
        for step, value in enumerate(self.values(reader)):
            if not 0 <= value < 1 << self.width:
                raise WitnessOverflow(self.name, (step,), self.width)
        count, steps = self.sums.count, len(columns)
        limbs = np.zeros((count, steps), dtype=object)
        carries = np.zeros((count, steps), dtype=object)
        for step, own in enumerate(columns):
            carry = 0
            for j in range(count):
                carry += sum(digits.get(j, 0) * c for digits, c in zip(self.sums.weights, own, strict=True))
                carry += DIGIT >> 1 if j == self.dropped - 1 else 0
                limbs[j, step], carries[j, step] = carry & (DIGIT - 1), carry >> DIGIT_BITS
                carry >>= DIGIT_BITS
        low, high = self.carries
        found = split(self.limbs, limbs[: self.dropped + self.kept])
        found |= split(low, carries[:-1] & ((1 << PART_BITS) - 1))
        return found | split(high, carries[:-1] >> PART_BITS)

    def _coefficients(self, reader: Reader) -> list[list[int]]:
        """For every step the coefficients, Python integers."""
        total = np.zeros(self.source.shape, dtype=object)
        for j, digit in enumerate(self.source.tables(reader)):
            total = total + (digit.astype(object) << DIGIT_BITS * j)
        return [list(map(int, own)) for own in total.T]


class DigitSums(LinearTensor):
    """(count, steps): sum_m weights_m[j] source[m, t], public weights below 2^16; never committed.

    digit_sums   the interval of each row
    """

    def __init__(self, name: str, source: Tensor, weights: Sequence[dict[int, int]], count: int) -> None:
        self.name = name
        self.source = source
        self.sources = (source,)
        self.weights = tuple(weights)
        self.count = count
        self.shape = (count, source.shape[1])
        self.digit_sums = [source.interval.times(sum(own.get(j, 0) for own in weights)) for j in range(count)]
        most = max(sum(own.get(j, 0) for own in weights) for j in range(count))
        self.interval = source.interval.times(most).with_zero()
        self.digits = tuple(digit.times(most).with_zero() for digit in source.digits)

    def tables(self, reader: Reader) -> list[I64]:
        matrix = self._matrix().T
        return [matrix @ digit for digit in self.source.tables(reader)]

    def _matrix(self) -> I64:
        """(terms, count)."""
        return np.array([[own.get(j, 0) for j in range(self.count)] for own in self.weights], dtype=np.int64)

    def expression(self, first: int) -> Expression:
        """The rows from `first` on."""
        return tensor(self, Along(0, first), 1)

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        by_row = np.stack([self._matrix().T, np.zeros((self.count, len(self.weights)), dtype=np.int64)], axis=-1)
        (weights,) = multiply(claim.axes[0].vector()[None], by_row.view(np.uint64))
        return [Term(self.source, (VectorAxis(weights), claim.axes[1]), claim.digit_weights)], ZERO
