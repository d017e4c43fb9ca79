"""The integers that stand for a network's parameters and constants, and the digest that names a public model.

A parameter w is the integer floor(w 2^40 + 1/2), with |w| < 8: `WEIGHT_BITS` fractional bits, width `WEIGHT`. What the integers
of a constant are its operator says (`Operator.constant_integers`); they have the same width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.fixed_point import WEIGHT, WEIGHT_BITS
from zkds.circuits.networks.graph import Network
from zkds.integers.limbs import I64
from zkds.wire import encode_number

MODEL_LABEL = b"zkds model v1"
LARGEST = 1 << (WEIGHT.width - 1 - WEIGHT_BITS)  # parameters are below it in absolute value
LARGEST_ROUNDED = LARGEST - 2.0 ** -(WEIGHT_BITS + 1)  # and below this one, which rounds to LARGEST

QuantisedWeights = Mapping[str, I64]


def require_finite(name: str, values: NDArray[np.float64]) -> None:
    """Raises ValueError, with the index, if one of the values is an infinity or not a number; its value may be secret."""
    finite = np.isfinite(values)
    if not finite.all():
        raise ValueError(f"{name}{_index(~finite)}: expected a finite number")


def range_problem(name: str, values: NDArray[np.float64]) -> str | None:
    """What keeps a parameter out of a proof, and what to do; None if nothing does.

    It names the first index, in row-major order and in the array's own shape, and never a value, which may be secret.
    """
    outside = ~((values > -LARGEST) & (values < LARGEST_ROUNDED))
    if not outside.any():
        return None
    index = _index(outside)
    return (
        f"{name}{index}: expected a number between -{LARGEST} and {LARGEST}, the range of weights in a proof "
        f"({int(outside.sum())} of {values.size} lie outside); clamp it, or train with weight decay, and check the accuracy"
    )


def quantise(
    network: Network, parameters: Mapping[str, NDArray[np.float64]], shapes: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, I64]:
    """name -> int64 array of its shape; parameters with 40 fractional bits, rounded to nearest, halves up.

    parameters: float64 arrays with the names and shapes of `network.tensors`, constants among them.
    shapes: name -> the shape that its owner knows a parameter by, for messages; default: the network's.
    Raises TypeError and ValueError for others; ValueError with name and index for infinities, NaN and |w| >= 8.
    """
    expected = dict(network.tensors)
    if set(parameters) != set(expected):
        missing, unknown = sorted(set(expected) - set(parameters)), sorted(set(parameters) - set(expected))
        raise ValueError(f"parameters: missing {missing}, unknown {unknown}")
    known = expected | dict(shapes or {})
    for name, shape in network.tensors:
        _require(name, parameters[name], shape)
        require_finite(name, parameters[name].reshape(known[name]))
    integers = {name: _quantise(name, parameters[name], known[name]) for name, _ in network.parameters}
    for node in network.nodes:
        for word, _ in node.operator.constants:
            name = f"{node.name}.{word}"
            try:
                integers[name] = node.operator.constant_integers(word, parameters[name])
            except ValueError as error:
                raise ValueError(f"{name}{error}") from None
    return integers


def _require(name: str, values: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    if not isinstance(values, np.ndarray) or values.dtype != np.float64:
        raise TypeError(f"{name}: expected a float64 array, got {getattr(values, 'dtype', type(values).__name__)}")
    if values.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {values.shape}")


def _quantise(name: str, values: NDArray[np.float64], known: tuple[int, ...]) -> I64:
    problem = range_problem(name, values.reshape(known))
    if problem is not None:
        raise ValueError(problem)
    scaled = values * 2.0**WEIGHT_BITS  # exact: below 2^43, and float64 goes down to 2^-1074
    whole = np.floor(scaled)
    integers: I64 = whole.astype(np.int64) + (scaled - whole >= 0.5)  # the difference is exact
    return integers


def _index(chosen: NDArray[np.bool_]) -> list[int]:
    """Of the first True, in row-major order."""
    return [int(i) for i in np.unravel_index(int(np.argmax(chosen)), chosen.shape)]


def model_digest(network: Network, weights: QuantisedWeights) -> bytes:
    """SHA-256 of label, network, parameters and constants: 32 bytes that name a public model.

    It absorbs MODEL_LABEL; the length of the network's canonical bytes and they themselves, which say the name, shape and place
    of `Network.tensors`; the fractional bits of parameters; then the integers, parameter after parameter, then constant after
    constant, row-major, as 8 bytes each. All numbers are little-endian, the integers in two's complement.
    Raises TypeError and ValueError if the weights are not those that `quantise` makes for this network.
    """
    encoding = network.encode()
    digest = hashlib.sha256(MODEL_LABEL + encode_number(len(encoding)) + encoding + encode_number(WEIGHT_BITS))
    if set(weights) != {name for name, _ in network.tensors}:
        raise ValueError(f"weights: expected {[name for name, _ in network.tensors]}, got {sorted(weights)}")
    for name, shape in network.tensors:
        values = weights[name]
        if not isinstance(values, np.ndarray) or values.dtype != np.int64:
            raise TypeError(f"{name}: expected an int64 array, got {getattr(values, 'dtype', type(values).__name__)}")
        if values.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {values.shape}")
        digest.update(np.ascontiguousarray(values, "<i8").data)
    return digest.digest()
