"""Addition: docs/specification/certificate.md, section 16.8."""

from tests.reference.operators.semantics import Semantics
from zkds_verify.integers import fits
from zkds_verify.operators import add as verified


class Add(Semantics, verified.Add):
    def forward(self, place, inputs, weights):
        output = dict.fromkeys(inputs[0], 0)
        for x, bits in zip(inputs, place.input_bits, strict=True):
            for at, value in x.items():
                output[at] += value * 2 ** (place.output_bits - bits)
        assert fits(output, 43 + place.output_bits - 32)
        return output, {}

    def backward(self, place, inputs, values, weights, delta, kind):
        return [delta if wanted else None for wanted in place.wanted], {}, {}

    def evaluate(self, inputs, parameters):
        return sum(inputs)
