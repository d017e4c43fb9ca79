"""Sumcheck: sums of products of multilinear tables over {0, 1}^n, with an optional eq factor (docs/protocol.md, section 5).

The claim is    c = sum_x [eq(z, x)] sum_t coefficient_t prod_(j in factors_t) table_j(x),

t ranging over terms of 1 to 4 factors. In each round one variable is bound to a challenge r, in `binding_order`. The round
polynomial without its eq factor, h, has degree d = the largest number of factors; the prover sends d elements: h(0), then, for
d >= 2, the coefficient of X^d, h(2), ..., h(d - 1). h(1) follows from the claim:

    without eq    c = h(0) + h(1)                        h(1) = c - h(0)
    with eq       c = (1 - z_b) h(0) + z_b h(1)          h(1) = (c - (1 - z_b) h(0)) / z_b

and the next claim is h(r): it never contains the eq factors of bound variables. After all rounds it must equal
sum_t coefficient_t prod_j table_j(r), which the caller checks. Source: Lund, Fortnow, Karloff, Nisan 1992; the eq factor
is split off as in Gruen 2024 (eprint 2024/108).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from operator import mul
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zkds.channel import ProverChannel, VerifierEnd
from zkds.errors import ConstraintRejected
from zkds.field import ONE, ZERO, K, from_pairs, to_pairs
from zkds.hidden import Hidden, combine
from zkds.multilinear import LANE_VARIABLES, LANES, binding_order
from zkds.native import U64
from zkds.native.field import table_kind
from zkds.native.sumcheck import MAX_DEGREE, LaneRounds, NativeTerm, VectorRounds
from zkds.soundness import ErrorTerm, algebraic

Term: TypeAlias = tuple[K, tuple[int, ...]]  # coefficient, indices of the tables that are multiplied
Table: TypeAlias = NDArray[Any]  # K blocked (m, 2, 8) uint64, F (n,) uint64, or small integers (n,) uint32


def round_term(name: str, degree: int) -> ErrorTerm:
    """The budget term of one round: two polynomials of degree d agree at no more than d points of K."""
    return algebraic(f"{name}: sumcheck round", degree, "d/|K|", "sumcheck; Lund, Fortnow, Karloff, Nisan 1992")


def _check_eq_point(eq_point: Sequence[K] | None, variables: int) -> None:
    if eq_point is None:
        return
    if len(eq_point) != variables:
        raise ValueError(f"eq_point: expected {variables} coordinates, got {len(eq_point)}")


def _zero_coordinate(eq_point: Sequence[K] | None) -> int | None:
    """The first index bit at which the eq point is zero, where h(1) does not follow from the claim; a chance of 1/|K| each."""
    return next((bit for bit, coordinate in enumerate(eq_point or ()) if not coordinate), None)


# ---- verifier -----------------------------------------------------------------------------------------------------------


def verify(
    channel: VerifierEnd,
    claim: Hidden,
    variables: int,
    degree: int,
    eq_point: Sequence[K] | None = None,
    *,
    name: str,
) -> tuple[tuple[K, ...], Hidden]:
    """Reduce `claim`, a sum over {0, 1}^variables, to a claim about the tables at one point.

    Returns (point, final claim): the caller must assert that the final claim equals sum_t coefficient_t prod_j of the tables'
    values at `point` (point[b] for index bit b), without eq factor. Raises ValueError for bad parameters, ConstraintRejected
    for an eq_point (challenges, as a rule) that has a zero coordinate; never because of what it receives.
    """
    if not 1 <= degree <= MAX_DEGREE:
        raise ValueError(f"degree: expected 1 to {MAX_DEGREE}, got {degree}")
    _check_eq_point(eq_point, variables)
    if (zero := _zero_coordinate(eq_point)) is not None:
        raise ConstraintRejected(f"{name}: eq point has a zero coordinate", "none", f"bit {zero}")
    term = round_term(name, degree)
    point = [ZERO] * variables
    rounds = []
    for bit in binding_order(variables):
        message = channel.receive(f"{name}: round polynomial", degree)
        point[bit] = r = channel.challenge(term)
        if eq_point is None:
            rounds.append(RoundValue.of(message, r, ONE, ONE))
        else:
            z = eq_point[bit]
            rounds.append(RoundValue.of(message, r, ONE - z, z))
    return tuple(point), final_claim(claim, rounds)


@dataclass(frozen=True)
class RoundValue:
    """What a round makes of the claim c before it: h(r) = scale * c + sum_i weights[i] message[i]."""

    scale: K
    message: Sequence[Hidden]
    weights: Sequence[K]

    @classmethod
    def of(cls, message: Sequence[Hidden], r: K, low: K, high: K) -> RoundValue:
        """From h(0), the coefficient of X^d (if d >= 2), h(2), ..., h(d - 1) of a polynomial h with low h(0) + high h(1) = c.

        With d = len(message), h - leading X (X - 1) ... (X - d + 1) has the same values at 0, ..., d - 1 and a degree below d.
        """
        degree = len(message)
        (at_zero, at_one, *others), vanishing = _lagrange_weights(r, max(degree, 2))
        scale = at_one if high == ONE else at_one * high.inverse()  # h(1) = (c - low h(0)) / high
        weights = [at_zero - scale * low]
        if degree >= 2:
            weights.append(vanishing)
        return cls(scale, message, [*weights, *others])


def final_claim(claim: Hidden, rounds: Sequence[RoundValue]) -> Hidden:
    """The claim after all rounds. Later rounds scale what earlier ones made, so the sum is formed from the end: linear time."""
    values: list[Hidden] = []
    coefficients: list[K] = []
    scale = ONE
    for value in reversed(rounds):
        values += value.message
        coefficients += [scale * weight for weight in value.weights]
        scale = scale * value.scale
    return combine([claim, *values], [scale, *coefficients])


def _lagrange_weights(r: K, count: int) -> tuple[list[K], K]:
    """At r: the Lagrange basis on the nodes 0, ..., count - 1, and the product of r - node over all of them."""
    distances = [r - node for node in range(count)]
    below = list(accumulate(distances, mul, initial=ONE))  # below[j] = product of the distances of the nodes before j
    above = list(accumulate(reversed(distances), mul, initial=ONE))  # above[i] = product of the last i
    factors = _inverse_denominators(count)
    weights = [low * high * factor for low, high, factor in zip(below[:-1], above[-2::-1], factors, strict=True)]
    return weights, below[count]


@lru_cache(maxsize=MAX_DEGREE)
def _inverse_denominators(count: int) -> tuple[K, ...]:
    """1 / prod_(k != j) (j - k) for every node j."""
    return tuple(K(math.prod(j - k for k in range(count) if k != j)).inverse() for j in range(count))


# ---- prover -------------------------------------------------------------------------------------------------------------


def prove(
    channel: ProverChannel,
    tables: Sequence[Table],
    terms: Sequence[Term],
    eq_point: Sequence[K] | None = None,
    *,
    name: str,
    variables: int | None = None,
    first: Sequence[K] | None = None,
) -> tuple[tuple[K, ...], list[K]]:
    """The prover's side: returns (point, the values of all tables at the point); sends no value of a table.

    tables     K blocked (m, 2, 8) uint64, F (n,) uint64 or small integers (n,) uint32; zero beyond their end. K TABLES ARE
               OVERWRITTEN.
    terms      (coefficient, indices of 1 to 4 tables); the largest number of indices is the verifier's `degree`
    eq_point   the point of the eq factor, without zero coordinates (ValueError)
    variables  default: the length of eq_point, or what the longest table needs
    first      the first round's message, where the sum's `Total` has it
    """
    variables = _variables(tables, eq_point, variables)
    _check_terms(terms, len(tables))
    _check_eq_point(eq_point, variables)
    if (zero := _zero_coordinate(eq_point)) is not None:
        raise ValueError(f"eq_point: eq point has a zero coordinate (bit {zero}); draw it again")
    degree = max(len(factors) for _, factors in terms)
    by_coefficient = sorted(terms, key=lambda term: (term[0].re, term[0].im))  # neighbours share a multiplication
    native_terms = [((coefficient.re, coefficient.im), factors) for coefficient, factors in by_coefficient]
    eq_pairs = None if eq_point is None else to_pairs(eq_point)
    high: list[K] = []
    if variables > LANE_VARIABLES:
        rounds = VectorRounds(tables, native_terms, variables, eq_pairs)
        high = _run(channel, rounds, variables - LANE_VARIABLES, degree, name, first)
        tables = rounds.finish((high[-1].re, high[-1].im))
    lanes = min(variables, LANE_VARIABLES)
    low, finals = _prove_lanes(
        channel, tables, native_terms, lanes, None if eq_pairs is None else eq_pairs[:lanes], degree, name
    )
    return (*low, *high), finals


@dataclass(frozen=True)
class Total:
    """A sum that a prover has still to find out: its value, and the first message of its proof, [h(0)] or [h(0), h(infinity)];
    None over fewer than four variables."""

    value: K
    first: tuple[K, ...] | None


def total(tables: Sequence[Table], terms: Sequence[Term], eq_point: Sequence[K] | None = None, *, variables: int) -> Total:
    """The sum that `prove` proves, of terms of 1 or 2 factors. Tables as there; none is overwritten.

    Over fewer than four variables it is h(0) for a fourth one, at which all tables end; else h(1), in (1 - z) h(0) + z h(1) or
    h(0) + h(1), follows from three nodes of the first round, and so does the coefficient of X^2: for a degree of at most 2

        3 h(1) = h(0) + 3 h(2) - h(3)        6 h(infinity) = h(0) - 3 h(2) + 2 h(3)
    """
    _variables(tables, eq_point, variables)
    _check_terms(terms, len(tables))
    _check_eq_point(eq_point, variables)
    degree = max(len(factors) for _, factors in terms)
    if degree > 2:
        raise ValueError("terms: expected at most 2 factors")
    native_terms = [((coefficient.re, coefficient.im), factors) for coefficient, factors in terms]
    missing = [ZERO] * max(0, LANE_VARIABLES + 1 - variables)
    point = None if eq_point is None else [*eq_point, *missing]
    rounds = VectorRounds(tables, native_terms, variables + len(missing), None if point is None else to_pairs(point))
    at_zero, _, at_two, at_three = from_pairs(rounds.at_nodes(4))
    if missing:
        return Total(at_zero, None)
    at_one = at_two + (at_zero - at_three) * K(3).inverse()
    at_infinity = (at_zero - at_two * 3 + at_three * 2) * K(6).inverse()
    z = None if eq_point is None else eq_point[LANE_VARIABLES]
    value = at_zero + at_one if z is None else at_zero * (1 - z) + at_one * z
    return Total(value, (at_zero, at_infinity)[:degree])


def _variables(tables: Sequence[Table], eq_point: Sequence[K] | None, variables: int | None) -> int:
    """The number of variables, and a check that every table fits."""
    lengths = [table_kind(f"tables[{j}]", table)[1] for j, table in enumerate(tables)]
    if not lengths:
        raise ValueError("tables: expected at least one table")
    if variables is None:
        variables = (max(*lengths, 1) - 1).bit_length() if eq_point is None else len(eq_point)
    for j, length in enumerate(lengths):
        if length > max(1 << variables, LANES if tables[j].ndim == 3 else 1):
            raise ValueError(f"tables[{j}]: expected at most 2^{variables} entries, got {length}")
    return variables


def _check_terms(terms: Sequence[Term], tables: int) -> None:
    if not terms:
        raise ValueError("terms: expected at least one term")
    for t, (coefficient, factors) in enumerate(terms):
        if not isinstance(coefficient, K):
            raise TypeError(f"terms[{t}]: expected a coefficient in K, got {type(coefficient).__name__}")
        if not 1 <= len(factors) <= MAX_DEGREE:
            raise ValueError(f"terms[{t}]: expected 1 to {MAX_DEGREE} factors, got {len(factors)}")
        for j in factors:
            if not 0 <= j < tables:
                raise ValueError(f"terms[{t}]: expected table indices from 0 to {tables - 1}, got {j}")


def _run(
    channel: ProverChannel,
    rounds: VectorRounds | LaneRounds,
    count: int,
    degree: int,
    name: str,
    first: Sequence[K] | None = None,
) -> list[K]:
    """`count` rounds, at least one. Returns the challenges; the tables are not yet bound to the last one."""
    term = round_term(name, degree)
    message = from_pairs(rounds.first()) if first is None else first
    challenges: list[K] = []
    while True:
        channel.send(f"{name}: round polynomial", message)
        challenges.append(channel.challenge(term))
        if len(challenges) == count:
            return challenges
        message = from_pairs(rounds.next((challenges[-1].re, challenges[-1].im)))


def _prove_lanes(
    channel: ProverChannel,
    tables: Sequence[Table],
    terms: Sequence[NativeTerm],
    lanes: int,
    eq_point: U64 | None,
    degree: int,
    name: str,
) -> tuple[list[K], list[K]]:
    """The rounds of the variables inside a vector. Returns (challenges, values of the tables)."""
    vectors = np.zeros((len(tables), 2, LANES), dtype=np.uint64)
    for vector, table in zip(vectors, tables, strict=True):
        if table.ndim == 1:
            vector[0, : len(table)] = table
        elif len(table):
            vector[...] = table[0]
    if lanes == 0:
        return [], from_pairs(vectors[:, :, 0])
    rounds = LaneRounds(vectors, terms, lanes, eq_point)
    challenges = _run(channel, rounds, lanes, degree, name)
    return challenges, from_pairs(rounds.finish((challenges[-1].re, challenges[-1].im)))
