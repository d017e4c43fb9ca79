"""Average pools: docs/specification/certificate.md, section 16.4; docs/fixed-point.md."""

from math import lcm

from zkds_verify.claims_ledger import Axis, total
from zkds_verify.claims_tensors import linear
from zkds_verify.components import RoundedQuotient
from zkds_verify.field import ZERO
from zkds_verify.operators import average_windows
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.shape_plans import committed, hull, times


class Means(Operator):
    """size: rows and columns of the input; axes: for either, its windows"""

    def __init__(self, size, axes):
        self.size, self.axes = size, axes
        self.divisor = average_windows.common_divisor(*axes)
        self.rounds = self.divisor & (self.divisor - 1) != 0
        self.moved = 0 if self.rounds else self.divisor.bit_length() - 1

    def largest_factors(self, axis):
        """Of a window and of an entry: the largest sum of factors along an axis."""
        rows = matrix(self.size[axis], self.axes[axis])
        return max(map(sum, rows)), max(map(sum, zip(*rows, strict=True)))

    def output(self, inputs):
        return (inputs[0][0], *map(len, self.axes))

    def bits(self, inputs):
        return 32 if self.rounds else inputs[0] + self.moved

    def delta_bits(self, bits):
        return 0 if self.rounds else bits + self.moved

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
        axes = [average_windows.sliding_windows(*pairs[k::2], ceil_mode, count_include_pad) for k in range(2)]
        if divisor:
            axes = [[(inside, count) for inside, _ in axis] for axis, count in zip(axes, (divisor, 1), strict=True)]
        super().__init__(pairs[:2], axes)


class AdaptiveAveragePool(Means):
    def __init__(self, *numbers):
        super().__init__(numbers[:2], [average_windows.adaptive_windows(*numbers[k::2]) for k in range(2)])


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
