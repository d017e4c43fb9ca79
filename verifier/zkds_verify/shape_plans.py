"""Tensors, exact intervals and the plans of identities: written from docs/specification, section 3."""

from collections import namedtuple
from functools import cache
from itertools import zip_longest

from zkds_verify.field import P
from zkds_verify.rejection import sound

MOST_DIGITS, MOST_BITS = 12, 60

# columns: (name, width), width None: no range check; none of a virtual tensor, which is made of `sources`, to claims on which
# `reduce(ledger, tensor)` turns those on it. Digit j is a limb times 2^((limb - 16) j).
# separate: claims on a committed one that stay apart.
FIELDS = "name shape digits interval columns sources reduce limb separate"
Tensor = namedtuple("Tensor", FIELDS, defaults=((), None, 16, 8))


def plus(*intervals):
    return (sum(low for low, _ in intervals), sum(high for _, high in intervals))


def times(interval, factor):
    low, high = interval
    return (low * factor, high * factor) if factor >= 0 else (high * factor, low * factor)


def multiply(a, b):
    corners = [x * y for x in a for y in b]
    return (min(corners), max(corners))


def with_zero(interval):
    return (min(interval[0], 0), max(interval[1], 0))


def magnitude(interval):
    return max(map(abs, interval))


def get(digits, j):
    return digits[j] if 0 <= j < len(digits) else (0, 0)


def widths(width, limb):
    return [limb] * ((width - 1) // limb) + [width - (width - 1) // limb * limb]


def committed(name, width, shape, *, signed=False, limb=16, checked=True):
    """A tensor of the format (limb, width, signed), or (16, width, signed) if it has no fewer limbs then."""
    sound(1 <= width <= MOST_BITS, name)
    if limb > 16 and -(-width // limb) == -(-width // 16):
        limb = 16
    bits = widths(width, limb)
    digits = [(0, 2**w - 1) for w in bits]
    if signed:
        digits[-1] = (-(2 ** (bits[-1] - 1)), 2 ** (bits[-1] - 1) - 1)
    digits = [times(digit, 2 ** (max(0, limb - 16) * j)) for j, digit in enumerate(digits)]
    interval = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    columns = [(f"{name}/{j}", w if checked else None) for j, w in enumerate(bits)]
    return Tensor(name, tuple(shape), digits, interval, columns, limb=limb)


def hull(*intervals):
    return (min(low for low, _ in intervals), max(high for _, high in intervals))


def shifted(digits, shift, sign=1):
    """The digits of sign * 2^shift times a number."""
    return [(0, 0)] * (shift // 16) + [times(digit, sign * 2 ** (shift % 16)) for digit in digits]


def columnwise(combine, numbers):
    """Digit by digit, what `combine` makes of several numbers' digits; a number has as many as the longest, its others 0."""
    return [combine(*digits) for digits in zip_longest(*numbers, fillvalue=(0, 0))]


NONE = Tensor("", (), [], (0, 0), [])


@cache
def compositions(m):
    if m == 0:
        return [()]
    return [(k, *rest) for k in range(1, min(3, m) + 1) for rest in compositions(m - k)]


def plan(name, digits, total, shape, limb=16):
    """(groups, carries) of an identity."""
    m = 0
    while magnitude(total) >= P << 16 * m:
        m += 1
        sound(m <= MOST_DIGITS, name)
    found = []
    for groups in compositions(m) + (compositions(m + 1) if m and limb > 16 else []):
        carries, incoming, f = [], (0, 0), 0
        for k in groups:
            group = plus(incoming, *(times(get(digits, f + i), 2 ** (16 * i)) for i in range(k)))
            low, high = -(-group[0] // 2 ** (16 * k)), group[1] // 2 ** (16 * k)
            signed = low < 0
            width = max(1, signed + max(high.bit_length(), (low + 1).bit_length() if signed else 0))
            if width > 60:
                break
            limbs = -(-width // limb)
            if limbs < -(-width // 16) and width - (limbs - 1) * limb > 16 and limbs * limb <= 60:
                width = limbs * limb
            carries.append(committed(f"{name}: carry {len(carries)}", width, shape, signed=signed, limb=limb))
            incoming, f = carries[-1].interval, f + k
            if magnitude(plus(group, times(incoming, -(2 ** (16 * k))))) >= P:
                break
        else:
            limbs = sum(len(carry.columns) for carry in carries)
            found.append(((limbs, len(groups), [-k for k in groups]), (groups, carries)))
    sound(found, name)
    return min(found, key=lambda pair: pair[0])[1]
