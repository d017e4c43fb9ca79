"""Sumcheck: docs/specification/proof-system.md, section 5."""

from functools import cache

from zkds_verify.field import ONE, ZERO, K
from zkds_verify.rejection import require


def binding_order(variables):
    return range(variables) if variables <= 3 else [*range(3, variables), 0, 1, 2]


def sumcheck(channel, name, variables, degree, claim, eq_point=None):
    """The point, by index bit, and the last claim."""
    if eq_point is not None:
        require(all(eq_point[:variables]), f"{name}: eq point has a zero coordinate")
    point = [ZERO] * variables
    for bit in binding_order(variables):
        message = channel.hidden(f"{name}: round polynomial", degree)
        r = point[bit] = channel.challenge(f"{name}: sumcheck round", degree)
        one = claim - message[0]
        if eq_point is not None:
            one = (claim - (1 - eq_point[bit]) * message[0]) * eq_point[bit].inverse()
        claim = interpolate([message[0], one, *message[2:]], message[1] if degree > 1 else None, degree, r)
    return point, claim


def interpolate(values, leading, degree, r):
    """h(r) of h with h(0), h(1), ..., of this degree and with this leading coefficient; of degree 1, of two values."""
    if degree == 1:
        return values[0] + r * (values[1] - values[0])
    result, last = ZERO, ONE
    for j in range(degree):
        basis = K(lagrange(degree, j))
        for k in range(degree):
            if k != j:
                basis = basis * (r - k)
        result = result + values[j] * basis
        last = last * (r - j)
    return result + leading * last


@cache
def lagrange(degree, j):
    """1 / prod of j - k"""
    product = 1
    for k in range(degree):
        product *= j - k if k != j else 1
    return K(product).inverse().re
