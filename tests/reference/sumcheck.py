"""A slow sumcheck prover on lists of K: round polynomials from their values at 0, ..., d, one entry at a time."""

from math import comb, factorial

from zkds.field import ONE, ZERO, K

BINDING_ORDERS = {0: [], 1: [0], 2: [0, 1], 3: [0, 1, 2], 4: [3, 0, 1, 2], 5: [3, 4, 0, 1, 2], 6: [3, 4, 5, 0, 1, 2]}


def binding_order(variables):
    return BINDING_ORDERS.get(variables) or [*range(3, variables), 0, 1, 2]


def bind(values, position, r):
    """The list with the index bit at `position` bound to r."""
    stride = 1 << position
    lows = [x for x in range(len(values)) if not x & stride]
    return [values[x] * (1 - r) + values[x | stride] * r for x in lows]


def term_sum(values, terms):
    """sum_t coefficient_t prod_j values[j]"""
    total = ZERO
    for coefficient, factors in terms:
        product = coefficient
        for j in factors:
            product = product * values[j]
        total = total + product
    return total


def eq(point, index):
    product = ONE
    for k, z in enumerate(point):
        product = product * (z if index >> k & 1 else 1 - z)
    return product


def full_sum(tables, terms, eq_point=None):
    total = ZERO
    for x in range(len(tables[0])):
        total = total + term_sum([table[x] for table in tables], terms) * (ONE if eq_point is None else eq(eq_point, x))
    return total


def prove(tables, terms, eq_point, draw):
    """`draw(message)` returns the challenge of a round. Returns (point, finals)."""
    variables = len(tables[0]).bit_length() - 1
    degree = max(len(factors) for _, factors in terms)
    remaining = list(range(variables))
    point = [ZERO] * variables
    for bit in binding_order(variables):
        position = remaining.index(bit)
        remaining.remove(bit)
        rest = None if eq_point is None else [eq_point[b] for b in remaining]
        h = [full_sum([bind(table, position, K(node)) for table in tables], terms, rest) for node in range(degree + 1)]
        leading = ZERO
        for node in range(degree + 1):
            leading = leading + h[node] * (comb(degree, node) * (-1) ** (degree - node))
        leading = leading * K(factorial(degree)).inverse()
        r = draw([h[0], *([leading] if degree >= 2 else []), *h[2:degree]])
        tables = [bind(table, position, r) for table in tables]
        point[bit] = r
    return tuple(point), [table[0] for table in tables]
