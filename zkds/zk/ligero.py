"""Ligero: a proof that committed pads satisfy the constraints that a verifier collected.

Ames, Hazay, Ishai, Venkitasubramaniam: Ligero (CCS 2017, eprint 2022/1608), over K, with three changes: rows are
given by values on power-of-two groups of norm-1 elements; masks carry no coefficient, the tested words carry the challenges
(see parameters.py for the proof of soundness); and the zeros of the quadratic response are not sent.

Order in the transcript: the root long before; then, when all constraints are fixed,

    challenges r, c, m, g, m'
    low-degree response     k values on H:                    mask + sum_i r^(i+1) row_i
    linear response         2k values on the group of 2k:     mask + m sum_i R_i row_i, R from tableau.py and c
    quadratic response      2k - l values on the group of 2k: mask + m' sum_t g^t (X_t Y_t - Z_t), zero at the message points
    grinding, positions
    columns (positions x rows), salts, Merkle digests

Zero knowledge: a row has l messages and t uniform slots, so its values at any t points outside H are uniform and independent
of its messages (the polynomials of degree < k that vanish at the message points take every t values there); each
response is uniform, among those that satisfy the statement, because of its mask; and the masks' values in the opened
columns are what these make them. `simulator.py` samples in this order without a witness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from zkds.channel import ProverChannel, VerifierChannel
from zkds.errors import ConstraintRejected
from zkds.field import ZERO, K, from_pairs, powers, to_pairs
from zkds.hidden import Constraints
from zkds.native import U64
from zkds.soundness import ErrorTerm
from zkds.zk import merkle
from zkds.zk.pads import OneTimePads, SecretStream
from zkds.zk.parameters import DIGEST_BYTES, SALT_BYTES, LigeroParameters, choose_parameters
from zkds.zk.rows import add, combine, encode, evaluate, interpolate, multiply, subtract, total
from zkds.zk.tableau import combine_equations, equation_count, fill


class PadCommitment:
    """The prover's state: the pads, the rows, their codewords and the Merkle tree. Good for one proof."""

    def __init__(
        self,
        parameters: LigeroParameters,
        products: Sequence[tuple[int, int]],
        witness: U64,
        masks: Masks,
        stream: SecretStream,
    ) -> None:
        """witness: (witness rows, k, 2), the rows' values; salts come from `stream`. Use `commit_pads`."""
        self.parameters = parameters
        self.products = list(products)
        self.masks = masks
        self.coefficients = interpolate(witness)
        self.witness = witness
        self._pads = OneTimePads(from_pairs(self._pad_values()))
        self._proved = False
        low_degree, linear, quadratic = (
            encode(interpolate(mask), parameters.log_length)[None] for mask in (masks.low_degree, masks.linear, masks.quadratic)
        )
        self.salts = [stream.bytes(SALT_BYTES) for _ in range(parameters.length)]
        self.commit_codewords(np.concatenate((encode(self.coefficients, parameters.log_length), low_degree, linear, quadratic)))

    def commit_codewords(self, codewords: U64) -> None:
        """(rows, n, 2) -> the tree. Honest provers call it once, with codewords."""
        self.codewords = codewords
        self.tree = merkle.MerkleTree(leaf_digests(self.salts, codewords))

    @property
    def root(self) -> bytes:
        return self.tree.root

    def _pad_values(self) -> U64:
        p = self.parameters
        return self.witness[: p.pad_rows, : p.slots].reshape(-1, 2)[: p.messages]

    def take_pads(self) -> Sequence[K]:
        """The pads, for the one channel that they encrypt. Raises RuntimeError the second time."""
        return self._pads.take()

    def use(self, constraints: Constraints) -> None:
        """Raises RuntimeError the second time, ValueError if the constraints do not have the committed shape."""
        if self._proved:
            raise RuntimeError("pad commitment: already used for a proof")
        if (constraints.messages, constraints.products) != (self.parameters.messages, self.products):
            raise ValueError(
                f"constraints: expected {self.parameters.messages} messages and the {self.parameters.products} committed "
                f"products, got {constraints.messages} messages and {len(constraints.products)} products"
            )
        self._proved = True


@dataclass(frozen=True)
class Masks:
    """Values of the three mask rows: (k, 2) uniform; (2k, 2) with zero sum over the message points, and zero at them."""

    low_degree: U64
    linear: U64
    quadratic: U64

    @classmethod
    def uniform(cls, parameters: LigeroParameters, stream: SecretStream) -> Masks:
        return cls(
            stream.pairs(parameters.row),
            uniform_with_sum(parameters, stream, ZERO),
            uniform_with_zeros(parameters, stream),
        )


def uniform_with_sum(parameters: LigeroParameters, stream: SecretStream, wanted: K) -> U64:
    """(2k, 2), uniform among the values with this sum over the message points."""
    values = stream.pairs(2 * parameters.row)
    excess = total(at_message_points(parameters, values)) - wanted
    values[:1] = subtract(values[:1], to_pairs([excess]))  # point 0 is a message point
    return values


def uniform_with_zeros(parameters: LigeroParameters, stream: SecretStream) -> U64:
    """(2k, 2), uniform among the values that are zero at the message points."""
    values = stream.pairs(2 * parameters.row)
    at_message_points(parameters, values)[:] = 0
    return values


def at_message_points(parameters: LigeroParameters, values: U64) -> U64:
    """(l, 2), a view: H is the even half of the group of order 2k, and the messages lie in its first l points."""
    return values[: 2 * parameters.slots : 2]


def off_message_points(parameters: LigeroParameters) -> list[int]:
    return [j for j in range(2 * parameters.row) if j % 2 or j >= 2 * parameters.slots]


def commit_pads(messages: int, products: Sequence[tuple[int, int]], stream: SecretStream | None = None) -> PadCommitment:
    """Draw and commit `messages` uniform pads and their products (i, j); sizes and products as a `DryRun` counted them.

    Raises ValueError for counts that are not positive or a product of messages that are not there.
    """
    if any(not 0 <= message < messages for pair in products for message in pair):
        raise ValueError(f"products: expected pairs of message numbers below {messages}")
    parameters = choose_parameters(messages, len(products))
    stream = SecretStream() if stream is None else stream
    pads = stream.pairs(messages)
    pairs = np.array(products, dtype=np.int64).reshape(-1, 2)
    left, right = pads[pairs[:, 0]], pads[pairs[:, 1]]
    witness = stream.pairs(parameters.witness_rows, parameters.row)
    fill(parameters, witness, pads, (left, right, multiply(left, right)))
    return PadCommitment(parameters, products, witness, Masks.uniform(parameters, stream), stream)


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


def prove(channel: ProverChannel, commitment: PadCommitment, constraints: Constraints) -> None:
    """Show that the committed pads satisfy the constraints. Consumes the commitment.

    Constraints that do not hold are not noticed here: see `violated`.
    """
    commitment.use(constraints)
    p, masks = commitment.parameters, commitment.masks
    challenges = Challenges.draw(channel, p, constraints)
    weights, _ = combine_equations(p, constraints, challenges.equations)
    doubled = evaluate(commitment.coefficients, p.log_row + 1)
    doubled_weights = evaluate(interpolate(weights), p.log_row + 1)
    responses = Responses(
        add(masks.low_degree, low_degree_word(challenges, commitment.witness)),
        add(masks.linear, linear_word(challenges, doubled_weights, doubled)),
        add(masks.quadratic, quadratic_word(p, challenges, doubled)),
    )
    responses.send(channel, p)
    positions = channel.positions(p.query_term(), p.queries, p.length)
    salts = [commitment.salts[j] for j in positions]
    send_columns(channel, positions, commitment.codewords[:, positions], salts, commitment.tree)


def send_columns(
    channel: ProverChannel, positions: Sequence[int], columns: U64, salts: Sequence[bytes], tree: merkle.MerkleTree
) -> None:
    """columns: (rows, positions, 2)."""
    channel.send_pairs("Ligero columns", columns.transpose(1, 0, 2))
    channel.send_bytes("Ligero salts", b"".join(salts))
    channel.send_bytes("Ligero Merkle digests", tree.proof(positions))


def verify(channel: VerifierChannel, root: bytes, constraints: Constraints) -> None:
    """Check the proof that the pads under `root` satisfy the constraints.

    Raises ConstraintRejected if a response is wrong, CommitmentRejected if the columns are not those under the root.
    """
    p = choose_parameters(constraints.messages, len(constraints.products))
    challenges = Challenges.draw(channel, p, constraints)
    responses = Responses.receive(channel, p)
    positions = channel.positions(p.query_term(), p.queries, p.length)
    columns = _receive_columns(channel, p, root, positions)

    weights, target = combine_equations(p, constraints, challenges.equations)
    sum_found, sum_wanted = total(at_message_points(p, responses.linear)), challenges.linear_mask * target
    if sum_found != sum_wanted:
        raise ConstraintRejected("Ligero: linear sum", "the sum that the equations demand", "another one")
    words = opened_words(p, challenges, weights, columns[: p.witness_rows], positions)
    names = ("Ligero: low-degree response", "Ligero: linear response", "Ligero: quadratic response")
    for name, response, word, mask in zip(names, responses.at(p, positions), words, columns[p.witness_rows :], strict=True):
        wrong = np.flatnonzero((response != add(mask, word)).any(axis=1))
        if len(wrong):
            raise ConstraintRejected(name, f"agreement in all {len(positions)} columns", f"{len(wrong)} differ")


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


def leaf_digests(salts: Sequence[bytes], rows: U64) -> list[bytes]:
    """Digests of the columns of (rows, w, 2), each with its salt."""
    columns = rows.transpose(1, 0, 2).astype("<u8")
    return [merkle.leaf_digest(salt, column.tobytes()) for salt, column in zip(salts, columns, strict=True)]


def _receive_columns(channel: VerifierChannel, p: LigeroParameters, root: bytes, positions: Sequence[int]) -> U64:
    """(rows, positions, 2) opened columns, checked against the root."""
    data = channel.receive_pairs("Ligero columns", len(positions) * p.rows)
    salts = channel.receive_bytes("Ligero salts", len(positions) * SALT_BYTES)
    count = len(merkle.siblings(positions, p.log_length))
    digests = channel.receive_bytes("Ligero Merkle digests", count * DIGEST_BYTES)
    columns = data.reshape(len(positions), p.rows, 2)
    rows = np.ascontiguousarray(columns.transpose(1, 0, 2))
    leaves = leaf_digests([salts[j : j + SALT_BYTES] for j in range(0, len(salts), SALT_BYTES)], rows)
    merkle.verify(root, p.log_length, dict(zip(positions, leaves, strict=True)), digests)
    return rows


def violated(constraints: Constraints, pads: Sequence[K]) -> list[str]:
    """The reasons of the equations that do not hold, for somebody who knows the pads."""
    variables = constraints.variables(pads)
    return [reason for reason, expression in constraints.equations if expression.evaluate(variables)]


def check_plain(constraints: Constraints) -> None:
    """Plain mode: pads are zero, so every equation is its constant.

    Raises ConstraintRejected with the reason of the first equation that does not hold, and its value.
    """
    for reason, expression in constraints.equations:
        if expression.constant:
            raise ConstraintRejected(reason, 0, expression.constant)
