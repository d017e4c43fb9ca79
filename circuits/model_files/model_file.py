"""Model files: programs of torch.export.save; checkpoints of networks of the zoo, written by torch.save or safetensors.

A file is recognised by its content. All are read as data; no code of theirs is run, and torch isn't needed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.model_files.archive import Archive, open_archive, open_regular
from zkds.circuits.model_files.checkpoint import ForeignObject, read_object
from zkds.circuits.model_files.file_kinds import HEAD_BYTES
from zkds.circuits.model_files.foreign_models import foreign, foreign_archive, foreign_entry, whole_module
from zkds.circuits.model_files.program import is_program, read_program
from zkds.circuits.model_files.safetensors import is_safetensors, read_safetensors
from zkds.circuits.model_files.state_dict import choose_architecture, find_state, from_state_dict
from zkds.circuits.model_files.torch_import import LOG_SOFTMAX, named_from_program
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network
from zkds.circuits.networks.grid import require_none_vanishing, vanishing_weights
from zkds.circuits.networks.weights import QuantisedWeights, quantise, require_finite

if TYPE_CHECKING:
    from zkds.circuits.networks.torch_module import NetworkModule

EXPECTED = "expected a file of torch.save, torch.export.save or safetensors"


class FileKind(enum.Enum):
    """What kind of file a model was read from."""

    CHECKPOINT = "checkpoint"
    SAFETENSORS = "safetensors"
    PROGRAM = "program"


class Model(NamedTuple):
    """A network with its parameters and constants.

    parameters     name -> float64 array, of the names and shapes, and in the order, of `network.tensors`
    architecture   the name in the zoo, or None for an exported program
    shapes         name -> shape of the parameter in the file, where it is another
    file           where it was read, for messages
    dropped        the operator at the end of the program that the network does without
    kind           of the file
    names          of a program: parameter or constant -> its name in the file
    """

    network: Network
    parameters: Mapping[str, NDArray[np.float64]]
    architecture: str | None = None
    shapes: Mapping[str, tuple[int, ...]] = {}
    file: str = "model"
    dropped: str | None = None
    kind: FileKind = FileKind.CHECKPOINT
    names: Mapping[str, str] = {}

    def __repr__(self) -> str:
        """Without the parameters, which may be secret."""
        return f"Model(network={self.network!r}, architecture={self.architecture!r})"

    def module(self) -> NetworkModule:
        """The torch module with these parameters, float64. Needs torch."""
        from zkds.circuits.networks.torch_module import NetworkModule, load_parameters

        module = NetworkModule(self.network).double().eval()
        load_parameters(module, self.parameters)
        return module

    def quantised(self, *, allow_vanishing: bool = True) -> QuantisedWeights:
        """The integers of a proof. Raises ValueError, naming file, parameter and index, for weights out of their range;
        VanishingWeights for some that are not 0 and become 0, unless that is allowed.
        """
        try:
            weights = quantise(self.network, self.parameters, self.shapes)
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from None
        require_none_vanishing(vanishing_weights(self.network, self.parameters, weights), self.file, allowed=allow_vanishing)
        return weights


def load_model(path: str | Path, *, arch: str | None = None, strip_prefix: str | None = None) -> Model:
    """Reads a model file.

    arch           the name in the zoo, for a checkpoint that doesn't say it
    strip_prefix   what stands in front of the network's names in a checkpoint; module., _orig_mod., model. and net. are known

    Raises OSError if it can't be opened; ValueError, naming the file, if it is damaged, of another kind, of an unknown
    architecture, with an unsupported operator, or with a weight that isn't finite.
    """
    try:
        with open_regular(path) as stream:
            return read_model(stream, arch, strip_prefix)._replace(file=str(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_model(stream: IO[bytes], arch: str | None = None, strip_prefix: str | None = None) -> Model:
    """Likewise of a stream at its beginning. Raises ValueError, without a file's name."""
    model = _read(stream, arch, strip_prefix)
    for name, values in model.parameters.items():
        require_finite(name, values.reshape(model.shapes.get(name, values.shape)))
    return model


def _read(stream: IO[bytes], arch: str | None, strip_prefix: str | None) -> Model:
    start = stream.read(HEAD_BYTES)
    if is_safetensors(start):
        return _from_checkpoint(read_safetensors(stream), arch, strip_prefix)._replace(kind=FileKind.SAFETENSORS)
    if not start.startswith(b"PK\3\4"):
        raise ValueError(f"{EXPECTED}, got {foreign(start) or 'another one or a damaged one'}")
    try:
        with open_archive(stream) as archive:
            return _from_archive(archive, arch, strip_prefix)
    except ValueError:
        other = foreign_archive(stream)
        if other is not None:
            raise ValueError(f"{EXPECTED}, got {other}") from None
        raise


def _from_archive(archive: Archive, arch: str | None, strip_prefix: str | None) -> Model:
    if not is_program(archive):
        try:
            document = read_object(archive)
        except ForeignObject as error:
            raise ValueError(whole_module(error.name) if error.whole else foreign_entry(error.name)) from None
        return _from_checkpoint(document, arch, strip_prefix)
    if arch is not None or strip_prefix is not None:
        raise ValueError("arch and strip_prefix are for checkpoints; an exported program says itself what it computes")
    program = read_program(archive)
    network, parameters, names = named_from_program(program)
    dropped = next((operation.operator for operation in program.operations if operation.operator == LOG_SOFTMAX), None)
    shapes = {name: program.values.shape(names[name]) for name in parameters}
    return Model(network, parameters, shapes=shapes, dropped=dropped, kind=FileKind.PROGRAM, names=names)


def _from_checkpoint(document: Any, arch: str | None, strip_prefix: str | None) -> Model:
    state, named = find_state(document)
    architecture = choose_architecture(state, named, arch, strip_prefix)
    network = zoo.network(architecture)
    stored = from_state_dict(network, state, strip_prefix)
    parameters = {name: stored[name].reshape(shape) for name, shape in network.tensors}
    return Model(network, parameters, architecture, {name: values.shape for name, values in stored.items()})
