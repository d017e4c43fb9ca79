"""Average pool: docs/specification/certificate.md, section 16.4."""

import numpy as np

from tests.reference.claims_tensors import linear, pooled, repeated
from tests.reference.integers import box
from tests.reference.operators.operator import Built, Operator
from tests.reference.shape_plans import times
from zkds.field import ZERO


class AveragePool(Operator):
    def __init__(self, size):
        self.size, self.moved = size, 2 * (size.bit_length() - 1)

    def output(self, inputs):
        channels, rows, columns = inputs[0]
        return channels, rows // self.size, columns // self.size

    def bits(self, inputs):
        return inputs[0] + self.moved

    def delta_bits(self, bits):
        return bits + self.moved

    def forward(self, place, inputs, weights):
        output = dict.fromkeys(box(1 + max(b for b, *_ in inputs[0]), *place.output), 0)
        for (b, c, y, x), value in inputs[0].items():
            output[b, c, y // self.size, x // self.size] += value
        return output, {}

    def backward(self, place, inputs, values, weights, delta, kind):
        found = {(b, c, y, x): delta[b, c, y // self.size, x // self.size] for b, c, y, x in inputs[0]}
        return [found if place.wanted[0] else None], {}, {}

    def evaluate(self, inputs, parameters):
        output = np.empty(self.output([inputs[0].shape]))
        for c, i, j in box(*output.shape):
            rows, columns = (slice(k * self.size, (k + 1) * self.size) for k in (i, j))
            output[c, i, j] = np.mean(inputs[0][c, rows, columns])
        return output

    def build(self, place, scope, inputs, parameters):
        (x,), name, area = inputs, place.name, self.size**2
        digits, interval = [times(digit, area) for digit in x.digits], times(x.interval, area)

        def terms(claim):
            return [(x, repeated(claim.axes, (self.size, self.size)), claim.mu)], ZERO

        output = linear(f"{name}: output", scope.shape(place.output), digits, interval, [x], terms)

        def back(delta):
            def back_terms(claim):
                return [(delta, pooled(claim.axes, (self.size, self.size)), claim.mu)], ZERO

            found = linear(f"{name}: delta", x.shape, delta.digits, delta.interval, [delta], back_terms)
            return [found if place.wanted[0] else None], []

        return Built(output, [], back)
