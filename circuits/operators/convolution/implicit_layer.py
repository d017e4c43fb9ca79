"""The relation of a dense layer whose weight is implicit: products of records in place of whatever has the weight's size.

The weight in pass p is w_0 - sum_(u < t) D^_u^T a_(T + u), plus E^_t^T a_t in a second pass: so, by small products,

    z = round(w_0 a - sum_u G_(p, u) D^_u + H_t E^_t + bias)            G, H: products of inputs, records with records
    dx = round(d w_0 - sum_u K_(p, u) a_(T + u) + L_t a_t)              K, L: products of deltas with D^ and with E^

Each is a rounded sum (circuits/operators/convolution/low_rank.py). E^ and the norms are the metric's (circuits/metric/sam.py).
"""

from __future__ import annotations

from zkds.circuits.arithmetic.fixed_point import DELTA
from zkds.circuits.operators.convolution.gradients import bias_gradient
from zkds.circuits.operators.convolution.low_rank import Corrections, Indices, RecordProducts, StartBackward, StartForward
from zkds.circuits.operators.convolution.sums import bias_term, place
from zkds.circuits.operators.convolution.windows import Geometry
from zkds.circuits.operators.implicit import PRODUCTS, pairs
from zkds.circuits.operators.operator import Built, BuiltBackward, Placed, Scope
from zkds.circuits.operators.parameter import ImplicitLayer, ImplicitParameter, Parameter
from zkds.identities.products import Linear, Scaled
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import I64
from zkds.tensors.axes import Axis, EqAxis, eq_axes
from zkds.tensors.tensor import Committed, Tensor

UPDATES, PERTURBATION = "updates", "perturbation"  # labels of corrections


class BuiltImplicitLayer(Built):
    """The relation of a dense layer whose weight is implicit; its bias is a parameter like any other."""

    def __init__(
        self,
        geometry: Geometry,
        placed: Placed,
        scope: Scope,
        inputs: Tensor,
        weight: ImplicitParameter,
        bias: Parameter | None,
    ) -> None:
        self.geometry, self.placed, self.inputs, self.weight, self.bias = geometry, placed, inputs, weight, bias
        self.runs = scope.schedule.runs
        self.bits = weight.bits
        self.passes, self.steps = zip(*pairs(geometry.steps), strict=True)
        self.perturbed = range(geometry.steps, geometry.passes)  # second passes, of steps 0, 1, ...
        self.moved = [geometry.steps + step for step in self.steps]  # the passes that made the updates
        shift = self.bits.input_products_shift
        gram = self._products("input products", inputs, inputs, self.moved, shift)
        other = self._perturbed_products("perturbed input products", inputs, inputs, shift)
        self.output = scope.output(placed)
        products = [
            Scaled(StartForward(weight.start, inputs)),
            self._updates(weight.update_factor, self.steps, gram, self.bits.forward_exponent, geometry.output_shape),
            self._perturbation(weight.perturbation_factor, other, self.bits.forward_exponent, geometry.output_shape),
        ]
        linear = None if bias is None else bias_term(geometry, bias.passes, placed.input_bits[0])
        forward = RoundedSum(f"{placed.name}: forward", self.output, self.bits.forward_shift, products, linear)
        self.components = [gram, other, forward]

    def backward(self, delta: Tensor) -> BuiltBackward:
        weight, factor = self.weight, self.weight.update_factor
        components = [RoundedSum(factor.name, factor, self.bits.update_shift, None, self._later(delta))]
        input_delta: Committed | None = None
        if self.placed.wanted[0]:
            input_delta = Committed(LimbColumns(f"{self.placed.name}: input delta", DELTA, self.geometry.input_shape))
            components += self._input_gradient(input_delta, delta)
        if self.bias is not None:
            runs = enumerate(self.runs)
            components += [bias_gradient(self.bias, self.geometry, delta, self.placed, run, i) for i, run in runs]
        return BuiltBackward([input_delta], components, ImplicitLayer(weight, self.inputs, delta))

    def _input_gradient(self, input_delta: Committed, delta: Tensor) -> list[RoundedSum]:
        bits, shape = self.bits, self.geometry.input_shape
        factors = self.weight.update_factor, self.weight.perturbation_factor
        gram = self._products("delta products", delta, factors[0], self.steps, bits.delta_products_shift)
        other = self._perturbed_products("perturbed delta products", delta, factors[1], bits.delta_products_shift)
        products = [
            Scaled(StartBackward(self.weight.start, delta), bits.weight_exponent),
            self._updates(self.inputs, self.moved, gram, bits.backward_exponent, shape),
            self._perturbation(self.inputs, other, bits.backward_exponent, shape),
        ]
        name = f"{self.placed.name}: input gradient"
        return [gram, other, RoundedSum(name, input_delta, bits.input_gradient_shift, products)]

    # ---- products of records: (pairs, B, B) and (T - 1, B, B) ----

    def _products(self, what: str, left: Tensor, right: Tensor, second: Indices, shift: int) -> RoundedSum:
        return self._gram(what, RecordProducts(left, right, self.passes, second), shift)

    def _perturbed_products(self, what: str, left: Tensor, right: Tensor, shift: int) -> RoundedSum:
        return self._gram(what, RecordProducts(left, right, self.perturbed, range(len(self.perturbed))), shift)

    def _gram(self, what: str, products: RecordProducts, shift: int) -> RoundedSum:
        name, batch = f"{self.placed.name}: {what}", self.geometry.batch
        out = Committed(LimbColumns(name, PRODUCTS, (products.inner[0], batch, batch)))
        return RoundedSum(name, out, shift, products)

    # ---- what they correct ----

    def _updates(self, rows: Tensor, row: Indices, gram: RoundedSum, exponent: int, shape: tuple[int, ...]) -> Scaled:
        return Scaled(Corrections(rows, gram.output, row, self.passes, shape), exponent, -1, UPDATES)

    def _perturbation(self, rows: Tensor, gram: RoundedSum, exponent: int, shape: tuple[int, ...]) -> Scaled:
        corrections = Corrections(rows, gram.output, range(len(self.perturbed)), self.perturbed, shape)
        return Scaled(corrections, exponent, 1, PERTURBATION)

    def _later(self, delta: Tensor) -> Linear:
        """The deltas of second passes."""
        steps, shape = self.geometry.steps, self.weight.update_factor.shape

        def axes(points: Points) -> tuple[Axis, ...]:
            passes = place(EqAxis(shape[0], tuple(points[0])), steps, self.geometry.passes)
            return (passes, *eq_axes(shape[1:], points[1:]))

        def sums(digit: I64) -> I64:
            return digit[steps:]

        return Linear(delta, 0, 1, axes, sums)
