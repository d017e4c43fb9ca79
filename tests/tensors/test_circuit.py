"""Circuits: what follows from their components; sums of tensors and equal tensors, proved and falsely claimed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.harness.limbs import join
from tests.harness.whole_proof import reject
from zkds.channel import ProverChannel
from zkds.errors import PlanRejected
from zkds.field import ONE, ZERO, P
from zkds.identities.equal import Equal
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.lookup import ExplicitTable, Lookup, RangeTable, multiplicities
from zkds.prover import prove, prove_vector
from zkds.statement import Statement
from zkds.tensors import tensor as tensor_module
from zkds.tensors.axes import eq_axes
from zkds.tensors.circuit import Circuit, ProvedByLookups
from zkds.tensors.linear import Addend, SumTensor
from zkds.tensors.tensor import ColumnReader, Committed, Recent, VectorWriter, draw_points
from zkds.verifier import verify

SHAPE = (3, 2, 5)
FALSE_CLAIM = "batching: final claim"


def committed(name, width=20, shape=SHAPE, *, signed=True, checked=True):
    return Committed(LimbColumns(name, LimbFormat(16, width, signed), shape), checked=checked)


class Named(ProvedByLookups):
    """A component that names tensors and lookups."""

    tensors, lookups = (), ()

    def __init__(self, *tensors, lookups=()):
        self.name, self.tensors, self.lookups = "named", tensors, lookups


def circuit(*components):
    made = Circuit("test", b"test")
    for component in components:
        made.add(component)
    return made


def names(tensors):
    return [tensor.name for tensor in tensors]


# ---- what follows from the components ---------------------------------------------------------------------------------------


def diamond():
    """top = left + right; left = a + b; right = b + left."""
    a, b = committed("a"), committed("b")
    left = SumTensor("left", [(a, 0), (b, 0)])
    right = SumTensor("right", [(b, 0), (left, 0)])
    return SumTensor("top", [(left, 0), (right, 0)]), left, right, a, b


def test_tensors_in_order_of_first_appearance():
    top, _left, right, a, b = diamond()
    assert names(circuit(Named(top)).tensors) == ["top", "left", "a", "b", "right"]
    assert names(circuit(Named(b), Named(right, top), Named(b, a)).tensors) == ["b", "right", "left", "a", "top"]


def test_claims_are_reduced_users_first():
    top, left, right, a, b = diamond()
    other = committed("other")
    assert names(circuit(Named(other, left), Named(top)).claim_order) == ["other", "top", "right", "left", "a", "b"]
    for parts in itertools.permutations([top, left, right, a, b]):
        made = circuit(Named(*parts))
        order = made.claim_order
        assert set(order) == set(made.tensors)
        for k, tensor in enumerate(order):
            assert all(order.index(source) > k for source in tensor.sources)
            used = {id(source) for later in order[k:] for source in later.sources}
            ready = [other for other in made.tensors if other in order[k:] and id(other) not in used]
            assert tensor is ready[0]


def test_a_tensor_that_is_made_of_itself():
    top, left, *_ = diamond()
    left.sources = (*left.sources, top)
    with pytest.raises(ValueError, match="test: a tensor is a source of itself"):
        _ = circuit(Named(top)).claim_order


def test_two_tensors_of_one_name():
    top, *_ = diamond()
    with pytest.raises(ValueError, match="test: two tensors are called 'a'"):
        _ = circuit(Named(top), Named(committed("a"))).columns


def test_columns_and_their_checks():
    top, *_, b = diamond()
    selector, index, value = (
        committed("selector", 1, signed=False, checked=False),
        committed("index", 16),
        committed("value", 1),
    )
    table = ExplicitTable.of(np.array([[0, 0], [1, 1]], dtype=np.uint32))
    lookup = Lookup(table, "index/0", ("value/0",))
    made = circuit(Named(selector, top), Named(b, value, index, lookups=(lookup,)))
    assert [column.name for column in made.columns] == ["selector/0", "a/0", "a/1", "b/0", "b/1", "value/0", "index/0"]
    expected = [("index/0", table), *(("a/0", 16), ("a/1", 4), ("b/0", 16), ("b/1", 4))]
    assert [lookup.primary for lookup in made.lookups] == [name for name, _ in expected]
    assert [lookup.table for lookup in made.lookups] == [table, *(RangeTable(bits) for _, bits in expected[1:])]


class Unnamed(Equal):
    """A component that does not name one of the tensors that it makes claims on."""

    def prove(self, context):
        super().prove(context)
        context.book.add(committed("hidden"), eq_axes(SHAPE, draw_points(context, "hidden", SHAPE)), [ONE, ONE], ZERO)


def test_columns_go_straight_into_a_vector():
    """As they go into a dictionary; values are gone when they are written."""
    given = EqualSums()
    layout = Statement(given.circuit).layout
    columns = given.columns()
    some = {name: columns[name] for name in list(columns)[:1]}
    writer = VectorWriter(layout)
    writer.add(some)
    assert all(name in writer for name in some)
    with pytest.raises(ValueError, match=r"columns: missing \['.*'\], unknown \[\]"):
        writer.finished(columns)
    writer.add((name, cells) for name, cells in columns.items() if name not in some)
    assert np.array_equal(writer.finished(columns), Statement(given.circuit).vector(columns))
    tensor = given.circuit.committed[0]
    values = {tensor.name: join(tensor.columns.format, tensor.columns.limbs(columns)), "another": np.zeros(1)}
    again = VectorWriter(layout)
    given.circuit.complete(again, values)
    assert list(values) == ["another"]
    assert all(np.array_equal(again.read(name), columns[name]) for name in tensor.columns.names)
    for found, expected in zip(tensor.tables_at(again, 1), tensor.tables(ColumnReader(columns)), strict=True):
        assert np.array_equal(found, expected[1])


def test_what_was_made_last_is_kept(monkeypatch):
    monkeypatch.setattr(tensor_module, "KEPT_BYTES", 10)
    made = []
    kept = Recent(lambda key: made.append(key) or key, lambda size: size, 3)
    for key in (1, 2, 3, 1, 4, 2, 9, 9, 20, 20, 1):
        assert kept[key] == key
    assert made == [1, 2, 3, 4, 2, 9, 20, 1]


def test_a_claim_on_a_tensor_that_no_component_names():
    given = EqualSums()
    a, *_ = given.operands
    with pytest.raises(ValueError, match=r"claims on \['hidden'\] were not reduced"):
        prove(circuit(Unnamed("unnamed", a, a)), a.columns.split(np.zeros(SHAPE, dtype=np.int64)), zero_knowledge=False)


# ---- sums and equal tensors -------------------------------------------------------------------------------------------------


def test_intervals_of_sums_are_attained():
    a, b = committed("a"), committed("b", 17, signed=False)
    tensor = SumTensor("sum", [Addend(a, 2), Addend(b, 17, -1)])
    assert tensor.interval == a.interval.times(4) - b.interval.times(1 << 17)
    columns = {}
    for high in (False, True):
        for source, largest in ((a, high), (b, not high)):
            value = source.interval.high if largest else source.interval.low
            columns |= source.columns.split(np.full(SHAPE, value))
        for digit, table in zip(tensor.digits, tensor.tables(ColumnReader(columns)), strict=True):
            assert (table == (digit.high if high else digit.low)).all()


def test_sums_of_what_does_not_fit():
    a, other = committed("a"), committed("b", shape=(3, 2))
    for addends in ([], [(a, 0), (other, 0)]):
        with pytest.raises(ValueError, match="sum: expected addends of one shape"):
            SumTensor("sum", addends)
    for addend in (Addend(a, -1), Addend(a, 0, 0), Addend(a, 0, 2)):
        with pytest.raises(ValueError, match="sum: expected shifts of 0 or more bits and signs 1 or -1"):
            SumTensor("sum", [addend])


class EqualSums:
    """2^18 a - b = c and, another way, a = 2^-18 (b + c); all committed."""

    def __init__(self):
        a, b, c = committed("a"), committed("b", 30), committed("c", 41)
        self.operands = a, b, c
        left = SumTensor("left", [Addend(a, 18), Addend(b, sign=-1)])
        right = SumTensor("right", [Addend(b), Addend(c)])
        self.circuit = circuit(
            Equal("difference", left, c), Equal("sum", SumTensor("shifted", [(a, 18)]), right), Equal("same", c, c)
        )

    def columns(self, error=0):
        generator = np.random.default_rng(5)
        a, b = generator.integers(-(1 << 19), 1 << 19, SHAPE), generator.integers(-(1 << 29), 1 << 29, SHAPE)
        c = (a << 18) - b
        c[2, 1, 4] += error
        a_columns, b_columns, c_columns = (
            tensor.columns.split(values) for tensor, values in zip(self.operands, (a, b, c), strict=True)
        )
        return a_columns | b_columns | c_columns


def test_equal_sums():
    given = EqualSums()
    proof = prove(given.circuit, given.columns())
    verify(proof, given.circuit)


def test_one_entry_differs():
    given = EqualSums()
    proof = prove(given.circuit, given.columns(error=1), zero_knowledge=False)
    assert reject(proof, given.circuit, allow_plain=True).reason == FALSE_CLAIM


@pytest.mark.parametrize("label", ["difference: value", "right: shares", "left: shares"])
def test_false_messages(label):
    class Lying(ProverChannel):
        def send(self, name, values):
            super().send(name, [value + (name == label) for value in values])

    given = EqualSums()
    statement = Statement(given.circuit)
    vector = statement.vector(given.columns())
    multiplicities(statement.lookups, statement.layout, vector)
    proof = prove_vector(statement, vector, zero_knowledge=False, channel_type=Lying)
    assert reject(proof, given.circuit, allow_plain=True).reason == FALSE_CLAIM


def test_equal_tensors_are_compared_over_the_integers():
    a, c = committed("a", 60, signed=False), committed("c", 60)
    b = SumTensor("b", [(a, 0), (a, 0)])
    assert (a.interval - b.interval).magnitude() == P - 1
    circuit(Equal("fits", a, b)).check()
    with pytest.raises(PlanRejected, match="wraps: the tensors may differ by p or more"):
        circuit(Equal("wraps", c, b)).check()
    b.interval = Interval(0, P)
    with pytest.raises(PlanRejected, match="wraps: the tensors may differ by p or more"):
        circuit(Equal("wraps", b, Committed(LimbColumns("bit", LimbFormat(16, 1, False), SHAPE)))).check()
    with pytest.raises(ValueError, match="shapes: expected tensors of one shape"):
        Equal("shapes", a, committed("e", shape=(3, 2)))
