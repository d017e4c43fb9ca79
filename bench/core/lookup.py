"""The lookup argument: 2^log_size range checks of 16 bits, transcript included; and one layer of its tree by itself."""

from __future__ import annotations

import statistics
import time

import numpy as np

from zkds import native
from zkds.channel import ProverChannel, VerifierChannel
from zkds.commit.layout import Column, Layout
from zkds.field import K, P
from zkds.lookup import Lookup, RangeTable, multiplicities, multiplicity_column, prove, verify
from zkds.lookup.tree import FractionTree, TreeMemory, fraction_table
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter

BITS = 16


def layer_seconds(log_size: int) -> tuple[float, float]:
    """(building, sumcheck) of the layer that adds up 2^(log_size + 1) stored fractions in pairs."""
    generator = np.random.default_rng(1)
    fractions = fraction_table(2 << log_size >> 3)
    fractions[...] = generator.integers(0, P, size=fractions.shape, dtype=np.uint64)
    memory = TreeMemory(log_size)
    for level in memory.levels.values():
        level[...] = 0  # first touch
    started = time.perf_counter()
    tree = FractionTree(fractions, memory)
    built = time.perf_counter()
    tree.bind_vectors(lambda message: message[0] + 1, log_size + 1, K(2, 3), [K(5, b + 1) for b in range(log_size)])
    return built - started, time.perf_counter() - built


def layer_figures(log_size: int, repeat: int) -> dict[str, float]:
    """Nanoseconds per node, one thread, medians: tree_build (all levels above the leaves) and layer (one sumcheck)."""
    threads = native.threads()
    try:
        native.set_threads(1)
        runs = [layer_seconds(log_size) for _ in range(repeat)]
    finally:
        native.set_threads(threads)
    build, layer = (1e9 * statistics.median(values) / (1 << log_size) for values in zip(*runs, strict=True))
    return {"tree_build": build / 2, "layer": layer}  # the levels together have twice the nodes of the first


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """Seconds, medians of `repeat` runs: multiplicities, prove, verify; lookups_per_s of prove; proof_bytes; see
    `layer_figures` for the others.
    """
    lookups = [Lookup(RangeTable(BITS), "limbs")]
    layout = Layout([Column("limbs", (1 << log_size,)), multiplicity_column(lookups)], ["limbs"])
    vector = np.zeros(layout.cells, dtype=np.uint32)
    layout.write(vector, "limbs", np.random.default_rng(1).integers(0, 1 << BITS, size=1 << log_size, dtype=np.uint32))
    times: dict[str, list[float]] = {"multiplicities": [], "prove": [], "verify": []}
    for _ in range(repeat):
        started = time.perf_counter()
        multiplicities(lookups, layout, vector)
        times["multiplicities"].append(time.perf_counter() - started)
        writer = ProofWriter()
        started = time.perf_counter()
        prove(ProverChannel(Transcript(), writer, None), lookups, layout, vector)
        times["prove"].append(time.perf_counter() - started)
        data = writer.to_bytes()
        started = time.perf_counter()
        verify(VerifierChannel(Transcript(), ProofReader(data)), lookups, layout)
        times["verify"].append(time.perf_counter() - started)
    result = {name: statistics.median(values) for name, values in times.items()}
    totals = {"lookups_per_s": (1 << log_size) / result["prove"], "proof_bytes": float(len(data))}
    return result | totals | layer_figures(log_size, repeat)
