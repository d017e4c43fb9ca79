"""LeakyReLU: docs/specification/certificate.md, section 16.11."""

import numpy as np

from tests.reference.operators.semantics import Semantics
from zkds_verify.integers import fits, rounded
from zkds_verify.operators import leaky_relu as verified


def leaky(x, slope, value, shift):
    """(value or slope value, its remainder) with so many fractional bits fewer; slope and 1 have 32 of them."""
    return rounded((2**32 if x > 0 else slope) * value, shift)


class LeakyRelu(Semantics, verified.LeakyRelu):
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
