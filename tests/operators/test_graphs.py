"""Graphs through the real prover and verifier, and provers that get one branch wrong: rejected for the exact reason."""

import functools

import numpy as np
import pytest

from tests.harness.cheating import FALSE_CLAIM, NOT_IN_TABLE, reason_of, reason_of_cells
from tests.harness.circuit import network_circuit, random_weights, run
from tests.harness.graphs import GRAPHS
from zkds.circuits import probe
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.operators.add import Add
from zkds.circuits.operators.concatenate import Concatenate
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.operator import Backward, Forward
from zkds.prover import message_shape, prove
from zkds.statement import Statement
from zkds.verifier import verify

pytestmark = pytest.mark.slow

KINDS = 5  # of cells, drawn for each graph
CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")


@functools.cache
def honest(name):
    """(circuit, columns, trajectory) of random weights and records."""
    circuit, columns, trajectory = computed(name)
    return circuit, columns, trajectory


def computed(name):
    """The same as the semantics, patched or not, computes it now."""
    network = GRAPHS[name]
    weights = {word: np.abs(values) for word, values in random_weights(network).items()}  # every ReLU lets something pass
    stored, trajectory = run(network, CONFIGURATION, weights)
    circuit = network_circuit(network, CONFIGURATION)
    return circuit, circuit.columns(stored, trajectory), trajectory


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_proved(name):
    circuit, columns, _ = honest(name)
    verify(prove(circuit.relation, columns, zero_knowledge=False), circuit.relation, allow_plain=True)


def with_operator(kind, least=1):
    """Graphs with so many nodes of a kind."""
    return [name for name, network in GRAPHS.items() if sum(n.operator.KIND == kind for n in network.nodes) >= least]


@pytest.mark.parametrize("name", with_operator("add"))
def test_a_branch_that_is_left_out(name, lenient):
    lenient.setattr(Add, "forward", lambda self, placed, inputs, weights, place: Forward(inputs[0] + 0))
    circuit, columns, _ = computed(name)
    assert reason_of(circuit.relation, columns) == FALSE_CLAIM


def with_two_branches_that_learn():
    nodes = {name: zip(network.nodes, network.placed, strict=True) for name, network in GRAPHS.items()}
    return [name for name, pairs in nodes.items() if any(n.operator.KIND == "add" and sum(p.wanted) > 1 for n, p in pairs)]


@pytest.mark.parametrize("name", with_two_branches_that_learn())
def test_a_delta_that_skips_a_branch(name, lenient):
    """Only the first input of an addition gets its deltas."""

    def backward(self, placed, inputs, ahead, delta, kind, place):
        first = placed.wanted.index(True)
        return Backward([delta * (i == first) if wanted else None for i, wanted in enumerate(placed.wanted)])

    lenient.setattr(Add, "backward", backward)
    circuit, columns, _ = computed(name)
    assert reason_of(circuit.relation, columns) == FALSE_CLAIM


def fans_out(network):
    return any(learns and len(consumers) > 1 for learns, consumers in zip(network.learns, network.consumers, strict=True))


@pytest.mark.parametrize("name", [name for name, network in GRAPHS.items() if fans_out(network)])
def test_a_fan_out_of_which_one_delta_counts(name, lenient):
    """Of the deltas that come back to one output, the first is taken for the sum."""
    unpatched = probe._summed
    lenient.setattr(probe, "_summed", lambda deltas, *rest: unpatched(deltas[:1], *rest))
    circuit, columns, _ = computed(name)
    assert reason_of(circuit.relation, columns) == FALSE_CLAIM


@pytest.mark.parametrize("name", with_operator("concatenate"))
def test_channels_in_another_order(name, lenient):
    unpatched = Concatenate.forward

    def forward(self, placed, inputs, weights, place):
        return Forward(np.ascontiguousarray(unpatched(self, placed, inputs, weights, place).output[:, ::-1]))

    lenient.setattr(Concatenate, "forward", forward)
    circuit, columns, _ = computed(name)
    assert reason_of(circuit.relation, columns) == FALSE_CLAIM


@pytest.mark.parametrize("name", GRAPHS)
def test_every_kind_of_cell_has_one_value(name):
    """One cell moved within its table: rejected by the identity, the selection or the table that fixes it."""
    circuit, columns, _ = honest(name)
    rows = {lookup.primary: lookup.table.rows for lookup in circuit.relation.lookups}
    generator = np.random.default_rng(5)
    names = generator.permutation(sorted(columns)).tolist()
    kinds = {name.partition(": ")[2].rpartition("/")[0]: name for name in names if ": " in name}
    for column in list(kinds.values())[:KINDS]:
        changed = columns[column].copy()
        cells = changed.reshape(-1)
        index = generator.integers(len(cells))
        cells[index] = cells[index] + 1 if cells[index] + 1 < rows.get(column, 2) else cells[index] - 1
        reason = reason_of_cells(circuit.relation, columns | {column: changed})
        allowed = {FALSE_CLAIM, NOT_IN_TABLE} | {f"{column.partition(': ')[0]}: {part}" for part in ("selection", "windows")}
        # A copy that differs makes a false claim on what it is a copy of, which a ReLU before it may have to prove.
        assert reason in allowed or reason.endswith(": output: product of the factors"), (column, reason)


def messages(depth):
    """Of the sum of an output with itself, of that with itself, and so on."""
    sums = [Node(Add(), (k, k)) for k in range(1, depth + 1)]
    nodes = (
        Node(Convolution.dense(2, (1, 1, 1)), (0,), "first"),
        *sums,
        Node(Convolution.dense(2, (2, 1, 1)), (depth + 1,), "last"),
    )
    circuit = network_circuit(Network((1, 1, 1), nodes), CONFIGURATION)
    return message_shape(Statement(circuit.relation)).messages


def test_nested_sums_do_not_double_the_claims():
    """Claims on a sum become claims on each of its branches; more than a few become one first."""
    assert messages(24) - messages(16) == messages(16) - messages(8) < 8 * 40
