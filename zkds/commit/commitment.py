"""Committing to a matrix: encode the rows, hash the columns, keep the root (protocol.md, section 8).

The message of column s, hashed with SHA-256 to leaf s of a Merkle tree, in bytes:

    0x00 | "zkds leaf" | zeros up to 32 | salt (32)                     one block
    for each row:  c(w).re  c(w).im  c(1/w).re  c(1/w).im               8 bytes each, little-endian

Salts come from one secret seed, salt s = SHA-256(seed | s in 8 bytes, little-endian), and only those of opened columns are
shown. Codewords are never stored: opened columns are encoded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from zkds.channel import ProverChannel, VerifierChannel
from zkds.commit import merkle
from zkds.commit.parameters import Code, Parameters
from zkds.native import U32, U64, array
from zkds.native.codeword import SALT_BYTES, Matrix

LEAF_HEADER = b"\x00zkds leaf".ljust(32, b"\x00")
ROOT_BYTES = 32


class Randomness(Protocol):
    """A source of secrets that is never used twice, seeded by the operating system."""

    def bytes(self, count: int) -> bytes: ...
    def pairs(self, *shape: int) -> U64: ...


def salt(seed: bytes | None, position: int) -> bytes:
    return bytes(SALT_BYTES) if seed is None else hashlib.sha256(seed + position.to_bytes(8, "little")).digest()


def leaf_digest(salt: bytes, column: bytes) -> bytes:
    return hashlib.sha256(LEAF_HEADER + salt + column).digest()


class CommittedMatrix:
    """The prover's side of one committed matrix: its rows, its salts and its tree."""

    def __init__(self, matrix: Matrix, salt_seed: bytes | None) -> None:
        self.matrix = matrix
        self._salt_seed = salt_seed
        self._tree = merkle.MerkleTree(matrix.column_digests(salt_seed))

    @property
    def root(self) -> bytes:
        return self._tree.root

    def send_columns(self, channel: ProverChannel, label: str, positions: Sequence[int], salted: bool) -> U64:
        """Send the columns at sorted positions, their salts if the commitment has any, and the Merkle proof."""
        columns = self.matrix.columns(np.array(positions, dtype=np.uint32))
        channel.send_pairs(f"{label}: columns", columns)
        if salted:
            channel.send_bytes(f"{label}: salts", b"".join(salt(self._salt_seed, position) for position in positions))
        channel.send_bytes(f"{label}: Merkle proof", self._tree.proof(positions))
        return columns


def receive_columns(
    channel: VerifierChannel, label: str, root: bytes, code: Code, positions: Sequence[int], salted: bool
) -> U64:
    """(queries, rows, 2, 2) values of the columns at sorted positions, checked against the root.

    Raises MalformedProof, or CommitmentRejected("Merkle root mismatch").
    """
    pairs = channel.receive_pairs(f"{label}: columns", len(positions) * code.rows * 2)
    columns = pairs.reshape(len(positions), code.rows, 2, 2)
    salts = bytes(SALT_BYTES * len(positions))
    if salted:
        salts = channel.receive_bytes(f"{label}: salts", len(salts))
    proof = channel.receive_bytes(f"{label}: Merkle proof", merkle.proof_bytes(positions, code.columns))
    digests = [
        leaf_digest(salts[SALT_BYTES * i : SALT_BYTES * (i + 1)], column.astype("<u8").tobytes())
        for i, column in enumerate(columns)
    ]
    merkle.verify(root, code.columns, positions, digests, proof)
    return columns


class Commitment:
    """The prover's state of the committed vector. It must be opened at most once: a second opening would show a second
    combination of the rows under the same blinding row."""

    def __init__(self, vector: U32, parameters: Parameters, randomness: Randomness | None) -> None:
        """vector: (cells,) uint32. randomness None is plain mode: no padding, blinding or salts."""
        array("vector", vector, np.uint32, (parameters.cells,))
        code = parameters.code
        self.parameters = parameters
        self._opened = False
        shape = (code.rows, code.tail)
        if randomness is None:
            blinding, tails, seed = (
                np.zeros((1 << code.log_data - 3, 2, 8), dtype=np.uint64),
                np.zeros((*shape, 2), np.uint64),
                None,
            )
        else:
            blinding = np.ascontiguousarray(randomness.pairs(1 << code.log_data).reshape(-1, 2, 8))
            tails, seed = randomness.pairs(*shape), randomness.bytes(SALT_BYTES)
        matrix = Matrix(vector, parameters.packed_rows, blinding, tails, code.log_data, code.log_size)
        self.committed = CommittedMatrix(matrix, seed)

    @property
    def root(self) -> bytes:
        return self.committed.root

    @property
    def matrix(self) -> Matrix:
        return self.committed.matrix

    @property
    def blinding(self) -> U64:
        """The blinding row s without its tail, (k_data/8, 2, 8) blocked."""
        return self.matrix.elements

    def use(self) -> None:
        """Mark as opened. Raises RuntimeError the second time."""
        if self._opened:
            raise RuntimeError("commitment: already opened; a commitment is for one proof")
        self._opened = True


def commit(vector: U32, parameters: Parameters, randomness: Randomness | None) -> Commitment:
    """Commit to a vector of cells; see `Commitment`. Raises TypeError or ValueError for another dtype or length."""
    return Commitment(vector, parameters, randomness)
