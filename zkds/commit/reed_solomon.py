"""The points of the code and what a pair of values says about two real rows (protocol.md, section 8).

The code's points are r^(2 j + 1), j < n, with r of order 2n and norm 1: closed under inversion, which is conjugation. For
a row u + i v of two polynomials with coefficients in F, c(w) = u(w) + i v(w) and conj(c(1/w)) = u(w) - i v(w), so that

    u(w) = (c(w) + conj(c(1/w))) / 2        v(w) = (c(w) - conj(c(1/w))) / (2 i)        u(1/w) = conj(u(w)).
"""

from __future__ import annotations

from collections.abc import Sequence

from zkds.field import ONE, K, P, root_of_unity

HALF = K((P + 1) // 2)


def point_index(storage: int, log_size: int) -> int:
    """j for the point stored at `storage`: its log_size bits mirrored."""
    mirrored = 0
    for _ in range(log_size):
        mirrored = mirrored << 1 | storage & 1
        storage >>= 1
    return mirrored


def points(positions: Sequence[int], log_size: int) -> list[K]:
    """The point w of each column; the column's other point is its conjugate."""
    root = root_of_unity(log_size + 1)
    squarings = [root]  # root^(2^b)
    while len(squarings) <= log_size:
        squarings.append(squarings[-1] * squarings[-1])
    result = []
    for position in positions:
        point, exponent = ONE, 2 * point_index(position, log_size) + 1
        for power in squarings:
            if exponent & 1:
                point = point * power
            exponent >>= 1
        result.append(point)
    return result


def pair_weights(real: Sequence[K], imaginary: Sequence[K]) -> tuple[list[K], list[K]]:
    """(a, b) with sum_r real_r u_r(w) + imaginary_r v_r(w) = sum_r a_r c_r(w) + b_r conj(c_r(1/w)); likewise with w and 1/w
    exchanged."""
    half_over_i = K(0, -HALF.re)  # 1 / (2 i)
    direct = [e * HALF + f * half_over_i for e, f in zip(real, imaginary, strict=True)]
    conjugate = [e * HALF - f * half_over_i for e, f in zip(real, imaginary, strict=True)]
    return direct, conjugate
