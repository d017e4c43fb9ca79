"""The three rounded sums of a layer against Python ints, and whole small networks through bytes."""

import functools
from dataclasses import dataclass

import numpy as np
import pytest

from tests.circuit_harness import PartsRelation
from tests.reference import convolution as reference
from zkds.circuits.convolution import (
    ForwardProducts,
    InputGradientProducts,
    WeightGradientProducts,
    bias_gradient_term,
    bias_term,
)
from zkds.circuits.rounded import ColumnReader, RoundedSum
from zkds.circuits.tensors import Committed
from zkds.circuits.weights_trajectory import WeightTensor
from zkds.circuits.windows import Geometry, Window
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.prover import prove
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
