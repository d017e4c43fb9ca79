"""Permutation: docs/specification/certificate.md, section 16.13."""

import numpy as np

from tests.reference.claims_tensors import linear
from tests.reference.operators.operator import Built, Operator
from zkds.field import ZERO


class Permute(Operator):
    def __init__(self, *order):
        self.order = order

    def output(self, inputs):
        return tuple(inputs[0][axis] for axis in self.order)

    def to(self, at):
        """Where an entry (channel, row, column) of the input goes."""
        return tuple(at[axis] for axis in self.order)

    def forward(self, place, inputs, weights):
        return {(b, *self.to(at)): value for (b, *at), value in inputs[0].items()}, {}

    def backward(self, place, inputs, values, weights, delta, kind):
        found = {(b, *at): delta[b, *self.to(at)] for b, *at in inputs[0]}
        return [found if place.wanted[0] else None], {}, {}

    def evaluate(self, inputs, parameters):
        output = np.empty(self.output([inputs[0].shape]))
        for at, value in np.ndenumerate(inputs[0]):
            output[self.to(at)] = value
        return output

    def build(self, place, scope, inputs, parameters):
        (x,) = inputs

        def terms(claim):
            axes = [claim.axes[2 + self.order.index(axis)] for axis in range(3)]
            return [(x, [*claim.axes[:2], *axes], claim.mu)], ZERO

        output = linear(f"{place.name}: output", scope.shape(place.output), x.digits, x.interval, [x], terms)

        def back(delta):
            def back_terms(claim):
                axes = [claim.axes[2 + axis] for axis in self.order]
                return [(delta, [*claim.axes[:2], *axes], claim.mu)], ZERO

            found = linear(f"{place.name}: delta", x.shape, delta.digits, delta.interval, [delta], back_terms)
            return [found if place.wanted[0] else None], []

        return Built(output, [], back)
