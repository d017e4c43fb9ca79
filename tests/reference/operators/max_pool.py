"""Max pools over any windows: docs/specification/certificate.md, section 16.3."""

import numpy as np

from tests.reference.operators.semantics import Semantics
from zkds_verify.integers import box, fits
from zkds_verify.operators import max_pool as verified
from zkds_verify.operators.max_pool import width


class WindowMaximum(Semantics, verified.WindowMaximum):
    def forward(self, place, inputs, weights):
        (x,) = inputs
        rows, columns = self.along(place.inputs[0][1:])
        (h, w), padding = (len(rows[0]), len(columns[0])), -(2 ** (width(place) - 1)) - 1
        output, mask, difference = {}, {}, {}
        for b, c, i, j in box(1 + max(b for b, *_ in x), *place.output):
            met = {}  # the window's entries by their places among all windows' ones, in row-major order
            for y, v in box(h, w):
                inside = rows[i][y] is not None and columns[j][v] is not None
                met[b, c, i * h + y, j * w + v] = x[b, c, rows[i][y], columns[j][v]] if inside else padding
            first = max(met, key=met.get)  # the first of the largest
            selected = met[first] >= 0 or not self.relu
            output[b, c, i, j] = met[first] if selected else 0
            count = 0
            for at, value in met.items():
                mask[at] = int(selected and at == first)
                count += mask[at]
                difference[at] = output[b, c, i, j] - value - 1 + count
        return output, {"mask": mask, "difference": difference}

    def backward(self, place, inputs, values, weights, delta, kind):
        rows, columns = self.along(place.inputs[0][1:])
        h, w = len(rows[0]), len(columns[0])
        found = dict.fromkeys(inputs[0], 0)
        for (b, c, y, x), m in values["mask"].items():
            if m:
                found[b, c, rows[y // h][y % h], columns[x // w][x % w]] += delta[b, c, y // h, x // w]
        assert fits(found, 46 + place.delta_bits)
        return [found if place.wanted[0] else None], {}, {}

    def evaluate(self, inputs, parameters):
        output = np.empty(self.output([inputs[0].shape]))
        rows, columns = self.along(inputs[0].shape[1:])
        for c, i, j in box(*output.shape):
            met = [[y for y in rows[i] if y is not None], [x for x in columns[j] if x is not None]]
            output[c, i, j] = np.max(inputs[0][c][np.ix_(*met)])
        return np.maximum(output, 0) if self.relu else output


class MaxPool(WindowMaximum, verified.MaxPool):
    pass


class AdaptiveMaxPool(WindowMaximum, verified.AdaptiveMaxPool):
    pass
