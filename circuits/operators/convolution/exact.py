"""The three sums of a convolution on integers: exact products of matrices (zkds/native/exact.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkds.circuits.arithmetic.exact import Operand, Wide, multiply
from zkds.circuits.operators.convolution.views import ConvolutionViews, views
from zkds.circuits.operators.convolution.windows import Window as Axis
from zkds.integers.limbs import I64


@dataclass(frozen=True)
class Window:
    """The geometry of one convolution: kernel, stride and zero padding along (rows, columns), and the output's (rows, columns).

    The output may stop short of what would fit: rows and columns that nothing uses are not computed.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    output: tuple[int, int]

    def views(self, batch: int, weight_shape: Sequence[int], size: Sequence[int]) -> ConvolutionViews:
        """The matrices of a convolution of images (B, C, *size) with weights (C_out, C_in, *kernel)."""
        rows, columns = map(Axis, size, self.kernel, self.stride, self.padding, self.output)
        return views(batch, weight_shape[1], weight_shape[0], rows, columns)


@dataclass(frozen=True)
class Images:
    """Images (B, C, H, W) as an operand, with the zeros around them that the windows reach."""

    window: Window
    size: tuple[int, int]
    framed: Operand


def image_operand(images: I64, window: Window) -> Images:
    """(B, C, H, W), for windows that the kernels of a layer see."""
    size = images.shape[2], images.shape[3]
    places = window.views(len(images), (1, images.shape[1]), size)
    return Images(window, size, Operand.of(places.frame_inputs(images)))


def convolution(weights: Operand, images: Images) -> Wide:
    """sum over input channels and taps, (B, C_out, *output)."""
    batch, window = len(images.framed.values), images.window
    places = window.views(batch, weights.values.shape, images.size)
    return multiply(weights, images.framed, [places.values], (batch, len(weights.values), *window.output))


def input_gradient(weights: Operand, deltas: Operand, window: Window, size: tuple[int, int]) -> Wide:
    """The transposed convolution of deltas (B, C_out, *output), (B, C_in, *size)."""
    batch, channels = len(deltas.values), weights.values.shape[1]
    places = window.views(batch, weights.values.shape, size)
    framed = Operand(places.frame_outputs(deltas.values), deltas.bits)
    return multiply(weights, framed, places.input_gradient, (batch, channels, *size))


def weight_gradient(deltas: Operand, images: Images, shape: tuple[int, ...]) -> Wide:
    """sum over records and output positions, of the weights' shape."""
    places = images.window.views(len(deltas.values), shape, images.size)
    return multiply(deltas, images.framed, [places.weight_gradient], shape)
