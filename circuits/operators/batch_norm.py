"""Batch norm in evaluation mode: gamma (x - mean) / sqrt(var + eps) + beta, channel by channel, never folded.

gamma and beta are parameters: perturbed, updated, counted in norms. The model's constants are, for every channel, mean [32] and
r = round(2^32 / sqrt(var + eps)) [32]. With c the scale of a pass and a channel, x of `bits` fractional bits, dy and dx with
those of the deltas:

    c   = round(gamma r)                                        [32]
    y   = round(c (x - mean) + beta)                            [32]
    dx  = round(c dy)
    dc  = round(sum over records and positions of dy (x - mean))    [48]
    dgamma = round(r dc),    dbeta = round(sum of dy)

Behind a convolution this rounds a second time. One rounding of c (sum W a - mean) + beta takes more cells, and has no sound
plan from some 2,000 inputs of an output on: see docs/fixed-point.md and tests/operators/test_batch_norm.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from zkds.circuits.arithmetic.exact import Rounded, Wide, inner_products, products
from zkds.circuits.arithmetic.fixed_point import (
    ACTIVATION_BITS,
    CONVOLUTION,
    DELTA,
    GRADIENT_BITS,
    LIMB_BITS,
    WEIGHT_BITS,
    Place,
    require_format,
)
from zkds.circuits.operators.channel_products import ChannelProducts, ChannelSums, ConstantProducts, PerChannel
from zkds.circuits.operators.convolution.sums import bias_gradient_term, bias_term
from zkds.circuits.operators.convolution.windows import Geometry, Window
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.tensors.linear import Addend, SumTensor
from zkds.tensors.tensor import Committed, Tensor

MEAN_BITS = ACTIVATION_BITS
DEVIATION_BITS = 32  # of r
SCALE_BITS = 32
SCALE_GRADIENT_BITS = 48

CONSTANT = LimbFormat(LIMB_BITS, 44, signed=True)  # mean and r, |v| < 2048
SCALE = LimbFormat(LIMB_BITS, 44, signed=True)  # |c| < 2048
SCALE_GRADIENT = LimbFormat(LIMB_BITS, 60, signed=True)  # |dc| < 2048


def inverse_deviation(variance: float, eps: float) -> int:
    """round(2^32 / sqrt(variance + eps)), halves up, exactly: r of one channel.

    Raises ValueError unless variance >= 0 and variance + eps > 0, both finite.
    """
    if not (math.isfinite(variance) and math.isfinite(eps) and variance >= 0 and eps >= 0 and variance + eps > 0):
        raise ValueError(f"variance: expected variance >= 0 and variance + eps > 0, got {variance} and {eps}")
    square = Fraction(1 << 2 * DEVIATION_BITS) / (Fraction(variance) + Fraction(eps))
    return (math.isqrt(math.floor(4 * square)) + 1) // 2  # floor(q + 1/2) = floor((floor(2 q) + 1) / 2)


@dataclass(frozen=True, repr=False)
class Channels:
    """What normalises the channels of one pass: integers (C,)."""

    scale: I64
    mean: I64
    bias: I64


def scale(weight: I64, deviation: I64, place: Place) -> Rounded:
    """c [32] of gamma [40] and r [32], (C,). Raises Overflow."""
    found = Rounded(*products(weight, deviation).round(_SCALE_SHIFT))
    require_format(found.value, SCALE, "scale", place)
    return found


def centred(values: I64, mean: I64, bits: int) -> I64:
    """x - mean [bits], (B, C, H, W)."""
    return values - (mean << np.int64(bits - MEAN_BITS))[:, None, None]


def normalise(values: I64, channels: Channels, bits: int, place: Place) -> Rounded:
    """y [32] of x [bits], (B, C, H, W). Raises Overflow."""
    total = products(channels.scale[:, None, None], centred(values, channels.mean, bits))
    bias = np.broadcast_to(channels.bias[:, None, None], values.shape)
    found = Rounded(*(total + Wide.of(bias, _bias_shift(bits))).round(_forward_shift(bits)))
    require_format(found.value, CONVOLUTION, "batch norm", place)
    return found


def input_delta(delta: I64, scale: I64, extra_bits: int, place: Place) -> Rounded:
    """dx of dy, which has `extra_bits` more fractional bits than it, (B, C, H, W). Raises Overflow."""
    found = Rounded(*products(scale[:, None, None], delta).round(SCALE_BITS + extra_bits))
    require_format(found.value, DELTA, "input delta", place)
    return found


def scale_gradient(delta: I64, values: I64, mean: I64, bits: int, delta_bits: int, place: Place) -> Rounded:
    """dc [48], (C,), of dy [delta_bits] and x [bits], (B, C, H, W). Raises Overflow."""
    sums = inner_products(_by_channel(delta), _by_channel(centred(values, mean, bits)))
    found = Rounded(*sums.round(_scale_gradient_shift(bits, delta_bits)))
    require_format(found.value, SCALE_GRADIENT, "scale gradient", place)
    return found


def weight_gradient(scale_gradient: I64, deviation: I64, bits: int) -> Rounded:
    """dgamma [bits], (C,), of dc [48] and r [32]; int64's bounds for what exceeds them, which no format holds.

    These products have up to 102 bits, and there are few of them: arrays of Python ints.
    """
    shift = _weight_gradient_shift(bits)
    total = scale_gradient.astype(object) * deviation + (1 << (shift - 1))
    value = np.clip(total >> shift, -(1 << 63), (1 << 63) - 1)
    return Rounded(value.astype(np.int64), (total & ((1 << shift) - 1)).astype(np.int64))


def bias_gradient(delta: I64, delta_bits: int, bits: int) -> Rounded:
    """dbeta [bits], (C,), of dy [delta_bits], (B, C, H, W): beta is the weight of a constant input 2^32."""
    sums = Wide.of(delta.sum(axis=(0, 2, 3)), ACTIVATION_BITS)
    return Rounded(*sums.round(ACTIVATION_BITS + delta_bits - bits))


# ---- relation --------------------------------------------------------------------------------------------------------------


class Normalisation:
    """The relation of a batch norm in all passes.

    inputs      x (P, B, C, H, W) [input_bits]
    output      y of the same shape [32], constrained here
    weight      gamma in every pass, (P, C)
    bias        beta in every pass, (P, C)
    mean        (C,) [32]
    deviation   r (C,) [32]
    components  what proves the way forward
    """

    def __init__(
        self,
        name: str,
        inputs: Tensor,
        input_bits: int,
        output: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        deviation: Tensor,
    ) -> None:
        self.name = name
        self.inputs = inputs
        self.input_bits = input_bits
        self.deviation = deviation
        self.geometry = _geometry(inputs.shape)
        self.scale = Committed(LimbColumns(f"{name}: scale", SCALE, weight.shape))
        means = PerChannel(f"{name}: mean", mean, inputs.shape)
        shift = input_bits - MEAN_BITS
        self.centred = SumTensor(f"{name}: centred", [Addend(means, shift, sign=-1), Addend(inputs)])
        products = ChannelProducts(self.scale, self.centred)
        linear = bias_term(self.geometry, bias, _bias_shift(input_bits))
        self.components = [
            RoundedSum(self.scale.name, self.scale, _SCALE_SHIFT, ConstantProducts(weight, deviation)),
            RoundedSum(f"{name}: forward", output, _forward_shift(input_bits), products, linear),
        ]

    def input_delta(self, delta: Tensor, extra_bits: int) -> RoundedSum:
        """dx of dy, which has `extra_bits` more fractional bits: the `output` of its rounded sum."""
        found = Committed(LimbColumns(f"{self.name}: input delta", DELTA, self.inputs.shape))
        products = ChannelProducts(self.scale, delta)
        return RoundedSum(f"{self.name}: input gradient", found, SCALE_BITS + extra_bits, products)

    def gradients(
        self, kind: str, delta: Tensor, delta_bits: int, first: int, weight: Committed, bias: Committed
    ) -> list[RoundedSum]:
        """What proves dgamma and dbeta, (count, C), in `count` passes from `first`, from dy [delta_bits].

        kind   "gradient" or "update"; the results have the fractional bits of the one or the other
        """
        bits = WEIGHT_BITS if kind == "update" else GRADIENT_BITS
        count = weight.shape[0]
        scale = Committed(LimbColumns(f"{self.name}: scale {kind}", SCALE_GRADIENT, weight.shape))
        sums = ChannelSums(delta, self.centred, first, count)
        linear = bias_gradient_term(self.geometry, delta, ACTIVATION_BITS, first, count)
        return [
            RoundedSum(scale.name, scale, _scale_gradient_shift(self.input_bits, delta_bits), sums),
            RoundedSum(weight.name, weight, _weight_gradient_shift(bits), ConstantProducts(scale, self.deviation)),
            RoundedSum(bias.name, bias, ACTIVATION_BITS + delta_bits - bits, None, linear),
        ]


def _geometry(shape: tuple[int, ...]) -> Geometry:
    """(P, B, C, H, W): every entry is one output of its channel."""
    passes, batch, channels, rows, columns = shape
    return Geometry(
        (passes + 1) // 2, batch, channels, channels, Window(rows, 1, 1, 0, rows), Window(columns, 1, 1, 0, columns)
    )


def _by_channel(values: I64) -> I64:
    """(B, C, H, W) -> (C, B H W)."""
    return np.ascontiguousarray(values.swapaxes(0, 1)).reshape(values.shape[1], -1)


_SCALE_SHIFT = WEIGHT_BITS + DEVIATION_BITS - SCALE_BITS  # from the bits of gamma r to those of c


def _forward_shift(bits: int) -> int:
    """From the bits of c x to those of y."""
    return SCALE_BITS + bits - ACTIVATION_BITS


def _bias_shift(bits: int) -> int:
    """From the bits of beta to those of c x."""
    return SCALE_BITS + bits - WEIGHT_BITS


def _scale_gradient_shift(bits: int, delta_bits: int) -> int:
    """From the bits of x dy to those of dc."""
    return bits + delta_bits - SCALE_GRADIENT_BITS


def _weight_gradient_shift(bits: int) -> int:
    """From the bits of r dc to those of a gradient or an update."""
    return SCALE_GRADIENT_BITS + DEVIATION_BITS - bits
