"""Max pool: docs/specification/certificate.md, section 16.3."""

import numpy as np

from tests.reference.claims_ledger import Axis, bits, eqs, product_of_totals, split, windows
from tests.reference.claims_tensors import linear, masked, pooled, repeated
from tests.reference.components import Component, equal, value_weights
from tests.reference.integers import box
from tests.reference.operators.operator import Built, Operator
from tests.reference.shape_plans import columnwise, committed, plus, times
from zkds.field import ONE, ZERO


class MaxPool(Operator):
    def __init__(self, size, relu):
        self.size, self.relu = size, relu

    def output(self, inputs):
        channels, rows, columns = inputs[0]
        return channels, rows // self.size, columns // self.size

    # ---- fixed point

    def forward(self, place, inputs, weights):
        (x,) = inputs
        output, mask, difference = {}, {}, {}
        for b, c, i, j in box(1 + max(b for b, *_ in x), *place.output):
            window = [(b, c, i * self.size + y, j * self.size + x) for y, x in box(self.size, self.size)]
            first = max(window, key=lambda at: x[at])  # the first of the largest
            selected = x[first] >= 0 or not self.relu
            output[b, c, i, j] = x[first] if selected else 0
            count = 0
            for at in window:
                mask[at] = int(selected and at == first)
                count += mask[at]
                difference[at] = output[b, c, i, j] - x[at] - 1 + count
        return output, {"mask": mask, "difference": difference}

    def backward(self, place, inputs, values, weights, delta, kind):
        found = {(b, c, y, x): m * delta[b, c, y // self.size, x // self.size] for (b, c, y, x), m in values["mask"].items()}
        return [found if place.wanted[0] else None], {}, {}

    def evaluate(self, inputs, parameters):
        output = np.empty(self.output([inputs[0].shape]))
        for c, i, j in box(*output.shape):
            rows, columns = (slice(k * self.size, (k + 1) * self.size) for k in (i, j))
            output[c, i, j] = np.max(inputs[0][c, rows, columns])
        return np.maximum(output, 0) if self.relu else output

    # ---- relation

    def build(self, place, scope, inputs, parameters):
        built = self.represent(place, scope, inputs)
        return built._replace(components=[equal(f"{place.name}: copy", built.supplied, inputs[0]), *built.components])

    def represent(self, place, scope, inputs):
        name, width = place.name, 43 + place.output_bits - 32
        shape, small = scope.shape(place.inputs[0]), scope.shape(place.output)
        out = committed(f"{name}: output", width - self.relu, small, signed=not self.relu)
        mask = committed(f"{name}: mask", 1, shape, checked=False)
        difference = committed(f"{name}: difference", width, shape)
        parts = [out.digits, [times(digit, -1) for digit in difference.digits], [(-1, 0)]]
        interval = plus(out.interval, times(difference.interval, -1), (-1, 0))
        sources = [out, mask, difference]
        values = linear(f"{name}: input", shape, columnwise(plus, parts), interval, sources, self.terms(*sources))

        def back(delta):
            return [masked(f"{name}: delta", mask, delta, self.size) if place.wanted[0] else None], []

        component = Component(sources, lambda ledger: self.verify(ledger, name, *sources))
        return Built(out, [component], back, values)

    def terms(self, out, mask, difference):
        """z = a + c - 1 - d"""

        def terms(claim):
            *lead, y, x = claim.axes
            lowest = claim.mu[0]
            sums, from_x = windows(x, self.size)
            _, from_y = windows(y, self.size)
            after_y = Axis(total - w for total, w in zip(from_y, y.weights, strict=True))
            all_x = Axis(w for w in sums for _ in range(self.size))
            found = [
                (out, pooled(claim.axes, self.size), claim.mu[: len(out.digits)]),
                (mask, [*lead, after_y, all_x], [lowest]),
                (mask, [*lead, y, Axis(from_x)], [lowest]),
                (difference, claim.axes, [-mu for mu in claim.mu[: len(difference.digits)]]),
            ]
            return found, -lowest * product_of_totals(claim.axes)

        return terms

    def verify(self, ledger, name, out, mask, difference):
        beta = ledger.challenge(f"{name}: beta", 1)
        z = [ledger.challenges(f"{name}: selection: point", 1, bits((length,))) for length in mask.shape]
        z_windows = [ledger.challenges(f"{name}: windows: point", 1, bits((length,))) for length in out.shape]
        flat, flat_windows = ([c for point in reversed(points) for c in point] for points in (z, z_windows))
        r, e = ledger.sumcheck(f"{name}: selection", bits(mask.shape), 2, ZERO, flat)
        m, d = ledger.hidden(f"{name}: selection: values", 2)
        ledger.equation(f"{name}: selection", e - m * m + m - beta * m * d)
        axes = eqs(mask.shape, split(mask.shape, r))
        ledger.claim(mask, axes, [ONE], m)
        ledger.claim(difference, axes, value_weights(difference), d)
        axes = eqs(out.shape, z_windows)
        s = product_of_totals(axes)
        if self.relu:
            r, e = ledger.sumcheck(f"{name}: windows", bits(out.shape), 2, ZERO, flat_windows)
            s, a = ledger.hidden(f"{name}: windows: values", 2)
            ledger.equation(f"{name}: windows", e - s * s + s - beta * s * a + beta * a)
            axes = eqs(out.shape, split(out.shape, r))
        ledger.claim(mask, repeated(axes, self.size), [ONE], s)
        if self.relu:
            ledger.claim(out, axes, value_weights(out), a)
