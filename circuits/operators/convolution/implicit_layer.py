"""The relation of a layer whose weight is implicit: products of rows in place of whatever has the weight's size.

The weight in pass p is w_0 - sum_(u < t) D^_u^T a_(T + u), plus E^_t^T a_t in a second pass: so, by small products,

    z = round(w_0 a - sum_u G_(p, u) D^_u + H_t E^_t + bias)            G, H: products of patches of inputs, rows with rows
    dx = round(d w_0 - sum_u K_(p, u) a_(T + u) + L_t a_t)              K, L: products of deltas with D^ and with E^

Each is a rounded sum (circuits/operators/convolution/low_rank.py). If updates are rounded, w_t is a tensor of its own:

    z = round(w_t a + H_t E^_t + bias)      dx = round(d w_t + L_t a_t)      w_u - w_(u + 1) = U_u = round(D^_u^T a_(T + u))

E^ and the norms are the metric's (circuits/metric/sam.py).
"""

from __future__ import annotations

from zkds.circuits.arithmetic.fixed_point import DELTA
from zkds.circuits.operators.convolution.gradients import bias_gradient
from zkds.circuits.operators.convolution.low_rank import (
    Indices,
    InputCorrections,
    OutputCorrections,
    Patches,
    RowProducts,
    StartBackward,
    StartForward,
    Windows,
)
from zkds.circuits.operators.convolution.sums import (
    ForwardProducts,
    InputGradientProducts,
    UpdateProducts,
    bias_term,
    place,
)
from zkds.circuits.operators.convolution.windows import Geometry, one_by_one
from zkds.circuits.operators.implicit import PRODUCTS, pairs
from zkds.circuits.operators.operator import Built, BuiltBackward, Placed, Scope
from zkds.circuits.operators.parameter import ImplicitLayer, ImplicitParameter, Parameter, RoundedParameter
from zkds.identities.equal import Equal
from zkds.identities.products import Linear, Scaled
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import I64
from zkds.tensors.axes import Axis, EqAxis, eq_axes
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Committed, Tensor

UPDATES, PERTURBATION = "updates", "perturbation"  # labels of corrections


class BuiltImplicitLayer(Built):
    """The relation of a layer whose weight is implicit; its bias is a parameter like any other."""

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
        self.limb_bits = scope.limb_bits
        self.bits = weight.bits
        self.passes, self.steps = zip(*pairs(geometry.steps), strict=True)
        self.perturbed = range(geometry.steps, geometry.passes)  # second passes, of steps 0, 1, ...
        self.moved = [geometry.steps + step for step in self.steps]  # the passes that made the updates
        self.windows: Windows = geometry.rows, geometry.columns
        self.single: Windows = one_by_one(geometry.rows.outputs), one_by_one(geometry.columns.outputs)
        shift, exponent = self.bits.input_products_shift, self.bits.forward_exponent
        grams, products = self._forward()
        other = self._perturbed_products("perturbed input products", inputs, inputs, self.windows, shift)
        self.output = scope.output(placed)
        of_steps = range(geometry.steps - 1)
        perturbation = OutputCorrections(weight.perturbation_factor, other.output, of_steps, self.perturbed, geometry.passes)
        products.append(Scaled(perturbation, exponent, 1, PERTURBATION))
        linear = None if bias is None else bias_term(geometry, bias.passes, placed.input_bits[0])
        name, shift = f"{placed.name}: forward", self.bits.forward_shift
        forward = RoundedSum(name, self.output, shift, products, linear, self.limb_bits)
        self.components: list[Component] = [*grams, other, forward]

    def _forward(self) -> tuple[list[RoundedSum], list[Scaled]]:
        """What z has of w_t, and what comes before it."""
        weight, inputs, bits = self.weight, self.inputs, self.bits
        gram = self._products("input products", inputs, inputs, self.moved, self.windows, bits.input_products_shift)
        updates = OutputCorrections(weight.update_factor, gram.output, self.steps, self.passes, self.geometry.passes)
        start = StartForward(self.geometry, weight.start, inputs)
        return [gram], [Scaled(start), Scaled(updates, bits.forward_exponent, -1, UPDATES)]

    def backward(self, delta: Tensor) -> BuiltBackward:
        weight, factor = self.weight, self.weight.update_factor
        components: list[Component] = [RoundedSum(factor.name, factor, self.bits.update_shift, None, self._later(delta))]
        components += self._moved()
        input_delta: Committed | None = None
        if self.placed.wanted[0]:
            input_delta = Committed(LimbColumns(f"{self.placed.name}: input delta", DELTA, self.geometry.input_shape))
            components += self._input_gradient(input_delta, delta)
        if self.bias is not None:
            runs = enumerate(self.runs)
            components += [bias_gradient(self.bias, self.geometry, delta, self.placed, run, i) for i, run in runs]
        layer = ImplicitLayer(weight, self.inputs, delta, self._rows(self.inputs, self.windows), self._rows(delta, self.single))
        return BuiltBackward([input_delta], components, layer)

    @staticmethod
    def _rows(tensor: Tensor, windows: Windows) -> Patches:
        batch, channels, *_ = tensor.shape[1:]
        return Patches(batch, channels, windows)

    def _input_gradient(self, input_delta: Committed, delta: Tensor) -> list[RoundedSum]:
        bits, geometry = self.bits, self.geometry
        grams, products = self._backward(delta)
        factor, shift = self.weight.perturbation_factor, bits.delta_products_shift
        other = self._perturbed_products("perturbed delta products", delta, factor, self.single, shift)
        count, of_steps = geometry.passes, range(geometry.steps - 1)
        perturbation = InputCorrections(self.inputs, other.output, of_steps, self.perturbed, count, self.windows)
        products.append(Scaled(perturbation, bits.backward_exponent, 1, PERTURBATION))
        name = f"{self.placed.name}: input gradient"
        shift = bits.input_gradient_shift
        return [*grams, other, RoundedSum(name, input_delta, shift, products, limb_bits=self.limb_bits)]

    def _backward(self, delta: Tensor) -> tuple[list[RoundedSum], list[Scaled]]:
        """What dx has of w_t, and what comes before it."""
        bits, geometry, factor = self.bits, self.geometry, self.weight.update_factor
        gram = self._products("delta products", delta, factor, self.steps, self.single, bits.delta_products_shift)
        updates = InputCorrections(self.inputs, gram.output, self.moved, self.passes, geometry.passes, self.windows)
        start = StartBackward(geometry, self.weight.start, delta)
        return [gram], [Scaled(start, bits.weight_exponent), Scaled(updates, bits.backward_exponent, -1, UPDATES)]

    def _moved(self) -> list[Component]:
        """What moves the weight, beside the factors: nothing."""
        return []

    # ---- products of rows: (pairs, B, Y, X, B, Y, X), and T - 1 in place of the pairs ----

    def _products(self, what: str, left: Tensor, right: Tensor, second: Indices, windows: Windows, shift: int) -> RoundedSum:
        return self._gram(what, RowProducts(left, right, self.passes, second, windows), shift)

    def _perturbed_products(self, what: str, left: Tensor, right: Tensor, windows: Windows, shift: int) -> RoundedSum:
        steps = range(len(self.perturbed))
        return self._gram(what, RowProducts(left, right, self.perturbed, steps, windows), shift)

    def _gram(self, what: str, products: RowProducts, shift: int) -> RoundedSum:
        name = f"{self.placed.name}: {what}"
        return RoundedSum(name, Committed(LimbColumns(name, PRODUCTS, products.result)), shift, products)

    def _later(self, delta: Tensor) -> Linear:
        """The deltas of second passes."""
        steps, shape = self.geometry.steps, self.weight.update_factor.shape

        def axes(points: Points) -> tuple[Axis, ...]:
            passes = place(EqAxis(shape[0], tuple(points[0])), steps, self.geometry.passes)
            return (passes, *eq_axes(shape[1:], points[1:]))

        def sums(digit: I64) -> I64:
            return digit[steps:]

        return Linear(delta, 0, 1, axes, sums)


class BuiltRoundedLayer(BuiltImplicitLayer):
    """The relation of such a layer whose updates are rounded."""

    weight: RoundedParameter

    def _forward(self) -> tuple[list[RoundedSum], list[Scaled]]:
        return [], [Scaled(ForwardProducts(self.geometry, self.weight.passes, self.inputs))]

    def _backward(self, delta: Tensor) -> tuple[list[RoundedSum], list[Scaled]]:
        products = InputGradientProducts(self.geometry, self.weight.passes, delta)
        return [], [Scaled(products, self.bits.weight_exponent)]

    def _moved(self) -> list[Component]:
        """U, which is nowhere but in the weights; and a start that is committed elsewhere, a private model's."""
        weight, update = self.weight, self.weight.update
        products = UpdateProducts(self.geometry, weight.update_factor, self.inputs)
        rounded = RoundedSum(update.name, update, self.bits.rounding_shift, products, limb_bits=self.limb_bits)
        if weight.given is None:
            return [rounded]
        return [rounded, Equal(weight.start.name, weight.start, weight.given)]


def built_implicit_layer(
    geometry: Geometry, placed: Placed, scope: Scope, inputs: Tensor, weight: ImplicitParameter, bias: Parameter | None
) -> BuiltImplicitLayer:
    """By what the weight's updates are."""
    kind = BuiltRoundedLayer if isinstance(weight, RoundedParameter) else BuiltImplicitLayer
    return kind(geometry, placed, scope, inputs, weight, bias)
