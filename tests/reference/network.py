"""A network evaluated in float64 straight from its description, window by window: the twin of every other evaluation."""

import numpy as np


def scores(network, parameters, records):
    """(B, classes) for records (B, C, H, W); Python loops over records, channels and windows."""
    return np.array([_scores(network, parameters, record) for record in records])


def _scores(network, parameters, x):
    for layer in network.layers:
        weight = parameters[f"{layer.name}.weight"]
        x = _convolve(x, weight, layer.stride, layer.padding)
        if layer.bias:
            x = x + parameters[f"{layer.name}.bias"][:, None, None]
        if layer.pool and layer.pool.kind == "max":
            x = _windows(x, layer.pool.size, np.max)
        if layer.relu:
            x = np.maximum(x, 0)
        if layer.pool and layer.pool.kind == "average":
            x = _windows(x, layer.pool.size, np.mean)
    return x[:, 0, 0]


def _convolve(x, weight, stride, padding):
    x = np.pad(x, ((0, 0), (padding[0], padding[0]), (padding[1], padding[1])))
    kernel = weight.shape[2:]
    height, width = ((x.shape[1 + axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1))
    output = np.empty((len(weight), height, width))
    for c in range(len(weight)):
        for i in range(height):
            for j in range(width):
                top, left = i * stride[0], j * stride[1]
                output[c, i, j] = np.sum(weight[c] * x[:, top : top + kernel[0], left : left + kernel[1]])
    return output


def _windows(x, size, reduce):
    channels, height, width = x.shape[0], x.shape[1] // size, x.shape[2] // size
    output = np.empty((channels, height, width))
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                output[c, i, j] = reduce(x[c, i * size : (i + 1) * size, j * size : (j + 1) * size])
    return output
