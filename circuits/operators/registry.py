"""All operators, by the names that statements have for them."""

from __future__ import annotations

from zkds.circuits.operators import (
    add,
    affine,
    average_pool,
    batch_norm,
    clamp,
    concatenate,
    leaky_relu,
    maximum,
    pad,
    permute,
    relu,
    smooth,
)
from zkds.circuits.operators.convolution import operator as convolution
from zkds.circuits.operators.operator import Operator
from zkds.circuits.operators.tracing import Handler

OPERATORS: dict[str, type[Operator]] = {
    operator.KIND: operator
    for operator in (
        add.Add,
        affine.Affine,
        batch_norm.BatchNorm,
        clamp.Clamp,
        concatenate.Concatenate,
        convolution.Convolution,
        leaky_relu.LeakyRelu,
        maximum.AdaptiveMaxPool,
        maximum.MaxPool,
        average_pool.AveragePool,
        average_pool.AdaptiveAveragePool,
        pad.Pad,
        permute.Permute,
        relu.Relu,
        smooth.Gelu,
        smooth.GeluTanh,
        smooth.Sigmoid,
        smooth.Silu,
        smooth.Tanh,
    )
}
IMPORTS: dict[str, Handler] = {
    name: handler
    for operator in (
        add,
        affine,
        average_pool,
        batch_norm,
        clamp,
        concatenate,
        convolution,
        leaky_relu,
        maximum,
        pad,
        permute,
        relu,
        smooth,
    )
    for name, handler in operator.IMPORTS.items()
}
