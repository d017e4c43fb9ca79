"""Exact integer intervals, on Python integers: nothing here rounds or overflows.

The bounds are attained when the operands of an expression vary independently of each other, which is what a cheating prover may
let them do: `IdentityPlan.check` can therefore use them as exact maxima.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """The integers low, low + 1, ..., high. Raises ValueError if there are none."""

    low: int
    high: int

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if not isinstance(bound, int):
                raise TypeError(f"Interval {name}: expected an int, got {type(bound).__name__}")
        if self.low > self.high:
            raise ValueError(f"Interval: expected low <= high, got {self.low} > {self.high}")

    @classmethod
    def point(cls, value: int) -> Interval:
        """The one integer `value`."""
        return cls(value, value)

    @classmethod
    def unsigned(cls, bits: int) -> Interval:
        """[0, 2^bits)."""
        return cls(0, (1 << bits) - 1)

    @classmethod
    def signed(cls, bits: int) -> Interval:
        """[-2^(bits - 1), 2^(bits - 1))."""
        return cls(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Interval) -> Interval:
        return self + (-other)

    def __mul__(self, other: Interval) -> Interval:
        """All products of two independent factors lie in here, and the bounds are attained."""
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(corners), max(corners))

    def times(self, factor: int) -> Interval:
        """The hull of factor * x. For factor >= 0 also the sum of `factor` independent values."""
        ends = self.low * factor, self.high * factor
        return Interval(min(ends), max(ends))

    def with_zero(self) -> Interval:
        """The hull of this interval and 0."""
        return Interval(min(self.low, 0), max(self.high, 0))

    def magnitude(self) -> int:
        """The largest absolute value."""
        return max(-self.low, self.high, 0)
