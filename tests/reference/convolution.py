"""The three sums of a convolution layer, entry by entry, on Python integers."""

from __future__ import annotations

import itertools

import numpy as np


def round_half_up(value, shift):
    return (value + (1 << (shift - 1))) >> shift


def positions(window):
    """All (output, tap, input) along one axis."""
    triples = itertools.product(range(window.outputs), range(window.kernel))
    met = [(y, d, y * window.stride + d - window.padding) for y, d in triples]
    return [(y, d, u) for y, d, u in met if 0 <= u < window.inputs]


def convolution_sums(geometry, weights, inputs, bias=None, exponent=0):
    """C for every output: (P, B, Cout, Y, X) Python ints."""
    sums = np.zeros(geometry.output_shape, dtype=object)
    for p, b, o, i in _channels(geometry):
        for (y, d, u), (x, e, v) in itertools.product(positions(geometry.rows), positions(geometry.columns)):
            sums[p, b, o, y, x] += int(weights[p, o, i, d, e]) * int(inputs[p, b, i, u, v])
    if bias is not None:
        sums += np.array(bias, dtype=object)[:, None, :, None, None] * (1 << exponent)
    return sums


def input_gradient_sums(geometry, weights, deltas):
    """(P, B, Cin, H, W) Python ints."""
    sums = np.zeros(geometry.input_shape, dtype=object)
    for p, b, o, i in _channels(geometry):
        for (y, d, u), (x, e, v) in itertools.product(positions(geometry.rows), positions(geometry.columns)):
            sums[p, b, i, u, v] += int(weights[p, o, i, d, e]) * int(deltas[p, b, o, y, x])
    return sums


def weight_gradient_sums(geometry, deltas, inputs):
    """(P, Cout, Cin, taps, taps) Python ints, for every pass."""
    sums = np.zeros((geometry.passes, *geometry.weight_shape), dtype=object)
    for p, b, o, i in _channels(geometry):
        for (y, d, u), (x, e, v) in itertools.product(positions(geometry.rows), positions(geometry.columns)):
            sums[p, o, i, d, e] += int(deltas[p, b, o, y, x]) * int(inputs[p, b, i, u, v])
    return sums


def rounded(sums, shift):
    """(values, remainders) int64 of Python ints."""
    moved = sums + (1 << (shift - 1))
    return (moved >> shift).astype(np.int64), (moved % (1 << shift)).astype(np.int64)


def weights_in_passes(start, updates, perturbations):
    """W_p of every pass, from w0, U (T - 1, ..) and E (T - 1, ..)."""
    first = [start - updates[:t].sum(axis=0) for t in range(len(updates) + 1)]
    return np.stack([*first, *(w + e for w, e in zip(first, perturbations, strict=False))])


def _channels(geometry):
    return itertools.product(
        range(geometry.passes), range(geometry.batch), range(geometry.channels_out), range(geometry.channels_in)
    )
