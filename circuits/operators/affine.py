"""Affine maps of channels by public constants, such as (x - mean) / std inside a model.

    y = round((a_c x + 2^x_bits b_c) / 2^(8 + x_bits))     [32]
    dx = round(a_c dy / 2^(40 + more bits of dy))

a_c and b_c have 40 fractional bits and are a part of the description: they are no parameters, perturbed and counted in no norm.
The sums before the rounding are virtual; y and dx are committed with their remainders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import Wide, products
from zkds.circuits.arithmetic.fixed_point import (
    ACTIVATION_BITS,
    CONVOLUTION,
    DELTA,
    WEIGHT_BITS,
    Place,
    require_factor,
    require_format,
)
from zkds.circuits.operators.channel_products import multiplied, pairs
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
)
from zkds.circuits.operators.parameter import Parameter
from zkds.circuits.operators.tracing import Handler, Importer, Traced, Unsupported
from zkds.claims import Value
from zkds.field import ZERO, K
from zkds.identities.products import Linear
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64
from zkds.native import U64
from zkds.tensors.axes import VectorAxis, eq_axes
from zkds.tensors.linear import LinearTensor, Term, base_digits
from zkds.tensors.tensor import Committed, Reader, Tensor, TensorClaim

if TYPE_CHECKING:
    from torch import nn

CHANNELS = 2  # the axis of channels in (P, B, C, H, W)
MAX_CHANNELS = 1 << 11
MAX_CONSTANT = 1 << WEIGHT_BITS + 10  # of |a_c| and |b_c|, which are below 1024


@dataclass(frozen=True)
class Affine(Operator):
    """x -> scale_c x + shift_c: for every channel c a scale and a shift, int Q.40."""

    KIND: ClassVar[str] = "affine"
    ROUNDS: ClassVar[bool] = True

    scale: tuple[int, ...]
    shift: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, constants in (("scale", self.scale), ("shift", self.shift)):
            if not isinstance(constants, tuple) or any(type(value) is not int for value in constants):
                raise TypeError(f"{name}: expected a tuple of ints")
            if any(abs(value) >= MAX_CONSTANT for value in constants):
                raise ValueError(f"{name}: expected constants below 1024 in absolute value")
        if not 1 <= len(self.scale) < MAX_CHANNELS or len(self.shift) != len(self.scale):
            counts = f"{len(self.scale)} and {len(self.shift)}"
            raise ValueError(f"scale, shift: expected one of each for 1 to {MAX_CHANNELS - 1} channels, got {counts}")

    @classmethod
    def of(cls, scale: Sequence[Fraction], shift: Sequence[Fraction]) -> Self:
        """With constants rounded to 40 fractional bits, halves up."""
        return cls(tuple(map(_rounded, scale)), tuple(map(_rounded, shift)))

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if inputs[0][0] != len(self.scale):
            raise ValueError(f"scale: expected the {inputs[0][0]} channels of {inputs[0]}, got {len(self.scale)}")
        return inputs[0]

    def numbers(self) -> tuple[int, ...]:
        """Scales, then shifts; negative ones plus 2^64."""
        return tuple(value % (1 << 64) for value in (*self.scale, *self.shift))

    @classmethod
    def of_numbers(cls, numbers: Sequence[int]) -> Self:
        if len(numbers) % 2:
            raise ValueError(f"{cls.KIND}: expected as many scales as shifts, got {len(numbers)} numbers")
        signed = [number - (1 << 64) if number >> 63 else number for number in numbers]
        return cls(tuple(signed[: len(signed) // 2]), tuple(signed[len(signed) // 2 :]))

    def forward(self, placed: Placed, inputs: Sequence[I64], weights: Mapping[str, I64], place: Place) -> Forward:
        (x,), bits = inputs, placed.input_bits[0]
        require_factor(x, _by_channel(self.scale), "input", place)
        total = products(_by_channel(self.scale), x) + Wide.of(_by_channel(self.shift), bits)
        y, remainder = total.round(_forward_shift(placed))
        require_format(y, CONVOLUTION, "affine map", place)
        return Forward(y, {"forward: remainder": remainder})

    def backward(
        self, placed: Placed, inputs: Sequence[I64], ahead: Forward, delta: I64, kind: GradientKind, place: Place
    ) -> Backward:
        if not placed.wanted[0]:
            return Backward([None])
        require_factor(delta, _by_channel(self.scale), "delta of output", place)
        found, remainder = products(_by_channel(self.scale), delta).round(WEIGHT_BITS + placed.delta_bits)
        require_format(found, DELTA, "input delta", place)
        return Backward([found], {"input delta": found, "input gradient: remainder": remainder})

    def build(self, placed: Placed, scope: Scope, inputs: Sequence[Tensor], parameters: Mapping[str, Parameter]) -> Built:
        return BuiltAffine(self, placed, scope, inputs[0])

    def module(self, inputs: Sequence[Shape]) -> nn.Module:
        import torch

        from zkds.circuits.operators.torch_functions import Function

        def mapped(x: torch.Tensor) -> torch.Tensor:
            scale, shift = (
                torch.tensor([value / (1 << WEIGHT_BITS) for value in constants], dtype=x.dtype, device=x.device)
                for constants in (self.scale, self.shift)
            )
            return x * scale[:, None, None] + shift[:, None, None]

        return Function(mapped)


class BuiltAffine(Built):
    """The relation of an affine map: one rounded sum each way, of a linear tensor."""

    def __init__(self, operator: Affine, placed: Placed, scope: Scope, inputs: Tensor) -> None:
        self.placed = placed
        self.operator = operator
        self.inputs = inputs
        self.output = scope.output(placed)
        shift = [constant << placed.input_bits[0] for constant in operator.shift]
        total = ChannelAffine(f"{placed.name}: map", inputs, operator.scale, shift)
        self.limb_bits = scope.limb_bits
        name, bits = f"{placed.name}: forward", _forward_shift(placed)
        self.components = [RoundedSum(name, self.output, bits, None, _all_of(total), self.limb_bits)]

    def backward(self, delta: Tensor) -> BuiltBackward:
        if not self.placed.wanted[0]:
            return BuiltBackward([None])
        name, scale = self.placed.name, self.operator.scale
        found = Committed(LimbColumns(f"{name}: input delta", DELTA, self.inputs.shape))
        total = ChannelAffine(f"{name}: delta", delta, scale, [0] * len(scale))
        bits = WEIGHT_BITS + self.placed.delta_bits
        back = RoundedSum(f"{name}: input gradient", found, bits, None, _all_of(total), self.limb_bits)
        return BuiltBackward([found], [back])


class ChannelAffine(LinearTensor):
    """scale_c source + shift_c with public integers, for every channel c of (P, B, C, H, W).

    Both are cut into base-2^16 digits of their own sign. A claim becomes one on the source for each digit of the scales.
    """

    def __init__(self, name: str, source: Tensor, scale: Sequence[int], shift: Sequence[int]) -> None:
        self.name = name
        self.sources = (source,)
        self.shape = source.shape
        self._scale, self._shift = _digits(scale), _digits(shift)
        digits = [_hull(places) for places in self._shift]
        for s, places in enumerate(self._scale):
            shares = [Interval.point(0)] * s + [digit * _hull(places) for digit in source.digits]
            digits = [a + b for a, b in zip_longest(digits, shares, fillvalue=Interval.point(0))]
        self.digits = tuple(digits)
        values = [source.interval.times(a) + Interval.point(b) for a, b in zip(scale, shift, strict=True)]
        self.interval = Interval(min(value.low for value in values), max(value.high for value in values))

    def tables(self, reader: Reader) -> list[I64]:
        result = [np.zeros(self.shape, dtype=np.int64) for _ in self.digits]
        for s, places in enumerate(self._shift):
            result[s] += places[:, None, None]
        tables = reader.tables(self.sources[0])
        for s, places in enumerate(self._scale):
            for j, table in enumerate(tables):
                result[s + j] += table * places[:, None, None]
        return result

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        (source,) = self.sources
        channels = claim.axes[CHANNELS].vector()
        terms = []
        for s, places in enumerate(self._scale):
            axes = (*claim.axes[:CHANNELS], _weighted(channels, places), *claim.axes[CHANNELS + 1 :])
            terms.append(Term(source, axes, claim.digit_weights[s : s + len(source.digits)]))
        constant = ZERO
        for weight, places in zip(claim.digit_weights, self._shift, strict=False):
            constant = constant + weight * _weighted(channels, places).total()
        for axis in (*claim.axes[:CHANNELS], *claim.axes[CHANNELS + 1 :]):
            constant = constant * axis.total()
        return terms, constant


def _digits(constants: Sequence[int]) -> list[I64]:
    """Digit s of every constant, (C,); one digit at least."""
    found = [dict(base_digits(constant)) for constant in constants]
    count = 1 + max((s for digits in found for s in digits), default=0)
    return [np.array([digits.get(s, 0) for digits in found], dtype=np.int64) for s in range(count)]


def _hull(places: I64) -> Interval:
    return Interval(int(places.min()), int(places.max()))


def _weighted(channels: U64, places: I64) -> VectorAxis:
    """The weights of channels times an integer for each."""
    return VectorAxis(multiplied(channels, pairs(places)))


def _all_of(tensor: Tensor) -> Linear:
    """The tensor itself as a linear term."""
    return Linear(tensor, 0, 1, lambda points: eq_axes(tensor.shape, points), lambda digit: digit)


def _by_channel(constants: Sequence[int]) -> I64:
    return np.array(constants, dtype=np.int64)[:, None, None]


def _rounded(value: Fraction) -> int:
    return (2 * value.numerator * (1 << WEIGHT_BITS) + value.denominator) // (2 * value.denominator)


def _forward_shift(placed: Placed) -> int:
    """From the bits of a x to those of y."""
    return WEIGHT_BITS + placed.input_bits[0] - ACTIVATION_BITS


# ---- import from programs of torch.export ----


def with_constant(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced | None:
    """What an operator of aten makes of a tensor and a constant; None if there is none."""
    word = name.split(".")[1].rstrip("_")
    sign = Fraction(given.get("alpha", 1))
    left, right = importer.constant(given["self"]), importer.constant(given["other"])
    if right is not None:
        values = importer.traced(name, given["self"])
        constants = by_channel(name, values, right)
        if word == "div" and not all(constants):
            raise Unsupported(f"{name}: expected a constant other than 0")
        one, zero = [Fraction(1)] * len(constants), [Fraction(0)] * len(constants)
        match word:
            case "add":
                return importer.affine(name, values, one, [sign * c for c in constants])
            case "sub":
                return importer.affine(name, values, one, [-sign * c for c in constants])
            case "rsub":
                return importer.affine(name, values, [-sign] * len(constants), constants)
            case "mul":
                return importer.affine(name, values, constants, zero)
        return importer.affine(name, values, [1 / c for c in constants], zero)
    if left is None:
        return None
    values = importer.traced(name, given["other"])
    constants = by_channel(name, values, left)
    match word:
        case "add":
            return importer.affine(name, values, [sign] * len(constants), constants)
        case "sub":
            return importer.affine(name, values, [-sign] * len(constants), constants)
        case "mul":
            return importer.affine(name, values, constants, [Fraction(0)] * len(constants))
    raise Unsupported(f"{name}: expected a constant as the divisor")


def by_channel(name: str, values: Traced, constant: NDArray[np.float64]) -> list[Fraction]:
    """A constant that is broadcast to records, for each channel. Raises Unsupported if it differs inside of one."""
    try:
        whole = constant.reshape(constant.shape[1:]) if constant.ndim == len(values.record) + 1 else constant
        of_record = np.broadcast_to(whole, values.record).reshape(values.shape)
    except ValueError:
        sizes = f"{constant.shape} and records {values.record}"
        raise Unsupported(f"{name}: expected a constant that fits records, got {sizes}") from None
    channels = of_record[:, 0, 0]
    if not np.isfinite(channels).all() or (of_record != channels[:, None, None]).any():
        raise Unsupported(
            f"{name}: expected one finite constant, or one for each channel of {values.shape}; constants that differ inside a "
            "channel, such as a mean image m, aren't supported: take the channel's mean, or make the linear layer behind it "
            "one with the bias b - W m"
        )
    return [Fraction(value) for value in channels.tolist()]


_OF_TWO = {
    "sub": "a difference of branches is x + (-1.0) * y",
    "mul": "products of two activations, such as gates and attention, aren't supported; branches can be added and concatenated",
    "div": "quotients of two activations aren't supported; batch norm in evaluation mode is the only normalization",
}


def _arithmetic(importer: Importer, name: str, given: Mapping[str, Any]) -> Traced:
    made = with_constant(importer, name, given)
    if made is not None:
        return made
    for word in ("self", "other"):
        importer.traced(name, given[word])  # says what about it if it is no activation
    operation = name.split(".")[1].rstrip("_")
    raise Unsupported(f"{name}: expected a constant; {_OF_TWO[operation]}")


IMPORTS: dict[str, Handler] = dict.fromkeys(
    (f"aten.{word}.Tensor" for word in ("sub", "sub_", "mul", "mul_", "div", "div_")), _arithmetic
) | {"aten.rsub.Scalar": _arithmetic}
