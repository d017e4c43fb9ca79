"""The batching of claims, slow and obvious: dense lists of field elements, one loop for each sum."""

from zkds.field import ZERO
from zkds.multilinear import index_weight


def dense_weights(claims, chi_powers, size):
    """W[x] for x < size: the sum of all pieces' weights."""
    weights = [ZERO] * size
    for claim, power in zip(claims, chi_powers, strict=True):
        for piece in claim.pieces:
            for x in range(1 << len(piece.point)):
                weights[piece.offset + x] = weights[piece.offset + x] + power * piece.scale * index_weight(piece.point, x)
    return weights


def inner_product(values, weights):
    total = ZERO
    for value, weight in zip(values, weights, strict=True):
        total = total + weight * value
    return total


def claim_value(claim, vector):
    """What an honest prover claims."""
    cells = vector.tolist()
    total = ZERO
    for piece in claim.pieces:
        for x in range(1 << len(piece.point)):
            if piece.offset + x < len(cells):
                total = total + piece.scale * index_weight(piece.point, x) * cells[piece.offset + x]
    return total


def bilinear_form(values, weights, streamed):
    """G[i][j] = sum over x with zero streamed bits of values[x + 8 i] weights[x + 8 j]."""
    side = 1 << streamed
    form = [[ZERO] * side for _ in range(side)]
    for x in range(len(values)):
        if x >> 3 & side - 1:
            continue
        for i in range(side):
            for j in range(side):
                form[i][j] = form[i][j] + weights[x + 8 * j] * values[x + 8 * i]
    return form


def bind_bit(values, bit, r):
    """The table without index bit `bit`, bound to r."""
    low = [v for x, v in enumerate(values) if not x >> bit & 1]
    high = [v for x, v in enumerate(values) if x >> bit & 1]
    return [a + r * (b - a) for a, b in zip(low, high, strict=True)]


def sumcheck_messages(values, weights, order, rho):
    """All messages (h(0), h(inf)) for the given challenges, and the final values of both tables."""
    messages = []
    left = list(order)
    while left:
        bit = left.pop(0)
        place = sum(other < bit for other in left)  # where this bit is, among those that are left
        values_0, values_1 = bind_bit(values, place, ZERO), bind_bit(values, place, ZERO + 1)
        weights_0, weights_1 = bind_bit(weights, place, ZERO), bind_bit(weights, place, ZERO + 1)
        at_zero = inner_product(values_0, weights_0)
        leading = ZERO
        for v0, v1, w0, w1 in zip(values_0, values_1, weights_0, weights_1, strict=True):
            leading = leading + (v1 - v0) * (w1 - w0)
        messages.append([at_zero, leading])
        values, weights = bind_bit(values, place, rho[bit]), bind_bit(weights, place, rho[bit])
    return messages, values[0], weights[0]
