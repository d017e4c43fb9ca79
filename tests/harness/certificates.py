"""What the tests of certificates share: tiny networks, committed data sets, and their certificates, made once a session.

A `Case` names everything that a certificate is about; `honest(case)` is the whole of it. `Columns` are what a cheating prover
starts from: it changes them, or the statement, and commits to whatever comes out.
"""

from __future__ import annotations

import functools
import os
import tempfile
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.harness.carries import low_sums, sums_of_products
from tests.harness.cheating import dishonest_vector
from tests.harness.layers import Layer, Pool, layered
from tests.harness.limbs import join
from tests.harness.second_verifier import MALFORMED, second
from zkds.circuits import evaluation, probe
from zkds.circuits.arithmetic.fixed_point import Configuration, Place
from zkds.circuits.certificate.evaluations import Evaluation, prefix
from zkds.circuits.certificate.proving import network_inputs, prove_certificate
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import SharpnessStatement, probe_prefix
from zkds.circuits.certificate.verifying import threshold_integer, verify_certificate
from zkds.circuits.metric.results import results_of
from zkds.circuits.models.private_model import OpenedModel, PrivateModel
from zkds.circuits.networks.graph import chain
from zkds.circuits.networks.weights import model_digest
from zkds.circuits.operators.batch_norm import BatchNorm
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.relu import Relu
from zkds.circuits.trajectory import Trajectory
from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.membership import Membership
from zkds.dataset.opening import Opening
from zkds.dataset.records import from_arrays
from zkds.dataset.sampling import batches, probe_seed
from zkds.dataset.schema import Normalization
from zkds.errors import ProofRejected
from zkds.identities.expressions import Identity
from zkds.identities.gadget import Gadgets
from zkds.identities.rounded_sum import RoundedSum
from zkds.prover import prove_vector
from zkds.statement import Statement
from zkds.tensors.tensor import ColumnReader

SEED = bytes(range(32))
BOTH_VERIFIERS = "ZKDS_BOTH_VERIFIERS" in os.environ  # whether the second one has to give the same reasons
RECORDS = 12
CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
NETWORKS = {
    "max": layered(
        (1, 6, 6),
        (Layer("conv", 2, 1, (3, 3), padding=(1, 1), pool=Pool("max", 2), relu=True), Layer("fc", 3, 2, (3, 3))),
    ),
    "average": layered(
        (1, 6, 6),
        (
            Layer("conv", 2, 1, (3, 3), relu=True, pool=Pool("average", 2), bias=False),
            Layer("hidden", 3, 2, (2, 2), relu=True),
            Layer("fc", 3, 3, (1, 1)),
        ),
    ),
    "max alone": layered(
        (1, 6, 6), (Layer("conv", 2, 1, (2, 2), stride=(2, 2), pool=Pool("max", 3)), Layer("fc", 3, 2, (1, 1)))
    ),
    "dense": layered((4, 1, 1), (Layer("hidden", 3, 4, (1, 1), relu=True), Layer("fc", 2, 3, (1, 1)))),
    "many classes": layered((4, 1, 1), (Layer("fc", 300, 4, (1, 1), bias=False),)),
    "batch norm": chain(
        (1, 6, 6),
        ("conv", Convolution.over((1, 6, 6), 2, (3, 3), (2, 2), bias=False)),
        ("bn", BatchNorm(2)),
        Relu(),
        ("fc", Convolution.dense(3, (2, 2, 2))),
    ),
    "names of the circuit": layered(
        (4, 1, 1),
        (
            Layer("norms", 3, 4, (1, 1), relu=True),
            Layer("softmax.weight", 3, 3, (1, 1), relu=True),
            Layer("softmax", 3, 3, (1, 1)),
            Layer("statistic", 2, 3, (1, 1)),
        ),
    ),
}
IMAGES = np.random.default_rng(1).integers(0, 256, (RECORDS, 1, 6, 6), dtype=np.uint8)
FEATURES = np.random.default_rng(2).normal(size=(RECORDS, 4))
LABELS = np.arange(RECORDS)
SOURCES = {
    "images": lambda: from_arrays(IMAGES, LABELS % 3, classes=3),
    "normalised images": lambda: from_arrays(
        IMAGES, LABELS % 3, classes=3, normalization=Normalization.from_decimals(["0.45"], ["0.22"])
    ),
    "features": lambda: from_arrays(FEATURES, LABELS % 2, classes=2),
    "other features": lambda: from_arrays(FEATURES[::-1].copy() / 2, LABELS % 2, classes=2),
    "features of many classes": lambda: from_arrays(FEATURES, LABELS * 25 % 300, classes=300),
}


@dataclass(frozen=True)
class Case:
    """network and source by name; private: the weights stay hidden; tau: the values do; evaluations: (source, records)."""

    network: str = "max"
    source: str = "images"
    configuration: Configuration = CONFIGURATION
    seed: bytes = SEED
    private: bool = False
    tau: Fraction | None = None
    zero_knowledge: bool = False
    evaluations: tuple[tuple[str, int], ...] = ()
    probes: int = 1


TINY = Case("dense", "features")


@functools.cache
def opening(source: str) -> Opening:
    """A committed data set; its files live as long as the session."""
    folder = Path(tempfile.mkdtemp(prefix="zkds-test-"))
    commit_dataset(SOURCES[source](), folder / "data.root")
    return Opening(opening_path(folder / "data.root"))


@functools.cache
def weights(network: str) -> dict[str, np.ndarray]:
    """Weights below a half, 40 fractional bits; constants from a half to 4, of 32."""
    generator = np.random.default_rng(3)
    found = {name: generator.integers(-(1 << 39), 1 << 39, shape) for name, shape in NETWORKS[network].parameters}
    return found | {name: generator.integers(1 << 31, 1 << 34, shape) for name, shape in NETWORKS[network].constants}


@functools.cache
def private_model(network: str) -> OpenedModel:
    return OpenedModel.commit(NETWORKS[network], weights(network))


@functools.cache
def honest(case: Case) -> tuple[bytes, SharpnessStatement]:
    """The proof's bytes and what they say."""
    return prove_certificate(
        NETWORKS[case.network],
        weights(case.network),
        opening(case.source),
        case.configuration,
        case.seed,
        seed_given=True,
        tau=case.tau,
        private_model=private_model(case.network) if case.private else None,
        zero_knowledge=case.zero_knowledge,
        evaluations=[(opening(source), count) for source, count in case.evaluations],
        probes=case.probes,
    )


@dataclass
class Cheat:
    """A relation, its trajectories and all of its columns: what a cheating prover changes."""

    case: Case
    statement: SharpnessStatement
    relation: DirectionalSharpness
    trajectories: list[Trajectory]
    columns: dict[str, np.ndarray]

    @property
    def trajectory(self) -> Trajectory:
        """Of the first probe."""
        return self.trajectories[0]

    def proof(self, zero_knowledge: bool = False) -> bytes:
        """With the best multiplicities for these columns, whatever they are."""
        statement = Statement(self.relation)
        return prove_vector(statement, dishonest_vector(statement, self.columns), zero_knowledge=zero_knowledge)


def cheat(
    case: Case = TINY,
    *,
    records=None,
    labels=None,
    inputs=None,
    network=None,
    model=None,
    opened_model=None,
    results=None,
    probed=None,
    evaluated=None,
    evaluations=None,
) -> Cheat:
    """A certificate of `case`, but for what is given:

    records   indices of the records that are committed and shown, where the seed names others
    probed    (indices, weights) of a probe, from its number and the true ones
    labels, inputs   of the probes, where the committed records have others
    network, model   of the probes, where the statement has the digest or the root of the case's
    opened_model   what a private model's root is opened with
    results   those of the statement, from the trajectory's
    evaluated   (source, indices (1, n), weights) of an evaluation, from its number and the true ones
    evaluations   those of the statement, from the true ones
    """
    stated, opened = NETWORKS[case.network], opening(case.source)
    network = stated if network is None else network
    configuration = case.configuration
    used = weights(case.network) if model is None else model
    found_probes = []
    for number in range(1, case.probes + 1):
        seed = probe_seed(case.seed, number - 1)
        indices = batches(seed, opened.root.count, configuration.steps, configuration.batch_size)
        indices, start = (indices, used) if probed is None else probed(number, indices, used)
        prefixed = probe_prefix(number)
        membership, committed = Membership.open(opened, indices if records is None else records, prefixed)
        found = network_inputs(opened.root.schema, committed, prefixed)
        trajectory = probe.run(
            network,
            start,
            found[0] if inputs is None else inputs(found[0]),
            found[1] if labels is None else labels(found[1]),
            configuration,
        )
        found_probes.append((membership, trajectory, committed))
    trajectories = [trajectory for _, trajectory, _ in found_probes]
    true_results = results_of(*trajectories)
    if case.tau is not None:
        true_results = replace(true_results, values=None, threshold=threshold_integer(case.tau))
    found_evaluations = [
        _evaluated(case, network, used, number, evaluated or (lambda _, *true: true))
        for number in range(1, len(case.evaluations) + 1)
    ]
    true_evaluations = tuple(evaluation for evaluation, *_ in found_evaluations)
    root = private_model(case.network).root() if case.private else model_digest(stated, weights(case.network))
    statement = SharpnessStatement(
        network,
        configuration,
        opened.root,
        case.seed,
        True,
        root,
        case.private,
        true_results if results is None else results(true_results),
        true_evaluations if evaluations is None else evaluations(true_evaluations),
        case.probes,
    )
    hidden = PrivateModel(network, root, opened_model or private_model(case.network)) if case.private else None
    memberships = [membership for _, membership, _, _ in found_evaluations]
    openings = [membership for membership, _, _ in found_probes]
    relation = DirectionalSharpness(statement, probed=openings, evaluated=memberships, private_model=hidden)
    values = [(found, columns) for _, _, found, columns in found_evaluations]
    probes = [(trajectory, columns) for _, trajectory, columns in found_probes]
    return Cheat(case, statement, relation, trajectories, relation.columns_of(probes, values))


def _evaluated(case, network, model, number, change):
    """What a statement says of one evaluation, its membership, its values and the columns of its records."""
    name, count = case.evaluations[number - 1]
    stated = Evaluation(opening(name).root, count)
    source, indices, used = change(number, name, stated.indices(case.seed, number), model)
    membership, columns = Membership.open(opening(source), indices, prefix(number))
    inputs, labels = network_inputs(opening(source).root.schema, columns, prefix(number))
    found = evaluation.run(network, used, inputs, labels, Place(evaluation=number))
    return replace(stated, total_loss=found.total_loss, correct=found.correct), membership, found, columns


def exact_sums(identity: Identity, reader: ColumnReader) -> np.ndarray:
    """What an identity says is 0, as Python ints."""
    digits = low_sums(identity, reader, len(identity.intervals()[0]))
    return sum(digit.astype(object) << 16 * i for i, digit in enumerate(digits))


def broken_identities(found: Cheat) -> list[str]:
    """The identities of blocks and rounded sums that are false over the integers, whatever the carries; of sums modulo 2^64."""
    reader = ColumnReader(found.columns)
    gadgets = [part for part in found.relation.components if isinstance(part, Gadgets)]
    identities = [identity for part in gadgets for block in part.blocks for identity in block.identities]
    broken = [identity.name for identity in identities if exact_sums(identity, reader).any()]
    for part in found.relation.components:
        if isinstance(part, RoundedSum):
            exact = joined(sums_of_products(part, reader, 4)) + (np.int64(1) << np.int64(part.shift - 1))
            remainder = join(part.remainder.format, part.remainder.limbs(found.columns))
            output = joined(reader.tables(part.output)) << np.int64(part.shift)
            broken += [part.name] * bool((exact - remainder - output).any())
    return broken


def joined(digits: list[np.ndarray]) -> np.ndarray:
    """sum_d digits_d 2^(16 d) modulo 2^64."""
    return sum(digit << np.int64(16 * d) for d, digit in enumerate(digits))


def rejection(proof: bytes, **options) -> ProofRejected:
    """The error that the verifier raises."""
    try:
        verify_certificate(proof, allow_plain=True, **options)
    except ProofRejected as error:
        assert options or not BOTH_VERIFIERS or second(proof) in (error.reason, MALFORMED), second(proof)
        return error
    raise AssertionError("the proof was accepted")
