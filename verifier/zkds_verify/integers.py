"""Python ints, one at a time: indices, roundings. Tensors are dictionaries from index tuples to ints."""

from fractions import Fraction
from itertools import product
from math import floor


def box(*lengths):
    return product(*(range(length) for length in lengths))


def rounded(value, shift):
    """(quotient, remainder)"""
    return divmod(value + 2 ** (shift - 1), 2**shift)


def nearest(fraction):
    return floor(fraction + Fraction(1, 2))


def fits(tensor, width):
    """Whether all values are signed integers of so many bits."""
    return all(-(2 ** (width - 1)) <= value < 2 ** (width - 1) for value in tensor.values())
