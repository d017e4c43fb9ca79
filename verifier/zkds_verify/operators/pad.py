"""Padding and slices: docs/specification/certificate.md, section 16.14."""

from zkds_verify.claims_ledger import Axis
from zkds_verify.claims_tensors import linear
from zkds_verify.field import ZERO
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.shape_plans import hull


class Pad(Operator):
    def __init__(self, *numbers):
        self.outputs, self.before, self.first, self.step = (tuple(numbers[i : i + 3]) for i in (0, 3, 6, 9))

    def output(self, inputs):
        return self.outputs

    def source(self, axis, i, length):
        """Which entry of the input stands at i of an axis, None for a zero."""
        found = self.first[axis] + self.step[axis] * (i - self.before[axis])
        return found if i >= self.before[axis] and found < length else None

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
