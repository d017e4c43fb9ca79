"""The lookup argument: both sides through bytes, claims against the vector, and provers that cheat."""

import importlib
from dataclasses import dataclass

import numpy as np
import pytest

from tests.reference import fractions as slow
from zkds import native
from zkds.channel import DryRun, ProverChannel, VerifierChannel
from zkds.commit.layout import Column, Layout
from zkds.field import ONE, ZERO, K
from zkds.lookup import (
    MULTIPLICITIES,
    ExplicitTable,
    Lookup,
    LookupPlan,
    NotInTable,
    RangeTable,
    argument,
    multiplicities,
    multiplicity_column,
    prove,
    tree,
    verify,
)
from zkds.lookup.plan import MIN_LOG_CHUNK, cut_into_chunks
from zkds.lookup.subcubes import covering_subcubes, weights_below
from zkds.lookup.tables import TableSide, canonical_tables
from zkds.multilinear import evaluate_integers
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter

counting = importlib.import_module("zkds.lookup.multiplicities")  # the package exports a function of this name
NOT_IN_TABLE = "LogUp: what is looked up is not what the tables hold"
SIGNS = ExplicitTable.of(np.array([[limb, limb >= 8] for limb in range(16)], dtype=np.uint32))
TRIPLES = ExplicitTable.of(np.array([[a, b, a * b + 5] for a in range(3) for b in range(4)], dtype=np.uint32))


@dataclass
class Example:
    lookups: list[Lookup]
    layout: Layout
    vector: np.ndarray

    def column(self, name):
        return self.layout.read(self.vector, name)


def make_example(columns, lookups, values):
    lookups = list(lookups)
    layout = Layout([*columns, multiplicity_column(lookups)], [lookup.primary for lookup in lookups])
    # cells that no column owns hold garbage: nothing may depend on them
    vector = np.random.default_rng(0).integers(0, 2**32, size=layout.cells, dtype=np.uint32)
    for name, array in values.items():
        layout.write(vector, name, array)
    multiplicities(lookups, layout, vector)
    return Example(lookups, layout, vector)


def mixed_example(scale=1):
    """Ranges of two widths, pairs and triples, shapes that are cut into many boxes."""
    rng = np.random.default_rng(7)
    columns = [
        Column("wide", (7, 30 * scale)),
        Column("top", (9, 5)),
        Column("sign", (9, 5)),
        Column("narrow", (13,)),
        Column("a", (11, 3)),
        Column("b", (11, 3)),
        Column("c", (11, 3)),
    ]
    lookups = [
        Lookup(RangeTable(6), "wide"),
        Lookup(RangeTable(2), "narrow"),
        Lookup(SIGNS, "top", ("sign",)),
        Lookup(TRIPLES, "a", ("b", "c")),
    ]
    top = rng.integers(0, 16, size=(9, 5))
    a, b = rng.integers(0, 3, size=(11, 3)), rng.integers(0, 4, size=(11, 3))
    values = {
        "wide": rng.integers(0, 64, size=(7, 30 * scale)),
        "narrow": rng.integers(0, 4, size=13),
        "top": top,
        "sign": (top >= 8).astype(np.int64),
        "a": a,
        "b": b,
        "c": a * b + 5,
    }
    return make_example(columns, lookups, values)


def range_example(cells, bits=4):
    values = np.random.default_rng(3).integers(0, 1 << bits, size=cells)
    return make_example([Column("x", (cells,))], [Lookup(RangeTable(bits), "x")], {"x": values})


def prove_bytes(example, **options):
    writer = ProofWriter()
    claims = prove(ProverChannel(Transcript(), writer, None), example.lookups, example.layout, example.vector, **options)
    return writer.to_bytes(), claims


def run_verifier(example, data, **options):
    """(reasons of the constraints that fail, claims as (pieces, value))."""
    channel = VerifierChannel(Transcript(), ProofReader(data))
    claims = verify(channel, example.lookups, example.layout, **options)
    channel.reader.finish()
    variables = channel.constraints.variables([ZERO] * channel.constraints.messages)
    failed = [reason for reason, expression in channel.constraints.equations if expression.evaluate(variables)]
    return failed, [(claim.pieces, claim.value.evaluate(variables)) for claim in claims]


def weigh(pieces, vector):
    total = ZERO
    for piece in pieces:
        size = 1 << len(piece.point)
        assert piece.offset % size == 0
        cells = vector[piece.offset : piece.offset + size]
        assert len(cells) == size
        total = total + piece.scale * evaluate_integers(np.ascontiguousarray(cells), piece.point)
    return total


def false_claims(example, claims):
    return [j for j, (pieces, value) in enumerate(claims) if weigh(pieces, example.vector) != value]


def check_honest(example, **options):
    data, prover_claims = prove_bytes(example, **options)
    failed, claims = run_verifier(example, data, **options)
    assert failed == []
    assert false_claims(example, claims) == []
    assert [(list(c.pieces), c.value) for c in prover_claims] == [(list(pieces), value) for pieces, value in claims]
    return data, claims


# ---- honest provers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [1, 7, 8, 9, 1000, 1024, 1025, 3000])
def test_range_checks(cells):
    check_honest(range_example(cells))


@pytest.mark.parametrize("bits", [0, 1, 3, 5])
def test_small_ranges(bits):
    check_honest(range_example(50, bits))


def test_tuples_and_several_tables():
    check_honest(mixed_example())


def test_several_chunks():
    example = mixed_example(scale=20)
    plan = LookupPlan(example.lookups, example.layout, MIN_LOG_CHUNK)
    assert len(plan.chunks) == 5
    _, claims = check_honest(example, max_log_chunk=MIN_LOG_CHUNK)
    assert len(claims) == 6


def test_boxes_larger_than_a_chunk():
    rng = np.random.default_rng(8)
    top = rng.integers(0, 16, size=4096)
    columns = [Column("top", (4096,)), Column("sign", (4096,))]
    lookups = [Lookup(SIGNS, "top", ("sign",))]
    check_honest(make_example(columns, lookups, {"top": top, "sign": top >> 3}), max_log_chunk=MIN_LOG_CHUNK)


def test_every_mode_makes_the_same_proof():
    example = mixed_example(scale=200)
    before = native.instruction_set(), native.threads()
    proofs = set()
    for name in native.available_instruction_sets():
        for threads in (1, 2):
            native.select_instruction_set(name)
            native.set_threads(threads)
            proofs.add(prove_bytes(example)[0])
    native.select_instruction_set(before[0])
    native.set_threads(before[1])
    assert len(proofs) == 1


def test_lambda_zero_in_the_lowest_layer(monkeypatch):
    """The prover stores the leaves then: same messages, whichever way."""
    example = range_example(200)
    monkeypatch.setattr(tree.LeafTree, "_bind_leaves", tree.LeafTree._bind_stored_leaves)
    stored = prove_bytes(example)[0]
    monkeypatch.undo()
    assert stored == prove_bytes(example)[0]


def test_dry_run_has_the_shape_of_a_proof():
    example = mixed_example()
    channel = ProverChannel(Transcript(), ProofWriter(), None)
    prove(channel, example.lookups, example.layout, example.vector)
    replay = channel.replay()
    verify(replay, example.lookups, example.layout)
    dry = DryRun()
    verify(dry, example.lookups, example.layout)
    assert dry.constraints.messages == replay.constraints.messages
    assert dry.constraints.products == replay.constraints.products
    assert dry.budget.terms == channel.budget.terms == replay.budget.terms
    variables = replay.constraints.variables([ZERO] * replay.constraints.messages)
    assert not any(expression.evaluate(variables) for _, expression in replay.constraints.equations)


def test_encrypted_messages_satisfy_the_same_constraints():
    example = mixed_example()
    dry = DryRun()
    verify(dry, example.lookups, example.layout)
    rng = np.random.default_rng(6)
    pads = [K(int(a), int(b)) for a, b in rng.integers(0, 2**61 - 1, size=(dry.constraints.messages, 2))]
    writer = ProofWriter()
    prove(ProverChannel(Transcript(), writer, pads), example.lookups, example.layout, example.vector)
    channel = VerifierChannel(Transcript(), ProofReader(writer.to_bytes()))
    claims = verify(channel, example.lookups, example.layout)
    variables = channel.constraints.variables(pads)
    assert not any(expression.evaluate(variables) for _, expression in channel.constraints.equations)
    values = [claim.value.evaluate(variables) for claim in claims]
    assert values == [weigh(claim.pieces, example.vector) for claim in claims]
    wrong = channel.constraints.variables([pads[0] + 1, *pads[1:]])
    assert any(expression.evaluate(wrong) for _, expression in channel.constraints.equations)


def test_the_root_is_the_sum_of_the_twin():
    """alpha, beta and (P, Q) from the transcript, against leaves computed cell by cell."""
    example = mixed_example()
    data, _ = prove_bytes(example)
    channel = VerifierChannel(Transcript(), ProofReader(data))
    plan = LookupPlan(example.lookups, example.layout)
    beta, alpha = (channel.challenge(term) for term in argument.challenge_terms(plan))
    p, q, inverse = channel.receive("LogUp: root", 3)
    assert (p.constant, q.constant) == slow.root([ONE] * 1024, slow_leaves(example, alpha, beta, 1024))
    assert q.constant * inverse.constant == 1


def slow_leaves(example, alpha, beta, count):
    leaves = [alpha] * count
    side = TableSide(canonical_tables(lookup.table for lookup in example.lookups))
    for lookup in example.lookups:
        columns = [example.column(name) for name in (lookup.primary, *lookup.secondary)]
        for box in example.layout.boxes(lookup.primary):
            rows = zip(*(column[box.slices].reshape(-1).tolist() for column in columns), strict=True)
            for x, row in enumerate(rows, start=box.offset):
                leaves[x] = alpha - slow.fingerprint(beta, side.tags[lookup.table], row)
    return leaves


def test_denominators_of_the_tables():
    side = TableSide(canonical_tables([SIGNS, RangeTable(3), TRIPLES, RangeTable(5), RangeTable(3)]))
    assert [table.rows for table in side.tables] == [32, 8, 16, 12]
    alpha, beta = K(3, 5), K(11, 13)
    point = [K(17 + j, 19 * j) for j in range(side.variables)]
    leaves = [ONE] * (1 << side.variables)
    for table, offset in zip(side.tables, side.offsets, strict=True):
        for j, row in enumerate(zip(*(column.tolist() for column in table.columns()), strict=True)):
            leaves[offset + j] = alpha - slow.fingerprint(beta, side.tags[table], row)
    assert side.denominator(alpha, beta, point) == slow.extension(leaves, point)


# ---- provers that cheat: the exact constraint that fails ------------------------------------------------------------------


def cheat_cell(example, name, index, value):
    column = example.column(name)
    column[index] = value
    example.layout.write(example.vector, name, column)


def failures(example, **options):
    return run_verifier(example, prove_bytes(example, **options)[0], **options)[0]


@pytest.mark.parametrize("options", [{}, {"max_log_chunk": MIN_LOG_CHUNK}], ids=["one chunk", "many chunks"])
def test_rejects_a_limb_out_of_range(options):
    example = range_example(2100)
    cheat_cell(example, "x", 2000, 16)
    assert failures(example, **options) == [NOT_IN_TABLE]


def test_rejects_another_value_of_the_table():
    example = range_example(100)
    cheat_cell(example, "x", 50, (int(example.column("x")[50]) + 1) % 16)
    assert failures(example) == [NOT_IN_TABLE]  # the multiplicities are of the other value


def test_rejects_a_wrong_multiplicity():
    example = range_example(100)
    cheat_cell(example, MULTIPLICITIES, 5, int(example.column(MULTIPLICITIES)[5]) + 1)
    assert failures(example) == [NOT_IN_TABLE]


@pytest.mark.parametrize("name", ["top", "sign", "a", "b", "c"])
def test_rejects_a_row_whose_columns_do_not_match(name):
    example = mixed_example()
    index = (3, 1)
    cheat_cell(example, name, index, int(example.column(name)[index]) ^ 1)
    assert failures(example) == [NOT_IN_TABLE]


def test_rejects_a_value_of_another_columns_table():
    """16 is in the table of `wide`, not in that of `narrow`: tags keep them apart."""
    example = mixed_example()
    old = int(example.column("narrow")[2])
    cheat_cell(example, "narrow", 2, 16)
    counts = example.column(MULTIPLICITIES)
    counts[64 + old] -= 1  # rows of the table of 6 bits, then of 2 bits
    counts[16] += 1
    example.layout.write(example.vector, MULTIPLICITIES, counts)
    assert failures(example) == [NOT_IN_TABLE]


def test_unused_leaves_count_for_nothing():
    """A prover that counts the 24 unused leaves as lookups of the value 0 is rejected."""
    example = range_example(1000)
    counts = example.column(MULTIPLICITIES)
    counts[0] += 24
    example.layout.write(example.vector, MULTIPLICITIES, counts)
    assert failures(example) == [NOT_IN_TABLE]


def test_cells_beyond_the_checked_part_do_not_matter():
    example = range_example(1000)
    data = prove_bytes(example)[0]
    columns = {name: example.column(name) for name in ("x", MULTIPLICITIES)}
    example.vector[:] = 2**32 - 1
    for name, column in columns.items():
        example.layout.write(example.vector, name, column)
    assert prove_bytes(example)[0] == data


def tampering_channel(label, occurrence, change):
    """A prover's channel that changes one message; what follows is computed as if it had not."""

    class Tampering(ProverChannel):
        seen = 0

        def send(self, sent_label, values):
            if sent_label == label:
                if self.seen == occurrence:
                    values = change(list(values))
                self.seen += 1
            super().send(sent_label, values)

    return Tampering


def add_one(position):
    def change(values):
        values[position] = values[position] + 1
        return values

    return change


def tampered_failures(example, label, occurrence, change, **options):
    writer = ProofWriter()
    channel = tampering_channel(label, occurrence, change)(Transcript(), writer, None)
    prove(channel, example.lookups, example.layout, example.vector, **options)
    failed, claims = run_verifier(example, writer.to_bytes(), **options)
    return failed, false_claims(example, claims)


def test_rejects_a_wrong_inverse():
    failed, _ = tampered_failures(range_example(100), "LogUp: root", 0, add_one(2))
    assert failed == ["LogUp: a denominator is zero"]


def test_rejects_a_wrong_numerator_of_the_root():
    failed, _ = tampered_failures(range_example(100), "LogUp: root", 0, add_one(0))
    assert failed == ["LogUp: layer of the tree", NOT_IN_TABLE]


def test_rejects_a_wrong_numerator_of_the_tables():
    failed, _ = tampered_failures(range_example(100), "LogUp: root", 1, add_one(0))
    assert failed == ["LogUp: layer of the tree", NOT_IN_TABLE]


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("occurrence", [0, 3, 20, 44, 45, 50])
def test_rejects_a_wrong_round(occurrence, position):
    """Rounds of the first chunk are 0 to 44 (layers of 0 to 9 variables), then those of the table."""
    failed, _ = tampered_failures(range_example(100, 5), "LogUp: round polynomial", occurrence, add_one(position))
    assert failed == ["LogUp: layer of the tree"]


@pytest.mark.parametrize("position", range(4))
def test_rejects_wrong_children(position):
    failed, _ = tampered_failures(range_example(100), "LogUp: children", 4, add_one(position))
    assert set(failed) == {"LogUp: layer of the tree"}


def test_rejects_wrong_leaves():
    failed, false = tampered_failures(range_example(100), "LogUp: children", 9, add_one(1))
    assert (failed, false) == (["LogUp: layer of the tree"], [0])


def test_a_consistent_lie_about_the_leaves_ends_in_a_false_claim():
    """q0 + d and q1 - e with the layer's equation kept: nothing fails but the claim on V."""
    example = range_example(100)
    lambdas = []

    class Lying(ProverChannel):
        def challenge(self, term):
            drawn = super().challenge(term)
            if term == tree.LAMBDA_TERM:
                lambdas.append(drawn)
            return drawn

        def send(self, label, values):
            if label == "LogUp: children" and len(values) == 2:
                q0, q1, lam = *values, lambdas[-1]
                total = q0 + q1 + lam * q0 * q1
                q0 = q0 + 1
                values = [q0, (total - q0) * (1 + lam * q0).inverse()]
            super().send(label, values)

    writer = ProofWriter()
    prove(Lying(Transcript(), writer, None), example.lookups, example.layout, example.vector)
    failed, claims = run_verifier(example, writer.to_bytes())
    assert (failed, false_claims(example, claims)) == ([], [0])


def test_rejects_wrong_leaves_of_the_tables():
    failed, _ = tampered_failures(range_example(100, 5), "LogUp: children", 14, add_one(3))
    assert failed == ["LogUp: layer of the tree", "LogUp: denominators of the tables"]


@pytest.mark.parametrize(("position", "what"), [(0, "numerator"), (1, "denominator")])
def test_rejects_a_wrong_sum_of_the_chunks(position, what):
    options = {"max_log_chunk": MIN_LOG_CHUNK}
    failed, _ = tampered_failures(range_example(1500), "LogUp: sum", 0, add_one(position), **options)
    assert failed == [f"LogUp: {what} of the sum of the chunks", NOT_IN_TABLE]


def test_the_prover_stops_at_a_denominator_of_zero():
    """alpha = a cell's fingerprint: the product of the denominators has no inverse that it could send."""
    example = range_example(100)
    beta_alpha = iter([K(0), K(int(example.column("x")[7]))])

    class Chosen(ProverChannel):
        def challenge(self, term):
            drawn = super().challenge(term)
            return next(beta_alpha, drawn)

    with pytest.raises(argument.ZeroDenominator):
        prove(Chosen(Transcript(), ProofWriter(), None), example.lookups, example.layout, example.vector)


# ---- the plan -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log_chunk", [10, 12, 26])
def test_chunks_cover_the_leaves(log_chunk):
    for leaves in [1, 1023, 1024, 1025, 3000, 4096, 5000, 65535, 70001, 1 << 20, (1 << 20) + 1]:
        chunks = cut_into_chunks(leaves, log_chunk)
        assert all(chunk.start % (1 << chunk.log_size) == 0 for chunk in chunks)
        assert all(MIN_LOG_CHUNK <= chunk.log_size <= log_chunk for chunk in chunks)
        ends = [chunk.end for chunk in chunks]
        assert [0, *ends] == [chunk.start for chunk in chunks] + [leaves]
        total = sum(1 << chunk.log_size for chunk in chunks)
        assert total - leaves <= max(leaves // 15, 1023)
        assert sum(chunk.log_size < log_chunk for chunk in chunks) <= 4


def test_ranges_as_subcubes():
    point = [K(j + 2, j) for j in range(6)]
    for start, end in [(0, 64), (0, 63), (3, 17), (8, 16), (5, 6), (9, 64)]:
        cubes = covering_subcubes(start, end)
        assert [x for first, log in cubes for x in range(first, first + (1 << log))] == list(range(start, end))
        assert all(first % (1 << log) == 0 for first, log in cubes)
    for ends in (range(65), (0, 1, 7, 33, 64), (8, 12, 13, 13, 40, 48, 63), (64, 64)):
        for end, weight in zip(ends, weights_below(point, ends), strict=True):
            values = [K(int(x < end)) for x in range(64)]
            assert weight == slow.extension(values, point)


def test_multiplicities_name_the_column():
    columns = [Column("x", (10,)), Column("y", (10,))]
    values = {"x": np.arange(10), "y": np.zeros(10, dtype=np.int64)}
    with pytest.raises(NotInTable, match=r"^x: not in a table of 8 rows$"):
        make_example(columns[:1], [Lookup(RangeTable(3), "x")], {"x": values["x"]})
    with pytest.raises(NotInTable, match=r"^x, y: not in a table of 16 rows$"):
        make_example(columns, [Lookup(SIGNS, "x", ("y",))], values)


def test_multiplicities_of_tuples():
    example = mixed_example()
    counts = example.column(MULTIPLICITIES)[64 + 4 + 16 :]
    rows = list(zip(*(example.column(name).reshape(-1).tolist() for name in "abc"), strict=True))
    expected = [rows.count(tuple(row)) for row in zip(*(c.tolist() for c in TRIPLES.columns()), strict=True)]
    assert counts.tolist() == expected
    assert sum(expected) == 33


@pytest.mark.parametrize("direct", [0, 2**24])
def test_rows_are_found_by_address_and_by_search(monkeypatch, direct):
    monkeypatch.setattr(counting, "MAX_DIRECT", direct)
    rng = np.random.default_rng(9)
    rows = np.unique(rng.integers(0, [2**32, 5, 2**32], size=(200, 3), dtype=np.uint32), axis=0)
    table = ExplicitTable.of(rng.permutation(rows))
    chosen = rng.integers(0, table.rows, size=500)
    columns = [np.ascontiguousarray(column[chosen]) for column in table.columns()]
    np.testing.assert_array_equal(counting._row_numbers(table, columns), chosen)
    for k in range(3):
        for value in (0, 2**32 - 1):
            wrong = [column.copy() for column in columns]
            wrong[k][77] = value
            row = [int(column[77]) for column in wrong]
            assert (counting._row_numbers(table, wrong) is not None) == (row in rows.tolist())


def test_plan_refuses_what_does_not_fit():
    x, y = Column("x", (10,)), Column("y", (9,))
    lookup = Lookup(RangeTable(4), "x")
    counts = multiplicity_column([lookup])
    with pytest.raises(ValueError, match="lookups: expected at least one"):
        LookupPlan([], Layout([x]))
    with pytest.raises(ValueError, match="every column of the checked part"):
        LookupPlan([lookup], Layout([x, y, counts], ["x", "y"]))
    with pytest.raises(ValueError, match="every column of the checked part"):
        LookupPlan([lookup, lookup], Layout([x, counts], ["x"]))
    with pytest.raises(ValueError, match=r"y: expected shape \(10,\) of x"):
        pair = Lookup(SIGNS, "x", ("y",))
        LookupPlan([pair], Layout([x, y, multiplicity_column([pair])], ["x"]))
    with pytest.raises(ValueError, match=r"multiplicities: expected shape \(16,\)"):
        LookupPlan([lookup], Layout([x, Column(MULTIPLICITIES, (17,))], ["x"]))
    with pytest.raises(ValueError, match="x: expected 2 columns, got 1"):
        Lookup(SIGNS, "x")
    with pytest.raises(ValueError, match="distinct rows"):
        ExplicitTable.of(np.zeros((2, 1), dtype=np.uint32))
    with pytest.raises(ValueError, match="bits: expected 0 to 26, got 27"):
        RangeTable(27)
