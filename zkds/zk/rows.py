"""Arrays of K in Ligero: arithmetic, and rows as values, polynomials and codewords.

An array of shape (..., 2) uint64 holds canonical elements (real, imaginary). A row is given by its values on the group H of
order k = 2^log_k, H[s] = root_of_unity(log_k)^s; its codeword is its polynomial's values at the odd powers
root_of_unity(log_n + 1)^(2j + 1), 0 <= j < n.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from zkds.field import K, P, to_pairs
from zkds.native import U64, field
from zkds.native.ntt import ntt

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


def _transform(rows: U64, *, inverse: bool = False, coset: bool = False) -> U64:
    """ntt of (..., w, 2)."""
    flat = np.ascontiguousarray(rows).reshape(-1, *rows.shape[-2:])
    return ntt(flat, inverse=inverse, coset=coset).reshape(rows.shape)


def interpolate(values: U64) -> U64:
    """(..., k, 2) values on the group of order k -> coefficients."""
    return _transform(values, inverse=True)


def _widen(rows: U64, width: int) -> U64:
    wide = np.zeros((*rows.shape[:-2], width, 2), dtype=np.uint64)
    wide[..., : rows.shape[-2], :] = rows
    return wide


def evaluate(coefficients: U64, log_order: int) -> U64:
    """(..., w, 2) coefficients, w <= 2^log_order -> values on the group of that order."""
    return _transform(_widen(coefficients, 1 << log_order))


def encode(coefficients: U64, log_length: int) -> U64:
    """(..., w, 2) coefficients, w <= n = 2^log_length -> the codeword, (..., n, 2)."""
    return _transform(_widen(coefficients, 1 << log_length), coset=True)
