"""The lookup argument: every cell of the checked part, with its secondary columns, is a row of its table.

With fingerprints f(row) = v0 + beta tag + beta^2 v1 + beta^3 v2 and the multiplicities m committed in V, the identity

    sum over lookups 1 / (alpha - f(lookup))  =  sum over rows of tables m(row) / (alpha - f(row))

between rational functions in alpha and beta holds only if every row that is looked up is in a table, as long as there are
fewer than p lookups. (LogUp: Habock 2022, eprint 2022/1530.) Both sums are trees of fractions (tree.py). Messages:

    beta, alpha
    for each chunk    P, Q, 1/Q; then the layers of its tree; ends in a claim on V
    for the table     P, Q, 1/Q; then the layers of its tree; ends in a claim on the multiplicities in V
    total             for the second chunk and every later one: numerator and denominator of the sum so far

`u` unused leaves of the chunks each add the public fraction 1 / alpha. With (P, Q) the sum over the chunks and (P_T, Q_T)
the table's, the last check is alpha (P Q_T - P_T Q) = u Q Q_T. All denominators of a tree are non-zero because their
product Q has an inverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim
from zkds.commit.layout import Layout
from zkds.errors import ZkdsError
from zkds.field import K
from zkds.hidden import Hidden
from zkds.lookup.plan import MAX_LOG_CHUNK, MULTIPLICITIES, Chunk, Lookup, LookupPlan
from zkds.lookup.tree import NAME, FractionTree, LeafTree, Tree, TreeMemory, fraction_table, prove_tree, verify_tree
from zkds.multilinear import LANE_VARIABLES, LANES
from zkds.native import U32, array
from zkds.native.fraction import leaf_values
from zkds.soundness import ErrorTerm, algebraic

SOURCE = "LogUp; Habock 2022, eprint 2022/1530"

Value = TypeVar("Value", K, Hidden)


class ZeroDenominator(ZkdsError):
    """A denominator is zero: happens by chance for one challenge in 2^90 or so. A new proof draws new ones."""


def challenge_terms(plan: LookupPlan) -> tuple[ErrorTerm, ErrorTerm]:
    """The terms of beta and alpha.

    Let D <= N + R be the number of distinct rows, looked up or in a table, and c_w what a row counts: lookups minus
    multiplicity. A false statement has a c_w != 0, so the numerator sum_w c_w prod_(v != w) (alpha - f_v(beta)) is a non-zero
    polynomial, of degree below D in alpha, with coefficients of degree below d D in beta, d the degree of a fingerprint. Beta
    makes all coefficients vanish with probability below d D / |K|; otherwise alpha is a zero with probability below D / |K|.
    One more value of alpha, 0, is lost because the last check is multiplied by it.
    """
    rows = plan.leaves + plan.table_side.rows
    return (
        algebraic(f"{NAME}: beta", plan.degree * rows, "d (N + R)/|K|", SOURCE),
        algebraic(f"{NAME}: alpha", rows + 1, "(N + R + 1)/|K|", SOURCE),
    )


def _chunk_claim(
    plan: LookupPlan, chunk: Chunk, alpha: K, beta: K, point: Sequence[K], denominator: Value, tag: K
) -> Claim[Value]:
    """From q~(point) = alpha - beta tag~(point) - (v0 + beta^2 v1 + beta^3 v2)~(point)."""
    return Claim(lambda: plan.value_pieces(chunk, beta, point), -denominator + (alpha - beta * tag))


# ---- verifier -----------------------------------------------------------------------------------------------------------


def verify(
    channel: VerifierEnd, lookups: Sequence[Lookup], layout: Layout, *, max_log_chunk: int = MAX_LOG_CHUNK
) -> list[Claim[Hidden]]:
    """Check the lookups up to claims on V: one for each chunk, and one on the multiplicities.

    Raises ValueError if lookups and layout do not fit; never because of what it receives.
    """
    plan = LookupPlan(lookups, layout, max_log_chunk)
    beta, alpha = (channel.challenge(term) for term in challenge_terms(plan))
    claims, roots = [], []
    for chunk in plan.chunks:
        roots.append(_receive_root(channel))
        point, _, denominator = verify_tree(channel, roots[-1], chunk.log_size, unit_numerators=True)
        tag = channel.public(partial(plan.tag_value, chunk, point))
        claims.append(_chunk_claim(plan, chunk, alpha, beta, point, denominator, tag))
    table_root = _receive_root(channel)
    point, numerator, denominator = verify_tree(channel, table_root, plan.table_side.variables, unit_numerators=False)
    expected = channel.public(lambda: plan.table_side.denominator(alpha, beta, point))
    channel.assert_zero(denominator - expected, f"{NAME}: denominators of the tables")
    claims.append(Claim(lambda: plan.multiplicity_pieces(point), numerator))
    _verify_total(channel, roots, table_root, alpha, plan.unused)
    return claims


def _receive_root(channel: VerifierEnd) -> tuple[Hidden, Hidden]:
    numerator, denominator, inverse = channel.receive(f"{NAME}: root", 3)
    channel.assert_zero(channel.product(denominator, inverse) - 1, f"{NAME}: a denominator is zero")
    return numerator, denominator


def _verify_total(
    channel: VerifierEnd, roots: Sequence[tuple[Hidden, Hidden]], table_root: tuple[Hidden, Hidden], alpha: K, unused: int
) -> None:
    p, q = roots[0]
    for next_p, next_q in roots[1:]:
        p_sum, q_sum = channel.receive(f"{NAME}: sum", 2)
        numerator = channel.product(p, next_q) + channel.product(next_p, q)
        channel.assert_zero(numerator - p_sum, f"{NAME}: numerator of the sum of the chunks")
        channel.assert_zero(channel.product(q, next_q) - q_sum, f"{NAME}: denominator of the sum of the chunks")
        p, q = p_sum, q_sum
    table_p, table_q = table_root
    difference = channel.product(p, table_q) - channel.product(table_p, q)
    channel.assert_zero(
        difference * alpha - channel.product(q, table_q) * unused, f"{NAME}: what is looked up is not what the tables hold"
    )


# ---- prover -------------------------------------------------------------------------------------------------------------


def prove(
    channel: ProverChannel, lookups: Sequence[Lookup], layout: Layout, vector: U32, *, max_log_chunk: int = MAX_LOG_CHUNK
) -> list[Claim[K]]:
    """The prover's side. vector: (cells,) uint32, with its multiplicities (see `multiplicities`).

    False lookups lead to a proof that is rejected. Raises ZeroDenominator with negligible probability.
    """
    plan = LookupPlan(lookups, layout, max_log_chunk)
    array("vector", vector, np.uint32, (layout.cells,))
    beta, alpha = (channel.challenge(term) for term in challenge_terms(plan))
    memory = TreeMemory(max(plan.table_side.variables - 1, *(chunk.log_size - 2 for chunk in plan.chunks)))
    leaves = plan.lookup_leaves(alpha, beta, vector)
    claims, roots = [], []
    for chunk in plan.chunks:
        tree = LeafTree(leaves, chunk.start, chunk.log_size, memory)
        roots.append(_send_root(channel, tree))
        point, _, denominator = prove_tree(channel, tree)
        tag = channel.public(partial(plan.tag_value, chunk, point))
        claims.append(_chunk_claim(plan, chunk, alpha, beta, point, denominator, tag))
    table_tree = _table_tree(plan, alpha, beta, vector, memory)
    _send_root(channel, table_tree)
    point, numerator, _ = prove_tree(channel, table_tree)
    channel.public(lambda: plan.table_side.denominator(alpha, beta, point))
    claims.append(Claim(lambda: plan.multiplicity_pieces(point), numerator))
    p, q = roots[0]
    for next_p, next_q in roots[1:]:
        p, q = p * next_q + next_p * q, q * next_q
        channel.send(f"{NAME}: sum", [p, q])
    return claims


def _send_root(channel: ProverChannel, tree: Tree) -> tuple[K, K]:
    p, q = tree.root()
    if not q:
        raise ZeroDenominator(f"{NAME}: a denominator is zero; prove again")
    channel.send(f"{NAME}: root", [p, q, q.inverse()])
    return p, q


def _table_tree(plan: LookupPlan, alpha: K, beta: K, vector: U32, memory: TreeMemory) -> FractionTree:
    vectors = 1 << (plan.table_side.variables - LANE_VARIABLES)
    numerators = np.zeros(LANES * vectors, dtype=np.uint64)
    numerators[: plan.table_side.rows] = plan.layout.read(vector, MULTIPLICITIES)
    fractions = fraction_table(vectors)
    fractions[0, :, 0] = numerators.reshape(vectors, LANES)
    fractions[0, :, 1] = 0
    leaf_values(plan.table_side.leaves(alpha, beta), 0, fractions[1])
    return FractionTree(fractions, memory)
