"""The public part of a block of identities: its plans, the formats of its carries, and which products it consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkds.commit.layout import Column
from zkds.errors import PlanRejected
from zkds.identities.expressions import Identity, Operand
from zkds.integers.identity import DIGIT_BITS, IdentityPlan, plan_identity
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.lookup import Lookup
from zkds.tensors.axes import variables
from zkds.tensors.tensor import Committed, Tensor


@dataclass(frozen=True)
class LeftOperand:
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
class RightOperand:
    """coefficient * right, a factor of identity number `identity`."""

    identity: int
    coefficient: int
    operand: Operand


class BlockPlan:
    """Identities that are proved together, and the committed carries of their plans.

    limb_bits   of the carries (`plan_identity`)
    Raises PlanRejected if an identity cannot be planned, ValueError for two identities of one name.
    """

    def __init__(self, name: str, identities: Sequence[Identity], limb_bits: int = DIGIT_BITS) -> None:
        if len({identity.name for identity in identities}) != len(identities) or not identities:
            raise ValueError(f"{name}: expected identities of different names, at least one")
        self.name = name
        self.identities = tuple(identities)
        self.intervals = [identity.intervals() for identity in identities]
        self.plans = [
            _plan(identity.name, *found, limb_bits) for identity, found in zip(identities, self.intervals, strict=True)
        ]
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

    def _products(self) -> dict[LeftOperand, list[RightOperand]]:
        """All products, by their left operands."""
        products: dict[LeftOperand, list[RightOperand]] = {}
        for k, identity in enumerate(self.identities):
            for term in identity.expression.terms:
                if len(term.factors) == 2:
                    left, right = term.factors
                    key = LeftOperand(left, identity.shape, term.inner)
                    products.setdefault(key, []).append(RightOperand(k, term.coefficient, right))
        return products

    @property
    def committed(self) -> list[Committed]:
        """The carries."""
        return [carry for carries in self.carries for carry in carries]

    @property
    def tensors(self) -> list[Tensor]:
        """The carries, and what the identities are about."""
        terms = [term for identity in self.identities for term in identity.expression.terms]
        return [*self.committed, *(operand.tensor for term in terms for operand in term.factors)]

    @property
    def columns(self) -> list[Column]:
        return [column for carry in self.committed for column in carry.columns.columns]

    @property
    def lookups(self) -> list[Lookup]:
        """The range checks of the carries."""
        return [lookup for carry in self.committed for lookup in carry.range_checks]

    def check(self) -> None:
        """Raise PlanRejected unless every plan is sound."""
        for (digits, total), plan in zip(self.intervals, self.plans, strict=True):
            plan.check(digits, total)


def _plan(name: str, digits: list[Interval], total: Interval, limb_bits: int) -> IdentityPlan:
    try:
        return plan_identity(digits, total, limb_bits)
    except PlanRejected as error:
        raise PlanRejected(f"{name}: {error}") from None
