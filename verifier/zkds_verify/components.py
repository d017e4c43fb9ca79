"""The identities that operators are made of: rounded sums, equal tensors.

Written from docs/specification, sections 3 and 16.
"""

from collections import namedtuple

from zkds_verify.claims_ledger import bits, eqs, on_columns, product_of_totals, split, total
from zkds_verify.field import ONE, K, powers
from zkds_verify.rejection import sound
from zkds_verify.shape_plans import (
    NONE,
    P,
    columnwise,
    committed,
    magnitude,
    multiply,
    plan,
    plus,
    shifted,
    times,
    with_zero,
)

Component = namedtuple("Component", "tensors verify lookups", defaults=((),))
# sign 2^exponent times sums of products; claims(axes of out, axes of inner): those of left, of right
Products = namedtuple("Products", "left right n inner claims exponent sign label", defaults=(0, 1, ""))
Linear = namedtuple("Linear", "tensor exponent n claim")  # claim(axes of out): those of the tensor


def nothing(ledger):
    """What a component says that its lookups prove."""


def value_weights(tensor):
    return [K(2 ** (16 * j)) for j in range(len(tensor.digits))]


def equal(name, left, right):
    sound(magnitude(plus(left.interval, times(right.interval, -1))) < P, name)

    def verify(ledger):
        z = [ledger.challenges(f"{name}: point", 1, bits((length,))) for length in left.shape]
        (value,) = ledger.hidden(f"{name}: value", 1)
        for tensor in (left, right):
            ledger.claim(tensor, eqs(tensor.shape, z), value_weights(tensor), value)

    return Component([left, right], verify)


def digit_weights(groups, gamma, count):
    weights, f = [K(pow(2, 16 * d, P)) for d in range(count)], 0
    for g, k in enumerate(groups):
        for i in range(min(k, count - f)):
            weights[f + i] = weights[f + i] + gamma ** (g + 1) * 2 ** (16 * i)
        f += k
    return weights


def carry_weights(groups, gamma):
    last = len(groups) - 1
    return [gamma ** (g + 2) * int(g < last) - gamma ** (g + 1) * 2 ** (16 * k) for g, k in enumerate(groups)]


def scaled_weights(weights, exponent, count):
    """The weights of the digits of 2^exponent times a number."""
    return [w * 2 ** (exponent % 16) for w in weights[exponent // 16 : exponent // 16 + count]]


def factor(part):
    return part.sign * 2**part.exponent


def part_interval(left, right, n):
    return times(with_zero(multiply(left, right)), n)


def convolved(part):
    """For every digit of left: the digits of its products with right."""
    for i, a in enumerate(part.left.digits):
        products = [part_interval(a, b, part.n) for b in part.right.digits]
        yield [(0, 0)] * i + shifted(products, part.exponent, part.sign)


class RoundedSum:
    """out = round(any number of sums of products + 2^exponent times a linear term, shift)."""

    lookups = ()

    def __init__(self, name, out, shift, products=(), linear=None, limb=16):
        self.name, self.out, self.shift, self.products, self.linear = name, out, shift, products, linear
        addend, exponent, m = linear[:3] if linear else (NONE, 0, 0)
        self.remainder = committed(f"{name}: remainder", shift, out.shape, limb=limb)
        digits = columnwise(
            plus,
            [
                *(number for part in products for number in convolved(part)),
                shifted([times(with_zero(digit), m) for digit in addend.digits], exponent),
                shifted([(1, 1)], shift - 1),
                shifted(self.remainder.digits, 0, -1),
                shifted(out.digits, shift, -1),
            ],
        )
        whole = plus(
            *(times(part_interval(part.left.interval, part.right.interval, part.n), factor(part)) for part in products),
            times(with_zero(addend.interval), m * 2**exponent),
            (2 ** (shift - 1),) * 2,
            times(self.remainder.interval, -1),
            times(out.interval, -(2**shift)),
        )
        self.groups, self.carries = plan(name, digits, whole, out.shape, limb)

    @property
    def tensors(self):
        operands = [tensor for part in self.products for tensor in (part.left, part.right)]
        return [self.remainder, *self.carries, self.out, *operands, *(self.linear[:1] if self.linear else [])]

    def verify(self, ledger):
        name, out = self.name, self.out
        gamma = ledger.challenge(f"{name}: gamma", max(1, len(self.groups)))
        z = [ledger.challenges(f"{name}: point", 1, bits((length,))) for length in out.shape]
        axes, weights = eqs(out.shape, z), digit_weights(self.groups, gamma, 40)
        values = ledger.hidden(f"{name}: values", (not out.columns) + bool(self.linear) + len(self.products))
        unused = iter(values)
        mu = scaled_weights(weights, self.shift, len(out.digits))
        if not out.columns:
            ledger.claim(out, axes, [-w for w in mu], next(unused))
        if self.linear:
            tensor, exponent, _, claim = self.linear
            ledger.claim(tensor, claim(axes), scaled_weights(weights, exponent, len(tensor.digits)), next(unused))
        terms, _ = on_columns(self.remainder, axes, weights[: len(self.remainder.digits)])
        constant = scaled_weights(weights, self.shift - 1, 1)[0]
        for carry, weight in zip(self.carries, carry_weights(self.groups, gamma), strict=True):
            scales = [-weight * 2 ** (16 * j) for j in range(len(carry.digits))]
            terms += on_columns(carry, axes, scales)[0]
            constant = constant + scales[-1] * -carry.digits[-1][0]
        if out.columns:
            terms += on_columns(out, axes, mu)[0]
            constant = constant + mu[-1] * -out.digits[-1][0]
        ledger.on_vector.append((terms, total(values) + constant * product_of_totals(axes)))
        for part, claim in zip(self.products, unused, strict=True):
            self.verify_products(ledger, part, axes, weights, claim)

    def verify_products(self, ledger, part, axes, weights, claim):
        left, right, _, inner, claims = part[:5]
        name = f"{self.name}, {part.label}" if part.label else self.name
        n = len(left.digits)
        weights = [w * part.sign for w in scaled_weights(weights, part.exponent, len(weights))]
        r, e = ledger.sumcheck(name, bits(inner), 2, claim)
        factors = ledger.hidden(f"{name}: factors", 2 * n)
        products = total(a * b for a, b in zip(factors[:n], factors[n:], strict=True))
        ledger.equation(f"{name}: products of the factors", e - products)
        rho = powers(ledger.challenge(f"{name}: factors", max(1, n - 1)), n)
        left_axes, right_axes = claims(axes, eqs(inner, split(inner, r)))
        ledger.claim(left, left_axes, rho, total(a * b for a, b in zip(rho, factors[:n], strict=True)))
        hankel = [total(a * b for a, b in zip(rho, weights[j : j + n], strict=True)) for j in range(len(right.digits))]
        ledger.claim(right, right_axes, hankel, total(a * b for a, b in zip(rho, factors[n:], strict=True)))


class RoundedQuotient:
    """out = round(dividend / divisor), without carries."""

    def __init__(self, name, out, dividend, divisor):
        self.name, self.out, self.dividend, self.divisor = name, out, dividend, divisor
        self.remainder = committed(f"{name}: remainder", (divisor - 1).bit_length(), out.shape)
        sound(2 <= divisor <= 2**16, name)
        half = divisor // 2
        delta = plus(dividend.interval, (half, half), (1 - divisor, 0), times(out.interval, -divisor))
        sound(magnitude(delta) < P, name)
        self.lookups = [(("below", divisor), f"{name}: remainder/0", ())]

    @property
    def tensors(self):
        return [self.remainder, self.out, self.dividend]

    def verify(self, ledger):
        name, out, d = self.name, self.out, self.divisor
        z = [ledger.challenges(f"{name}: point", 1, bits((length,))) for length in out.shape]
        axes, weights = eqs(out.shape, z), [w * d for w in value_weights(out)]
        values = ledger.hidden(f"{name}: values", (not out.columns) + 1)
        if not out.columns:
            ledger.claim(out, axes, [-w for w in weights], values[0])
        ledger.claim(self.dividend, axes, value_weights(self.dividend), values[-1])
        terms, constant = on_columns(self.remainder, axes, [ONE])[0], K(d // 2)
        if out.columns:
            terms += on_columns(out, axes, weights)[0]
            constant = constant + weights[-1] * -out.digits[-1][0]
        ledger.on_vector.append((terms, total(values) + constant * product_of_totals(axes)))
