"""Batch norm: docs/specification/certificate.md, section 16.7."""

import numpy as np

from tests.reference.operators.semantics import Semantics
from zkds_verify.integers import fits, rounded
from zkds_verify.operators import batch_norm as verified


class BatchNorm(Semantics, verified.BatchNorm):
    def forward(self, place, inputs, weights):
        (x,), bits = inputs, place.input_bits[0]
        c = {at: rounded(gamma * weights["running_var"][at], 40) for at, gamma in weights["weight"].items()}
        assert fits({at: pair[0] for at, pair in c.items()}, 44)
        y = {}
        for at, value in x.items():
            o = (at[1],)
            distance = value - 2 ** (bits - 32) * weights["running_mean"][o]
            y[at] = rounded(c[o][0] * distance + 2 ** (bits - 8) * weights["bias"][o], bits)
        output = {at: pair[0] for at, pair in y.items()}
        assert fits(output, 43)
        values = {"scale": {at: pair[0] for at, pair in c.items()}, "scale: remainder": {at: pair[1] for at, pair in c.items()}}
        return output, values | {"forward: remainder": {at: pair[1] for at, pair in y.items()}}

    def backward(self, place, inputs, values, weights, delta, kind):
        (x,), bits, more = inputs, place.input_bits[0], place.delta_bits
        products, sums = dict.fromkeys(weights["weight"], 0), dict.fromkeys(weights["weight"], 0)
        for at, value in delta.items():
            o = (at[1],)
            products[o] += value * (x[at] - 2 ** (bits - 32) * weights["running_mean"][o])
            sums[o] += value
        dc = {o: rounded(value, bits + more - 4) for o, value in products.items()}
        assert fits({o: pair[0] for o, pair in dc.items()}, 60)
        gradients = {
            "weight": {o: rounded(weights["running_var"][o] * dc[o][0], kind.delta_bits + 36 - kind.bits) for o in dc},
            "bias": {o: rounded(2**32 * value, 32 + kind.delta_bits + more - kind.bits) for o, value in sums.items()},
        }
        found = {"scale delta": {o: dc[o][0] for o in dc}, "scale delta: remainder": {o: dc[o][1] for o in dc}}
        if not place.wanted[0]:
            return [None], found, gradients
        dx = {at: rounded(values["scale"][(at[1],)] * value, 32 + more) for at, value in delta.items()}
        back, remainder = ({at: pair[i] for at, pair in dx.items()} for i in range(2))
        return [back], found | {"input delta": back, "input gradient: remainder": remainder}, gradients

    def evaluate(self, inputs, parameters):
        mean, var, gamma, beta = (parameters[word] for word in ("running_mean", "running_var", "weight", "bias"))
        by_channel = zip(inputs[0], mean, var, gamma, beta, strict=True)
        return np.array([g * (x - m) / np.sqrt(v + self.eps) + b for x, m, v, g, b in by_channel])
