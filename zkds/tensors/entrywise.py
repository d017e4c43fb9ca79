"""Sums of products of tensors' digits, entry by entry, in one pass over the cells that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from zkds.integers.identity import DIGIT_BITS, IdentityPlan
from zkds.integers.limbs import I64
from zkds.native.entrywise import MAX_OPERANDS, Product, Result
from zkds.tensors.tensor import Operand, Reader


class EntrywiseSums:
    """Digit sums e_d over a shape, modulo 2^64, for some d: sums of public factors times products of up to two digits."""

    def __init__(self, reader: Reader, shape: tuple[int, ...], digits: Iterable[int]) -> None:
        self._reader = reader
        self._shape = shape
        self._operands: list[Operand] = []
        self._products: dict[int, list[Product]] = {d: [] for d in digits}

    def wants(self, digit: int) -> bool:
        """Whether e_digit is one of the sums."""
        return digit in self._products

    def add(self, factor: int, digit: int, *polynomials: Sequence[Operand]) -> None:
        """Add factor 2^(16 digit) times the product of up to two numbers, given by their digits, as far as there are sums."""
        if len(self._operands) + sum(map(len, polynomials)) + len(self._products) > MAX_OPERANDS:
            self._collapse()
        for d, operands in _terms(polynomials):
            if digit + d in self._products:
                self._products[digit + d].append(Product(factor, tuple(map(self._number, operands))))

    def _number(self, digit: Operand) -> int:
        """The digit's number among the operands."""
        found = next((k for k, operand in enumerate(self._operands) if operand is digit), len(self._operands))
        if found == len(self._operands):
            self._operands.append(digit)
        return found

    def _collapse(self) -> None:
        """Go on with what the sums are so far, so that the number of operands stays small."""
        self._operands = [*self.sums()]
        self._products = {d: [Product(1, (k,))] for k, d in enumerate(self._products)}

    def sums(self) -> list[I64]:
        """The digit sums."""
        found = [np.empty(self._shape, dtype=np.int64) for _ in self._products]
        self.write(found)
        return found

    def write(self, out: Sequence[I64]) -> None:
        """Write the digit sums, arrays of the shape."""
        results = [Result(products, values) for products, values in zip(self._products.values(), out, strict=True)]
        self._reader.evaluate(self._shape, self._operands, results)

    def totals(self) -> list[int]:
        """The digit sums of all entries together, modulo 2^64."""
        found = [np.zeros(1, dtype=np.int64) for _ in self._products]
        results = [
            Result(products, values, summed=True) for products, values in zip(self._products.values(), found, strict=True)
        ]
        self._reader.evaluate(self._shape, self._operands, results)
        return [int(values[0]) for values in found]

    def carries(self, plan: IdentityPlan, out: Sequence[I64]) -> None:
        """Write the carries of an identity with these digit sums, arrays of the shape.

        The last group's may be missing: if all digits above it are there instead, its carry follows from their sum, which it
        cancels, sum_(d >= m) 2^(16 (d - m)) e_d = - q, where m is the number of low digits.
        Raises ValueError where the digit sums of a group do not sum to a multiple of its power of 2.
        """
        results, first = [], 0
        for size, values in zip(plan.groups, out, strict=True):
            if self.wants(first):
                products = self._weighted((d, 1 << DIGIT_BITS * (d - first)) for d in range(first, first + size))
                results.append(Result(products, values, DIGIT_BITS * size, chained=first > 0))
            else:
                above = first + size
                products = self._weighted((d, -1 << DIGIT_BITS * (d - above)) for d in self._products if d >= above)
                results.append(Result(products, values))
            first += size
        plan.require_exact(self._reader.evaluate(self._shape, self._operands, results))

    def _weighted(self, weights: Iterable[tuple[int, int]]) -> list[Product]:
        """The sum of weight times e_d, for (d, weight)."""
        return [Product(product.factor * weight, product.operands) for d, weight in weights for product in self._products[d]]


def _terms(polynomials: Sequence[Sequence[Operand]]) -> Iterator[tuple[int, tuple[Operand, ...]]]:
    """The products of one digit from each of up to two numbers, and the digits that they belong to."""
    if not polynomials:
        yield 0, ()
        return
    first, *others = polynomials
    for i, digit in enumerate(first):
        for d, digits in _terms(others):
            yield i + d, (digit, *digits)
