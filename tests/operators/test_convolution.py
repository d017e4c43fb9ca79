"""The three rounded sums of a layer against Python ints, and whole small networks through bytes."""

import functools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.circuit import PartsRelation
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
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.prover import prove
from zkds.tensors.tensor import ColumnReader, Committed
from zkds.verifier import verify

GEOMETRIES = {
    "padding": Geometry(2, 2, 2, 3, Window(5, 3, 1, 1, 5), Window(4, 3, 1, 1, 4)),
    "stride": Geometry(2, 1, 1, 2, Window(7, 3, 2, 1, 4), Window(6, 2, 3, 0, 2)),
    "rows left out": Geometry(3, 1, 2, 1, Window(6, 2, 1, 0, 4), Window(5, 1, 1, 0, 3)),
    "whole input": Geometry(2, 3, 2, 5, Window(3, 3, 1, 0, 1), Window(2, 2, 1, 0, 1)),
    "dense": Geometry(3, 2, 6, 4, Window(1, 1, 1, 0, 1), Window(1, 1, 1, 0, 1)),
}


@dataclass
class Sums:
    """All sums of one layer over committed operands, their relation and honest columns."""

    identities: list
    relation: PartsRelation
    columns: dict


@functools.cache
def layer_sums(name: str) -> Sums:
    geometry = GEOMETRIES[name]
    steps, shape, channels = geometry.steps, geometry.weight_shape, (geometry.channels_out,)
    generator = np.random.default_rng(len(name))
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
    gradients = reference.weight_gradient_sums(geometry, values["deltas"], values["inputs"])
    bias_gradients = values["deltas"].astype(object).sum(axis=(1, 3, 4)) * (1 << 32)
    both = [(0, steps, "first passes"), (steps, steps - 1, "second passes")]
    cases = [
        ("values", 40, geometry.output_shape, ForwardProducts(geometry, weights, inputs), bias_term(geometry, biases, 32),
         reference.convolution_sums(geometry, weight_values, values["inputs"], bias_values, 32)),
        ("input gradient", 40, geometry.input_shape, InputGradientProducts(geometry, weights, deltas), None,
         reference.input_gradient_sums(geometry, weight_values, values["deltas"])),
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
    reader = ColumnReader(columns)
    for identity, remainder in zip(identities, remainders, strict=True):
        columns |= identity.witness(reader, remainder)
    relation = PartsRelation(identities, [weights, biases, *tensors.values()], list(tensors.values()))
    return Sums(identities, relation, columns)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_sums_of_python_ints_are_proved(name):
    layer = layer_sums(name)
    verify(prove(layer.relation, layer.columns, zero_knowledge=False), layer.relation, allow_plain=True)


def naive_positions(window):
    """[outputs][kernel] -> input, or None in the padding."""
    place = [[y * window.stride + d - window.padding for d in range(window.kernel)] for y in range(window.outputs)]
    return [[u if 0 <= u < window.inputs else None for u in row] for row in place]


WINDOWS = st.builds(
    lambda inputs, kernel, stride, padding, left_out: (inputs, kernel, stride, padding, left_out),
    *(st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.integers(0, 4), st.integers(0, 2)),
).filter(lambda w: w[0] + 2 * w[3] >= w[1])


@settings(max_examples=60, deadline=None)
@given(WINDOWS)
def test_windows(sizes):
    """Matrices of weights and numbers of terms against the definition."""
    inputs, kernel, stride, padding, left_out = sizes
    outputs = max(1, (inputs + 2 * padding - kernel) // stride + 1 - left_out)
    window = Window(inputs, kernel, stride, padding, outputs)
    met = [(y, d, u) for y, row in enumerate(naive_positions(window)) for d, u in enumerate(row) if u is not None]
    weights = np.arange(1, 41, dtype=np.uint64).reshape(20, 2)[: max(inputs, kernel, outputs)]
    matrices = window.by_outputs(weights), window.by_inputs(weights), window.by_taps(weights)
    expected = [np.zeros(matrix.shape, dtype=np.uint64) for matrix in matrices]
    for y, d, u in met:
        expected[0][d, u], expected[1][d, y], expected[2][y, u] = weights[y], weights[u], weights[d]
    for matrix, found in zip(matrices, expected, strict=True):
        assert (matrix == found).all()
    for position, most in (
        (0, window.most_terms_of_an_output),
        (1, window.most_terms_of_a_tap),
        (2, window.most_terms_of_an_input),
    ):
        counts = [sum(triple[position] == index for triple in met) for index in range(20)]
        assert most == max(counts)


def test_a_wrong_remainder_has_no_carries():
    layer = layer_sums("dense")
    identity = layer.identities[0]
    remainder = np.zeros(identity.output.shape, dtype=np.int64)
    with pytest.raises(ValueError, match="do not sum to a multiple of 2"):
        identity.witness(ColumnReader(layer.columns), remainder)


def test_plans_are_checked_by_both_sides():
    layer = layer_sums("dense")
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
        (lambda: Window(5, 3, 1, 0, 4), "outputs: expected at most 3, got 4"),
        (lambda: Window(0, 3, 1, 0, 4), "inputs: expected a positive int, got 0"),
        (lambda: Window(5, 3, 1, -1, 4), "padding: expected an int of at least 0, got -1"),
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
