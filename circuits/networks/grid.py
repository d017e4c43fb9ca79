"""The grid of a proof: the values that a model's integers stand for, and how a model's own values differ from them.

A proof is about integers. The network that it certifies, as a network of floats, has the values that they stand for exactly:

    parameter        w          = integer 2^-40
    running mean     mean       = integer 2^-32
    running variance var        = the float64 nearest to 2^64 / r^2 - eps, at least 0: round(2^32 / sqrt(var + eps)) is r again

Such a network multiplies by 1/sqrt(var + eps), r 2^-32 up to the rounding of float64; for r = 0 var is infinite. Quantising
these values gives the same integers, so that a model on the grid is its own certified model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.fixed_point import WEIGHT_BITS
from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.networks.weights import QuantisedWeights
from zkds.circuits.operators.batch_norm import CONSTANT_BITS, MEAN, BatchNorm
from zkds.errors import ProofRejected

Values = Mapping[str, NDArray[np.float64]]
VANISHING = "weights that vanish on the grid"
MAX_NAMED = 6  # layers in a message


class VanishingWeights(ProofRejected):
    """Weights of a model file that are not 0 but are 0 in a proof: the file's network is not the certified one."""


@dataclass(frozen=True)
class LayerDifference:
    """How the values of a layer differ between a model and the grid.

    The values are its parameters and running means, and 1/sqrt(var + eps) for running variances.

    layer       the node's name
    values      how many there are
    absolute    the largest difference
    relative    the largest difference in proportion to the model's value, of values that are not 0; at most 1
    vanishing   how many are not 0 in the model and 0 on the grid
    """

    layer: str
    values: int
    absolute: float
    relative: float
    vanishing: int


def grid_values(network: Network, weights: QuantisedWeights) -> dict[str, NDArray[np.float64]]:
    """name -> the float64 values that the integers of `quantise` stand for, of the names and shapes of `network.tensors`."""
    found = {name: values for node in network.nodes for name, values in _grid_values(node, weights).items()}
    return {name: found[name] for name, _ in network.tensors}


def layer_differences(network: Network, parameters: Values, weights: QuantisedWeights) -> tuple[LayerDifference, ...]:
    """Of every layer that has parameters. parameters: float64, as for `quantise`, of which `weights` are the integers."""
    vanishing = vanishing_weights(network, parameters, weights)
    differences = []
    for node in network.nodes:
        if node.parameters:
            found, kept = _used(node, parameters), _used(node, _grid_values(node, weights))
            difference = np.abs(found - kept)
            relative = np.zeros_like(found)  # stays at a value of 0, which is on the grid
            np.divide(difference, np.abs(found), out=relative, where=found != 0)
            largest = float(difference.max()), float(relative.max())
            differences.append(LayerDifference(node.name, found.size, *largest, vanishing.get(node.name, 0)))
    return tuple(differences)


def vanishing_weights(network: Network, parameters: Values, weights: QuantisedWeights) -> dict[str, int]:
    """layer -> how many of its values are not 0 in `parameters` and 0 in `weights`; of layers where some are."""
    counts = {}
    for node in network.nodes:
        names = [name for name, _ in (*node.parameters, *node.constants)]
        count = sum(int(((parameters[name] != 0) & (weights[name] == 0)).sum()) for name in names)
        if count:
            counts[node.name] = count
    return counts


def vanishing_words(vanishing: Mapping[str, int]) -> str:
    """Such as "3 in conv1, 5 in fc2"."""
    layers = [f"{count} in {layer}" for layer, count in vanishing.items()]
    return ", ".join(layers[:MAX_NAMED]) + (f" and more in {len(layers) - MAX_NAMED} layers" if len(layers) > MAX_NAMED else "")


def vanishing_warnings(differences: Sequence[LayerDifference]) -> list[str]:
    """What to say of a model in which some weights vanish; empty for others."""
    vanishing = {layer.layer: layer.vanishing for layer in differences if layer.vanishing}
    return [f"{VANISHING}: {vanishing_words(vanishing)}; they are 0 in the certified model"] if vanishing else []


def require_none_vanishing(vanishing: Mapping[str, int], file: str, *, allowed: bool) -> None:
    """Raise VanishingWeights, which names their number and the layers, if weights vanish and that is not allowed."""
    if vanishing and not allowed:
        remedy = "none (allow_vanishing_weights accepts them; `zkds quantise` writes the model that has 0 there)"
        raise VanishingWeights(VANISHING, remedy, f"{vanishing_words(vanishing)}, of {file}")


def _grid_values(node: Node, weights: QuantisedWeights) -> dict[str, NDArray[np.float64]]:
    """Of one node."""
    values = {name: weights[name].astype(np.float64) * 2.0**-WEIGHT_BITS for name, _ in node.parameters}  # exact: no subnormals
    for (name, _), (word, _) in zip(node.constants, node.operator.constants, strict=True):
        values[name] = _constant_values(_batch_norm(node), word, weights[name].tolist())
    return values


def _used(node: Node, values: Values) -> NDArray[np.float64]:
    """The values of a layer that its network computes with, one after the other."""
    used = [values[name].ravel() for name, _ in node.parameters]
    for (name, _), (word, _) in zip(node.constants, node.operator.constants, strict=True):
        used.append(values[name] if word == MEAN else 1 / np.sqrt(values[name] + _batch_norm(node).eps))
    return np.concatenate(used)


def _constant_values(operator: BatchNorm, word: str, integers: Sequence[int]) -> NDArray[np.float64]:
    if word == MEAN:
        return np.ldexp(np.array(integers, dtype=np.float64), -CONSTANT_BITS)
    return np.array([_variance(integer, operator.eps) for integer in integers])


def _variance(deviation: int, eps: float) -> float:
    """The variance that a reciprocal deviation r [32] stands for.

    The variances of one r reach over about 1/r >= 2^-43 of var + eps to each side, float64 has 2^-53 of it. Below 0 there is
    none where r is rounded up at var = 0, and that is its only variance then.
    """
    if not deviation:
        return math.inf
    return max(0.0, float(Fraction(1 << 2 * CONSTANT_BITS, deviation**2) - Fraction(eps)))


def _batch_norm(node: Node) -> BatchNorm:
    """The one kind of operator that has constants."""
    assert isinstance(node.operator, BatchNorm)
    return node.operator
