"""LeakyReLU: docs/specification/certificate.md, section 16.11."""

import numpy as np

from tests.reference.claims_blocks import block, rounding
from tests.reference.claims_tensors import affine
from tests.reference.components import equal
from tests.reference.integers import fits, rounded
from tests.reference.operators.operator import Built, Operator
from tests.reference.operators.relu import sign
from tests.reference.shape_gadgets import entry, mul, scaled
from tests.reference.shape_plans import committed


def leaky(x, slope, value, shift):
    """(value or slope value, its remainder) with so many fractional bits fewer; slope and 1 have 32 of them."""
    return rounded((2**32 if x > 0 else slope) * value, shift)


class LeakyRelu(Operator):
    rounds = True

    def __init__(self, slope):
        self.slope = slope

    def forward(self, place, inputs, weights):
        (x,) = inputs
        pairs = {at: leaky(value, self.slope, value, place.input_bits[0]) for at, value in x.items()}
        y = {at: pair[0] for at, pair in pairs.items()}
        assert fits(y, 43)
        return y, {
            "less one": {at: value - 1 for at, value in x.items()},
            "positive": {at: int(value > 0) for at, value in x.items()},
            "forward: remainder": {at: pair[1] for at, pair in pairs.items()},
        }

    def backward(self, place, inputs, values, weights, delta, kind):
        if not place.wanted[0]:
            return [None], {}, {}
        pairs = {at: leaky(x, self.slope, delta[at], 32 + place.delta_bits) for at, x in inputs[0].items()}
        found, remainder = ({at: pair[i] for at, pair in pairs.items()} for i in range(2))
        return [found], {"input delta": found, "input gradient: remainder": remainder}, {}

    def evaluate(self, inputs, parameters):
        return np.where(inputs[0] > 0, inputs[0], inputs[0] * self.slope / 2**32)

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
