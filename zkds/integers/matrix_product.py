"""The example of a whole relation: out = round_half_up(A B / 2^s) for committed integer matrices of any size.

A (I, N), B (N, J) and out (I, J) are signed integers of declared widths, in limbs; all limbs, remainders and carries are
committed and range-checked. The rounding gadget reduces the relation to C~(gamma, z_i, z_j) = c; and with A_gamma, B_gamma the
matrices of the polynomials' values at gamma,

    c = sum_k A_gamma~(z_i, k) B_gamma~(k, z_j)       k over ceil(log2 N) variables, zero beyond N

is the sumcheck of a matrix product (Thaler, CRYPTO 2013, eprint 2013/351). It ends in one value of A and one of B, each hidden
and each a claim on its limb columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zkds import sumcheck
from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim, Value
from zkds.commit.layout import Column, Layout
from zkds.errors import PlanRejected
from zkds.field import ONE, K, block, powers, to_pairs
from zkds.hidden import Hidden
from zkds.integers.limb_columns import LimbColumns, Points, ones_at
from zkds.integers.limbs import I64
from zkds.integers.plan import RoundingPlan, plan_check, plan_rounding
from zkds.integers.products import contract, limb_matmul
from zkds.integers.rounding import Rounding
from zkds.lookup import Lookup, RangeTable
from zkds.multilinear import eq_table
from zkds.native import U32, U64, field

NAME = "matrix product"
MAX_SIDE = 1 << 24


@dataclass(frozen=True)
class MatrixSizes:
    """A is (rows, inner), B (inner, columns)."""

    rows: int
    inner: int
    columns: int

    def __post_init__(self) -> None:
        for name, side in (("rows", self.rows), ("inner", self.inner), ("columns", self.columns)):
            if not isinstance(side, int):
                raise TypeError(f"{name}: expected an int, got {type(side).__name__}")
            if not 1 <= side <= MAX_SIDE:
                raise ValueError(f"{name}: expected 1 to {MAX_SIDE}, got {side}")


class MatrixProduct:
    """The relation for one size and one plan; a public function of these, the same for prover and verifier."""

    name = NAME

    def __init__(self, sizes: MatrixSizes, plan: RoundingPlan) -> None:
        self.sizes = sizes
        self.plan = plan
        self.left = LimbColumns("left", plan.left, (sizes.rows, sizes.inner))
        self.right = LimbColumns("right", plan.right, (sizes.inner, sizes.columns))
        self.rounding = Rounding(NAME, plan, (sizes.rows, sizes.columns))
        self.variables = (sizes.inner - 1).bit_length()

    @classmethod
    def planned(
        cls, rows: int, inner: int, columns: int, *, limb_bits: int = 16, width: int = 48, shift: int = 32
    ) -> MatrixProduct:
        """The relation with one width for A, B and out. Raises PlanRejected if there is no sound plan."""
        plan = plan_rounding(
            limb_bits=limb_bits, shift=shift, terms=inner, left_width=width, right_width=width, output_width=width
        )
        return cls(MatrixSizes(rows, inner, columns), plan)

    @property
    def columns(self) -> list[Column]:
        return [*self.left.columns, *self.right.columns, *self.rounding.columns]

    @property
    def lookups(self) -> list[Lookup]:
        """A range check for every column."""
        return [Lookup(RangeTable(width), name) for name, width in self.widths.items()]

    @property
    def widths(self) -> dict[str, int]:
        """Column name -> the width that its range check has to enforce; every column has one."""
        return self.left.widths | self.right.widths | self.rounding.widths

    def encode(self) -> bytes:
        """Canonical: the name, three sizes of 8 bytes, the plan."""
        sizes = (self.sizes.rows, self.sizes.inner, self.sizes.columns)
        return NAME.encode() + b"\0" + b"".join(side.to_bytes(8, "little") for side in sizes) + self.plan.encode()

    def check(self) -> None:
        """Raise PlanRejected unless the plan is sound and is about sums of `inner` products."""
        plan_check(self.plan)
        if self.plan.terms < self.sizes.inner:
            raise PlanRejected(f"terms: expected at least {self.sizes.inner}, got {self.plan.terms}")

    def witness(self, left: I64, right: I64) -> dict[str, U32]:
        """All columns from A (rows, inner) and B (inner, columns), int64.

        Raises WitnessOverflow (tensor and index) for an entry of A, B or out that does not fit, ValueError for other shapes.
        """
        columns = self.left.split(left) | self.right.split(right)
        return columns | self.rounding.witness(self.sums(columns))[1]

    def sums(self, columns: Mapping[str, U32]) -> list[I64]:
        """The coefficients of C(X) from the limbs of A and B, (rows, columns) int64 each."""
        left = self.plan.left.coefficients(self.left.limbs(columns))
        right = self.plan.right.coefficients(self.right.limbs(columns))
        return limb_matmul(left, right, (self.plan.left, self.plan.right))

    def prove(self, channel: ProverChannel, layout: Layout, vector: U32) -> list[Claim[K]]:
        """The prover's side, after the root: claims on the committed vector (layout.cells,) uint32."""
        gamma, (row_point, column_point) = self.rounding.draw(channel)
        left = self._contracted(self.left, layout, vector, gamma, row_point, transpose=False)
        right = self._contracted(self.right, layout, vector, gamma, column_point, transpose=True)
        total = K(*field.k_dot(left, right).tolist())
        channel.send(f"{NAME}: sum", [total])
        inner_point, (left_value, right_value) = sumcheck.prove(
            channel, [left, right], [(ONE, (0, 1))], name=NAME, variables=self.variables
        )
        channel.send(f"{NAME}: factors", [left_value, right_value])
        return self._claims(layout, gamma, (row_point, column_point, inner_point), (total, left_value, right_value))

    def verify(self, channel: VerifierEnd, layout: Layout) -> list[Claim[Hidden]]:
        """The verifier's side: the claims that the opening has to prove."""
        gamma, (row_point, column_point) = self.rounding.draw(channel)
        (total,) = channel.receive(f"{NAME}: sum", 1)
        inner_point, final = sumcheck.verify(channel, total, self.variables, 2, name=NAME)
        left_value, right_value = channel.receive(f"{NAME}: factors", 2)
        channel.assert_zero(channel.product(left_value, right_value) - final, f"{NAME}: product of the factors")
        return self._claims(layout, gamma, (row_point, column_point, inner_point), (total, left_value, right_value))

    def _claims(self, layout: Layout, gamma: K, points: Points, values: tuple[Value, Value, Value]) -> list[Claim[Value]]:
        """What both sides claim of the columns: c, A_gamma~(z_i, k) and B_gamma~(k, z_j)."""
        row_point, column_point, inner_point = points
        total, left_value, right_value = values
        return [
            self.rounding.sum_claim(layout, gamma, (row_point, column_point), total),
            self.left.claim(layout, gamma, (row_point, inner_point), left_value),
            self.right.claim(layout, gamma, (inner_point, column_point), right_value),
        ]

    def _contracted(
        self, part: LimbColumns, layout: Layout, vector: U32, gamma: K, point: Sequence[K], *, transpose: bool
    ) -> U64:
        """The table of A_gamma~(z_i, k), or of B_gamma~(k, z_j), over k: blocked, zero beyond `inner`."""
        weights = eq_table(point)
        outer = part.shape[1] if transpose else part.shape[0]
        table: U64 | None = None
        for name, power in zip(part.names, powers(gamma, part.format.limbs), strict=True):
            limb = layout.read(vector, name)
            term = field.k_scale(contract(weights, limb.T if transpose else limb), to_pairs([power])[0])
            table = term if table is None else field.add(table, term)
        assert table is not None
        offset = to_pairs([part.offset(gamma) * ones_at(outer, point)])
        return field.sub(table, block(np.repeat(offset, self.sizes.inner, axis=0)))
