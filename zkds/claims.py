"""Claims about the committed vector: what every protocol ends in, and what the opening begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from zkds.field import K
from zkds.hidden import Hidden

Value = TypeVar("Value", K, Hidden)


@dataclass(frozen=True)
class Piece:
    """The weights scale * eq(point, x) on the cells offset + x, 0 <= x < 2^len(point). point[b] goes with bit b of x.

    offset is a multiple of 2^len(point): a piece covers an aligned subcube of the committed vector.
    """

    offset: int
    point: tuple[K, ...]
    scale: K


@dataclass(frozen=True)
class Claim(Generic[Value]):
    """sum over pieces and x of weight(x) * V[offset + x] = value.

    The prover's value is an element of K, the verifier's a hidden value; the pieces are public and equal for both.
    """

    pieces: Sequence[Piece]
    value: Value = field(repr=False)
