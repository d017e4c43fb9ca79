"""Clamp: docs/specification/certificate.md, section 16.10."""

from zkds_verify.claims_tensors import affine, masked, sum_of
from zkds_verify.components import equal
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.operators.relu import sign
from zkds_verify.shape_plans import committed


class Clamp(Operator):
    def __init__(self, low, high, inclusive):
        self.low, self.high, self.inclusive = low - 2**63, high - 2**63, inclusive

    def bounds(self, place):
        return [bound * 2 ** (place.input_bits[0] - 32) for bound in (self.low, self.high)]

    def thresholds(self, place):
        low, high = self.bounds(place)
        return (low, high + 1) if self.inclusive else (low + 1, high)

    def build(self, place, scope, inputs, parameters):
        built = self.represent(place, scope, inputs)
        return built._replace(components=[*built.components, equal(f"{place.name}: copy", built.supplied, inputs[0])])

    def represent(self, place, scope, inputs):
        name, width, shape = place.name, 44 + place.input_bits[0] - 32, scope.shape(place.output)
        signs, bits, arguments = [], [], []
        for bound, threshold in zip(("low", "high"), self.thresholds(place), strict=True):
            distance = committed(f"{name}: from {bound}", width, shape, signed=True)
            bits.append(committed(f"{name}: past {bound}", 1, shape))
            signs.append(sign(distance, bits[-1]))
            arguments.append(affine(f"{name}: argument by {bound}", [(distance, 1)], threshold))
        low, high = self.bounds(place)
        mask = sum_of(f"{name}: mask", [(bits[0], 0, 1), (bits[1], 0, -1)])
        inside = masked(f"{name}: inside", mask, arguments[0], interval=(low, high))
        output = affine(f"{name}: output", [(inside, 1), (bits[1], high), (bits[0], -low)], low, (low, high))

        def back(delta):
            return [masked(f"{name}: delta", mask, delta) if place.wanted[0] else None], []

        return Built(output, [*signs, equal(f"{name}: distance", *arguments)], back, arguments[0])
