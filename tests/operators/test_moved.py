"""Paddings, slices and permutations in proofs; provers that move an entry, or count one of the padding."""

import dataclasses

import numpy as np
import pytest

from tests.harness.cheating import FALSE_CLAIM, reason_of
from tests.harness.circuit import network_circuit, random_weights, run
from tests.harness.graphs import GRAPHS
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.networks.simplify import simplified
from zkds.circuits.operators import permute
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.pad import Pad
from zkds.circuits.operators.permute import Permute
from zkds.prover import prove
from zkds.verifier import verify

pytestmark = pytest.mark.slow

NETWORK = GRAPHS["slices, zeros and axes in another order"]
CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")


def circuit_and_columns(network=NETWORK):
    circuit = network_circuit(network, CONFIGURATION)
    return circuit, circuit.columns(*run(network, CONFIGURATION, random_weights(network)))


def test_a_run_of_the_semantics_is_proved():
    circuit, columns = circuit_and_columns()
    assert not any(name.startswith(("pad", "permute")) for name in columns)  # nothing is committed
    verify(prove(circuit.relation, columns, zero_knowledge=False), circuit.relation, allow_plain=True)


def moved(monkeypatch, of_deltas, change):
    """The semantics with what paddings make changed, forwards or of deltas."""
    name = "backward" if of_deltas else "forward"
    honest = getattr(Pad, name)

    def wrong(self, *arguments):
        made = honest(self, *arguments)
        if of_deltas:
            return dataclasses.replace(made, deltas=[change(delta) for delta in made.deltas])
        return dataclasses.replace(made, output=change(made.output))

    monkeypatch.setattr(Pad, name, wrong)


def counted(values):
    """With an entry of the padding that isn't zero."""
    values = values.copy()
    values[:, 0, 0, 0] += 1 << 20
    return values


@pytest.mark.parametrize("of_deltas", [False, True])
@pytest.mark.parametrize("change", [counted, lambda values: np.roll(values, 1, axis=-1), lambda values: 0 * values])
def test_entries_that_are_elsewhere(lenient, of_deltas, change):
    moved(lenient, of_deltas, change)
    circuit, columns = circuit_and_columns()
    assert reason_of(circuit.relation, columns) == FALSE_CLAIM


@pytest.mark.parametrize("order", [(1, 2, 0), (0, 1, 2)])
def test_another_order(lenient, order):
    """On cubes, so that every order gives the same shapes; forwards and backwards."""
    nodes = (
        Node(Convolution.over((1, 2, 2), 2, (1, 1)), (0,), "first"),
        Node(Permute((2, 0, 1)), (1,)),
        Node(Convolution.dense(2, (2, 2, 2)), (2,), "scores"),
    )
    honest = permute._permuted
    lenient.setattr(permute, "_permuted", lambda values, _: honest(values, order))
    network = Network((1, 2, 2), nodes)
    circuit = network_circuit(network, CONFIGURATION)
    stored, trajectory = run(network, CONFIGURATION, random_weights(network))
    lenient.setattr(permute, "_permuted", honest)
    assert reason_of(circuit.relation, circuit.columns(stored, trajectory)) == FALSE_CLAIM


@pytest.mark.parametrize(("name", "change"), [("scale", 1), ("shift", 1 << 20)])
def test_other_constants_of_an_affine_map(lenient, name, change):
    network = GRAPHS["affine maps by constants"]
    circuit, columns = circuit_and_columns(network)
    verify(prove(circuit.relation, columns, zero_knowledge=False), circuit.relation, allow_plain=True)
    first = network.nodes[0].operator
    moved = dataclasses.replace(first, **{name: (getattr(first, name)[0] + change, getattr(first, name)[1])})
    other = Network(network.input_shape, (Node(moved, (0,)), *network.nodes[1:]))
    assert other.encode() != network.encode()
    stored, trajectory = run(other, CONFIGURATION, random_weights(network))
    assert reason_of(circuit.relation, circuit.columns(stored, trajectory)) == FALSE_CLAIM


# ---- descriptions -----------------------------------------------------------------------------------------------------------


def test_zeros_of_a_convolution_are_its_own():
    layer = Node(Convolution(2, 1, (3, 3), (3, 3), before=(1, 0)), (1,), "conv")
    scores = Node(Convolution.dense(2, (2, 3, 3)), (2,), "scores")

    def network(frame):
        return simplified((1, 2, 3), [Node(frame, (0,)), layer, scores], 3)

    merged = network(Pad((1, 4, 5), (0, 1, 1)))
    assert [node.operator.KIND for node in merged.nodes] == ["convolution", "convolution"]
    assert merged.nodes[0].operator == dataclasses.replace(layer.operator, before=(2, 1))
    for kept in (Pad((1, 4, 4), (0, 1, 2)), Pad((1, 4, 5), (0, 1, 1), (0, 0, 1)), Pad((1, 4, 5), (0, 1, 1), step=(1, 2, 1))):
        assert [node.operator.KIND for node in network(kept).nodes] == ["pad", "convolution", "convolution"]


def test_permutations_of_a_permutation_are_one_or_none():
    scores = Node(Convolution.dense(2, (2, 3, 4)), (3,), "scores")

    def kinds(shape, first, second):
        layer = Node(Convolution.over(shape, shape[0], (1, 1)), (0,), "first")
        nodes = [layer, Node(Permute(first), (1,)), Node(Permute(second), (2,))]
        return [node.operator for node in simplified(shape, [*nodes, scores], 4).nodes[1:-1]]

    assert kinds((2, 3, 4), (2, 0, 1), (1, 2, 0)) == []
    assert kinds((3, 4, 2), (1, 2, 0), (1, 2, 0)) == [Permute((2, 0, 1))]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Permute((0, 1, 2)), "order: expected 0, 1 and 2 in another order"),
        (lambda: Permute((0, 1, 1)), "order: expected 0, 1 and 2 in another order"),
        (lambda: Permute.of_numbers((0, 2)), "permute: expected 3 numbers"),
        (lambda: Pad((1, 0, 1)), "outputs: expected 1 to"),
        (lambda: Pad.of_numbers((1,) * 11), "pad: expected 12 numbers"),
        (lambda: Pad((1, 1, 1), step=(0, 1, 1)), "step: expected 1 to"),
        (lambda: Pad((1, 2, 2), (0, 2, 0)).output_shape([(1, 2, 2)]), "before: expected entries"),
        (lambda: Pad((1, 2, 2), first=(0, 0, 2)).output_shape([(1, 2, 2)]), "first: expected entries"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
