"""Arrays of K in Ligero: arithmetic, and rows as values, polynomials and codewords.

An array of shape (..., 2) uint64 holds canonical elements (real, imaginary). A row is given by its values on the group H of
order k = 2^log_k, H[s] = root_of_unity(log_k)^s; its codeword is its polynomial's values at the odd powers
root_of_unity(log_n + 1)^(2j + 1), 0 <= j < n.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from zkds.field import K, P, powers, root_of_unity, to_pairs
from zkds.native import U64, field

MODULUS = np.uint64(P)


def add(left: U64, right: U64) -> U64:
    """left + right, broadcast."""
    total = left + right
    return np.where(total >= MODULUS, total - MODULUS, total)


def subtract(left: U64, right: U64) -> U64:
    """left - right, broadcast."""
    return add(left, np.where(right == 0, right, MODULUS - right))


def _multiply_field(left: U64, right: U64) -> U64:
    left, right = (np.ascontiguousarray(part) for part in np.broadcast_arrays(left, right))
    return field.f_mul(left, right)


def multiply(left: U64, right: U64) -> U64:
    """left * right in K, broadcast over all axes but the last."""
    a, b, c, d = left[..., 0], left[..., 1], right[..., 0], right[..., 1]
    real = subtract(_multiply_field(a, c), _multiply_field(b, d))
    imaginary = add(_multiply_field(a, d), _multiply_field(b, c))
    return np.stack((real, imaginary), axis=-1)


def combine(coefficients: Sequence[K], rows: U64) -> U64:
    """sum_i coefficients[i] * rows[i]: (m, w, 2) -> (w, 2)."""
    scaled = multiply(to_pairs(coefficients)[:, None, :], rows)
    return functools.reduce(add, scaled, np.zeros(rows.shape[1:], dtype=np.uint64))


def total(values: U64) -> K:
    """The sum of (w, 2) elements."""
    real, imaginary = (int(part) for part in values.astype(object).sum(axis=0)) if len(values) else (0, 0)
    return K(real, imaginary)


@functools.lru_cache(maxsize=64)
def _twiddles(log_order: int, inverse: bool) -> U64:
    """(2^log_order / 2, 2): powers of the root, or of its inverse."""
    root = root_of_unity(log_order)
    return to_pairs(powers(root.conjugate() if inverse else root, max(1, 1 << log_order >> 1)))


@functools.lru_cache(maxsize=16)
def _shifts(log_length: int, count: int) -> U64:
    """(count, 2): powers of the root of order 2n, which move the values from the n-th roots of unity to the odd powers."""
    return to_pairs(powers(root_of_unity(log_length + 1), count))


def _transform(rows: U64, inverse: bool) -> U64:
    """Values at the powers of the root of order w, of (..., w, 2) coefficients: Stockham's radix-2 transform, unscaled."""
    width = rows.shape[-2]
    current = rows.reshape(-1, 1, width, 2)  # (rows, groups, width of a group, 2)
    while current.shape[2] > 1:
        half = current.shape[2] // 2
        low, high = current[:, :, :half], current[:, :, half:]
        twiddles = _twiddles((2 * half).bit_length() - 1, inverse)
        difference = multiply(subtract(low, high), twiddles)
        current = np.concatenate((add(low, high), difference), axis=1)
    return current.reshape(rows.shape)


def interpolate(values: U64) -> U64:
    """(..., k, 2) values on the group of order k -> coefficients."""
    width = values.shape[-2]
    return multiply(_transform(values, inverse=True), to_pairs([K(width).inverse()])[0])


def _widen(rows: U64, width: int) -> U64:
    wide = np.zeros((*rows.shape[:-2], width, 2), dtype=np.uint64)
    wide[..., : rows.shape[-2], :] = rows
    return wide


def evaluate(coefficients: U64, log_order: int) -> U64:
    """(..., w, 2) coefficients, w <= 2^log_order -> values on the group of that order."""
    return _transform(_widen(coefficients, 1 << log_order), inverse=False)


def encode(coefficients: U64, log_length: int) -> U64:
    """(..., w, 2) coefficients, w <= n = 2^log_length -> the codeword, (..., n, 2)."""
    shifted = multiply(coefficients, _shifts(log_length, coefficients.shape[-2]))
    return evaluate(shifted, log_length)
