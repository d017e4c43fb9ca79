"""A slow twin of the committed columns: Python integers, sums and hashlib only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from zkds.field import K, root_of_unity


def packed_row(cells: Sequence[int], row: int, data: int, tail: Sequence[K]) -> list[K]:
    """Coefficients of packed row `row`: cells of rows 2 row and 2 row + 1 as real and imaginary parts, then the tail."""

    def cell(index: int) -> int:
        return int(cells[index]) if index < len(cells) else 0

    return [K(cell(2 * row * data + j), cell((2 * row + 1) * data + j)) for j in range(data)] + list(tail)


def evaluate(coefficients: Sequence[K], point: K) -> K:
    total = K(0)
    for coefficient in reversed(coefficients):
        total = total * point + coefficient
    return total


def mirrored(index: int, bits: int) -> int:
    return int(format(index, f"0{bits}b")[::-1], 2)


def column_point(column: int, log_size: int) -> K:
    return root_of_unity(log_size + 1) ** (2 * mirrored(column, log_size) + 1)


def column(rows: Sequence[Sequence[K]], position: int, log_size: int) -> bytes:
    w = column_point(position, log_size)
    return b"".join(evaluate(row, w).to_bytes() + evaluate(row, w.inverse()).to_bytes() for row in rows)


def leaf(rows: Sequence[Sequence[K]], position: int, log_size: int, salt_seed: bytes | None) -> bytes:
    salt = bytes(32)
    if salt_seed is not None:
        salt = hashlib.sha256(salt_seed + position.to_bytes(8, "little")).digest()
    header = b"\x00" + b"zkds leaf" + bytes(22)
    return hashlib.sha256(header + salt + column(rows, position, log_size)).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    level = list(leaves)
    while len(level) > 1:
        level = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]
