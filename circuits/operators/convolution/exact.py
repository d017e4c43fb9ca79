"""The three sums of a convolution on integers: exact products of matrices (zkds/native/exact.py), one for each group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zkds.circuits.arithmetic.exact import Operand, Wide, multiply
from zkds.circuits.operators.convolution.views import ConvolutionViews, views
from zkds.circuits.operators.convolution.windows import Window as Axis
from zkds.integers.limbs import I64
from zkds.native.exact import ArrayProducts


@dataclass(frozen=True)
class Window:
    """The geometry of one convolution, along (rows, columns) each: kernel, stride, zeros before the input, the output's size,
    the distance of two taps; and the groups into which the channels are cut.

    The output may stop short of what would fit: rows and columns that nothing uses are not computed. It may reach beyond the
    input: there are as many zeros behind it as that takes.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    output: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def axes(self, size: Sequence[int]) -> tuple[Axis, Axis]:
        """Over rows and columns, `size` of them."""
        rows, columns = map(Axis, size, self.kernel, self.stride, self.before, self.output, self.dilation)
        return rows, columns

    def views(self, batch: int, channels_in: int, channels_out: int, size: Sequence[int]) -> ConvolutionViews:
        """The matrices of a convolution of images (B, C, *size)."""
        return views(batch, channels_in, channels_out, self.groups, *self.axes(size))


@dataclass(frozen=True)
class Images:
    """Images (B, C, H, W) as an operand, (G, B, C / G, ..), with the zeros around them that the windows reach."""

    window: Window
    size: tuple[int, int]
    framed: Operand

    def views(self, channels_out: int) -> ConvolutionViews:
        """The matrices of a convolution of these images."""
        groups, batch, channels, *_ = self.framed.values.shape
        return self.window.views(batch, groups * channels, channels_out, self.size)


def image_operand(images: I64, window: Window) -> Images:
    """(B, C, H, W), for windows that the kernels of a layer see."""
    size = images.shape[2], images.shape[3]
    places = window.views(len(images), images.shape[1], window.groups, size)
    return Images(window, size, Operand.of(places.frame_inputs(images[None])))


def patches(images: Images) -> I64:
    """(B Y X, C_in R S): what the kernel meets at every output, zeros included. Without groups."""
    view = images.views(1).patches
    found: I64 = images.framed.values.reshape(-1)[view.columns[:, None] + view.rows]
    return found


def convolution(weights: Operand, images: Images) -> Wide:
    """sum over the input channels of a group and taps, (B, C_out, *output); weights (C_out, C_in / G, *kernel)."""
    where = images.views(len(weights.values)).values
    return _multiply(where, _laid_out(where.left, weights), images.framed)


def input_gradient(weights: Operand, deltas: Operand, window: Window, size: tuple[int, int]) -> Wide:
    """The transposed convolution of deltas (B, C_out, *output), (B, C_in, *size)."""
    batch, channels_out = deltas.values.shape[:2]
    where = window.views(batch, window.groups * weights.values.shape[1], channels_out, size).input_gradient
    return _multiply(where, _laid_out(where.left, weights), _laid_out(where.right, deltas))


def weight_gradient(deltas: Operand, images: Images, shape: tuple[int, ...]) -> Wide:
    """sum over records and output positions, of the weights' shape, (C_out, C_in / G, *kernel)."""
    where = images.views(shape[0]).weight_gradient
    return _multiply(where, _laid_out(where.left, deltas), images.framed)


def _laid_out(layout: Callable[[I64], I64], operand: Operand) -> Operand:
    """One pass of a factor."""
    return Operand(layout(operand.values[None]), operand.bits)


def _multiply(where: ArrayProducts, left: Operand, right: Operand) -> Wide:
    """The result of one pass."""
    total = multiply(left, right, where.products, (len(left.values), *where.shape))
    hi, lo = (where.result(part)[0] for part in total.words)
    return Wide(hi, lo)
