"""What tests of relations need: columns in their places, and what a claim's weights make of them."""

import numpy as np

from zkds.commit.layout import Layout
from zkds.field import ZERO
from zkds.multilinear import evaluate_integers


def committed(relation, columns):
    """(layout, vector) of a relation's columns, without multiplicities."""
    layout = Layout(relation.columns)
    vector = np.zeros(layout.cells, dtype=np.uint32)
    for name, values in columns.items():
        layout.write(vector, name, values)
    return layout, vector


def claim_sum(claim, vector):
    """The weighted sum of the vector that the claim is about."""
    total = ZERO
    for piece in claim.pieces:
        cells = vector[piece.offset : piece.offset + (1 << len(piece.point))]
        total = total + piece.scale * evaluate_integers(np.ascontiguousarray(cells), piece.point)
    return total
