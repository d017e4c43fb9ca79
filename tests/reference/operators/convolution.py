"""Convolution: docs/specification/certificate.md, section 16.1."""

from itertools import product
from math import prod

import numpy as np

from tests.reference.implicit import Weight
from tests.reference.operators.semantics import Semantics
from zkds_verify.integers import box, fits, rounded
from zkds_verify.operators import convolution as verified


class Convolution(Semantics, verified.Convolution):
    def channels(self):
        """(output, input, the input's place in its group), wherever they are in one group."""
        outer, inner = self.co // self.groups, self.ci // self.groups
        return [(o, o // outer * inner + i, i) for o in range(self.co) for i in range(inner)]

    def forward(self, place, inputs, weights):
        (a,), bits = inputs, place.input_bits[0]
        batch = 1 + max(b for b, *_ in a)
        sums = {at: 2**bits * weights["bias"][(at[1],)] if self.bias else 0 for at in box(batch, *place.output)}
        if isinstance(weights["weight"], Weight):
            rows = weights["weight"].forward(self.patches(place, a)).reshape(batch, *self.outputs, self.co)
            sums = {(b, o, y, x): sums[b, o, y, x] + value for (b, y, x, o), value in np.ndenumerate(rows)}
        else:
            rows, columns = self.meetings(place.inputs[0])
            for (y, d, v), (x, e, u) in product(rows, columns):
                for b, (o, i, k) in product(range(batch), self.channels()):
                    sums[b, o, y, x] += weights["weight"][o, k, d, e] * a[b, i, v, u]
        pairs = {at: rounded(value, 40 + bits - 32) for at, value in sums.items()}
        z = {at: pair[0] for at, pair in pairs.items()}
        assert fits(z, 43)
        return z, {"forward: remainder": {at: pair[1] for at, pair in pairs.items()}}

    def backward(self, place, inputs, values, weights, delta, kind):
        if isinstance(weights["weight"], Weight):
            return self.implicit_backward(place, weights["weight"], delta, kind)
        (a,), shift = inputs, place.input_bits[0] + kind.delta_bits + place.delta_bits - kind.bits
        rows, columns = self.meetings(place.inputs[0])
        batch = 1 + max(b for b, *_ in delta)
        gradient, dx = dict.fromkeys(weights["weight"], 0), dict.fromkeys(a, 0)
        for (y, d, v), (x, e, u) in product(rows, columns):
            for b, (o, i, k) in product(range(batch), self.channels()):
                gradient[o, k, d, e] += a[b, i, v, u] * delta[b, o, y, x]
                dx[b, i, v, u] += weights["weight"][o, k, d, e] * delta[b, o, y, x]
        gradients = {"weight": {at: rounded(value, shift) for at, value in gradient.items()}}
        return self.backward_results(place, (dx, 40 + place.delta_bits), gradients | self.bias_gradient(place, delta, kind))

    def implicit_backward(self, place, weight, delta, kind):
        """The same with a weight that moves implicitly: it has no rounded gradient."""
        batch = 1 + max(b for b, *_ in delta)
        rows = [delta[b, o, y, x] for b, y, x, o in box(batch, *self.outputs, self.co)]
        weight.backward(np.array(rows, dtype=object).reshape(-1, self.co))
        if not place.wanted[0]:
            return self.backward_results(place, None, self.bias_gradient(place, delta, kind))
        parts, shift = weight.input_gradient()
        parts = parts.reshape(batch, *self.outputs, self.ci, *self.kernel)
        dx = dict.fromkeys(box(batch, *place.inputs[0]), 0)
        for (y, d, v), (x, e, u) in product(*self.meetings(place.inputs[0])):
            for b, i in product(range(batch), range(self.ci)):
                dx[b, i, v, u] += parts[b, y, x, i, d, e]
        return self.backward_results(place, (dx, shift), self.bias_gradient(place, delta, kind))

    def patches(self, place, a):
        """(B Y X, C_in taps): what the kernel meets at every output, 0 outside the input."""
        batch = 1 + max(b for b, *_ in a)
        found = np.zeros((batch, *self.outputs, self.ci, *self.kernel), dtype=object)
        for (y, d, v), (x, e, u) in product(*self.meetings(place.inputs[0])):
            for b, i in product(range(batch), range(self.ci)):
                found[b, y, x, i, d, e] = a[b, i, v, u]
        return found.reshape(batch * prod(self.outputs), -1)

    def bias_gradient(self, place, delta, kind):
        if not self.bias:
            return {}
        shift = place.input_bits[0] + kind.delta_bits + place.delta_bits - kind.bits
        sums = {(o,): sum(value for at, value in delta.items() if at[1] == o) for o in range(self.co)}
        return {"bias": {at: rounded(2 ** place.input_bits[0] * value, shift) for at, value in sums.items()}}

    def backward_results(self, place, dx, gradients):
        """dx: the sums, and by how many bits they are rounded."""
        if not place.wanted[0]:
            return [None], {}, gradients
        pairs = {at: rounded(value, dx[1]) for at, value in dx[0].items()}
        found, remainder = ({at: pair[i] for at, pair in pairs.items()} for i in range(2))
        return [found], {"input delta": found, "input gradient: remainder": remainder}, gradients

    def evaluate(self, inputs, parameters):
        weight, output = parameters["weight"], np.zeros((self.co, *self.outputs))
        rows, columns = self.meetings(inputs[0].shape)
        for (y, d, v), (x, e, u) in product(rows, columns):
            for o, i, k in self.channels():
                output[o, y, x] += weight[o, k, d, e] * inputs[0][i, v, u]
        return output + parameters["bias"][:, None, None] if self.bias else output
