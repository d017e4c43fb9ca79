"""The kernels of trees of fractions against the slow twins, for every instruction set and several numbers of threads."""

import itertools
import random

import numpy as np
import pytest

from tests.harness.kernels import with_all
from tests.reference import fractions as slow
from zkds.field import K, P, block, from_pairs, to_pairs, unblock
from zkds.native import fraction


def random_k(rng):
    return K(rng.choice([0, 1, P - 1, rng.randrange(P)]), rng.choice([0, 1, P - 1, rng.randrange(P)]))


def pair(element):
    return element.re, element.im


def table(values):
    return block(to_pairs(values))


def values(blocked):
    return from_pairs(unblock(blocked))


def segments_of(rng, cells, first, sizes, widths):
    rows = np.zeros(len(sizes), dtype=fraction.SEGMENT)
    for row, size, width in zip(rows, sizes, widths, strict=True):
        constant = random_k(rng)
        second, third = rng.randrange(cells - size), rng.randrange(cells - size)
        row["first"], row["end"], row["re"], row["im"] = first, first + size, constant.re, constant.im
        row["width"], row["second"], row["third"] = width, second, third
        first += size
    return rows


def make_leaves(rng, cells, first, sizes, widths):
    vector = np.array([rng.choice([0, 1, 2**32 - 1, rng.randrange(2**32)]) for _ in range(cells)], dtype=np.uint32)
    rows = segments_of(rng, cells, first, sizes, widths)
    beta = random_k(rng)
    expected = []
    for row in rows:
        for j in range(int(row["end"] - row["first"])):
            value = K(int(row["re"]), int(row["im"]))
            places = [int(row["first"]) + j, int(row["second"]) + j, int(row["third"]) + j][: int(row["width"])]
            for weight, place in zip([K(1), beta**2, beta**3], places, strict=False):
                value = value - weight * int(vector[place])
            expected.append(value)
    return fraction.Leaves(vector, rows, pair(beta**2), pair(beta**3)), expected


LEAF_CASES = [
    (0, [64], [1]),
    (0, [16, 16, 32], [2, 3, 1]),
    (16, [17, 3, 1, 1, 2, 40], [1, 2, 1, 3, 1, 0]),
    (0, [1, 2, 4, 8, 16, 32, 1], [3, 1, 0, 2, 1, 3, 0]),
]


@pytest.mark.parametrize("case", LEAF_CASES, ids=range(len(LEAF_CASES)))
def test_leaves(kernels, case):
    leaves, expected = make_leaves(random.Random(1), 200, *case)
    out = fraction.aligned_table(8)
    fraction.leaf_values(leaves, case[0], out)
    assert values(out) == expected
    tail = fraction.aligned_table(3)
    fraction.leaf_values(leaves, case[0] + 40, tail)
    assert values(tail) == expected[40:]
    p, q = fraction.aligned_table(2), fraction.aligned_table(2)
    fraction.build_levels([(p, q)], leaves, case[0])
    assert (values(p), values(q)) == slow.parents(*slow.parents([K(1)] * 64, expected))


@pytest.mark.parametrize("log_vectors", [0, 4, 12])  # one task, and several with levels above all of them
def test_levels(kernels, log_vectors):
    rng = np.random.default_rng(2)
    sizes = [1 << k for k in range(log_vectors, -1, -1)]
    levels = [(fraction.aligned_table(size), fraction.aligned_table(size)) for size in sizes]
    for lowest in levels[0]:
        lowest[...] = rng.integers(0, P, size=lowest.shape, dtype=np.uint64)
    fraction.build_levels(levels)
    for below, above in itertools.pairwise(levels):
        vectors = min(len(above[0]), 4)  # the first ones and the last ones
        for part in (slice(0, vectors), slice(-vectors, None)):
            children = slice(part.start * 2, part.stop * 2 if part.stop else None)
            expected = slow.parents(values(below[0][children]), values(below[1][children]))
            assert (values(above[0][part]), values(above[1][part])) == expected


def test_levels_misuse_is_named():
    pair = fraction.aligned_table(4), fraction.aligned_table(4)
    with pytest.raises(ValueError, match=r"levels: expected a power of two of vectors, at least 2\^3, got 4"):
        fraction.build_levels([pair] * 4)
    with pytest.raises(ValueError, match=r"levels\[1\]: p: expected at least 2 vectors, got 1"):
        fraction.build_levels([pair, (fraction.aligned_table(1), fraction.aligned_table(2))])


def fraction_term(lam):
    return lambda p0, p1, q0, q1: p0 * q1 + q0 * p1 + lam * q0 * q1


@pytest.mark.parametrize("variables", [4, 5, 7])
def test_fraction_rounds(kernels, variables):
    rng = random.Random(3)
    p, q = ([random_k(rng) for _ in range(2 << variables)] for _ in range(2))
    point, lam = [random_k(rng) for _ in range(variables)], random_k(rng)
    tables = [*slow.children(p), *slow.children(q)]
    layer = fraction.LayerPoint(to_pairs(point))
    lam_pair = pair(lam)
    current = table(p), table(q)
    assert tuple(from_pairs(fraction.fraction_round(*current, lam_pair, True, layer, 0))) == slow.layer_round(
        tables, fraction_term(lam), point, 3
    )
    for number in range(1, layer.rounds + 1):
        r = random_k(rng)
        spare = fraction.aligned_table(len(current[0]) // 2), fraction.aligned_table(len(current[0]) // 2)
        tables = [slow.fold(values_, 3, r) for values_ in tables]
        point = point[:3] + point[4:]
        r_pair = pair(r)
        if number < layer.rounds:
            sums = fraction.fraction_fold_round(*current, r_pair, lam_pair, number == 1, *spare, layer, number)
            assert tuple(from_pairs(sums)) == slow.layer_round(tables, fraction_term(lam), point, 3)
        else:
            fraction.fraction_last_fold(*current, r_pair, lam_pair, number == 1, *spare)
        current = spare
    p0, p1, q0, q1 = tables
    assert values(current[0]) == p0 + [a + lam * b for a, b in zip(p1, q1, strict=True)]
    assert values(current[1]) == q0 + q1


@pytest.mark.parametrize("variables", [5, 6])
def test_leaf_rounds(kernels, variables):
    rng = random.Random(4)
    size = 2 << variables
    leaves, expected = make_leaves(rng, 3 * size, 8, [size - 13, 4, 1, 8], [1, 3, 2, 0])
    point, shift = [random_k(rng) for _ in range(variables)], random_k(rng)
    layer = fraction.LayerPoint(to_pairs(point))
    tables = [[value + shift for value in child] for child in slow.children(expected)]
    shift_pair = pair(shift)

    def term(q0, q1):
        return q0 * q1

    assert tuple(from_pairs(fraction.leaf_round(leaves, shift_pair, 8, layer))) == slow.layer_round(tables, term, point, 3)
    current = fraction.aligned_table(1 << (variables - 3))
    for number in range(1, layer.rounds + 1):
        r = random_k(rng)
        r_pair = pair(r)
        tables = [slow.fold(values_, 3, r) for values_ in tables]
        point = point[:3] + point[4:]
        if number == 1:
            sums = fraction.leaf_fold_round(leaves, shift_pair, 8, r_pair, current, layer)
        else:
            spare = fraction.aligned_table(len(current) // 2)
            if number < layer.rounds:
                sums = fraction.product_fold_round(current, r_pair, spare, layer, number)
            else:
                fraction.product_last_fold(current, r_pair, spare)
            current = spare
        if number < layer.rounds:
            assert tuple(from_pairs(sums)) == slow.layer_round(tables, term, point, 3)
    assert values(current) == tables[0] + tables[1]


@pytest.mark.parametrize("variables", [5, 6])
def test_rounds_above_the_leaves(kernels, variables):
    rng = random.Random(6)
    size = 4 << variables
    leaves, expected = make_leaves(rng, 3 * size, 8, [size - 13, 4, 1, 8], [1, 3, 2, 0])
    point, lam, r = [random_k(rng) for _ in range(variables)], random_k(rng), random_k(rng)
    layer = fraction.LayerPoint(to_pairs(point))
    p, q = slow.parents([K(1)] * size, expected)
    tables = [*slow.children(p), *slow.children(q)]
    sums = fraction.leaf_parents_round(leaves, pair(lam), 8, layer)
    assert tuple(from_pairs(sums)) == slow.layer_round(tables, fraction_term(lam), point, 3)
    out = fraction.aligned_table(1 << variables - 3), fraction.aligned_table(1 << variables - 3)
    sums = fraction.leaf_parents_fold_round(leaves, pair(lam), 8, pair(r), *out, layer)
    p0, p1, q0, q1 = tables = [slow.fold(values_, 3, r) for values_ in tables]
    assert tuple(from_pairs(sums)) == slow.layer_round(tables, fraction_term(lam), point[:3] + point[4:], 3)
    merged = [a + lam * b for a, b in zip(p1, q1, strict=True)]
    for folded, children in zip(out, ((p0, merged), (q0, q1)), strict=True):
        assert tuple(slow.children(values(folded))) == children


def large_layer(variables):
    generator = np.random.default_rng(5)
    tables = [generator.integers(0, P, size=(2 << variables - 3, 2, 8), dtype=np.uint64) for _ in range(2)]
    point = generator.integers(0, P, size=(variables, 2), dtype=np.uint64)
    lam, r = (P - 1, 5), (7, P - 2)
    layer = fraction.LayerPoint(point)
    outs = [np.zeros((1 << variables - 3, 2, 8), dtype=np.uint64) for _ in range(2)]
    first = fraction.fraction_round(*tables, lam, True, layer, 0)
    second = fraction.fraction_fold_round(*tables, r, lam, True, *outs, layer, 1)
    product = fraction.product_fold_round(tables[1], r, np.zeros_like(outs[1]), layer, 1)
    return first, second, product, *outs


def test_all_modes_agree_on_a_large_layer():
    results = with_all(lambda: large_layer(14))
    for result in results[1:]:
        for a, b in zip(results[0], result, strict=True):
            np.testing.assert_array_equal(a, b)


def test_refuses_segments_outside_the_cells():
    rows = np.zeros(1, dtype=fraction.SEGMENT)
    rows["end"], rows["width"], rows["second"] = 16, 2, 1
    weights = (0, 0)
    with pytest.raises(ValueError, match="segments: expected cells below 16, got 16"):
        fraction.Leaves(np.zeros(16, dtype=np.uint32), rows, weights, weights)
    rows["width"] = 4
    with pytest.raises(ValueError, match="at most 3 columns"):
        fraction.Leaves(np.zeros(16, dtype=np.uint32), rows, weights, weights)
    gap = np.zeros(2, dtype=fraction.SEGMENT)
    gap["first"], gap["end"] = [0, 9], [8, 16]
    with pytest.raises(ValueError, match="contiguous"):
        fraction.Leaves(np.zeros(16, dtype=np.uint32), gap, weights, weights)


def test_refuses_short_tables():
    layer = fraction.LayerPoint(np.zeros((5, 2), dtype=np.uint64))
    short = fraction.aligned_table(7)
    lam = (0, 0)
    with pytest.raises(ValueError, match="p: expected at least 8 vectors, got 7"):
        fraction.fraction_round(short, short, lam, True, layer, 0)
