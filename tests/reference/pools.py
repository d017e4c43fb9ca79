"""Average pools entry by entry, on Fractions and Python ints, written from docs/fixed-point.md and the manual of torch."""

from collections import defaultdict
from fractions import Fraction
from math import ceil, floor, lcm


def sliding_windows(length, kernel, stride, padding, ceil_mode, count_include_pad):
    """[(entries inside, what the sum is divided by)]: every position of every window, on the padded axis, one by one."""
    last = Fraction(length + 2 * padding - kernel, stride)
    windows = []
    for k in range((ceil(last) if ceil_mode else floor(last)) + 1):
        places = [k * stride + i - padding for i in range(kernel)]
        if ceil_mode and places[0] >= length:  # would begin in the right padding or behind it
            continue
        inside = [place for place in places if 0 <= place < length]
        in_padding = [place for place in places if place not in inside and -padding <= place < length + padding]
        windows.append((inside, len(inside) + (len(in_padding) if count_include_pad else 0)))
    return windows


def adaptive_windows(length, outputs):
    windows = []
    for k in range(outputs):
        inside = [i for i in range(length) if i + 1 > Fraction(k * length, outputs) and i < Fraction((k + 1) * length, outputs)]
        windows.append((inside, len(inside)))
    return windows


def common_divisor(rows, columns):
    return lcm(*(count for _, count in rows)) * lcm(*(count for _, count in columns))


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
