"""The tables that lookups name: docs/fixed-point.md, "Tables"; integers alone, with 200 bits behind the point."""

from functools import cache

from zkds_verify.lookup import Explicit, Range
from zkds_verify.operators.smooth import derivative_rows, unit_rows, value_rows

BITS = 200
ONE = 1 << BITS


def to_nearest(value, bits):
    """Of a number with BITS fractional bits, with so many."""
    return (value + (1 << BITS - bits - 1)) >> BITS - bits


def exponential(numerator, denominator):
    """exp(-numerator / denominator), by its series for a 256th and squares; below 2^-180 off."""
    x, term, total, k = (numerator << BITS) // denominator >> 8, ONE, ONE, 0
    while term:
        k += 1
        term = -(term * x >> BITS) // k
        total += term
    for _ in range(8):
        total = total * total >> BITS
    return total


def exponential_rows(count, denominator, bits):
    """exp(-k / denominator), k < count, as powers of the first."""
    base, value, rows = exponential(1, denominator), ONE, []
    for k in range(count):
        entry = to_nearest(value, bits)
        rows.append((k, entry % 2**32, entry >> 32))
        value = value * base >> BITS
    return rows


def log_ratio(a, b):
    """ln(a / b) = 2 artanh((a - b) / (a + b)) of integers close to each other."""
    x = ((a - b) << BITS) // (a + b)
    square, term, total, k = x * x >> BITS, x, 0, 1
    while term:
        total += term // k
        term, k = term * square >> BITS, k + 2
    return 2 * total


def log_rows():
    """LOGT[c] = -ln(INV[c] / 2^32), INV[c] = ceil(2^48 / (2^16 + c)); INV[0] = 2^32."""
    before, value, rows = 2**32, 0, []
    for c in range(2**16):
        inverse = -(-(2**48) // (2**16 + c))
        value += log_ratio(before, inverse)
        before = inverse
        entry = to_nearest(value, 48)
        rows.append((c, entry % 2**32, entry >> 32))
    return rows


@cache
def table(name):
    """("range", bits), ("sign", bits of the top limb), ("below", rows) or one of those named in sections 16.12 and 18."""
    if isinstance(name, str):
        return Explicit(NAMED[name]())
    kind, *parameters = name
    return KINDS[kind](*parameters)


def signs(bits):
    return Explicit([(u, u >> bits - 1) for u in range(1 << bits)])


NAMED = {
    "EXP_LO": lambda: exponential_rows(2**16, 2**32, 48),
    "EXP_HI": lambda: exponential_rows(2**16, 2**16, 48),
    "EXP_INT": lambda: exponential_rows(2**12, 1, 58),
    "LOGT": log_rows,
    "2^b": lambda: [(b, 2**b) for b in range(16)],
}
KINDS = {
    "range": Range,
    "sign": signs,
    "below": lambda rows: Explicit([(row,) for row in range(rows)]),
    "unit": lambda bound, identity: Explicit(unit_rows(bound, identity)),
    "derivatives": lambda name: Explicit(derivative_rows(name)),
    "values": lambda name: Explicit(value_rows(name)),
}
