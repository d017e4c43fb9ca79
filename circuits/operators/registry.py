"""All operators, by the names that statements have for them."""

from __future__ import annotations

from zkds.circuits.operators import add, concatenate, maximum, mean, relu
from zkds.circuits.operators.convolution import operator as convolution
from zkds.circuits.operators.operator import Operator
from zkds.circuits.operators.tracing import Handler

OPERATORS: dict[str, type[Operator]] = {
    operator.KIND: operator
    for operator in (
        add.Add,
        concatenate.Concatenate,
        convolution.Convolution,
        maximum.MaxPool,
        mean.AveragePool,
        relu.Relu,
    )
}
IMPORTS: dict[str, Handler] = {
    name: handler
    for operator in (add, concatenate, convolution, maximum, mean, relu)
    for name, handler in operator.IMPORTS.items()
}
