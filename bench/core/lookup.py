"""The lookup argument: 2^log_size range checks of 16 bits, transcript included."""

from __future__ import annotations

import statistics
import time

import numpy as np

from zkds.channel import ProverChannel, VerifierChannel
from zkds.commit.layout import Column, Layout
from zkds.lookup import Lookup, RangeTable, multiplicities, multiplicity_column, prove, verify
from zkds.proof import ProofReader, ProofWriter
from zkds.transcript import Transcript

BITS = 16


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """Seconds, medians of `repeat` runs: multiplicities, prove, verify; lookups_per_s of prove; proof_bytes."""
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
    return result | {"lookups_per_s": (1 << log_size) / result["prove"], "proof_bytes": float(len(data))}
