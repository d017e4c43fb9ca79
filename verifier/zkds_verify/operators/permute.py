"""Permutation: docs/specification/certificate.md, section 16.13."""

from zkds_verify.claims_tensors import linear
from zkds_verify.field import ZERO
from zkds_verify.operators.operator import Built, Operator


class Permute(Operator):
    def __init__(self, *order):
        self.order = order

    def output(self, inputs):
        return tuple(inputs[0][axis] for axis in self.order)

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
