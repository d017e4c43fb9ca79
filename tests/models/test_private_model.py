"""A committed model (circuits/models/private_model.py): through whole proofs, and against owners who change their weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.harness.layers import Layer, layered
from zkds.channel import ProverChannel, VerifierEnd
from zkds.circuits.models.private_model import MIN_CHUNK_BYTES, OpenedModel, PrivateModel, chunk_bytes, chunks
from zkds.claims import Claim
from zkds.commit.layout import Layout
from zkds.errors import ConstraintRejected
from zkds.field import K
from zkds.prover import prove
from zkds.soundness import algebraic
from zkds.tensors.axes import EqAxis
from zkds.tensors.tensor import Committed, ProverContext, VectorReader, VerifierContext
from zkds.verifier import verify

NETWORK = layered(
    (1, 6, 6),
    (Layer("conv", 3, 1, (3, 3), relu=True), Layer("fc", 10, 3, (4, 4), bias=True, relu=True), Layer("out", 60, 10, (1, 1))),
)


def weights(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.integers(-(2**43), 2**43, shape) for name, shape in NETWORK.parameters}


class Harness:
    """The relation alone, with a claim on every weight tensor as a circuit makes them."""

    name = "private model"

    def __init__(self, relation: PrivateModel) -> None:
        self.relation = relation
        committed = [tensor for tensor in relation.tensors if isinstance(tensor, Committed)]
        self.columns = [column for tensor in committed for column in tensor.columns.columns]
        self.lookups = [lookup for tensor in committed for lookup in tensor.range_checks]

    def encode(self) -> bytes:
        return self.relation.root

    def check(self) -> None:
        pass

    def _weights_claims(self, channel: ProverChannel | VerifierEnd):
        for tensor in self.relation.weights.values():
            term = algebraic("point", 1, "1/|K|", "test")
            points = [tuple(channel.challenge(term) for _ in range((d - 1).bit_length())) for d in tensor.shape]
            yield tensor, [EqAxis(d, point) for d, point in zip(tensor.shape, points, strict=True)]

    def prove(self, channel: ProverChannel, layout: Layout, vector: np.ndarray) -> list[Claim]:
        context = ProverContext(channel, layout, VectorReader(layout, vector))
        self.relation.prove(context)
        for tensor, axes in self._weights_claims(channel):
            value = K(0)
            for digit, table in enumerate(tensor.tables(context.reader)):
                value = value + _at(axes, table) * (1 << 16 * digit)
            channel.send("weights", [value])
            context.book.add(tensor, axes, [K(1), K(1 << 16), K(1 << 32)], value)
        for tensor in self.relation.tensors:
            tensor.prove_claims(context)
        return context.book.finished()

    def verify(self, channel: VerifierEnd, layout: Layout) -> list[Claim]:
        context = VerifierContext(channel, layout)
        self.relation.verify(context)
        for tensor, axes in self._weights_claims(channel):
            (value,) = channel.receive("weights", 1)
            context.book.add(tensor, axes, [K(1), K(1 << 16), K(1 << 32)], value)
        for tensor in self.relation.tensors:
            tensor.verify_claims(context)
        return context.book.finished()


def _at(axes: list[EqAxis], table: np.ndarray) -> K:
    total = K(0)
    vectors = [[K(*pair) for pair in axis.vector().tolist()] for axis in axes]
    for index, value in np.ndenumerate(table):
        product = K(int(value))
        for vector, i in zip(vectors, index, strict=True):
            product = product * vector[i]
        total = total + product
    return total


def proof(
    opened: OpenedModel, root: bytes, columns: dict[str, np.ndarray] | None = None, *, zero_knowledge: bool = False
) -> bytes:
    relation = PrivateModel(NETWORK, root, opened)
    return prove(Harness(relation), relation.opened_columns() if columns is None else columns, zero_knowledge=zero_knowledge)


@pytest.mark.parametrize("zero_knowledge", [False, True])
def test_a_committed_model_is_accepted(zero_knowledge):
    assert chunk_bytes(NETWORK) == MIN_CHUNK_BYTES
    assert chunks(NETWORK) == 2
    opened = OpenedModel.commit(NETWORK, weights())
    data = proof(opened, opened.root(), zero_knowledge=zero_knowledge)
    verify(data, Harness(PrivateModel(NETWORK, opened.root())), allow_plain=True)


def test_one_weight_changed_by_one_unit_is_rejected():
    opened = OpenedModel.commit(NETWORK, weights())
    honest = PrivateModel(NETWORK, opened.root(), opened)
    for name in ("weights conv.weight: bytes/0", "weights out.bias: bytes/3"):
        columns = {key: value.copy() for key, value in honest.opened_columns().items()}
        columns[name].flat[0] ^= 1
        with pytest.raises(ConstraintRejected) as caught:
            verify(proof(opened, opened.root(), columns), Harness(PrivateModel(NETWORK, opened.root())), allow_plain=True)
        assert caught.value.reason == "private model: linear claim"


def test_other_commitments_than_the_roots_are_rejected():
    opened, other = (OpenedModel.commit(NETWORK, weights(seed)) for seed in (1, 2))
    columns = PrivateModel(NETWORK, other.root(), other).opened_columns()
    with pytest.raises(ConstraintRejected) as caught:
        verify(proof(other, opened.root(), columns), Harness(PrivateModel(NETWORK, opened.root())), allow_plain=True)
    assert caught.value.reason == "private model: root"


def test_a_prover_without_the_opening_is_told():
    opened = OpenedModel.commit(NETWORK, weights())
    with pytest.raises(ValueError, match="a prover needs the model's opening"):
        PrivateModel(NETWORK, opened.root()).opened_columns()
    changed = replace(opened, weights=weights(3))
    with pytest.raises(ValueError, match="not that of the root"):
        PrivateModel(NETWORK, opened.root(), changed).opened_columns()
    assert OpenedModel.commit(NETWORK, weights()).root() != opened.root()  # fresh randomness
