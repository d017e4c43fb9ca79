"""Padding and slices: docs/specification/certificate.md, section 16.14."""

import numpy as np

from tests.reference.claims_ledger import Axis
from tests.reference.claims_tensors import linear
from tests.reference.integers import box
from tests.reference.operators.operator import Built, Operator
from tests.reference.shape_plans import hull
from zkds.field import ZERO


class Pad(Operator):
    def __init__(self, *numbers):
        self.outputs, self.before, self.first, self.step = (tuple(numbers[i : i + 3]) for i in (0, 3, 6, 9))

    def output(self, inputs):
        return self.outputs

    def source(self, axis, i, length):
        """Which entry of the input stands at i of an axis, None for a zero."""
        found = self.first[axis] + self.step[axis] * (i - self.before[axis])
        return found if i >= self.before[axis] and found < length else None

    def pairs(self, inputs):
        """(entry of the input, entry of the output)"""
        for at in box(*self.outputs):
            found = tuple(self.source(axis, at[axis], inputs[axis]) for axis in range(3))
            if None not in found:
                yield found, at

    def forward(self, place, inputs, weights):
        batch = 1 + max(b for b, *_ in inputs[0])
        output = dict.fromkeys(box(batch, *self.outputs), 0)
        for found, at in self.pairs(place.inputs[0]):
            for b in range(batch):
                output[b, *at] = inputs[0][b, *found]
        return output, {}

    def backward(self, place, inputs, values, weights, delta, kind):
        dx = dict.fromkeys(inputs[0], 0)
        for found, at in self.pairs(place.inputs[0]):
            for b in range(1 + max(b for b, *_ in inputs[0])):
                dx[b, *found] = delta[b, *at]
        return [dx if place.wanted[0] else None], {}, {}

    def evaluate(self, inputs, parameters):
        output = np.zeros(self.outputs)
        for found, at in self.pairs(inputs[0].shape):
            output[at] = inputs[0][found]
        return output

    def build(self, place, scope, inputs, parameters):
        (x,) = inputs

        def on_input(axis, weights):
            length = x.shape[2 + axis]
            placed = [ZERO] * length
            for i, weight in enumerate(weights):
                found = self.source(axis, i, length)
                if found is not None:
                    placed[found] = weight
            return Axis(placed)

        def on_output(axis, weights):
            length = x.shape[2 + axis]
            sources = [self.source(axis, i, length) for i in range(self.outputs[axis])]
            return Axis([ZERO if found is None else weights[found] for found in sources])

        def moved(name, shape, source, placed):
            def terms(claim):
                axes = [placed(axis, claim.axes[2 + axis].weights) for axis in range(3)]
                return [(source, [*claim.axes[:2], *axes], claim.mu)], ZERO

            digits = [hull((0, 0), digit) for digit in source.digits]
            return linear(f"{place.name}: {name}", shape, digits, hull((0, 0), source.interval), [source], terms)

        def back(delta):
            return [moved("delta", x.shape, delta, on_output) if place.wanted[0] else None], []

        return Built(moved("output", scope.shape(place.output), x, on_input), [], back)
