"""Windows of average pools: docs/specification/certificate.md, section 16.4, and the manual of torch."""

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
