"""Columns, lookups and conversations of certificates against functions of their statements' bytes, written from protocol.md."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import networks
from tests.reference.sharpness_conversation import conversation_of
from tests.reference.sharpness_shape import shape_of
from zkds.channel import DryRun
from zkds.circuits.directional_sharpness import DirectionalSharpness
from zkds.circuits.fixed_point import PERTURBATIONS, SHARPNESS, Configuration
from zkds.circuits.graph import Layer, Network, Pool
from zkds.circuits.logarithm import log_rows, power_rows
from zkds.circuits.semantics.layers import placed_layers
from zkds.circuits.softmax import exponential_tables
from zkds.circuits.statement import SharpnessStatement
from zkds.circuits.statistic import Results
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Normalization, Schema
from zkds.lookup import ExplicitTable, RangeTable
from zkds.soundness import LOG2_K
from zkds.statement import Statement

VALUE = Results(3 << 48, 3, value=1 << 48)
THRESHOLD = Results(0, 0, threshold=(1 << 60) - 1)
EVERYTHING = Network(
    (2, 11, 9),
    (
        Layer("both", 3, 2, (3, 3), (1, 1), (1, 1), pool=Pool("max", 2), relu=True),
        Layer("max", 2, 3, (2, 1), pool=Pool("max", 2)),
        Layer("mean", 3, 2, (1, 1), (1, 1), (0, 0), bias=False, pool=Pool("average", 2), relu=True),
        Layer("scores", 3, 3, (1, 1)),
    ),
)
SMALL = Network((4, 1, 1), (Layer("hidden", 5, 4, (1, 1), relu=True), Layer("scores", 3, 5, (1, 1), bias=False)))


def statement_of(network, configuration, results, *, private=False, schema=None):
    schema = schema or Schema("image", network.input_shape, "uint8", max(2, network.classes))
    root = DataRoot(1000, schema, bytes(32))
    return SharpnessStatement(network, configuration, root, bytes(32), False, bytes(32), private, results)


def named_tables():
    names = dict(zip(exponential_tables(), ("EXP_LO", "EXP_HI", "EXP_INT"), strict=True))
    names |= {log_rows(): "LOGT", power_rows(): "2^b"}
    return names | {signs(bits): ("sign", bits) for bits in range(1, 17)}


def signs(bits):
    return ExplicitTable.of(np.array([(u, u >> bits - 1) for u in range(1 << bits)], dtype=np.uint32))


def require_equal_shapes(statement):
    relation = DirectionalSharpness(statement)
    names = named_tables()
    tables = (("range", x.table.bits) if isinstance(x.table, RangeTable) else names[x.table] for x in relation.lookups)
    found = [(table, x.primary, x.secondary) for table, x in zip(tables, relation.lookups, strict=True)]
    columns, lookups = shape_of(statement.encode())
    assert [(column.name, column.shape) for column in relation.columns] == columns
    assert found == lookups
    entries, claims = conversation_of(statement.encode())
    layout = Statement(relation).layout
    recorder = Recorder()
    verified = relation.verify(recorder, layout)
    assert recorder.entries == entries
    assert list(map(ColumnFinder(layout), verified)) == claims


class Recorder(DryRun):
    """Everything that a verifier says and hears, but for the length of the Merkle proof, which depends on the indices."""

    def __init__(self):
        super().__init__()
        self.entries = []

    def receive(self, label, count):
        self.entries.append(("hidden", label, count))
        return super().receive(label, count)

    def receive_elements(self, label, count):
        self.entries.append(("elements", label, count))
        return super().receive_elements(label, count)

    def receive_bytes(self, label, count):
        self.entries.append(("bytes", label, None if label == "membership: Merkle proof" else count))
        return super().receive_bytes(label, count)

    def challenge(self, term):
        self.entries.append(("challenge", term.name, round(2 ** (LOG2_K - term.bits))))
        return super().challenge(term)

    def assert_zero(self, expression, reason):
        self.entries.append(("equation", reason))
        super().assert_zero(expression, reason)


class ColumnFinder:
    """The names of the columns that a claim on the vector is about."""

    def __init__(self, layout):
        self.layout = layout
        self.starts = layout.table.offsets

    def __call__(self, claim):
        boxes = np.searchsorted(self.starts, [piece.offset for piece in claim.pieces], side="right") - 1
        return frozenset(self.layout.columns[self.layout.table.columns[box]].name for box in boxes)


@pytest.mark.parametrize("sharpness", SHARPNESS)
@pytest.mark.parametrize("perturbation", PERTURBATIONS)
@pytest.mark.parametrize("results", [VALUE, THRESHOLD])
@pytest.mark.parametrize("private", [False, True])
def test_every_kind_of_layer_and_configuration(sharpness, perturbation, results, private):
    configuration = Configuration(3, 2, sharpness=sharpness, perturbation=perturbation)
    require_equal_shapes(statement_of(EVERYTHING, configuration, results, private=private))


@pytest.mark.parametrize("pairs", [0, 1, 4])
def test_two_bytes_an_element_and_a_label(pairs):
    normalization = Normalization((-(3 << 30),) * pairs, (1 << 31,) * pairs) if pairs else None
    network = Network((4, 1, 1), (Layer("scores", 257, 4, (1, 1)),))
    schema = Schema("vector", (4,), "int16", 257, 12, normalization)
    require_equal_shapes(statement_of(network, Configuration(2, 2), VALUE, schema=schema))


@pytest.mark.parametrize("rho", [Fraction(1, 1 << 28), Fraction(1, 20), Fraction(7)])
@pytest.mark.parametrize("learning_rate", [Fraction(1, 1 << 20), Fraction(1, 10**4), Fraction(8)])
def test_extreme_configurations(rho, learning_rate):
    eps = max(rho**2 / (1 << 40), Fraction(1, (1 << 64) - 1))
    configuration = Configuration(17, 3, rho, learning_rate, eps, perturbation="ASAM")
    require_equal_shapes(statement_of(SMALL, configuration, Results((1 << 60) - 1, 51, value=(1 << 60) - 1)))


@settings(max_examples=8, deadline=None, derandomize=True)
@given(networks(), st.integers(2, 5), st.integers(1, 3))
def test_random_networks(network, steps, batch_size):
    try:
        placed_layers(network)
    except ValueError:  # an average pool whose size is no power of two
        return
    schema = Schema("image", network.input_shape, "uint8", 2)
    require_equal_shapes(statement_of(network, Configuration(steps, batch_size), Results(1, 1, value=5), schema=schema))
