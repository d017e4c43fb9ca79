"""Membership: the committed bytes of T B records are those under the data root, by one linear claim.

Public: the data root, the record indices i_(t,b) and, revealed by the proof, their commitments h_(t,b) with a Merkle proof.
Secret: the byte strings z_(t,b) = x | rnd, which lie in the committed vector as three columns (elements, labels, randomness)
with every cell range-checked to a byte. To show: h = A z mod p for each of them. For random points a (over A's n rows) and
r (over t and b), drawn after the witness root and the h,

    sum_j w_j z~(r, j) = sum_(t,b) eq(r, (t, b)) h~_(t,b)(a)        w_j = sum_k eq(a, k) A_kj

where the right side and w are public. Both sides are multilinear in (a, r), so a record that does not match passes with
probability at most (log2 n + ceil(log2 T) + ceil(log2 B)) / |K|. (Powers of one challenge each would give (n + T B) / |K|.) The
left side is one sumcheck over j: a term for each column, whose index space is padded dimension by dimension, and it ends in
one hidden value and one claim for each column. No hash is proved anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from zkds import multilinear, sumcheck
from zkds.channel import ProverChannel, VerifierEnd, assert_public
from zkds.claims import Claim, Value
from zkds.commit.layout import Column, Layout
from zkds.dataset import ajtai
from zkds.dataset.opening import Opening
from zkds.dataset.root import DataRoot
from zkds.dataset.tree import DIGEST_BYTES, compute_root, leaf_digests, siblings
from zkds.field import ONE, K, P, block, from_pairs, unblock
from zkds.hidden import Hidden
from zkds.lookup import Lookup, RangeTable
from zkds.native import U8, U32, U64, field
from zkds.native.ajtai import multiply
from zkds.soundness import ErrorTerm, algebraic
from zkds.wire import encode_number

NAME = "membership"
ELEMENTS, LABELS, RANDOMNESS = "record elements", "record labels", "record randomness"  # its columns
BYTE_BITS = 8
ROW_VARIABLES = (ajtai.ROWS - 1).bit_length()


@dataclass(frozen=True)
class Revealed:
    """What a proof of membership shows: commitments (T B, n) uint64, batch by batch, and one Merkle proof for all."""

    commitments: U64
    merkle_proof: bytes


class Membership:
    """The relation for one data root and one choice of records.

    indices    T batches of B record numbers, all different; ValueError for anything else
    revealed   what the prover shows; the verifier's relation has None. `Membership.open` makes the prover's
    prefix     of the names of its columns and messages, where a circuit has several
    """

    def __init__(
        self, root: DataRoot, indices: Sequence[Sequence[int]], revealed: Revealed | None = None, prefix: str = ""
    ) -> None:
        sizes = {len(batch) for batch in indices}
        if len(sizes) != 1 or sizes == {0}:
            raise ValueError(f"indices: expected batches of one size, at least one, got sizes {sorted(sizes)}")
        self.name = f"{prefix}{NAME}"
        self.root = root
        self.revealed = revealed
        self.indices = [index for batch in indices for index in batch]
        self.batch_shape = (len(indices), len(indices[0]))
        self._siblings = len(siblings(self.indices, root.count))
        self.columns = _columns(self.batch_shape, root, prefix)
        self.variables = max(sum(_index_bits(column)) for column in self.columns)

    @classmethod
    def open(cls, opening: Opening, indices: Sequence[Sequence[int]], prefix: str = "") -> tuple[Membership, dict[str, U32]]:
        """The prover's relation, and its columns. Raises OpeningError if the records are not those of the root."""
        relation = cls(opening.root, indices, prefix=prefix)
        byte_strings, commitments = opening.open(relation.indices)
        relation.revealed = Revealed(commitments, opening.tree.proof(relation.indices))
        return relation, relation.split(byte_strings)

    @property
    def widths(self) -> dict[str, int]:
        """Column name -> the width in bits that its range check has to enforce. Binding fails without it."""
        return {column.name: BYTE_BITS for column in self.columns}

    @property
    def lookups(self) -> list[Lookup]:
        """A range check for every column."""
        return [Lookup(RangeTable(width), name) for name, width in self.widths.items()]

    def check(self) -> None:
        """Nothing to plan: both sides of the claim are linear over F, and the root fixes A and its dimensions."""

    def encode(self) -> bytes:
        """Canonical: the name, the data root, T, B, the indices, as 8 bytes each."""
        numbers = [*self.batch_shape, *self.indices]
        return self.name.encode() + b"\0" + self.root.digest() + b"".join(map(encode_number, numbers))

    def split(self, byte_strings: U8) -> dict[str, U32]:
        """Byte strings x | rnd, (T B, m) uint8 -> the columns."""
        parts = np.split(byte_strings, self._boundaries(), axis=1)
        return {
            column.name: np.ascontiguousarray(part, dtype=np.uint32).reshape(column.shape)
            for column, part in zip(self.columns, parts, strict=True)
        }

    def _boundaries(self) -> list[int]:
        lengths = [column.cells // len(self.indices) for column in self.columns]
        return list(itertools.accumulate(lengths))[:-1]

    # ---- prover ------------------------------------------------------------------------------------------------------

    def prove(self, channel: ProverChannel, layout: Layout, vector: U32) -> list[Claim[K]]:
        """The prover's side, after the witness root: claims on the committed vector (layout.cells,) uint32.

        Raises ValueError if nothing is revealed.
        """
        revealed = self.revealed
        if revealed is None:
            raise ValueError("revealed: a prover needs the commitments; make its relation with Membership.open")
        channel.send_bytes(f"{self.name}: commitments", revealed.commitments.astype("<u8").tobytes())
        channel.send_bytes(f"{self.name}: Merkle proof", revealed.merkle_proof)
        row_point, record_points = self._draw(channel)
        weights = self._weight_tables(row_point)
        selection = _record_weights(record_points, self.batch_shape)
        values = [self._combine_records(column, layout.read(vector, column.name), selection) for column in self.columns]
        count = len(self.columns)
        point, _ = sumcheck.prove(
            channel,
            [*(table.copy() for table in values), *weights],
            [(ONE, (j, count + j)) for j in range(count)],
            name=self.name,
            variables=self.variables,
        )
        finals = [multilinear.evaluate(table, point[:bits]) for table, bits in zip(values, self._bits(), strict=True)]
        channel.send(f"{self.name}: values", finals)
        return self._claims(layout, record_points, point, finals)

    def _combine_records(self, column: Column, cells: U32, selection: U64) -> U64:
        """sum_(t,b) eq(r, (t, b)) cells[t, b, ...]: a blocked table over the column's padded index space."""
        if cells.max(initial=0) >> BYTE_BITS:
            raise ValueError(f"{column.name}: expected bytes")
        by_index = np.ascontiguousarray(cells.astype(np.uint8).reshape(len(self.indices), -1).T)
        return _padded(multiply(by_index, selection), column)

    # ---- verifier ----------------------------------------------------------------------------------------------------

    def verify(self, channel: VerifierEnd, layout: Layout) -> list[Claim[Hidden]]:
        """The verifier's side: the claims that the opening has to prove. The range checks of `widths` are the caller's."""
        commitments = self._receive_commitments(channel)
        row_point, record_points = self._draw(channel)
        weights = self._weight_tables(row_point)
        rows = ajtai.weighted_sums(commitments, _eq_pairs(row_point, ajtai.ROWS))
        selection = _record_weights(record_points, self.batch_shape)
        total = K(*field.k_dot(block(rows), block(selection)).tolist())
        point, final = sumcheck.verify(channel, Hidden.public(total), self.variables, 2, name=self.name)
        values = channel.receive(f"{self.name}: values", len(self.columns))
        for value, table, bits in zip(values, weights, self._bits(), strict=True):
            outside = ONE
            for coordinate in point[bits:]:
                outside = outside * (ONE - coordinate)
            final = final - value * (outside * outside * multilinear.evaluate(table, point[:bits]))
        channel.assert_zero(final, f"{self.name}: linear claim")
        return self._claims(layout, record_points, point, values)

    def _receive_commitments(self, channel: VerifierEnd) -> U64:
        """(T B, n) uint64, canonical; that they are under the root becomes a constraint, false or true in public."""
        data = channel.receive_bytes(f"{self.name}: commitments", len(self.indices) * ajtai.ROWS * 8)
        proof = channel.receive_bytes(f"{self.name}: Merkle proof", self._siblings * DIGEST_BYTES)
        commitments = np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(len(self.indices), ajtai.ROWS)
        canonical = bool((commitments < P).all())
        digests = leaf_digests(commitments)
        leaves = {index: digests[DIGEST_BYTES * k : DIGEST_BYTES * (k + 1)] for k, index in enumerate(self.indices)}
        under_root = compute_root(self.root.count, leaves, proof) == self.root.tree_root
        assert_public(channel, canonical, f"{self.name}: canonical commitments")
        assert_public(channel, under_root, f"{self.name}: Merkle root")
        return commitments if canonical else np.zeros_like(commitments)

    # ---- both --------------------------------------------------------------------------------------------------------

    def _draw(self, channel: ProverChannel | VerifierEnd) -> tuple[list[K], list[list[K]]]:
        """a, then a point for t and one for b; the term of each coordinate is 1 / |K|."""
        row_point = [channel.challenge(self._coordinate_term("row")) for _ in range(ROW_VARIABLES)]
        record_points = [
            [channel.challenge(self._coordinate_term("record")) for _ in range((size - 1).bit_length())]
            for size in self.batch_shape
        ]
        return row_point, record_points

    def _coordinate_term(self, what: str) -> ErrorTerm:
        return algebraic(f"{self.name}: {what} coordinate", 1, "1/|K|", "Schwartz-Zippel; multilinear in every coordinate")

    def _weight_tables(self, row_point: Sequence[K]) -> list[U64]:
        """w, cut into the columns: blocked tables over their padded index spaces."""
        weights = ajtai.weighted_sums(ajtai.matrix(self.root.committed_bytes), _eq_pairs(row_point, ajtai.ROWS))
        parts = np.split(weights, self._boundaries())
        return [_padded(part, column) for part, column in zip(parts, self.columns, strict=True)]

    def _bits(self) -> list[int]:
        return [sum(_index_bits(column)) for column in self.columns]

    def _claims(
        self, layout: Layout, record_points: Sequence[Sequence[K]], point: Sequence[K], values: Sequence[Value]
    ) -> list[Claim[Value]]:
        """What both sides claim of each column at (r, the low coordinates of the sumcheck's point)."""
        claims = []
        for column, value in zip(self.columns, values, strict=True):
            inner: list[Sequence[K]] = []
            used = 0
            for bits in reversed(_index_bits(column)):  # the last dimension has the lowest bits
                inner.insert(0, point[used : used + bits])
                used += bits
            claims.append(Claim(partial(layout.pieces, [column.name], [*record_points, *inner], [ONE]), value))
        return claims


def _columns(batch_shape: tuple[int, int], root: DataRoot, prefix: str) -> list[Column]:
    """Elements (T, B, *shape), labels (T, B), randomness (T, B, |rnd|); numbers of two bytes add a last dimension, low byte
    first. Together, row-major, they are the byte strings x | rnd."""
    schema = root.schema
    element_bytes = (schema.element_bytes,) if schema.element_bytes > 1 else ()
    label_bytes = (schema.label_bytes,) if schema.label_bytes > 1 else ()
    return [
        Column(f"{prefix}{ELEMENTS}", (*batch_shape, *schema.shape, *element_bytes)),
        Column(f"{prefix}{LABELS}", (*batch_shape, *label_bytes)),
        Column(f"{prefix}{RANDOMNESS}", (*batch_shape, root.randomness_bytes)),
    ]


def _index_bits(column: Column) -> tuple[int, ...]:
    """Bits of each dimension inside a record."""
    return column.point_sizes()[2:]


def _padded(pairs: U64, column: Column) -> U64:
    """(entries of a record, 2) pairs -> a blocked table whose index has `_index_bits` bits for each dimension."""
    shape = column.shape[2:]
    padded = np.zeros((*(1 << bits for bits in _index_bits(column)), 2), dtype=np.uint64)
    padded[tuple(slice(d) for d in shape)] = pairs.reshape(*shape, 2)
    return block(padded.reshape(-1, 2))


def _eq_pairs(point: Sequence[K], length: int) -> U64:
    """eq(point, x) for x < length, as pairs."""
    return unblock(multilinear.eq_table(point), length)


def _record_weights(record_points: Sequence[Sequence[K]], batch_shape: tuple[int, int]) -> U64:
    """eq(r, (t, b)) for all t and b, row-major, as (T B, 2) pairs."""
    steps, batch = (from_pairs(_eq_pairs(point, size)) for point, size in zip(record_points, batch_shape, strict=True))
    products = [(weight.re, weight.im) for weight in (s * b for s in steps for b in batch)]
    return np.array(products, dtype=np.uint64)
