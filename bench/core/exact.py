"""Exact products of integer matrices beside numpy's float64 ones, whose fused multiply-adds are the practical ceiling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.core.field import seconds
from zkds import native
from zkds.integers.limbs import I64
from zkds.native import exact
from zkds.native.exact import View, Width

DIGITS = 3  # of each operand: six products of digits for the lowest three sums
DIGIT_PRODUCTS = DIGITS * (DIGITS + 1) // 2
WIDE_BITS = (46, 44)
# rows, terms, columns: a square; LeNet-5's second layer on 8 records; its largest dense layer
SHAPES = {"square": (0, 0, 0), "conv 16x150x800": (16, 150, 800), "dense 120x400x8": (120, 400, 8)}


def operations(rows: int, terms: int, columns: int) -> dict[str, tuple[int, Callable[[], object]]]:
    """The number of MACs and the work of each product of (rows, terms) and (terms, columns) matrices."""
    generator = np.random.default_rng(1)
    shapes = ((1, rows, terms), (1, terms, columns))
    left, right = (generator.integers(-(2**bits), 2**bits, shape) for bits, shape in zip(WIDE_BITS, shapes, strict=True))
    views = View.of_matrix(rows, terms), View.of_matrix(terms, columns), View.of_matrix(rows, columns)
    results = [np.zeros((1, rows, columns), dtype=np.int64) for _ in range(DIGITS)]
    left_digits, right_digits = _digits(left), _digits(right)
    widths = [Width(16, signed=False)] * DIGITS, [Width(16, signed=False)] * DIGITS
    floats = left[0].astype(np.float64), right[0].astype(np.float64)
    macs = rows * terms * columns

    def wide() -> None:
        exact.wide(left, views[0], right, views[1], WIDE_BITS, results[0], results[1], views[2])

    def digits() -> None:
        exact.digits(left_digits, views[0], right_digits, views[1], widths, results, views[2])

    return {
        "wide": (macs, wide),
        "digits": (DIGIT_PRODUCTS * macs, digits),
        "float64_numpy": (macs, lambda: floats[0] @ floats[1]),
    }


def _digits(values: I64) -> list[I64]:
    return [(values >> np.int64(16 * i)) & np.int64(0xFFFF) for i in range(DIGITS)]


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """10^9 products a second, the fastest of `repeat` calls; the square has about 2^log_size entries.

    wide     operands of 46 and 44 bits, sums of 96 bits: two IFMA instructions for eight products
    digits   operands of 16 bits, 64-bit sums; six such products are the low half of a product of three digits each

    numpy uses as many threads as its BLAS does (OPENBLAS_NUM_THREADS).
    """
    threads, side = native.threads(), 1 << min(log_size // 2, 10)
    figures = {}
    try:
        for name, shape in SHAPES.items():
            work = operations(*(shape if shape[0] else (side, side, side)))
            for operation, (macs, call) in work.items():
                native.set_threads(1)
                figures[f"{operation}, {name}, GMAC/s"] = macs / seconds(call, repeat) / 1e9
                if operation != "float64_numpy":
                    native.set_threads(threads)
                    figures[f"{operation}, {name}, all threads, GMAC/s"] = macs / seconds(call, repeat) / 1e9
    finally:
        native.set_threads(threads)
    return figures
