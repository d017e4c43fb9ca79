"""Claims about the committed vector: what every protocol ends in, and what the opening begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zkds.field import K, from_pairs, to_pairs
from zkds.hidden import Hidden
from zkds.native import U64

Value = TypeVar("Value", K, Hidden)


@dataclass(frozen=True)
class Piece:
    """The weights scale * eq(point, x) on the cells offset + x, 0 <= x < 2^len(point). point[b] goes with bit b of x.

    offset is a multiple of 2^len(point): a piece covers an aligned subcube of the committed vector.
    """

    offset: int
    point: tuple[K, ...]
    scale: K


@dataclass(frozen=True, eq=False, repr=False)
class Pieces:
    """Any number of pieces side by side; a proof has some ten thousand.

    offsets (n,) int64; log_sizes (n,) int64, the lengths of their points; coordinates (sum of log_sizes, 2) uint64, the points
    one after the other; scales (n, 2) uint64. Elements of K as pairs.
    """

    offsets: NDArray[np.int64]
    log_sizes: NDArray[np.int64]
    coordinates: U64
    scales: U64

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Pieces:
        return cls(
            np.array([piece.offset for piece in pieces], dtype=np.int64),
            np.array([len(piece.point) for piece in pieces], dtype=np.int64),
            to_pairs([coordinate for piece in pieces for coordinate in piece.point]),
            to_pairs([piece.scale for piece in pieces]),
        )

    @classmethod
    def joined(cls, parts: Sequence[Pieces]) -> Pieces:
        """All of them, in order; at least one part."""
        return cls(
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([part.log_sizes for part in parts]),
            np.concatenate([part.coordinates for part in parts]),
            np.concatenate([part.scales for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Piece]:
        coordinates, scales = iter(from_pairs(self.coordinates)), from_pairs(self.scales)
        for offset, log_size, scale in zip(self.offsets.tolist(), self.log_sizes.tolist(), scales, strict=True):
            yield Piece(offset, tuple(next(coordinates) for _ in range(log_size)), scale)


@dataclass(frozen=True)
class Claim(Generic[Value]):
    """sum over pieces and x of weight(x) * V[offset + x] = value.

    The prover's value is an element of K, the verifier's a hidden value; the pieces are public and equal for both. They are
    made when they are asked for, which a dry run never does.
    """

    make_pieces: Callable[[], Pieces] = field(repr=False)
    value: Value = field(repr=False)

    @property
    def pieces(self) -> Pieces:
        return self.make_pieces()
