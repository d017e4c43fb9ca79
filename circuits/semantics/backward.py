"""The backward pass: deltas through masks (exact) and transposed convolutions, gradients of parameters; one rounding each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zkds.circuits.arithmetic.exact import Operand, Rounded, Wide
from zkds.circuits.arithmetic.fixed_point import DELTA, Place, require_format
from zkds.circuits.networks.graph import Layer
from zkds.circuits.operators.convolution.exact import input_gradient, weight_gradient
from zkds.circuits.operators.placed import Placed
from zkds.circuits.semantics.forward import U8, LayerForward
from zkds.integers.limbs import I64, LimbFormat


@dataclass(frozen=True, repr=False)
class LayerBackward:
    """Deltas of one layer in one pass, without the pass axis; input deltas are empty for the first layer."""

    output_delta: I64
    input_delta: I64
    input_delta_remainder: I64


def backward(
    layers: tuple[Placed, ...],
    forwards: list[LayerForward],
    logit_delta: I64,
    delta_bits: int,
    result: tuple[str, LimbFormat, int],
    place: Place,
) -> tuple[list[LayerBackward], dict[str, Rounded]]:
    """Deltas of all layers and gradients of all parameters from the logits' deltas (B, K) [delta_bits].

    result: name, format and fractional bits of the gradients: g of a first pass, U of a second one. Raises Overflow.
    """
    deltas: list[LayerBackward] = []
    gradients: dict[str, Rounded] = {}
    behind = logit_delta.reshape(*logit_delta.shape, 1, 1)
    name, number, bits = result
    for index in reversed(range(len(layers))):
        placed, passed = layers[index], forwards[index]
        here = place.at(placed.layer.name)
        delta = through_mask(placed.layer, passed.mask, behind)
        operand = Operand.of(delta)
        shift = placed.gradient_shift(delta_bits, bits)
        for parameter, total in _gradients(placed, passed, delta, operand).items():
            gradients[parameter] = Rounded(*total.round(shift))
            require_format(gradients[parameter].value, number, name, here.at(parameter))
        if index:
            size = placed.shapes.input[1:]
            sums = input_gradient(passed.weights, operand, placed.window, (size[0], size[1]))
            behind, remainder = sums.round(placed.backward_shift)
            require_format(behind, DELTA, "input delta", here)
            deltas.append(LayerBackward(delta, behind, remainder))
        else:
            deltas.append(LayerBackward(delta, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)))
    return deltas[::-1], gradients


def through_mask(layer: Layer, mask: U8, behind: I64) -> I64:
    """mask * (the deltas of the layer's output, repeated over their windows): the deltas of its convolution's output.

    Behind an average pool the division by size^2 is the binary point's move.
    """
    if layer.pool:
        size = layer.pool.size
        batch, channels, height, width = mask.shape
        split = mask.reshape(batch, channels, height // size, size, width // size, size)
        return (split * behind[:, :, :, None, :, None]).reshape(mask.shape)
    return behind * mask if layer.relu else behind


def _gradients(placed: Placed, passed: LayerForward, delta: I64, operand: Operand) -> dict[str, Wide]:
    """The exact sums of the layer's parameters. A bias is the weight of a constant input 1 = 2^input_bits."""
    layer = placed.layer
    sums = {f"{layer.name}.weight": weight_gradient(operand, passed.images, layer.weight_shape)}
    if layer.bias:
        sums[f"{layer.name}.bias"] = Wide.of(delta.sum(axis=(0, 2, 3)), placed.input_bits)
    return sums
