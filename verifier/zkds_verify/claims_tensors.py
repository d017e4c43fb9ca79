"""Virtual tensors, and how claims on them become claims on what they are made of.

Written from docs/specification, section 16.
"""

from zkds_verify.claims_ledger import Axis, bits, eqs, product_of_totals, split, total, weights_at, windows
from zkds_verify.field import ONE, ZERO
from zkds_verify.shape_gadgets import base_digits
from zkds_verify.shape_plans import Tensor, columnwise, plus, shifted, times, with_zero


def linear(name, shape, digits, interval, sources, terms):
    """terms(claim): [(source, axes, mu)], whose sums and a constant add up to the claim's value; and the constant."""

    def reduce(ledger, tensor):
        for claim in ledger.one_if_many(tensor, ledger.take(tensor)):
            found, constant = terms(claim)
            values = list(ledger.hidden(f"{name}: shares", len(found) - 1)) if len(found) > 1 else []
            values.append(claim.value - constant - total(values))
            for term, value in zip(found, values, strict=True):
                ledger.claim(*term, value)

    return Tensor(name, tuple(shape), list(digits), interval, [], tuple(sources), reduce)


def sum_of(name, addends):
    """sum of sign 2^shift source; addends: (source, shift, sign)."""

    def terms(claim):
        found = []
        for source, shift, sign in addends:
            mu = claim.mu[shift // 16 : shift // 16 + len(source.digits)]
            found.append((source, claim.axes, [w * (sign * 2 ** (shift % 16)) for w in mu]))
        return found, ZERO

    digits = columnwise(plus, [shifted(source.digits, shift, sign) for source, shift, sign in addends])
    interval = plus(*(times(source.interval, sign * 2**shift) for source, shift, sign in addends))
    sources = [source for source, _, _ in addends]
    return linear(name, sources[0].shape, digits, interval, sources, terms)


def affine(name, addends, constant, interval=None):
    """constant + sum of coefficient source; addends: (source, coefficient)."""

    def terms(claim):
        found = []
        for source, coefficient in addends:
            parts = list(enumerate(base_digits(coefficient)))
            mu = [total(part * claim.mu[j + s] for s, part in parts) for j in range(len(source.digits))]
            found.append((source, claim.axes, mu))
        lowest = total(part * claim.mu[s] for s, part in enumerate(base_digits(constant)))
        return found, lowest * product_of_totals(claim.axes)

    parts = [[(0, 0)], [(part, part) for part in base_digits(constant)]]
    for source, coefficient in addends:
        for s, part in enumerate(base_digits(coefficient) or [0]):
            parts.append([(0, 0)] * s + [times(digit, part) for digit in source.digits])
    value = plus((constant, constant), *(times(source.interval, coefficient) for source, coefficient in addends))
    sources = [source for source, _ in addends]
    return linear(name, sources[0].shape, columnwise(plus, parts), interval or value, sources, terms)


def masked(name, mask, values, window=(1, 1), digits=None, interval=None):
    """mask * values, each value repeated over a window of so many rows and columns."""

    def reduce(ledger, tensor):
        claims = ledger.take(tensor)
        if not claims:
            return
        combined = ledger.combination(tensor, claims)
        r, e = ledger.sumcheck(name, bits(mask.shape), 3, total(power * claim.value for power, claim in combined))
        m, y = ledger.hidden(f"{name}: factors", 2)
        ledger.equation(f"{name}: product of the factors", e - m * y)
        points = split(mask.shape, r)
        axes = eqs(mask.shape, points)
        ledger.claim(mask, axes, [ONE], m)
        ledger.claim(values, pooled(axes, window), weights_at(combined, points, len(tensor.digits)), y)

    digits = [with_zero(digit) for digit in digits or values.digits]
    return Tensor(name, mask.shape, digits, with_zero(interval or values.interval), [], (mask, values), reduce)


def pooled(axes, window):
    """Weights on values, from those on their repetitions."""
    if window == (1, 1):
        return axes
    return [*axes[:3], *(Axis(windows(axis, size)[0]) for axis, size in zip(axes[3:], window, strict=True))]


def repeated(axes, window):
    """Weights on entries, from those on the sums over their windows."""
    last = (Axis(w for w in axis.weights for _ in range(size)) for axis, size in zip(axes[3:], window, strict=True))
    return [*axes[:3], *last]
