"""Convolutions, of which dense layers are the case of one output position.

A fully connected layer from n numbers is one with input (n, 1, 1) and a 1x1 kernel. Flattening (C, H, W) and a fully connected
layer are one with an (H, W) kernel and a 1x1 output, whose weight is the (out, C*H*W) matrix read row-major as (out, C, H, W).

    z[o, y, x] = round(sum_(i, d, e) W[o, i, d, e] a[i, u, v] + 2^a_bits bias[o])       [32]
    dx         = round(transposed convolution of dz)                                    [e]
    g          = round(sum over records and positions of dz times a)

One rounding each: what they sum up is in circuits/operators/convolution/sums.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zkds.circuits.arithmetic.exact import Operand, Rounded, Wide
from zkds.circuits.arithmetic.fixed_point import (
    ACTIVATION_BITS,
    CONVOLUTION,
    DELTA,
    WEIGHT_BITS,
    Configuration,
    Place,
    require_factor,
    require_format,
)
from zkds.circuits.operators.convolution import exact, implicit
from zkds.circuits.operators.convolution.gradients import bias_gradient, gradient_shift
from zkds.circuits.operators.convolution.implicit_layer import built_implicit_layer
from zkds.circuits.operators.convolution.sums import (
    ForwardProducts,
    InputGradientProducts,
    WeightGradientProducts,
    bias_term,
)
from zkds.circuits.operators.convolution.windows import Geometry, Window
from zkds.circuits.operators.implicit import ImplicitWeight, Movement, OuterProducts, PassProducts, movement_of
from zkds.circuits.operators.operator import (
    Backward,
    Built,
    BuiltBackward,
    Forward,
    GradientKind,
    Operator,
    Pair,
    Placed,
    Scope,
    Shape,
    Weight,
    read_bool,
    require_bool,
    require_count,
    require_dimension,
    require_elements,
    require_pair,
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.permute import Permute, inverse
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64
from zkds.tensors.tensor import Committed, Tensor

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Convolution(Operator):
    """A convolution.

    kernel, stride, dilation   (vertical, horizontal)
    before    zeros above and to the left of the input; below and to the right there are as many as the outputs reach
    outputs   rows and columns that are computed: what would fit, or fewer where nothing uses the last ones
    groups    into which the channels are cut: those of an output see those of its group's inputs only
    """

    KIND: ClassVar[str] = "convolution"
    ROUNDS: ClassVar[bool] = True

    channels_out: int
    channels_in: int
    kernel: Pair
    outputs: Pair
    stride: Pair = (1, 1)
    before: Pair = (0, 0)
    bias: bool = True
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        require_dimension("channels_out", self.channels_out)
        require_dimension("channels_in", self.channels_in)
        for name, pair, least in (
            ("kernel", self.kernel, 1),
            ("outputs", self.outputs, 1),
            ("stride", self.stride, 1),
            ("dilation", self.dilation, 1),
            ("before", self.before, 0),
        ):
            require_pair(name, pair, least)
        for taps, distance in zip(self.kernel, self.dilation, strict=True):
            require_dimension("kernel times dilation", taps * distance)
        require_bool("bias", self.bias)
        require_dimension("groups", self.groups)
        if self.channels_in % self.groups or self.channels_out % self.groups:
            raise ValueError(f"groups: expected a divisor of {self.channels_in} and {self.channels_out}, got {self.groups}")
        require_elements("weight", self.weight_shape)

    @classmethod
    def dense(cls, outputs: int, inputs: Shape, bias: bool = True) -> Self:
        """A fully connected layer on inputs of this shape, flattened."""
        return cls(outputs, inputs[0], inputs[1:], (1, 1), bias=bias)

    @classmethod
    def over(
        cls,
        inputs: Shape,
        channels_out: int,
        kernel: Pair,
        stride: Pair = (1, 1),
        padding: Pair = (0, 0),
        bias: bool = True,
        multiple_of: Pair = (1, 1),
        *,
        behind: Pair | None = None,
        dilation: Pair = (1, 1),
        groups: int = 1,
    ) -> Self:
        """With so much padding before the input and `behind` it (default: as much), as many outputs as fit.

        multiple_of: rounded down to multiples of these. Raises ValueError if none fits.
        """
        require_pair("stride", stride)
        require_pair("kernel", kernel)
        require_pair("dilation", dilation)
        rows, columns = (
            (before + length + after - (taps - 1) * distance - 1) // step + 1
            for before, length, after, taps, distance, step in zip(
                padding, inputs[1:], behind or padding, kernel, dilation, stride, strict=True
            )
        )
        outputs = rows // multiple_of[0] * multiple_of[0], columns // multiple_of[1] * multiple_of[1]
        if min(outputs) < 1:
            raise ValueError(f"kernel: expected one that fits the padded input {inputs}, got {kernel}")
        return cls(channels_out, inputs[0], kernel, outputs, stride, padding, bias, dilation, groups)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """(channels_out, channels_in / groups, kernel height, kernel width)"""
        return (self.channels_out, self.channels_in // self.groups, *self.kernel)

    @property
    def parameters(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        weight = ("weight", self.weight_shape)
        return (weight, ("bias", (self.channels_out,))) if self.bias else (weight,)

    @property
    def window(self) -> exact.Window:
        return exact.Window(self.kernel, self.stride, self.before, self.outputs, self.dilation, self.groups)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        if shape[0] != self.channels_in:
            raise ValueError(f"channels_in: expected the {shape[0]} of its input {shape}, got {self.channels_in}")
        framed = [
            max(before + length, (count - 1) * step + (taps - 1) * distance + 1)
            for before, length, count, step, taps, distance in zip(
                self.before, shape[1:], self.outputs, self.stride, self.kernel, self.dilation, strict=True
            )
        ]
        require_elements("padded input", (self.channels_in, *framed))
        output = (self.channels_out, *self.outputs)
        require_elements("output", output)
        return output

    def windows(self, inputs: Sequence[Shape]) -> tuple[int, ...]:
        return tuple(axis.entries for axis in self.window.axes(inputs[0][1:]))

    def numbers(self) -> tuple[int, ...]:
        pairs = (*self.kernel, *self.outputs, *self.stride, *self.before, *self.dilation)
        return (self.channels_out, self.channels_in, *pairs, int(self.bias), self.groups)

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        require_count(cls.KIND, numbers, 14)
        channels_out, channels_in, *pairs, bias, groups = numbers
        kernel, outputs, stride, before, dilation = ((pairs[j], pairs[j + 1]) for j in (0, 2, 4, 6, 8))
        return cls(channels_out, channels_in, kernel, outputs, stride, before, read_bool("bias", bias), dilation, groups)

    def implicit(self, inputs: Sequence[Shape], input_bits: Sequence[int], configuration: Configuration) -> dict[str, Movement]:
        """The weight, if it is large and outputs are few, at any stride; without groups.

        Dense layers: their one output position sees their whole input, at every tap one entry.
        """
        sees_all = self.outputs == (1, 1) and self.kernel == inputs[0][1:] and self.before == (0, 0)
        dense = sees_all and self.dilation == (1, 1)
        positions = math.prod(self.outputs)
        entries = math.prod(inputs[0]) + self.channels_out * positions
        movement = movement_of(self.weight_shape, positions, entries, input_bits[0], dense, configuration)
        return {} if movement is None or self.groups > 1 else {"weight": movement}

    # ---- semantics ----

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, Any], place: Place) -> Forward:
        require_factor(inputs[0], None, "input", place)
        weight: Weight = weights["weight"]
        moving = weight if isinstance(weight, ImplicitWeight) else None
        kernel = moving.start if moving is not None else Operand.of(weights["weight"])
        images = exact.image_operand(inputs[0], self.window)
        total, products = exact.convolution(kernel, images), PassProducts()
        if moving is not None:
            total, products = implicit.forward_sum(total, moving, exact.patches(images), place)
        if self.bias:
            total = total + Wide.of(weights["bias"].reshape(1, -1, 1, 1), placed.input_bits[0])
        z, remainder = total.round(_forward_shift(placed))
        require_format(z, CONVOLUTION, "convolution", place)
        operands = {"kernel": kernel, "images": images.framed}
        return Forward(z, {"forward: remainder": remainder}, operands, moving, products)

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        require_factor(delta, None, "delta of output", place)
        operand, size = Operand.of(delta), (placed.inputs[0][1], placed.inputs[0][2])
        images = exact.Images(self.window, size, ahead.operands["images"])
        shift = gradient_shift(placed, kind)
        weight, sums, outer = ahead.implicit, {}, {}
        if weight is None:
            sums["weight"] = exact.weight_gradient(operand, images, self.weight_shape)
        else:
            outer["weight"] = OuterProducts(delta, exact.patches(images))
        if self.bias:  # the weight of a constant input 1 = 2^input_bits
            sums["bias"] = Wide.of(delta.sum(axis=(0, 2, 3)), placed.input_bits[0])
        gradients = {name: Rounded(*total.round(shift)) for name, total in sums.items()}
        if not placed.wanted[0]:
            return Backward([None], {}, gradients, outer)
        total = exact.input_gradient(ahead.operands["kernel"], operand, self.window, size)
        shift, products = _input_gradient_shift(placed), PassProducts()
        if weight is not None:
            total, products = implicit.input_gradient_sum(total, weight, delta, self.window, place)
            shift = weight.bits.input_gradient_shift
        found, remainder = total.round(shift)
        require_format(found, DELTA, "input delta", place)
        values = {"input delta": found, "input gradient: remainder": remainder}
        return Backward([found], values, gradients, outer, products)

    # ---- relation ----

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        weight = scope.implicit_weight(placed)
        if weight is None:
            return BuiltConvolution(self, placed, scope, inputs[0], parameters)
        geometry = geometry_of(self, placed, scope.schedule.steps, scope.schedule.batch_size)
        return built_implicit_layer(geometry, placed, scope, inputs[0], weight, parameters.get("bias"))

    # ---- torch ----

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        """nn.Linear where the kernel sees its whole input at one position, else nn.Conv2d."""
        from torch.nn import Conv2d

        from zkds.circuits.operators.convolution.torch_layers import Cropped, Dense, Framed

        channels, *sides = inputs[0]
        if self.kernel == inputs[0][1:] and self == Convolution.dense(self.channels_out, inputs[0], self.bias):
            return Dense(channels * sides[0] * sides[1], self.channels_out, bias=self.bias)
        layer = (channels, self.channels_out, self.kernel, self.stride)
        options: dict[str, Any] = {"dilation": self.dilation, "groups": self.groups, "bias": self.bias}
        below, right = (
            (count - 1) * step + (taps - 1) * distance + 1 - before - length
            for count, step, taps, distance, before, length in zip(
                self.outputs, self.stride, self.kernel, self.dilation, self.before, sides, strict=True
            )
        )
        spare = (self.before[0] - below, self.before[1] - right)  # of as much padding behind the input as before it
        if min(spare) < 0:
            return Framed(*layer, frame=(self.before[1], right, self.before[0], below), **options)
        if spare[0] < self.stride[0] and spare[1] < self.stride[1]:
            return Conv2d(*layer, self.before, **options)
        return Cropped(*layer, self.before, outputs=self.outputs, **options)


class BuiltConvolution(Built):
    """The relation of a convolution."""

    def __init__(
        self, operator: Convolution, placed: Placed, scope: Scope, inputs: Tensor, parameters: Mapping[str, Parameter]
    ) -> None:
        self.placed = placed
        self.inputs = inputs
        self.weight = parameters["weight"]
        self.bias = parameters.get("bias")
        self.runs = scope.schedule.runs
        self.limb_bits = scope.limb_bits
        self.geometry = geometry_of(operator, placed, scope.schedule.steps, scope.schedule.batch_size)
        self.output = scope.output(placed)
        products = ForwardProducts(self.geometry, self.weight.passes, inputs)
        linear = None if self.bias is None else bias_term(self.geometry, self.bias.passes, placed.input_bits[0])
        name, shift = f"{placed.name}: forward", _forward_shift(placed)
        self.components = [RoundedSum(name, self.output, shift, products, linear, self.limb_bits)]

    def backward(self, delta: Tensor) -> BuiltBackward:
        name, geometry = self.placed.name, self.geometry
        components: list[RoundedSum] = []
        input_delta: Committed | None = None
        if self.placed.wanted[0]:
            input_delta = Committed(LimbColumns(f"{name}: input delta", DELTA, geometry.input_shape))
            products = InputGradientProducts(geometry, self.weight.passes, delta)
            shift = _input_gradient_shift(self.placed)
            components.append(RoundedSum(f"{name}: input gradient", input_delta, shift, products, limb_bits=self.limb_bits))
        for index, run in enumerate(self.runs):
            of_weight, shift = f"{self.weight.name}: {run.kind.name}", gradient_shift(self.placed, run.kind)
            weights = WeightGradientProducts(geometry, delta, self.inputs, run.first, run.count)
            out = self.weight.rounded[index]
            components.append(RoundedSum(of_weight, out, shift, weights, limb_bits=self.limb_bits))
            if self.bias is not None:
                components.append(bias_gradient(self.bias, geometry, delta, self.placed, run, index))
        return BuiltBackward([input_delta], components)


def geometry_of(operator: Convolution, placed: Placed, steps: int, batch_size: int) -> Geometry:
    """The sizes of the convolution in all passes."""
    rows, columns = (
        Window(*axis)
        for axis in zip(
            placed.inputs[0][1:],
            operator.kernel,
            operator.stride,
            operator.before,
            operator.outputs,
            operator.dilation,
            strict=True,
        )
    )
    return Geometry(steps, batch_size, operator.channels_in, operator.channels_out, rows, columns, operator.groups)


def _forward_shift(placed: Placed) -> int:
    """From the bits of w a to those of z."""
    return WEIGHT_BITS + placed.input_bits[0] - ACTIVATION_BITS


def _input_gradient_shift(placed: Placed) -> int:
    """From the bits of w dz to those of the scores' deltas."""
    return WEIGHT_BITS + placed.delta_bits


# ---- import from programs of torch.export ----


def _convolution(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    images = importer.image(name, given["input"])
    weight = importer.weight_shape(name, given, dimensions=4)
    return _over(importer, name, given, images, (weight[0], weight[1], weight[2], weight[3]), given)


def _convolution_of_lines(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    """In one dimension: over images of one row."""
    lines = importer.line(name, importer.traced(name, given["input"]))
    outer, inner, taps = importer.weight_shape(name, given, dimensions=3)
    numbers: dict[str, Any] = {key: (1, *given[key]) for key in ("stride", "dilation")}
    padding = given["padding"]
    numbers["padding"] = padding if isinstance(padding, str) else (0, *padding)
    return _over(importer, name, given, lines, (outer, inner, 1, taps), numbers)


def _over(
    importer: Importer,
    name: str,
    given: Mapping[str, Any],
    images: Traced,
    weight: tuple[int, int, int, int],
    numbers: Mapping[str, Any],
) -> Traced:
    """The convolution of images, with a weight of these sizes; numbers: pairs of stride, padding, dilation."""
    kernel, stride, dilation, groups = (weight[2], weight[3]), numbers["stride"], numbers["dilation"], given["groups"]
    padding = behind = numbers["padding"]
    if isinstance(padding, str):
        padding, behind = _named_padding(name, padding, kernel, stride, dilation)
    if groups < 1 or weight[1] * groups != images.shape[0]:
        inputs = f"{images.shape[0]} of its input {images.shape}"
        raise Unsupported(f"{name}: channels_in: expected the {inputs}, got {weight[1]} in {groups} groups")
    bias, options = given["bias"] is not None, {"dilation": dilation, "groups": groups, "behind": behind}
    try:
        operator = Convolution.over(images.shape, weight[0], kernel, stride, padding, bias, **options)
    except ValueError as error:  # says what about it
        raise Unsupported(f"{name}: {error}") from None
    record = None if len(images.record) == 3 else (weight[0], operator.outputs[1])
    return importer.add_layer(name, given, operator, [images], record)


def _linear(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    values = importer.traced(name, given["input"])
    outer, inner = importer.weight_shape(name, given, dimensions=2)
    if not values.record or inner != values.record[-1]:
        raise Unsupported(
            f"{name}: expected {inner} numbers along the last dimension, got {values.record}: flatten records first"
        )
    if math.prod(values.record) == inner:
        operator = Convolution.dense(outer, values.shape, given["bias"] is not None)
        return importer.add_layer(name, given, operator, [values], (*values.record[:-1], outer))
    return _along_the_last_axis(importer, name, given, values, outer)


def _along_the_last_axis(importer: Importer, name: str, given: Mapping[str, Any], values: Traced, outer: int) -> Traced:
    """The same weights for every entry of the other axes: a 1x1 convolution over the last axis as channels."""
    if len(values.record) not in (2, 3):
        raise Unsupported(f"{name}: expected records of one to three dimensions, got {values.record}")
    images = importer.line(name, values) if len(values.record) == 2 else importer.image(name, given["input"])
    channels = importer.add(name, Permute(LAST_IN_FRONT), [images])
    sides = (channels.shape[1], channels.shape[2])
    operator = Convolution(outer, images.shape[2], (1, 1), sides, bias=given["bias"] is not None)
    made = importer.add_layer(name, given, operator, [channels], None)
    return importer.add(name, Permute(inverse(LAST_IN_FRONT)), [made], (*values.record[:-1], outer))


def _named_padding(name: str, padding: str, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Zeros before and behind: "same" keeps the sides, with the odd zero behind."""
    if padding not in ("valid", "same"):
        raise ValueError(f"{name}: padding: expected same or valid")
    if padding == "valid":
        return (0, 0), (0, 0)
    if stride != (1, 1):
        raise ValueError(f"{name}: padding: expected stride 1 with 'same', got {stride}")
    totals = [(taps - 1) * distance for taps, distance in zip(kernel, dilation, strict=True)]
    return (totals[0] // 2, totals[1] // 2), (totals[0] - totals[0] // 2, totals[1] - totals[1] // 2)


LAST_IN_FRONT = (2, 0, 1)

IMPORTS: dict[str, Handler] = {
    "aten.conv1d.default": _convolution_of_lines,
    "aten.conv1d.padding": _convolution_of_lines,
    "aten.conv2d.default": _convolution,
    "aten.conv2d.padding": _convolution,
    "aten.linear.default": _linear,
}
