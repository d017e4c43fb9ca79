"""A sum of fractions, as a binary tree of sums, reduced layer by layer to its leaves.

Level k of a tree has 2^k nodes (p, q), level 0 is the root, level n the leaves. The two children of a node differ in index
bit c = min(3, k - 1) of their level k, the lowest bit that is not inside a vector where there is more than one vector:

    p[x] = p0[x] q1[x] + p1[x] q0[x]        q[x] = q0[x] q1[x]         p0[x] = p at level k with 0 put in at bit c of x

Claims (p~(z), q~(z)) about level k - 1 are combined with a challenge lambda and reduced by sumcheck over k - 1 variables, with
eq(z) as its eq factor, to the children's values at the new point; a challenge t at bit c makes two claims of four.
Source: Thaler 2013 (tree of products in GKR), Papini and Habock, eprint 2023/1284.

The children p of the lookup side's lowest layer are 1. With mu = 1 / lambda,

    q0 + q1 + lambda q0 q1 = lambda (q0 + mu)(q1 + mu) - mu,

so the prover's kernels add up products of two tables there; messages are the same, whatever the kernels do. If lambda is 0
(never, in practice), the prover stores the leaves and treats the layer like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from zkds import sumcheck
from zkds.channel import ProverChannel, VerifierEnd
from zkds.field import ONE, K, block, from_pairs, to_pairs, unblock
from zkds.hidden import Hidden
from zkds.multilinear import LANE_VARIABLES, LANES
from zkds.native import U64, field, fraction
from zkds.native.sumcheck import LaneRounds
from zkds.soundness import algebraic

NAME = "LogUp"
SOURCE = "LogUp-GKR; Papini, Habock 2023, eprint 2023/1284"
ROUND_TERM = sumcheck.round_term(NAME, 2)
LAMBDA_TERM = algebraic(f"{NAME}: lambda", 1, "1/|K|", SOURCE)
CHILD_TERM = algebraic(f"{NAME}: child", 1, "1/|K|", SOURCE)


def child_bit(level: int) -> int:
    """The index bit in which the two children of a node, at this level, differ."""
    return min(LANE_VARIABLES, level - 1)


def _with_child(point: Sequence[K], t: K, level: int) -> tuple[K, ...]:
    bit = child_bit(level)
    return (*point[:bit], t, *point[bit:])


# ---- verifier -----------------------------------------------------------------------------------------------------------


def verify_tree(
    channel: VerifierEnd, root: tuple[Hidden, Hidden], variables: int, unit_numerators: bool
) -> tuple[tuple[K, ...], Hidden, Hidden]:
    """Reduce the root (P, Q) to the leaves: (point, claim on p~, claim on q~). With `unit_numerators` the leaves' p is 1."""
    p, q = root
    point: tuple[K, ...] = ()
    for level in range(1, variables + 1):
        lam = channel.challenge(LAMBDA_TERM)
        bound, final = sumcheck.verify(channel, p + q * lam, level - 1, 2, point, name=NAME)
        if unit_numerators and level == variables:
            q0, q1 = channel.receive(f"{NAME}: children", 2)
            p0 = p1 = Hidden.public(ONE)
            numerator = q0 + q1
        else:
            p0, p1, q0, q1 = channel.receive(f"{NAME}: children", 4)
            numerator = channel.product(p0, q1) + channel.product(p1, q0)
        channel.assert_zero(numerator + channel.product(q0, q1) * lam - final, f"{NAME}: layer of the tree")
        t = channel.challenge(CHILD_TERM)
        p, q = p0 + (p1 - p0) * t, q0 + (q1 - q0) * t
        point = _with_child(bound, t, level)
    return point, p, q


# ---- prover -------------------------------------------------------------------------------------------------------------


class Exchange(Protocol):
    """Send the round polynomial [h(0), h(infinity)]; the challenge."""

    def __call__(self, message: Sequence[K]) -> K: ...


class Tree(Protocol):
    """What the prover asks of a tree of fractions. Levels are consumed from the root down."""

    variables: int
    unit_numerators: bool

    def root(self) -> tuple[K, K]: ...

    def bind_vectors(self, exchange: Exchange, level: int, lam: K, point: Sequence[K]) -> tuple[U64, list[K]]:
        """The rounds over the vectors of a layer. Returns what they leave of p0, p1, q0 and q1, (4, 2, 8) uint64 of which
        2^min(3, level - 1) entries each count, and the challenges."""
        ...


def prove_tree(channel: ProverChannel, tree: Tree) -> tuple[tuple[K, ...], K, K]:
    """The prover's side of `verify_tree`: (point, p~(point), q~(point)) of the leaves."""

    def exchange(message: Sequence[K]) -> K:
        channel.send(f"{NAME}: round polynomial", message)
        return channel.challenge(ROUND_TERM)

    point: tuple[K, ...] = ()
    p = q = ONE
    for level in range(1, tree.variables + 1):
        lam = channel.challenge(LAMBDA_TERM)
        vectors, high = tree.bind_vectors(exchange, level, lam, point)
        (p0, p1, q0, q1), low = _bind_lanes(exchange, vectors, lam, point[:LANE_VARIABLES])
        leaves_are_units = tree.unit_numerators and level == tree.variables
        channel.send(f"{NAME}: children", [q0, q1] if leaves_are_units else [p0, p1, q0, q1])
        t = channel.challenge(CHILD_TERM)
        p, q = p0 + (p1 - p0) * t, q0 + (q1 - q0) * t
        point = _with_child([*low, *high], t, level)
    return point, p, q


def _bind_lanes(exchange: Exchange, vectors: U64, lam: K, point: Sequence[K]) -> tuple[list[K], list[K]]:
    """The rounds of the variables inside a vector: (values of p0, p1, q0, q1; challenges)."""
    if not point:
        return from_pairs(vectors[:, :, 0]), []
    terms = [((1, 0), (0, 3)), ((1, 0), (1, 2)), (_pair(lam), (2, 3))]
    rounds = LaneRounds(vectors, terms, len(point), to_pairs(point))
    challenges = [exchange(from_pairs(rounds.first()))]
    for _ in point[1:]:
        challenges.append(exchange(from_pairs(rounds.next(_pair(challenges[-1])))))
    return from_pairs(rounds.finish(_pair(challenges[-1]))), challenges


def _pair(element: K) -> tuple[int, int]:
    return element.re, element.im


class TreeMemory:
    """The tables of the levels 3, ..., n - 1 of a tree, for all trees up to a size: for level k two of 2^(k - 3) vectors.

    A layer's sumcheck writes what it folds into the level above, which is done with, and then back into its own.
    """

    def __init__(self, variables: int) -> None:
        self.levels = {
            k: (fraction.aligned_table(1 << (k - LANE_VARIABLES)), fraction.aligned_table(1 << (k - LANE_VARIABLES)))
            for k in range(LANE_VARIABLES, max(variables, LANE_VARIABLES + 1))
        }


class FractionTree:
    """A tree of stored fractions (p, q), blocked tables of 2^(variables - 3) vectors each, variables >= 3. Overwrites them."""

    unit_numerators = False

    def __init__(self, p: U64, q: U64, memory: TreeMemory) -> None:
        self.variables = LANE_VARIABLES + (len(p) - 1).bit_length()
        self.levels = dict(memory.levels)
        self.levels[self.variables] = p, q
        fraction.build_levels(_upwards(self.levels, self.variables))
        self.top = _top_levels(self.levels)

    def root(self) -> tuple[K, K]:
        return self.top[0][0][0], self.top[0][1][0]

    def bind_vectors(self, exchange: Exchange, level: int, lam: K, point: Sequence[K]) -> tuple[U64, list[K]]:
        """See `Tree`."""
        return _bind_fractions(exchange, self.levels, self.top, level, lam, point)


class LeafTree:
    """A tree over the 2^variables leaves 1 / denominator from leaf `first`, variables >= 5; the leaves are never stored."""

    unit_numerators = True

    def __init__(self, leaves: fraction.Leaves, first: int, variables: int, memory: TreeMemory) -> None:
        self.variables = variables
        self._leaves, self._first = leaves, first
        self.levels = dict(memory.levels)
        fraction.build_levels(_upwards(self.levels, variables - 1), leaves, first)
        self.top = _top_levels(self.levels)

    def root(self) -> tuple[K, K]:
        return self.top[0][0][0], self.top[0][1][0]

    def bind_vectors(self, exchange: Exchange, level: int, lam: K, point: Sequence[K]) -> tuple[U64, list[K]]:
        """See `Tree`."""
        if level < self.variables:
            return _bind_fractions(exchange, self.levels, self.top, level, lam, point)
        if not lam:
            return self._bind_stored_leaves(exchange, lam, point)
        return self._bind_leaves(exchange, lam, point)

    def _bind_leaves(self, exchange: Exchange, lam: K, point: Sequence[K]) -> tuple[U64, list[K]]:
        mu = lam.inverse()
        layer = fraction.LayerPoint(to_pairs(point))

        def challenge(sums: U64) -> K:
            at_zero, at_infinity = from_pairs(sums)
            return exchange([lam * at_zero - mu, lam * at_infinity])

        table, spare = self.levels[self.variables - 1]
        r = challenge(fraction.leaf_round(self._leaves, _pair(mu), self._first, layer))
        challenges = [r]
        sums = fraction.leaf_fold_round(self._leaves, _pair(mu), self._first, _pair(r), table, layer)
        for number in range(2, layer.rounds + 1):
            r = challenge(sums)
            challenges.append(r)
            if number < layer.rounds:
                sums = fraction.product_fold_round(table, _pair(r), spare, layer, number)
            else:
                fraction.product_last_fold(table, _pair(r), spare)
            table, spare = spare, table
        vectors = np.zeros((4, 2, LANES), dtype=np.uint64)
        vectors[:2, 0] = 1
        vectors[2:] = field.sub(np.ascontiguousarray(table[:2]), _constant_vectors(mu, 2))
        return vectors, challenges

    def _bind_stored_leaves(self, exchange: Exchange, lam: K, point: Sequence[K]) -> tuple[U64, list[K]]:
        vectors = 1 << (self.variables - LANE_VARIABLES)
        p, q = np.zeros((vectors, 2, LANES), dtype=np.uint64), fraction.aligned_table(vectors)
        p[:, 0] = 1
        fraction.leaf_values(self._leaves, self._first, q)
        levels = {**self.levels, self.variables: (p, q)}
        return _bind_fractions(exchange, levels, self.top, self.variables, lam, point)


Levels = dict[int, tuple[U64, U64]]
TopLevels = list[tuple[list[K], list[K]]]


def _upwards(levels: Levels, lowest: int) -> list[tuple[U64, U64]]:
    """The levels lowest, lowest - 1, ..., 3."""
    return [levels[level] for level in range(lowest, LANE_VARIABLES - 1, -1)]


def _top_levels(levels: Levels) -> TopLevels:
    """The levels 0, 1, 2 and 3: lists of p and of q."""
    p, q = (from_pairs(unblock(table[:1])) for table in levels[LANE_VARIABLES])
    top = [(p, q)]
    while len(q) > 1:
        half = len(q) // 2
        p, q = (
            [p[j] * q[j + half] + p[j + half] * q[j] for j in range(half)],
            [q[j] * q[j + half] for j in range(half)],
        )
        top.insert(0, (p, q))
    return top


def _constant_vectors(value: K, count: int) -> U64:
    vectors = np.empty((count, 2, LANES), dtype=np.uint64)
    vectors[:, 0], vectors[:, 1] = value.re, value.im
    return vectors


def _bind_fractions(
    exchange: Exchange, levels: Levels, top: TopLevels, level: int, lam: K, point: Sequence[K]
) -> tuple[U64, list[K]]:
    if level <= LANE_VARIABLES:
        p, q = top[level]
        half = len(p) // 2
        return np.concatenate([block(to_pairs(child)) for child in (p[:half], p[half:], q[:half], q[half:])]), []
    table = levels[level]
    challenges: list[K] = []
    if level > LANE_VARIABLES + 1:
        layer = fraction.LayerPoint(to_pairs(point))
        spare = levels[level - 1]
        sums = fraction.fraction_round(*table, _pair(lam), True, layer, 0)
        for number in range(1, layer.rounds + 1):
            r = exchange(from_pairs(sums))
            challenges.append(r)
            arguments = *table, _pair(r), _pair(lam), number == 1, *spare
            if number < layer.rounds:
                sums = fraction.fraction_fold_round(*arguments, layer, number)
            else:
                fraction.fraction_last_fold(*arguments)
            table, spare = spare, table
    vectors = np.concatenate([table[0][:2], table[1][:2]])
    if challenges:  # the tables hold p1 + lambda q1
        vectors[1:2] = field.sub(vectors[1:2], field.k_scale(vectors[3:], np.array(_pair(lam), dtype=np.uint64)))
    return vectors, challenges
