"""Slow twins of the data set's parts: Python integers, recursion, hashlib."""

import hashlib

from zkds.field import ZERO, K, P, powers

MATRIX_SEED = hashlib.sha256(b"zkds ajtai matrix v1").digest()


def matrix(length, rows=128):
    """A transposed, one number at a time."""
    output = hashlib.shake_256(MATRIX_SEED).digest(8 * (length * rows + 8))
    numbers = (int.from_bytes(output[i : i + 8], "little") % 2**61 for i in range(0, len(output), 8))
    numbers = (value for value in numbers if value != P)
    return [[next(numbers) for _ in range(rows)] for _ in range(length)]


def multiply(byte_strings, matrix):
    return [
        [sum(b * row[k] for b, row in zip(z, matrix, strict=True)) % P for k in range(len(matrix[0]))] for z in byte_strings
    ]


def leaf(commitment):
    return hashlib.sha256(b"\x00" + b"".join(int(h).to_bytes(8, "little") for h in commitment)).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(digests):
    """By recursion from the top: the left subtree is the largest complete one. Equal to sending lone nodes up."""
    if len(digests) == 1:
        return digests[0]
    half = 1 << ((len(digests) - 1).bit_length() - 1)
    return node(tree_root(digests[:half]), tree_root(digests[half:]))


def permutation(seed, count):
    """The whole shuffle on a list."""
    output = hashlib.shake_256(b"zkds batches: fisher-yates shake256 v1" + seed + count.to_bytes(8, "little")).digest(1 << 16)
    pieces = iter(int.from_bytes(output[i : i + 8], "little") for i in range(0, len(output), 8))
    entries = list(range(count))
    for i in range(count):
        bits = (count - i - 1).bit_length()
        while (step := next(pieces) % (1 << bits)) >= count - i:
            pass
        entries[i], entries[i + step] = entries[i + step], entries[i]
    return entries


def data_root(count, schema, rows, columns, root):
    def number(value):
        return value.to_bytes(8, "little")

    data = b"zkds data root v1" + number(count) + number(len(schema)) + schema + number(rows) + number(columns) + MATRIX_SEED
    return hashlib.sha256(data + root).digest()


def polynomial(coefficients, point):
    return sum((c * x for c, x in zip(coefficients, powers(point, len(coefficients)), strict=True)), ZERO)


def eq(point, index):
    product = K(1)
    for bit, coordinate in enumerate(point):
        product = product * (coordinate if index >> bit & 1 else 1 - coordinate)
    return product
