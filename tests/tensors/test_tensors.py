"""Claims about tensors (zkds/tensors/tensor.py), through whole proofs: points, vectors along any axis, several at once."""

from __future__ import annotations

import random

import numpy as np
import pytest

from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim
from zkds.commit.layout import Column, Layout
from zkds.errors import ConstraintRejected, PlanRejected
from zkds.field import ZERO, K, P, from_pairs, unblock
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.lookup import Lookup, RangeTable
from zkds.multilinear import index_weight
from zkds.prover import prove
from zkds.tensors.axes import Axis, EqAxis, VectorAxis, axes_table, ones_axis
from zkds.tensors.linear import HighestFirst
from zkds.tensors.tensor import Book, ColumnReader, Committed, ProverContext, TensorClaim, VectorReader, VerifierContext
from zkds.verifier import verify

SHAPE = (3, 5, 4)
FORMAT = LimbFormat(16, 41, True)


def scalar(rng: random.Random) -> K:
    return K(rng.randrange(P), rng.randrange(P))


def axes(kind: str, rng: random.Random) -> list[Axis]:
    """One letter for each axis: e for a point, v for a vector, s for a sum."""
    made: list[Axis] = []
    for letter, length in zip(kind, SHAPE, strict=True):
        if letter == "e":
            made.append(EqAxis(length, tuple(scalar(rng) for _ in range((length - 1).bit_length()))))
        elif letter == "v":
            made.append(VectorAxis.of([scalar(rng) for _ in range(length)]))
        else:
            made.append(ones_axis(length))
    return made


class ClaimsOnOne:
    """A relation of fixed claims on one committed tensor; their values are public."""

    name = "claims on one tensor"

    def __init__(self, kinds: list[str], values: np.ndarray | None = None, error: int = 0) -> None:
        rng = random.Random(11)
        self.tensor = Committed(LimbColumns("t", FORMAT, SHAPE))
        self.claims = [(axes(kind, rng), [scalar(rng) for _ in range(FORMAT.limbs)]) for kind in kinds]
        self.values = [ZERO for _ in kinds]
        if values is not None:
            digits = FORMAT.coefficients(FORMAT.split("t", values))
            self.values = [self._sum(axes, weights, digits) for axes, weights in self.claims]
            self.values[-1] = self.values[-1] + error
        self.kinds = kinds

    def _sum(self, axes: list[Axis], weights: list[K], digits: list[np.ndarray]) -> K:
        vectors = [from_pairs(axis.vector()) for axis in axes]
        total = ZERO
        for index in np.ndindex(*SHAPE):
            product = vectors[0][index[0]] * vectors[1][index[1]] * vectors[2][index[2]]
            for weight, digit in zip(weights, digits, strict=True):
                total = total + product * weight * int(digit[index])
        return total

    @property
    def columns(self) -> list[Column]:
        return self.tensor.columns.columns

    @property
    def lookups(self) -> list[Lookup]:
        return [Lookup(RangeTable(width), name) for name, width in self.tensor.columns.widths.items()]

    def encode(self) -> bytes:
        return b"claims on one" + b"".join(value.to_bytes() for value in self.values)

    def check(self) -> None:
        pass

    def prove(self, channel: ProverChannel, layout: Layout, vector: np.ndarray) -> list[Claim]:
        context = ProverContext(channel, layout, VectorReader(layout, vector))
        for (axes, weights), value in zip(self.claims, self.values, strict=True):
            context.book.add(self.tensor, axes, weights, value)
        channel.send("values", self.values)
        self.tensor.prove_claims(context)
        return context.book.finished()

    def verify(self, channel: VerifierEnd, layout: Layout) -> list[Claim]:
        context = VerifierContext(channel, layout)
        received = channel.receive("values", len(self.claims))
        for (axes, weights), value, public in zip(self.claims, received, self.values, strict=True):
            channel.assert_zero(value - public, "value")
            context.book.add(self.tensor, axes, weights, value)
        self.tensor.verify_claims(context)
        return context.book.finished()


def proof(relation: ClaimsOnOne, values: np.ndarray) -> bytes:
    return prove(relation, relation.tensor.columns.split(values), zero_knowledge=False)


@pytest.mark.parametrize("kinds", [["eee"], ["vee"], ["eve"], ["eee", "sss"], ["vee", "evs", "vvv", "see"]])
def test_true_claims_are_accepted_and_false_ones_are_not(kinds):
    rng = np.random.default_rng(3)
    values = rng.integers(-(2**40), 2**40, SHAPE)
    relation = ClaimsOnOne(kinds, values)
    verify(proof(relation, values), relation, allow_plain=True)
    wrong = ClaimsOnOne(kinds, values, error=1)
    with pytest.raises(ConstraintRejected, match="batching: final claim"):
        verify(proof(wrong, values), wrong, allow_plain=True)


def test_axes():
    rng = random.Random(5)
    for kind in ("e", "v", "s"):
        axis = axes(kind + "ee", rng)[0]
        vector = from_pairs(axis.vector())
        point = [scalar(rng) for _ in range(axis.bits)]
        expected = ZERO
        for x, weight in enumerate(vector):
            expected = expected + weight * index_weight(point, x)
        assert axis.at(point) == expected
        assert axis.total() == sum(vector[1:], vector[0])
    with pytest.raises(ValueError, match="expected 2 coordinates, got 1"):
        axis.at(point[:1])
    with pytest.raises(ValueError, match="expected 2 coordinates for 3 entries"):
        EqAxis(3, ())
    with pytest.raises(ValueError, match="expected \\(length, 2\\) uint64"):
        VectorAxis(np.zeros(3, dtype=np.uint64))


def test_tables_of_axes():
    made = axes("eve", random.Random(6))
    table = from_pairs(unblock(axes_table(made)))
    vectors = [from_pairs(axis.vector()) for axis in made]
    for index in np.ndindex(4, 8, 4):
        inside = all(i < length for i, length in zip(index, SHAPE, strict=True))
        flat = (index[0] * 8 + index[1]) * 4 + index[2]
        expected = vectors[0][index[0]] * vectors[1][index[1]] * vectors[2][index[2]] if inside else ZERO
        assert table[flat] == expected


def test_the_book_refuses_what_would_not_be_proved():
    tensor = ClaimsOnOne(["eee"]).tensor
    book: Book[K] = Book()
    right = axes("eee", random.Random(1))
    with pytest.raises(ValueError, match="expected axes of"):
        book.add(tensor, right[:2], [ZERO] * 3, ZERO)
    with pytest.raises(ValueError, match="expected 3 digit weights, got 2"):
        book.add(tensor, right, [ZERO] * 2, ZERO)
    book.add(tensor, right, [ZERO] * 3, ZERO)
    with pytest.raises(ValueError, match="were not reduced"):
        book.finished()
    assert len(book.take(tensor)) == 1
    with pytest.raises(ValueError, match="after the tensor's turn"):
        book.add(tensor, right, [ZERO] * 3, ZERO)
    assert issubclass(PlanRejected, ValueError)


def test_digits_in_the_opposite_order_are_claims_on_the_tensor_itself():
    rng, values = random.Random(3), np.random.default_rng(3).integers(-(1 << 40), 1 << 40, SHAPE)
    tensor = Committed(LimbColumns("t", FORMAT, SHAPE))
    reader, reversed_tensor = ColumnReader(tensor.columns.split(values)), HighestFirst(tensor)
    tables = reversed_tensor.tables(reader)
    assert all(np.array_equal(a, b) for a, b in zip(tables, reader.tables(tensor)[::-1], strict=True))
    claim = TensorClaim(tuple(axes("evs", rng)), tuple(scalar(rng) for _ in tables), ZERO)
    (term,), constant = reversed_tensor.terms(claim)
    assert term.value(reader) == ClaimsOnOne(["eee"])._sum(claim.axes, claim.digit_weights, tables) and constant == ZERO
