"""Permutation: docs/specification/certificate.md, section 16.13."""

import numpy as np

from tests.reference.operators.semantics import Semantics
from zkds_verify.operators import permute as verified


class Permute(Semantics, verified.Permute):
    def to(self, at):
        """Where an entry (channel, row, column) of the input goes."""
        return tuple(at[axis] for axis in self.order)

    def forward(self, place, inputs, weights):
        return {(b, *self.to(at)): value for (b, *at), value in inputs[0].items()}, {}

    def backward(self, place, inputs, values, weights, delta, kind):
        found = {(b, *at): delta[b, *self.to(at)] for b, *at in inputs[0]}
        return [found if place.wanted[0] else None], {}, {}

    def evaluate(self, inputs, parameters):
        output = np.empty(self.output([inputs[0].shape]))
        for at, value in np.ndenumerate(inputs[0]):
            output[self.to(at)] = value
        return output
