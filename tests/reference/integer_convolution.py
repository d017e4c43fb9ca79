"""The three sums of a convolution in Python ints, term by term; arrays of objects."""

import itertools

import numpy as np


def sums(images, weights, deltas, stride, before, dilation=(1, 1), groups=1):
    """(values, weight gradient, input gradient) of images (B, C, H, W), weights (O, C / groups, d, e), deltas (B, O, Y, X)."""
    height, width = images.shape[2:]
    values, gradient, behind = (np.zeros(shape, dtype=object) for shape in (deltas.shape, weights.shape, images.shape))
    images, weights, deltas = (array.astype(object) for array in (images, weights, deltas))
    outs, ins = len(weights) // groups, weights.shape[1]
    indices = itertools.product(*map(range, (*deltas.shape, *weights.shape[1:])))
    for b, o, y, x, i, d, e in indices:
        c = o // outs * ins + i
        u, v = y * stride[0] + d * dilation[0] - before[0], x * stride[1] + e * dilation[1] - before[1]
        if 0 <= u < height and 0 <= v < width:
            values[b, o, y, x] += weights[o, i, d, e] * images[b, c, u, v]
            gradient[o, i, d, e] += deltas[b, o, y, x] * images[b, c, u, v]
            behind[b, c, u, v] += weights[o, i, d, e] * deltas[b, o, y, x]
    return values, gradient, behind
