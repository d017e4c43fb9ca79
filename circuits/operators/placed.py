"""What a layer's place in its network fixes: shapes that are computed at all, binary points, shifts of its roundings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, GRADIENT_BITS, WEIGHT_BITS
from zkds.circuits.networks.graph import Layer, LayerShapes, Network, Shape
from zkds.circuits.operators.convolution.exact import Window


@dataclass(frozen=True)
class Placed:
    """A layer in its network.

    input_bits    fractional bits of its input: 32, and 2 log2(size) more behind an average pool
    average_bits  2 log2(size) of its own average pool, else 0: by so much its output's binary point and its deltas' are moved
    """

    layer: Layer
    shapes: LayerShapes
    input_bits: int
    average_bits: int

    @cached_property
    def convolution(self) -> Shape:
        """The shape of the convolution's output that is computed: with a pool, only what lies in a window."""
        size = self.layer.pool.size if self.layer.pool else 1
        channels, height, width = self.shapes.output
        return channels, height * size, width * size

    @cached_property
    def window(self) -> Window:
        return Window(self.layer.kernel, self.layer.stride, self.layer.padding, self.convolution[1:])

    @property
    def forward_shift(self) -> int:
        """From the bits of w a to those of z."""
        return WEIGHT_BITS + self.input_bits - ACTIVATION_BITS

    @property
    def backward_shift(self) -> int:
        """From the bits of w dz to those of the deltas behind the layer's average pool, which all layers share."""
        return WEIGHT_BITS + self.average_bits

    def gradient_shift(self, delta_bits: int, result_bits: int) -> int:
        """From the bits of a dz to those of a gradient or an update; delta_bits: those of the logits' deltas in this pass."""
        return self.input_bits + delta_bits + self.average_bits - result_bits

    @property
    def forward_terms(self) -> int:
        """Products in one entry of z."""
        return self.layer.channels_in * math.prod(self.layer.kernel)


def placed_layers(network: Network) -> tuple[Placed, ...]:
    """The layers of a network. Raises ValueError for an average pool whose size is no power of two."""
    placed = []
    input_bits = ACTIVATION_BITS
    for layer, shapes in zip(network.layers, network.shapes, strict=True):
        average_bits = 0
        if layer.pool and layer.pool.kind == "average":
            if layer.pool.size & (layer.pool.size - 1):
                raise ValueError(f"{layer.name}: expected an average pool whose size is a power of two, got {layer.pool.size}")
            average_bits = 2 * (layer.pool.size.bit_length() - 1)
        placed.append(Placed(layer, shapes, input_bits, average_bits))
        input_bits = ACTIVATION_BITS + average_bits
    return tuple(placed)


def delta_bits(second: bool, second_bits: int) -> int:
    """Fractional bits of the logits' deltas in a first or second pass."""
    return second_bits if second else GRADIENT_BITS
