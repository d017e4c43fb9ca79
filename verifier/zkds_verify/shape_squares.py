"""The rounded sums of squares of an implicit weight: docs/specification/certificate.md, sections 16.16 and 17.4.

Written from the specification.
"""

from zkds_verify.circuit import ranges
from zkds_verify.claims_blocks import Block
from zkds_verify.claims_ledger import Axis, total
from zkds_verify.claims_squares import Balanced, GramSquares, ProductSquares, Records, balanced, decomposition
from zkds_verify.claims_tensors import linear
from zkds_verify.components import Component, carry_weights, digit_weights
from zkds_verify.field import ZERO
from zkds_verify.shape_gadgets import Identity, Implicit, Operand, entry, intervals, minus, number, scaled
from zkds_verify.shape_plans import committed, hull, magnitude, plan, plus, times

WIDTH = 112


class LayerSquares:
    """`components` in order; `weight`: what norms need."""

    def __init__(self, s, layer, prefix):
        weight, a, d, patches, own, ib, db = layer
        name, outputs = weight.name, weight.shape[0]
        if weight.rounded:
            inputs = balanced(f"{name}: input digits", 3, whole(a), (s.T, *a.shape[1:]))
            deltas = balanced(f"{name}: delta digits", 3, whole(d), (s.T, *d.shape[1:]))
            gram = GramSquares(f"{name}: gradient", inputs, deltas, patches, own)
        elif s.adaptive:
            inputs = balanced(f"{name}: input digits", 3, whole(a), a.shape)
            deltas = balanced(f"{name}: delta digits", 3, dense(d), (s.T, s.B, outputs))
            gram = GramSquares(f"{name}: gradient", inputs, deltas, Records(a.shape), Records(deltas.tensor.shape))
        else:
            for base in (256, 128, 64, 32, 16, 8, 4, 3):
                inputs = balanced(f"{name}: input digits", base, whole(a), (s.T, *a.shape[1:]))
                deltas = balanced(f"{name}: delta digits", base, whole(d), (s.T, *d.shape[1:]))
                gram = GramSquares(f"{name}: gradient", inputs, deltas, patches, own)
                if gram.fits:
                    break
        digits, parts, values = [inputs, deltas], [gram], [RoundedValue(f"{name}: squares", gram, 2 * (db + ib))]
        if weight.rounded:
            weights = Balanced(weight.digits, weight.base, None)
            products = ProductSquares(f"{name}: scaled gradient", weights, inputs, deltas, None, 0, (patches, own))
            parts.append(products)
            values.append(RoundedValue(f"{name}: scaled squares", products, 2 * (40 + db + ib)))
        elif s.adaptive:
            start = Balanced(weight.digits, 81, None)
            if weight.digits is None:
                start = balanced(f"{name}: start digits", 81, whole(weight.start), weight.shape)
                digits.append(start)
            updates = balanced(f"{name}: update digits", 3, dense(weight.update), (s.T - 1, s.B, outputs))
            products = ProductSquares(f"{name}: scaled gradient", start, inputs, deltas, updates, ib - 2)
            digits.append(updates)
            parts.append(products)
            values.append(RoundedValue(f"{name}: scaled squares", products, 2 * (38 + db + 2 * ib)))
        self.components = [decomposition(f"{name}: digits", digits), *(part.component for part in parts), rounded(values)]
        squares = dict(zip((False, True), (value.expression for value in values), strict=False))
        self.weight = Implicit(name.removeprefix(prefix), d, weight.perturbation, 34 + db, squares)


def whole(tensor):
    return Operand(tensor, tuple(range(len(tensor.shape))))


def dense(tensor):
    """(steps or passes, B, M, 1, 1) without its last two axes."""
    return Operand(tensor, (0, 1, 2, [1], [1]))


class RoundedValue:
    """round(sum_m base^m coefficients[m, t] / 2^shift): `tensors`, `identities`; `expression`, the value over (T,)."""

    def __init__(self, name, sums, shift):
        coefficients, pad = sums.coefficients, -shift % 16
        terms, steps = coefficients.shape
        s = (shift + pad) // 16
        digits = [base_digits(2**pad * sums.base**m) for m in range(terms)]
        self.name, kept = name, s + WIDTH // 16
        count = 1 + max(kept, *map(len, digits))
        y = digit_sums(f"{name}: digit sums", coefficients, digits, count)
        r = committed(f"{name}: digits", 16, (kept, steps))
        low = committed(f"{name}: carries, low", 48, (count - 1, steps))
        largest = (magnitude(y.interval) + 2**16) // (2**16 - 1) + 2
        width = max(2, largest.bit_length() - 48 + 1)
        high = committed(f"{name}: carries, high", width, (count - 1, steps), signed=True)
        self.tensors = [r, low, high]
        firsts = sorted({0, 1, s - 1, s, kept, count - 1})
        self.identities = []
        for first, end in zip(firsts, [*firsts[1:], count], strict=True):

            def row(tensor, start):
                return entry(tensor, ("from", 0, start), 1)

            def carry(start, row=row):
                return row(low, start) + scaled(row(high, start), 2**48)

            exact = row(y, first) + (number(2**15) if first == s - 1 else [])
            exact += carry(first - 1) if first else []
            exact = minus(exact, row(r, first)) if first < kept else exact
            exact = minus(exact, scaled(carry(first), 2**16)) if first < count - 1 else exact
            shape, label = (end - first, steps), f"{name}: digits from {first}"
            self.identities.append(Identity(label, shape, exact, *plan(label, *intervals(exact), shape)))
        one = [[int(i == s + j) for i in range(kept)] for j in range(WIDTH // 16)]
        self.expression = [term for j, weights in enumerate(one) for term in scaled(entry(r, weights, 0), 2 ** (16 * j))]


def base_digits(number):
    return [number >> 16 * j & 0xFFFF for j in range(-(-number.bit_length() // 16))]


def digit_sums(name, coefficients, digits, count):
    """y_j = sum_m k_mj C_m, j < count."""
    by_row = [[own[j] if j < len(own) else 0 for own in digits] for j in range(count)]

    def of_rows(interval):
        return hull(*(plus(*(times(interval, k) for k in row)) for row in by_row))

    def terms(claim):
        rows, steps = claim.axes
        own = Axis(total(w * row[m] for w, row in zip(rows.weights, by_row, strict=True)) for m in range(len(digits)))
        return [(coefficients, [own, steps], claim.mu)], ZERO

    intervals = [of_rows(digit) for digit in coefficients.digits]
    shape = (count, coefficients.shape[1])
    return linear(name, shape, intervals, of_rows(coefficients.interval), [coefficients], terms)


def rounded(values):
    """A block for each."""
    own = [tensor for value in values for tensor in value.tensors]
    carries = [[carry for identity in value.identities for carry in identity.carries] for value in values]
    tensors = list(own)
    for value, of_block in zip(values, carries, strict=True):
        tensors += of_block
        tensors += [operand.tensor for identity in value.identities for _, factors, _ in identity.terms for operand in factors]

    def verify(ledger):
        for value in values:
            Block(ledger, value.name, value.identities, digit_weights, carry_weights).verify()

    return Component(tensors, verify, ranges([*own, *(carry for of_block in carries for carry in of_block)]))
