"""ReLU: docs/specification/certificate.md, section 16.2."""

import numpy as np

from tests.reference.operators.semantics import Semantics
from zkds_verify.operators import relu as verified


class Relu(Semantics, verified.Relu):
    def forward(self, place, inputs, weights):
        output = {at: max(x, 0) for at, x in inputs[0].items()}
        return output, {"bit": {at: int(x >= 0) for at, x in inputs[0].items()}}

    def backward(self, place, inputs, values, weights, delta, kind):
        back = {at: delta[at] if x >= 0 else 0 for at, x in inputs[0].items()}
        return [back if place.wanted[0] else None], {}, {}

    def evaluate(self, inputs, parameters):
        return np.maximum(inputs[0], 0)
