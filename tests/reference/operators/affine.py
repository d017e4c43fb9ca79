"""Affine maps of channels: docs/specification/certificate.md, section 16.15."""

from tests.reference.operators.semantics import Semantics
from zkds_verify.integers import fits, rounded
from zkds_verify.operators import affine as verified


class Affine(Semantics, verified.Affine):
    def forward(self, place, inputs, weights):
        bits = place.input_bits[0]
        pairs = {at: rounded(self.scale[at[1]] * x + self.shift[at[1]] * 2**bits, 8 + bits) for at, x in inputs[0].items()}
        y, remainder = ({at: pair[i] for at, pair in pairs.items()} for i in range(2))
        assert fits(y, 43)
        return y, {"forward: remainder": remainder}

    def backward(self, place, inputs, values, weights, delta, kind):
        if not place.wanted[0]:
            return [None], {}, {}
        pairs = {at: rounded(self.scale[at[1]] * dy, 40 + place.delta_bits) for at, dy in delta.items()}
        found, remainder = ({at: pair[i] for at, pair in pairs.items()} for i in range(2))
        return [found], {"input delta": found, "input gradient: remainder": remainder}, {}

    def evaluate(self, inputs, parameters):
        output = inputs[0].copy()
        for c, (a, b) in enumerate(zip(self.scale, self.shift, strict=True)):
            output[c] = a / 2**40 * inputs[0][c] + b / 2**40
        return output
