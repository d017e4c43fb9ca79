"""Average pools entry by entry, on Fractions and Python ints, written from docs/fixed-point.md and the manual of torch."""

from collections import defaultdict
from fractions import Fraction
from math import floor

from zkds_verify.operators.average_windows import common_divisor


def average_pool(image, rows, columns):
    """The divisor times the means of one image, a list of rows of ints: exact, as {(h, w): int}."""
    divisor, sums = common_divisor(rows, columns), {}
    for h, (ys, row_count) in enumerate(rows):
        for w, (xs, column_count) in enumerate(columns):
            mean = Fraction(sum(image[y][x] for y in ys for x in xs), row_count * column_count)
            assert (mean * divisor).denominator == 1
            sums[h, w] = int(mean * divisor)
    return sums


def average_pool_backward(deltas, rows, columns):
    """The divisor times the deltas of the entries, from those of the means, {(h, w): int}: 0 for entries in no window."""
    divisor, found = common_divisor(rows, columns), defaultdict(int)
    for h, (ys, row_count) in enumerate(rows):
        for w, (xs, column_count) in enumerate(columns):
            for y in ys:
                for x in xs:
                    found[y, x] += deltas[h, w] * divisor // (row_count * column_count)
    return found


def rounded_quotient(dividend, divisor):
    """(the nearest integer to the quotient, halves up; what is left of dividend + floor(divisor / 2))"""
    value = floor(Fraction(dividend, divisor) + Fraction(1, 2))
    return value, dividend + divisor // 2 - value * divisor
