"""Blocks of integer identities, entry by entry: any number of expressions over any shapes, in one sumcheck.

An identity (expressions.py) says that an expression of degree 2 in tensors is zero over the integers for every index
of its shape; zkds/integers/identity.py reduces that to one equation in K for each index, at a challenge gamma. With the weights
of gamma a product of two tensors is sum_i left_i right^(i), right^(i) a combination of right's digits, and everything else is
linear. A block combines its identities with powers of a challenge rho and their indices at a random point z (a shape with fewer
index bits takes the low coordinates), so that

    S + (linear parts at z) = 0,        S = sum_x eq(z, x) sum_i left_i(x) R_i(x)

where R_i adds up, over all terms that have a digit left_i in common, their right^(i) with rho's power: as many products as
there are different left digits. S is proved by a sumcheck; where no product is summed over further axes its eq factor is split
off, otherwise R_i takes the weights eq(z, .) in. It ends in hidden values of left_i and R_i, and claims on the tensors.

Messages: gamma; rho; z; S; values of some claims (equations.py); the sumcheck; the values of left_i and R_i; psi;
again values of some claims. The formulas are in protocol.md, section 17.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from zkds import sumcheck
from zkds.field import ONE, ZERO, dot, to_pairs
from zkds.hidden import Hidden
from zkds.identities.block_plan import BlockPlan, LeftOperand, RightOperand
from zkds.identities.block_weights import BlockWeights
from zkds.identities.equations import settle_prover, settle_verifier
from zkds.identities.expressions import Operand
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64
from zkds.native import U64, field
from zkds.tensors.axes import eq_axes
from zkds.tensors.circuit import Component
from zkds.tensors.field_tables import flat_length, flat_tables, scale_outer
from zkds.tensors.tensor import ProverContext, Reader, Recent, VerifierContext

KEPT_OPERANDS = 256  # tables of F, as far as `Recent` keeps so much: a factor of one product is often one of another
Elements: TypeAlias = Callable[[Operand, tuple[int, ...]], U64]  # an operand's digits over a shape: `flat_tables`


class Block(BlockPlan, Component):
    """Identities that are proved together, and the committed carries of their plans."""

    def witness(self, reader: Reader) -> Iterator[tuple[LimbColumns, I64]]:
        """The carries, from a reader of all columns that the operands are made of.

        Raises ValueError, naming the identity, if 2^(16 m) does not divide an entry, m the number of its low digits.
        """
        for identity, plan, carries in zip(self.identities, self.plans, self.carries, strict=True):
            if not carries:
                continue
            try:
                values = identity.carries(reader, plan)
            except ValueError as error:
                raise ValueError(f"{identity.name}: {error}") from None
            yield from zip((carry.columns for carry in carries), values, strict=True)

    # ---- prover ------------------------------------------------------------------------------------------------------

    def prove(self, context: ProverContext) -> None:
        """The prover's side. Adds claims to the operands and the carries."""
        weights = BlockWeights.draw(context, self)
        if not self.products:
            settle_prover(context, self.name, [weights.linear_equation(ZERO)])
            return
        tables = self._tables(context.reader, weights)
        count = len(tables) // 2
        terms = [(ONE, (j, count + j)) for j in range(count)]
        eq_point = None if self.is_summed else weights.point
        total = sumcheck.total(tables, terms, eq_point, variables=self.variables)
        context.channel.send(f"{self.name}: sum", [total.value])
        settle_prover(context, self.name, [weights.linear_equation(total.value)])
        point, finals = sumcheck.prove(
            context.channel, tables, terms, eq_point, name=self.name, variables=self.variables, first=total.first
        )
        context.channel.send(f"{self.name}: factors", finals)
        settle_prover(context, self.name, weights.factor_equations(context, point, finals))

    def _tables(self, reader: Reader, weights: BlockWeights) -> list[U64]:
        """All left_i, flat tables of F, then all R_i, of K (blocked)."""
        kept: Recent[tuple[Operand, tuple[int, ...]], U64] = Recent(
            lambda key: flat_tables(key[0].digits(reader, key[1]), key[1]), lambda tables: tables.nbytes, KEPT_OPERANDS
        )

        def elements(operand: Operand, shape: tuple[int, ...]) -> U64:
            return kept[operand, shape]

        lefts: list[U64] = []
        rights: list[U64] = []
        for left, uses in self.products.items():
            entries = flat_length(left.shape)
            lefts += [table[:entries] for table in elements(left.operand, left.shape)]
            rights += list(self._right_tables(left, uses, reader, elements, weights))
        return lefts + rights

    def _right_tables(
        self, left: LeftOperand, uses: Sequence[RightOperand], reader: Reader, elements: Elements, weights: BlockWeights
    ) -> U64:
        """R_i = sum over uses of right^(i), where products are summed times eq(z, .): (digits of left, m, 2, 8)."""
        total: U64 | None = None
        for use in uses:
            rows = [weights.of(use, i) for i in range(left.digits)]
            if use.operand.axes:
                tables = elements(use.operand, left.shape)
            else:  # the same everywhere: one table for all digits
                digits = [int(digit.item()) for digit in use.operand.digits(reader, left.shape)]
                rows = [[dot(row, digits)] for row in rows]
                tables = flat_tables([np.ones((1,) * len(left.shape), dtype=np.int64)], left.shape)
            part = field.f_matmul(np.stack([to_pairs(row) for row in rows]), tables)
            total = part if total is None else field.add(total, part, out=total)
        assert total is not None
        if self.is_summed:
            scale_outer(total, eq_axes(left.outer, weights.points(left.outer)), left.inner)
        return total

    # ---- verifier ----------------------------------------------------------------------------------------------------

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side. Adds claims to the operands and the carries."""
        channel = context.channel
        weights = BlockWeights.draw(context, self)
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
