"""Columns, lookups and the verifier of certificates against slow ones that know the statement's bytes alone.

The slow ones are written from docs/specification, so these tests hold the specification against the code.
"""

import functools
import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.graphs import GRAPHS
from tests.harness.layers import Layer, Pool, layered
from tests.harness.random_networks import OPERATORS as RANDOM_OPERATORS
from tests.harness.random_networks import random_networks
from tests.harness.sweeps import examples, long_but
from tests.harness.twin import set_least_weights
from tests.reference.claims import claim_sum
from tests.reference.operators.registry import OPERATORS as TWINS
from tests.reference.sharpness_verifier import verify
from zkds.channel import DryRun
from zkds.circuits.arithmetic.fixed_point import PERTURBATIONS, SHARPNESS, Configuration
from zkds.circuits.arithmetic.smooth_tables import FUNCTIONS
from zkds.circuits.certificate.evaluations import Evaluation
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.metric import sam
from zkds.circuits.metric.logarithm import log_rows, power_rows
from zkds.circuits.metric.results import Results
from zkds.circuits.metric.softmax import exponential_tables
from zkds.circuits.networks import circuit
from zkds.circuits.networks.graph import Network, Node, chain
from zkds.circuits.operators.average_pool import AdaptiveAveragePool, AveragePool
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.permute import Permute
from zkds.circuits.operators.registry import OPERATORS
from zkds.circuits.operators.relu import Relu
from zkds.circuits.operators.smooth import derivative_rows, unit_rows, value_rows
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Normalization, Schema
from zkds.field import K, P
from zkds.identities import product_squares
from zkds.identities.equal import Equal
from zkds.lookup import ExplicitTable, RangeTable
from zkds.soundness import LOG2_K
from zkds.statement import Statement
from zkds_verify import claims_squares, field, shape_gadgets, sharpness_shape
from zkds_verify.sharpness_shape import shape_of

pytestmark = pytest.mark.slow

EXAMPLES = examples(5)
MODES = long_but([("ASAM", "SAM"), ("SAM", "ASAM")], itertools.product(SHARPNESS, PERTURBATIONS))
COMMITMENTS = (  # equations that are public constants, of checks that have tests of their own
    "membership: canonical commitments",
    "membership: Merkle root",
    "private model: canonical commitments",
    "private model: root",
)
VALUE = Results(3 << 48, 3, 0, 1, 2, 31, values=(1 << 48,))
THRESHOLD = Results(0, 0, 2, 2, 1, 0, threshold=(1 << 60) - 1)
EVERYTHING = layered(
    (2, 11, 9),
    (
        Layer("both", 3, 2, (3, 3), (1, 1), (1, 1), pool=Pool("max", 2), relu=True),
        Layer("max", 2, 3, (2, 1), pool=Pool("max", 2)),
        Layer("mean", 3, 2, (1, 1), (1, 1), (0, 0), bias=False, pool=Pool("average", 2), relu=True),
        Layer("scores", 3, 3, (1, 1)),
    ),
)
SMALL = layered((4, 1, 1), (Layer("hidden", 5, 4, (1, 1), relu=True), Layer("scores", 3, 5, (1, 1), bias=False)))
# Dense layers of 32, 10 and 15 weights; the first one's inputs have 34 fractional bits, the deltas of its outputs one more
# With overlapping and dilated windows, strides, padding that whole windows see, and single inputs.
CONVOLUTIONS = chain(
    (1, 4, 4),
    ("overlapping", Convolution.over((1, 4, 4), 2, (3, 2), padding=(1, 1))),
    Relu(),
    ("dilated", Convolution.over((2, 4, 5), 3, (2, 2), (2, 2), (1, 0), dilation=(2, 1))),
    ("padded", Convolution(2, 3, (3, 1), (2, 2), (1, 1), (3, 0), bias=False)),
    ("single", Convolution(3, 2, (1, 1), (2, 2))),
    ("scores", Convolution.dense(2, (3, 2, 2))),
)
DENSE = Network(
    (2, 4, 4),
    (
        Node(AveragePool.side_by_side((2, 4, 4), 2), (0,)),
        Node(Convolution.dense(4, (2, 2, 2)), (1,), "first"),
        Node(Permute((1, 0, 2)), (2,)),
        Node(AdaptiveAveragePool((4, 1), (2, 1)), (3,)),
        Node(Convolution.dense(5, (1, 2, 1), bias=False), (4,), "second"),
        Node(Relu(), (5,)),
        Node(Convolution.dense(3, (5, 1, 1)), (6,), "scores"),
    ),
)


def statement_of(network, configuration, results, *, private=False, schema=None):
    schema = schema or Schema("image", network.input_shape, "uint8", max(2, network.classes))
    root = DataRoot(1000, schema, bytes(32))
    return SharpnessStatement(network, configuration, root, bytes(32), False, bytes(32), private, results)


@functools.cache
def named_tables():
    names = dict(zip(exponential_tables(), ("EXP_LO", "EXP_HI", "EXP_INT"), strict=True))
    names |= {log_rows(): "LOGT", power_rows(): "2^b"}
    for function in FUNCTIONS:
        names[unit_rows(function)] = ("unit", function.bound, function.identity)
        names[derivative_rows(function)] = ("derivatives", function.name)
        names[value_rows(function)] = ("values", function.name)
    return names | {signs(bits): ("sign", bits) for bits in range(1, 17)}


def signs(bits):
    return ExplicitTable.of(np.array([(u, u >> bits - 1) for u in range(1 << bits)], dtype=np.uint32))


def table_name(table, names):
    if isinstance(table, RangeTable):
        return "range", table.bits
    return ("below", table.rows) if table == below(table.rows) else names[table]


def below(divisor):
    return ExplicitTable.of(np.arange(divisor, dtype=np.uint32)[:, None])


def require_equal_shapes(statement):
    relation = DirectionalSharpness(statement)
    names = named_tables()
    found = [(table_name(x.table, names), x.primary, x.secondary) for x in relation.lookups]
    columns, lookups = shape_of(statement.encode())
    assert [(column.name, column.shape) for column in relation.columns] == columns
    assert found == lookups
    checked = {name for _, primary, secondary in lookups for name in (primary, *secondary)}
    assert all(name.endswith(": mask/0") for name in {name for name, _ in columns} - checked)
    return relation


def require_equal_relations(statement):
    """The same words in the same order; for random messages the same equations and claims, held against a random vector."""
    relation = require_equal_shapes(statement)
    layout = Statement(relation).layout
    rng = np.random.default_rng(1)
    recorder = Recorder(rng)
    claims = relation.verify(recorder, layout)
    residues, on_vector = verify(statement.encode(), recorder.script)
    for (reason, expected), (found_reason, found) in zip(recorder.constraints.equations, residues, strict=True):
        assert reason == found_reason
        assert reason.endswith(COMMITMENTS) or ours(found) == expected.constant, reason
    vector = rng.integers(0, 1 << 16, layout.cells).astype(np.uint32)
    cells = functools.cache(lambda name: layout.read(vector, name).astype(object))
    for claim, (terms, value) in zip(claims, on_vector, strict=True):
        names = [term.column for term in terms]
        assert claim.value.constant == ours(value), names
        assert claim_sum(claim, vector) == ours(sum((contract(cells(term.column), term) for term in terms), field.ZERO)), names


def ours(element):
    """An element of the second verifier's."""
    return K(element.re, element.im)


def contract(cells, term):
    """scale * sum_x prod_d axes_d(x_d) cells(x), in real and imaginary parts: Python's integers are faster than elements."""
    re, im = cells, 0 * cells
    for axis in reversed(term.axes):
        a, b = (np.array(part, dtype=object) for part in zip(*((w.re, w.im) for w in axis.weights), strict=True))
        re, im = (re @ a - im @ b) % P, (re @ b + im @ a) % P
    return field.K(int(re), int(im)) * term.scale


class Recorder(DryRun):
    """A verifier that hears random messages and writes down everything, but for the length of the Merkle proof."""

    def __init__(self, rng):
        super().__init__()
        self.script = []
        self.rng = rng

    def random(self, count):
        return [K(*map(int, self.rng.integers(0, P, 2))) for _ in range(count)]

    def receive(self, label, count):
        values = self.random(count)
        self.script.append(("hidden", label, count, values))
        return self._hidden(values)

    def receive_elements(self, label, count):
        values = self.random(count)
        self.script.append(("elements", label, count, values))
        return values

    def receive_bytes(self, label, count):
        data = self.rng.integers(0, P, -(-count // 8)).astype("<u8").tobytes()[:count]
        self.script.append(("bytes", label, None if label.endswith("membership: Merkle proof") else count, data))
        return data

    def challenge(self, term):
        drawn = super().challenge(term)
        self.script.append(("challenge", term.name, round(2 ** (LOG2_K - term.bits)), drawn))
        return drawn

    def assert_zero(self, expression, reason):
        self.script.append(("equation", reason, None, None))
        super().assert_zero(expression, reason)


@pytest.mark.parametrize(("sharpness", "perturbation"), MODES)
@pytest.mark.parametrize(("results", "private"), [pytest.param(VALUE, False, marks=pytest.mark.long), (THRESHOLD, True)])
def test_every_kind_of_layer_and_configuration(sharpness, perturbation, results, private):
    configuration = Configuration(3, 2, sharpness=sharpness, perturbation=perturbation)
    require_equal_relations(statement_of(EVERYTHING, configuration, results, private=private))


def with_evaluations(statement):
    """One of the probe's data set, one of records with another normalization and fewer classes."""
    root, schema = statement.root, statement.root.schema
    other = replace(schema, classes=2, normalization=Normalization((1 << 30,), (1 << 31,)))
    others = (Evaluation(root, 1, 1 << 59, 1), Evaluation(DataRoot(20, other, bytes(range(32))), 3))
    return replace(statement, evaluations=others)


@pytest.mark.parametrize(
    ("network", "private"),
    [(DENSE, True), *(pytest.param(x, False, marks=pytest.mark.long) for x in (EVERYTHING, CONVOLUTIONS))],
)
def test_evaluations(monkeypatch, network, private):
    set_least_weights(monkeypatch, 1)  # layers of DENSE and CONVOLUTIONS are implicit in the probe
    require_equal_relations(with_evaluations(statement_of(network, Configuration(2, 2), VALUE, private=private)))


def test_evaluations_have_wide_limbs_of_their_own(monkeypatch):
    """42 records of 13 outputs, and 40 entries of parameters: the probe has 3 passes of 2 records."""
    for module in (circuit, sharpness_shape):
        monkeypatch.setattr(module, "WIDE_LIMBS", [(586, 20)])
    statement = statement_of(SMALL, Configuration(2, 2), VALUE)
    statement = replace(statement, evaluations=(Evaluation(statement.root, 42), Evaluation(statement.root, 41)))
    relation = require_equal_shapes(statement)
    assert [part.network.limb_bits for part in (*relation.probes, *relation.evaluations)] == [16, 20, 16]


def with_probes(statement, probes):
    """As many of what the statement says of one, all with other values."""
    results = statement.results
    if results.values is not None:
        results = replace(results, values=tuple(results.values[0] + k for k in range(probes)))
    return replace(statement, probes=probes, results=replace(results, total_loss=1 << 60))


@pytest.mark.parametrize(("network", "results", "private", "probes"), [(DENSE, THRESHOLD, False, 2), (SMALL, VALUE, True, 3)])
def test_probes(monkeypatch, network, results, private, probes):
    """With implicit layers and large parameters."""
    set_least_weights(monkeypatch, 12)
    for module in (sam, shape_gadgets):
        monkeypatch.setattr(module, "LARGE", 5)
    configuration = Configuration(2, 2, learning_rate=Fraction(1, 100))
    require_equal_relations(with_probes(statement_of(network, configuration, results, private=private), probes))


def test_probes_whose_updates_are_rounded(monkeypatch):
    """Each commits w_t of all steps: that they start at the first one's w_0 is an equation."""
    set_least_weights(monkeypatch, 1)
    first = Convolution.over((1, 1, 4), 2, (1, 2))
    network = chain((1, 1, 4), ("first", first), ("scores", Convolution.dense(2, (2, 1, 3))))
    statement = with_probes(statement_of(network, Configuration(2, 11), VALUE), 2)
    equal = [part.name for part in DirectionalSharpness(statement).components if isinstance(part, Equal)]
    assert "probe 2: first.weight: start" in equal
    require_equal_relations(statement)


def test_probes_beside_evaluations():
    statement = with_evaluations(statement_of(GRAPHS["batch norms"], Configuration(2, 2), VALUE))
    require_equal_relations(with_probes(statement, 2))


def test_probes_have_wide_limbs_together(monkeypatch):
    """In 3 passes, nodes of 5, 5 and 3 outputs, parameters of 20, 5 and 15 entries: 159 values each."""
    for module in (circuit, sharpness_shape):
        monkeypatch.setattr(module, "WIDE_LIMBS", [(318, 20)])
    statement = statement_of(SMALL, Configuration(2, 1), Results(0, 0, 0, 0, 1, 1, values=(0,)))
    for probes, bits in ((1, 16), (2, 20)):
        relation = require_equal_shapes(with_probes(statement, probes))
        assert {probe.network.limb_bits for probe in relation.probes} == {bits}


@pytest.mark.parametrize("name", ["batch norms", "fan-out with an average pool"])
def test_evaluations_of_graphs(name):
    require_equal_relations(with_evaluations(statement_of(GRAPHS[name], Configuration(2, 2), VALUE)))


@pytest.mark.parametrize(
    ("steps", "results", "private"), [(2, VALUE, False), pytest.param(4, THRESHOLD, True, marks=pytest.mark.long)]
)
@pytest.mark.parametrize(("sharpness", "least"), long_but([("ASAM", 1), ("SAM", 12)], itertools.product(SHARPNESS, (1, 12))))
def test_implicit_layers(monkeypatch, sharpness, steps, results, private, least):
    set_least_weights(monkeypatch, least)
    configuration = Configuration(steps, 3, learning_rate=Fraction(1, 100), sharpness=sharpness)
    assert len(DENSE.implicit(configuration)) == (3 if least == 1 else 2)
    require_equal_relations(statement_of(DENSE, configuration, results, private=private))


def test_chunks_of_an_implicit_layer(monkeypatch):
    """Numbers of them that are no powers of two; a tiny layer has several if coefficients may be smaller."""
    set_least_weights(monkeypatch, 16)
    monkeypatch.setattr(product_squares, "MAX_COEFFICIENT", (1 << 40) - 1)
    monkeypatch.setattr(claims_squares, "COEFFICIENT", (1 << 40) - 1)
    statement = statement_of(SMALL, Configuration(2, 1), Results(1, 1, 0, 1, 1, 1, values=(5,)))
    parts = DirectionalSharpness(statement).components
    (squares,) = (part for part in parts if isinstance(part, product_squares.ProductSquares))
    assert [step.shape[1] for step in squares.steps] == [3, 5]
    require_equal_relations(statement)


@pytest.mark.parametrize("sharpness", SHARPNESS)
@pytest.mark.parametrize(("steps", "results", "private"), [(2, VALUE, True), (3, THRESHOLD, False)])
def test_implicit_convolutions(monkeypatch, sharpness, steps, results, private):
    set_least_weights(monkeypatch, 1)
    configuration = Configuration(steps, 2, learning_rate=Fraction(1, 100), sharpness=sharpness)
    weights = {name for name, shape in CONVOLUTIONS.parameters if len(shape) > 1}
    assert CONVOLUTIONS.implicit(configuration).keys() == weights
    require_equal_relations(statement_of(CONVOLUTIONS, configuration, results, private=private))


@pytest.mark.parametrize("batch_size", [11, 22])
def test_implicit_convolutions_of_many_rows(monkeypatch, batch_size):
    """33 and 66: digits of w_t of smaller bases."""
    set_least_weights(monkeypatch, 1)
    first = Convolution.over((1, 1, 4), 2, (1, 2))
    network = chain((1, 1, 4), ("first", first), ("scores", Convolution.dense(2, (2, 1, 3))))
    require_equal_shapes(statement_of(network, Configuration(2, batch_size), VALUE))


def test_an_implicit_layer_of_the_least_size():
    network = layered((256, 1, 1), (Layer("hidden", 256, 256, (1, 1), relu=True), Layer("scores", 10, 256, (1, 1))))
    configuration = Configuration(3, 2)
    assert list(network.implicit(configuration)) == ["hidden.weight"]
    require_equal_shapes(statement_of(network, configuration, VALUE))


@pytest.mark.parametrize(("sharpness", "perturbation"), MODES)
@pytest.mark.parametrize("private", long_but([True], [False, True]))
def test_large_parameters(sharpness, perturbation, private, monkeypatch):
    """Some are, of a network of any size, if the border is moved."""
    for module in (sam, shape_gadgets):
        monkeypatch.setattr(module, "LARGE", 12)
    configuration = Configuration(3, 2, sharpness=sharpness, perturbation=perturbation)
    require_equal_relations(statement_of(EVERYTHING, configuration, VALUE, private=private))


def test_large_parameters_beside_implicit_layers(monkeypatch):
    set_least_weights(monkeypatch, 12)
    for module in (sam, shape_gadgets):
        monkeypatch.setattr(module, "LARGE", 5)
    require_equal_relations(statement_of(DENSE, Configuration(3, 2), VALUE))


@pytest.mark.parametrize("bits", long_but([22], [20, 22]))
@pytest.mark.parametrize("perturbation", long_but(["ASAM"], PERTURBATIONS))
def test_wide_limbs(bits, perturbation, monkeypatch):
    """Of remainders and carries; networks of any size have them, if the border is moved."""
    set_least_weights(monkeypatch, 12)
    for module in (circuit, sharpness_shape):
        monkeypatch.setattr(module, "WIDE_LIMBS", [(1, bits)])
    for network in (EVERYTHING, DENSE):
        require_equal_relations(statement_of(network, Configuration(3, 2, perturbation=perturbation), VALUE))


@pytest.mark.parametrize(("least", "bits"), [(159, 20), (160, 16)])
def test_what_has_wide_limbs(least, bits, monkeypatch):
    """In 3 passes, nodes of 5, 5 and 3 outputs, parameters of 20, 5 and 15 entries."""
    assert list(circuit.WIDE_LIMBS) == sharpness_shape.WIDE_LIMBS
    for module in (circuit, sharpness_shape):
        monkeypatch.setattr(module, "WIDE_LIMBS", [(1000, 22), (least, 20)])
    statement = statement_of(SMALL, Configuration(2, 1), Results(0, 0, 0, 0, 1, 1, values=(0,)))
    assert DirectionalSharpness(statement).probes[0].network.limb_bits == bits
    require_equal_shapes(statement)


def test_what_is_large():
    assert sam.LARGE == shape_gadgets.LARGE


@pytest.mark.parametrize("pairs", [0, 4])
def test_two_bytes_an_element_and_a_label(pairs):
    normalization = Normalization((-(3 << 30),) * pairs, (1 << 31,) * pairs) if pairs else None
    network = layered((4, 1, 1), (Layer("scores", 257, 4, (1, 1)),))
    schema = Schema("vector", (4,), "int16", 257, 12, normalization)
    require_equal_relations(statement_of(network, Configuration(2, 2), VALUE, schema=schema))


@pytest.mark.parametrize("rho", long_but([Fraction(7)], [Fraction(1, 1 << 28), Fraction(1, 20), Fraction(7)]))
@pytest.mark.parametrize("learning_rate", [Fraction(1, 1 << 20), Fraction(1, 10**4), Fraction(8)])
def test_extreme_configurations(rho, learning_rate):
    eps = max(rho**2 / (1 << 40), Fraction(1, (1 << 64) - 1))
    configuration = Configuration(17, 3, rho, learning_rate, eps, perturbation="ASAM")
    require_equal_relations(
        statement_of(SMALL, configuration, Results((1 << 60) - 1, 51, 17, 17, 3, 2048, values=((1 << 60) - 1,)))
    )


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name):
    require_equal_relations(statement_of(GRAPHS[name], Configuration(2, 1), Results(1, 1, 1, 2, 1, 1, values=(5,))))


@pytest.mark.sweep
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(random_networks(), st.integers(2, 3), st.integers(1, 2))
def test_random_networks(network, steps, batch_size):
    require_equal_relations(statement_of(network, Configuration(steps, batch_size), Results(1, 1, 1, 2, 1, 1, values=(5,))))


@pytest.mark.sweep
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(random_networks(most_nodes=6), st.integers(2, 3), st.integers(1, 2))
def test_random_networks_of_implicit_layers(network, steps, batch_size):
    with pytest.MonkeyPatch.context() as patch:
        set_least_weights(patch, 1)
        sharpness = SHARPNESS[batch_size - 1]
        configuration = Configuration(steps, batch_size, sharpness=sharpness)
        require_equal_relations(statement_of(network, configuration, Results(1, 1, 1, 2, 1, 1, values=(5,))))


def test_every_operator_has_a_twin_and_is_drawn():
    assert set(TWINS) == set(RANDOM_OPERATORS) == set(OPERATORS)


@pytest.mark.parametrize("network", [SMALL, DENSE])
@pytest.mark.parametrize("entry", long_but(range(0, 300, 80), range(0, 300, 40)))
def test_every_message_counts(monkeypatch, network, entry):
    """One changed message changes an equation or a claim: the comparison above is no empty one."""
    set_least_weights(monkeypatch, 30)  # the largest layer of DENSE is implicit
    statement = statement_of(network, Configuration(2, 1), Results(0, 0, 0, 0, 1, 1, values=(0,)))
    relation = DirectionalSharpness(statement)
    recorder = Recorder(np.random.default_rng(2))
    relation.verify(recorder, Statement(relation).layout)
    hidden = [i for i, (kind, *_) in enumerate(recorder.script) if kind == "hidden"]
    place = hidden[entry % len(hidden)]
    changed = list(recorder.script)
    kind, label, count, values = changed[place]
    changed[place] = (kind, label, count, [values[0] + 1, *values[1:]])
    before, after = (verify(statement.encode(), script) for script in (recorder.script, changed))
    assert before[0] != after[0] or [v for _, v in before[1]] != [v for _, v in after[1]]
