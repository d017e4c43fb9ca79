"""What a proof of directional sharpness says: every public choice, and the results.

    zkds sharpness statement v6      label
    network, configuration           their encodings
    probes                           8 bytes: R, how many
    data root                        the root file's bytes: count, schema, tree
    seed                             32 bytes: which records are in which batch
    seed source                      1 byte: 1 if the prover says that it was given the seed, 0 if it drew it
    model                            32 bytes: the digest of the quantised weights, or of a private model's root
    private model                    1 byte: 1 if `model` is a root that hides the weights
    results                          values or threshold, total loss, correct predictions, degenerate batches, labels, margin
    evaluations                      of other records: data root, how many, total loss, correct predictions

The encoding opens the transcript and stands at the head of proof.bin, so a proof says what it is about; `decode` parses
untrusted bytes, and everything else (layout, plan, lookups, indices) is recomputed from the result.
"""

from __future__ import annotations

import math
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
from zkds.dataset.sampling import SEED_BYTES, batches, probe_seed
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
MAX_PROBES = 64
MAX_SAMPLES = 1 << 14  # R T B
MAX_RECORD_BYTES = 1 << 24  # of all records of all probes
LOSS_BYTES = 16  # of a total loss in a statement


class StatementError(ZkdsError, ValueError):
    """Network, configuration and data set do not fit together, or a result is out of range."""


def encode_results(results: Results) -> bytes:
    """1 byte (1: threshold mode), then R values or the threshold, and the other results in their order.

    Eight bytes each, but LOSS_BYTES of the total loss.
    """
    shown = results.values
    if shown is None:
        assert results.threshold is not None
        shown = (results.threshold,)
    loss = results.total_loss.to_bytes(LOSS_BYTES, "little")
    numbers = (results.correct, results.saturated, results.below_eps, results.labels, results.margin)
    return bytes([results.values is None]) + b"".join(map(encode_number, shown)) + loss + b"".join(map(encode_number, numbers))


def probe_prefix(number: int) -> str:
    """Of the names of all tensors and messages of a probe, counted from 1; those of the first one have none."""
    return f"probe {number}: " if number > 1 else ""


@dataclass(frozen=True)
class SharpnessStatement:
    """One certificate's public content. Raises StatementError if its parts do not fit together.

    seed_given     what the prover says of the seed's source; only a verifier that pins the seed knows
    model          32 bytes: `weights.model_digest`, or the digest of a private model's root
    private_model  whether `model` is such a root
    evaluations    in the order in which their records are drawn
    probes         R, how many, each with batches of its own
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
    probes: int = 1

    def __post_init__(self) -> None:
        for name, value, length in (("seed", self.seed, SEED_BYTES), ("model", self.model, DIGEST_BYTES)):
            if not isinstance(value, bytes) or len(value) != length:
                raise StatementError(f"{name}: expected {length} bytes")
        require_fit(self.network, self.configuration, self.root, self.probes)
        require_evaluations(self.network, self.evaluations)
        self._require_results()

    def _require_results(self) -> None:
        results = self.results
        if results.values is not None and len(results.values) != self.probes:
            raise StatementError(f"results: {len(results.values)} values of {self.probes} probes")
        if any(number >= 1 << RESULT_BITS for number in (*(results.values or ()), results.threshold or 0)):
            raise StatementError(f"results: expected values and a threshold below 2^{RESULT_BITS}")
        if results.total_loss >= self.samples << RESULT_BITS:
            raise StatementError(f"results: expected a mean loss below 2^{RESULT_BITS}")
        if results.correct > self.samples:
            raise StatementError(f"results: {results.correct} correct predictions of {self.samples} samples")
        for count in (results.saturated, results.below_eps):
            if count > self.steps:
                raise StatementError(f"results: {count} saturated batches or ratios below eps of {self.steps}")
        if results.labels > min(self.samples, self.network.classes):
            raise StatementError(f"results: {results.labels} distinct labels of {self.samples} samples")
        if results.margin > MAX_MARGIN:
            raise StatementError(f"results: a margin of {results.margin} nats, above {MAX_MARGIN}")

    @property
    def steps(self) -> int:
        """R T, the number of batches of all probes."""
        return self.probes * self.configuration.steps

    @property
    def samples(self) -> int:
        """R T B, the number of records in the batches; those of one probe are all different."""
        return self.steps * self.configuration.batch_size

    @property
    def surplus_classes(self) -> int:
        """How many outputs of the network belong to no class of the data set; both are in the statement already."""
        return self.network.classes - self.root.schema.classes

    @property
    def warnings(self) -> list[str]:
        """What of the results says nothing about sharpness, in words; a verifier refuses it unless told otherwise."""
        return degenerate_warnings(
            steps=self.steps,
            saturated=self.results.saturated,
            below_eps=self.results.below_eps,
            surplus_classes=self.surplus_classes,
        )

    @property
    def roots(self) -> list[DataRoot]:
        """Of the probe's data set, then of every evaluation's."""
        return [self.root, *(evaluation.root for evaluation in self.evaluations)]

    @cached_property
    def probe_indices(self) -> list[list[list[int]]]:
        """The indices of the records of every batch of every probe: (R, T, B), recomputed from the seed."""
        steps, size = self.configuration.steps, self.configuration.batch_size
        return [batches(probe_seed(self.seed, number), self.root.count, steps, size) for number in range(self.probes)]

    @property
    def batches(self) -> list[list[int]]:
        """The same, probe after probe: (R T, B)."""
        return [batch for probe in self.probe_indices for batch in probe]

    @cached_property
    def evaluated_indices(self) -> list[list[list[int]]]:
        """The indices of the records of every evaluation: (1, n) each, recomputed from the seed."""
        return [evaluation.indices(self.seed, number) for number, evaluation in enumerate(self.evaluations, 1)]

    @property
    def values(self) -> tuple[Fraction, ...] | None:
        """The directional sharpness that each probe found, exactly; None if it is hidden."""
        if self.results.values is None:
            return None
        return tuple(Fraction(value, 1 << RESULT_FRACTION_BITS) for value in self.results.values)

    @property
    def value(self) -> Fraction | None:
        """Directional sharpness, the mean over the probes, exactly; None if it is hidden."""
        return None if self.values is None else sum(self.values, Fraction(0)) / self.probes

    @property
    def standard_error(self) -> float | None:
        """Of the mean: the sample standard deviation of the values over the root of R; None if there is one, or hidden ones."""
        if self.values is None or self.value is None or self.probes == 1:
            return None
        squares = sum((value - self.value) ** 2 for value in self.values)
        return math.sqrt(squares / (self.probes * (self.probes - 1)))

    @property
    def threshold(self) -> Fraction | None:
        """What the hidden mean is at most, exactly; None if the values are shown."""
        return None if self.results.threshold is None else Fraction(self.results.threshold, 1 << RESULT_FRACTION_BITS)

    @property
    def loss(self) -> Fraction:
        """The mean loss over the probes' samples in nats, exactly."""
        return Fraction(self.results.total_loss, self.samples << RESULT_FRACTION_BITS)

    @property
    def accuracy(self) -> Fraction:
        """The fraction of the probes' samples that the network classifies correctly, exactly."""
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
            encode_number(self.probes),
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
            network = Network.decode(_part(reader, "network"))
            configuration = Configuration.decode(_part(reader, "configuration"))
            probes = _decode_probes(_part(reader, "probes"))
            statement = cls(
                network,
                configuration,
                DataRoot.decode(_part(reader, "data root")),
                _part(reader, "seed"),
                _flag(_part(reader, "seed source"), "seed source"),
                _part(reader, "model"),
                _flag(_part(reader, "private model"), "private model"),
                _decode_results(_part(reader, "results"), probes),
                decode_evaluations(_part(reader, "evaluations")),
                probes,
            )
        except (ValueError, OverflowError) as error:
            raise MalformedProof(f"statement: {error}") from None
        reader.finish()
        if statement.encode() != data:
            raise MalformedProof("statement: canonical form", "the form that its content has", "another one")
        return statement


def require_fit(network: Network, configuration: Configuration, root: DataRoot, probes: int = 1) -> None:
    """Raise StatementError unless the network can be probed so many times on the data set."""
    if type(probes) is not int or not 1 <= probes <= MAX_PROBES:
        raise StatementError(f"probes: expected 1 to {MAX_PROBES}, got {probes!r}")
    _require_schema(network, root.schema)
    samples = configuration.steps * configuration.batch_size
    if samples > root.count:
        raise StatementError(f"configuration: T B = {samples} records are needed, the data set has {root.count}")
    _require_bounded(network, probes * samples, root)


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


def _require_bounded(network: Network, samples: int, root: DataRoot) -> None:
    """Raise StatementError for probes of too many records, or whose network no circuit is made for."""
    sizes = (
        ("network: classes", network.classes, MAX_CLASSES),
        ("configuration: R T B", samples, MAX_SAMPLES),
        ("probes: bytes of records", samples * root.committed_bytes, MAX_RECORD_BYTES),
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


def _decode_probes(data: bytes) -> int:
    reader = ProofReader(data)
    probes = read_number(reader, "probes")
    reader.finish()
    if not 1 <= probes <= MAX_PROBES:
        raise MalformedProof("statement: probes", f"1 to {MAX_PROBES}", probes)
    return probes


def _decode_results(data: bytes, probes: int) -> Results:
    reader = ProofReader(data)
    hidden = _flag(reader.read("results", 1), "threshold mode")
    shown = tuple(read_number(reader, "results") for _ in range(1 if hidden else probes))
    total_loss = int.from_bytes(reader.read("results", LOSS_BYTES), "little")
    correct, saturated, below_eps, labels, margin = (read_number(reader, "results") for _ in range(5))
    reader.finish()
    values, threshold = (None, shown[0]) if hidden else (shown, None)
    return Results(total_loss, correct, saturated, below_eps, labels, margin, values, threshold)
