"""Clamp: docs/specification/certificate.md, section 16.10."""

import numpy as np

from tests.reference.operators.semantics import Semantics
from zkds_verify.operators import clamp as verified


def clamp(x, low, high, inclusive):
    """(y, whether deltas pass)"""
    y = low if x < low else high if x > high else x
    return y, low <= x <= high if inclusive else low < x < high


class Clamp(Semantics, verified.Clamp):
    def forward(self, place, inputs, weights):
        values, (x,) = {}, inputs
        for bound, threshold in zip(("low", "high"), self.thresholds(place), strict=True):
            values[f"from {bound}"] = {at: value - threshold for at, value in x.items()}
            values[f"past {bound}"] = {at: int(value >= threshold) for at, value in x.items()}
        return {at: clamp(value, *self.bounds(place), self.inclusive)[0] for at, value in x.items()}, values

    def backward(self, place, inputs, values, weights, delta, kind):
        passes = {at: clamp(x, *self.bounds(place), self.inclusive)[1] for at, x in inputs[0].items()}
        return [{at: delta[at] if passes[at] else 0 for at in passes} if place.wanted[0] else None], {}, {}

    def evaluate(self, inputs, parameters):
        return np.clip(inputs[0], self.low / 2**32, self.high / 2**32)
