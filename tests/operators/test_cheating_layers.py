"""Provers that compute one step of a network wrongly, and everything behind it consistently: rejected for the exact reason.

The wrong step is patched into the semantics, which then computes the rest of the trajectory; the witness is made as well as it
can be: values that do not fit are wrapped into their width, carries rounded down where there is none.
"""

import functools

import numpy as np
import pytest

from tests.harness import cheating
from tests.harness.cheating import FALSE_CLAIM, NOT_IN_TABLE, dishonest_vector, lying
from tests.harness.circuit import network_circuit, random_weights, run
from tests.harness.limbs import completed
from tests.harness.whole_proof import LIGERO_REASON, reject
from tests.operators.test_layers import CONFIGURATION, NETWORKS, honest
from zkds.circuits import probe
from zkds.circuits.arithmetic.exact import Operand, Wide
from zkds.circuits.metric import perturbation
from zkds.circuits.operators import max_pool
from zkds.circuits.operators.convolution import exact as convolution_sums
from zkds.circuits.operators.convolution import operator as convolution
from zkds.circuits.operators.operator import Forward
from zkds.circuits.operators.relu import Relu
from zkds.prover import prove_vector
from zkds.statement import Statement
from zkds.verifier import verify

pytestmark = pytest.mark.slow

POOLED = "max pool and ReLU"
PLAIN = "max pool alone, ReLU alone"


def reason_of(circuit, columns, **options):
    return cheating.reason_of(circuit.relation, columns, **options)


def test_the_lenient_prover_is_accepted_if_nothing_is_wrong(lenient):
    circuit, columns, _ = honest(POOLED)
    statement = Statement(circuit.relation)
    proof = prove_vector(statement, dishonest_vector(statement, columns), zero_knowledge=False)
    verify(proof, circuit.relation, allow_plain=True)


# ---- every kind of cell ---------------------------------------------------------------------------------------------------


def kind(column):
    """A column's name without its layer and the number of the limb."""
    return column.split("/")[0].split(": ", 1)[-1]


def expected_reasons(column):
    if column.endswith(": bit/0"):
        return {NOT_IN_TABLE}
    if column.endswith(": output/2"):  # looked up with the sign, if a ReLU follows
        return {FALSE_CLAIM, NOT_IN_TABLE}
    if column.startswith("max pool"):
        pool = column.rsplit(": ", 1)[0]
        return {FALSE_CLAIM, f"{pool}: selection", f"{pool}: windows"}
    return {FALSE_CLAIM}


@pytest.mark.parametrize("name, part", [(PLAIN, ""), (POOLED, "max pool 2: ")])
def test_every_kind_of_cell_has_one_value(name, part):
    """One cell moved within its table: rejected by the identity, the selection or the table that fixes it."""
    circuit, columns, _ = honest(name)
    rows = {lookup.primary: lookup.table.rows for lookup in circuit.relation.lookups}
    generator = np.random.default_rng(3)
    shuffled = generator.permutation(sorted(column for column in columns if part in column)).tolist()
    for column in {kind(column): column for column in shuffled}.values():
        changed = columns[column].copy()
        cells = changed.reshape(-1)
        index = generator.integers(len(cells))
        cells[index] = cells[index] + 1 if cells[index] + 1 < rows.get(column, 2) else cells[index] - 1
        expected = expected_reasons(column)
        reason = cheating.reason_of_cells if FALSE_CLAIM in expected else cheating.reason_of
        assert reason(circuit.relation, columns | {column: changed}) in expected, column


# ---- one step computed wrongly, the rest consistently -----------------------------------------------------------------------


def dishonest(name, weights=None):
    """(circuit, columns) of a trajectory that the semantics, as patched, computes."""
    network = NETWORKS[name]
    stored, trajectory = run(network, CONFIGURATION, random_weights(network) if weights is None else weights)
    circuit = network_circuit(network, CONFIGURATION)
    return circuit, circuit.columns(stored, trajectory)


def constant_layer(name, layer, bias):
    """Weights of a network in which one layer's convolution is bias / 2^8, rounded, everywhere."""
    weights = random_weights(NETWORKS[name])
    weights[f"{layer}.weight"][:] = 0
    weights[f"{layer}.bias"][:] = bias
    return weights


def test_max_pool_tie_broken_the_other_way(lenient):
    def last_maximum(windows):
        return windows.shape[-1] - 1 - windows[..., ::-1].argmax(axis=-1)

    patch_selection(lenient, last_maximum, lambda values: values >= 0)
    circuit, columns = dishonest(POOLED, constant_layer(POOLED, "first", 1 << 30))
    assert reason_of(circuit, columns) == FALSE_CLAIM


EDGES = pytest.mark.parametrize(
    "bias, chosen", [(0, lambda v: v > 0), (-256, lambda v: v >= -1)], ids=["zero is off", "minus one is on"]
)


@EDGES
def test_max_pool_selects_wrongly_at_the_edge(lenient, bias, chosen):
    patch_selection(lenient, lambda windows: windows.argmax(axis=-1), chosen)
    circuit, columns = dishonest(POOLED, constant_layer(POOLED, "first", bias))
    assert reason_of(circuit, columns) == FALSE_CLAIM


@EDGES
def test_relu_selects_wrongly_at_the_edge(lenient, bias, chosen):
    def forward(self, placed, inputs, weights, place):
        bit = chosen(inputs[0])
        return Forward(inputs[0] * bit, {"bit": bit.astype(np.uint8)})

    lenient.setattr(Relu, "forward", forward)
    circuit, columns = dishonest(PLAIN, constant_layer(PLAIN, "second", bias))
    assert reason_of(circuit, columns) == NOT_IN_TABLE
    assert reason_of(circuit, columns, zero_knowledge=True) == LIGERO_REASON


def patch_selection(monkeypatch, first, chosen):
    """The semantics takes the entry `first` of each window, where `chosen` says so of it."""

    def first_maximum(values, window, *, relu):
        *lead, height, width = values.shape
        rows, columns = window
        windows = values.reshape(*lead, height // rows, rows, width // columns, columns).swapaxes(-3, -2)
        windows = windows.reshape(*windows.shape[:-2], rows * columns)
        index = first(windows)[..., None]
        mask = (np.arange(rows * columns) == index) & chosen(np.take_along_axis(windows, index, axis=-1))
        mask = mask.reshape(*mask.shape[:-1], rows, columns).swapaxes(-3, -2)
        return mask.reshape(values.shape).astype(np.int64)

    monkeypatch.setattr(max_pool, "first_maximum", first_maximum)


def test_rounding_down(lenient):
    unpatched = Wide.round

    def down(self, shift):
        value, remainder = unpatched(self, shift)
        return value - (remainder < 1 << (shift - 1)), remainder

    lenient.setattr(Wide, "round", down)
    assert reason_of(*dishonest(POOLED)) == FALSE_CLAIM


def test_skipped_perturbation(lenient):
    """The second pass at w_t, with E_t committed as it should be."""
    unpatched = probe._Probe._perturbed

    def skipped(self, *arguments):
        unpatched(self, *arguments)
        return self.weights

    lenient.setattr(probe._Probe, "_perturbed", skipped)
    assert reason_of(*dishonest(POOLED)) == FALSE_CLAIM


def test_stale_weights(lenient):
    """Every step begins at w_0, with the updates committed as they should be."""
    unpatched = probe._Probe._first_pass

    def stale(self, step):
        self.weights = self.initial
        return unpatched(self, step)

    lenient.setattr(probe._Probe, "_first_pass", stale)
    assert reason_of(*dishonest(POOLED)) == FALSE_CLAIM


def test_values_in_the_padding(lenient):
    unpatched = convolution_sums.image_operand

    def filled(images, window):
        honest, inside = unpatched(images, window), unpatched(np.ones_like(images), window).framed.values
        return convolution_sums.Images(window, honest.size, Operand.of(honest.framed.values + (1 - inside)))

    lenient.setattr(convolution_sums, "image_operand", filled)
    assert reason_of(*dishonest(POOLED)) == FALSE_CLAIM


def test_records_of_another_batch(lenient):
    """The steps see each other's records; those of the statement are committed."""
    unpatched = probe.run

    def swapped(network, weights, inputs, labels, configuration):
        return unpatched(network, weights, inputs[::-1].copy(), labels, configuration)

    lenient.setattr(probe, "run", swapped)
    assert reason_of(*dishonest(POOLED)) == FALSE_CLAIM


def test_wrapped_overflow(lenient):
    def wrap(values, number, tensor, place):
        values[...] = ((values + number.offset) & ((1 << number.width) - 1)) - number.offset

    for module in (convolution, probe, perturbation):
        lenient.setattr(module, "require_format", wrap)
    largest = {name: np.full_like(values, (1 << 43) - 1) for name, values in random_weights(NETWORKS[POOLED]).items()}
    circuit, columns = dishonest(POOLED, largest)
    assert reason_of(circuit, columns) == FALSE_CLAIM


def test_identity_that_holds_only_modulo_p(lenient):
    """out + 2^21 and rem - 1 change C + half - rem - 2^40 out by -p: only the carry, which has no value for it, forbids it."""
    circuit, columns, trajectory = honest(POOLED)
    identity = next(part for part in circuit.relation.components if part.name == "last: forward")
    assert identity.shift == 40 and identity.plan.low_digits >= 2
    values = trajectory.values["last: output"].copy()
    remainder = trajectory.values["last: forward: remainder"].copy()
    index = tuple(int(i) for i in np.argwhere(remainder > 0)[0])
    values[index] += 1 << 21
    remainder[index] -= 1
    changed = columns | identity.output.columns.split(values) | identity.remainder.split(remainder)
    assert reason_of(circuit, completed(changed, identity)) == FALSE_CLAIM


# ---- false messages ---------------------------------------------------------------------------------------------------------


MESSAGES = {
    ("first: forward: values", 0): FALSE_CLAIM,  # the output's value at the point
    ("first: forward: values", 1): FALSE_CLAIM,  # the bias's
    ("first: forward: values", 2): "first: forward: products of the factors",
    ("first: forward: factors", 0): "first: forward: products of the factors",
    ("last: input gradient: values", 0): "last: input gradient: products of the factors",
    ("first.weight: update: factors", 3): "first.weight: update: products of the factors",
    ("max pool 2: delta: factors", 0): "max pool 2: delta: product of the factors",
    ("max pool 2: selection: values", 0): "max pool 2: selection",
    ("max pool 2: windows: values", 1): "max pool 2: windows",
    ("max pool 2: input: shares", 0): FALSE_CLAIM,
    ("first.weight: passes: shares", 1): FALSE_CLAIM,
}


@pytest.mark.parametrize("label, position", MESSAGES, ids=str)
def test_false_messages(label, position):
    circuit, *_ = honest(POOLED)
    statement = Statement(circuit.relation)
    channel = lying(label, position)
    proof = prove_vector(statement, honest_vector(POOLED), zero_knowledge=False, channel_type=channel)
    assert reject(proof, circuit.relation, allow_plain=True).reason == MESSAGES[label, position]


@functools.cache
def honest_vector(name):
    circuit, columns, _ = honest(name)
    return dishonest_vector(Statement(circuit.relation), columns)
