"""The three rounded sums of a layer against Python ints through bytes, and wrong ones rejected."""

import functools
import itertools
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings

from tests.harness.circuit import Operands, circuit_of
from tests.harness.convolutions import geometries, windows
from tests.harness.limbs import completed
from tests.harness.whole_proof import reject
from tests.reference import convolution as reference
from zkds.circuits.operators.convolution.sums import (
    ForwardProducts,
    InputGradientProducts,
    WeightGradientProducts,
    bias_gradient_term,
    bias_term,
)
from zkds.circuits.operators.convolution.windows import Geometry, Window
from zkds.circuits.operators.parameter import WeightTensor
from zkds.errors import PlanRejected
from zkds.field import ZERO, P, from_pairs
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.lookup import multiplicities
from zkds.prover import prove, prove_vector
from zkds.statement import Statement
from zkds.tensors.circuit import Circuit
from zkds.tensors.tensor import ColumnReader, Committed
from zkds.verifier import verify

GEOMETRIES = {
    "padding": Geometry(2, 2, 2, 3, Window(5, 3, 1, 1, 5), Window(4, 3, 1, 1, 4)),
    "stride": Geometry(2, 1, 1, 2, Window(7, 3, 2, 1, 4), Window(6, 2, 3, 0, 2)),
    "rows left out": Geometry(3, 1, 2, 1, Window(6, 2, 1, 0, 4), Window(5, 1, 1, 0, 3)),
    "whole input": Geometry(2, 3, 2, 5, Window(3, 3, 1, 0, 1), Window(2, 2, 1, 0, 1)),
    "dense": Geometry(3, 2, 6, 4, Window(1, 1, 1, 0, 1), Window(1, 1, 1, 0, 1)),
    "dilation": Geometry(2, 2, 2, 3, Window(6, 3, 1, 1, 4, 2), Window(7, 2, 2, 0, 2, 3)),
    "even kernel, as many outputs as inputs": Geometry(2, 1, 2, 2, Window(4, 2, 1, 0, 4), Window(5, 4, 1, 1, 5)),
    "padding beyond the kernel": Geometry(2, 1, 1, 2, Window(3, 1, 1, 2, 7), Window(2, 2, 2, 3, 4)),
    "outputs that see zeros only": Geometry(2, 1, 1, 2, Window(2, 1, 5, 3, 1), Window(2, 1, 1, 0, 2)),
    "one row": Geometry(2, 2, 2, 3, Window(1, 1, 1, 0, 1), Window(9, 3, 2, 2, 4, 2)),
    "groups": Geometry(2, 2, 4, 6, Window(3, 2, 1, 0, 2), Window(3, 2, 1, 1, 4), 2),
    "groups of six, of three": Geometry(2, 2, 12, 6, Window(3, 2, 1, 0, 2), Window(2, 2, 1, 0, 1), 2),
    "five groups of three, of two": Geometry(2, 1, 15, 10, Window(2, 1, 1, 0, 2), Window(2, 2, 1, 1, 3), 5),
    "depthwise": Geometry(2, 2, 3, 3, Window(4, 3, 2, 1, 2, 1), Window(4, 2, 1, 1, 4, 2), 3),
    "depthwise, two outputs of each": Geometry(2, 1, 3, 6, Window(3, 2, 1, 0, 2), Window(3, 2, 1, 0, 2), 3),
}


@dataclass
class Sums:
    """All sums of one layer over committed operands, their relation and honest columns."""

    identities: list
    relation: Circuit
    columns: dict


@functools.cache
def layer_sums(geometry, terms=reference.terms) -> Sums:
    """terms: what the sums add up, in place of what belongs together."""
    steps, shape, channels = geometry.steps, geometry.weight_shape, (geometry.channels_out,)
    generator = np.random.default_rng(geometry.rows.inputs)
    values, tensors = {}, {}

    def operand(name, width, shape):
        values[name] = generator.integers(-(1 << (width - 7)), 1 << (width - 7), shape)
        return output(name, width, shape)

    def output(name, width, shape):
        tensors[name] = Committed(LimbColumns(name, LimbFormat(16, width, signed=True), shape))
        return tensors[name]

    def parameter(name, shape):
        parts = [
            operand(f"{name} {part}", 44, (*count, *shape))
            for part, count in (("start", ()), ("update", (steps - 1,)), ("perturbation", (steps - 1,)))
        ]
        return WeightTensor(f"{name} in passes", steps, *parts), reference.weights_in_passes(*(values[p.name] for p in parts))

    weights, weight_values = parameter("weight", shape)
    biases, bias_values = parameter("bias", channels)
    inputs, deltas = operand("inputs", 41, geometry.input_shape), operand("deltas", 46, geometry.output_shape)
    gradients = reference.weight_gradient_sums(geometry, values["deltas"], values["inputs"], terms)
    bias_gradients = values["deltas"].astype(object).sum(axis=(1, 3, 4)) * (1 << 32)
    both = [(0, steps, "first passes"), (steps, steps - 1, "second passes")]
    cases = [
        ("values", 40, geometry.output_shape, ForwardProducts(geometry, weights, inputs), bias_term(geometry, biases, 32),
         reference.convolution_sums(geometry, weight_values, values["inputs"], bias_values, 32, terms)),
        ("input gradient", 40, geometry.input_shape, InputGradientProducts(geometry, weights, deltas), None,
         reference.input_gradient_sums(geometry, weight_values, values["deltas"], terms)),
        *((f"gradient, {passes}", 35, (count, *shape), WeightGradientProducts(geometry, deltas, inputs, first, count), None,
           gradients[first : first + count]) for first, count, passes in both),
        *((f"bias gradient, {passes}", 35, (count, *channels), None, bias_gradient_term(geometry, deltas, 32, first, count),
           bias_gradients[first : first + count]) for first, count, passes in both),
    ]  # fmt: skip
    identities, remainders = [], []
    for case, shift, shape, products, linear, sums in cases:
        values[f"{case}: out"], remainder = reference.rounded(sums, shift)
        identities.append(RoundedSum(case, output(f"{case}: out", 49, shape), shift, products, linear))
        remainders.append(remainder)
    columns = {}
    for tensor in tensors.values():
        columns |= tensor.columns.split(values[tensor.name])
    for identity, remainder in zip(identities, remainders, strict=True):
        columns |= identity.remainder.split(remainder)
    relation = circuit_of(*identities, Operands(*tensors.values()))
    return Sums(identities, relation, completed(columns, *identities))


@pytest.mark.parametrize("name", GEOMETRIES)
def test_sums_of_python_ints_are_proved(name):
    accepted(layer_sums(GEOMETRIES[name]))


def accepted(layer):
    verify(prove(layer.relation, layer.columns, zero_knowledge=False), layer.relation, allow_plain=True)


@settings(max_examples=8)
@given(geometries(most_inputs=5, most_kernel=3, most_channels=3))
def test_sums_of_any_convolution_are_proved(geometry):
    accepted(layer_sums(geometry))


def test_groups_are_proved_in_zero_knowledge():
    layer = layer_sums(GEOMETRIES["groups of six, of three"])
    verify(prove(layer.relation, layer.columns), layer.relation)


@pytest.mark.parametrize("name", ["dilation", "groups"])
def test_digit_sums_of_large_operands_are_those_of_every_pass(name, monkeypatch):
    layer = layer_sums(GEOMETRIES[name])
    reader = ColumnReader(layer.columns)
    products = [part.products for identity in layer.identities for part in identity.products]
    at_once = [own.digit_sums(reader, 3) for own in products]
    monkeypatch.setattr("zkds.identities.low_digits.AT_ONCE", 0)
    for own, expected in zip(products, at_once, strict=True):
        assert all(map(np.array_equal, own.digit_sums(reader, 3), expected))


# ---- one axis -----------------------------------------------------------------------------------------------------------


def elements(seed, *shape):
    """(.., 2) pairs."""
    return np.random.default_rng(seed).integers(0, P, (*shape, 2), dtype=np.uint64)


@settings(max_examples=200)
@given(windows(most_inputs=30, most_kernel=6))
def test_windows(window):
    """Sums of products of weights, and numbers of terms, against the definition."""
    met = reference.positions(window)
    outputs, taps, inputs = elements(1, window.outputs), elements(2, window.kernel), elements(3, window.inputs)
    y, d, u = map(from_pairs, (outputs, taps, inputs))
    expected = [[ZERO] * window.outputs, [ZERO] * window.kernel, [ZERO] * window.inputs]
    of_inputs = np.zeros((window.outputs, window.kernel, 2), dtype=np.uint64)
    for i, j, k in met:
        for total, index, value in zip(expected, (i, j, k), (u[k] * d[j], u[k] * y[i], y[i] * d[j]), strict=True):
            total[index] = total[index] + value
        of_inputs[i, j] = inputs[k]
    assert from_pairs(window.on_outputs(inputs, taps)) == expected[0]
    assert from_pairs(window.exchanged.on_outputs(inputs, outputs)) == expected[1]
    assert from_pairs(window.on_inputs(outputs, taps)) == expected[2]
    assert (window.of_inputs(inputs) == of_inputs).all()
    for position, most in (
        (0, window.most_terms_of_an_output),
        (1, window.most_terms_of_a_tap),
        (2, window.most_terms_of_an_input),
    ):
        assert most == max(Counter(triple[position] for triple in met).values(), default=0)


@pytest.mark.parametrize("kernel", [1, 3])
def test_sums_on_outputs_of_many_rows(kernel):
    window = Window(9, kernel, 2, 1, 5, 2)
    table, taps = elements(1, 2, 3, 9), elements(2, kernel)
    found = window.on_outputs(table, taps)
    for row in np.ndindex(2, 3):
        assert (found[row] == window.on_outputs(table[row], taps)).all()


def test_a_single_tap_of_weight_one_changes_nothing():
    table, one = elements(1, 4, 9), np.array([[1, 0]], dtype=np.uint64)
    assert (Window(9, 1, 1, 0, 9).on_outputs(table, one) == table).all()
    assert (Window(9, 1, 2, 0, 5).on_outputs(table, one) == table[:, ::2]).all()


def test_sums_of_many_meetings_are_made_in_parts(monkeypatch):
    window = Window(9, 3, 1, 2, 11, 2)
    outputs, taps = elements(1, 11), elements(2, 3)
    whole = window.on_inputs(outputs, taps)
    for chunk in (1, 4, 7):
        monkeypatch.setattr("zkds.circuits.operators.convolution.windows.CHUNK", chunk)
        assert (window.on_inputs(outputs, taps) == whole).all()


# ---- wrong sums ---------------------------------------------------------------------------------------------------------


def in_the_padding(window):
    """The input is continued periodically in place of zeros."""
    met = itertools.product(range(window.outputs), range(window.kernel))
    return [(y, d, (y * window.stride + d * window.dilation - window.before) % window.inputs) for y, d in met]


def without_dilation(window):
    return reference.positions(replace(window, dilation=1))


def of_the_next_group(geometry):
    """Every group of outputs sees the channels of the next group."""
    ins = geometry.channels_in // geometry.groups
    for pb, oi, c, *rest in reference.terms(geometry):
        yield pb, oi, (c + ins) % geometry.channels_in, *rest


def of_all_groups(geometry):
    """The first channel of every group, too, is counted with the weights of the first group's."""
    for pb, oi, c, *rest in reference.terms(geometry):
        yield pb, oi, c, *rest
        if oi[1] == 0:
            yield pb, oi, (c + geometry.channels_in // geometry.groups) % geometry.channels_in, *rest


CHEATS = {
    "a tap counted in the padding": ("padding", partial(reference.terms, positions=in_the_padding)),
    "a tap counted in the padding behind": (
        "even kernel, as many outputs as inputs",
        partial(reference.terms, positions=in_the_padding),
    ),
    "outputs that see zeros only, filled": ("outputs that see zeros only", partial(reference.terms, positions=in_the_padding)),
    "dilation ignored": ("dilation", partial(reference.terms, positions=without_dilation)),
    "channels of the next group": ("groups of six, of three", of_the_next_group),
    "channels of another group as well": ("groups", of_all_groups),
    "the next channel, depthwise": ("depthwise", of_the_next_group),
}


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("cheat", CHEATS)
def test_wrong_sums_are_rejected(cheat):
    """Every identity by itself: one wrong sum among honest ones, its remainder and its carries the best that there are."""
    name, terms = CHEATS[cheat]
    honest, wrong = layer_sums(GEOMETRIES[name]), layer_sums(GEOMETRIES[name], terms)
    for identity in honest.identities:
        columns = dict(honest.columns)
        changed = [column for column in columns if column.startswith(f"{identity.name}: ")]
        columns |= {column: wrong.columns[column] for column in changed}
        if all((columns[column] == honest.columns[column]).all() for column in changed):
            assert identity.name.startswith("bias")
            continue
        statement = Statement(honest.relation)
        vector = statement.vector(columns)
        multiplicities(statement.lookups, statement.layout, vector)
        proof = prove_vector(statement, vector, zero_knowledge=False)
        assert reject(proof, honest.relation, allow_plain=True).reason == "batching: final claim"


def test_a_wrong_remainder_has_no_carries():
    layer = layer_sums(GEOMETRIES["dense"])
    identity = layer.identities[0]
    remainder = np.zeros(identity.output.shape, dtype=np.int64)
    columns = layer.columns | identity.remainder.split(remainder)
    with pytest.raises(ValueError, match="do not sum to a multiple of 2"):
        identity.witness(ColumnReader(columns))


def test_plans_are_checked_by_both_sides():
    layer = layer_sums(GEOMETRIES["dense"])
    identity = layer.identities[1]
    carry = identity.plan.carries[0]
    wider = (replace(carry, width=carry.width + 16), *identity.plan.carries[1:])
    plan, identity.plan = identity.plan, replace(identity.plan, carries=wider)
    try:
        with pytest.raises(PlanRejected, match="can wrap around p"):
            verify(b"", layer.relation)
        with pytest.raises(PlanRejected, match="can wrap around p"):
            prove(layer.relation, layer.columns)
    finally:
        identity.plan = plan


GEOMETRY = GEOMETRIES["dense"]
WEIGHTS, INPUTS = (
    Committed(LimbColumns(name, LimbFormat(16, 41, signed=True), shape))
    for name, shape in (("weights", (GEOMETRY.passes, *GEOMETRY.weight_shape)), ("inputs", GEOMETRY.input_shape))
)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Window(5, 3, 1, 0, 4, 0), "dilation: expected a positive int, got 0"),
        (lambda: Window(0, 3, 1, 0, 4), "inputs: expected a positive int, got 0"),
        (lambda: Window(5, 3, 1, -1, 4), "before: expected an int of at least 0, got -1"),
        (lambda: replace(GEOMETRY, groups=4), "groups: expected a divisor of 6 and 4 channels, got 4"),
        (lambda: replace(GEOMETRY, groups=0), "groups: expected a divisor of 6 and 4 channels, got 0"),
        (lambda: ForwardProducts(GEOMETRY, INPUTS, INPUTS), r"inputs: expected shape \(5, 4, 6, 1, 1\), got \(5, 2, 6, 1, 1\)"),
        (lambda: ForwardProducts(GEOMETRY, WEIGHTS, WEIGHTS), r"weights: expected shape \(5, 2, 6, 1, 1\), got \(5, 4, 6"),
        (lambda: WeightGradientProducts(GEOMETRY, INPUTS, INPUTS, 0, 3), r"inputs: expected shape \(5, 2, 4, 1, 1\)"),
        (lambda: RoundedSum("sum", INPUTS, 40, None), "sum: expected products or a linear term"),
        (
            lambda: RoundedSum("sum", INPUTS, 63, ForwardProducts(GEOMETRY, WEIGHTS, INPUTS)),
            "sum: expected a rounding of 1 to 60 bits, got 63",
        ),
    ],
)
def test_misuse_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
