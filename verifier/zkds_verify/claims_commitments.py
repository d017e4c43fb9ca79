"""Records and models: docs/specification/data-sets.md, section 10, and docs/specification/certificate.md, section 19."""

from functools import cache
from hashlib import sha256, shake_256
from math import prod

from zkds_verify import merkle
from zkds_verify.claims_ledger import Axis, bits, eq, eqs, on_columns, product, split, total
from zkds_verify.components import value_weights
from zkds_verify.field import ONE, P, dot, dot_integers, powers
from zkds_verify.transcript import number, sized

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
    e = eq(ROWS, a).weights
    return [dot_integers(e, column) for column in matrix(columns)]


def commitments(data, a):
    """For every h its sum_k eq(a, k) h[k]."""
    e = eq(ROWS, a).weights
    entries = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
    return [dot_integers(e, entries[i : i + ROWS]) for i in range(0, len(entries), ROWS)]


def canonical(ledger, name, data):
    """The commitments, all zero if an entry is not below p."""
    below = all(int.from_bytes(data[i : i + 8], "little") < P for i in range(0, len(data), 8))
    ledger.equation(f"{name}: canonical commitments", ONE * (not below))
    return data if below else bytes(len(data))


def leaf(commitment):
    return sha256(b"\x00" + commitment).digest()


def membership(ledger, s, columns, root, indices, prefix=""):
    name, steps, batch = f"{prefix}membership", s.T, s.B
    data = ledger.bytes(f"{name}: commitments", 8 * ROWS * steps * batch)
    proof = ledger.bytes(f"{name}: Merkle proof", 32 * merkle.missing(indices, root.records))
    leaves = {index: leaf(data[8 * ROWS * j : 8 * ROWS * (j + 1)]) for j, index in enumerate(indices)}
    data = canonical(ledger, name, data)
    ledger.equation(f"{name}: Merkle root", ONE * (merkle.root(leaves, root.records, proof) != root.tree))
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
        values = [dot(axis.weights, values[i : i + n]) for i in range(0, len(values), n)]
    return values[0]


def public_model(ledger, shape):
    starts = list(shape.model.values())
    mu = ledger.challenge("public model: challenge", 3)
    coordinates = ledger.challenges("public model: challenge", 3, max(bits(start.shape) for start in starts))
    values = ledger.elements("public model: evaluations", len(starts))
    for (name, start), value in zip(shape.model.items(), values, strict=True):
        axes, rest = [], coordinates
        for length in start.shape:
            axes.append(eq(length, rest[: bits((length,))]))
            rest = rest[bits((length,)) :]
        of_digits = powers(mu, 3) if start.columns else value_weights(start)
        if shape.given:
            shape.given.check(name, start, axes, of_digits, value)
        ledger.claim(start, axes, of_digits, value)


def private_model(ledger, shape):
    *weights, randomness = shape.private
    count, random_bytes = randomness.shape
    size = 6 * sum(prod(tensor.shape) for tensor in weights)
    chunk = 2**12
    while chunk < 2**16 and 64 * chunk < size:
        chunk *= 2
    data = ledger.bytes("private model: commitments", 8 * ROWS * count)
    hashed = sized(shape.s.network_bytes) + number(chunk) + data
    data = canonical(ledger, "private model", data)
    root = sha256(b"zkds model root v1" + hashed).digest()
    ledger.equation("private model: root", ONE * (root != shape.s.model))
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
