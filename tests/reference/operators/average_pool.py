"""Average pools: docs/specification/certificate.md, section 16.4; docs/fixed-point.md."""

from itertools import product

import numpy as np

from tests.reference import pools
from tests.reference.operators.semantics import Semantics
from zkds_verify.integers import box, fits
from zkds_verify.operators import average_pool as verified


def quotients(tensor, divisor):
    pairs = {at: pools.rounded_quotient(value, divisor) for at, value in tensor.items()}
    return [{at: pair[i] for at, pair in pairs.items()} for i in range(2)]


class Means(Semantics, verified.Means):
    def forward(self, place, inputs, weights):
        (x,) = inputs
        sums = {}
        for b, c in box(1 + max(b for b, *_ in x), place.output[0]):
            image = [[x[b, c, i, j] for j in range(place.inputs[0][2])] for i in range(place.inputs[0][1])]
            sums |= {(b, c, *at): value for at, value in pools.average_pool(image, *self.axes).items()}
        if not self.rounds:
            return sums, {}
        output, remainder = quotients(sums, self.divisor * 2 ** (place.input_bits[0] - 32))
        assert fits(output, 43)
        return output, {"forward: remainder": remainder}

    def backward(self, place, inputs, values, weights, delta, kind):
        if not place.wanted[0]:
            return [None], {}, {}
        spread = {}
        for b, c in box(1 + max(b for b, *_ in delta), place.output[0]):
            own = {at[2:]: value for at, value in delta.items() if at[:2] == (b, c)}
            found = pools.average_pool_backward(own, *self.axes)
            spread |= {(b, c, i, j): found[i, j] for i, j in box(*place.inputs[0][1:])}
        if not self.rounds:
            return [spread], {}, {}
        found, remainder = quotients(spread, self.divisor * 2**place.delta_bits)
        assert fits(found, 46)
        return [found], {"input delta": found, "input gradient: remainder": remainder}, {}

    def evaluate(self, inputs, parameters):
        output = np.empty(self.output([inputs[0].shape]))
        for (h, (rows, m)), (w, (columns, n)) in product(*map(enumerate, self.axes)):
            output[:, h, w] = inputs[0][:, rows][:, :, columns].sum(axis=(1, 2)) / (m * n)
        return output


class AveragePool(Means, verified.AveragePool):
    pass


class AdaptiveAveragePool(Means, verified.AdaptiveAveragePool):
    pass
