"""LeakyReLU: docs/specification/certificate.md, section 16.11."""

from zkds_verify.claims_blocks import block, rounding
from zkds_verify.claims_tensors import affine
from zkds_verify.components import equal
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.operators.relu import sign
from zkds_verify.shape_gadgets import entry, mul, scaled
from zkds_verify.shape_plans import committed


class LeakyRelu(Operator):
    rounds = True

    def __init__(self, slope):
        self.slope = slope

    def build(self, place, scope, inputs, parameters):
        built = self.represent(place, scope, inputs)
        return built._replace(components=[*built.components, equal(f"{place.name}: copy", built.supplied, inputs[0])])

    def represent(self, place, scope, inputs):
        name, shape = place.name, scope.shape(place.output)
        less_one = committed(f"{name}: less one", 44 + place.input_bits[0] - 32, shape, signed=True)
        positive = committed(f"{name}: positive", 1, shape)
        argument = affine(f"{name}: argument", [(less_one, 1)], 1)
        output = scope.output(place)

        def part(what, x, y, shift):
            exact = scaled(mul(entry(positive), entry(x)), 2**32 - self.slope) + scaled(entry(x), self.slope)
            remainder = committed(f"{name}: {what}: remainder", shift, shape)
            return block(f"{name}: {what}", [(f"{name}: {what}", rounding(exact, shift, entry(y), remainder))])

        def back(delta):
            if not place.wanted[0]:
                return [None], []
            found = committed(f"{name}: input delta", 46, shape, signed=True)
            return [found], [part("input gradient", delta, found, 32 + place.delta_bits)]

        components = [sign(less_one, positive), part("forward", argument, output, place.input_bits[0])]
        return Built(output, components, back, argument)
