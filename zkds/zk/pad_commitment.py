"""The prover of Ligero: pads, their rows, masks and tree, and the proof that the pads satisfy constraints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkds.channel import ProverChannel
from zkds.field import ZERO, K, from_pairs, to_pairs
from zkds.hidden import Constraints
from zkds.native import U64
from zkds.zk.messages import (
    Challenges,
    Responses,
    at_message_points,
    leaf_digests,
    linear_word,
    low_degree_word,
    merkle_tree,
    quadratic_word,
    send_columns,
)
from zkds.zk.pads import OneTimePads, SecretStream, byte_strings
from zkds.zk.parameters import SALT_BYTES, LigeroParameters, choose_parameters
from zkds.zk.rows import add, encode, evaluate, interpolate, multiply, subtract, total
from zkds.zk.tableau import combine_equations, fill


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


@dataclass(frozen=True, repr=False)
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
        self.salts = byte_strings(stream, parameters.length, SALT_BYTES)
        self.commit_codewords(np.concatenate((encode(self.coefficients, parameters.log_length), low_degree, linear, quadratic)))

    def commit_codewords(self, codewords: U64) -> None:
        """(rows, n, 2) -> the tree. Honest provers call it once, with codewords."""
        self.codewords = codewords
        self.tree = merkle_tree(leaf_digests(self.salts, codewords))

    @property
    def root(self) -> bytes:
        return self.tree.root

    def _pad_values(self) -> U64:
        p = self.parameters
        return self.witness[: p.pad_rows, : p.slots].reshape(-1, 2)[: p.messages]

    def take_pads(self) -> Sequence[K]:
        """The pads, for the one channel that they encrypt. Raises RuntimeError the second time."""
        return self._pads.take()

    def _use(self, constraints: Constraints) -> None:
        """Raises RuntimeError the second time, ValueError if the constraints do not have the committed shape."""
        if self._proved:
            raise RuntimeError("pad commitment: already used for a proof")
        if (constraints.messages, constraints.products) != (self.parameters.messages, self.products):
            raise ValueError(
                f"constraints: expected {self.parameters.messages} messages and the {self.parameters.products} committed "
                f"products, got {constraints.messages} messages and {len(constraints.products)} products"
            )
        self._proved = True

    def prove(self, channel: ProverChannel, constraints: Constraints) -> None:
        """See `ligero.prove`."""
        self._use(constraints)
        p, masks = self.parameters, self.masks
        challenges = Challenges.draw(channel, p, constraints)
        weights, _ = combine_equations(p, constraints, challenges.equations)
        doubled = evaluate(self.coefficients, p.log_row + 1)
        doubled_weights = evaluate(interpolate(weights), p.log_row + 1)
        responses = Responses(
            add(masks.low_degree, low_degree_word(challenges, self.witness)),
            add(masks.linear, linear_word(challenges, doubled_weights, doubled)),
            add(masks.quadratic, quadratic_word(p, challenges, doubled)),
        )
        responses.send(channel, p)
        positions = channel.positions(p.query_term(), p.queries, p.length)
        salts = [self.salts[j] for j in positions]
        send_columns(channel, positions, self.codewords[:, positions], salts, self.tree)


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
