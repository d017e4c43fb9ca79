"""Slow twins of the lookup argument: leaves, trees of fractions and multilinear extensions, one element at a time."""

from zkds.field import ONE, ZERO, K


def fingerprint(beta, tag, row):
    """v0 + beta tag + beta^2 v1 + beta^3 v2"""
    total = K(row[0]) + beta * tag
    for power, value in enumerate(row[1:], start=2):
        total = total + beta**power * value
    return total


def parents(p, q):
    """The level above: the children of a node differ in index bit min(3, k - 1)."""
    stride = min(8, len(q) // 2)
    p_out, q_out = [], []
    for x in range(len(q)):
        if not x & stride:
            p_out.append(p[x] * q[x + stride] + p[x + stride] * q[x])
            q_out.append(q[x] * q[x + stride])
    return p_out, q_out


def root(p, q):
    while len(q) > 1:
        p, q = parents(p, q)
    return p[0], q[0]


def extension(values, point):
    """The multilinear extension of a list of 2^n elements."""
    layer = list(values)
    for z in point:
        layer = [low * (1 - z) + high * z for low, high in zip(layer[::2], layer[1::2], strict=True)]
    return layer[0]


def children(values):
    """The children of every parent of a level: (list of child 0, list of child 1)."""
    stride = min(8, len(values) // 2)
    lows = [x for x in range(len(values)) if not x & stride]
    return [values[x] for x in lows], [values[x + stride] for x in lows]


def layer_round(tables, term, point, bit):
    """h(0) and the coefficient of X^2 of the round that binds `bit`, nothing being bound yet.

    tables of 2^n elements, term(p0, p1, q0, q1); each x is weighted with eq of all other coordinates.
    """
    at_zero = at_infinity = ZERO
    for x in range(len(tables[0])):
        if x >> bit & 1:
            continue
        weight = ONE
        for b, z in enumerate(point):
            if b != bit:
                weight = weight * (z if x >> b & 1 else 1 - z)
        low = [table[x] for table in tables]
        slope = [table[x | 1 << bit] - table[x] for table in tables]
        at_zero = at_zero + weight * term(*low)
        at_infinity = at_infinity + weight * term(*slope)
    return at_zero, at_infinity


def fold(values, bit, r):
    return [values[x] * (1 - r) + values[x | 1 << bit] * r for x in range(len(values)) if not x >> bit & 1]
