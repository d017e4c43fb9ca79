"""A small relation in both modes, for the tests of channels, Ligero and the simulator: b_j = a_j * factor_j, and the products
a_j b_j of the first few j are public. The factors come from a challenge, so messages depend on the transcript."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from zkds.channel import DryRun, ProverChannel, VerifierChannel, VerifierEnd
from zkds.field import K
from zkds.hidden import Constraints
from zkds.soundness import algebraic
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk import ligero
from zkds.zk.ligero import CommittedPads, PadCommitment

TERM = algebraic("toy challenge", 1, "1 / |K|", "tests")


class Relation(ABC):
    """A protocol's prover and verifier; the verifier uses nothing secret."""

    @abstractmethod
    def prove(self, channel: ProverChannel) -> None: ...

    @abstractmethod
    def verify(self, channel: VerifierEnd) -> None: ...

    def shape(self) -> Constraints:
        dry = DryRun()
        self.verify(dry)
        return dry.constraints

    def commit(self) -> PadCommitment:
        shape = self.shape()
        return ligero.commit_pads(shape.messages, shape.products)


class Toy(Relation):
    """`secrets` a_j; the first `products` of the a_j b_j are sent in the clear."""

    def __init__(self, secrets: list[K], products: int) -> None:
        self.secrets = secrets
        self.count = len(secrets)
        self.products = products

    def prove(self, channel: ProverChannel) -> None:
        channel.send("a", self.secrets)
        factor = channel.challenge(TERM)
        images = self.images(factor)
        channel.send("b", images)
        channel.send_elements("products", self.public_products(images))

    def public_products(self, images: list[K]) -> list[K]:
        return [a * b for a, b in zip(self.secrets, images, strict=True)][: self.products]

    def images(self, factor: K) -> list[K]:
        return [a * factor for a in self.secrets]

    def verify(self, channel: VerifierEnd) -> None:
        a = channel.receive("a", self.count)
        factor = channel.challenge(TERM)
        b = channel.receive("b", self.count)
        products = channel.receive_elements("products", self.products)
        for j in range(self.count):
            channel.assert_zero(b[j] - factor * a[j], "toy: image")
        for j in range(self.products):
            channel.assert_zero(channel.product(a[j], b[j]) - products[j], "toy: product")


def prove_relation(
    relation: Relation,
    commitment: PadCommitment | None = None,
    channel_type: Callable[..., ProverChannel] = ProverChannel,
    transcript: Transcript | None = None,
) -> bytes:
    commitment = commitment or relation.commit()
    channel = channel_type(transcript or Transcript(), ProofWriter(), commitment.take_pads())
    converse(relation, channel, commitment)
    return channel.writer.to_bytes()


def converse(relation: Relation, channel: ProverChannel, pads: CommittedPads) -> None:
    """A whole proof, as the simulator wants it."""
    channel.send_bytes(ligero.ROOT_LABEL, pads.root)
    relation.prove(channel)
    replay = channel.replay()
    replay.receive_bytes(ligero.ROOT_LABEL, 32)
    relation.verify(replay)
    ligero.prove(channel, pads, replay.constraints)


def verify_relation(relation: Relation, proof: bytes, transcript: Transcript | None = None) -> VerifierChannel:
    """Raises ProofRejected."""
    channel = VerifierChannel(transcript or Transcript(), ProofReader(proof))
    root = channel.receive_bytes(ligero.ROOT_LABEL, 32)
    relation.verify(channel)
    ligero.verify(channel, root, channel.constraints)
    channel.reader.finish()
    channel.budget.require()
    return channel
