"""The three sums of a convolution layer, entry by entry, on Python integers."""

from __future__ import annotations

import itertools

import numpy as np


def round_half_up(value, shift):
    return (value + (1 << (shift - 1))) >> shift


def positions(window):
    """All (output, tap, input) along one axis."""
    triples = itertools.product(range(window.outputs), range(window.kernel))
    met = [(y, d, y * window.stride + d * window.dilation - window.before) for y, d in triples]
    return [(y, d, u) for y, d, u in met if 0 <= u < window.inputs]


def terms(geometry, positions=positions):
    """All (p, b), (o, i), c, (y, x), (d, e), (u, v) that belong together: i counts the input channels c of the group of o."""
    outs, ins = geometry.channels_out // geometry.groups, geometry.channels_in // geometry.groups
    records = itertools.product(range(geometry.passes), range(geometry.batch))
    channels = [(o, i) for o in range(geometry.channels_out) for i in range(ins)]
    for pb, (o, i), row, column in itertools.product(records, channels, positions(geometry.rows), positions(geometry.columns)):
        yield pb, (o, i), o // outs * ins + i, *zip(row, column, strict=True)


def convolution_sums(geometry, weights, inputs, bias=None, exponent=0, terms=terms):
    """C for every output: (P, B, Cout, Y, X) Python ints."""
    sums = np.zeros(geometry.output_shape, dtype=object)
    for (p, b), (o, i), c, yx, de, uv in terms(geometry):
        sums[p, b, o, *yx] += int(weights[p, o, i, *de]) * int(inputs[p, b, c, *uv])
    if bias is not None:
        sums += np.array(bias, dtype=object)[:, None, :, None, None] * (1 << exponent)
    return sums


def input_gradient_sums(geometry, weights, deltas, terms=terms):
    """(P, B, Cin, H, W) Python ints."""
    sums = np.zeros(geometry.input_shape, dtype=object)
    for (p, b), (o, i), c, yx, de, uv in terms(geometry):
        sums[p, b, c, *uv] += int(weights[p, o, i, *de]) * int(deltas[p, b, o, *yx])
    return sums


def weight_gradient_sums(geometry, deltas, inputs, terms=terms):
    """(P, Cout, Cin / groups, taps, taps) Python ints, for every pass."""
    sums = np.zeros((geometry.passes, *geometry.weight_shape), dtype=object)
    for (p, b), (o, i), c, yx, de, uv in terms(geometry):
        sums[p, o, i, *de] += int(deltas[p, b, o, *yx]) * int(inputs[p, b, c, *uv])
    return sums


def rounded(sums, shift):
    """(values, remainders) int64 of Python ints."""
    moved = sums + (1 << (shift - 1))
    return (moved >> shift).astype(np.int64), (moved % (1 << shift)).astype(np.int64)


def weights_in_passes(start, updates, perturbations):
    """W_p of every pass, from w0, U (T - 1, ..) and E (T - 1, ..)."""
    first = [start - updates[:t].sum(axis=0) for t in range(len(updates) + 1)]
    return np.stack([*first, *(w + e for w, e in zip(first, perturbations, strict=False))])
