"""The fields of zkds: F = F_p with p = 2^61 - 1, and K = F[i] / (i^2 + 1).

-1 is not a square modulo p, so K is a field, |K| is about 2^122, and its elements of norm 1 form a cyclic group of order
p + 1 = 2^61: power-of-two NTTs live there. `K` is one element, for the protocols' scalars; arrays of elements are uint64
arrays in one of two layouts, converted by `block` and `unblock`:

    pairs    (n, 2)           row j is (real, imaginary)
    blocked  (ceil(n/8), 2, 8)  for each group of eight: eight real parts, then eight imaginary parts; zero-filled

Blocked tables are what the C kernels read; pairs are for small things and for bytes. All entries are canonical, below p.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from operator import index
from typing import Union

import numpy as np

from zkds.native import U64

P = 2**61 - 1
ELEMENT_BYTES = 16  # one element of K on the wire: real and imaginary part, 8 bytes each, little-endian

Scalar = Union["K", int]


class K:
    """An immutable element of K = F_{p^2}. Integers act as elements of F in sums, differences and products."""

    __slots__ = ("im", "re")

    def __init__(self, re: int, im: int = 0) -> None:
        self.re = index(re) % P  # Python integers: those of numpy overflow in products
        self.im = index(im) % P

    def __add__(self, other: Scalar) -> K:
        if isinstance(other, K):
            return _element(self.re + other.re, self.im + other.im)
        return K(self.re + other, self.im) if isinstance(other, int) else NotImplemented

    __radd__ = __add__

    def __neg__(self) -> K:
        return _element(-self.re, -self.im)

    def __sub__(self, other: Scalar) -> K:
        if isinstance(other, K):
            return _element(self.re - other.re, self.im - other.im)
        return K(self.re - other, self.im) if isinstance(other, int) else NotImplemented

    def __rsub__(self, other: int) -> K:
        return K(other - self.re, -self.im)

    def __mul__(self, other: Scalar) -> K:
        if isinstance(other, K):
            a, b, c, d = self.re, self.im, other.re, other.im
            return _element(a * c - b * d, a * d + b * c)
        return K(self.re * other, self.im * other) if isinstance(other, int) else NotImplemented

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> K:
        if exponent < 0:
            return self.inverse() ** -exponent
        result, base = ONE, self
        while exponent:
            if exponent & 1:
                result = result * base
            base = base * base
            exponent >>= 1
        return result

    def conjugate(self) -> K:
        return K(self.re, -self.im)

    def inverse(self) -> K:
        """The multiplicative inverse. Raises ZeroDivisionError for 0."""
        norm = self.re * self.re + self.im * self.im
        if norm % P == 0:
            raise ZeroDivisionError("0 has no inverse in K")
        scale = pow(norm, -1, P)
        return K(self.re * scale, -self.im * scale)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int):
            return self.im == 0 and self.re == other % P
        return isinstance(other, K) and self.re == other.re and self.im == other.im

    def __hash__(self) -> int:
        return self.re

    def __bool__(self) -> bool:
        return bool(self.re or self.im)

    def __repr__(self) -> str:
        return f"K({self.re}, {self.im})"

    def to_bytes(self) -> bytes:
        """16 bytes: real part, imaginary part, little-endian."""
        return self.re.to_bytes(8, "little") + self.im.to_bytes(8, "little")


def _element(re: int, im: int, new: Callable[[type[K]], K] = object.__new__) -> K:
    """K of Python integers: a proof makes some hundred thousand, and half of their time is `K.__init__`."""
    element = new(K)
    element.re, element.im = re % P, im % P
    return element


ZERO = K(0)
ONE = K(1)


@functools.cache
def root_of_unity(log_order: int) -> K:
    """A primitive 2^log_order-th root of unity of norm 1 (0 <= log_order <= 61); the square of the next one.

    The generator is the first of (3 + i), (4 + i), ... whose (p - 1)/2-th power has order 2^62, squared, which makes it
    of norm 1; conjugated if needed so that the primitive fourth root is +i.
    """
    if not 0 <= log_order <= 61:
        raise ValueError(f"root_of_unity: expected 0 <= log_order <= 61, got {log_order}")
    if log_order == 61:
        candidate = 3
        while True:
            root = K(candidate, 1) ** ((P - 1) // 2)  # p^2 - 1 = 2^62 (p - 1)/2
            if root ** (2**61) == K(-1):
                break
            candidate += 1
        root = root * root
        return root if root ** (2**59) == K(0, 1) else root.conjugate()
    return root_of_unity(log_order + 1) ** 2


def block(pairs: U64) -> U64:
    """(n, 2) pairs -> (ceil(n/8), 2, 8) blocked, zero-filled."""
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype != np.uint64:
        raise ValueError(f"block: expected (n, 2) uint64, got {pairs.shape} {pairs.dtype}")
    groups = -(-len(pairs) // 8)
    padded = np.zeros((groups * 8, 2), dtype=np.uint64)
    padded[: len(pairs)] = pairs
    return np.ascontiguousarray(padded.reshape(groups, 8, 2).transpose(0, 2, 1))


def unblock(blocked: U64, count: int | None = None) -> U64:
    """(m, 2, 8) blocked -> (count, 2) pairs; count defaults to 8 m."""
    if blocked.ndim != 3 or blocked.shape[1:] != (2, 8) or blocked.dtype != np.uint64:
        raise ValueError(f"unblock: expected (m, 2, 8) uint64, got {blocked.shape} {blocked.dtype}")
    pairs = np.ascontiguousarray(blocked.transpose(0, 2, 1)).reshape(-1, 2)
    return pairs if count is None else np.ascontiguousarray(pairs[:count])


def to_pairs(elements: Iterable[Scalar]) -> U64:
    """Elements of K (integers count as elements of F) -> (n, 2) pairs."""
    rows = [(e.re, e.im) if isinstance(e, K) else (e % P, 0) for e in elements]
    return np.array(rows, dtype=np.uint64).reshape(len(rows), 2)


def from_pairs(pairs: U64) -> list[K]:
    """(n, 2) pairs -> elements of K."""
    return [K(re, im) for re, im in pairs.tolist()]


def dot(left: Sequence[Scalar], right: Sequence[Scalar]) -> K:
    """sum_j left[j] right[j], for the few scalars of a protocol."""
    total = ZERO
    for a, b in zip(left, right, strict=True):
        total = total + a * b
    return total


def powers(base: K, count: int) -> list[K]:
    """1, base, ..., base^(count - 1)."""
    result = [ONE] * min(count, 1)
    while len(result) < count:
        result.append(result[-1] * base)
    return result
