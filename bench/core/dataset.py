"""A committed data set of the shape of MNIST, 2^log_size / 2^6 records, and membership of 5 batches of 8."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.membership import Membership
from zkds.dataset.opening import Opening
from zkds.dataset.records import from_arrays
from zkds.dataset.sampling import batches
from zkds.prover import prove
from zkds.verifier import verify

STEPS, BATCH_SIZE = 5, 8


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """Seconds, medians of `repeat` runs: commit (files included), open, prove and verify (zero-knowledge); proof_bytes."""
    count = max(STEPS * BATCH_SIZE, (1 << log_size) >> 6)
    generator = np.random.default_rng(1)
    records = from_arrays(generator.integers(0, 256, (count, 28, 28), dtype=np.uint8), generator.integers(0, 10, count))
    times: dict[str, list[float]] = {"commit": [], "open": [], "prove": [], "verify": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.root"
        for _ in range(repeat):
            marks = [time.perf_counter()]
            root = commit_dataset(records, path, overwrite=True)
            marks.append(time.perf_counter())
            indices = batches(bytes(32), count, STEPS, BATCH_SIZE)
            with Opening(opening_path(path), root) as opening:
                relation, columns = Membership.open(opening, indices)
            marks.append(time.perf_counter())
            proof = prove(relation, columns)
            marks.append(time.perf_counter())
            verify(proof, Membership(root, indices))
            marks.append(time.perf_counter())
            for name, start, end in zip(times, marks[:-1], marks[1:], strict=True):
                times[name].append(end - start)
    result = {name: statistics.median(values) for name, values in times.items()}
    return result | {"records": float(count), "records_per_s": count / result["commit"], "proof_bytes": float(len(proof))}
