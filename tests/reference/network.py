"""A network evaluated in float64 straight from its description, window by window: the twin of every other evaluation."""

import numpy as np

from tests.reference.operators.registry import OPERATORS
from zkds_verify.graph import Network, own_parameters


def scores(network, parameters, records):
    """(B, classes) for records (B, C, H, W); Python loops over records, channels and windows."""
    described = Network(network.encode(), OPERATORS)
    return np.array([_scores(described, parameters, record) for record in records])


def _scores(network, parameters, record):
    values = [record]
    for node in network.nodes:
        values.append(node.operator.evaluate([values[i] for i in node.inputs], own_parameters(node, parameters)))
    return values[-1][:, 0, 0]
