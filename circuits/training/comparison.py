"""A certificate beside proofs of training: what the paper estimates, what was measured elsewhere, and what is measured here.

The paper (Table 6) takes the reported cost of proving one SGD iteration in Kaizen (CCS 2024): a certificate of T SAM steps
costs 2 T of them, and LATE-SAM training, 145 epochs of SGD and 5 of SAM with batches of 16, costs 155 |D| / 16. Here one
iteration is proved by the machinery of certificates (relation.py), and counted in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.proving import prove_certificate
from zkds.circuits.certificate.resources import MemoryRejected
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.circuits.certificate.work import WorkRejected
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network
from zkds.circuits.training.proving import prove_step, verify_step
from zkds.circuits.training.step import Descent
from zkds.dataset.opening import Opening
from zkds.integers.limbs import I64

EPOCHS = 155  # 145 of SGD, and 5 of SAM that count twice
BATCH_SIZE = 16  # of training
SEED = bytes(32)  # costs do not depend on which records are drawn


@dataclass(frozen=True)
class Published:
    """Of one network: the paper's estimates (Table 6), minutes, 10^6 bytes, hours, 10^9 bytes, and the ratio of the times."""

    network: str
    certificate_minutes: float
    certificate_megabytes: float
    training_hours: float
    training_gigabytes: float
    speed_up: float
    artifact: str


PUBLISHED = (
    Published("LeNet", 23.63, 9.85, 26_016, 471.64, 66_063, "324 s and 16.8 GB for one iteration, B = 8"),
    Published("AlexNet", 55.43, 11.59, 63_830, 579.72, 69_091, "out of 24 GB for one iteration, B = 8"),
    Published("VGG-11", 88.87, 15.28, 118_671, 751.59, 80_119, "not run"),
)


KINDS = {
    "LeNet": ("lenet-k", "lenet5", "lenet5-avg", "lenet5-rgb", "lenet5-rgb-avg"),
    "AlexNet": ("alexnet-k", "alexnet", "alexnet-64"),
    "VGG-11": ("vgg11-k", "vgg11", "vgg11-bn"),
}


def published_of(network: Network) -> Published | None:
    """The row of a network of the zoo that is known by the name of one of the paper's; None of others."""
    for row in PUBLISHED:
        if any(zoo.network(name) == network for name in KINDS[row.network]):
            return row
    return None


@dataclass(frozen=True)
class Measured:
    """A proof that was made and verified: seconds of processor time, bytes."""

    prove_seconds: float
    verify_seconds: float
    proof_bytes: int


@dataclass(frozen=True)
class NotRun:
    """A proof that was not made, and why."""

    not_run: str


@dataclass(frozen=True)
class Comparison:
    """One network: the certificate, one step of training, and what follows of them for a data set of so many records."""

    records: int
    certificate: Measured | NotRun
    step: Measured | NotRun
    published: Published | None

    @property
    def iterations(self) -> float:
        """Of SGD, which LATE-SAM training counts as."""
        return float(Fraction(EPOCHS * self.records, BATCH_SIZE))

    @property
    def training(self) -> tuple[float, float] | None:
        """Hours and bytes of a proof of training, by the measured step."""
        if isinstance(self.step, NotRun):
            return None
        return self.iterations * self.step.prove_seconds / 3600, self.iterations * self.step.proof_bytes

    @property
    def speed_up(self) -> tuple[float, float] | None:
        """How many times less time and bytes the certificate takes."""
        if self.training is None or isinstance(self.certificate, NotRun):
            return None
        hours, size = self.training
        return 3600 * hours / self.certificate.prove_seconds, size / self.certificate.proof_bytes

    def content(self) -> dict[str, Any]:
        """All of it, for JSON."""
        hours, size = self.training or (None, None)
        faster, smaller = self.speed_up or (None, None)
        return {
            "records": self.records,
            "iterations": self.iterations,
            "certificate": asdict(self.certificate),
            "step": asdict(self.step),
            "training_hours": hours,
            "training_bytes": size,
            "speed_up": faster,
            "times_fewer_bytes": smaller,
            "published": None if self.published is None else asdict(self.published),
        }


def compare(
    network: Network,
    weights: Mapping[str, I64],
    opening: Opening,
    configuration: Configuration,
    row: Published | None,
    records: int,
    progress: Callable[[str], None],
) -> Comparison:
    """Make and verify both proofs, of a public model; a proof that does not fit this machine or a verifier is named, not made.

    records: of the data set that is trained on. Needs 16 records in the opening, and T B.
    """

    def certificate() -> Measured:
        started = time.process_time()
        data, _ = prove_certificate(network, weights, opening, configuration, SEED, seed_given=True)
        proved = time.process_time()
        pins = Pins((network, weights), opening.root, SEED, configuration, allow_saturated=True, allow_surplus_classes=True)
        verify_certificate(data, pins)
        return Measured(proved - started, time.process_time() - proved, len(data))

    def step() -> Measured:
        descent = Descent.of(batch_size=BATCH_SIZE)
        started = time.process_time()
        found = prove_step(network, weights, opening, descent, SEED)
        proved = time.process_time()
        verify_step(found.proof, network, weights, found.after, opening.root, descent, SEED)
        return Measured(proved - started, time.process_time() - proved, len(found.proof))

    progress("certificate")
    certified = _made(certificate)
    progress("step of training")
    return Comparison(records, certified, _made(step), row)


def _made(make: Callable[[], Measured]) -> Measured | NotRun:
    try:
        return make()
    except (MemoryRejected, WorkRejected) as error:
        return NotRun(str(error))
