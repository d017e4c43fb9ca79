"""A committed model: a proof about weights that nobody but the owner sees.

`model.root` is made once, before any seed is drawn, and used by any number of proofs. The model's integers, six bytes each
(offset-binary, 44 bits, lowest byte first), parameter after parameter, then constant after constant, row-major, are cut into
chunks of `chunk_bytes`, the last one filled up with zeros; chunk c is committed as h_c = A (x_c | rnd_c) as records of data
sets are (zkds/dataset/ajtai.py: binding by SIS, hiding by rnd), and

    root = SHA-256(label | network | chunk bytes | h_0 | h_1 | ...)

A proof shows all h_c and, for random points a (over A's rows) and z (over the chunks), that

    sum_c eq(z, c) h~_c(a) = sum_f eq(z, f div chunk_bytes) w_(f mod chunk_bytes) x_f
                             + sum_(c, j) eq(z, c) w_(chunk_bytes + j) rnd_cj

for the committed bytes x_f, w_j = sum_k eq(a, k) A_kj: a sumcheck for each parameter, whose bytes are six columns, and one
claim about the randomness. Both sides are multilinear in (a, z). A digit of a weight is byte_(2j) + 2^8 byte_(2j+1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from zkds import multilinear, sumcheck
from zkds.channel import ProverChannel, VerifierEnd, assert_public
from zkds.circuits.arithmetic.fixed_point import WEIGHT
from zkds.circuits.networks.graph import Network
from zkds.claims import Claim, Pieces, Value
from zkds.commit.layout import Layout
from zkds.dataset import ajtai
from zkds.field import ONE, ZERO, K, P, block, dot, from_pairs, unblock
from zkds.hidden import Hidden
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import I64, LimbFormat
from zkds.native import U8, U32, U64
from zkds.native import field as native
from zkds.soundness import algebraic
from zkds.tensors.axes import EqAxis, VectorAxis, axes_table, padded, split_point, variables
from zkds.tensors.circuit import Component
from zkds.tensors.contraction import outer_product, padded_pairs
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import Committed, ProverContext, Reader, Tensor, TensorClaim, VerifierContext
from zkds.wire import encode_number

NAME = "private model"
LABEL = b"zkds model root v1"
BYTE_BITS = 8
BYTES = LimbFormat(BYTE_BITS, WEIGHT.width, signed=True)
RANDOM_BYTE = LimbFormat(BYTE_BITS, BYTE_BITS, signed=False)
MIN_CHUNK_BYTES = 1 << 12
MAX_CHUNK_BYTES = 1 << 16
USUAL_CHUNKS = 64
SOURCE = "Schwartz-Zippel; multilinear in every coordinate"


class ByteWeights(LinearTensor):
    """w_0 of one parameter: 16-bit digits out of bytes."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name = name
        self.shape = shape
        self.bytes = Committed(LimbColumns(f"{name}: bytes", BYTES, shape))
        self.sources = (self.bytes,)
        pairs = zip(self.bytes.digits[::2], self.bytes.digits[1::2], strict=True)
        self.digits = tuple(low + high.times(1 << BYTE_BITS) for low, high in pairs)
        self.interval = BYTES.interval

    def tables(self, reader: Reader) -> list[I64]:
        digits = self.bytes.tables(reader)
        return [low + (high << np.int64(BYTE_BITS)) for low, high in zip(digits[::2], digits[1::2], strict=True)]

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        weights = [weight * factor for weight in claim.digit_weights for factor in (1, 1 << BYTE_BITS)]
        return [Term(self.bytes, claim.axes, weights)], ZERO


def chunk_bytes(network: Network) -> int:
    """The size of a chunk, a power of two: about 64 chunks, within bounds."""
    size = MIN_CHUNK_BYTES
    while size < MAX_CHUNK_BYTES and size * USUAL_CHUNKS < _model_bytes(network):
        size *= 2
    return size


def chunks(network: Network) -> int:
    """The number of chunks."""
    return -(-_model_bytes(network) // chunk_bytes(network))


def _model_bytes(network: Network) -> int:
    return BYTES.limbs * sum(int(np.prod(shape)) for _, shape in network.tensors)


@dataclass(frozen=True, repr=False)
class OpenedModel:
    """The private half: quantised weights (int64, [40]) and rnd, (chunks, |rnd|) uint8. Never shown."""

    network: Network
    weights: Mapping[str, I64]
    randomness: U8

    @classmethod
    def commit(cls, network: Network, weights: Mapping[str, I64]) -> OpenedModel:
        """Fresh randomness from the operating system."""
        count = chunks(network)
        return cls(network, weights, ajtai.draw_randomness(count, ajtai.randomness_bytes(count)))

    def commitments(self) -> U64:
        """h_c, (chunks, ROWS) uint64, canonical."""
        flat = np.zeros(chunks(self.network) * chunk_bytes(self.network), dtype=np.uint8)
        used = 0
        for name, shape in self.network.tensors:
            limbs = BYTES.split(name, self.weights[name].reshape(shape))
            part = np.stack(limbs, axis=-1).astype(np.uint8).reshape(-1)
            flat[used : used + len(part)] = part
            used += len(part)
        return ajtai.commit(np.concatenate([flat.reshape(len(self.randomness), -1), self.randomness], axis=1))

    def root(self) -> bytes:
        """The 32 bytes of model.root."""
        return root_of(self.network, self.commitments())


def root_of(network: Network, commitments: U64) -> bytes:
    """SHA-256 of the network and all commitments."""
    encoding = network.encode()
    parts = [LABEL, encode_number(len(encoding)), encoding, encode_number(chunk_bytes(network))]
    return hashlib.sha256(b"".join([*parts, commitments.astype("<u8").tobytes()])).digest()


class PrivateModel(Component):
    """The relation: the committed bytes of all parameters are those under `root`.

    opened: the prover's; None for a verifier.
    """

    name = NAME

    def __init__(self, network: Network, root: bytes, opened: OpenedModel | None = None) -> None:
        self.network = network
        self.root = root
        self.opened = opened
        self.chunks = chunks(network)
        self.chunk_bytes = chunk_bytes(network)
        self.weights = {name: ByteWeights(f"weights {name}", shape) for name, shape in network.tensors}
        random_bytes = ajtai.randomness_bytes(self.chunks)
        self.randomness = Committed(LimbColumns("model randomness", RANDOM_BYTE, (self.chunks, random_bytes)))

    @property
    def _committed(self) -> list[Committed]:
        return [*(tensor.bytes for tensor in self.weights.values()), self.randomness]

    @property
    def tensors(self) -> list[Tensor]:
        """Virtual tensors, then the committed ones that they are made of."""
        return [*self.weights.values(), *self._committed]

    def opened_columns(self) -> dict[str, U32]:
        """All columns. Raises ValueError without an opened model, or if it is not that of the root."""
        opened = self._require_opened()
        if opened.root() != self.root:
            raise ValueError("model: the opening is not that of the root")
        columns = self.randomness.columns.split(opened.randomness.astype(np.int64))
        for name, tensor in self.weights.items():
            columns |= tensor.bytes.columns.split(opened.weights[name].reshape(tensor.shape))
        return columns

    def commitments(self) -> U64:
        """What a proof shows of the model: h_c, (chunks, ROWS) uint64. Raises ValueError without an opened model."""
        return self._require_opened().commitments()

    def _require_opened(self) -> OpenedModel:
        if self.opened is None:
            raise ValueError("opened: a prover needs the model's opening")
        return self.opened

    def prove(self, context: ProverContext) -> None:
        """The prover's side; leaves claims on the committed vector."""
        channel, layout, reader = context.channel, context.layout, context.reader
        channel.send_bytes(f"{NAME}: commitments", self.commitments().astype("<u8").tobytes())
        row_point, chunk_point = self._draw(channel)
        weights = _row_weights(self.chunk_bytes + self.randomness.shape[1], row_point)
        for tensor, pairs in self._coefficients(weights, chunk_point):
            tables = [padded(reader.read(name), tensor.shape) for name in tensor.bytes.columns.names]
            count = len(tables)
            coefficients = [padded_pairs(pairs[..., j, :]) for j in range(count)]
            value = ZERO
            for table, coefficient in zip(tables, coefficients, strict=True):
                value = value + _integer_dot(table, coefficient)
            channel.send(f"{NAME}: {tensor.name}", [value])
            terms = [(ONE, (j, count + j)) for j in range(count)]
            point, finals = sumcheck.prove(
                channel, [*coefficients, *tables], terms, name=f"{NAME}: {tensor.name}", variables=variables(tensor.shape)
            )
            total = dot(finals[:count], finals[count:])
            context.book.vector_claims.append(Claim(partial(self._pieces, layout, tensor, point, finals[:count]), total))
        axes = self._randomness_axes(weights, chunk_point)
        cells = padded(reader.read(self.randomness.columns.names[0]), self.randomness.shape)
        random_value = _integer_dot(cells, axes_table(axes))
        channel.send(f"{NAME}: randomness", [random_value])
        context.book.add(self.randomness, axes, [ONE], random_value)

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side."""
        channel, layout = context.channel, context.layout
        data = channel.receive_bytes(f"{NAME}: commitments", self.chunks * ajtai.ROWS * 8)
        commitments = np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(self.chunks, ajtai.ROWS)
        canonical = bool((commitments < P).all())
        assert_public(channel, canonical, f"{NAME}: canonical commitments")
        assert_public(channel, root_of(self.network, commitments) == self.root, f"{NAME}: root")
        commitments = commitments if canonical else np.zeros_like(commitments)
        row_point, chunk_point = self._draw(channel)
        weights = _row_weights(self.chunk_bytes + self.randomness.shape[1], row_point)
        rows = ajtai.weighted_sums(commitments, unblock(multilinear.eq_table(row_point), ajtai.ROWS))
        remaining = Hidden.public(dot(from_pairs(rows), from_pairs(EqAxis(self.chunks, chunk_point).vector())))
        for tensor, pairs in self._coefficients(weights, chunk_point):
            (value,) = channel.receive(f"{NAME}: {tensor.name}", 1)
            remaining = remaining - value
            name = f"{NAME}: {tensor.name}"
            point, final = sumcheck.verify(channel, value, variables(tensor.shape), 2, name=name)
            finals = [multilinear.evaluate(padded_pairs(pairs[..., j, :]), point) for j in range(BYTES.limbs)]
            context.book.vector_claims.append(Claim(partial(self._pieces, layout, tensor, point, finals), final))
        (random_value,) = channel.receive(f"{NAME}: randomness", 1)
        channel.assert_zero(remaining - random_value, f"{NAME}: linear claim")
        context.book.add(self.randomness, self._randomness_axes(weights, chunk_point), [ONE], random_value)

    def _draw(self, channel: ProverChannel | VerifierEnd) -> tuple[tuple[K, ...], tuple[K, ...]]:
        """a, then z."""
        term = algebraic(f"{NAME}: coordinate", 1, "1/|K|", SOURCE)
        sizes = (ajtai.ROWS, self.chunks)
        row_point, chunk_point = (tuple(channel.challenge(term) for _ in range((d - 1).bit_length())) for d in sizes)
        return row_point, chunk_point

    def _coefficients(self, weights: U64, chunk_point: tuple[K, ...]) -> Iterator[tuple[ByteWeights, U64]]:
        """For every parameter, eq(z, f div chunk_bytes) w_(f mod chunk_bytes) for its bytes f: (*shape, 6, 2) pairs.

        One parameter after the other: all together are 16 times as large as the model's bytes.
        """
        by_chunk, inside = EqAxis(self.chunks, chunk_point).vector(), VectorAxis(weights[: self.chunk_bytes])
        used = 0
        for tensor in self.weights.values():
            end = used + BYTES.limbs * int(np.prod(tensor.shape))
            first, last = used // self.chunk_bytes, -(-end // self.chunk_bytes)
            flat = outer_product((VectorAxis(by_chunk[first:last]), inside))
            start = first * self.chunk_bytes
            yield tensor, flat[used - start : end - start].reshape(*tensor.shape, BYTES.limbs, 2)
            used = end

    def _pieces(self, layout: Layout, tensor: ByteWeights, point: Sequence[K], weights: Sequence[K]) -> Pieces:
        return layout.pieces(tensor.bytes.columns.names, split_point(tensor.shape, point), weights)

    def _randomness_axes(self, weights: U64, chunk_point: tuple[K, ...]) -> tuple[EqAxis, VectorAxis]:
        return EqAxis(self.chunks, chunk_point), VectorAxis(weights[self.chunk_bytes :])


def _row_weights(length: int, row_point: Sequence[K]) -> U64:
    """w_j = sum_k eq(a, k) A_kj for j < length: (length, 2) pairs."""
    return ajtai.weighted_sums(ajtai.matrix(length), unblock(multilinear.eq_table(row_point), ajtai.ROWS))


def _integer_dot(integers: U32, weights: U64) -> K:
    """sum_x integers[x] weights[x]: (n,) uint32, blocked weights."""
    pairs = np.zeros((len(integers), 2), dtype=np.uint64)
    pairs[:, 0] = integers
    return K(*native.k_dot(block(pairs), weights).tolist())
