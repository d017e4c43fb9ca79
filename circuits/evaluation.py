"""A network on records, forwards only: what a certificate says of records beside its probe's (docs/fixed-point.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import Integers
from zkds.circuits.arithmetic.fixed_point import (
    CONVOLUTION,
    EXPONENTIAL_BITS,
    RESULT_FRACTION_BITS,
    Place,
    require_format,
    round_half_up,
)
from zkds.circuits.metric.loss import losses, softmax
from zkds.circuits.networks.graph import Network
from zkds.circuits.probe import forward
from zkds.integers.limbs import I64

RECORD_AXES = 4
CHUNK_VALUES = 1 << 21  # of all nodes, which are computed at a time


@dataclass(frozen=True, repr=False)
class Evaluated:
    """All values of n records, as a `Trajectory` has them, for one pass, (1, n, ..); arrays are int64 unless said otherwise.

    values       by the names of the circuit's tensors, "NODE: output" and what else the node's operator says
    labels       (1, n)
    losses       (1, n) of Python ints [58]
    total_loss   their sum, rounded [48]
    correct      how many of the records are classified as labelled
    """

    values: dict[str, NDArray[Any]]
    labels: I64
    logits: I64
    maximum: I64
    exponential_product: I64
    exponential_product_remainder: I64
    exponential: I64
    exponential_remainder: I64
    exponential_sum: Integers
    losses: Integers
    total_loss: int
    correct: int


def run(network: Network, weights: Mapping[str, I64], inputs: I64, labels: I64, place: Place) -> Evaluated:
    """weights: the integers of the model [40]; inputs (1, n, C, H, W) [32]; labels (1, n).

    Raises Overflow for a value that its format does not hold, ValueError for a label without an output.
    """
    if int(labels.min()) < 0 or int(labels.max()) >= network.classes:
        raise ValueError(f"labels: expected 0 to {network.classes - 1}")
    require_format(inputs, CONVOLUTION, "input", place)
    values = _values(network, weights, inputs, place)
    logits: I64 = values[f"{network.names[-1]}: output"][0, :, :, 0, 0]
    scores = softmax(logits)
    found = np.array(losses(scores, labels[0]), dtype=object)
    return Evaluated(
        values,
        labels,
        logits[None],
        scores.maximum[None],
        scores.exponential_product[None],
        scores.exponential_product_remainder[None],
        scores.exponential[None],
        scores.exponential_remainder[None],
        scores.exponential_sum[None],
        found[None],
        total_loss=round_half_up(int(found.sum()), EXPONENTIAL_BITS - RESULT_FRACTION_BITS),
        correct=int((scores.maximum == labels[0]).sum()),
    )


def _values(network: Network, weights: Mapping[str, I64], inputs: I64, place: Place) -> dict[str, NDArray[Any]]:
    """The values of all nodes, some records at a time: what a pass needs beside them is gone before the next ones.

    Values of a record are (B, C, H, W); all others are the pass's, such as the scales of batch norms.
    """
    count = inputs.shape[1]
    chunk = max(1, CHUNK_VALUES // sum(math.prod(placed.output) for placed in network.placed))
    values: dict[str, NDArray[Any]] = {}
    for start in range(0, count, chunk):
        forwards = forward(network, weights, np.ascontiguousarray(inputs[0, start : start + chunk]), place)
        for name, ahead in zip(network.names, forwards, strict=True):
            for tensor, value in {"output": ahead.output, **ahead.values}.items():
                key = f"{name}: {tensor}"
                if value.ndim < RECORD_AXES:
                    values[key] = value[None]
                    continue
                if key not in values:
                    values[key] = np.empty((1, count, *value.shape[1:]), dtype=value.dtype)
                values[key][0, start : start + chunk] = value
    return values
