"""Batch norm in evaluation mode once more: one number at a time, in Python ints, written from docs/fixed-point.md."""

from fractions import Fraction
from itertools import product


def rounded(value, shift):
    """(quotient, remainder)"""
    return divmod(value + 2 ** (shift - 1), 2**shift)


def inverse_deviation(variance, eps):
    """The integer r with r - 1/2 <= 2^32 / sqrt(variance + eps) < r + 1/2, by bisection."""
    total = Fraction(variance) + Fraction(eps)
    low, high = 0, 2**64
    while low < high:  # the least r with 2^32 / sqrt(total) < r + 1/2
        middle = (low + high) // 2
        if Fraction(2**64) < (middle + Fraction(1, 2)) ** 2 * total:
            high = middle
        else:
            low = middle + 1
    return low


def forward(x, x_bits, gamma, beta, mean, r):
    """({o: (c, remainder)}, {index: (y, remainder)}) of x {(b, o, i, j): integer}; everything else {o: integer}."""
    scale = {o: rounded(gamma[o] * r[o], 40) for o in gamma}
    y = {}
    for index, value in x.items():
        o = index[1]
        total = scale[o][0] * (value - 2 ** (x_bits - 32) * mean[o]) + 2 ** (x_bits - 8) * beta[o]
        y[index] = rounded(total, x_bits)
    return scale, y


def backward(x, x_bits, scale, mean, r, delta, delta_bits, extra_bits, bits):
    """dx {index: (value, remainder)}; dc, dgamma, dbeta {o: (value, remainder)}, the last two with `bits` fractional bits.

    delta has delta_bits + extra_bits fractional bits, dx delta_bits.
    """
    dx = {index: rounded(scale[index[1]] * value, 32 + extra_bits) for index, value in delta.items()}
    products = dict.fromkeys(scale, 0)
    sums = dict.fromkeys(scale, 0)
    for index, value in delta.items():
        products[index[1]] += value * (x[index] - 2 ** (x_bits - 32) * mean[index[1]])
        sums[index[1]] += value
    dc = {o: rounded(total, x_bits + delta_bits + extra_bits - 48) for o, total in products.items()}
    dgamma = {o: rounded(r[o] * dc[o][0], 80 - bits) for o in scale}
    dbeta = {o: rounded(2**32 * total, 32 + delta_bits + extra_bits - bits) for o, total in sums.items()}
    return dx, dc, dgamma, dbeta


def entries(values):
    """An array as {index: integer}, of one axis {o: integer}."""
    indices = product(*map(range, values.shape))
    return {index if len(index) > 1 else index[0]: int(values[index]) for index in indices}
