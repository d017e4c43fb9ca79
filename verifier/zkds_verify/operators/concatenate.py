"""Concatenation: docs/specification/certificate.md, section 16.9."""

from zkds_verify.claims_ledger import Axis
from zkds_verify.claims_tensors import linear
from zkds_verify.field import ZERO
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.shape_plans import columnwise, hull, shifted, times


class Concatenate(Operator):
    def output(self, inputs):
        return (sum(channels for channels, _, _ in inputs), *inputs[0][1:])

    def firsts(self, place):
        """The channel of the output with which each input begins."""
        return [sum(channels for channels, _, _ in place.inputs[:i]) for i in range(len(place.inputs))]

    def build(self, place, scope, inputs, parameters):
        shifts = [place.output_bits - bits for bits in place.input_bits]
        firsts = self.firsts(place)

        def terms(claim):
            found = []
            for x, first, shift in zip(inputs, firsts, shifts, strict=True):
                own = Axis(claim.axes[2].weights[first : first + x.shape[2]])
                mu = [w * 2 ** (shift % 16) for w in claim.mu[shift // 16 : shift // 16 + len(x.digits)]]
                found.append((x, [*claim.axes[:2], own, *claim.axes[3:]], mu))
            return found, ZERO

        digits = columnwise(hull, [[(0, 0)], *(shifted(x.digits, shift) for x, shift in zip(inputs, shifts, strict=True))])
        interval = hull((0, 0), *(times(x.interval, 2**shift) for x, shift in zip(inputs, shifts, strict=True)))
        output = linear(f"{place.name}: output", scope.shape(place.output), digits, interval, inputs, terms)
        return Built(output, [], lambda delta: (self.parts(place, inputs, delta), []))

    def parts(self, place, inputs, delta):
        found = []
        for i, (x, first) in enumerate(zip(inputs, self.firsts(place), strict=True)):

            def terms(claim, first=first):
                rest = [ZERO] * (delta.shape[2] - first - len(claim.axes[2]))
                channels = Axis([ZERO] * first + claim.axes[2].weights + rest)
                return [(delta, [*claim.axes[:2], channels, *claim.axes[3:]], claim.mu)], ZERO

            part = linear(f"{place.name}: delta {i}", x.shape, delta.digits, delta.interval, [delta], terms)
            found.append(part if place.wanted[i] else None)
        return found
