"""Blocks of integer identities, entry by entry: any number of expressions over any shapes, in one sumcheck.

An identity (circuits/expressions.py) says that an expression of degree 2 in tensors is zero over the integers for every index
of its shape; zkds/integers/identity.py reduces that to one equation in K for each index, at a challenge gamma. With the weights
of gamma a product of two tensors is sum_i left_i right^(i), right^(i) a combination of right's digits, and everything else is
linear. A block combines its identities with powers of a challenge rho and their indices at a random point z (a shape with fewer
index bits takes the low coordinates), so that

    S + (linear parts at z) = 0,        S = sum_x eq(z, x) sum_i left_i(x) R_i(x)

where R_i adds up, over all terms that have a digit left_i in common, their right^(i) with rho's power: as many products as
there are different left digits. S is proved by a sumcheck; where no product is summed over further axes its eq factor is split
off, otherwise R_i takes the weights eq(z, .) in. It ends in hidden values of left_i and R_i, and claims on the tensors.

Messages: gamma; rho; z; S; values of some claims (circuits/settlement.py); the sumcheck; the values of left_i and R_i; psi;
again values of some claims. The formulas are in docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeAlias

from zkds import multilinear, sumcheck
from zkds.circuits.contraction import outer_product
from zkds.circuits.expressions import DIGIT, Identity, Operand, Tables, base_digits, product_axis
from zkds.circuits.field_tables import (
    Pair,
    added,
    canonical,
    flat,
    flat_table,
    multiply_table,
    total_of,
    weigh_elements,
)
from zkds.circuits.settlement import Equation, Form, settle_prover, settle_verifier
from zkds.circuits.tensors import (
    Axis,
    Committed,
    Context,
    ProverContext,
    Reader,
    VerifierContext,
    eq_axes,
    split_point,
    variables,
)
from zkds.claims import Value
from zkds.commit.layout import Column
from zkds.errors import PlanRejected
from zkds.field import ONE, ZERO, K, dot, powers
from zkds.hidden import Hidden
from zkds.integers.identity import IdentityPlan, plan_identity
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.lookup import Lookup, RangeTable
from zkds.native import U32, U64
from zkds.soundness import algebraic

Elements: TypeAlias = Callable[[Operand, tuple[int, ...]], list[U64]]  # an operand's digits over a shape, modulo p

SCHWARTZ_ZIPPEL = "Schwartz-Zippel lemma; docs/protocol.md, section 3"


class ColumnReader(Reader):
    """Columns that are in no vector yet: what the witness is made from. More may be added to the mapping later."""

    def __init__(self, columns: Mapping[str, U32]) -> None:
        self.read = lru_cache(maxsize=None)(columns.__getitem__)


@dataclass(frozen=True)
class _Left:
    """A left operand of products over one index space: `outer` is the shape of the identities, `inner` what is summed over."""

    operand: Operand
    outer: tuple[int, ...]
    inner: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.outer, *self.inner)

    @property
    def digits(self) -> int:
        return len(self.operand.tensor.digits)


@dataclass(frozen=True)
class _Right:
    """coefficient * right, a factor of identity number `identity`."""

    identity: int
    coefficient: int
    operand: Operand


class Block:
    """Identities that are proved together, and the committed carries of their plans.

    Raises PlanRejected if an identity cannot be planned, ValueError for two identities of one name.
    """

    def __init__(self, name: str, identities: Sequence[Identity]) -> None:
        if len({identity.name for identity in identities}) != len(identities) or not identities:
            raise ValueError(f"{name}: expected identities of different names, at least one")
        self.name = name
        self.identities = tuple(identities)
        self.intervals = [identity.intervals() for identity in identities]
        self.plans = [_plan(identity.name, *found) for identity, found in zip(identities, self.intervals, strict=True)]
        self.carries = [
            [
                Committed(LimbColumns(f"{identity.name}: carry {g}", carry, identity.shape))
                for g, carry in enumerate(plan.carries)
            ]
            for identity, plan in zip(self.identities, self.plans, strict=True)
        ]
        self.products = self._products()
        self.is_summed = any(left.inner for left in self.products)
        self.outer_variables = max(variables(identity.shape) for identity in identities)
        shapes = [left.shape for left in self.products] if self.is_summed else [i.shape for i in identities]
        self.variables = max(map(variables, shapes))

    def _products(self) -> dict[_Left, list[_Right]]:
        """All products, by their left operands."""
        products: dict[_Left, list[_Right]] = {}
        for k, identity in enumerate(self.identities):
            for term in identity.expression.terms:
                if len(term.factors) == 2:
                    left, right = term.factors
                    key = _Left(left, identity.shape, term.inner)
                    products.setdefault(key, []).append(_Right(k, term.coefficient, right))
        return products

    @property
    def tensors(self) -> list[Committed]:
        """The carries, as tensors whose claims must be reduced after the block's turn."""
        return [carry for carries in self.carries for carry in carries]

    @property
    def columns(self) -> list[Column]:
        return [column for carry in self.tensors for column in carry.columns.columns]

    @property
    def lookups(self) -> list[Lookup]:
        """The range checks of the carries."""
        return [lookup for carry in self.tensors for lookup in range_checks(carry)]

    def check(self) -> None:
        """Raise PlanRejected unless every plan is sound."""
        for (digits, total), plan in zip(self.intervals, self.plans, strict=True):
            plan.check(digits, total)

    def witness(self, reader: Reader) -> dict[str, U32]:
        """The carries' columns, from a reader of all columns that the operands are made of.

        Raises ValueError, naming the identity, if 2^(16 m) does not divide an entry, m the number of its low digits.
        """
        tables: Tables = lru_cache(maxsize=None)(lambda tensor: tensor.tables(reader))
        columns: dict[str, U32] = {}
        for identity, plan, carries in zip(self.identities, self.plans, self.carries, strict=True):
            if not carries:
                continue
            try:
                values = plan.carry_values(identity.low_sums(tables, plan.low_digits))
            except ValueError as error:
                raise ValueError(f"{identity.name}: {error}") from None
            for carry, value in zip(carries, values, strict=True):
                columns |= carry.columns.split(value)
        return columns

    # ---- prover ------------------------------------------------------------------------------------------------------

    def prove(self, context: ProverContext) -> None:
        """The prover's side. Adds claims to the operands and the carries."""
        weights = _Weights.draw(context, self)
        total = ZERO
        left: list[U64] = []
        right: list[U64] = []
        if self.products:
            left, right = self._tables(context.reader, weights)
            total = self._total(left, right, weights.point)
            context.channel.send(f"{self.name}: sum", [total])
        settle_prover(context, self.name, [weights.linear_equation(total)])
        if not self.products:
            return
        count = len(left)
        point, finals = sumcheck.prove(
            context.channel,
            [*left, *right],
            [(ONE, (j, count + j)) for j in range(count)],
            None if self.is_summed else weights.point,
            name=self.name,
            variables=self.variables,
        )
        context.channel.send(f"{self.name}: factors", finals)
        settle_prover(context, self.name, weights.factor_equations(context, point, finals))

    def _tables(self, reader: Reader, weights: _Weights) -> tuple[list[U64], list[U64]]:
        """left_i and R_i: flat tables of F, and of K (blocked)."""
        tables: Tables = lru_cache(maxsize=None)(lambda tensor: tensor.tables(reader))

        @cache
        def elements(operand: Operand, shape: tuple[int, ...]) -> list[U64]:
            return [canonical(operand.values(table, shape)) for table in tables(operand.tensor)]

        lefts: list[U64] = []
        rights: list[U64] = []
        for left, uses in self.products.items():
            for i, table in enumerate(elements(left.operand, left.shape)):
                lefts.append(flat(table, left.shape))
                rights.append(flat_table(self._right_table(left, uses, i, elements, weights), left.shape))
        return lefts, rights

    def _right_table(self, left: _Left, uses: Sequence[_Right], i: int, elements: Elements, weights: _Weights) -> Pair:
        """R_i = sum over uses of right^(i); where products are summed, times eq(z, .)."""
        rows = None
        if self.is_summed:
            axes = eq_axes(left.outer, weights.points(left.outer))
            rows = outer_product(axes).reshape(*left.outer, *(1 for _ in left.inner), 2)
        total: Pair | None = None
        for use in uses:
            part = weigh_elements(elements(use.operand, left.shape), weights.of(use, i), rows)
            total = added(total, part, left.shape)
        assert total is not None
        return total

    def _total(self, left: Sequence[U64], right: Sequence[U64], point: Sequence[K]) -> K:
        """S."""
        total = ZERO
        for a, b in zip(left, right, strict=True):
            product = multiply_table(a, b)
            total = total + (total_of(product) if self.is_summed else multilinear.evaluate(product, point))
        return total

    # ---- verifier ----------------------------------------------------------------------------------------------------

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side. Adds claims to the operands and the carries."""
        channel = context.channel
        weights = _Weights.draw(context, self)
        if not self.products:
            settle_verifier(context, self.name, [weights.linear_equation(Hidden.public(ZERO))])
            return
        (total,) = channel.receive(f"{self.name}: sum", 1)
        settle_verifier(context, self.name, [weights.linear_equation(total)])
        eq_point = None if self.is_summed else weights.point
        point, final = sumcheck.verify(channel, total, self.variables, 2, eq_point, name=self.name)
        count = sum(left.digits for left in self.products)
        factors = channel.receive(f"{self.name}: factors", 2 * count)
        for a, b in zip(factors[:count], factors[count:], strict=True):
            final = final - channel.product(a, b)
        channel.assert_zero(final, f"{self.name}: products of the factors")
        settle_verifier(context, self.name, weights.factor_equations(context, point, factors))


class _Weights:
    """The challenges of one block, and the weights of everything in its identities at them."""

    def __init__(self, owner: Block, gamma: K, rho: K, point: tuple[K, ...]) -> None:
        self.owner = owner
        self.point = point
        self.scales = powers(rho, len(owner.identities))
        self._gamma = gamma
        self._digits = [
            [weight * scale for weight in plan.digit_weights(gamma, len(digits))]
            for (digits, _), plan, scale in zip(owner.intervals, owner.plans, self.scales, strict=True)
        ]

    @classmethod
    def draw(cls, context: Context, owner: Block) -> _Weights:
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

    def of(self, use: _Right, i: int) -> list[K]:
        """The weights of right's digits in R_i."""
        return self._shifted(use.identity, use.coefficient, i, len(use.operand.tensor.digits))

    def _shifted(self, identity: int, coefficient: int, first: int, count: int) -> list[K]:
        """The weights of the digits first, first + 1, ... of coefficient * (a number)."""
        weights, parts = self._digits[identity], base_digits(coefficient)
        return [dot(weights[d : d + len(parts)], parts) for d in range(first, first + count)]

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

    def _right_axes(self, left: _Left, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        """Summed products have eq(z, .) in R_i."""
        if not self.owner.is_summed:
            return axes
        outer = eq_axes(left.outer, self.points(left.outer))
        return (*(product_axis(a, b) for a, b in zip(outer, axes, strict=False)), *axes[len(outer) :])

    def _right_form(self, use: _Right, axes: tuple[Axis, ...], scales: Sequence[K], scale: K) -> Form:
        count = len(use.operand.tensor.digits)
        weights = [ZERO] * count
        for i, psi in enumerate(scales):
            weights = [weight + psi * part for weight, part in zip(weights, self.of(use, i), strict=True)]
        return _form(use.operand, axes, weights, scale)


def range_checks(tensor: Committed) -> list[Lookup]:
    """A range check for every limb of a committed tensor."""
    return [Lookup(RangeTable(width), name) for name, width in tensor.columns.widths.items()]


def _plan(name: str, digits: list[Interval], total: Interval) -> IdentityPlan:
    try:
        return plan_identity(digits, total)
    except PlanRejected as error:
        raise PlanRejected(f"{name}: {error}") from None


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
