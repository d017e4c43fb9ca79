"""Memory and time of a whole proof that is nothing but range checks: 2^log_size cells of 16 bits, in a process of its own.

The relation has no protocol besides its lookups, so that the figures are those of commitment, lookups, batching and
opening. The target: at most 4 bytes for each committed cell (the vector itself) and 4 GiB.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np

from zkds import lookup
from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim
from zkds.commit.layout import Column, Layout
from zkds.field import K
from zkds.hidden import Hidden
from zkds.lookup import Lookup, RangeTable
from zkds.native import U32
from zkds.prover import prove_vector
from zkds.statement import Statement
from zkds.verifier import verify

BITS = 16
GIB = float(1 << 30)


class RangeChecks:
    """Cells of 16 bits, and nothing to prove of them but that."""

    name = "range checks"

    def __init__(self, cells: int) -> None:
        self.columns: Sequence[Column] = [Column("cells", (cells,))]
        self.lookups: Sequence[Lookup] = [Lookup(RangeTable(BITS), "cells")]

    def encode(self) -> bytes:
        return b"range checks\0" + self.columns[0].cells.to_bytes(8, "little")

    def check(self) -> None:
        """Every number of cells is sound."""

    def prove(self, channel: ProverChannel, layout: Layout, vector: U32) -> list[Claim[K]]:
        return []

    def verify(self, channel: VerifierEnd, layout: Layout) -> list[Claim[Hidden]]:
        return []


def run(log_size: int) -> dict[str, float]:
    """One proof, in this process; GiB are peak resident sizes."""
    statement = Statement(RangeChecks(1 << log_size))
    vector = np.zeros(statement.layout.cells, dtype=np.uint32)
    generator = np.random.default_rng(1)
    for start in range(0, 1 << log_size, 1 << 20):
        end = min(start + (1 << 20), 1 << log_size)
        vector[start:end] = generator.integers(0, 1 << BITS, size=end - start, dtype=np.uint32)
    lookup.multiplicities(statement.lookups, statement.layout, vector)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    stages: list[tuple[str, float]] = []
    started = time.perf_counter()
    proof = prove_vector(statement, vector, progress=lambda stage: stages.append((stage, time.perf_counter())))
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    result = verify(proof, statement.relation)
    marks = [*stages, ("end", ended)]
    seconds = {f"seconds of {stage}": marks[j + 1][1] - at for j, (stage, at) in enumerate(stages)}
    return {
        "log_size": float(log_size),
        "prove": ended - started,
        "verify": time.perf_counter() - ended,
        "bytes": float(len(proof)),
        "bits": result.bits,
        "GiB before": before,
        "GiB peak": peak,
        "GiB allowed": 4 * statement.layout.cells / GIB + 4,
        **seconds,
    }


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """`run` in a fresh process, once: the peak of a process can't be taken back."""
    del repeat
    command = [sys.executable, "-m", "bench.core.memory", str(log_size)]
    figures: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]))))
