"""The product of two secret matrices, rounded: the smallest whole relation, and an example of how relations are made.

A (rows, inner), B (inner, columns) and C = round(A B / 2^shift), ties upwards, are signed integers of one width, in committed
limbs that are range-checked. The proof is one rounded sum (zkds/identities/rounded_sum.py). At a random point (z_i, z_j) of C
its products are

    sum_k A~(z_i, k) B~(k, z_j)                 k over ceil(log2 inner) variables, zero beyond `inner`

digit by digit, which is the sumcheck of a matrix product (Thaler, CRYPTO 2013, eprint 2013/351). It ends in one claim on A and
one on B, at a point each, and those are claims on the committed vector as they stand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim
from zkds.commit.layout import Column, Layout
from zkds.field import K
from zkds.hidden import Hidden
from zkds.identities.low_digits import LowDigits
from zkds.identities.products import DigitProducts
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.digit_sums import round_sums
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import I64, LimbFormat
from zkds.lookup import Lookup
from zkds.native import U32, U64, exact
from zkds.native.exact import View
from zkds.tensors.axes import Axis, EqAxis, eq_axes
from zkds.tensors.contraction import weigh
from zkds.tensors.tensor import (
    ColumnReader,
    Committed,
    ProverContext,
    Reader,
    Tensor,
    VectorReader,
    VerifierContext,
)

NAME = "matrix product"
MAX_SIDE = 1 << 24


class InnerProducts(DigitProducts):
    """sum_k left[i, k] right[k, j] for every (i, j), of two matrices."""

    def __init__(self, left: Tensor, right: Tensor) -> None:
        (_, inner), (length, _) = left.shape, right.shape
        if inner != length:
            raise ValueError(f"{left.name}, {right.name}: no product of {left.shape} and {right.shape}")
        self.left = left
        self.right = right
        self.terms = inner
        self.inner = (inner,)

    def left_tables(self, reader: Reader, points: Points) -> list[U64]:
        return _contracted(self.left, reader, 0, points[0])

    def right_tables(self, reader: Reader, points: Points) -> list[U64]:
        return _contracted(self.right, reader, 1, points[1])

    def left_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.left.shape, [points[0], inner[0]])

    def right_axes(self, points: Points, inner: Points) -> tuple[Axis, ...]:
        return eq_axes(self.right.shape, [inner[0], points[1]])

    def digit_sums(self, reader: Reader, count: int) -> list[I64]:
        digits = LowDigits.of(self, reader, count)
        shape = (self.left.shape[0], self.right.shape[1])
        sums = [np.zeros((1, *shape), dtype=np.int64) for _ in range(count)]
        left, right = ([digit[None] for digit in side] for side in (digits.left, digits.right))
        views = [View.of_matrix(*sides) for sides in (self.left.shape, self.right.shape, shape)]
        exact.digits(left, views[0], right, views[1], digits.widths, sums, views[2])
        return [total[0] for total in sums]


def _contracted(matrix: Tensor, reader: Reader, axis: int, point: Sequence[K]) -> list[U64]:
    """For every digit, the sum along one axis with the weights eq(point, .): (length of the other, 2) pairs."""
    weights = EqAxis(matrix.shape[axis], tuple(point)).vector()
    tables = zip(reader.tables(matrix), matrix.digits, strict=True)
    return [weigh(table, axis, weights, digit.magnitude()) for table, digit in tables]


class MatrixProduct:
    """The relation C = round(A B / 2^shift) for committed matrices: a function of public numbers, equal on both sides.

    rows, inner, columns   A is (rows, inner), B (inner, columns), C (rows, columns); sides from 1 to 2^24
    width                  in bits, of the entries of A, B and C, which are signed: 1 to 60
    shift                  how many bits are rounded away: 1 to 60
    Raises TypeError for anything but ints, ValueError for other sides, PlanRejected (a ValueError) for widths and sides without
    a sound identity.
    """

    name = NAME

    def __init__(self, rows: int, inner: int, columns: int, *, width: int = 48, shift: int = 32) -> None:
        for side_name, side in (("rows", rows), ("inner", inner), ("columns", columns)):
            if not isinstance(side, int):
                raise TypeError(f"{side_name}: expected an int, got {type(side).__name__}")
            if not 1 <= side <= MAX_SIDE:
                raise ValueError(f"{side_name}: expected 1 to {MAX_SIDE}, got {side}")
        number = LimbFormat(DIGIT_BITS, width, signed=True)
        self.left = Committed(LimbColumns("left", number, (rows, inner)))
        self.right = Committed(LimbColumns("right", number, (inner, columns)))
        self.output = Committed(LimbColumns(f"{NAME}: output", number, (rows, columns)))
        self.products = InnerProducts(self.left, self.right)
        self.rounding = RoundedSum(NAME, self.output, shift, self.products)

    @property
    def columns(self) -> list[Column]:
        return [column for tensor in self._committed for column in tensor.columns.columns]

    @property
    def lookups(self) -> list[Lookup]:
        """A range check for every column."""
        return [lookup for tensor in self._committed for lookup in tensor.range_checks]

    @property
    def _committed(self) -> list[Committed]:
        return [self.left, self.right, self.output, *self.rounding.committed]

    def encode(self) -> bytes:
        """Canonical: the name, a zero byte, three sides of 8 bytes, the matrices' format, shift and plan."""
        sides = (*self.left.shape, self.right.shape[1])
        encoded = b"".join(side.to_bytes(8, "little") for side in sides)
        return NAME.encode() + b"\0" + encoded + self.output.columns.format.encode() + self.rounding.encode()

    def check(self) -> None:
        """Raise PlanRejected unless the identity's plan is sound."""
        self.rounding.check()

    def witness(self, left: I64, right: I64) -> dict[str, U32]:
        """All columns from A (rows, inner) and B (inner, columns), int64.

        Raises WitnessOverflow (tensor and index) for an entry of A, B or C that does not fit, ValueError for other shapes.
        """
        reader = ColumnReader(self.left.columns.split(left) | self.right.columns.split(right))
        count = len(self.left.digits) + len(self.right.digits) - 1
        output, remainder = round_sums(self.products.digit_sums(reader, count), self.rounding.shift)
        reader.add(self.output.columns.split(output) | self.rounding.remainder.split(remainder))
        reader.add(self.rounding.witness(reader))
        return reader.columns

    def prove(self, channel: ProverChannel, layout: Layout, vector: U32) -> list[Claim[K]]:
        """The prover's side, after the root: claims on the committed vector (layout.cells,) uint32."""
        context = ProverContext(channel, layout, VectorReader(layout, vector))
        self.rounding.prove(context)
        self.left.prove_claims(context)
        self.right.prove_claims(context)
        return context.book.finished()

    def verify(self, channel: VerifierEnd, layout: Layout) -> list[Claim[Hidden]]:
        """The verifier's side: the claims that the opening has to prove."""
        context = VerifierContext(channel, layout)
        self.rounding.verify(context)
        self.left.verify_claims(context)
        self.right.verify_claims(context)
        return context.book.finished()
