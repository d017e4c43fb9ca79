"""Committed columns against a slow twin; the choice of parameters."""

import numpy as np
import pytest

from tests.harness.kernels import with_all
from tests.harness.sweeps import long_but
from tests.reference import commitment as reference
from zkds.commit import parameters
from zkds.commit.commitment import Commitment, commit, leaf_digest, salt
from zkds.commit.parameters import Code, Parameters, choose
from zkds.commit.reed_solomon import pair_weights, points
from zkds.field import K, P, from_pairs, to_pairs, unblock
from zkds.native.codeword import (
    Matrix,
    bind_half,
    combine_columns,
    evaluate_powers,
    half_round,
    power_weights,
)
from zkds.soundness import QUERY_BITS
from zkds.zk.pads import SecretStream

EDGES = np.array([0, 1, P - 1, P - 2], dtype=np.uint64)


def random_pairs(seed, *shape):
    values = np.random.default_rng(seed).integers(0, P, size=(*shape, 2), dtype=np.uint64)
    flat = values.reshape(-1)
    flat[::7] = EDGES[np.arange(len(flat[::7])) % 4]
    return values


def random_matrix(seed, count, packed_rows, element_rows, tail, log_data, log_size):
    cells = np.random.default_rng(seed).integers(0, 1 << 32, size=count, dtype=np.uint32)
    cells[: min(count, 3)] = 2**32 - 1
    elements = random_pairs(seed + 1, element_rows << log_data).reshape(-1, 2, 8)
    tails = random_pairs(seed + 2, packed_rows + element_rows, tail)
    return Matrix(cells, packed_rows, elements, tails, log_data, log_size)


def coefficient_rows(matrix):
    """All rows as lists of K."""
    data = 1 << matrix.log_data
    rows = [reference.packed_row(matrix.cells, row, data, from_pairs(matrix.tails[row])) for row in range(matrix.packed_rows)]
    for row in range(matrix.element_rows):
        elements = from_pairs(unblock(matrix.elements[row * data // 8 : (row + 1) * data // 8]))
        rows.append(elements + from_pairs(matrix.tails[matrix.packed_rows + row]))
    return rows


SHAPES = {  # count, packed_rows, element_rows, tail, log_data, log_size
    "rate 1/2": (300, 3, 1, 8, 6, 7),
    "more tail than data": (200, 2, 1, 150, 6, 8),
    "odd number of rows": (64 * 4, 2, 1, 0, 6, 8),
    "rows of K only": (0, 0, 3, 0, 6, 9),
    "one cell": (1, 1, 0, 3, 6, 7),
}


@pytest.mark.parametrize("salt_seed", [None, bytes(range(32))])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_columns_and_digests_are_the_slow_twins(instruction_set, shape, salt_seed):
    matrix = random_matrix(3, *shape)
    rows = coefficient_rows(matrix)
    digests = matrix.column_digests(salt_seed)
    positions = np.array([0, 1, 31, 32, (1 << matrix.log_size - 1) - 1], dtype=np.uint32)
    columns = matrix.columns(positions)
    for values, position in zip(columns, positions.tolist(), strict=True):
        assert values.astype("<u8").tobytes() == reference.column(rows, position, matrix.log_size)
        assert digests[position].tobytes() == reference.leaf(rows, position, matrix.log_size, salt_seed)


@pytest.mark.parametrize(
    ("log_data", "log_size"), long_but([(10, 12), (12, 13)], [(10, 12), (11, 12), (12, 13), (13, 15), (14, 15)])
)
def test_many_rows_in_batches(log_data, log_size):
    """Digests are those of the columns, and columns are values of the rows; all instruction sets and threads agree."""
    matrix = random_matrix(5, (35 << log_data) + 5, 18, 1, 100, log_data, log_size)
    positions = np.arange(1 << log_size - 1, dtype=np.uint32)
    results = with_all(lambda: (matrix.column_digests(bytes(32)), matrix.columns(positions)))
    digests, columns = results[0]
    assert all(np.array_equal(digests, d) and np.array_equal(columns, c) for d, c in results)
    for position in range(0, len(positions), 61):
        column = columns[position].astype("<u8").tobytes()
        assert digests[position].tobytes() == leaf_digest(salt(bytes(32), position), column)
    some = [0, 1, 77, len(positions) - 1]
    both = to_pairs([x for w in points(some, log_size) for x in (w, w.inverse())])
    for row in (0, 16, 17, 18):
        polynomial = to_pairs(coefficient_rows(matrix)[row])
        assert np.array_equal(evaluate_powers(polynomial, both).reshape(-1, 2, 2), columns[some, row])


def test_the_longest_rows():
    """A row of cells and one of K of 2^21 coefficients: opened columns are their values, digests those of the columns."""
    chosen = choose(2**27).code
    matrix = random_matrix(7, (2 << chosen.log_data) - 3, 1, 1, chosen.tail, chosen.log_data, chosen.log_size)
    assert chosen.log_data == parameters.MAX_LOG_DATA
    positions = [0, 1, 12_345, chosen.columns - 1]
    digests, columns = matrix.column_digests(bytes(32)), matrix.columns(np.array(positions, dtype=np.uint32))
    both = to_pairs([x for w in points(positions, chosen.log_size) for x in (w, w.inverse())])
    cells = np.zeros(2 << chosen.log_data, dtype=np.uint64)
    cells[: len(matrix.cells)] = matrix.cells
    data = (np.ascontiguousarray(cells.reshape(2, -1).T), unblock(matrix.elements))
    for row, values in enumerate(data):
        polynomial = np.concatenate([values, matrix.tails[row]])
        assert np.array_equal(evaluate_powers(polynomial, both).reshape(-1, 2, 2), columns[:, row])
    for position, column in zip(positions, columns, strict=True):
        assert digests[position].tobytes() == leaf_digest(salt(bytes(32), position), column.astype("<u8").tobytes())


def test_points_of_a_column():
    for log_size in (3, 7):
        found = points(range(1 << log_size - 1), log_size)
        assert found == [reference.column_point(s, log_size) for s in range(1 << log_size - 1)]
        assert all(w * w.conjugate() == 1 for w in found)
        everything = {x for w in found for x in (w, w.conjugate())}
        assert len(everything) == 1 << log_size and all(x ** (1 << log_size) == -1 * K(1) for x in everything)


@pytest.mark.parametrize("count", [0, 1, 64 * 7, 64 * 7 + 3, 64 * 10])
def test_combination_of_rows(instruction_set, count):
    matrix = random_matrix(count, count, 5, 2, 9, 6, 8)
    weights = from_pairs(random_pairs(9, 12))
    row, tail = matrix.combine(to_pairs(weights))
    expected = [K(0)] * 73
    rows = coefficient_rows(matrix)
    for j in range(73):
        for r in range(5):
            expected[j] = expected[j] + weights[2 * r] * rows[r][j].re + weights[2 * r + 1] * rows[r][j].im
        for r in range(2):
            expected[j] = expected[j] + weights[10 + r] * rows[5 + r][j]
    assert from_pairs(unblock(row)) + from_pairs(tail) == expected


def test_combination_of_thousands_of_rows():
    """Sums stay exact beyond the number of rows that one reduction covers."""
    cells = np.full(64 * 5000, 2**32 - 1, dtype=np.uint32)
    matrix = Matrix(cells, 2500, np.zeros((0, 2, 8), np.uint64), np.zeros((2500, 0, 2), np.uint64), 6, 7)
    row, _ = matrix.combine(np.full((5000, 2), P - 1, dtype=np.uint64))
    assert set(from_pairs(unblock(row))) == {K(-5000 * (2**32 - 1), -5000 * (2**32 - 1))}


def test_a_pair_gives_both_real_rows():
    matrix = random_matrix(4, 64 * 6, 3, 0, 5, 6, 7)
    columns = matrix.columns(np.array([2, 50], dtype=np.uint32))
    real, imaginary = from_pairs(random_pairs(1, 3)), from_pairs(random_pairs(2, 3))
    direct, conjugate = pair_weights(real, imaginary)
    values = from_pairs(combine_columns(columns, to_pairs(direct), to_pairs(conjugate)).reshape(-1, 2))
    rows = coefficient_rows(matrix)
    both = [x for w in points([2, 50], 7) for x in (w, w.inverse())]
    for j, w in enumerate(both):
        expected = K(0)
        for e, f, row in zip(real, imaginary, rows, strict=True):
            expected = expected + e * reference.evaluate([K(c.re) for c in row], w)
            expected = expected + f * reference.evaluate([K(c.im) for c in row], w)
        assert values[j] == expected


def test_tables_of_the_recursion(instruction_set):
    x, y = (random_pairs(seed, 64).reshape(-1, 2, 8) for seed in (1, 2))
    r = from_pairs(random_pairs(3, 1))[0]
    a, b = from_pairs(unblock(x)), from_pairs(unblock(y))
    message = from_pairs(half_round(x, y))
    assert message[0] == sum((a[j] * b[j] for j in range(32)), K(0))
    assert message[1] == sum(((a[32 + j] - a[j]) * (b[32 + j] - b[j]) for j in range(32)), K(0))
    bound = from_pairs(unblock(bind_half(x.copy(), to_pairs([r])[0])))
    assert bound == [a[j] + r * (a[32 + j] - a[j]) for j in range(32)]


def test_power_weights():
    bases, coefficients = from_pairs(random_pairs(1, 5)), from_pairs(random_pairs(2, 5))
    weights = from_pairs(power_weights(to_pairs(bases), to_pairs(coefficients), 200))
    for x in (0, 1, 63, 64, 199):
        assert weights[x] == sum((c * p**x for c, p in zip(coefficients, bases, strict=True)), K(0))


# ---- commitments -----------------------------------------------------------------------------------------------------


def test_root_is_the_slow_twins():
    code = Code(3, 6, 12, 8, 6)
    vector = np.random.default_rng(1).integers(0, 1 << 32, size=200, dtype=np.uint32)
    committed = Commitment(vector, Parameters(200, code, ()), SecretStream(bytes(32)))
    stream = SecretStream(bytes(32))
    blinding, tails, seed = from_pairs(unblock(stream.pairs(64).reshape(-1, 2, 8))), stream.pairs(3, 12), stream.bytes(32)
    rows = [reference.packed_row(vector, row, 64, from_pairs(tails[row])) for row in range(2)]
    rows.append(blinding + from_pairs(tails[2]))
    assert committed.root == reference.merkle_root([reference.leaf(rows, s, 8, seed) for s in range(128)])


def test_equal_vectors_have_unrelated_commitments():
    vector = np.arange(100, dtype=np.uint32)
    roots = {commit(vector, choose(100), SecretStream()).root for _ in range(3)}
    assert len(roots) == 3
    assert len({commit(vector, choose(100), None).root for _ in range(3)}) == 1


def test_misuse_is_named():
    with pytest.raises(ValueError, match="vector: expected shape"):
        commit(np.zeros(5, np.uint32), choose(6), None)
    with pytest.raises(TypeError, match="vector: expected dtype uint32"):
        commit(np.zeros(6, np.int64), choose(6), None)
    with pytest.raises(ValueError, match="cells: expected 1 to"):
        choose(0)
    with pytest.raises(TypeError, match="cells: expected an int"):
        choose(3.0)
    with pytest.raises(ValueError, match="rejected an argument"):
        random_matrix(0, 64, 1, 0, 0, 6, 7).columns(np.array([64], dtype=np.uint32))
    with pytest.raises(ValueError, match="cells: expected at most"):
        random_matrix(0, 129, 1, 0, 0, 6, 7)


# ---- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [1, 255, 256, 257, 10**5, 2**19, 10**6, 2**25, 10**9, 2**40])
def test_parameters_reach_the_query_target_with_the_fewest_queries(cells):
    chosen = choose(cells)
    assert chosen.packed_rows * 2 << chosen.code.log_data >= cells
    assert chosen.code.tail == 2 * chosen.code.queries
    assert chosen.code.log_size <= 22
    log_data = chosen.code.log_data
    for level, code in enumerate((chosen.code, *chosen.recursion)):
        length = (1 << code.log_data) + code.tail
        assert length < code.points and code.queries <= code.columns
        term = code.query_term("queries")
        assert term.total_bits >= QUERY_BITS
        fewer = (code.queries - 1) * parameters._query_bits(length - (2 if level == 0 else 0), code.log_size)
        assert fewer + term.grinding < QUERY_BITS
        if level:
            assert code.rows << code.log_data == 1 << log_data and code.tail == 0
        log_data = code.log_data
    assert log_data <= parameters.CLEAR_LOG_DATA


def test_encodings_of_parameters_differ():
    assert len({choose(cells).encode() for cells in (1, 2, 256, 10**5, 10**6)}) == 5


def test_row_terms():
    chosen = choose(10**6)
    assert chosen.row_term(chosen.code.log_data - 1) is None
    term = chosen.row_term(chosen.code.log_data)
    assert term is not None and term.bits == pytest.approx(122 - chosen.code.log_size)
