"""What a slow verifier of certificates does about records and models.

Written from docs/protocol.md, sections 10 and 19, sharing no code with zkds but the elements of K. That commitments are
canonical and under their roots is not checked again here.
"""

from functools import cache
from hashlib import sha256, shake_256
from math import prod
from operator import mul

from tests.reference.claims_ledger import Axis, bits, eq, eqs, on_columns, powers, product, split, total
from tests.reference.components import value_weights
from tests.reference.shape_plans import P
from zkds.field import ONE, K

ROWS = 128


@cache
def matrix(columns):
    """A as a list of columns of 128 integers."""
    stream = shake_256(sha256(b"zkds ajtai matrix v1").digest()).digest(8 * (ROWS * columns + 16))
    pieces = (int.from_bytes(stream[8 * i : 8 * i + 8], "little") & (2**61 - 1) for i in range(len(stream) // 8))
    entries = [piece for piece in pieces if piece != P]
    return [entries[ROWS * j : ROWS * (j + 1)] for j in range(columns)]


@cache
def row_weights(columns, a):
    return combined(eq(ROWS, a).weights, matrix(columns))


def combined(weights, rows):
    """For every row of integers sum_k weights[k] row[k], the real and the imaginary part by themselves."""
    re, im = ([getattr(w, part) for w in weights] for part in ("re", "im"))
    return [K(sum(map(mul, re, row)), sum(map(mul, im, row))) for row in rows]


def commitments(data, a):
    """For every h its sum_k eq(a, k) h[k]."""
    numbers = [int.from_bytes(data[k : k + 8], "little") for k in range(0, len(data), 8)]
    return combined(eq(ROWS, a).weights, [numbers[i : i + ROWS] for i in range(0, len(numbers), ROWS)])


def membership(ledger, s, columns, prefix=""):
    name, steps, batch = f"{prefix}membership", s.T, s.B
    data = ledger.bytes(f"{name}: commitments", 8 * ROWS * steps * batch)
    ledger.bytes(f"{name}: Merkle proof", None)
    ledger.equation(f"{name}: canonical commitments")
    ledger.equation(f"{name}: Merkle root")
    a = ledger.challenges(f"{name}: row coordinate", 1, 7)
    points = [ledger.challenges(f"{name}: record coordinate", 1, bits((length,))) for length in (steps, batch)]
    records = [w * v for w in eq(steps, points[0]).weights for v in eq(batch, points[1]).weights]
    claim = total(w * h for w, h in zip(records, commitments(data, a), strict=True))
    shapes = [tensor.shape[2:] for tensor in columns]
    variables = max(map(bits, shapes))
    s, last = ledger.sumcheck(name, variables, 2, claim)
    values = ledger.hidden(f"{name}: values", 3)
    weights = row_weights(sum(map(prod, shapes)), tuple(a))
    for tensor, inner, value in zip(columns, shapes, values, strict=True):
        count, used = prod(inner), bits(inner)
        own, weights = weights[:count], weights[count:]
        inside = split(inner, s[:used])
        factor = product(1 - b for b in s[used:])
        last = last - factor * factor * extension(inner, own, inside) * value
        ledger.on_vector.append((on_columns(tensor, eqs(tensor.shape, [*points, *inside]), [ONE])[0], value))
    ledger.equation(f"{name}: linear claim", last)


def extension(shape, values, points):
    """The multilinear extension of a row-major list."""
    for axis in reversed(eqs(shape, points)):
        n = len(axis)
        values = [total(w * v for w, v in zip(axis.weights, values[i : i + n], strict=True)) for i in range(0, len(values), n)]
    return values[0]


def public_model(ledger, shape):
    starts = list(shape.model.values())
    mu = ledger.challenge("public model: challenge", 3)
    coordinates = ledger.challenges("public model: challenge", 3, max(bits(start.shape) for start in starts))
    values = ledger.elements("public model: evaluations", len(starts))
    for start, value in zip(starts, values, strict=True):
        axes, rest = [], coordinates
        for length in start.shape:
            axes.append(eq(length, rest[: bits((length,))]))
            rest = rest[bits((length,)) :]
        ledger.claim(start, axes, powers(mu, 3) if start.columns else value_weights(start), value)


def private_model(ledger, shape):
    *weights, randomness = shape.private
    count, random_bytes = randomness.shape
    size = 6 * sum(prod(tensor.shape) for tensor in weights)
    chunk = 2**12
    while chunk < 2**16 and 64 * chunk < size:
        chunk *= 2
    data = ledger.bytes("private model: commitments", 8 * ROWS * count)
    ledger.equation("private model: canonical commitments")
    ledger.equation("private model: root")
    a = ledger.challenges("private model: coordinate", 1, 7)
    z = ledger.challenges("private model: coordinate", 1, bits((count,)))
    row, by_chunk = row_weights(chunk + random_bytes, tuple(a)), eq(count, z)
    rest = total(w * h for w, h in zip(by_chunk.weights, commitments(data, a), strict=True))
    first = 0
    for tensor, name in zip(weights, shape.model, strict=True):
        name = f"private model: weights {name}"
        (value,) = ledger.hidden(name, 1)
        rest = rest - value
        r, e = ledger.sumcheck(name, bits(tensor.shape), 2, value)
        points, n = split(tensor.shape, r), prod(tensor.shape)
        places = [[first + 6 * i + b for i in range(n)] for b in range(6)]
        coefficients = [[by_chunk.weights[f // chunk] * row[f % chunk] for f in fs] for fs in places]
        scales = [extension(tensor.shape, own, points) for own in coefficients]
        ledger.on_vector.append((on_columns(tensor, eqs(tensor.shape, points), scales)[0], e))
        first += 6 * n
    (value,) = ledger.hidden("private model: randomness", 1)
    ledger.equation("private model: linear claim", rest - value)
    ledger.claim(randomness, [by_chunk, Axis(row[chunk:])], [ONE], value)
