"""The Python interface: what the commands do. docs/python.md has an example of every function, which a test runs.

    from zkds.api import commit, prove, verify

    commit((x, y), "data.root")                               # arrays or tensors: x uint8 (N, C, H, W), y labels; or a path
    proof = prove(model, "data.root")                         # a torch module, or the path of a model file
    verdict = verify(proof, tau="2.5", commitment="data.root")    # raises ProofRejected, which says why

Numbers such as tau are decimal strings (or ints, Decimals, Fractions): a float is not exact. Nothing here loads torch but what
needs it: torch modules as models, and `audit` with its classes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from zkds.circuits.arithmetic.fixed_point import Configuration, exact_rational
from zkds.circuits.certificate.beacon import seed_of_beacon
from zkds.circuits.certificate.estimate import Estimate, estimate_certificate
from zkds.circuits.certificate.policy import CalibrationRates, Clause, EvaluationPolicy, Policy
from zkds.circuits.certificate.policy_file import PolicyError, policy_text, read_policy
from zkds.circuits.certificate.resources import MemoryRejected
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.certificate.summary import supposed_statement
from zkds.circuits.certificate.threshold import Threshold, read_threshold
from zkds.circuits.certificate.verifying import (
    EvaluationLimits,
    Pins,
    PolicyRejected,
    Status,
    ThresholdRejected,
    Verdict,
    missing_for_strict,
    read_statement,
    verify_certificate,
)
from zkds.circuits.certificate.work import WorkRejected
from zkds.circuits.model_files.file_kinds import DATA_ROOT, PROOF, kind_of, kind_of_file
from zkds.circuits.model_files.model_file import Model, load_model, read_model
from zkds.circuits.models.model_root import is_model_root, read_model_root
from zkds.circuits.networks.graph import Network
from zkds.circuits.networks.grid import LayerDifference, VanishingWeights, layer_differences, vanishing_warnings
from zkds.circuits.networks.weights import model_digest
from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.opening import Opening
from zkds.dataset.records import Records, from_arrays, from_folder, from_npz, from_torch
from zkds.dataset.root import DataRoot
from zkds.dataset.sampling import SEED_BYTES
from zkds.dataset.schema import Normalization
from zkds.dataset.sources import Pairs, as_normalization, as_records
from zkds.errors import (
    CommitmentRejected,
    ConstraintRejected,
    FileError,
    GrindingRejected,
    InsufficientSecurity,
    MalformedProof,
    NotAProof,
    PinMismatch,
    ProofRejected,
    StatementMismatch,
    ZkdsError,
)
from zkds.output import write_result
from zkds.statement import require_proof

if TYPE_CHECKING:
    import torch

    from zkds.sharpness import SharpnessConfig, SharpnessResult

Number = str | int | Decimal | Fraction
Evaluated = tuple["DataRoot | str | Path", int]
MAX_PROOF_BYTES = 1 << 26

LOADED_WITH_TORCH = ("SharpnessConfig", "SharpnessResult")  # public too, but not in __all__: * must work without torch

__all__ = [
    "CalibrationRates",
    "Clause",
    "CommitmentRejected",
    "Configuration",
    "ConstraintRejected",
    "DataRoot",
    "Estimate",
    "EvaluationPolicy",
    "FileError",
    "GrindingRejected",
    "InsufficientSecurity",
    "LayerDifference",
    "MalformedProof",
    "MemoryRejected",
    "Model",
    "Normalization",
    "NotAProof",
    "PinMismatch",
    "Policy",
    "PolicyError",
    "PolicyRejected",
    "ProofRejected",
    "Records",
    "SharpnessStatement",
    "StatementMismatch",
    "Status",
    "Threshold",
    "ThresholdRejected",
    "VanishingWeights",
    "Verdict",
    "WorkRejected",
    "ZkdsError",
    "audit",
    "beacon_seed",
    "commit",
    "commit_model",
    "estimate",
    "from_arrays",
    "from_folder",
    "from_npz",
    "from_torch",
    "load_model",
    "policy_text",
    "prove",
    "quantise",
    "read_policy",
    "read_threshold",
    "verify",
]


def __getattr__(name: str) -> Any:
    """What `audit` takes and returns, loaded with torch when somebody asks for it."""
    if name not in LOADED_WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from zkds import sharpness

    return getattr(sharpness, name)


def commit(
    data: Any,
    root_path: str | Path,
    *,
    normalization: Pairs | None = None,
    classes: int | None = None,
    fraction_bits: int | None = None,
    arrays: tuple[str, str] | None = None,
    overwrite: bool = False,
) -> DataRoot:
    """Write data.root (public) and, beside it, data.open (private).

    data            (x, y), numpy arrays or torch tensors: x uint8 or k/255 images (N, [C,] H, W), or features (N, d); y (N,)
                    integers; or the path of a .npz file or of a folder CLASS/IMAGE; or a map-style torch data set of (x, label)
    normalization   (mean, deviation), such as ("0.1307", "0.3081"), one decimal or a list with one for each channel: the
                    network sees (x/255 - mean) / deviation
    classes         number of classes; default: as many as there are labels, which must then be all of 0, ..., K - 1
    fraction_bits   of features that are no bytes: they are rounded to multiples of 2^-fraction_bits (default 12)
    arrays          names of x and y in a .npz file (default "x", "y")
    overwrite       replace existing files; without its data.open nothing can be proved about the old data.root any more

    Raises TypeError for other data, ValueError or OSError naming what cannot be committed or written.
    """
    records = as_records(
        data, arrays=arrays, classes=classes, fraction_bits=fraction_bits, normalization=as_normalization(normalization)
    )
    return commit_dataset(records, root_path, overwrite=overwrite)


def commit_model(
    model: torch.nn.Module | Model | str | Path,
    root_path: str | Path,
    *,
    record_shape: tuple[int, ...] | None = None,
    overwrite: bool = False,
    allow_vanishing_weights: bool = False,
) -> bytes:
    """Write model.root (public) and, beside it, model.open (private), for proofs that hide the weights; the root's 32 bytes.

    model           a torch module, the path of a model file, or what `load_model` made of one
    record_shape    (C, H, W) or (d,) of the records that a torch module takes; a file says it itself
    overwrite       replace existing files; without its model.open nothing can be proved about the old model.root any more
    allow_vanishing_weights   commit to a model of which some weights are 0 in proofs and not in the file: see `quantise`

    Raises ValueError or OSError naming what cannot be committed or written; VanishingWeights.
    """
    from zkds.circuits.models.model_root import write_model
    from zkds.circuits.models.private_model import OpenedModel

    found = as_model(model, _given_shape(model, record_shape))
    opened = OpenedModel.commit(found.network, found.quantised(allow_vanishing=allow_vanishing_weights))
    return write_model(opened, Path(root_path), overwrite=overwrite)


def quantise(
    model: torch.nn.Module | Model | str | Path, output: str | Path, *, record_shape: tuple[int, ...] | None = None
) -> tuple[LayerDifference, ...]:
    """Write the model that a proof is about: the same one with its weights rounded to the grid of proofs.

    model           a torch module, the path of a model file, or what `load_model` made of one
    output          the file to write, of the kind of the model's: a checkpoint in float64, safetensors likewise, or an exported
                    program in its own type, which takes torch and **runs code of the file**. A module is exported
    record_shape    (C, H, W) or (d,) of the records that a torch module takes; a file says it itself

    A proof about either states the same digest. Returns how the model differs from what is written, layer by layer. Where
    nobody else may read the model's file, nobody else may read the new one. Raises ValueError or OSError naming what cannot be
    written.
    """
    from zkds.circuits.model_files.certified import certified_file, export_file

    if isinstance(model, Model | str | Path):
        found, program = as_model(model, ()), None
        private = os.path.isfile(found.file) and not os.stat(found.file).st_mode & 0o077
    else:
        program, private = export_file(model, _given_shape(model, record_shape)), False
        found = read_model(program)
    write_result(output, certified_file(found, program), private=private)
    return layer_differences(found.network, found.parameters, found.quantised())


def beacon_seed(beacon: bytes, model: torch.nn.Module | Model | str | Path, commitment: DataRoot | str | Path) -> bytes:
    """The seed, 32 bytes, that a public random value gives for one model and one data set: another one for any other pair.

    beacon       the value that a beacon published, 16 to 1024 bytes, after data root and model were published
    model        a torch module, what `load_model` read, or the path of a model file or of a private model's model.root
    commitment   the data root, or the path of data.root

    docs/threat-model.md says what the order of publications must be. Raises ValueError or OSError naming what cannot be used.
    """
    root = data_root(commitment)
    named, private = name_of_model(model, root.schema.shape)
    return seed_of_beacon(beacon, root, named, private_model=private)


def audit(
    model: torch.nn.Module | Model | str | Path,
    data: Any,
    config: SharpnessConfig | None = None,
    seed: bytes | None = None,
    *,
    normalization: Pairs | None = None,
    device: torch.device | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SharpnessResult:
    """Directional sharpness in floating point, for those who hold the data. Needs torch, which the proofs don't.

    model           any torch module, what `load_model` made of a model file, or the path of one of your own: reading an
                    exported program runs code of its file
    data            as in `commit`
    config          a SharpnessConfig: steps, batch_size, probes, ...; None: the defaults, those of a proof
    seed            32 bytes; with a proof's seed and data, the batches and, but for roundings, the value are the proof's
    normalization   as in `commit`
    device          where torch computes; default: where the module's parameters are
    progress        called with (steps done, steps in all)

    Raises ValueError naming the cause: too few records, labels without an output, a loss that is not finite.
    """
    from zkds.sharpness import directional_sharpness
    from zkds.sharpness.model_file import load_module

    module: torch.nn.Module
    if isinstance(model, Model):
        module = model.module()
    else:
        module = load_module(model) if isinstance(model, str | Path) else model
    records = as_records(data, normalization=as_normalization(normalization))
    return directional_sharpness(module, records, config, seed, device=device, progress=progress)


def estimate(
    model: torch.nn.Module | Model | Network | str | Path,
    commitment: DataRoot | str | Path,
    configuration: Configuration | None = None,
    *,
    seed: bytes | None = None,
    hide_value: bool = False,
    private_model: bool = False,
    evaluations: Sequence[Evaluated] = (),
    probes: int = 1,
) -> Estimate:
    """What a proof would be and take on this machine: cells, lookups, bytes, memory, seconds. Needs no data.open.

    model           as in `prove`; only its network counts
    commitment      the data root, or the path of data.root
    seed            of the batches, on which the length of a Merkle proof depends; None: another one
    hide_value, private_model   whether the proof hides the value, or the weights; a model.root is private anyway
    evaluations, probes     as in `prove`

    Takes about a second to run the kernels. Raises ValueError or a ZkdsError for what cannot be proved.
    """
    from zkds.circuits.certificate.calibration import calibrate
    from zkds.circuits.models.model_root import read_opening

    root = data_root(commitment)
    if isinstance(model, str | Path) and is_model_root(Path(model)):
        network, private_model = read_opening(Path(model)).network, True
    else:
        network = model if isinstance(model, Network) else as_model(model, root.schema.shape).network
    statement = supposed_statement(
        network,
        configuration if configuration is not None else Configuration.of(),
        root,
        seed=seed if seed is not None else bytes(SEED_BYTES),
        private_model=private_model,
        hidden_value=hide_value,
        evaluations=_evaluated(evaluations),
        probes=probes,
    )
    return estimate_certificate(statement, calibrate())


def prove(
    model: torch.nn.Module | Model | str | Path,
    commitment: str | Path,
    configuration: Configuration | None = None,
    *,
    seed: bytes | None = None,
    probes: int = 1,
    evaluations: Sequence[tuple[str | Path, int]] = (),
    tau: Number | None = None,
    max_work: float = 1,
    allow_vanishing_weights: bool = False,
    progress: Callable[[str], None] | None = None,
) -> bytes:
    """A proof of a model's directional sharpness on a committed data set; data.open lies beside `commitment`, data.root.

    model           a torch module (exported as torch.export does, in evaluation mode), the path of a model file, or what
                    `load_model` made of one (`load_model("m.pt", arch="lenet5")` for a bare state_dict). The path of a
                    model.root, beside which model.open lies: the weights stay hidden
    configuration   `Configuration.of(steps=5, batch_size=8, rho="0.05", ...)`; None: the defaults
    seed            32 bytes that somebody else drew after model and data root were published; None: drawn here
    probes          how many, 1 to 64, each with batches of its own; the value is the mean of theirs
    evaluations     (data root, n) of data sets on n records of which, drawn by the seed, the model's loss and accuracy are
                    proved as well; of each path the opening lies beside it. `commitment` may be among them
    tau             hide the values and prove that their mean is at most tau
    max_work        what a verifier may have to do, in units of 20 seconds on one core and 1 GiB
    allow_vanishing_weights   prove something about a model of which some weights are 0 in the proof and not in the file
    progress        called with the name of each stage

    Raises ValueError or a ZkdsError that says what is wrong with the model, the data or the numbers; VanishingWeights;
    MemoryRejected, before anything is computed, if the proof takes more memory than this machine has.
    """
    from zkds.circuits.certificate.proving import prove_certificate  # a verifier needs no prover
    from zkds.circuits.models.model_root import read_opening

    root = data_root(commitment)
    private_model = read_opening(Path(model)) if isinstance(model, str | Path) and is_model_root(Path(model)) else None
    if private_model is None:
        found = as_model(model, root.schema.shape)
        network, weights = found.network, found.quantised(allow_vanishing=allow_vanishing_weights)
    else:
        network, weights = private_model.network, private_model.weights
    with open_data_sets(commitment, root, evaluations) as (opening, evaluated):
        data, _ = prove_certificate(
            network,
            weights,
            opening,
            configuration if configuration is not None else Configuration.of(),
            seed if seed is not None else os.urandom(SEED_BYTES),
            seed_given=seed is not None,
            probes=probes,
            evaluations=evaluated,
            tau=_limit("tau", tau),
            private_model=private_model,
            max_work=max_work,
            progress=progress,
        )
    return data


def verify(
    proof: bytes | str | Path,
    *,
    model: torch.nn.Module | Model | str | Path | None = None,
    commitment: DataRoot | str | Path | None = None,
    seed: bytes | None = None,
    configuration: Configuration | None = None,
    tau: Number | Threshold | Path | None = None,
    max_loss: Number | None = None,
    min_accuracy: Number | None = None,
    min_records: int | None = None,
    min_labels: int | None = None,
    max_margin: Number | None = None,
    evaluations: Sequence[Evaluated] | None = None,
    evaluated_max_loss: Mapping[Any, Number] | None = None,
    evaluated_min_accuracy: Mapping[Any, Number] | None = None,
    max_gap: Number | None = None,
    probes: int | None = None,
    allow_saturated: bool = False,
    allow_surplus_classes: bool = False,
    allow_vanishing_weights: bool = False,
    policy: Policy | str | Path | None = None,
    strict: bool = False,
    allow_plain: bool = False,
    max_work: float = 1,
) -> Verdict:
    """Check a proof, and everything that is given beside it; what is not given, the prover chose.

    proof          its bytes, or the path of a file
    model          a torch module, what `load_model` read, or the path of a model file or of a private model's model.root
    commitment     the data root, or the path of data.root
    tau            the largest value to accept; as a Threshold, or the Path of a file of `zkds calibrate -o`, it has settings of
                   its own, and `verdict.warnings` tells where the proof's are others
    max_loss, min_accuracy   the largest mean loss in nats and the least accuracy, in [0, 1], to accept
    min_records    the smallest data set to accept
    min_labels, max_margin   the fewest distinct labels of the probe's records, and the largest margin of one of them in nats,
                   its largest logit less the second largest, to accept
    evaluations    (data root, or its path, and n) of every evaluation, in order: the proof must have these and no others
    evaluated_max_loss, evaluated_min_accuracy   the same limits for every evaluation of a data set, by its root; the proof must
                   have one of each data set that is named
    max_gap        the most by which the mean loss of an evaluation of another data set may exceed that of one of the probe's;
                   only with commitment
    probes         how many the proof must have; with `strict` 1 if it is not given
    allow_saturated         accept batches whose loss is near 0, and ratios below eps: rejected by default
    allow_surplus_classes   accept a network with more outputs than the data set has classes: likewise
    allow_vanishing_weights   accept a model of which some weights are 0 in the proof and not in the file: likewise
    policy         what `read_policy` read, or the path of a policy.toml, which asks for all of this but model, commitment and
                   seed: nothing else is given beside it; `verdict.clauses`, or those of a PolicyRejected, are what came of it
    strict         insist on model, commitment, seed, configuration, tau, max_loss and min_accuracy: a verdict is ACCEPTED then
    allow_plain    accept a proof that hides nothing as well
    max_work       the most work to do, in units of 20 seconds on one core and 1 GiB; more is refused before it is begun

    `verdict.status` is ACCEPTED only if everything was given; else `verdict.chosen_by_prover` and `verdict.without_limit` say
    what was not. `verdict.value`, `.loss` and `.accuracy` are exact; `verdict.statement` is all that the proof says,
    `verdict.differences` how the given model differs from the one on the grid that the proof is about.
    Raises ProofRejected with the reason, NotAProof for what is no proof at all; ValueError for arguments that cannot be used,
    and for what `strict` misses.
    """
    threshold = read_threshold(tau) if isinstance(tau, Path) else tau
    asked = read_policy(policy) if isinstance(policy, str | Path) else policy
    if asked is not None and allow_vanishing_weights:
        raise ValueError("policy: allow_vanishing_weights is for the policy to say, not beside it")
    allow_vanishing_weights |= asked is not None and asked.allow_vanishing_weights
    root = None if commitment is None else data_root(commitment)
    pins = Pins(
        root=root,
        seed=seed,
        configuration=configuration,
        tau=threshold.tau if isinstance(threshold, Threshold) else _limit("tau", threshold),
        max_loss=_limit("max_loss", max_loss),
        min_accuracy=_limit("min_accuracy", min_accuracy),
        min_records=min_records,
        min_labels=min_labels,
        max_margin=_limit("max_margin", max_margin),
        evaluations=None if evaluations is None else tuple(_evaluated(evaluations)),
        limits=_evaluation_limits(evaluated_max_loss or {}, evaluated_min_accuracy or {}),
        max_gap=_limit("max_gap", max_gap),
        probes=probes,
        allow_saturated=allow_saturated,
        allow_surplus_classes=allow_surplus_classes,
        policy=asked,
    )
    if not isinstance(proof, bytes | str | Path):
        raise TypeError(f"proof: expected bytes or a path, got {type(proof).__name__}")
    data = proof if isinstance(proof, bytes) else read_proof(proof)
    differences = None
    if model is not None:
        found = _pinned_model(model, (read_statement(data)[1].root if root is None else root).schema.shape)
        if isinstance(found, Model):
            weights = found.quantised(allow_vanishing=allow_vanishing_weights)
            differences = layer_differences(found.network, found.parameters, weights)
            pins = replace(pins, model=(found.network, weights))
        else:
            pins = replace(pins, model=found)
    missing = ["commitment" if name == "root" else name for name in missing_for_strict(pins)]
    if strict and missing:
        raise ValueError(f"strict: expected everything to be given, {', '.join(missing)} as well")
    verdict = verify_certificate(data, pins, strict=strict, allow_plain=allow_plain, max_work=max_work)
    warnings = [*verdict.warnings, *vanishing_warnings(differences or ())]
    if isinstance(threshold, Threshold):
        warnings += threshold.differences(verdict.statement.configuration)
    return replace(verdict, differences=differences, warnings=tuple(warnings))


def read_proof(path: str | Path) -> bytes:
    """The bytes of a proof file. Raises OSError, or NotAProof for a file that is none by its size or its first bytes."""
    with open(path, "rb") as file:
        return read_proof_from(file, str(path))


def read_proof_from(stream: BinaryIO, name: str) -> bytes:
    """All bytes of a stream, if they begin as a proof does. Raises OSError or NotAProof; `name` is for messages."""
    data = stream.read(MAX_PROOF_BYTES + 1)
    if len(data) > MAX_PROOF_BYTES:
        raise NotAProof(f"{name}: not a proof file (it has more than {MAX_PROOF_BYTES} bytes)")
    try:
        require_proof(data)
    except NotAProof as error:
        kind = kind_of(data)
        raise NotAProof(f"{name}: not a proof file ({error if kind in (None, PROOF) else f'it is {kind}'})") from None
    return data


def data_root(commitment: DataRoot | str | Path) -> DataRoot:
    """A data root, or that of a file. Raises OSError, or FileError for anything but a data.root."""
    if isinstance(commitment, DataRoot):
        return commitment
    try:
        return DataRoot.read(commitment)
    except FileError:
        kind = kind_of_file(commitment)
        if kind in (None, DATA_ROOT):
            raise
        raise FileError(f"{commitment}: expected a data.root, this is {kind}") from None


@contextlib.contextmanager
def open_data_sets(
    commitment: str | Path, root: DataRoot, evaluations: Sequence[tuple[str | Path, int]]
) -> Iterator[tuple[Opening, list[tuple[Opening, int]]]]:
    """The opening of `commitment`, and those of evaluations with the number of records of each: every file is opened once."""
    with contextlib.ExitStack() as stack:
        opened: dict[Path, Opening] = {}

        def of(path: str | Path, expected: DataRoot) -> Opening:
            own = Path(opening_path(path)).resolve()
            if own not in opened:
                opened[own] = stack.enter_context(Opening(own, expected))
            if opened[own].root != expected:
                raise FileError(f"{own}: belongs to another data.root than {path}")
            return opened[own]

        yield of(commitment, root), [(of(path, data_root(path)), count) for path, count in evaluations]


def as_model(model: torch.nn.Module | Model | str | Path, record_shape: tuple[int, ...]) -> Model:
    """A torch module, for records of this shape, or a model file, as a network with its parameters.

    Raises OSError, or ValueError for what is no model, or none that can be proved.
    """
    if isinstance(model, str | Path):
        return load_model(model)
    if isinstance(model, Model):
        return model
    if not hasattr(model, "named_parameters"):
        raise TypeError(f"model: expected a torch module, a path or what load_model returns, got {type(model).__name__}")
    from zkds.circuits.model_files.torch_import import from_module  # needs torch

    network, parameters = from_module(model, record_shape)
    return Model(network, parameters, shapes={name: tuple(value.shape) for name, value in model.named_parameters()})


def name_of_model(model: torch.nn.Module | Model | str | Path, record_shape: tuple[int, ...]) -> tuple[bytes, bool]:
    """The 32 bytes that a statement names a model by, its digest or a private model's root, and whether it is private."""
    pinned = _pinned_model(model, record_shape)
    return (pinned, True) if isinstance(pinned, bytes) else (model_digest(pinned.network, pinned.quantised()), False)


def _pinned_model(model: torch.nn.Module | Model | str | Path, record_shape: tuple[int, ...]) -> Model | bytes:
    """What a verifier pins of a model: a public one, or the bytes of a model.root."""
    if isinstance(model, str | Path) and is_model_root(Path(model)):
        return read_model_root(Path(model))
    return as_model(model, record_shape)


def _given_shape(model: object, record_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Of the records that a torch module takes. Raises ValueError if nobody says it."""
    if not isinstance(model, Model | str | Path) and record_shape is None:
        raise ValueError("record_shape: expected the shape of a record, such as (1, 28, 28), with a torch module")
    return record_shape or ()


def _evaluated(evaluations: Sequence[Evaluated]) -> list[tuple[DataRoot, int]]:
    return [(data_root(commitment), count) for commitment, count in evaluations]


def _evaluation_limits(
    max_loss: Mapping[Any, Number], min_accuracy: Mapping[DataRoot | str | Path, Number]
) -> tuple[EvaluationLimits, ...]:
    losses = [EvaluationLimits(data_root(root), max_loss=_limit("max_loss", most)) for root, most in max_loss.items()]
    accuracies = [
        EvaluationLimits(data_root(root), min_accuracy=_limit("min_accuracy", least)) for root, least in min_accuracy.items()
    ]
    return (*losses, *accuracies)


def _limit(name: str, value: Number | None) -> Fraction | None:
    return None if value is None else exact_rational(name, value)
