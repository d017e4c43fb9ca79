"""Slow twins of the sums of squares (zkds/identities/{balanced_digits,product_squares,gram_squares}.py), on Python integers."""

from __future__ import annotations

import itertools


def digits_of(value, base, count):
    """Balanced digits, lowest first: each is what the value is modulo the base, from -floor(base / 2)."""
    digits = []
    for _ in range(count):
        digit = next(d for d in range(-(base // 2), base - base // 2) if (value - d) % base == 0)
        digits.append(digit)
        value = (value - digit) // base
    assert value == 0
    return digits


def times(left, right):
    result = [0] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            result[i + j] += a * b
    return result


def plus(left, right):
    return [a + b for a, b in itertools.zip_longest(left, right, fillvalue=0)]


def at(polynomial, x):
    return sum(c * x**m for m, c in enumerate(polynomial))


def spread(polynomial, stride):
    result = [0] * (stride * (len(polynomial) - 1) + 1)
    result[::stride] = polynomial
    return result


def entries(shape):
    """(index, number in the padded index) of every entry."""
    bits = [(length - 1).bit_length() for length in shape]
    for index in itertools.product(*map(range, shape)):
        number = 0
        for i, b in zip(index, bits, strict=True):
            number = (number << b) + i
        yield index, number


def gradient(a, d, step, index):
    """g_t(X) at one entry; a[p][s][k], d[t][s][o]: polynomials by their index."""
    row, inner = index[0], index[1:]
    total = [0]
    for s in range(d.shape[1]):
        total = plus(total, times(d[step, s, row], a[(step, s, *inner)]))
    return total


def weight(w, a, D, steps, step, index, scale, stride):
    """w_t(X) at one entry."""
    row, inner = index[0], index[1:]
    total = times(scale, spread(w[index], stride))
    for u in range(step):
        for s in range(D.shape[1]):
            total = plus(total, [-c for c in times(D[u, s, row], a[(steps + u, s, *inner)])])
    return total


def product_squares(w, a, d, D, step, scale, stride, chunk_log):
    """{chunk: coefficients of the sum of (w_t g_t)^2 over it}."""
    chunks = {}
    for index, number in entries(w.shape):
        product = times(weight(w, a, D, d.shape[0], step, index, scale, stride), gradient(a, d, step, index))
        chunk = number >> chunk_log
        chunks[chunk] = plus(chunks.get(chunk, [0]), times(product, product))
    return chunks


def gram_squares(a, d, step, shape):
    """The coefficients of the sum of g_t^2."""
    total = [0]
    for index, _ in entries(shape):
        g = gradient(a, d, step, index)
        total = plus(total, times(g, g))
    return total
