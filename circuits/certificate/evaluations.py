"""What a certificate says about other records: loss and predictions of w_0 on some that the seed draws from a data set.

Evaluation k, counted from 1, is of the first n records of a permutation of its data set, whose seed is

    SHA-256("zkds evaluation v1" | seed | k | data root)

so that every evaluation has draws of its own, also of one data set twice. docs/specification/certificate.md, section 23.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from zkds.circuits.arithmetic.fixed_point import RESULT_FRACTION_BITS
from zkds.dataset.root import DataRoot
from zkds.dataset.sampling import permutation_prefix
from zkds.errors import MalformedProof
from zkds.wire import ProofReader, encode_number, read_number

SEED_LABEL = b"zkds evaluation v1"
MAX_EVALUATIONS = 16
MAX_EVALUATED = 1 << 14  # records of all evaluations: a proof shows a kilobyte of each
MAX_EVALUATED_BYTES = 1 << 26  # of these records, with their randomness
MAX_ROOT_BYTES = 1 << 22
LOSS_BYTES = 16  # of a total loss in a statement
MEAN_LOSS_BITS = 60  # of a mean loss, at 48 fractional bits


@dataclass(frozen=True)
class Evaluation:
    """The public content of one evaluation. Raises TypeError or ValueError for numbers that no evaluation has.

    root         of the data set that the records are from
    samples      n, how many are drawn
    total_loss   the sum of their losses [48]
    correct      how many of them are classified as labelled
    """

    root: DataRoot
    samples: int
    total_loss: int = 0
    correct: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "total_loss", "correct"):
            if type(getattr(self, name)) is not int:
                raise TypeError(f"evaluation: {name}: expected an int, got {type(getattr(self, name)).__name__}")
        if not 1 <= self.samples <= self.root.count:
            raise ValueError(f"evaluation: expected 1 to {self.root.count} records, as the data set has, got {self.samples}")
        if not 0 <= self.total_loss < self.samples << MEAN_LOSS_BITS:
            raise ValueError(f"evaluation: expected a mean loss below {1 << MEAN_LOSS_BITS - RESULT_FRACTION_BITS} nats")
        if not 0 <= self.correct <= self.samples:
            raise ValueError(f"evaluation: {self.correct} correct predictions of {self.samples} records")

    @property
    def loss(self) -> Fraction:
        """The mean loss over the records in nats, exactly."""
        return Fraction(self.total_loss, self.samples << RESULT_FRACTION_BITS)

    @property
    def accuracy(self) -> Fraction:
        """The fraction of the records that the network classifies correctly, exactly."""
        return Fraction(self.correct, self.samples)

    def indices(self, seed: bytes, number: int) -> list[list[int]]:
        """(1, n): which records evaluation `number` is of, for the seed of a statement."""
        own = hashlib.sha256(SEED_LABEL + seed + encode_number(number) + self.root.digest()).digest()
        return [permutation_prefix(own, self.root.count, self.samples)]

    def encode(self) -> bytes:
        """Canonical: the root's bytes after their length, n, the total loss (16 bytes), the correct predictions."""
        root = self.root.encode()
        loss = self.total_loss.to_bytes(LOSS_BYTES, "little")
        return encode_number(len(root)) + root + encode_number(self.samples) + loss + encode_number(self.correct)


def prefix(number: int) -> str:
    """Of the names of all tensors and messages of an evaluation, counted from 1."""
    return f"evaluation {number}: "


def encode_evaluations(evaluations: Sequence[Evaluation]) -> bytes:
    """Canonical: their number, then each."""
    return encode_number(len(evaluations)) + b"".join(evaluation.encode() for evaluation in evaluations)


def decode_evaluations(data: bytes) -> tuple[Evaluation, ...]:
    """Parse untrusted bytes. Raises MalformedProof or ValueError for all that `encode_evaluations` does not write."""
    reader = ProofReader(data)
    count = read_number(reader, "evaluations")
    if count > MAX_EVALUATIONS:
        raise MalformedProof("statement: evaluations", f"at most {MAX_EVALUATIONS}", count)
    found = tuple(_decode(reader) for _ in range(count))
    reader.finish()
    return found


def _decode(reader: ProofReader) -> Evaluation:
    length = read_number(reader, "evaluation")
    if length > MAX_ROOT_BYTES:
        raise MalformedProof("statement: length of an evaluated data root", f"at most {MAX_ROOT_BYTES}", length)
    root = DataRoot.decode(reader.read("evaluation", length))
    samples = read_number(reader, "evaluation")
    loss = int.from_bytes(reader.read("evaluation", LOSS_BYTES), "little")
    return Evaluation(root, samples, loss, read_number(reader, "evaluation"))
