"""Smooth functions: docs/fixed-point.md."""

from decimal import Decimal, localcontext
from functools import partial

import numpy as np

from tests.reference.operators.semantics import Semantics
from zkds_verify.integers import fits, rounded
from zkds_verify.operators import smooth as verified
from zkds_verify.operators.smooth import BOUND, CELL_BITS, DIGITS, IDENTITY, entry, real_function


def parts(name, x):
    """(whole, cell, part, rest)"""
    j = CELL_BITS[name]
    return x // 2**32, x // 2 ** (32 - j) % 2**j, x // 2 ** (24 - j) % 256, x % 2 ** (24 - j)


def smooth(name, x):
    """(f(x) [32], f'(x) [30])"""
    bound, j = BOUND[name], CELL_BITS[name]
    whole, cell, *_ = parts(name, x)
    unit = min(max(whole, -bound), bound - 1)
    within = x % 2 ** (32 - j)
    value, first, second, third = entry(name, (unit + bound) * 2**j + cell)
    r = within - 2 ** (31 - j)
    slope = first + rounded(r * (second - third * (within // 2 ** (24 - j) - 128)), 18 + j)[0]
    y = value + rounded(r * (first + slope), 31)[0]
    return (y + max(whole - unit, 0) * 2**32 if name in IDENTITY else y), slope


def smooth_delta(slope, delta, bits):
    return rounded(slope * delta, 30 + bits)[0]


class Smooth(Semantics, verified.Smooth):
    def forward(self, place, inputs, weights):
        values, (x,), extra = {}, inputs, place.input_bits[0] - 32
        if extra:
            pairs = {at: rounded(value, extra) for at, value in x.items()}
            x, values["argument: remainder"] = ({at: pair[i] for at, pair in pairs.items()} for i in range(2))
        assert fits(x, 43)
        for i, word in enumerate(("whole", "cell", "part", "rest")):
            values[word] = {at: parts(self.name, value)[i] for at, value in x.items()}
        found = {at: smooth(self.name, value) for at, value in x.items()}
        values["slope"] = {at: slope + 2**29 for at, (_, slope) in found.items()}
        return {at: y for at, (y, _) in found.items()}, values

    def backward(self, place, inputs, values, weights, delta, kind):
        if not place.wanted[0]:
            return [None], {}, {}
        slopes = values["slope"].items()
        pairs = {at: rounded((slope - 2**29) * delta[at], 30 + place.delta_bits) for at, slope in slopes}
        found, remainder = ({at: pair[i] for at, pair in pairs.items()} for i in range(2))
        return [found], {"input delta": found, "input gradient: remainder": remainder}, {}

    def evaluate(self, inputs, parameters):
        return np.vectorize(self.value)(inputs[0])

    def value(self, x):
        """To the precision of decimals, rounded to a float."""
        with localcontext(prec=DIGITS + 10):
            return float(real_function(self.name, [Decimal(float(x)), Decimal(1), Decimal(0), Decimal(0)])[0])


FUNCTIONS = {name: partial(Smooth, name) for name in BOUND}
