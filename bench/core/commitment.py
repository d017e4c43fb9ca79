"""The polynomial commitment of 2^log_size cells: committing, opening, verifying, and the columns alone."""

from __future__ import annotations

import functools
import statistics
import time

import numpy as np

from bench.core.timing import median_seconds
from zkds import multilinear, native
from zkds.channel import ProverChannel, VerifierChannel
from zkds.commit import opening
from zkds.commit.commitment import Commitment, commit
from zkds.commit.parameters import Parameters, choose, make_code
from zkds.field import K
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk.pads import SecretStream


def prove(commitment: Commitment, value: K, pads: list[K]) -> tuple[bytes, list[float]]:
    """The proof of one opening, and the seconds of its two parts."""
    writer = ProofWriter()
    channel = ProverChannel(Transcript(), writer, pads)
    channel.send_bytes("root", commitment.root)
    rho = [K(3 * bit + 2, bit + 1) for bit in range(commitment.parameters.variables)]
    channel.send("value", [value])
    started = time.perf_counter()
    reduction = opening.prove_reduction(channel, commitment, rho)
    between = time.perf_counter()
    opening.prove_queries(channel, commitment, reduction, salted=True)
    return writer.to_bytes(), [between - started, time.perf_counter() - between]


def verify(proof: bytes, cells: int) -> None:
    parameters = choose(cells)
    channel = VerifierChannel(Transcript(), ProofReader(proof))
    root = channel.receive_bytes("root", 32)
    rho = [K(3 * bit + 2, bit + 1) for bit in range(parameters.variables)]
    (value,) = channel.receive("value", 1)
    reduction = opening.verify_reduction(channel, parameters, rho, value)
    opening.verify_queries(channel, parameters, root, reduction, salted=True)
    channel.reader.finish()


def one_thread_nanoseconds(repeat: int, commitment: Commitment) -> float:
    """Encoding and hashing the columns, per cell, on one thread."""
    before = native.threads()
    native.set_threads(1)
    try:
        seconds = median_seconds(repeat, lambda: commitment.matrix.column_digests(None))
    finally:
        native.set_threads(before)
    return seconds * 1e9 / commitment.parameters.cells


def at_rate(log_rate: int, cells: int) -> Parameters:
    """The parameters for so many cells at another rate, without recursion: only for committing."""
    code = choose(cells).code
    return Parameters(cells, make_code(code.rows, code.log_data, log_rate, padded=True), ())


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """Medians of `repeat` runs. Seconds: commit (zero knowledge), reduction, queries, verify. commit_elements_per_s: of the
    plain commitment at rate 1/2 and 1/4, padding and tree included. encode_and_hash: ns a cell on one thread. proof_bytes."""
    cells = 1 << log_size
    parameters = choose(cells)
    vector = np.random.default_rng(1).integers(0, 1 << 16, size=cells, dtype=np.uint32)
    pads = [K(1), K(2)]
    rho = [K(3 * bit + 2, bit + 1) for bit in range(parameters.variables)]
    value = multilinear.evaluate(vector, rho)
    proofs = [prove(commit(vector, parameters, SecretStream()), value, pads) for _ in range(repeat)]
    half, quarter = (median_seconds(repeat, functools.partial(commit, vector, at_rate(r, cells), None)) for r in (1, 2))
    return {
        "commit": median_seconds(repeat, lambda: commit(vector, parameters, SecretStream())),
        "reduction": statistics.median(times[0] for _, times in proofs),
        "queries": statistics.median(times[1] for _, times in proofs),
        "verify": median_seconds(repeat, lambda: verify(proofs[0][0], cells)),
        "proof_bytes": float(len(proofs[0][0])),
        "commit_elements_per_s": cells / half,
        "commit_rate_quarter_elements_per_s": cells / quarter,
        "encode_and_hash": one_thread_nanoseconds(repeat, commit(vector, at_rate(1, cells), None)),
    }
