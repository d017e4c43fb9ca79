"""Whole sumchecks through the channel, on 2^log_size positions: tables, rounds, transcript."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np

from bench.core.timing import median_seconds
from zkds import multilinear, native, sumcheck
from zkds.channel import ProverChannel, VerifierChannel
from zkds.field import ONE, ZERO, K, P
from zkds.hidden import Hidden
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter

# kinds of the tables, terms, eq factor
SHAPES: dict[str, tuple[list[str], list[sumcheck.Term], bool]] = {
    "product_sumcheck": (["K", "K"], [(ONE, (0, 1))], False),
    "product_sumcheck_eq": (["K", "K"], [(ONE, (0, 1))], True),
    "product_sumcheck_u32": (["u32", "K"], [(ONE, (0, 1))], False),
    "two_products_eq": (["K"] * 4, [(ONE, (0, 1)), (ONE, (2, 3))], True),
    "cubic_sumcheck": (["K"] * 3, [(ONE, (0, 1, 2))], False),
}


def make_table(generator: np.random.Generator, kind: str, log_size: int) -> sumcheck.Table:
    if kind == "u32":
        return generator.integers(0, 1 << 32, size=1 << log_size, dtype=np.uint32)
    return generator.integers(0, P, size=(1 << log_size >> 3, 2, 8), dtype=np.uint64)


def prove(tables: Sequence[sumcheck.Table], terms: Sequence[sumcheck.Term], eq_point: list[K] | None) -> tuple[float, bytes]:
    """Seconds, and the proof. K tables are consumed."""
    channel = ProverChannel(Transcript(), ProofWriter(), None)
    started = time.perf_counter()
    sumcheck.prove(channel, tables, terms, eq_point, name="bench")
    return time.perf_counter() - started, channel.writer.to_bytes()


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """Nanoseconds per position, medians of `repeat`, on one thread and on all; `verify_seconds` of the product sumcheck."""
    generator = np.random.default_rng(1)
    point = [K(int(a), int(b)) for a, b in generator.integers(1, P, size=(log_size, 2))]
    threads = native.threads()
    figures: dict[str, float] = {}
    try:
        for name, (kinds, terms, weighted) in SHAPES.items():
            originals = [make_table(generator, kind, log_size) for kind in kinds]
            tables = [table.copy() for table in originals]
            for suffix, count in {"": 1, "_all_threads": threads}.items():
                native.set_threads(count)
                times = []
                for _ in range(repeat):
                    for table, original in zip(tables, originals, strict=True):
                        table[...] = original
                    elapsed, proof = prove(tables, terms, point if weighted else None)
                    times.append(elapsed)
                figures[name + suffix] = 1e9 * statistics.median(times) / (1 << log_size)
            if name == "product_sumcheck":
                figures["verify_seconds"] = verify_seconds(proof, log_size, repeat)
        figures["eq_table"] = 1e9 * median_seconds(repeat, lambda: multilinear.eq_table(point)) / (1 << log_size)
        table = make_table(generator, "u32", log_size)
        figures["evaluate_u32"] = 1e9 * median_seconds(repeat, lambda: multilinear.evaluate(table, point)) / (1 << log_size)
    finally:
        native.set_threads(threads)
    return figures


def verify_seconds(proof: bytes, log_size: int, repeat: int) -> float:
    def verify() -> None:
        channel = VerifierChannel(Transcript(), ProofReader(proof))
        sumcheck.verify(channel, Hidden.public(ZERO), log_size, 2, name="bench")

    return median_seconds(repeat, verify)
