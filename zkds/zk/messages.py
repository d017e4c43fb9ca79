"""What both sides of Ligero share: challenges, the tested words, responses and opened columns. Symbols as in parameters.py."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from zkds.channel import ProverChannel, VerifierChannel
from zkds.commit import merkle
from zkds.errors import CommitmentRejected
from zkds.field import K, powers
from zkds.hidden import Constraints
from zkds.native import U64
from zkds.soundness import ErrorTerm
from zkds.zk.parameters import DIGEST_BYTES, SALT_BYTES, LigeroParameters
from zkds.zk.rows import combine, encode, interpolate, multiply, subtract
from zkds.zk.tableau import equation_count


def at_message_points(parameters: LigeroParameters, values: U64) -> U64:
    """(l, 2), a view: H is the even half of the group of order 2k, and the messages lie in its first l points."""
    return values[: 2 * parameters.slots : 2]


def off_message_points(parameters: LigeroParameters) -> list[int]:
    return [j for j in range(2 * parameters.row) if j % 2 or j >= 2 * parameters.slots]


class _Drawing(Protocol):
    def challenge(self, term: ErrorTerm) -> K: ...


@dataclass(frozen=True)
class Challenges:
    """r, c, m, g, m' of the module's description."""

    low_degree: K
    equations: K
    linear_mask: K
    products: K
    quadratic_mask: K

    @classmethod
    def draw(cls, channel: _Drawing, parameters: LigeroParameters, constraints: Constraints) -> Challenges:
        return cls(
            channel.challenge(parameters.low_degree_term()),
            channel.challenge(parameters.equations_term(equation_count(constraints))),
            channel.challenge(parameters.linear_mask_term()),
            channel.challenge(parameters.products_term()),
            channel.challenge(parameters.quadratic_mask_term()),
        )


def low_degree_word(challenges: Challenges, rows: U64) -> U64:
    """sum_i r^(i+1) row_i: (witness rows, w, 2) -> (w, 2), for any representation of the rows."""
    return combine(powers(challenges.low_degree, len(rows) + 1)[1:], rows)


def linear_word(challenges: Challenges, weights: U64, rows: U64) -> U64:
    """m sum_i R_i row_i: two (witness rows, w, 2) arrays of values at the same points -> (w, 2)."""
    return combine([challenges.linear_mask] * len(rows), multiply(weights, rows))


def quadratic_word(parameters: LigeroParameters, challenges: Challenges, rows: U64) -> U64:
    """m' sum_t g^t (X_t Y_t - Z_t): (witness rows, w, 2) values -> (w, 2)."""
    left, right, product = rows[parameters.pad_rows :].reshape(3, parameters.product_rows, *rows.shape[1:])
    coefficients = [challenges.quadratic_mask * power for power in powers(challenges.products, parameters.product_rows)]
    return combine(coefficients, subtract(multiply(left, right), product))


def opened_words(
    parameters: LigeroParameters, challenges: Challenges, weights: U64, rows: U64, positions: Sequence[int]
) -> U64:
    """(3, positions, 2): what the responses are at opened columns, masks left out.

    weights: (witness rows, k, 2) values of the combined equations; rows: (witness rows, positions, 2) opened symbols.
    """
    opened_weights = encode(interpolate(weights), parameters.log_length)[:, positions]
    return np.stack(
        (
            low_degree_word(challenges, rows),
            linear_word(challenges, opened_weights, rows),
            quadratic_word(parameters, challenges, rows),
        )
    )


@dataclass(frozen=True)
class Responses:
    """Values of the three responses: (k, 2), (2k, 2) and (2k, 2)."""

    low_degree: U64
    linear: U64
    quadratic: U64

    def send(self, channel: ProverChannel, parameters: LigeroParameters) -> None:
        channel.send_pairs("Ligero low-degree response", self.low_degree)
        channel.send_pairs("Ligero linear response", self.linear)
        channel.send_pairs("Ligero quadratic response", self.quadratic[off_message_points(parameters)])

    @classmethod
    def receive(cls, channel: VerifierChannel, parameters: LigeroParameters) -> Responses:
        low_degree = channel.receive_pairs("Ligero low-degree response", parameters.row)
        linear = channel.receive_pairs("Ligero linear response", 2 * parameters.row)
        quadratic = np.zeros((2 * parameters.row, 2), dtype=np.uint64)
        sent = channel.receive_pairs("Ligero quadratic response", parameters.quadratic_values)
        quadratic[off_message_points(parameters)] = sent
        return cls(low_degree, linear, quadratic)

    def at(self, parameters: LigeroParameters, positions: Sequence[int]) -> U64:
        """(3, positions, 2): their codewords at these columns."""
        rows = (self.low_degree, self.linear, self.quadratic)
        return np.stack([encode(interpolate(row), parameters.log_length)[positions] for row in rows])


def send_columns(
    channel: ProverChannel, positions: Sequence[int], columns: U64, salts: Sequence[bytes], tree: merkle.MerkleTree
) -> None:
    """columns: (rows, positions, 2)."""
    channel.send_pairs("Ligero columns", columns.transpose(1, 0, 2))
    channel.send_bytes("Ligero salts", b"".join(salts))
    channel.send_bytes("Ligero Merkle digests", tree.proof(positions))


def receive_columns(channel: VerifierChannel, p: LigeroParameters, root: bytes, positions: Sequence[int]) -> U64:
    """(rows, positions, 2) opened columns, checked against the root."""
    data = channel.receive_pairs("Ligero columns", len(positions) * p.rows)
    salts = channel.receive_bytes("Ligero salts", len(positions) * SALT_BYTES)
    path = channel.receive_bytes("Ligero Merkle digests", merkle.proof_bytes(positions, p.length))
    columns = data.reshape(len(positions), p.rows, 2)
    rows = np.ascontiguousarray(columns.transpose(1, 0, 2))
    leaves = leaf_digests([salts[j : j + SALT_BYTES] for j in range(0, len(salts), SALT_BYTES)], rows)
    try:
        merkle.verify(root, p.length, positions, leaves, path)
    except CommitmentRejected as error:
        raise CommitmentRejected(f"Ligero: {error.reason}", error.expected, error.actual) from None
    return rows


def leaf_digests(salts: Sequence[bytes], rows: U64) -> list[bytes]:
    """Digests of the columns of (rows, w, 2), each with its salt."""
    columns = rows.transpose(1, 0, 2).astype("<u8")
    return [hashlib.sha256(b"\x00" + salt + column.tobytes()).digest() for salt, column in zip(salts, columns, strict=True)]


def merkle_tree(leaves: Sequence[bytes]) -> merkle.MerkleTree:
    """The tree over as many digests as there are columns."""
    return merkle.MerkleTree(np.frombuffer(b"".join(leaves), dtype=np.uint8).reshape(-1, DIGEST_BYTES))
