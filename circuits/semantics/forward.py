"""The forward pass: convolutions with one rounding each, exact selections (max pool, ReLU) and exact sums (average pool)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import Operand, Wide
from zkds.circuits.arithmetic.fixed_point import CONVOLUTION, Place, require_format
from zkds.circuits.networks.graph import Layer, Pool
from zkds.circuits.operators.convolution.exact import Images, convolution, image_operand
from zkds.circuits.operators.placed import Placed
from zkds.integers.limbs import I64

U8 = NDArray[np.uint8]


@dataclass(frozen=True, repr=False)
class LayerForward:
    """What one layer computes in one pass; shapes as in Trajectory, without the pass axis. `weights` and `images` are kept as
    operands: the backward pass multiplies by the same ones.
    """

    convolution: I64
    remainder: I64
    mask: U8
    activation: I64
    weights: Operand
    images: Images


def forward(layers: tuple[Placed, ...], weights: Mapping[str, I64], inputs: I64, place: Place) -> list[LayerForward]:
    """All layers on a batch (B, C, H, W) [32]. Raises Overflow."""
    results: list[LayerForward] = []
    for placed in layers:
        images = results[-1].activation if results else inputs
        results.append(_layer(placed, weights, images, place.at(placed.layer.name)))
    return results


def _layer(placed: Placed, weights: Mapping[str, I64], images: I64, place: Place) -> LayerForward:
    layer = placed.layer
    kernel = Operand.of(weights[f"{layer.name}.weight"])
    operand = image_operand(images, placed.window)
    total = convolution(kernel, operand)
    if layer.bias:
        bias = weights[f"{layer.name}.bias"].reshape(1, -1, 1, 1)
        total = total + Wide.of(bias, placed.input_bits)
    z, remainder = total.round(placed.forward_shift)
    require_format(z, CONVOLUTION, "convolution", place)
    mask = selection(layer, z)
    return LayerForward(z, remainder, mask, _activation(layer, z, mask), kernel, operand)


def selection(layer: Layer, z: I64) -> U8:
    """The mask of a layer: 1 where an entry of its convolution reaches its output, 0 elsewhere.

    Max pool: the first maximum of its window in row-major order; with ReLU, only if it is >= 0.
    """
    if layer.pool and layer.pool.kind == "max":
        windows = _windows(z, layer.pool)
        first = windows.argmax(axis=-1)[..., None]
        chosen = np.arange(windows.shape[-1]) == first
        if layer.relu:
            chosen &= np.take_along_axis(windows, first, axis=-1) >= 0
        return _from_windows(chosen.astype(np.uint8), layer.pool)
    return (z >= 0).astype(np.uint8) if layer.relu else np.ones(z.shape, dtype=np.uint8)


def _activation(layer: Layer, z: I64, mask: U8) -> I64:
    """The selected entries, added up over each window: a max pool's mask selects one at most."""
    kept = z * mask if layer.relu or layer.pool else z
    return _windows(kept, layer.pool).sum(axis=-1) if layer.pool else kept


def _windows(values: I64, pool: Pool) -> I64:
    """(B, C, H, W) -> (B, C, H / size, W / size, size^2), each window in row-major order."""
    batch, channels, height, width = values.shape
    size = pool.size
    split = values.reshape(batch, channels, height // size, size, width // size, size)
    return split.transpose(0, 1, 2, 4, 3, 5).reshape(batch, channels, height // size, width // size, size * size)


def _from_windows(windows: U8, pool: Pool) -> U8:
    """The inverse of `_windows`."""
    batch, channels, rows, columns, _ = windows.shape
    size = pool.size
    split = windows.reshape(batch, channels, rows, columns, size, size).transpose(0, 1, 2, 4, 3, 5)
    return split.reshape(batch, channels, rows * size, columns * size)
