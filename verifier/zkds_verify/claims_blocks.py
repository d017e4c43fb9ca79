"""Blocks of identities as a slow verifier sees them.

Written from docs/specification, section 17.
"""

from collections import namedtuple

from zkds_verify.circuit import ranges
from zkds_verify.claims_ledger import Axis, bits, eqs, is_direct, on_columns, product_of_totals, split, total
from zkds_verify.components import Component, carry_weights, digit_weights
from zkds_verify.field import ONE, ZERO, K, powers
from zkds_verify.shape_gadgets import Identity, base_digits, entry, intervals, minus, number, scaled
from zkds_verify.shape_plans import plan

Form = namedtuple("Form", "tensor axes mu")


def block(name, stated):
    """A block that is a component of its own. stated: pairs of a name and an expression, all over one shape."""
    identities = [identity_of(one, terms) for one, terms in stated]
    carries = [carry for identity in identities for carry in identity.carries]
    operands = [operand.tensor for identity in identities for _, factors, _ in identity.terms for operand in factors]

    def verify(ledger):
        Block(ledger, name, identities, digit_weights, carry_weights).verify()

    return Component([*carries, *operands], verify, ranges(carries))


def identity_of(name, terms):
    """Of operands that are used axis by axis."""
    shape = next(factors[0].tensor.shape for _, factors, _ in terms if factors)
    return Identity(name, shape, terms, *plan(name, *intervals(terms), shape))


def rounding(exact, shift, out, remainder):
    """out = round(exact, shift), out an expression."""
    return minus(exact + number(2 ** (shift - 1)), entry(remainder), scaled(out, 2**shift))


class Block:
    """One block at its challenges."""

    def __init__(self, ledger, name, identities, digit_weights, carry_weights):
        self.ledger, self.name, self.identities = ledger, name, identities
        groups = max(len(identity.groups) for identity in identities)
        gamma = ledger.challenge(f"{name}: gamma", groups) if groups else ONE
        rho = ledger.challenge(f"{name}: rho", len(identities) - 1) if len(identities) > 1 else ONE
        self.z = ledger.challenges(f"{name}: point", 1, max(bits(identity.shape) for identity in identities))
        self.lefts = {}
        for k, identity in enumerate(identities):
            for c, operands, inner in identity.terms:
                if len(operands) == 2:
                    key = (operands[0].tensor.name, repr(operands[0].uses), identity.shape, inner)
                    self.lefts.setdefault(key, (operands[0], identity.shape, inner, []))[3].append((k, c, operands[1]))
        self.summed = any(inner for _, _, inner, _ in self.lefts.values())
        scales = powers(rho, len(identities))
        self.weights = [
            [scale * w for w in digit_weights(identity.groups, gamma, 60)]
            for scale, identity in zip(scales, identities, strict=True)
        ]
        self.carry_weights = [
            [scale * w for w in carry_weights(identity.groups, gamma)]
            for scale, identity in zip(scales, identities, strict=True)
        ]

    def shifted(self, k, c, first, count):
        """sum_s c_s weight_(k, d + s) for d = first, ..."""
        parts = base_digits(c)
        return [total(part * self.weights[k][d + s] for s, part in enumerate(parts)) for d in range(first, first + count)]

    def verify(self):
        ledger, name = self.ledger, self.name
        if not self.lefts:
            settle(ledger, name, [(self.linear_forms(), -self.constant())])
            return
        (claim,) = ledger.hidden(f"{name}: sum", 1)
        settle(ledger, name, [(self.linear_forms(), -claim - self.constant())])
        variables = len(self.z)
        if self.summed:
            variables = max(bits((*outer, *inner)) for _, outer, inner, _ in self.lefts.values())
        r, e = ledger.sumcheck(name, variables, 2, claim, None if self.summed else self.z)
        n = sum(len(left.tensor.digits) for left, *_ in self.lefts.values())
        factors = ledger.hidden(f"{name}: factors", 2 * n)
        products = total(a * b for a, b in zip(factors[:n], factors[n:], strict=True))
        ledger.equation(f"{name}: products of the factors", e - products)
        psi = powers(ledger.challenge(f"{name}: psi", 2 * n - 1), 2 * n)
        settle(ledger, name, self.factor_equations(r, factors, psi, n))

    def low(self, shape, point):
        result = ONE
        for coordinate in point[bits(shape) :]:
            result = result * (1 - coordinate)
        return result

    def at_z(self, shape):
        """eq(z, .) along the axes, and the factor of a smaller shape."""
        axes = eqs(shape, split(shape, self.z[: bits(shape)]))
        return axes, ONE if self.summed else self.low(shape, self.z)

    def constant(self):
        result = ZERO
        for k, identity in enumerate(self.identities):
            axes, low = self.at_z(identity.shape)
            for c, operands, _ in identity.terms:
                if not operands:
                    result = result + low * product_of_totals(axes) * self.shifted(k, c, 0, 1)[0]
        return result

    def linear_forms(self):
        forms = []
        for k, identity in enumerate(self.identities):
            axes, low = self.at_z(identity.shape)
            for c, operands, _ in identity.terms:
                if len(operands) == 1:
                    mu = self.shifted(k, c, 0, len(operands[0].tensor.digits))
                    forms.append(form(operands[0], axes, [low * w for w in mu]))
            for carry, weight in zip(identity.carries, self.carry_weights[k], strict=True):
                forms.append(Form(carry, axes, [low * weight * 2 ** (16 * j) for j in range(len(carry.digits))]))
        return forms

    def factor_equations(self, r, factors, psi, n):
        equations, first = [], 0
        for left, outer, inner, rights in self.lefts.values():
            shape, count = (*outer, *inner), len(left.tensor.digits)
            axes, low = eqs(shape, split(shape, r[: bits(shape)])), self.low(shape, r)
            places = range(first, first + count)
            equations.append(([form(left, axes, [low * psi[f] for f in places])], total(psi[f] * factors[f] for f in places)))
            if self.summed:
                axes = [self.product(a, b) for a, b in zip(self.at_z(outer)[0], axes, strict=False)] + axes[len(outer) :]
            forms = []
            for k, c, right in rights:
                rows = [self.shifted(k, c, i, len(right.tensor.digits)) for i in range(count)]
                mu = [
                    low * total(psi[n + f] * row[j] for f, row in zip(places, rows, strict=True)) for j in range(len(rows[0]))
                ]
                forms.append(form(right, axes, mu))
            equations.append((forms, total(psi[n + f] * factors[n + f] for f in places)))
            first += count
        return equations

    @staticmethod
    def product(a, b):
        return a if len(a) == 1 else Axis(x * y for x, y in zip(a.weights, b.weights, strict=True))


def form(operand, axes, mu):
    """The operand's weights, given those on the axes of its expression."""
    used, own = set(), []
    for use, length in zip(operand.uses, operand.tensor.shape, strict=True):
        if isinstance(use, list):
            own.append(Axis(map(K, use), is_point=use == [1]))
            continue
        axis = axes[use[1] if isinstance(use, tuple) else use]
        used.add(use[1] if isinstance(use, tuple) else use)
        if isinstance(use, tuple) and use[0] == "up to":
            own.append(Axis(total(axis.weights[i:]) for i in range(length)))
        elif len(axis) == length:
            own.append(axis)
        else:
            start = use[2] if isinstance(use, tuple) else 0
            own.append(Axis([ZERO] * start + axis.weights + [ZERO] * (length - start - len(axis))))
    factor = product_of_totals([axis for place, axis in enumerate(axes) if place not in used])
    return Form(operand.tensor, own, [factor * w for w in mu])


def settle(ledger, name, equations):
    """Section 17: pairs of forms and the value to which they add up."""
    sent, direct, rest, claims = [], [], [], []
    for forms, value in equations:
        found = [form for form in forms if is_direct(form.tensor, form.axes)]
        others = [form for form in forms if not is_direct(form.tensor, form.axes)]
        sent.append((others if found else others[:-1], [] if found else others[-1:], value))
        direct += found
    count = sum(len(known) for known, _, _ in sent)
    values = iter(ledger.hidden(f"{name}: parts", count) if count else [])
    for known, following, value in sent:
        for one in known:
            shown = next(values)
            claims.append((one, shown))
            value = value - shown
        claims += [(one, value) for one in following]
        rest += [] if following else [value]
    for one, value in claims:
        ledger.claim(one.tensor, one.axes, one.mu, value)
    if direct:
        found = [on_columns(*one) for one in direct]
        terms = [weights for own, _ in found for weights in own]
        ledger.on_vector.append((terms, total(rest) + total(offset for _, offset in found)))
