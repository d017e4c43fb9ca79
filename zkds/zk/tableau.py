"""The statement of a Ligero proof as weights on its rows: where each variable lies, and which equations tie them.

Variable j >= 0 (the pad of message j) lies in slot j mod l of row j div l. Product t = (i, j) has a copy of pad i in the
rows of left factors, a copy of pad j in those of right factors, and pad_i pad_j, variable -1 - t, in those of
products, each in slot t mod l. The equations, in order: those of the constraints, then for every product the two that
tie its copies: left factor - pad_i = 0, right factor - pad_j = 0.
"""

from __future__ import annotations

import numpy as np

from zkds.field import ONE, ZERO, K, to_pairs
from zkds.hidden import Constraints
from zkds.native import U64
from zkds.zk.parameters import LigeroParameters


def equation_count(constraints: Constraints) -> int:
    """The constraints' equations and two for each product."""
    return len(constraints.equations) + 2 * len(constraints.products)


def cell(parameters: LigeroParameters, variable: int) -> int:
    """Where a variable lies: row * k + slot."""
    if variable >= 0:
        return _cell(parameters, 0, variable)
    return _factor_cell(parameters, 2, -1 - variable)


def _cell(parameters: LigeroParameters, first_row: int, number: int) -> int:
    row, slot = divmod(number, parameters.slots)
    return (first_row + row) * parameters.row + slot


def _factor_cell(parameters: LigeroParameters, kind: int, product: int) -> int:
    """kind 0: left factor, 1: right factor, 2: product."""
    return _cell(parameters, parameters.pad_rows + kind * parameters.product_rows, product)


def combine_equations(parameters: LigeroParameters, constraints: Constraints, challenge: K) -> tuple[U64, K]:
    """sum_j challenge^j equation_j, as (witness rows, k, 2) weights and the sum that the weighted cells must have."""
    weights: dict[int, K] = {}

    def accumulate(where: int, weight: K) -> None:
        weights[where] = weights[where] + weight if where in weights else weight

    power, target = ONE, ZERO
    for _, expression in constraints.equations:
        for variable, coefficient in expression.coefficients.items():
            accumulate(cell(parameters, variable), power * coefficient)
        target = target - power * expression.constant
        power = power * challenge
    for product, pair in enumerate(constraints.products):
        for kind, message in enumerate(pair):
            accumulate(_factor_cell(parameters, kind, product), power)
            accumulate(cell(parameters, message), -power)
            power = power * challenge
    table = np.zeros((parameters.witness_rows * parameters.row, 2), dtype=np.uint64)
    if weights:
        table[list(weights)] = to_pairs(weights.values())
    return table.reshape(parameters.witness_rows, parameters.row, 2), target


def fill(parameters: LigeroParameters, rows: U64, pads: U64, factors: tuple[U64, U64, U64]) -> None:
    """Write the messages into (witness rows, k, 2) rows: (messages, 2) pads; left, right and product, (products, 2) each.

    Message slots after the last message of each kind become zero; the other slots keep what they hold.
    """
    first = 0
    for values in (pads, *factors):
        count = -(-len(values) // parameters.slots)
        padded = np.zeros((count * parameters.slots, 2), dtype=np.uint64)
        padded[: len(values)] = values
        rows[first : first + count, : parameters.slots] = padded.reshape(count, parameters.slots, 2)
        first += count
