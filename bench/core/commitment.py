"""The polynomial commitment of 2^log_size cells: committing, opening, verifying, and the encoder alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from zkds import multilinear
from zkds.channel import ProverChannel, VerifierChannel
from zkds.commit import opening
from zkds.commit.commitment import Commitment, commit
from zkds.commit.parameters import choose
from zkds.field import K
from zkds.proof import ProofReader, ProofWriter
from zkds.transcript import Transcript
from zkds.zk.pads import SecretStream


def median_seconds(repeat: int, action: Callable[[], object]) -> float:
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


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


def measure(log_size: int, repeat: int) -> dict[str, float]:
    """Seconds, medians of `repeat` runs: commit (zero knowledge), commit_plain, encode_hash (the C pipeline alone), reduction,
    queries, verify; and proof_bytes, elements_per_second of commit, rate."""
    cells = 1 << log_size
    parameters = choose(cells)
    vector = np.random.default_rng(1).integers(0, 1 << 16, size=cells, dtype=np.uint32)
    plain = commit(vector, parameters, None)
    pads = [K(1), K(2)]
    rho = [K(3 * bit + 2, bit + 1) for bit in range(parameters.variables)]
    value = multilinear.evaluate(vector, rho)
    proofs = [prove(commit(vector, parameters, SecretStream()), value, pads) for _ in range(repeat)]
    commit_seconds = median_seconds(repeat, lambda: commit(vector, parameters, SecretStream()))
    return {
        "commit": commit_seconds,
        "commit_plain": median_seconds(repeat, lambda: commit(vector, parameters, None)),
        "encode_hash": median_seconds(repeat, lambda: plain.matrix.column_digests(None)),
        "reduction": statistics.median(times[0] for _, times in proofs),
        "queries": statistics.median(times[1] for _, times in proofs),
        "verify": median_seconds(repeat, lambda: verify(proofs[0][0], cells)),
        "proof_bytes": float(len(proofs[0][0])),
        "elements_per_second": cells / commit_seconds,
        "rate": 2.0 ** (parameters.code.log_data - parameters.code.log_size),
    }
