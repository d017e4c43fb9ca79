"""Concatenation: docs/specification/certificate.md, section 16.9."""

import numpy as np

from tests.reference.operators.semantics import Semantics
from zkds_verify.operators import concatenate as verified


class Concatenate(Semantics, verified.Concatenate):
    def forward(self, place, inputs, weights):
        output = {}
        for x, first, bits in zip(inputs, self.firsts(place), place.input_bits, strict=True):
            for (b, c, i, j), value in x.items():
                output[b, first + c, i, j] = value * 2 ** (place.output_bits - bits)
        return output, {}

    def backward(self, place, inputs, values, weights, delta, kind):
        found = []
        for x, first, wanted in zip(inputs, self.firsts(place), place.wanted, strict=True):
            found.append({(b, c, i, j): delta[b, first + c, i, j] for b, c, i, j in x} if wanted else None)
        return found, {}, {}

    def evaluate(self, inputs, parameters):
        return np.concatenate(inputs)
