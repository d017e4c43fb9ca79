"""Limb formats: an integer as the value at X = 2^l of a polynomial with small coefficients.

A value of `width` bits has ceil(width / l) limbs u_0, u_1, ... of l bits, the top one of the bits that are left. A signed value
is offset-binary: value = sum_j u_j 2^(l j) - 2^(width - 1). Its polynomial is

    v(X) = sum_j u_j X^j - 2^(top width - 1) X^(limbs - 1)            (no offset for an unsigned value)

so that v(2^l) = value, and the limbs of a value are unique: every value of the width has one representation and no other
integer has any (protocol.md, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.errors import PlanRejected, ZkdsError
from zkds.integers.intervals import Interval
from zkds.native import U32, columns
from zkds.native.columns import Digits

I64 = NDArray[np.int64]

DIGIT_BITS = 16  # of the base in which identities are written (identity.py)
MAX_LIMB_BITS = 22  # the largest range table
MAX_WIDTH = 60  # a wider value would not be unique modulo p = 2^61 - 1


class WitnessOverflow(ZkdsError, ValueError):
    """An exact result does not fit its declared width. Names the tensor and the position, never a value.

    advice   what to do about it, behind the message
    """

    def __init__(self, name: str, index: tuple[int, ...], width: int, advice: str = "") -> None:
        self.name = name
        self.index = index
        self.width = width
        super().__init__(f"{name}: the value at index {index} does not fit {width} bits{advice}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.index, self.width)


@dataclass(frozen=True)
class LimbFormat:
    """How an integer of `width` bits (signed: offset-binary) is cut into limbs of `limb_bits` bits.

    Raises TypeError and PlanRejected (a ValueError) for parameters that are no format.
    """

    limb_bits: int
    width: int
    signed: bool

    def __post_init__(self) -> None:
        for name, number in (("limb_bits", self.limb_bits), ("width", self.width)):
            if not isinstance(number, int):
                raise TypeError(f"LimbFormat {name}: expected an int, got {type(number).__name__}")
        if not isinstance(self.signed, bool):
            raise TypeError(f"LimbFormat signed: expected a bool, got {type(self.signed).__name__}")
        if not 1 <= self.limb_bits <= MAX_LIMB_BITS:
            raise PlanRejected(f"limb_bits: expected 1 to {MAX_LIMB_BITS}, got {self.limb_bits}")
        if not 1 <= self.width <= MAX_WIDTH:
            raise PlanRejected(f"width: expected 1 to {MAX_WIDTH} bits, got {self.width}")

    @classmethod
    def within(cls, limb_bits: int, width: int, signed: bool) -> LimbFormat:
        """Limbs of up to `limb_bits` bits, 16 or more, where these are fewer than those of 16 bits, else of 16 bits."""
        fewer = -(-width // limb_bits) < -(-width // DIGIT_BITS)
        return cls(limb_bits if fewer else DIGIT_BITS, width, signed)

    @property
    def limbs(self) -> int:
        """The number of limbs."""
        return -(-self.width // self.limb_bits)

    @property
    def top_bits(self) -> int:
        """The width of the top limb, 1 to limb_bits."""
        return self.width - (self.limbs - 1) * self.limb_bits

    @property
    def limb_widths(self) -> tuple[int, ...]:
        """The width of every limb, lowest first; their sum is `width`."""
        return (self.limb_bits,) * (self.limbs - 1) + (self.top_bits,)

    @property
    def digit_factors(self) -> tuple[int, ...]:
        """What every coefficient counts as a digit of base 2^16: limb j of l bits is 2^((l - 16) j) times 2^(16 j)."""
        return tuple(1 << max(0, self.limb_bits - DIGIT_BITS) * j for j in range(self.limbs))

    @property
    def digit_intervals(self) -> tuple[Interval, ...]:
        """The interval of every digit of base 2^16, lowest first."""
        return tuple(map(Interval.times, self.coefficient_intervals, self.digit_factors))

    @property
    def top_offset(self) -> int:
        """What is subtracted from the top limb: 2^(top_bits - 1), or 0 for an unsigned value."""
        return 1 << (self.top_bits - 1) if self.signed else 0

    @property
    def offset(self) -> int:
        """What is subtracted from the limbs' value: 2^(width - 1), or 0 for an unsigned value."""
        return 1 << (self.width - 1) if self.signed else 0

    @property
    def cell_offsets(self) -> tuple[int, ...]:
        """What is subtracted from each cell: nothing, and `top_offset` from the top limb."""
        return (0,) * (self.limbs - 1) + (self.top_offset,)

    @property
    def digits(self) -> Digits:
        """The limbs, as the C core makes them."""
        return Digits(self.limbs, 1 << self.limb_bits, self.offset, 1 << self.width)

    @property
    def interval(self) -> Interval:
        """The values that limbs within their widths can have; every one of them, once."""
        return Interval.signed(self.width) if self.signed else Interval.unsigned(self.width)

    @property
    def coefficient_intervals(self) -> tuple[Interval, ...]:
        """The interval of every coefficient of v(X), lowest first."""
        intervals = [Interval.unsigned(bits) for bits in self.limb_widths]
        intervals[-1] = intervals[-1] - Interval.point(self.top_offset)
        return tuple(intervals)

    def encode(self) -> bytes:
        """Canonical, 3 bytes: limb_bits, width, signed."""
        return bytes((self.limb_bits, self.width, self.signed))

    def split(self, name: str, values: I64) -> list[U32]:
        """The limbs of every value, lowest first: arrays of the shape of `values`.

        Raises TypeError if `values` is not int64, WitnessOverflow (with `name` and the first index) if one does not fit.
        """
        if not isinstance(values, np.ndarray) or values.dtype != np.int64:
            raise TypeError(f"{name}: expected an int64 array, got {getattr(values, 'dtype', type(values).__name__)}")
        limbs = columns.split(values, self.digits)
        if limbs is None:
            self.require(name, values)
        assert limbs is not None
        return limbs

    def require(self, name: str, values: I64) -> None:
        """Raise WitnessOverflow, with `name` and the first index, unless all values fit."""
        low, high = self.interval.low, self.interval.high
        if values.size and not low <= int(values.min()) <= int(values.max()) <= high:
            require_fit(name, (values >= low) & (values <= high), self.width)

    def coefficients(self, limbs: list[U32]) -> list[I64]:
        """The coefficients of v(X) from the limbs: the limbs themselves, the offset subtracted from the top one."""
        return [limb.astype(np.int64) - np.int64(offset) for limb, offset in zip(limbs, self.cell_offsets, strict=True)]


def require_fit(name: str, fits: NDArray[np.bool_], width: int) -> None:
    """Raise WitnessOverflow with the first index, in row-major order, where `fits` is false."""
    if not fits.all():
        index = np.unravel_index(int(np.argmin(fits)), fits.shape)
        raise WitnessOverflow(name, tuple(int(i) for i in index), width)
