"""A slow Ligero verifier, written from docs/protocol.md, section 9: Python integers, polynomials by their definition, hashlib.

It shares with zkds the field element, the channel that reads bytes and draws challenges, and the list of constraints.
"""

from __future__ import annotations

import hashlib
import math

from tests.reference.polynomials import evaluate, interpolate, odd_powers
from zkds.channel import VerifierChannel
from zkds.field import ONE, ZERO, K
from zkds.hidden import Constraints
from zkds.soundness import ErrorTerm

LOG2_K = 2 * math.log2(2**61 - 1)


def queries(k: int) -> int:
    n = 16 * k
    e = (n - 2 * k) // 2
    return math.ceil(87 / -math.log2((n - e - 1) / n))


def sizes(k: int, messages: int, products: int) -> tuple[int, int, int]:
    """(l, pad rows, product rows)"""
    slots = k - queries(k)
    return slots, math.ceil(messages / slots), math.ceil(products / slots)


def proof_bytes(k: int, messages: int, products: int) -> int:
    t, n = queries(k), 16 * k
    slots, pad_rows, product_rows = sizes(k, messages, products)
    rows = pad_rows + 3 * product_rows + 3
    levels = int(math.log2(n)) - math.floor(math.log2(t)) - 1
    return 16 * (5 * k - slots) + t * (16 * rows + 32 + 32 * max(0, levels))


def row_length(messages: int, products: int) -> int:
    candidates = [2**a for a in range(1, 21) if 2**a > queries(2**a)]
    return min(candidates, key=lambda k: (proof_bytes(k, messages, products), k))


def draw(channel: VerifierChannel, name: str, numerator: int) -> K:
    bits = LOG2_K - math.log2(numerator)
    return channel.challenge(ErrorTerm(name, bits, "", "", max(0, math.ceil(108 - bits))))


def accepts(channel: VerifierChannel, root: bytes, constraints: Constraints) -> bool:
    products = constraints.products
    k = row_length(constraints.messages, len(products))
    t, n = queries(k), 16 * k
    slots, pad_rows, product_rows = sizes(k, constraints.messages, len(products))
    witness_rows = pad_rows + 3 * product_rows

    r = draw(channel, "Ligero low-degree test", witness_rows * n)
    c = draw(channel, "Ligero equations", max(1, len(constraints.equations) + 2 * len(products)))
    m = draw(channel, "Ligero linear mask", n + 1)
    g = draw(channel, "Ligero products", max(1, product_rows))
    m2 = draw(channel, "Ligero quadratic mask", n + 1)

    message_points = list(range(0, 2 * slots, 2))  # among the points of the group of order 2k
    low_degree = receive(channel, "Ligero low-degree response", k)
    linear = receive(channel, "Ligero linear response", 2 * k)
    sent = iter(receive(channel, "Ligero quadratic response", 2 * k - slots))
    quadratic = [ZERO if j in set(message_points) else next(sent) for j in range(2 * k)]

    positions = channel.positions(ErrorTerm("Ligero queries", 87.0, "", "", 16), t, n)
    rows = witness_rows + 3
    symbols = receive(channel, "Ligero columns", t * rows)
    columns = [symbols[j * rows : (j + 1) * rows] for j in range(t)]
    salts = channel.receive_bytes("Ligero salts", 32 * t)
    leaves = {
        position: hashlib.sha256(b"\x00" + salts[32 * j : 32 * j + 32] + b"".join(x.to_bytes() for x in columns[j])).digest()
        for j, position in enumerate(positions)
    }
    if merkle_root(channel, leaves, n) != root:
        return False

    weights, target = combined(constraints, c, k, slots, pad_rows, product_rows)
    if sum((linear[j] for j in message_points), ZERO) != m * target:
        return False
    points = odd_powers(n)
    low_polynomial, linear_polynomial, quadratic_polynomial = (interpolate(v) for v in (low_degree, linear, quadratic))
    weight_polynomials = [interpolate(row) for row in weights]
    for position, column in zip(positions, columns, strict=True):
        x, witness = points[position], column[:witness_rows]
        low_mask, linear_mask, quadratic_mask = column[witness_rows:]
        low = sum((r ** (i + 1) * symbol for i, symbol in enumerate(witness)), low_mask)
        weighted = sum((evaluate(R, x) * symbol for R, symbol in zip(weight_polynomials, witness, strict=True)), ZERO)
        left, right, product = (witness[pad_rows + i * product_rows :][:product_rows] for i in range(3))
        square = sum((g**i * (a * b - d) for i, (a, b, d) in enumerate(zip(left, right, product, strict=True))), ZERO)
        if evaluate(low_polynomial, x) != low:
            return False
        if evaluate(linear_polynomial, x) != linear_mask + m * weighted:
            return False
        if evaluate(quadratic_polynomial, x) != quadratic_mask + m2 * square:
            return False
    return True


def receive(channel: VerifierChannel, label: str, count: int) -> list[K]:
    return [K(re, im) for re, im in channel.receive_pairs(label, count).tolist()]


def merkle_root(channel: VerifierChannel, known: dict[int, bytes], n: int) -> bytes:
    """The digests that are missing are sent level by level from the leaves, in each by position."""
    missing, present, width = 0, set(known), n
    while width > 1:
        missing += sum(1 for i in present if i ^ 1 not in present)
        present, width = {i // 2 for i in present}, width // 2
    data = channel.receive_bytes("Ligero Merkle digests", 32 * missing)
    digests = iter([data[i : i + 32] for i in range(0, len(data), 32)])
    while n > 1:
        for i in sorted(known):
            if i ^ 1 not in known:
                known[i ^ 1] = next(digests)
        known = {i // 2: hashlib.sha256(b"\x01" + known[i] + known[i + 1]).digest() for i in known if i % 2 == 0}
        n //= 2
    return known[0]


def combined(constraints: Constraints, c: K, k: int, slots: int, pad_rows: int, product_rows: int) -> tuple[list[list[K]], K]:
    """Values on H of the weights R_i, and the sum that the weighted messages must have."""
    rows = [[ZERO] * k for _ in range(pad_rows + 3 * product_rows)]

    def place(first_row: int, number: int, weight: K) -> None:
        row, slot = first_row + number // slots, number % slots
        rows[row][slot] = rows[row][slot] + weight

    power, target = ONE, ZERO
    for _, expression in constraints.equations:
        for variable, coefficient in expression.coefficients.items():
            if variable >= 0:
                place(0, variable, power * coefficient)
            else:
                place(pad_rows + 2 * product_rows, -1 - variable, power * coefficient)
        target = target - power * expression.constant
        power = power * c
    for t, (i, j) in enumerate(constraints.products):
        for kind, message in enumerate((i, j)):
            place(pad_rows + kind * product_rows, t, power)
            place(0, message, -power)
            power = power * c
    return rows, target
