"""Padding and slices: docs/specification/certificate.md, section 16.14."""

import numpy as np

from tests.reference.operators.semantics import Semantics
from zkds_verify.integers import box
from zkds_verify.operators import pad as verified


class Pad(Semantics, verified.Pad):
    def pairs(self, inputs):
        """(entry of the input, entry of the output)"""
        for at in box(*self.outputs):
            found = tuple(self.source(axis, at[axis], inputs[axis]) for axis in range(3))
            if None not in found:
                yield found, at

    def forward(self, place, inputs, weights):
        batch = 1 + max(b for b, *_ in inputs[0])
        output = dict.fromkeys(box(batch, *self.outputs), 0)
        for found, at in self.pairs(place.inputs[0]):
            for b in range(batch):
                output[b, *at] = inputs[0][b, *found]
        return output, {}

    def backward(self, place, inputs, values, weights, delta, kind):
        dx = dict.fromkeys(inputs[0], 0)
        for found, at in self.pairs(place.inputs[0]):
            for b in range(1 + max(b for b, *_ in inputs[0])):
                dx[b, *found] = delta[b, *at]
        return [dx if place.wanted[0] else None], {}, {}

    def evaluate(self, inputs, parameters):
        output = np.zeros(self.outputs)
        for found, at in self.pairs(inputs[0].shape):
            output[at] = inputs[0][found]
        return output
