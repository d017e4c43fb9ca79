"""What a proof of directional sharpness says: every public choice, and the results.

    zkds sharpness statement v6      label
    network, configuration           their encodings
    data root                        the root file's bytes: count, schema, tree
    seed                             32 bytes: which records are in which batch
    seed source                      1 byte: 1 if the prover says that it was given the seed, 0 if it drew it
    model                            32 bytes: the digest of the quantised weights, or of a private model's root
    private model                    1 byte: 1 if `model` is a root that hides the weights
    results                          value or threshold, total loss, correct predictions, degenerate batches, labels, margin
    evaluations                      of other records: data root, how many, total loss, correct predictions

The encoding opens the transcript and stands at the head of proof.bin, so a proof says what it is about; `decode` parses
untrusted bytes, and everything else (layout, plan, lookups, indices) is recomputed from the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from zkds.circuits.arithmetic.fixed_point import MAX_CLASSES, RESULT_FRACTION_BITS, Configuration
from zkds.circuits.certificate.degenerate import degenerate_warnings
from zkds.circuits.certificate.evaluations import (
    MAX_EVALUATED,
    MAX_EVALUATED_BYTES,
    MAX_EVALUATIONS,
    Evaluation,
    decode_evaluations,
    encode_evaluations,
)
from zkds.circuits.metric.margin import MAX_MARGIN
from zkds.circuits.metric.results import Results
from zkds.circuits.networks.graph import Network
from zkds.dataset.root import DataRoot
from zkds.dataset.sampling import SEED_BYTES, batches
from zkds.dataset.schema import Schema
from zkds.errors import MalformedProof, NotAProof, ZkdsError
from zkds.wire import ProofReader, encode_number, read_number

LABEL = b"zkds sharpness statement v6"
LABELS_BEFORE = {b"zkds sharpness statement v%d" % version: version for version in range(1, 6)}  # refused by name
DIGEST_BYTES = 32
MAX_PART = 1 << 23  # bytes of one encoded part
RESULT_BITS = 60  # of a loss or a value, at 48 fractional bits

# What a probe may be by itself. The cells that it takes are limited where they are known (relation.py), and so are a verifier's
# work (work.py) and a prover's memory (resources.py).
MAX_SAMPLES = 1 << 14  # T B
MAX_RECORD_BYTES = 1 << 24  # of all records of the probe


class StatementError(ZkdsError, ValueError):
    """Network, configuration and data set do not fit together, or a result is out of range."""


def encode_results(results: Results) -> bytes:
    """1 byte (1: threshold mode), then value or threshold and the other results in their order, 8 bytes each."""
    hidden = results.value is None
    shown = results.threshold if results.value is None else results.value
    assert shown is not None
    numbers = (results.total_loss, results.correct, results.saturated, results.below_eps, results.labels, results.margin)
    return bytes([hidden]) + b"".join(map(encode_number, (shown, *numbers)))


@dataclass(frozen=True)
class SharpnessStatement:
    """One certificate's public content. Raises StatementError if its parts do not fit together.

    seed_given     what the prover says of the seed's source; only a verifier that pins the seed knows
    model          32 bytes: `weights.model_digest`, or the digest of a private model's root
    private_model  whether `model` is such a root
    evaluations    in the order in which their records are drawn
    """

    network: Network
    configuration: Configuration
    root: DataRoot
    seed: bytes
    seed_given: bool
    model: bytes
    private_model: bool
    results: Results
    evaluations: tuple[Evaluation, ...] = ()

    def __post_init__(self) -> None:
        for name, value, length in (("seed", self.seed, SEED_BYTES), ("model", self.model, DIGEST_BYTES)):
            if not isinstance(value, bytes) or len(value) != length:
                raise StatementError(f"{name}: expected {length} bytes")
        require_fit(self.network, self.configuration, self.root)
        require_evaluations(self.network, self.evaluations)
        for field in ("value", "threshold", "total_loss", "correct"):
            number = getattr(self.results, field)
            if number is not None and number >= 1 << RESULT_BITS:
                raise StatementError(f"results: expected {field} below 2^{RESULT_BITS}")
        if self.results.correct > self.samples:
            raise StatementError(f"results: {self.results.correct} correct predictions of {self.samples} samples")
        for count in (self.results.saturated, self.results.below_eps):
            if count > self.configuration.steps:
                raise StatementError(f"results: {count} saturated batches or ratios below eps of {self.configuration.steps}")
        if self.results.labels > min(self.samples, self.network.classes):
            raise StatementError(f"results: {self.results.labels} distinct labels of {self.samples} samples")
        if self.results.margin > MAX_MARGIN:
            raise StatementError(f"results: a margin of {self.results.margin} nats, above {MAX_MARGIN}")

    @property
    def samples(self) -> int:
        """T B, the number of distinct records in the batches."""
        return self.configuration.steps * self.configuration.batch_size

    @property
    def surplus_classes(self) -> int:
        """How many outputs of the network belong to no class of the data set; both are in the statement already."""
        return self.network.classes - self.root.schema.classes

    @property
    def warnings(self) -> list[str]:
        """What of the results says nothing about sharpness, in words; a verifier refuses it unless told otherwise."""
        return degenerate_warnings(
            steps=self.configuration.steps,
            saturated=self.results.saturated,
            below_eps=self.results.below_eps,
            surplus_classes=self.surplus_classes,
        )

    @property
    def roots(self) -> list[DataRoot]:
        """Of the probe's data set, then of every evaluation's."""
        return [self.root, *(evaluation.root for evaluation in self.evaluations)]

    @cached_property
    def batches(self) -> list[list[int]]:
        """The indices of the records of every batch: (T, B), recomputed from the seed."""
        return batches(self.seed, self.root.count, self.configuration.steps, self.configuration.batch_size)

    @cached_property
    def evaluated_indices(self) -> list[list[list[int]]]:
        """The indices of the records of every evaluation: (1, n) each, recomputed from the seed."""
        return [evaluation.indices(self.seed, number) for number, evaluation in enumerate(self.evaluations, 1)]

    @property
    def value(self) -> Fraction | None:
        """Directional sharpness, exactly; None if it is hidden."""
        return None if self.results.value is None else Fraction(self.results.value, 1 << RESULT_FRACTION_BITS)

    @property
    def threshold(self) -> Fraction | None:
        """What a hidden value is at most, exactly; None if the value is shown."""
        return None if self.results.threshold is None else Fraction(self.results.threshold, 1 << RESULT_FRACTION_BITS)

    @property
    def loss(self) -> Fraction:
        """The mean loss over the probe's samples in nats, exactly."""
        return Fraction(self.results.total_loss, self.samples << RESULT_FRACTION_BITS)

    @property
    def accuracy(self) -> Fraction:
        """The fraction of the probe's samples that the network classifies correctly, exactly."""
        return Fraction(self.results.correct, self.samples)

    @property
    def gap(self) -> Fraction | None:
        """Held-out less training loss, in nats.

        The largest mean loss of an evaluation of another data set than the probe's, less the least one of an evaluation of the
        probe's; None unless there are both.
        """
        own = self.root.digest()
        training, held_out = (
            [found.loss for found in self.evaluations if (found.root.digest() == own) is of_own] for of_own in (True, False)
        )
        return max(held_out) - min(training) if training and held_out else None

    def encode(self) -> bytes:
        """Canonical: the label, then each part after its length (8 bytes, little-endian)."""
        parts = (
            self.network.encode(),
            self.configuration.encode(),
            self.root.encode(),
            self.seed,
            bytes([self.seed_given]),
            self.model,
            bytes([self.private_model]),
            encode_results(self.results),
            encode_evaluations(self.evaluations),
        )
        return LABEL + b"".join(encode_number(len(part)) + part for part in parts)

    @classmethod
    def decode(cls, data: bytes) -> SharpnessStatement:
        """Parse untrusted bytes. Raises MalformedProof for all that `encode` does not write, NotAProof for other versions."""
        reader = ProofReader(data)
        label = reader.read("statement label", len(LABEL))
        if label in LABELS_BEFORE:
            raise NotAProof(f"statement of version {LABELS_BEFORE[label]}: made by an older zkds, prove again")
        if label != LABEL:
            raise MalformedProof("statement: label", LABEL.decode(), "another one")
        try:
            statement = cls(
                Network.decode(_part(reader, "network")),
                Configuration.decode(_part(reader, "configuration")),
                DataRoot.decode(_part(reader, "data root")),
                _part(reader, "seed"),
                _flag(_part(reader, "seed source"), "seed source"),
                _part(reader, "model"),
                _flag(_part(reader, "private model"), "private model"),
                _decode_results(_part(reader, "results")),
                decode_evaluations(_part(reader, "evaluations")),
            )
        except (ValueError, OverflowError) as error:
            raise MalformedProof(f"statement: {error}") from None
        reader.finish()
        if statement.encode() != data:
            raise MalformedProof("statement: canonical form", "the form that its content has", "another one")
        return statement


def require_fit(network: Network, configuration: Configuration, root: DataRoot) -> None:
    """Raise StatementError unless the network can be probed on the data set."""
    _require_schema(network, root.schema)
    samples = configuration.steps * configuration.batch_size
    if samples > root.count:
        raise StatementError(f"configuration: T B = {samples} records are needed, the data set has {root.count}")
    _require_bounded(network, configuration, root)


def require_evaluations(network: Network, evaluations: Sequence[Evaluation]) -> None:
    """Raise StatementError unless the network can be evaluated on so many records of these data sets."""
    for evaluation in evaluations:
        _require_schema(network, evaluation.root.schema)
    sizes = (
        ("evaluations", len(evaluations), MAX_EVALUATIONS),
        ("evaluations: records", sum(found.samples for found in evaluations), MAX_EVALUATED),
        (
            "evaluations: bytes of records",
            sum(found.samples * found.root.committed_bytes for found in evaluations),
            MAX_EVALUATED_BYTES,
        ),
    )
    _require_sizes(sizes)


def _require_schema(network: Network, schema: Schema) -> None:
    """Raise StatementError unless the network takes records of this schema."""
    shape = schema.shape if len(schema.shape) == 3 else (*schema.shape, 1, 1)
    if shape != network.input_shape:
        raise StatementError(f"network: expected an input of {shape}, as the data set's, got {network.input_shape}")
    try:
        schema.require_inputs()
    except ValueError as error:
        raise StatementError(str(error)) from None
    if network.classes < schema.classes:
        raise StatementError(f"network: {network.classes} outputs, but the data set has {schema.classes} classes")


def _require_bounded(network: Network, configuration: Configuration, root: DataRoot) -> None:
    """Raise StatementError for a probe of too many records, or whose network no circuit is made for."""
    samples = configuration.steps * configuration.batch_size
    sizes = (
        ("network: classes", network.classes, MAX_CLASSES),
        ("configuration: T B", samples, MAX_SAMPLES),
        ("probe: bytes of records", samples * root.committed_bytes, MAX_RECORD_BYTES),
    )
    _require_sizes(sizes)


def _require_sizes(sizes: Sequence[tuple[str, int, int]]) -> None:
    for name, size, most in sizes:
        if size > most:
            raise StatementError(f"{name}: expected at most {most}, got {size}")


def _part(reader: ProofReader, label: str) -> bytes:
    length = read_number(reader, label)
    if length > MAX_PART:
        raise MalformedProof(f"statement: length of {label}", f"at most {MAX_PART}", length)
    return reader.read(label, length)


def _flag(data: bytes, label: str) -> bool:
    if data not in (b"\0", b"\1"):
        raise MalformedProof(f"statement: {label}", "0 or 1", data.hex()[:8])
    return data == b"\1"


def _decode_results(data: bytes) -> Results:
    reader = ProofReader(data)
    hidden = _flag(reader.read("results", 1), "threshold mode")
    shown, total_loss, correct, saturated, below_eps, labels, margin = (read_number(reader, "results") for _ in range(7))
    reader.finish()
    value, threshold = (None, shown) if hidden else (shown, None)
    return Results(total_loss, correct, saturated, below_eps, labels, margin, value, threshold)
