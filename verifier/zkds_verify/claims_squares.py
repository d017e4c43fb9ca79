"""Sums of squares of what is never committed, from balanced digits: docs/specification/certificate.md, sections 17.1 to 17.3.

Written from the specification. Polynomials are lists of the intervals of their
coefficients, lowest first.
"""

from collections import namedtuple
from itertools import zip_longest
from math import prod

from zkds_verify.circuit import ranges
from zkds_verify.claims_blocks import Form, form, settle
from zkds_verify.claims_ledger import Axis, Weights, bits, bits_of, eq, eqs, offset, split, total, weights_at
from zkds_verify.claims_tensors import linear
from zkds_verify.components import Component, value_weights
from zkds_verify.field import ONE, ZERO, K, powers
from zkds_verify.rejection import sound
from zkds_verify.shape_gadgets import base_digits, operand_interval
from zkds_verify.shape_plans import P, Tensor, committed, magnitude, multiply, plus, times

Balanced = namedtuple("Balanced", "tensor base operand")  # operand: what the digits are those of

HALF = K(2).inverse()
COEFFICIENT = 2**59 - 1  # the largest true one


# ---- 17.1


def balanced(name, base, operand, shape):
    interval = operand_interval(operand, operand.tensor.interval)
    digits = balanced_columns(name, base, interval, shape)
    sound(magnitude(plus(digits.interval, times(interval, -1))) < P, name)
    return Balanced(digits, base, operand)


def balanced_columns(name, base, interval, shape):
    """Digits that reach all of the interval; in the range of a power of two, else in the table of the rows 0, ..., base - 1."""
    least, greatest = -(base // 2), base - 1 - base // 2
    low, high = interval
    count, reach = 0, 0
    while not least * reach <= low <= high <= greatest * reach:
        count, reach = count + 1, base * reach + 1
    sound(magnitude((least * reach, greatest * reach)) < 2**59, name)
    table = ("below", base) if base & (base - 1) else (base - 1).bit_length()
    columns = [(f"{name}/{j}", table) for j in range(count)]
    return Tensor(name, tuple(shape), [(least, greatest)] * count, (least * reach, greatest * reach), columns)


def balanced_value(name, base, digits):
    """sum_j base^j digit_j, in digits of base 2^16."""
    parts = [base_digits(base**j) for j in range(len(digits.digits))]
    count = max(map(len, parts))
    factors = [[own[s] if s < len(own) else 0 for own in parts] for s in range(count)]

    def terms(claim):
        mu = [total(w * row[j] for w, row in zip(claim.mu, factors, strict=True)) for j in range(len(parts))]
        return [(digits, claim.axes, mu)], ZERO

    of_digits = [plus(*(times(digit, k) for digit, k in zip(digits.digits, row, strict=True))) for row in factors]
    return linear(name, digits.shape, of_digits, digits.interval, [digits], terms)


def decomposition(name, digits):
    def verify(ledger):
        rho = ledger.challenge(f"{name}: rho", len(digits) - 1) if len(digits) > 1 else ONE
        forms = []
        for power, (tensor, base, operand) in zip(powers(rho, len(digits)), digits, strict=True):
            axes = eqs(tensor.shape, [ledger.challenges(f"{name}: point", 1, bits_of(n)) for n in tensor.shape])
            forms.append(Form(tensor, axes, [power * base**j for j in range(len(tensor.digits))]))
            forms.append(form(operand, axes, [-power * w for w in value_weights(operand.tensor)]))
        settle(ledger, name, [(forms, ZERO)])

    tensors = [tensor for own in digits for tensor in (own.tensor, own.operand.tensor)]
    return Component(tensors, verify, ranges(own.tensor for own in digits))


# ---- polynomials


def convolution(a, b):
    result = [(0, 0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            result[i + j] = plus(result[i + j], multiply(x, y))
    return result


def multiple(a, count):
    return [times(x, count) for x in a]


def power_of_two(exponent, base):
    """2^exponent in digits from -floor((base - 1) / 2) to floor(base / 2)."""
    number, digits = 2**exponent, []
    while number:
        digits.append((number + (base - 1) // 2) % base - (base - 1) // 2)
        number = (number - digits[-1]) // base
    return digits


def of_gamma(coefficients, gamma):
    return total(c * gamma**m for m, c in enumerate(coefficients))


# ---- 17.2


class ProductSquares:
    """`coefficients`: (terms, T), those of V_t(X). Without `updates`, `weights` has those of every step.

    rows   how rows lie in inputs and deltas; default: as records
    """

    def __init__(self, name, weights, inputs, deltas, updates, exponent, rows=None):
        self.name, self.base = name, inputs.base
        self.w, self.a, self.d = (own.tensor for own in (weights, inputs, deltas))
        self.moved = updates and updates.tensor
        self.of_a, self.of_d = rows or (Records(self.a.shape), Records(self.d.shape))
        self.steps = self.d.shape[0]
        self.stride = next(stride for stride in range(1, 60) if self.base**stride == weights.base)
        self.factor = power_of_two(exponent, self.base)
        self.index = self.w.shape if updates else self.w.shape[1:]
        of_step = [self.of_entry(t) for t in range(self.steps)]
        self.terms = max(map(len, of_step))
        self.low_bits = [self.chunk_bits(max(map(magnitude, own))) for own in of_step]
        entries = self.index[0] * prod(2 ** bits_of(n) for n in self.index[1:])
        chunks = [-(-entries // 2**k) for k in self.low_bits]
        self.committed = [
            committed(f"{name}: step {t}", 60, (self.terms, count), signed=True) for t, count in enumerate(chunks)
        ]
        self.coefficients = self.sums(max(chunks))

    def of_entry(self, t):
        """(w_t g_t)^2 at one entry."""
        rows = prod(self.of_d.index)
        g = multiple(convolution(self.d.digits, self.a.digits), rows)
        w = [digit for one in self.w.digits for digit in [one, *[(0, 0)] * (self.stride - 1)]]
        w = convolution([(c, c) for c in self.factor], w[: len(w) - self.stride + 1])
        if self.earlier(t):
            moved = multiple(convolution(self.moved.digits, self.a.digits), -t * rows)
            w = [plus(x, y) for x, y in zip_longest(w, moved, fillvalue=(0, 0))]
        both = convolution(w, g)
        return convolution(both, both)

    def earlier(self, t):
        """How many updates w_t has."""
        return t if self.moved else 0

    def chunk_bits(self, largest):
        sound(largest <= COEFFICIENT, self.name)
        return max(k for k in range(bits(self.index) + 1) if largest * 2**k <= COEFFICIENT)

    def sums(self, chunks):
        every = self.committed[0]
        digits = [times(digit, chunks) for digit in every.digits]
        shape = (self.terms, self.steps)
        interval = times(every.interval, chunks)
        return Tensor(f"{self.name}: coefficients", shape, digits, interval, [], tuple(self.committed), self.reduce)

    def reduce(self, ledger, tensor):
        claims = ledger.take(tensor)
        if not claims:
            return
        combined = ledger.combination(tensor, claims)
        value = total(power * claim.value for power, claim in combined)
        r, e = ledger.sumcheck(tensor.name, bits(tensor.shape), 2, value)
        points = split(tensor.shape, r)
        weights = weights_at(combined, points, len(tensor.digits))
        y, tau = eqs(tensor.shape, points)
        terms = []
        for weight, own in zip(tau.weights, self.committed, strict=True):
            axes = [y, Axis([ONE] * own.shape[1], is_point=True)]
            mu = [weight * w for w in weights]
            terms += [Weights(column, axes, scale) for (column, _), scale in zip(own.columns, mu, strict=True)]
            e = e + offset(own, axes, mu)
        ledger.on_vector.append((terms, e))

    @property
    def component(self):
        tensors = [*self.committed, self.w, self.a, self.d, *([self.moved] if self.moved else []), self.coefficients]
        return Component(tensors, self.verify)

    def verify(self, ledger):
        gamma = ledger.challenge(f"{self.name}: gamma", self.terms - 1)
        for t in range(self.steps):
            self.verify_step(ledger, t, gamma)

    def verify_step(self, ledger, t, gamma):
        name, own, low = self.name, self.committed[t], self.low_bits[t]
        z = ledger.challenges(f"{name}: point", 1, bits_of(own.shape[1]))
        (value,) = ledger.hidden(f"{name}: sum", 1)
        in_base = [K(2 ** (16 * j)) for j in range(len(own.digits))]
        ledger.claim(own, [Axis(powers(gamma, self.terms), is_point=True), eq(own.shape[1], z)], in_base, value)
        r, e = ledger.sumcheck(name, bits(self.index), 4, value * HALF**low, [HALF] * low + z)
        earlier = self.earlier(t)
        w, g, both, *moved = ledger.hidden(f"{name}: factors", 4 if earlier else 3)
        ledger.equation(f"{name}: product of the factors", w * g - both)
        ledger.equation(f"{name}: square of the product", e - both * both)
        (moved,) = moved or [ZERO]
        at = eqs(self.index, split(self.index, r))
        scale = of_gamma(self.factor, gamma)
        mu = [scale * gamma ** (self.stride * j) for j in range(len(self.w.digits))]
        of_step = [] if self.moved else [Axis([ONE if step == t else ZERO for step in range(self.steps)])]
        ledger.claim(self.w, [*of_step, *at], mu, w + moved)
        mix = ledger.challenge(f"{name}: mix", 1) if earlier else ONE
        self.verify_records(ledger, t, gamma, mix, moved + mix * g, at)

    def verify_records(self, ledger, t, gamma, mix, claim, at):
        name, earlier = f"{self.name}: records", self.earlier(t)
        index = (earlier + 1, *self.of_d.index)
        point, e = ledger.sumcheck(name, bits(index), 2, claim)
        left, right, *own = ledger.hidden(f"{name}: factors", 3 if earlier else 2)
        ledger.equation(f"{name}: product of the factors", e - left * right)
        q, *row = eqs(index, split(index, point))
        (own,) = own or [left]
        passes = [ZERO] * self.a.shape[0]
        passes[self.steps : self.steps + earlier] = q.weights[:earlier]
        passes[t] = mix * q.weights[earlier]
        of_step = Axis([q.weights[earlier] if step == t else ZERO for step in range(self.steps)])
        outputs = [at[0], *(eq(1, []) for _ in self.of_d.entries[1:])]
        ledger.claim(self.a, [Axis(passes), *self.of_a.axes(row, at[1:])], powers(gamma, len(self.a.digits)), right)
        ledger.claim(self.d, [of_step, *self.of_d.axes(row, outputs)], powers(gamma, len(self.d.digits)), own)
        if earlier:
            before = Axis(q.weights[:t] + [ZERO] * (self.steps - 1 - t))
            mu = powers(gamma, len(self.moved.digits))
            ledger.claim(self.moved, [before, *self.of_d.axes(row, outputs)], mu, left - own)


# ---- 17.3


class Records:
    """The rows of (steps, B, *record)."""

    def __init__(self, shape):
        self.index, self.entries = (shape[1],), shape[2:]

    def axes(self, row, entry):
        return [*row, *entry]


class GramSquares:
    """`coefficients`: (terms, T), those of Q_t(X), committed.

    of_a, of_d   how rows lie in a step: `index` and `entries`, their shapes; `axes`, the weights at points of both
    """

    def __init__(self, name, inputs, deltas, of_a, of_d):
        self.name, self.base, self.a, self.d = name, inputs.base, inputs.tensor, deltas.tensor
        self.of_a, self.of_d = of_a, of_d
        self.steps, self.index = self.d.shape[0], of_d.index
        g = multiple(convolution(self.d.digits, self.a.digits), prod(self.index))
        of_entry = convolution(g, g)
        largest = prod(of_d.entries) * prod(of_a.entries) * max(map(magnitude, of_entry))
        self.fits = largest <= COEFFICIENT
        shape = (len(of_entry), self.steps)
        self.coefficients = committed(f"{name}: coefficients", 60, shape, signed=True)

    @property
    def component(self):
        return Component([self.coefficients, self.d, self.a], self.verify)

    def verify(self, ledger):
        sound(self.fits, self.name)
        name, shape = self.name, (self.steps, *self.index, *self.index)
        terms, _ = self.coefficients.shape
        gamma = ledger.challenge(f"{name}: gamma", terms - 1)
        tau = ledger.challenges(f"{name}: point", 1, bits_of(self.steps))
        (value,) = ledger.hidden(f"{name}: sum", 1)
        axes = [Axis(powers(gamma, terms), is_point=True), eq(self.steps, tau)]
        ledger.claim(self.coefficients, axes, value_weights(self.coefficients), value)
        low = bits(shape[1:])
        point, e = ledger.sumcheck(name, bits(shape), 2, value * HALF**low, [HALF] * low + tau)
        factors = ledger.hidden(f"{name}: factors", 2)
        ledger.equation(f"{name}: product of the factors", e - factors[0] * factors[1])
        step, *rows = split(shape, point)
        rows = rows[: len(self.index)], rows[len(self.index) :]
        for digits, view, claim in zip((self.d, self.a), (self.of_d, self.of_a), factors, strict=True):
            self.verify_gram(ledger, digits, view, claim, (step, rows), gamma)

    def verify_gram(self, ledger, digits, view, claim, points, gamma):
        (step, rows), name, inner = points, f"{self.name}: {digits.name}", view.entries
        low = bits(inner)
        point, e = ledger.sumcheck(name, bits((self.steps, *inner)), 2, claim * HALF**low, [HALF] * low + step)
        values = ledger.hidden(f"{name}: factors", 2)
        ledger.equation(f"{name}: product of the factors", e - values[0] * values[1])
        step, *rest = eqs((self.steps, *inner), split((self.steps, *inner), point))
        passes = Axis(step.weights + [ZERO] * (digits.shape[0] - self.steps), is_point=digits.shape[0] == self.steps)
        for row, value in zip(rows, values, strict=True):
            axes = view.axes(eqs(self.index, row), rest)
            ledger.claim(digits, [passes, *axes], powers(gamma, len(digits.digits)), value)
