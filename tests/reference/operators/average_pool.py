"""Average pools: docs/specification/certificate.md, section 16.4; docs/fixed-point.md."""

from itertools import product
from math import lcm

import numpy as np

from tests.reference import pools
from tests.reference.claims_ledger import Axis, total
from tests.reference.claims_tensors import linear
from tests.reference.components import RoundedQuotient
from tests.reference.integers import box, fits
from tests.reference.operators.operator import Built, Operator
from tests.reference.shape_plans import committed, hull, times
from zkds.field import ZERO


class Means(Operator):
    """size: rows and columns of the input; axes: for either, the windows of tests/reference/pools.py"""

    def __init__(self, size, axes):
        self.size, self.axes = size, axes
        self.divisor = pools.common_divisor(*axes)
        self.rounds = self.divisor & (self.divisor - 1) != 0
        self.moved = 0 if self.rounds else self.divisor.bit_length() - 1

    def output(self, inputs):
        return (inputs[0][0], *map(len, self.axes))

    def bits(self, inputs):
        return 32 if self.rounds else inputs[0] + self.moved

    def delta_bits(self, bits):
        return 0 if self.rounds else bits + self.moved

    # ---- fixed point

    def forward(self, place, inputs, weights):
        (x,) = inputs
        sums = {}
        for b, c in box(1 + max(b for b, *_ in x), place.output[0]):
            image = [[x[b, c, i, j] for j in range(place.inputs[0][2])] for i in range(place.inputs[0][1])]
            sums |= {(b, c, *at): value for at, value in pools.average_pool(image, *self.axes).items()}
        if not self.rounds:
            return sums, {}
        output, remainder = quotients(sums, self.divisor * 2 ** (place.input_bits[0] - 32))
        assert fits(output, 43)
        return output, {"forward: remainder": remainder}

    def backward(self, place, inputs, values, weights, delta, kind):
        if not place.wanted[0]:
            return [None], {}, {}
        spread = {}
        for b, c in box(1 + max(b for b, *_ in delta), place.output[0]):
            own = {at[2:]: value for at, value in delta.items() if at[:2] == (b, c)}
            found = pools.average_pool_backward(own, *self.axes)
            spread |= {(b, c, i, j): found[i, j] for i, j in box(*place.inputs[0][1:])}
        if not self.rounds:
            return [spread], {}, {}
        found, remainder = quotients(spread, self.divisor * 2**place.delta_bits)
        assert fits(found, 46)
        return [found], {"input delta": found, "input gradient: remainder": remainder}, {}

    # ---- float64

    def evaluate(self, inputs, parameters):
        output = np.empty(self.output([inputs[0].shape]))
        for (h, (rows, m)), (w, (columns, n)) in product(*map(enumerate, self.axes)):
            output[:, h, w] = inputs[0][:, rows][:, :, columns].sum(axis=(1, 2)) / (m * n)
        return output

    # ---- relation

    def build(self, place, scope, inputs, parameters):
        (x,), name, shape = inputs, place.name, scope.shape(place.output)
        matrices = [matrix(*axis) for axis in zip(self.size, self.axes, strict=True)]
        transposed = [[list(row) for row in zip(*rows, strict=True)] for rows in matrices]
        if not self.rounds:
            return Built(sums(f"{name}: output", x, matrices, shape), [], lambda delta: self.back(place, delta, x, transposed))
        output, dividend = scope.output(place), sums(f"{name}: sums", x, matrices, shape)
        divisor = self.divisor * 2 ** (place.input_bits[0] - 32)
        forward = RoundedQuotient(f"{name}: forward", output, dividend, divisor)
        return Built(output, [forward], lambda delta: self.back(place, delta, x, transposed))

    def back(self, place, delta, x, transposed):
        if not place.wanted[0]:
            return [None], []
        name = place.name
        if not self.rounds:
            return [sums(f"{name}: delta", delta, transposed, x.shape)], []
        found = committed(f"{name}: input delta", 46, x.shape, signed=True)
        dividend = sums(f"{name}: spread", delta, transposed, x.shape)
        return [found], [RoundedQuotient(f"{name}: input gradient", found, dividend, self.divisor * 2**place.delta_bits)]


class AveragePool(Means):
    def __init__(self, *numbers):
        *pairs, ceil_mode, count_include_pad, divisor = numbers
        axes = [pools.sliding_windows(*pairs[k::2], ceil_mode, count_include_pad) for k in range(2)]
        if divisor:
            axes = [[(inside, count) for inside, _ in axis] for axis, count in zip(axes, (divisor, 1), strict=True)]
        super().__init__(pairs[:2], axes)


class AdaptiveAveragePool(Means):
    def __init__(self, *numbers):
        super().__init__(numbers[:2], [pools.adaptive_windows(*numbers[k::2]) for k in range(2)])


def quotients(tensor, divisor):
    pairs = {at: pools.rounded_quotient(value, divisor) for at, value in tensor.items()}
    return [{at: pair[i] for at, pair in pairs.items()} for i in range(2)]


def matrix(length, windows):
    """Row k: the factor of window k at each of its entries."""
    common = lcm(*(count for _, count in windows))
    return [[common // count * (i in inside) for i in range(length)] for inside, count in windows]


def sums(name, source, matrices, shape):
    """Along each of the last two axes, a matrix of integers times the entries."""
    low, high = ([pick(map(sum, rows)) for rows in matrices] for pick in (min, max))
    totals = (low[0] * low[1], high[0] * high[1])

    def interval(of):
        return hull(*(times(of, factor) for factor in totals))

    def terms(claim):
        *lead, y, x = claim.axes
        spread = [
            Axis(total(w * row[i] for w, row in zip(axis.weights, rows, strict=True)) for i in range(len(rows[0])))
            for axis, rows in zip((y, x), matrices, strict=True)
        ]
        return [(source, [*lead, *spread], claim.mu)], ZERO

    return linear(name, shape, map(interval, source.digits), interval(source.interval), [source], terms)
