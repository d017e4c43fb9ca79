"""The recursive opening: linear claims on a committed row, in the clear (Ligerito, eprint 2025/1187; WHIR, eprint 2024/1586).

The masked row y is uniform whatever the vector is, so nothing here is masked, salted or encrypted. Level by level, a row of
2^m elements is committed as a matrix of 2^b rows of polynomials of degree below k = 2^(m-b): row i is the elements from i k on.

    batch    all claims sum_x W_j(x) y(x) = value_j become one, by powers of a challenge
    bind     b rounds of sumcheck over the highest index bits, which also fold the matrix to one row y'
    commit   y' is committed for the next level, or sent if it is the last
    query    columns of this level's matrix are opened; folded with the same challenges they are values of y', new claims

Weights are eq at a point and powers p^x of the queried points. Both are products over the index bits, so the verifier binds
them bit by bit and evaluates them at all indices only for the last row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkds import multilinear
from zkds.channel import ProverChannel, VerifierChannel
from zkds.commit.commitment import ROOT_BYTES, CommittedMatrix, receive_columns
from zkds.commit.parameters import Code
from zkds.commit.reed_solomon import point_index, points
from zkds.errors import CommitmentRejected
from zkds.field import ONE, ZERO, K, P, block, from_pairs, powers, to_pairs, unblock
from zkds.native import U64, field
from zkds.native.codeword import Matrix, bind_half, combine_columns, evaluate_powers, half_round, power_weights
from zkds.native.ntt import ntt
from zkds.soundness import ErrorTerm, algebraic


@dataclass
class Claims:
    """Claims on a row of 2^m elements: <eq(point), row> = value, and row(points[j]) = values[j] as a polynomial.

    points are the two points w, 1/w of each of the columns `positions` of a code with 2^log_size points.
    """

    point: tuple[K, ...]
    value: K
    positions: tuple[int, ...]
    log_size: int
    points: list[K]
    values: list[K]


def commit(row: U64, code: Code) -> CommittedMatrix:
    """Commit to a blocked row as a matrix of code.rows rows, without salts."""
    tails = np.zeros((code.rows, 0, 2), dtype=np.uint64)
    return CommittedMatrix(Matrix(np.zeros(0, np.uint32), 0, row, tails, code.log_data, code.log_size), None)


def prove(channel: ProverChannel, codes: Sequence[Code], committed: CommittedMatrix, row: U64, claims: Claims) -> None:
    """Prove the claims on the committed row (blocked)."""
    weights = multilinear.eq_table(claims.point)
    for level, code in enumerate(codes):
        scale = channel.challenge(batch_term(len(claims.points)))
        weights = _add(weights, _power_table(claims, scale, len(weights)))
        row, challenges = row.copy(), []
        for _ in range(code.rows.bit_length() - 1):
            channel.send_elements("recursion: round", from_pairs(half_round(weights, row)))
            challenges.append(channel.challenge(round_term(code)))
            r = to_pairs([challenges[-1]])[0]
            weights, row = bind_half(weights, r), bind_half(row, r)
        row, last = np.ascontiguousarray(row), level + 1 == len(codes)
        if last:
            channel.send_elements("recursion: last row", from_pairs(unblock(row)))
        else:
            below = commit(row, codes[level + 1])
            channel.send_bytes("recursion: root", below.root)
        positions = channel.positions(code.query_term("recursion: query positions"), code.queries, code.columns)
        columns = committed.send_columns(channel, "recursion", positions, salted=False)
        if not last:
            claims, committed = _folded_claims(code, positions, columns, challenges), below


def verify(channel: VerifierChannel, codes: Sequence[Code], root: bytes, claims: Claims) -> None:
    """Check the claims on the row committed by `root`. Raises MalformedProof or CommitmentRejected."""
    weights, running, variables = _Weights(claims.point), claims.value, len(claims.point)
    row: list[K] = []
    for level, code in enumerate(codes):
        scale = channel.challenge(batch_term(len(claims.points)))
        coefficients = [c * scale for c in powers(scale, len(claims.points))]
        weights.add(claims.points, coefficients)
        running = running + sum((c * v for c, v in zip(coefficients, claims.values, strict=True)), ZERO)
        challenges = []
        for _ in range(code.rows.bit_length() - 1):
            at_zero, leading = channel.receive_elements("recursion: round", 2)
            r = channel.challenge(round_term(code))
            slope = running - at_zero * 2 - leading  # h(0) + h(1) = running
            running = at_zero + slope * r + leading * (r * r)
            variables -= 1
            weights.bind(variables, r)
            challenges.append(r)
        last = level + 1 == len(codes)
        if last:
            row = channel.receive_elements("recursion: last row", 1 << variables)
        else:
            below = channel.receive_bytes("recursion: root", ROOT_BYTES)
        positions = channel.positions(code.query_term("recursion: query positions"), code.queries, code.columns)
        columns = receive_columns(channel, "recursion", root, code, positions, salted=False)
        claims = _folded_claims(code, positions, columns, challenges)
        if not last:
            root = below
    check_points("proximity: last row", row, claims)
    total = sum((a * b for a, b in zip(weights.table(1 << variables), row, strict=True)), ZERO)
    if total != running:
        raise CommitmentRejected("recursion: linear claim on the last row", running, total)


def check_points(reason: str, row: Sequence[K], claims: Claims) -> None:
    """The values of a row, as a polynomial, at the points of the claims.

    Raises CommitmentRejected("<reason> at w") or ("<reason> at 1/w").
    """
    values = from_pairs(evaluate_powers(to_pairs(row), to_pairs(claims.points)))
    for j, (expected, actual) in enumerate(zip(claims.values, values, strict=True)):
        if expected != actual:
            where = f"column {claims.positions[j // 2]}"
            raise CommitmentRejected(f"{reason} at {'1/w' if j % 2 else 'w'}", f"{expected} in {where}", actual)


# ---- what both sides share -------------------------------------------------------------------------------------------


def batch_term(count: int) -> ErrorTerm:
    return algebraic("recursion: batching", count, "points/|K|", "random linear combination by powers; Schwartz-Zippel lemma")


def round_term(code: Code) -> ErrorTerm:
    return code.combination_term("recursion: sumcheck round", degree=2)


def _folded_claims(code: Code, positions: Sequence[int], columns: U64, challenges: Sequence[K]) -> Claims:
    """Columns folded with the challenges (highest bit first) are values of the folded row."""
    fold = multilinear.eq_table(list(reversed(challenges)))
    zero = np.zeros((code.rows, 2), dtype=np.uint64)
    values = from_pairs(combine_columns(columns, unblock(fold, code.rows), zero).reshape(-1, 2))
    both = [point for w in points(positions, code.log_size) for point in (w, w.conjugate())]
    return Claims((), ZERO, tuple(positions), code.log_size, both, values)


# ---- the prover's table of weights -----------------------------------------------------------------------------------


def _power_table(claims: Claims, scale: K, vectors: int) -> U64:
    """sum_j scale^(j+1) points[j]^x, blocked. The points are the code's, so this is a transform: the inverse transform of
    values c_j at the points is x -> sum_j c_j points[j]^-x / n, and the inverse of point j is point n - 1 - j."""
    size = 1 << claims.log_size
    values = np.zeros((1, size, 2), dtype=np.uint64)
    coefficients = to_pairs([c * scale * size for c in powers(scale, len(claims.points))])
    indices = np.array([point_index(position, claims.log_size) for position in claims.positions])
    values[0, size - 1 - indices] = coefficients[0::2]
    values[0, indices] = coefficients[1::2]
    return block(ntt(values, inverse=True, coset=True)[0, : 8 * vectors])


def _add(x: U64, y: U64) -> U64:
    total = x + y
    return np.where(total >= P, total - np.uint64(P), total)


# ---- the verifier's weights ------------------------------------------------------------------------------------------


class _Weights:
    """scale * eq(point, x) + sum_j coefficients[j] points[j]^x, with the highest index bits bound.

    Blocked tables: the coefficients, and the points' powers 2^b for every index bit b that was there when a point was added.
    Where blocks are filled up both are zero.
    """

    def __init__(self, point: Sequence[K]) -> None:
        self._scale = ONE
        self._point = list(point)
        none = block(np.zeros((0, 2), dtype=np.uint64))
        self._coefficients, self._powers = none, [none] * len(point)

    def add(self, points: Sequence[K], coefficients: Sequence[K]) -> None:
        self._coefficients = np.concatenate([self._coefficients, block(to_pairs(coefficients))])
        power = block(to_pairs(points))
        for bit in range(len(self._point)):
            self._powers[bit] = np.concatenate([self._powers[bit], power])
            power = field.k_mul(power, power)

    def bind(self, bit: int, r: K) -> None:
        z = self._point.pop()
        self._scale = self._scale * ((ONE - z) * (ONE - r) + z * r)
        one = np.zeros_like(self._powers[bit])
        one[:, 0] = 1
        above = field.sub(self._powers[bit], one)
        factors = field.add(one, field.k_scale(above, to_pairs([r])[0]))  # 1 + r (p^(2^bit) - 1)
        self._coefficients = field.k_mul(self._coefficients, factors)

    def table(self, size: int) -> list[K]:
        sums = from_pairs(power_weights(unblock(self._powers[0]), unblock(self._coefficients), size))
        eq = from_pairs(unblock(multilinear.eq_table(self._point, self._scale), size))
        return [a + b for a, b in zip(eq, sums, strict=True)]
