"""What a block of identities weighs at its challenges: digits, carries and operands (zkds/identities/block.py)."""

from __future__ import annotations

from collections.abc import Sequence

from zkds.claims import Value
from zkds.field import ONE, ZERO, K, powers
from zkds.identities.block_plan import BlockPlan, LeftOperand, RightOperand
from zkds.identities.equations import Equation, Form
from zkds.identities.expressions import DIGIT, Operand, product_axis
from zkds.soundness import algebraic
from zkds.tensors.axes import Axis, eq_axes, split_point, variables
from zkds.tensors.linear import base_digits
from zkds.tensors.tensor import Context

SCHWARTZ_ZIPPEL = "Schwartz-Zippel lemma; protocol.md, sections 3 and 17"


class BlockWeights:
    """The challenges of one block, and the weights of everything in its identities at them."""

    def __init__(self, owner: BlockPlan, gamma: K, rho: K, point: tuple[K, ...]) -> None:
        self.owner = owner
        self.point = point
        self.scales = powers(rho, len(owner.identities))
        self._gamma = gamma
        self._multiples: dict[tuple[int, int], list[K]] = {}  # (identity, coefficient) -> the weights of its multiple's digits
        self._digits = [
            [weight * scale for weight in plan.digit_weights(gamma, len(digits))]
            for (digits, _), plan, scale in zip(owner.intervals, owner.plans, self.scales, strict=True)
        ]

    @classmethod
    def draw(cls, context: Context, owner: BlockPlan) -> BlockWeights:
        """gamma, unless no plan has carries; rho, unless there is one identity; z."""
        channel, name, count = context.channel, owner.name, len(owner.identities)
        degree = max(plan.gamma_degree for plan in owner.plans)
        gamma = rho = ONE
        if degree:
            gamma = channel.challenge(algebraic(f"{name}: gamma", degree, "groups / |K|", SCHWARTZ_ZIPPEL))
        if count > 1:
            rho = channel.challenge(algebraic(f"{name}: rho", count - 1, "(identities - 1) / |K|", SCHWARTZ_ZIPPEL))
        term = algebraic(f"{name}: point", 1, "1 / |K|", SCHWARTZ_ZIPPEL)
        variables = owner.outer_variables if owner.is_summed else owner.variables
        return cls(owner, gamma, rho, tuple(channel.challenge(term) for _ in range(variables)))

    def of(self, use: RightOperand, i: int) -> list[K]:
        """The weights of right's digits in R_i."""
        return self._shifted(use.identity, use.coefficient, i, len(use.operand.tensor.digits))

    def _shifted(self, identity: int, coefficient: int, first: int, count: int) -> list[K]:
        """The weights of the digits first, first + 1, ... of coefficient * (a number)."""
        multiple = self._multiples.get((identity, coefficient))
        if multiple is None:
            weights, parts = self._digits[identity], base_digits(coefficient)
            places = range(len(weights) - max((s for s, _ in parts), default=0))
            multiple = [sum((weights[d + s] * digit for s, digit in parts), ZERO) for d in places]
            self._multiples[identity, coefficient] = multiple
        return multiple[first : first + count]

    def points(self, shape: Sequence[int]) -> tuple[tuple[K, ...], ...]:
        """z, cut for an identity of this shape."""
        return split_point(shape, self.point)

    def linear_equation(self, total: Value) -> Equation[Value]:
        """Everything that is linear, at z, adds up to - S - (the constants)."""
        forms: list[Form] = []
        constant = ZERO
        for k, identity in enumerate(self.owner.identities):
            axes = eq_axes(identity.shape, self.points(identity.shape))
            scale = ONE if self.owner.is_summed else _low_weight(self.point, variables(identity.shape))
            for term in identity.expression.terms:
                if not term.factors:
                    ones = scale
                    for axis in axes:
                        ones = ones * axis.total()
                    constant = constant + ones * self._shifted(k, term.coefficient, 0, 1)[0]
                elif len(term.factors) == 1:
                    (operand,) = term.factors
                    weights = self._shifted(k, term.coefficient, 0, len(operand.tensor.digits))
                    forms.append(_form(operand, axes, weights, scale))
            forms += self._carry_forms(k, axes, scale)
        return Equation(forms, -total - constant)

    def _carry_forms(self, k: int, axes: tuple[Axis, ...], scale: K) -> list[Form]:
        weights = self.owner.plans[k].carry_weights(self._gamma)
        return [
            Form(carry, axes, tuple(self.scales[k] * scale * weight * (DIGIT**j) for j in range(len(carry.digits))))
            for carry, weight in zip(self.owner.carries[k], weights, strict=True)
        ]

    def factor_equations(self, context: Context, point: Sequence[K], factors: Sequence[Value]) -> list[Equation[Value]]:
        """left_i and R_i at the end of the sumcheck, each equation's with powers of psi that no other has."""
        count = len(factors) // 2
        term = algebraic(f"{self.owner.name}: psi", 2 * count - 1, "(factors - 1) / |K|", SCHWARTZ_ZIPPEL)
        scales = powers(context.channel.challenge(term), 2 * count)
        equations: list[Equation[Value]] = []
        first = 0
        for left, uses in self.owner.products.items():
            low, high = first, first + left.digits
            axes = eq_axes(left.shape, split_point(left.shape, point))
            scale = _low_weight(point, variables(left.shape))
            form = _form(left.operand, axes, scales[low:high], scale)
            equations.append(Equation([form], _combination(factors[low:high], scales[low:high])))
            right = [
                self._right_form(use, self._right_axes(left, axes), scales[count + low : count + high], scale) for use in uses
            ]
            value = _combination(factors[count + low : count + high], scales[count + low : count + high])
            equations.append(Equation(right, value))
            first = high
        return equations

    def _right_axes(self, left: LeftOperand, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        """Summed products have eq(z, .) in R_i."""
        if not self.owner.is_summed:
            return axes
        outer = eq_axes(left.outer, self.points(left.outer))
        return (*(product_axis(a, b) for a, b in zip(outer, axes, strict=False)), *axes[len(outer) :])

    def _right_form(self, use: RightOperand, axes: tuple[Axis, ...], scales: Sequence[K], scale: K) -> Form:
        count = len(use.operand.tensor.digits)
        weights = [ZERO] * count
        for i, psi in enumerate(scales):
            weights = [weight + psi * part for weight, part in zip(weights, self.of(use, i), strict=True)]
        return _form(use.operand, axes, weights, scale)


def _form(operand: Operand, axes: Sequence[Axis], weights: Sequence[K], scale: K) -> Form:
    own, factor = operand.weights(axes)
    return Form(operand.tensor, own, tuple(weight * (factor * scale) for weight in weights))


def _combination(values: Sequence[Value], scales: Sequence[K]) -> Value:
    total = values[0] * scales[0]
    for value, scale in zip(values[1:], scales[1:], strict=True):
        total = total + value * scale
    return total


def _low_weight(point: Sequence[K], used: int) -> K:
    """The weight of a table that fills only the lowest `used` of the point's variables."""
    weight = ONE
    for coordinate in point[used:]:
        weight = weight * (1 - coordinate)
    return weight
