"""Arithmetic on arrays: in the L1 cache on one thread, and on 2^log_size elements on one thread and on all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from zkds import native
from zkds.field import P
from zkds.native import U64
from zkds.native import field as kernels

SMALL, LARGE = 128, 640  # elements; three arrays of LARGE fill 30 KiB
CALLS = 500


def seconds(call: Callable[[], object], calls: int) -> float:
    """The fastest of `calls` calls."""
    best = float("inf")
    for _ in range(calls):
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best


def operations(size: int) -> dict[str, Callable[[], object]]:
    """Each kernel on `size` elements of K, or of F."""
    generator = np.random.default_rng(1)

    def blocked() -> U64:
        return generator.integers(0, P, size=(size // 8, 2, 8), dtype=np.uint64)

    a, b, out = blocked(), blocked(), blocked()
    f, g, h = (table.reshape(-1)[:size] for table in (a, b, out))
    r = np.array([123456789, P - 5], dtype=np.uint64)
    return {
        "f_mul": lambda: kernels.f_mul(f, g, out=h),
        "k_mul": lambda: kernels.k_mul(a, b, out=out),
        "k_scale": lambda: kernels.k_scale(a, r, out=out),
        "k_dot": lambda: kernels.k_dot(a, b),
    }


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """Nanoseconds per element, medians of `repeat`; for each operation, `k_mul` say,

    k_mul                    in the L1 cache, one thread: the slope between two sizes, so that the cost of a call drops out
    k_mul_large              on 2^log_size elements, one thread
    k_mul_large_all_threads  the same on all threads
    """
    threads = native.threads()
    figures: dict[str, list[float]] = {}
    try:
        for _ in range(repeat):
            native.set_threads(1)
            small, large, huge = operations(SMALL), operations(LARGE), operations(1 << log_size)
            for name in small:
                in_cache = (seconds(large[name], CALLS) - seconds(small[name], CALLS)) / (LARGE - SMALL)
                figures.setdefault(name, []).append(1e9 * in_cache)
                figures.setdefault(f"{name}_large", []).append(1e9 * seconds(huge[name], 3) / (1 << log_size))
            native.set_threads(threads)
            for name, call in huge.items():
                figures.setdefault(f"{name}_large_all_threads", []).append(1e9 * seconds(call, 3) / (1 << log_size))
    finally:
        native.set_threads(threads)
    return {name: statistics.median(values) for name, values in figures.items()}
