"""What all convolutions make of the deltas that come back: the shift of a gradient, the gradients of a bias."""

from __future__ import annotations

from zkds.circuits.operators.convolution.sums import bias_gradient_term
from zkds.circuits.operators.convolution.windows import Geometry
from zkds.circuits.operators.operator import GradientKind, Placed, Run
from zkds.circuits.operators.parameter import Parameter
from zkds.identities.rounded_sum import RoundedSum
from zkds.tensors.tensor import Tensor


def gradient_shift(placed: Placed, kind: GradientKind) -> int:
    """From the bits of a dz to those of a gradient or an update."""
    return placed.input_bits[0] + kind.delta_bits + placed.delta_bits - kind.bits


def bias_gradient(bias: Parameter, geometry: Geometry, delta: Tensor, placed: Placed, run: Run, index: int) -> RoundedSum:
    """What run number `index` of passes rounds of a bias, the weight of a constant input 1 = 2^input_bits."""
    linear = bias_gradient_term(geometry, delta, placed.input_bits[0], run.first, run.count)
    shift = gradient_shift(placed, run.kind)
    return RoundedSum(f"{bias.name}: {run.kind.name}", bias.rounded[index], shift, None, linear)
