"""Sums of squares of products of low rank, of one step of an implicit layer: coefficients of polynomials, and the exact sum."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from zkds import native
from zkds.integers.limbs import I64
from zkds.native import squares
from zkds.native.wide_squares import sum_of_squared_products

RECORDS, EARLIER = 8, 4  # of a batch, and steps before this one
COLUMNS, CHUNK_LOG = 1024, 10
DIGITS = {"weight": 6, "input": 29, "delta": 30, "update": 18}  # of alexnet-k's first dense layer, T = 5
USED = {"weight": 5, "input": 23, "delta": 25, "update": 13}  # those that are not 0 everywhere
STRIDE, SHIFT, SCALE = 5, 32, (1, 1, -1, -1, -1, -1, -1, 0, 0, -1, 1, -1, 0, 0, 1, -1, 1, 0, -1, 1, 1)
LARGEST_WEIGHT_DIGIT = 121
BITS = {"weight": 38, "input": 36, "delta": 38, "update": 20}  # of the integers


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """Processor time for each weight, the fastest of `repeat` calls, of about 2^(log_size - 4) weights; half of the inputs and
    deltas are 0, as behind ReLUs."""
    generator = np.random.default_rng(1)
    rows = max(1, (1 << log_size) // COLUMNS // 16)
    terms = 2 * (DIGITS["update"] + DIGITS["input"] - 1 + DIGITS["delta"] + DIGITS["input"] - 1 - 1) - 1

    def digits(name: str, axis: int, largest: int, shape: tuple[int, ...]) -> squares.I16:
        """Half of the entries of polynomials along `axis` are 0."""
        values = generator.integers(-largest, largest, shape, endpoint=True).astype(np.int16)
        np.moveaxis(values, axis, 0)[USED[name] :] = 0
        kept = generator.integers(0, 2, tuple(length for i, length in enumerate(shape) if i != axis), dtype=np.int16)
        return np.ascontiguousarray(values * np.expand_dims(kept, axis) if name != "weight" else values)

    weights = digits("weight", 1, LARGEST_WEIGHT_DIGIT, (rows, DIGITS["weight"], COLUMNS))
    update = squares.LowRank(
        digits("update", 2, 1, (rows, EARLIER * RECORDS, DIGITS["update"])),
        digits("input", 1, 1, (EARLIER * RECORDS, DIGITS["input"], COLUMNS)),
    )
    gradient = squares.LowRank(
        digits("delta", 2, 1, (rows, RECORDS, DIGITS["delta"])), digits("input", 1, 1, (RECORDS, DIGITS["input"], COLUMNS))
    )
    scale = np.array(SCALE, dtype=np.int16)

    def work() -> None:
        squares.product_squares(weights, STRIDE, scale, update, gradient, CHUNK_LOG, terms)

    def integers(name: str, *shape: int) -> I64:
        return generator.integers(-(1 << BITS[name]), 1 << BITS[name], shape)

    start = integers("weight", rows, COLUMNS)
    moved = integers("update", EARLIER * RECORDS, rows), integers("input", EARLIER * RECORDS, COLUMNS)
    product = integers("delta", RECORDS, rows), integers("input", RECORDS, COLUMNS)
    threads = native.threads()
    native.set_threads(1)
    try:
        seconds = processor_seconds(work, repeat)
        exact = processor_seconds(lambda: sum_of_squared_products(start, SHIFT, moved, product), repeat)
    finally:
        native.set_threads(threads)
    return {
        "coefficients of the last of five steps, ns a weight": seconds * 1e9 / start.size,
        "exact sum of the last of five steps, ns a weight": exact * 1e9 / start.size,
    }


def processor_seconds(call: Callable[[], object], calls: int) -> float:
    """The least processor time of `calls` calls."""
    best = float("inf")
    for _ in range(calls):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
    return best
