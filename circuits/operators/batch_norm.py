"""Batch norm in evaluation mode: gamma (x - mean) / sqrt(var + eps) + beta, channel by channel, never folded.

gamma and beta are parameters, `weight` and `bias`: perturbed, updated, counted in norms. The model's constants are, for every
channel, `running_mean`, the integer mean [32], and `running_var`, the integer r = round(2^32 / sqrt(var + eps)) [32]. With c
the scale of a pass and a channel, and [e] the fractional bits of the deltas of the scores:

    c      = round(gamma r)                                               [32]
    y      = round(c (x - mean) + beta)                                   [32]
    dx     = round(c dy)                                                  [e]
    dc     = round(sum over records and positions of dy (x - mean))       [e + 4]
    dgamma = round(r dc),    dbeta = round(sum of dy)

Behind a convolution this rounds a second time. One rounding of c (sum W a - mean) + beta takes more cells, and has no sound
plan from some 2,000 inputs of an output on: see docs/fixed-point.md and tests/operators/test_batch_norm.py.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import Operand, Rounded, Wide, inner_products, products
from zkds.circuits.arithmetic.fixed_point import (
    ACTIVATION_BITS,
    CONVOLUTION,
    DELTA,
    LIMB_BITS,
    WEIGHT,
    WEIGHT_BITS,
    Place,
    require_factor,
    require_format,
)
from zkds.circuits.operators.channel_products import ChannelProducts, ChannelSums, ConstantProducts, PerChannel
from zkds.circuits.operators.convolution.sums import bias_gradient_term, bias_term
from zkds.circuits.operators.convolution.windows import Geometry, Window
from zkds.circuits.operators.operator import (
    Backward,
    Built,
    BuiltBackward,
    Forward,
    GradientKind,
    Operator,
    Placed,
    Scope,
    Shape,
    require_count,
    require_dimension,
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.tensors.linear import Addend, SumTensor
from zkds.tensors.tensor import Committed, Tensor

if TYPE_CHECKING:
    from torch import nn

MEAN, VARIANCE = "running_mean", "running_var"
EXPECTED = {
    MEAN: "a mean between -2048 and 2048",
    VARIANCE: "a variance that is not negative and, with eps, at least 2^-22",
}
CONSTANT = WEIGHT  # the format of mean and r, which are below 2048 then
CONSTANT_BITS = 32  # of mean and r
SCALE = LimbFormat(LIMB_BITS, 44, signed=True)  # |c| < 2048
SCALE_BITS = 32
SCALE_SHIFT = WEIGHT_BITS + CONSTANT_BITS - SCALE_BITS  # from the bits of gamma r to those of c
SCALE_DELTA = LimbFormat(LIMB_BITS, 60, signed=True)  # |dc| < 2048
SCALE_DELTA_BITS = 4  # of dc, beyond those of the deltas of the scores


@dataclass(frozen=True)
class BatchNorm(Operator):
    """Every channel by its mean and variance, to which eps is added, then by gamma and beta."""

    KIND: ClassVar[str] = "batch norm"
    ROUNDS: ClassVar[bool] = True

    channels: int
    eps: float = 1e-5

    def __post_init__(self) -> None:
        require_dimension("channels", self.channels)
        if type(self.eps) is not float:
            raise TypeError(f"eps: expected a float, got {self.eps!r}")
        if not 0 < self.eps <= 1:
            raise ValueError(f"eps: expected a number above 0 and at most 1, got {self.eps}")

    @property
    def parameters(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return (("weight", (self.channels,)), ("bias", (self.channels,)))

    @property
    def constants(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return ((MEAN, (self.channels,)), (VARIANCE, (self.channels,)))

    def constant_integers(self, word: str, values: NDArray[np.float64]) -> I64:
        if word == MEAN:
            integers = [math.floor(Fraction(mean) * (1 << CONSTANT_BITS) + Fraction(1, 2)) for mean in values.tolist()]
        else:
            integers = [inverse_deviation(variance, self.eps) for variance in values.tolist()]
        for channel, integer in enumerate(integers):
            if not CONSTANT.interval.low <= integer <= CONSTANT.interval.high:
                raise ValueError(f"[{channel}]: expected {EXPECTED[word]}")
        return np.array(integers, dtype=np.int64)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if inputs[0][0] != self.channels:
            raise ValueError(f"channels: expected the {inputs[0][0]} of its input {inputs[0]}, got {self.channels}")
        return inputs[0]

    def numbers(self) -> tuple[int, ...]:
        """eps as the 64 bits of its float."""
        return (self.channels, int.from_bytes(struct.pack("<d", self.eps), "little"))

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 2)
        (eps,) = struct.unpack("<d", numbers[1].to_bytes(8, "little"))
        return cls(numbers[0], eps)

    # ---- semantics ----

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        mean, deviation = weights[MEAN], weights[VARIANCE]
        c = scale(weights["weight"], deviation, place)
        distance = centred(inputs[0], mean, placed)
        require_factor(distance, None, "input less mean", place)
        y = normalise(distance, c.value, weights["bias"], placed, place)
        values = {"scale": c.value, "scale: remainder": c.remainder, "forward: remainder": y.remainder}
        operands = {"scale": c.value, MEAN: mean, VARIANCE: deviation}
        return Forward(y.value, values, {name: Operand.of(array) for name, array in operands.items()})

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        c, mean, deviation = (ahead.operands[name].values for name in ("scale", MEAN, VARIANCE))
        require_factor(delta, None, "delta of output", place)
        dc = scale_delta(delta, centred(inputs[0], mean, placed), placed, place)
        gradients = {"weight": weight_gradient(dc.value, deviation, kind), "bias": bias_gradient(delta, placed, kind)}
        values = {"scale delta": dc.value, "scale delta: remainder": dc.remainder}
        if not placed.wanted[0]:
            return Backward([None], values, gradients)
        dx = input_delta(delta, c, placed, place)
        values |= {"input delta": dx.value, "input gradient: remainder": dx.remainder}
        return Backward([dx.value], values, gradients)

    # ---- relation ----

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        return BuiltBatchNorm(placed, scope, inputs[0], parameters)

    # ---- torch ----

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.BatchNorm2d(self.channels, self.eps)


# ---- exact integers: one pass, (B, C, H, W) and (C,) ----


def inverse_deviation(variance: float, eps: float) -> int:
    """round(2^32 / sqrt(variance + eps)), halves up, exactly: r of one channel; more than its format holds for variance < 0."""
    if variance < 0:
        return CONSTANT.interval.high + 1
    square = Fraction(1 << 2 * CONSTANT_BITS) / (Fraction(variance) + Fraction(eps))
    return (math.isqrt(math.floor(4 * square)) + 1) // 2  # floor(q + 1/2) = floor((floor(2 q) + 1) / 2)


def scale(weight: I64, deviation: I64, place: Place) -> Rounded:
    """c [32] of gamma [40] and r [32]. Raises Overflow."""
    found = Rounded(*products(weight, deviation).round(SCALE_SHIFT))
    require_format(found.value, SCALE, "scale", place)
    return found


def centred(values: I64, mean: I64, placed: Placed) -> I64:
    """x - mean, with the fractional bits of x."""
    return values - (mean << np.int64(_mean_shift(placed)))[:, None, None]


def normalise(distance: I64, scale: I64, bias: I64, placed: Placed, place: Place) -> Rounded:
    """y [32] of x - mean, c and beta. Raises Overflow."""
    offset = Wide.of(bias[:, None, None], _bias_shift(placed))
    found = Rounded(*(products(scale[:, None, None], distance) + offset).round(_forward_shift(placed)))
    require_format(found.value, CONVOLUTION, "batch norm", place)
    return found


def input_delta(delta: I64, scale: I64, placed: Placed, place: Place) -> Rounded:
    """dx of dy and c. Raises Overflow."""
    found = Rounded(*products(scale[:, None, None], delta).round(_input_gradient_shift(placed)))
    require_format(found.value, DELTA, "input delta", place)
    return found


def scale_delta(delta: I64, distance: I64, placed: Placed, place: Place) -> Rounded:
    """dc of dy and x - mean. Raises Overflow."""
    by_channel = (np.ascontiguousarray(v.swapaxes(0, 1)).reshape(v.shape[1], -1) for v in (delta, distance))
    found = Rounded(*inner_products(*by_channel).round(_scale_delta_shift(placed)))
    require_format(found.value, SCALE_DELTA, "scale delta", place)
    return found


def weight_gradient(scale_delta: I64, deviation: I64, kind: GradientKind) -> Rounded:
    """dgamma of dc and r; int64's bounds for what exceeds them, which no format holds.

    These products have up to 102 bits, and there are few of them: arrays of Python ints.
    """
    shift = _weight_gradient_shift(kind)
    total = scale_delta.astype(object) * deviation + (1 << (shift - 1))
    value = np.clip(total >> shift, -(1 << 63), (1 << 63) - 1)
    return Rounded(value.astype(np.int64), (total & ((1 << shift) - 1)).astype(np.int64))


def bias_gradient(delta: I64, placed: Placed, kind: GradientKind) -> Rounded:
    """dbeta of dy: beta is the weight of a constant input 1 = 2^32."""
    return Rounded(*Wide.of(delta.sum(axis=(0, 2, 3)), ACTIVATION_BITS).round(_bias_gradient_shift(placed, kind)))


def _mean_shift(placed: Placed) -> int:
    """From the bits of the mean to those of x."""
    return placed.input_bits[0] - CONSTANT_BITS


def _bias_shift(placed: Placed) -> int:
    """From the bits of beta to those of c x."""
    return SCALE_BITS + placed.input_bits[0] - WEIGHT_BITS


def _forward_shift(placed: Placed) -> int:
    """From the bits of c x to those of y."""
    return SCALE_BITS + placed.input_bits[0] - ACTIVATION_BITS


def _input_gradient_shift(placed: Placed) -> int:
    """From the bits of c dy to those of the scores' deltas."""
    return SCALE_BITS + placed.delta_bits


def _scale_delta_shift(placed: Placed) -> int:
    """From the bits of x dy to those of dc."""
    return placed.input_bits[0] + placed.delta_bits - SCALE_DELTA_BITS


def _weight_gradient_shift(kind: GradientKind) -> int:
    """From the bits of r dc to those of a gradient or an update."""
    return CONSTANT_BITS + kind.delta_bits + SCALE_DELTA_BITS - kind.bits


def _bias_gradient_shift(placed: Placed, kind: GradientKind) -> int:
    """From the bits of dy, times 2^32, to those of a gradient or an update."""
    return ACTIVATION_BITS + kind.delta_bits + placed.delta_bits - kind.bits


# ---- relation ----


class BuiltBatchNorm(Built):
    """The relation of a batch norm."""

    def __init__(self, placed: Placed, scope: Scope, inputs: Tensor, parameters: Mapping[str, Parameter]) -> None:
        name = placed.name
        self.placed = placed
        self.runs = scope.schedule.runs
        self.weight = parameters["weight"]
        self.bias = parameters["bias"]
        self.limb_bits = scope.limb_bits
        self.deviation = scope.constant(placed, VARIANCE)
        self.geometry = _geometry(inputs.shape)
        gamma, beta = self.weight.passes, self.bias.passes
        self.scale = Committed(LimbColumns(f"{name}: scale", SCALE, gamma.shape))
        means = PerChannel(f"{name}: mean", scope.constant(placed, MEAN), inputs.shape)
        self.centred = SumTensor(f"{name}: centred", [Addend(means, _mean_shift(placed), sign=-1), Addend(inputs)])
        self.output = scope.output(placed)
        by_constant = ConstantProducts(gamma, self.deviation, 0, gamma.shape[0])
        by_channel = ChannelProducts(self.scale, self.centred)
        linear = bias_term(self.geometry, beta, _bias_shift(placed))
        self.components = [
            RoundedSum(self.scale.name, self.scale, SCALE_SHIFT, by_constant),
            RoundedSum(f"{name}: forward", self.output, _forward_shift(placed), by_channel, linear, self.limb_bits),
        ]

    def backward(self, delta: Tensor) -> BuiltBackward:
        placed, name = self.placed, self.placed.name
        components: list[RoundedSum] = []
        input_delta: Committed | None = None
        if placed.wanted[0]:
            input_delta = Committed(LimbColumns(f"{name}: input delta", DELTA, delta.shape))
            products = ChannelProducts(self.scale, delta)
            sums = RoundedSum(
                f"{name}: input gradient", input_delta, _input_gradient_shift(placed), products, limb_bits=self.limb_bits
            )
            components.append(sums)
        found = Committed(LimbColumns(f"{name}: scale delta", SCALE_DELTA, self.scale.shape))
        components.append(RoundedSum(found.name, found, _scale_delta_shift(placed), ChannelSums(self.centred, delta)))
        for index, run in enumerate(self.runs):
            weight, bias = self.weight.rounded[index], self.bias.rounded[index]
            by_constant = ConstantProducts(found, self.deviation, run.first, run.count)
            components.append(RoundedSum(weight.name, weight, _weight_gradient_shift(run.kind), by_constant))
            linear = bias_gradient_term(self.geometry, delta, ACTIVATION_BITS, run.first, run.count)
            components.append(RoundedSum(bias.name, bias, _bias_gradient_shift(placed, run.kind), None, linear))
        return BuiltBackward([input_delta], components)


def _geometry(shape: tuple[int, ...]) -> Geometry:
    """(P, B, C, H, W): every entry is one output of its channel."""
    passes, batch, channels, *sides = shape
    rows, columns = (Window(length, 1, 1, 0, length) for length in sides)
    return Geometry((passes + 1) // 2, batch, channels, channels, rows, columns)


# ---- import from programs of torch.export ----


def _batch_norm(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    for word in (MEAN, VARIANCE):
        if given[word] is None:
            raise Unsupported(f"{name}: expected a {word}; track_running_stats=False isn't supported")
    if given["training"]:
        raise Unsupported(f"{name} in training mode: call model.eval() before exporting it")
    values = importer.traced(name, given["input"])
    if values.record[:1] != values.shape[:1]:
        raise Unsupported(f"{name}: expected records {values.shape} as the layer before made them, got {values.record}")
    if given["weight"] is None and given["bias"] is None:
        return _without_parameters(importer, name, given, values)
    for word in ("weight", "bias"):
        if given[word] is None:
            raise Unsupported(f"{name}: expected a weight and a bias, or neither")
    (channels,) = importer.weight_shape(name, given, dimensions=1)
    if channels != values.shape[0]:
        raise ValueError(f"{name}: weight: expected {values.shape[0]} numbers, got {channels}")
    try:
        operator = BatchNorm(channels, given["eps"])
    except ValueError as error:
        raise Unsupported(f"{name}: {error}") from None
    return importer.add_layer(name, given, operator, [values], values.record)


def _without_parameters(importer: Importer, name: str, given: Mapping[str, Any], values: Traced) -> Traced:
    """affine=False: nothing is trained, so it is an affine map by constants, x / deviation - mean / deviation."""
    mean, variance = (_statistic(importer, name, word, given[word], values.shape[0]) for word in (MEAN, VARIANCE))
    if min(variance) + given["eps"] <= 0:
        raise Unsupported(f"{name}: {VARIANCE}: expected variances that are positive with eps added")
    scale = [Fraction(1 / math.sqrt(v + given["eps"])) for v in variance]
    return importer.affine(name, values, scale, [-Fraction(m) * s for m, s in zip(mean, scale, strict=True)])


def _statistic(importer: Importer, name: str, word: str, tensor: Any, channels: int) -> list[float]:
    """A running mean or variance of the model, for each channel."""
    found = importer.constant(tensor)
    if found is None:
        raise Unsupported(f"{name}: {word}: expected a buffer of the model, got a computed tensor or a parameter")
    if found.shape != (channels,):
        raise ValueError(f"{name}: {word}: expected {channels} numbers, got {found.shape}")
    if not np.isfinite(found).all():
        raise Unsupported(f"{name}: {word}: expected finite numbers")
    return list(found.tolist())


IMPORTS: dict[str, Handler] = {"aten.batch_norm.default": _batch_norm}
