"""F and K: scalars and arrays against galois and plain integers, on every instruction set, edge values included."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import field as reference
from zkds import native
from zkds.field import ONE, ZERO, K, P, block, dot, from_pairs, powers, root_of_unity, to_pairs, unblock
from zkds.native import field as kernels_of_field

EDGES = [0, 1, 2, 2**31 - 1, 2**31, 2**32, 2**52 - 1, 2**52, 2**60, P - 2, P - 1]


@pytest.fixture(scope="module")
def oracle():
    """GF(p^2) = GF(p)[x] / (x^2 + 1); in galois the element re + im x is the integer re + p im."""
    import galois  # which takes seconds, of a process that collects tests as well

    return galois.GF(P**2, irreducible_poly=galois.Poly([1, 0, 1], field=galois.GF(P)), primitive_element=None, verify=False)


def pairs_of(seed, count):
    """`count` pairs: all combinations of edge values first, then random ones."""
    rng = random.Random(seed)
    edge_pairs = list(itertools.product(EDGES, EDGES))
    rng.shuffle(edge_pairs)
    return (edge_pairs + [(rng.randrange(P), rng.randrange(P)) for _ in range(count)])[:count]


def blocked(pairs):
    return block(np.array(pairs, dtype=np.uint64).reshape(-1, 2))


def plain(table, count=None):
    return [tuple(row) for row in unblock(table, count).tolist()]


# ---- scalars ------------------------------------------------------------------------------------------------------------

field_values = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
elements = st.builds(K, field_values, field_values)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(elements, elements, elements)
def test_field_laws(x, y, z):
    assert x + y == y + x and x * y == y * x
    assert (x + y) + z == x + (y + z) and (x * y) * z == x * (y * z)
    assert x * (y + z) == x * y + x * z
    assert x - y == x + (-y) and x + ZERO == x and x * ONE == x and x + 5 == 5 + x and 3 - x == -(x - 3)
    if x:
        assert x * x.inverse() == ONE and x**-2 * x**2 == ONE


def test_scalars_against_galois(oracle):
    for (a, b), (c, d) in zip(pairs_of(1, 40), reversed(pairs_of(2, 40)), strict=True):
        x, y = oracle(b * P + a), oracle(d * P + c)
        for ours, theirs in [(K(a, b) + K(c, d), x + y), (K(a, b) - K(c, d), x - y), (K(a, b) * K(c, d), x * y)]:
            assert ours.im * P + ours.re == int(theirs)
        if (c, d) != (0, 0):
            inverse = K(c, d).inverse()
            assert inverse.im * P + inverse.re == int(np.reciprocal(y))


def test_inverse_of_zero():
    with pytest.raises(ZeroDivisionError, match="0 has no inverse in K"):
        ZERO.inverse()


def test_roots_of_unity_have_norm_one_and_the_right_order():
    assert root_of_unity(0) == ONE and root_of_unity(1) == K(-1) and root_of_unity(2) == K(0, 1)
    for log_order in range(1, 62):
        root = root_of_unity(log_order)
        assert root ** (2 ** (log_order - 1)) == K(-1) and root * root.conjugate() == ONE
    with pytest.raises(ValueError, match="expected 0 <= log_order <= 61, got 62"):
        root_of_unity(62)


def test_layouts():
    values = [K(a, b) for a, b in pairs_of(3, 19)]
    pairs = to_pairs(values)
    table = block(pairs)
    assert table.shape == (3, 2, 8) and from_pairs(unblock(table, 19)) == values
    assert table[1, 0, 2] == values[10].re and table[1, 1, 2] == values[10].im
    assert not table[2, :, 3:].any()
    assert dot(values, values) == sum((v * v for v in values), ZERO)
    assert powers(K(2, 1), 4) == [ONE, K(2, 1), K(3, 4), K(2, 11)]


# ---- arrays -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 7, 8, 9, 130, 20000])
def test_arrays_of_f(kernels, count):
    rng = random.Random(count)
    edges = list(itertools.product(EDGES, EDGES))
    a = [x for x, _ in edges] + [rng.randrange(P) for _ in range(count)]
    b = [y for _, y in edges] + [rng.randrange(P) for _ in range(count)]
    left, right = (np.array(x, dtype=np.uint64) for x in (a, b))
    pairs = list(zip(a, b, strict=True))
    assert kernels_of_field.add(left, right).tolist() == [(x + y) % P for x, y in pairs]
    assert kernels_of_field.sub(left, right).tolist() == [(x - y) % P for x, y in pairs]
    assert kernels_of_field.f_mul(left, right).tolist() == [x * y % P for x, y in pairs]


@pytest.mark.parametrize("vectors", [1, 2, 3, 33, 1500])
def test_arrays_of_k(kernels, vectors):
    a, b = pairs_of(vectors, 8 * vectors), pairs_of(vectors + 1, 8 * vectors)
    left, right = blocked(a), blocked(b)
    assert plain(kernels_of_field.k_mul(left, right)) == [reference.k_mul(x, y) for x, y in zip(a, b, strict=True)]
    assert plain(kernels_of_field.add(left, right)) == [reference.k_add(x, y) for x, y in zip(a, b, strict=True)]
    assert tuple(kernels_of_field.k_dot(left, right).tolist()) == reference.k_dot(a, b)
    for r in [(P - 1, P - 1), (0, 0), (1, 0), pairs_of(9, 200)[-1]]:
        scalar = np.array(r, dtype=np.uint64)
        assert plain(kernels_of_field.k_scale(left, scalar)) == [reference.k_mul(x, r) for x in a]
        assert plain(kernels_of_field.k_bind(left, scalar)) == reference.k_bind(a, r)


def test_all_products_of_edge_values(kernels):
    edge_pairs = list(itertools.product([0, 1, 2**31, 2**52, P - 1], repeat=2))
    a, b = (list(x) for x in zip(*itertools.product(edge_pairs, edge_pairs), strict=True))
    count = len(a)
    products = plain(kernels_of_field.k_mul(blocked(a), blocked(b)), count)
    assert products == [reference.k_mul(x, y) for x, y in zip(a, b, strict=True)]


def test_long_dot_product_of_the_largest_values(kernels):
    """Every lazily accumulated partial product at its maximum, across the accumulators' limit of terms."""
    count = 8 * 3000
    table = blocked([(P - 1, P - 1)] * count)
    assert tuple(kernels_of_field.k_dot(table, table).tolist()) == reference.k_dot(
        [(P - 1, P - 1)] * count, [(P - 1, P - 1)] * count
    )


@pytest.mark.parametrize(("rows", "count", "vectors"), [(1, 1, 1), (3, 4, 2), (2, 7, 300), (5, 0, 2), (2, 513, 1)])
def test_products_of_matrices_over_k(kernels, rows, count, vectors):
    weights, tables = pairs_of(rows, rows * count), pairs_of(count, 8 * count * vectors)
    product = kernels_of_field.k_matmul(
        np.array(weights, dtype=np.uint64).reshape(rows, count, 2), blocked(tables).reshape(count, vectors, 2, 8)
    )
    for r in range(0, rows, 2):
        for x in range(0, 8 * vectors, 5):
            column = tables[x :: 8 * vectors]
            expected = reference.k_dot(weights[r * count : (r + 1) * count], column)
            assert tuple(product[r, x // 8, :, x % 8].tolist()) == expected


def test_long_products_of_matrices_of_the_largest_values(kernels):
    """Every lazily accumulated partial product at its maximum, across the accumulators' limit of terms."""
    weights = np.full((1, 1100, 2), P - 1, dtype=np.uint64)
    tables = np.full((1100, 1, 2, 8), P - 1, dtype=np.uint64)
    expected = reference.k_dot([(P - 1, P - 1)] * 1100, [(P - 1, P - 1)] * 1100)
    assert {*map(tuple, unblock(kernels_of_field.k_matmul(weights, tables)[0]).tolist())} == {expected}


@pytest.mark.parametrize(("rows", "count", "vectors"), [(1, 1, 1), (3, 4, 2), (2, 7, 300), (5, 0, 2), (2, 513, 1)])
def test_products_of_matrices_over_k_and_f(kernels, rows, count, vectors):
    weights = np.array(pairs_of(rows, rows * count), dtype=np.uint64).reshape(rows, count, 2)
    real = np.array([a for a, _ in pairs_of(count, 8 * count * vectors)], dtype=np.uint64).reshape(count, 8 * vectors)
    real.flat[:1] = P - 1
    spread = np.zeros((count, vectors, 2, 8), dtype=np.uint64)
    spread[:, :, 0] = real.reshape(count, vectors, 8)
    assert np.array_equal(kernels_of_field.f_matmul(weights, real), kernels_of_field.k_matmul(weights, spread))


def test_long_products_with_f_of_the_largest_values(kernels):
    weights, tables = np.full((1, 1100, 2), P - 1, dtype=np.uint64), np.full((1100, 8), P - 1, dtype=np.uint64)
    assert (kernels_of_field.f_matmul(weights, tables) == 1100).all()


def test_output_may_be_an_input():
    a, b = blocked(pairs_of(1, 64)), blocked(pairs_of(2, 64))
    expected = kernels_of_field.k_mul(a, b)
    assert kernels_of_field.k_mul(a, b, out=a) is a
    assert np.array_equal(a, expected)


def test_empty_arrays():
    empty = np.empty((0, 2, 8), dtype=np.uint64)
    one = np.array([1, 0], dtype=np.uint64)
    assert kernels_of_field.k_mul(empty, empty).shape == (0, 2, 8)
    assert kernels_of_field.k_dot(empty, empty).tolist() == [0, 0]
    assert kernels_of_field.k_bind(empty, one).shape == (0, 2, 8)


GOOD = np.zeros((2, 2, 8), dtype=np.uint64)
SCALAR = np.zeros(2, dtype=np.uint64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels_of_field.k_mul([1], GOOD), TypeError, "a: expected a numpy array of uint64, got list"),
        (lambda: kernels_of_field.k_mul(GOOD.astype(np.int64), GOOD), TypeError, "a: expected dtype uint64, got int64"),
        (lambda: kernels_of_field.k_mul(GOOD[0], GOOD), ValueError, r"a: expected shape \(n, 2, 8\), got \(2, 8\)"),
        (lambda: kernels_of_field.k_mul(GOOD, GOOD[:1]), ValueError, r"b: expected shape \(2, 2, 8\), got \(1, 2, 8\)"),
        (
            lambda: kernels_of_field.k_mul(np.zeros((4, 2, 8), np.uint64)[::2], GOOD),
            ValueError,
            "a: expected a C-contiguous array",
        ),
        (lambda: kernels_of_field.add(GOOD, GOOD, out=GOOD[:1]), ValueError, r"out: expected shape \(2, 2, 8\)"),
        (lambda: kernels_of_field.k_scale(GOOD, GOOD), ValueError, r"factor: expected shape \(2\), got \(2, 2, 8\)"),
        (
            lambda: kernels_of_field.k_matmul(np.zeros((1, 3, 2), np.uint64), GOOD[None]),
            ValueError,
            r"tables: expected shape \(3, n, 2, 8\), got \(1, 2, 2, 8\)",
        ),
        (
            lambda: kernels_of_field.f_matmul(np.zeros((1, 3, 2), np.uint64), np.zeros((3, 9), np.uint64)),
            ValueError,
            "tables: expected a multiple of 8 entries, got 9",
        ),
        (lambda: kernels_of_field.k_bind(GOOD, [1, 0]), TypeError, "r: expected a numpy array of uint64, got list"),
    ],
)
def test_misuse_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_unknown_instruction_set():
    with pytest.raises(ValueError, match="expected one of portable, avx2, avx512, amx, got 'sse9'"):
        native.select_instruction_set("sse9")
