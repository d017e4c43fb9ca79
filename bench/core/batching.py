"""The batching sumcheck: 2^log_size cells, each covered by three claims."""

from __future__ import annotations

import statistics
import time

import numpy as np

from zkds.channel import ProverChannel, VerifierChannel
from zkds.claims import Claim, Pieces, Value
from zkds.commit import batching
from zkds.commit.layout import Column, Layout
from zkds.field import ZERO, K, P
from zkds.hidden import Hidden
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter

CLAIMS_PER_CELL = 3


def random_points(generator: np.random.Generator, sizes: tuple[int, ...]) -> list[tuple[K, ...]]:
    return [tuple(K(int(a), int(b)) for a, b in generator.integers(0, P, size=(size, 2))) for size in sizes]


def columns(log_size: int) -> list[Column]:
    """Shapes of a small convolutional network's tensors, 2^log_size cells or a little less."""
    left = 1 << log_size
    found = []
    for number in range(1 << 20):
        shape = ((64, 6, 28, 28), (64, 120), (16, 5, 5, 6), (1 << max(log_size - 4, 0),))[number % 4]
        if np.prod(shape) > left:
            break
        found.append(Column(f"column {number}", shape))
        left -= int(np.prod(shape))
    return [*found, Column("rest", (left,))] if left else found


def _claim(pieces: Pieces, value: Value) -> Claim[Value]:
    return Claim(lambda: pieces, value)


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """Seconds, medians of `repeat` runs: pieces, prove, verify; and cells and pieces as counts."""
    generator = np.random.default_rng(1)
    layout = Layout(columns(log_size))
    vector = generator.integers(0, 1 << 16, size=layout.cells, dtype=np.uint32)
    variables = (layout.cells - 1).bit_length()
    times: dict[str, list[float]] = {"pieces": [], "prove": [], "verify": []}
    for _ in range(repeat):
        points = {column.name: random_points(generator, column.point_sizes()) for column in layout.columns}
        started = time.perf_counter()
        pieces = [
            layout.pieces([column.name], points[column.name], [K(claim + 1)])
            for column in layout.columns
            for claim in range(CLAIMS_PER_CELL)
        ]
        times["pieces"].append(time.perf_counter() - started)
        started = time.perf_counter()
        writer = ProofWriter()
        batching.prove(ProverChannel(Transcript(), writer, None), [_claim(p, ZERO) for p in pieces], vector, variables)
        times["prove"].append(time.perf_counter() - started)
        claims = [_claim(p, Hidden.public(ZERO)) for p in pieces]
        started = time.perf_counter()
        batching.verify(VerifierChannel(Transcript(), ProofReader(writer.to_bytes())), claims, variables)
        times["verify"].append(time.perf_counter() - started)
    result = {name: statistics.median(values) for name, values in times.items()}
    return result | {"cells": float(layout.cells), "piece count": float(sum(map(len, pieces)))}
