"""A committed tensor of integers: one column for each limb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from zkds.commit.layout import Column, Layout, binary_parts
from zkds.field import ONE, ZERO, K
from zkds.integers.limbs import I64, LimbFormat
from zkds.multilinear import index_weight
from zkds.native import U32

Points = Sequence[Sequence[K]]


class LimbColumns:
    """A tensor of one format and shape; column `name/j` holds limb j of every entry, (shape) uint32."""

    def __init__(self, name: str, number: LimbFormat, shape: tuple[int, ...]) -> None:
        self.name = name
        self.format = number
        self.shape = shape
        self.names = tuple(f"{name}/{j}" for j in range(number.limbs))

    @property
    def columns(self) -> list[Column]:
        """The columns, lowest limb first."""
        return [Column(name, self.shape) for name in self.names]

    @property
    def widths(self) -> dict[str, int]:
        """The width that the range check of each column has to enforce."""
        return dict(zip(self.names, self.format.limb_widths, strict=True))

    def split(self, values: I64) -> dict[str, U32]:
        """The columns of a tensor. Raises WitnessOverflow for an entry that does not fit, ValueError for another shape."""
        self._require_shape(values)
        return dict(zip(self.names, self.format.split(self.name, values), strict=True))

    def write(self, layout: Layout, vector: U32, values: I64) -> None:
        """Put the columns of a tensor in their places. Raises as `split` does."""
        self._require_shape(values)
        if not layout.write_digits(vector, self.names, values, self.format.digits):
            self.format.require(self.name, values)

    def values(self, layout: Layout, vector: U32) -> I64:
        """The tensor of which a vector has the columns."""
        return layout.read_digits(vector, self.names, self.format.digits)

    def coefficients(self, layout: Layout, vector: U32) -> list[I64]:
        """Its coefficients, limb by limb."""
        digits = [replace(self.format.digits, count=1, offset=offset) for offset in self.format.cell_offsets]
        return [layout.read_digits(vector, [name], digit) for name, digit in zip(self.names, digits, strict=True)]

    def _require_shape(self, values: I64) -> None:
        if values.shape != self.shape:
            raise ValueError(f"{self.name}: expected shape {self.shape}, got {values.shape}")

    def limbs(self, columns: Mapping[str, U32]) -> list[U32]:
        """This tensor's columns out of many."""
        return [columns[name] for name in self.names]

    def ones(self, points: Points) -> K:
        """ones~(points): the multilinear extension of the tensor that is 1 within the shape and 0 outside."""
        product = ONE
        for length, point in zip(self.shape, points, strict=True):
            product = product * ones_at(length, point)
        return product


def ones_at(length: int, point: Sequence[K]) -> K:
    """sum_(i < length) eq(point, i), in O(log^2 length): each binary part of [0, length) is a subcube."""
    total = ZERO
    for start, log_side in binary_parts(length):
        total = total + index_weight(point[log_side:], start >> log_side)
    return total
