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

Neither the leaves nor the level above them are stored otherwise: the kernels form them from the cells, for the level above and
for the first two rounds of their own layers, the second of which folds them.
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


Levels = dict[int, U64]  # level k: p and q, 2^(k - 3) vectors each, (2, vectors, 2, 8)
TopLevels = list[tuple[list[K], list[K]]]


def fraction_table(vectors: int) -> U64:
    """An uninitialised table of a level's p and q, (2, vectors, 2, 8)."""
    return fraction.aligned_table(2 * vectors).reshape(2, vectors, 2, LANES)


class TreeMemory:
    """The tables of the levels 3, ..., `highest` of a tree, for all trees up to a size.

    A layer's sumcheck writes what it folds into the two levels above, which are done with, by turns.
    """

    def __init__(self, highest: int) -> None:
        stored = range(LANE_VARIABLES, max(highest, LANE_VARIABLES) + 1)
        self.levels: Levels = {k: fraction_table(1 << (k - LANE_VARIABLES)) for k in stored}


class FractionTree:
    """A tree of stored fractions p and q, (2, vectors, 2, 8), 2^(variables - 3) vectors, variables >= 3. Overwrites them."""

    unit_numerators = False

    def __init__(self, fractions: U64, memory: TreeMemory) -> None:
        self.variables = LANE_VARIABLES + (fractions.shape[1] - 1).bit_length()
        self.levels = memory.levels | {self.variables: fractions}
        fraction.build_levels(_upwards(self.levels, self.variables))
        self.top = _top_levels(self.levels)

    def root(self) -> tuple[K, K]:
        return self.top[0][0][0], self.top[0][1][0]

    def bind_vectors(self, exchange: Exchange, level: int, lam: K, point: Sequence[K]) -> tuple[U64, list[K]]:
        """See `Tree`."""
        return _bind_fractions(exchange, self.levels, self.top, level, lam, point)


class LeafTree:
    """A tree over the 2^variables leaves 1 / denominator from leaf `first`, variables >= 7; two levels of it are not stored."""

    unit_numerators = True

    def __init__(self, leaves: fraction.Leaves, first: int, variables: int, memory: TreeMemory) -> None:
        self.variables = variables
        self._leaves, self._first = leaves, first
        self.levels = memory.levels
        fraction.build_levels(_upwards(self.levels, variables - 2), leaves, first)
        self.top = _top_levels(self.levels)

    def root(self) -> tuple[K, K]:
        return self.top[0][0][0], self.top[0][1][0]

    def bind_vectors(self, exchange: Exchange, level: int, lam: K, point: Sequence[K]) -> tuple[U64, list[K]]:
        """See `Tree`."""
        if level < self.variables - 1:
            return _bind_fractions(exchange, self.levels, self.top, level, lam, point)
        if level < self.variables:
            return self._bind_parents(exchange, lam, point)
        if not lam:
            return self._bind_stored_leaves(exchange, lam, point)
        return self._bind_leaves(exchange, lam, point)

    def _bind_parents(self, exchange: Exchange, lam: K, point: Sequence[K]) -> tuple[U64, list[K]]:
        layer = fraction.LayerPoint(to_pairs(point))
        targets = _targets(self.levels, self.variables - 1)
        p, q = targets[0]
        r = exchange(from_pairs(fraction.leaf_parents_round(self._leaves, _pair(lam), self._first, layer)))
        sums = fraction.leaf_parents_fold_round(self._leaves, _pair(lam), self._first, _pair(r), p, q, layer)
        vectors, challenges = _fold_fractions(exchange, sums, targets[0], targets, lam, layer, 2)
        return vectors, [r, *challenges]

    def _bind_leaves(self, exchange: Exchange, lam: K, point: Sequence[K]) -> tuple[U64, list[K]]:
        mu = lam.inverse()
        layer = fraction.LayerPoint(to_pairs(point))

        def challenge(sums: U64) -> K:
            at_zero, at_infinity = from_pairs(sums)
            return exchange([lam * at_zero - mu, lam * at_infinity])

        # only q is folded here: half of the leaves' fill both tables of the level that has a quarter of their number
        table, spare = (target.reshape(-1, 2, LANES) for target in _targets(self.levels, self.variables - 1))
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
        leaves = fraction_table(vectors)
        leaves[0] = _constant_vectors(ONE, vectors)
        fraction.leaf_values(self._leaves, self._first, leaves[1])
        levels = self.levels | {self.variables - 1: fraction_table(vectors // 2), self.variables: leaves}
        return _bind_fractions(exchange, levels, self.top, self.variables, lam, point)


def _upwards(levels: Levels, lowest: int) -> list[tuple[U64, U64]]:
    """The levels lowest, lowest - 1, ..., 3."""
    return [(levels[level][0], levels[level][1]) for level in range(lowest, LANE_VARIABLES - 1, -1)]


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


def _targets(levels: Levels, level: int) -> tuple[U64, U64]:
    """Where the layer of this level's nodes writes what it folds by turns: first half of it, then a quarter."""
    return levels[level - 1], levels[level - 2]


def _bind_fractions(
    exchange: Exchange, levels: Levels, top: TopLevels, level: int, lam: K, point: Sequence[K]
) -> tuple[U64, list[K]]:
    if level <= LANE_VARIABLES:
        p, q = top[level]
        half = len(p) // 2
        return np.concatenate([block(to_pairs(child)) for child in (p[:half], p[half:], q[:half], q[half:])]), []
    if level == LANE_VARIABLES + 1:
        return levels[level].reshape(4, 2, LANES), []
    layer = fraction.LayerPoint(to_pairs(point))
    p, q = levels[level]
    sums = fraction.fraction_round(p, q, _pair(lam), True, layer, 0)
    return _fold_fractions(exchange, sums, levels[level], _targets(levels, level), lam, layer, 1)


def _fold_fractions(
    exchange: Exchange, sums: U64, table: U64, targets: tuple[U64, U64], lam: K, layer: fraction.LayerPoint, first: int
) -> tuple[U64, list[K]]:
    """The rounds of a layer from `first` on, given the sums of the one before and the table that it added up."""
    challenges: list[K] = []
    for number in range(first, layer.rounds + 1):
        r = exchange(from_pairs(sums))
        challenges.append(r)
        target = targets[(number - 1) % 2]
        arguments = table[0], table[1], _pair(r), _pair(lam), number == 1, target[0], target[1]
        if number < layer.rounds:
            sums = fraction.fraction_fold_round(*arguments, layer, number)
        else:
            fraction.fraction_last_fold(*arguments)
        table = target
    vectors = np.concatenate([table[0][:2], table[1][:2]])
    # the tables hold p1 + lambda q1
    vectors[1:2] = field.sub(vectors[1:2], field.k_scale(vectors[3:], np.array(_pair(lam), dtype=np.uint64)))
    return vectors, challenges
