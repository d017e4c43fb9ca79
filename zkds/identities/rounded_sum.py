"""Rounded sums: out = round((sum of products + linear terms) / 2^shift) for every entry of a tensor, by one integer identity.

    Delta = C + 2^(shift - 1) - rem - 2^shift out = 0,      C = sum_s sign_s 2^(e_s) sum_k left_sk right_sk + 2^e sum_k linear_k

with rem of exactly `shift` unsigned bits, so that for given operands out and rem are unique. Operands and out are tensors of
digits (zkds/tensors/tensor.py), virtual or committed; rem and the carries of the identity (zkds/integers/identity.py) are
committed here. At a challenge gamma, with weight_d of the identity's digits, a product of two digit polynomials is

    sum_d weight_d sum_(i + j = d) left_i right_j = sum_i left_i right^(i)        right^(i) = sum_j weight_(i + j) right_j

so C at gamma takes as many products as `left` has digits. At a random point z of out's index the identity is linear in hidden
values: the sums of products (each proved by a sumcheck over its contraction's index, `Products`, with the weights of the digits
that its exponent moves it to), the linear term, out, and a claim on the columns of rem and carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from operator import mul

import numpy as np

from zkds import sumcheck
from zkds.claims import Claim, Value
from zkds.commit.layout import Layout
from zkds.errors import PlanRejected
from zkds.field import ONE, ZERO, K, dot, powers
from zkds.hidden import Hidden
from zkds.identities.products import Linear, Products, Scaled
from zkds.integers.identity import DIGIT_BITS, IdentityPlan, plan_identity
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import I64, MAX_WIDTH, LimbFormat
from zkds.native import U64, field
from zkds.soundness import algebraic
from zkds.sumcheck import Table
from zkds.tensors.axes import Axis, eq_axes, split_point, variables
from zkds.tensors.circuit import Component
from zkds.tensors.contraction import weighted_sum
from zkds.tensors.entrywise import EntrywiseSums
from zkds.tensors.field_tables import LANES
from zkds.tensors.tensor import (
    SCHWARTZ_ZIPPEL,
    Book,
    Committed,
    Context,
    ProverContext,
    Reader,
    Tensor,
    VerifierContext,
    draw_points,
)

ZERO_INTERVAL = Interval(0, 0)


class RoundedSum(Component):
    """The identity of one rounded tensor `output`, with the columns of its remainder and carries.

    limb_bits   of these, where limbs of so many bits are fewer than those of 16
    """

    def __init__(
        self,
        name: str,
        output: Tensor,
        shift: int,
        products: Products | Sequence[Scaled] | None,
        linear: Linear | None = None,
        limb_bits: int = DIGIT_BITS,
    ) -> None:
        if products is None and linear is None:
            raise ValueError(f"{name}: expected products or a linear term")
        if not 1 <= shift <= MAX_WIDTH:  # of a remainder; a small learning rate behind a large average pool
            raise PlanRejected(f"{name}: expected a rounding of 1 to {MAX_WIDTH} bits, got {shift}")
        self.name = name
        self.output = output
        self.shift = shift
        self.products = _scaled(products)
        self.linear = linear
        self.remainder = LimbColumns(f"{name}: remainder", LimbFormat.within(limb_bits, shift, False), output.shape)
        self.digits, self.total = self._intervals()
        self.plan: IdentityPlan = plan_identity(self.digits, self.total, limb_bits)
        self.carries = [LimbColumns(f"{name}: carry {g}", carry, output.shape) for g, carry in enumerate(self.plan.carries)]
        self.committed = [Committed(part) for part in self.parts]

    def _intervals(self) -> tuple[list[Interval], Interval]:
        """The exact intervals of Delta's digit sums e_0, e_1, ... and of Delta."""
        digits, total = [ZERO_INTERVAL], Interval.point(1 << (self.shift - 1))
        for part in self.products:
            left, right, terms = part.products.left, part.products.right, part.products.terms
            total = total + _up_to(left.interval * right.interval, terms).times(part.sign << part.exponent)
            for i, a in enumerate(left.digits):
                products = [_up_to(a * b, terms).times(part.sign) for b in right.digits]
                digits = _sum(digits, _shifted([ZERO_INTERVAL] * i + products, part.exponent))
        if self.linear is not None:
            tensor = self.linear.tensor
            total = total + _up_to(tensor.interval, self.linear.terms).times(1 << self.linear.exponent)
            sums = [_up_to(digit, self.linear.terms) for digit in tensor.digits]
            digits = _sum(digits, _shifted(sums, self.linear.exponent))
        digits = _sum(digits, _shifted([Interval.point(1)], self.shift - 1))
        digits = _sum(digits, [-digit for digit in self.remainder.format.digit_intervals])
        digits = _sum(digits, [-digit for digit in _shifted(self.output.digits, self.shift)])
        total = total - self.remainder.format.interval - self.output.interval.times(1 << self.shift)
        return digits, total

    @property
    def parts(self) -> list[LimbColumns]:
        """The remainder and the carries: what is committed here."""
        return [self.remainder, *self.carries]

    @property
    def tensors(self) -> list[Tensor]:
        """What is committed here, the output, the operands."""
        operands = [operand for part in self.products for operand in (part.products.left, part.products.right)]
        return [*self.committed, self.output, *operands, *([] if self.linear is None else [self.linear.tensor])]

    def check(self) -> None:
        """Raise PlanRejected unless the identity's plan is sound for the operands' intervals (`IdentityPlan.check`)."""
        if self.remainder.format.width != self.shift or self.remainder.format.signed:
            raise PlanRejected(f"{self.name}: expected a remainder of exactly {self.shift} unsigned bits")
        self.plan.check(self.digits, self.total)

    def encode(self) -> bytes:
        """Canonical: the shift in a byte, the plan."""
        return bytes([self.shift]) + self.plan.encode()

    # ---- witness -----------------------------------------------------------------------------------------------------

    def witness(self, reader: Reader) -> list[tuple[LimbColumns, I64]]:
        """The carries. `reader` knows those of the operands, of the output and of the remainder.

        Raises ValueError where output and remainder are not those of the exact sums.
        """
        sums = self._sums_of_products(reader, self._needed_digits())
        whole, bits = divmod(self.shift - 1, DIGIT_BITS)
        sums.add(1 << bits, whole)
        sums.add(-1, 0, reader.operands(self.committed[0]))
        whole, bits = divmod(self.shift, DIGIT_BITS)
        sums.add(-1 << bits, whole, reader.operands(self.output))
        carries = [np.empty(self.output.shape, dtype=np.int64) for _ in self.carries]
        sums.carries(self.plan, carries)
        return list(zip(self.carries, carries, strict=True))

    def _needed_digits(self) -> list[int]:
        """The digits whose sums give the carries: the low ones; or those above them in place of the last group's, if these are
        sums of fewer products.
        """
        low = self.plan.low_digits
        first = low - self.plan.groups[-1] if self.plan.groups else 0
        last, above = range(first, low), range(low, len(self.digits))
        products_of_last, products_above = (sum(map(self._products_of_digit, digits)) for digits in (last, above))
        return [*range(first), *(above if 0 < first and products_above < products_of_last else last)]

    def _products_of_digit(self, digit: int) -> int:
        """How many products of two digits e_digit is a sum of."""
        count = 0
        for part in self.products:
            left, right = len(part.products.left.digits), len(part.products.right.digits)
            d = digit - part.exponent // DIGIT_BITS
            count += max(0, min(d + 1, left, right, left + right - 1 - d))
        return count

    def _sums_of_products(self, reader: Reader, digits: Sequence[int]) -> EntrywiseSums:
        """The digit sums of C."""
        sums = EntrywiseSums(reader, self.output.shape, digits)
        for part in self.products:  # modulo 2^64, as far as single digit sums go; whole groups of them fit (`IdentityPlan`)
            whole, bits = divmod(part.exponent, DIGIT_BITS)
            for d, digit in part.products.some_digit_sums(reader, [d - whole for d in digits]):
                sums.add(part.sign << bits, whole + d, [digit])
        if self.linear is not None:
            whole, bits = divmod(self.linear.exponent, DIGIT_BITS)
            for d, digit in enumerate(reader.tables(self.linear.tensor), whole):
                if sums.wants(d):
                    sums.add(1 << bits, d, [np.broadcast_to(self.linear.sums(digit), self.output.shape)])
        return sums

    # ---- protocol ----------------------------------------------------------------------------------------------------

    def prove(self, context: ProverContext) -> None:
        """The prover's side, after the root: claims on the operands, on the output and on the columns."""
        gamma, points = self._draw(context)
        weights = self._weights(gamma)
        reader = context.reader
        values = [
            weighted_sum(reader.tables(tensor), tensor.digits, axes, digit_weights)
            for tensor, axes, digit_weights in self._linear_claims(points, weights)
        ]
        tables = [part.products.tables(reader, points, _product_weights(weights, part)) for part in self.products]
        values += [_dot(*pair) for pair in tables]
        context.channel.send(f"{self.name}: values", values)
        self._claims(context.book, context.layout, gamma, points, values)
        for part, pair in zip(self.products, tables, strict=True):
            self._prove_products(context, part, points, _product_weights(weights, part), pair)

    def _prove_products(
        self,
        context: ProverContext,
        part: Scaled,
        points: Points,
        weights: Sequence[K],
        tables: tuple[list[Table], list[U64]],
    ) -> None:
        products, name = part.products, self._name_of(part)
        count = len(products.left.digits)
        terms = [(ONE, (i, count + i)) for i in range(count)]
        size = variables(products.inner)
        point, finals = sumcheck.prove(context.channel, [*tables[0], *tables[1]], terms, name=name, variables=size)
        context.channel.send(f"{name}: factors", finals)
        self._factor_claims(context, context.book, part, points, split_point(products.inner, point), weights, finals)

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side."""
        channel = context.channel
        gamma, points = self._draw(context)
        weights = self._weights(gamma)
        count = len(self._linear_claims(points, weights)) + len(self.products)
        values = channel.receive(f"{self.name}: values", count)
        self._claims(context.book, context.layout, gamma, points, values)
        for part, value in zip(self.products, values[count - len(self.products) :], strict=True):
            self._verify_products(context, part, points, _product_weights(weights, part), value)

    def _verify_products(
        self, context: VerifierContext, part: Scaled, points: Points, weights: Sequence[K], value: Hidden
    ) -> None:
        products, name = part.products, self._name_of(part)
        point, final = sumcheck.verify(context.channel, value, variables(products.inner), 2, name=name)
        count = len(products.left.digits)
        factors = context.channel.receive(f"{name}: factors", 2 * count)
        for left, right in zip(factors[:count], factors[count:], strict=True):
            final = final - context.channel.product(left, right)
        context.channel.assert_zero(final, f"{name}: products of the factors")
        self._factor_claims(context, context.book, part, points, split_point(products.inner, point), weights, factors)

    def _name_of(self, part: Scaled) -> str:
        return f"{self.name}, {part.label}" if part.label else self.name

    def _draw(self, context: Context) -> tuple[K, tuple[tuple[K, ...], ...]]:
        """gamma, and a point of the output's index, ceil(log2 d) coordinates for each dimension d."""
        degree = max(self.plan.gamma_degree, 1)
        gamma = context.channel.challenge(algebraic(f"{self.name}: gamma", degree, "deg_gamma / |K|", SCHWARTZ_ZIPPEL))
        return gamma, draw_points(context, self.name, self.output.shape)

    def _weights(self, gamma: K) -> list[K]:
        return self.plan.digit_weights(gamma, len(self.digits))

    def _output_weights(self, weights: Sequence[K]) -> list[K]:
        return _scaled_weights(weights, self.shift, len(self.output.digits))

    def _linear_claims(self, points: Points, weights: Sequence[K]) -> list[tuple[Tensor, Sequence[Axis], list[K]]]:
        """What is linear in the identity at z and lies in no column of this part: minus a virtual output; the linear term."""
        claims: list[tuple[Tensor, Sequence[Axis], list[K]]] = []
        if not isinstance(self.output, Committed):
            negated = [-weight for weight in self._output_weights(weights)]
            claims.append((self.output, eq_axes(self.output.shape, points), negated))
        if self.linear is not None:
            tensor, exponent = self.linear.tensor, self.linear.exponent
            claims.append((tensor, self.linear.axes(points), _scaled_weights(weights, exponent, len(tensor.digits))))
        return claims

    def _claims(self, book: Book[Value], layout: Layout, gamma: K, points: Points, values: Sequence[Value]) -> None:
        """The linear claims; and the identity, which becomes one claim on remainder, carries and a committed output."""
        weights, carry_weights = self._weights(gamma), self.plan.carry_weights(gamma)
        for (tensor, axes, digit_weights), value in zip(self._linear_claims(points, weights), values, strict=False):
            book.add(tensor, axes, digit_weights, value)
        of_limbs = map(mul, weights, self.remainder.format.digit_factors)
        scales = list(zip(self.remainder.names, of_limbs, strict=False))
        (constant,) = _scaled_weights(weights, self.shift - 1, 1)
        for carry, weight in zip(self.carries, carry_weights, strict=True):
            limbs = powers(K(1 << carry.format.limb_bits), carry.format.limbs)
            scales += [(name, -weight * limb) for name, limb in zip(carry.names, limbs, strict=True)]
            constant = constant - weight * carry.format.offset
        if isinstance(self.output, Committed):
            output_weights = self.output.limb_weights(self._output_weights(weights))
            scales += list(zip(self.output.columns.names, output_weights, strict=True))
            constant = constant + output_weights[-1] * self.output.columns.format.top_offset
        names, factors = zip(*scales, strict=True)
        total = values[0] + constant * self.remainder.ones(points)
        for value in values[1:]:
            total = total + value
        book.vector_claims.append(Claim(lambda: layout.pieces(names, points, factors), total))

    def _factor_claims(
        self,
        context: Context,
        book: Book[Value],
        part: Scaled,
        points: Points,
        inner: Points,
        weights: Sequence[K],
        factors: Sequence[Value],
    ) -> None:
        """One claim on each operand, a random combination of those on left_i and on right^(i)."""
        products = part.products
        left, right = products.left, products.right
        count = len(left.digits)
        term = algebraic(f"{self._name_of(part)}: factors", max(count - 1, 1), "(digits - 1) / |K|", SCHWARTZ_ZIPPEL)
        scales = powers(context.channel.challenge(term), count)
        book.add(left, products.left_axes(points, inner), scales, _combination(factors[:count], scales))
        hankel = [dot(scales, weights[j : j + count]) for j in range(len(right.digits))]
        book.add(right, products.right_axes(points, inner), hankel, _combination(factors[count:], scales))


def _scaled(products: Products | Sequence[Scaled] | None) -> tuple[Scaled, ...]:
    if products is None:
        return ()
    return (Scaled(products),) if isinstance(products, Products) else tuple(products)


def _product_weights(weights: Sequence[K], part: Scaled) -> list[K]:
    """The weights of the digits of sign * 2^exponent times a product."""
    return [weight * part.sign for weight in _scaled_weights(weights, part.exponent, len(weights))]


def _dot(left: Sequence[Table], right: Sequence[U64]) -> K:
    total = ZERO
    for a, b in zip(left, right, strict=True):
        total = total + K(*field.k_dot(_blocked(a), b).tolist())
    return total


def _blocked(table: Table) -> U64:
    """A table of F or K as one of K."""
    if table.ndim == 3:
        return table
    result = np.zeros((-(-len(table) // LANES), LANES), dtype=np.uint64)
    result.reshape(-1)[: len(table)] = table
    return np.stack([result, np.zeros_like(result)], axis=1)


def _combination(values: Sequence[Value], scales: Sequence[K]) -> Value:
    total = values[0] * scales[0]
    for value, scale in zip(values[1:], scales[1:], strict=True):
        total = total + value * scale
    return total


def _scaled_weights(weights: Sequence[K], exponent: int, count: int) -> list[K]:
    """The weights of the digits of 2^exponent times a number of `count` digits."""
    whole, bits = divmod(exponent, DIGIT_BITS)
    return [weight * (1 << bits) for weight in weights[whole : whole + count]]


def _shifted(digits: Sequence[Interval], exponent: int) -> list[Interval]:
    """The digits' intervals of 2^exponent times a number."""
    whole, bits = divmod(exponent, DIGIT_BITS)
    return [ZERO_INTERVAL] * whole + [digit.times(1 << bits) for digit in digits]


def _sum(left: Sequence[Interval], right: Sequence[Interval]) -> list[Interval]:
    return [a + b for a, b in zip_longest(left, right, fillvalue=ZERO_INTERVAL)]


def _up_to(interval: Interval, terms: int) -> Interval:
    """The sum of at most `terms` independent values."""
    return Interval(min(interval.low, 0), max(interval.high, 0)).times(terms)
