"""Make a certificate: run the probe in fixed point on the committed records, then prove all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from zkds import lookup, prover
from zkds.circuits import evaluation, probe
from zkds.circuits.arithmetic.fixed_point import Configuration, Place
from zkds.circuits.certificate.evaluations import Evaluation, prefix
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.resources import is_small, require_memory
from zkds.circuits.certificate.statement import SharpnessStatement, probe_prefix, require_fit
from zkds.circuits.certificate.verifying import hidden
from zkds.circuits.certificate.work import Work
from zkds.circuits.evaluation import Evaluated
from zkds.circuits.metric.results import Results, results_of
from zkds.circuits.models.private_model import OpenedModel, PrivateModel
from zkds.circuits.networks.graph import Network
from zkds.circuits.networks.weights import model_digest
from zkds.circuits.probe_records import network_inputs
from zkds.circuits.trajectory import Trajectory
from zkds.dataset.membership import Membership
from zkds.dataset.opening import Opening
from zkds.integers.limbs import I64
from zkds.native import U32
from zkds.statement import Statement

PROBE = "probe"
Progress = Callable[[str], None]


def prove_certificate(
    network: Network,
    weights: Mapping[str, I64],
    opening: Opening,
    configuration: Configuration,
    seed: bytes,
    *,
    seed_given: bool,
    probes: int = 1,
    evaluations: Sequence[tuple[Opening, int]] = (),
    tau: Fraction | None = None,
    private_model: OpenedModel | None = None,
    zero_knowledge: bool = True,
    max_work: float = 1,
    progress: Progress | None = None,
) -> tuple[bytes, SharpnessStatement]:
    """The proof's bytes and what they say. A new proof, with fresh randomness, at every call.

    weights         w_0, quantised (zkds/circuits/networks/weights.py): int64, 40 fractional bits
    opening         the opened data.open
    seed            32 bytes that decide the batches; seed_given: whether somebody else drew them
    evaluations     opened data sets, and on how many records of each the network is evaluated as well
    probes          how many, each with batches of its own; the value is their mean
    tau             hide the values and prove that their mean is at most tau; None: show them
    private_model   prove it of the weights under this model's root, which stay hidden; None: of a public model
    zero_knowledge  False: a plain proof, which hides nothing
    max_work        what a verifier may have to do, in units of 20 seconds on one core and 1 GiB
    progress        called with the name of each stage as it begins

    Raises StatementError if network, configuration and data do not fit together or the value is above tau, ValueError for more
    records of a data set than it has, WorkRejected if the proof takes more work to verify, MemoryRejected if the machine can't
    hold it, Overflow if a value leaves its range, OpeningError if an opening is damaged.
    """
    report = progress if progress is not None else lambda stage: None
    report(PROBE)
    require_fit(network, configuration, opening.root, probes)
    model = model_digest(network, weights) if private_model is None else private_model.root()
    supposed = SharpnessStatement(
        network,
        configuration,
        opening.root,
        seed,
        seed_given,
        model,
        private_model is not None,
        Results(0, 0, 0, 0, 0, 0, values=(0,) * probes),  # no size depends on them
        tuple(Evaluation(opened.root, samples) for opened, samples in evaluations),
        probes,
    )
    Work.of(supposed).require(max_work)
    if not is_small(supposed):  # else nobody waits long for a refusal
        _require_resources(supposed, max_work)
    probed = [_probed(network, weights, opening, supposed, number) for number in range(1, probes + 1)]
    evaluated = [_evaluated(network, weights, opened, supposed, number) for number, (opened, _) in enumerate(evaluations, 1)]
    statement = replace(
        supposed,
        results=results_of(*(found.trajectory for found in probed)),
        evaluations=tuple(found.evaluation for found in evaluated),
    )
    if tau is not None:
        statement = hidden(statement, tau)
    opened = None if private_model is None else PrivateModel(network, statement.model, private_model)
    relation = DirectionalSharpness(
        statement,
        probed=[found.membership for found in probed],
        evaluated=[found.membership for found in evaluated],
        private_model=opened,
    )
    Work.of(statement).with_columns(relation.columns).require(max_work)
    proved = Statement(relation)
    vector = relation.vector_of(
        proved.layout,
        [(found.trajectory, found.records) for found in probed],
        [(found.values, found.records) for found in evaluated],
    )
    del probed, evaluated
    lookup.multiplicities(proved.lookups, proved.layout, vector)
    data = prover.prove_vector(proved, vector, zero_knowledge=zero_knowledge, progress=report)
    return data, statement


@dataclass(frozen=True, repr=False)
class _Probed:
    """One probe, and what proves it."""

    membership: Membership
    trajectory: Trajectory
    records: Mapping[str, U32]


def _probed(
    network: Network, weights: Mapping[str, I64], opening: Opening, statement: SharpnessStatement, number: int
) -> _Probed:
    prefix = probe_prefix(number)
    membership, records = Membership.open(opening, statement.probe_indices[number - 1], prefix)
    inputs, labels = network_inputs(opening.root.schema, records, prefix)
    return _Probed(membership, probe.run(network, weights, inputs, labels, statement.configuration), records)


@dataclass(frozen=True, repr=False)
class _Evaluated:
    """One evaluation with its results, and what proves it."""

    evaluation: Evaluation
    membership: Membership
    values: Evaluated
    records: Mapping[str, U32]


def _evaluated(
    network: Network, weights: Mapping[str, I64], opening: Opening, statement: SharpnessStatement, number: int
) -> _Evaluated:
    supposed, indices = statement.evaluations[number - 1], statement.evaluated_indices[number - 1]
    membership, records = Membership.open(opening, indices, prefix(number))
    inputs, labels = network_inputs(opening.root.schema, records, prefix(number))
    found = evaluation.run(network, weights, inputs, labels, Place(evaluation=number))
    return _Evaluated(replace(supposed, total_loss=found.total_loss, correct=found.correct), membership, found, records)


def _require_resources(statement: SharpnessStatement, max_work: float) -> None:
    """Raise WorkRejected or MemoryRejected for a proof that a verifier would not read, or that this machine can't hold."""
    relation = DirectionalSharpness(statement)
    Work.of(statement).with_columns(relation.columns).require(max_work)
    require_memory(relation)
