"""A whole proof: the rounded product of two matrices, from integers to bytes and back."""

from __future__ import annotations

import resource
import statistics
import time

import numpy as np

from zkds.identities.matrix_product import MatrixProduct
from zkds.prover import prove
from zkds.verifier import verify

WIDTH, SHIFT = 48, 32
COLUMNS = 3 + 3 + 3 + 2 + 4  # limbs of A, B, of the rounded product, its remainder and its carries


def square_product(log_size: int) -> MatrixProduct:
    """Square matrices with about 2^log_size committed limbs, of a side that is not a power of two."""
    side = max(3, int((2**log_size / COLUMNS) ** 0.5) | 1)
    return MatrixProduct(side, side, side, width=WIDTH, shift=SHIFT)


def measure(log_size: int, repeat: int, zero_knowledge: bool = True) -> dict[str, float]:
    """Seconds, medians of `repeat` runs: witness, prove, verify. Counts: cells, side, bytes, "bytes of" each label, bits.

    "peak memory" is the largest resident size of this process so far, in bytes.
    """
    generator = np.random.default_rng(1)
    relation = square_product(log_size)
    side = relation.left.shape[0]
    left, right = (generator.integers(-(1 << 35), 1 << 35, (side, side)) for _ in range(2))
    times: dict[str, list[float]] = {"witness": [], "prove": [], "verify": []}
    for _ in range(repeat):
        started = time.perf_counter()
        columns = relation.witness(left, right)
        times["witness"].append(time.perf_counter() - started)
        started = time.perf_counter()
        proof = prove(relation, columns, zero_knowledge=zero_knowledge)
        times["prove"].append(time.perf_counter() - started)
        started = time.perf_counter()
        result = verify(proof, relation, allow_plain=not zero_knowledge)
        times["verify"].append(time.perf_counter() - started)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    sizes = {f"bytes of {label}": float(size) for label, size in result.sizes.items()}
    counts = {
        "side": float(side),
        "cells": float(sum(values.size for values in columns.values())),
        "bytes": float(len(proof)),
        "bits": result.bits,
        "peak memory": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024,
    }
    return seconds | counts | sizes
