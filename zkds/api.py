"""The Python interface: what the commands `zkds commit`, `zkds prove` and `zkds verify` do.

    from zkds.api import commit, prove, verify

    commit((x, y), "data.root")                               # arrays or tensors: x uint8 (N, C, H, W), y labels; or a path
    proof = prove(model, "data.root")                         # a torch module, or the path of a model file
    verdict = verify(proof, tau="2.5", commitment="data.root")    # raises ProofRejected, which says why

Numbers such as tau are decimal strings (or ints, Fractions): a float is not exact.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkds.circuits.certificate import Pins, Verdict, verify_certificate
from zkds.circuits.fixed_point import Configuration
from zkds.circuits.graph import Network
from zkds.circuits.model_file import Model, load_model
from zkds.circuits.model_root import is_model_root, read_model_root
from zkds.circuits.weights import QuantisedWeights, quantise
from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.opening import Opening
from zkds.dataset.root import DataRoot
from zkds.dataset.sampling import SEED_BYTES
from zkds.dataset.sources import Pairs, as_normalization, as_records

if TYPE_CHECKING:
    import torch

Decimal = str | int | Fraction

__all__ = ["Model", "commit", "load_model", "prove", "verify"]


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


def prove(
    model: torch.nn.Module | Model | str | Path,
    commitment: str | Path,
    configuration: Configuration | None = None,
    *,
    seed: bytes | None = None,
    tau: Decimal | None = None,
    progress: Callable[[str], None] | None = None,
) -> bytes:
    """A proof of a model's directional sharpness on a committed data set; data.open lies beside `commitment`, data.root.

    model           a torch module (exported as torch.export does, in evaluation mode), the path of a model file, or what
                    `load_model` made of one (`load_model("m.pt", arch="lenet5")` for a bare state_dict)
    configuration   `Configuration.of(steps=5, batch_size=8, rho="0.05", ...)`; None: the defaults
    seed            32 bytes that somebody else drew after model and data root were published; None: drawn here
    tau             hide the value and prove that it is at most tau
    progress        called with the name of each stage

    Raises ValueError or a ZkdsError that says what is wrong with the model, the data or the numbers.
    """
    from zkds.circuits.proving import prove_certificate  # a verifier needs no prover

    root = DataRoot.read(commitment)
    network, weights = _network(model, root)
    with Opening(opening_path(commitment), root) as opening:
        data, _ = prove_certificate(
            network,
            weights,
            opening,
            configuration if configuration is not None else Configuration.of(),
            seed if seed is not None else os.urandom(SEED_BYTES),
            seed_given=seed is not None,
            tau=None if tau is None else _exact("tau", tau),
            progress=progress,
        )
    return data


def verify(
    proof: bytes | str | Path,
    *,
    model: Model | str | Path | None = None,
    commitment: str | Path | None = None,
    seed: bytes | None = None,
    configuration: Configuration | None = None,
    tau: Decimal | None = None,
    max_loss: Decimal | None = None,
    min_accuracy: Decimal | None = None,
    min_records: int | None = None,
    allow_saturated: bool = False,
    allow_surplus_classes: bool = False,
    strict: bool = False,
) -> Verdict:
    """Check a proof, and everything that is given beside it. Raises ProofRejected with the reason.

    model        the path of a model file or of a private model's model.root, or what `load_model` made of a model file
    commitment   the path of data.root
    min_records  the smallest data set to accept
    allow_saturated         accept batches whose loss is near 0, and ratios below eps: rejected by default
    allow_surplus_classes   accept a network with more outputs than the data set has classes: likewise
    strict       reject unless model, commitment, seed, configuration and tau are all given
    `verdict.statement` is what the proof says, `verdict.not_pinned` what the prover chose.
    """
    data = proof if isinstance(proof, bytes) else Path(proof).read_bytes()
    pins = Pins(
        model=None if model is None else pinned_model(model),
        root=None if commitment is None else DataRoot.read(commitment),
        seed=seed,
        configuration=configuration,
        tau=None if tau is None else _exact("tau", tau),
        max_loss=None if max_loss is None else _exact("max_loss", max_loss),
        min_accuracy=None if min_accuracy is None else _exact("min_accuracy", min_accuracy),
        min_records=min_records,
        allow_saturated=allow_saturated,
        allow_surplus_classes=allow_surplus_classes,
    )
    return verify_certificate(data, pins, strict=strict)


def pinned_model(model: Model | str | Path) -> tuple[Network, QuantisedWeights] | bytes:
    """What a verifier pins of a model: network and quantised weights of a model file, or the bytes of a model.root."""
    if isinstance(model, Model):
        return model.network, model.quantised()
    if is_model_root(Path(model)):
        return read_model_root(Path(model))
    return pinned_model(load_model(model))


def _network(model: torch.nn.Module | Model | str | Path, root: DataRoot) -> tuple[Network, QuantisedWeights]:
    if isinstance(model, str | Path):
        model = load_model(model)
    if isinstance(model, Model):
        return model.network, model.quantised()
    from zkds.circuits.torch_import import from_module

    network, parameters = from_module(model, root.schema.shape)
    return network, quantise(network, parameters, {name: tuple(value.shape) for name, value in model.named_parameters()})


def _exact(name: str, value: Decimal) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, str | int | Fraction):
        raise TypeError(f"{name}: expected a decimal string, an int or a Fraction, got {type(value).__name__}")
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{name}: expected a decimal number, got {value!r}") from None
