"""From the state_dict of a checkpoint to the parameters and constants of a network of the zoo.

Training tools put a prefix in front of the names: DataParallel and DDP `module.`, torch.compile `_orig_mod.`, a LightningModule
the name of its attribute, `model.` or `net.`. Those are known; another one has to be named.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.model_files.stored_tensors import StoredTensor, sharing
from zkds.circuits.model_files.strict_json import shown
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network

KEYS = ("state_dict", "model_state_dict")  # where a checkpoint has it; the others hold no weights of the network
WRAPPERS = ("module.", "_orig_mod.")  # of all names
ATTRIBUTES = ("model.", "net.")  # of those that belong to the network
COUNTER = ".num_batches_tracked"
MAX_WRAPPERS = 4
MAX_NAMES = 1 << 14
MAX_NAME_LETTERS = 400
MAX_SHOWN = 6
MAX_HINTS = 10

State = Mapping[str, StoredTensor]


def find_state(document: Any) -> tuple[State, str | None]:
    """(the state_dict of a checkpoint, the architecture that it names or None); a bare state_dict is one, too.

    Raises ValueError if there is none, or there are two.
    """
    if not isinstance(document, dict):
        raise ValueError(f"checkpoint: expected {EXPECTED}, got {type(document).__name__.strip('_')}")
    keys = [key for key in KEYS if key in document]
    if len(keys) > 1:
        raise ValueError(f"checkpoint: expected either {' or '.join(keys)}, got both")
    if keys:
        state, architecture = document[keys[0]], document.get("arch")
    elif any(isinstance(value, StoredTensor) for value in document.values()):
        state, architecture = document, None
    else:
        raise ValueError(f"checkpoint: expected {EXPECTED}, got {_some(document) or 'an empty one'}")
    if not isinstance(state, dict) or any(type(name) is not str for name in state):
        raise ValueError("state_dict: expected a dictionary from names, which are strings, to tensors")
    if len(state) > MAX_NAMES or any(len(name) > MAX_NAME_LETTERS for name in state):
        raise ValueError(f"state_dict: expected at most {MAX_NAMES} names of at most {MAX_NAME_LETTERS} letters")
    if architecture is not None and not isinstance(architecture, str):
        raise ValueError("arch: expected the name of an architecture")
    return state, architecture


EXPECTED = 'a state_dict, or a dictionary with one as its "state_dict"'


def choose_architecture(state: State, named: str | None, arch: str | None, strip_prefix: str | None) -> str:
    """The architecture that the file names, or the caller: both may do so if they agree, or if the file's is none of the zoo.

    Raises ValueError, with those that fit, if neither names one of the zoo, or they disagree.
    """
    if arch is not None:
        zoo.network(arch)
        if zoo.is_known(named) and named != arch:
            raise ValueError(f"arch: the file says {named}, and the caller {arch}")
        return arch
    if zoo.is_known(named):
        return str(named)
    found = "no architecture" if named is None else f"an architecture {shown(named)}, which isn't of the zoo,"
    fitting = [name for name in zoo.ARCHITECTURES if _fits(zoo.network(name), state, strip_prefix)]
    if fitting:
        raise ValueError(
            f"checkpoint: names {found} and its tensors fit {', '.join(fitting)}: say which with --arch NAME (arch= in Python)"
        )
    raise ValueError(
        f"checkpoint: names {found} and its tensors fit none of the zoo ({', '.join(zoo.ARCHITECTURES)}). Export the network: "
        'torch.export.save(torch.export.export(model.eval(), (example,)), "m.pt2")'
    )


def from_state_dict(network: Network, state: State, strip_prefix: str | None = None) -> dict[str, NDArray[np.float64]]:
    """The parameters and constants, by the network's names, in the shapes that they have in the file: a weight may have the
    shape (out, C*H*W) of a linear layer instead of the network's.

    Raises ValueError for missing and unknown names, other shapes, numbers that aren't floats, parameters that share memory, and
    ambiguous prefixes.
    """
    names = _names(network, state, strip_prefix)
    for name, shape in network.tensors:
        tensor = state[names[name]]
        if not isinstance(tensor, StoredTensor):
            raise ValueError(f"{name}: expected a tensor of floats")
        if not _is_shape(tensor.shape, shape):
            raise ValueError(f"{name}: expected shape {shape}, got {tensor.shape}")
    tied = sharing({name: state[names[name]] for name, _ in network.parameters})
    if tied:
        raise ValueError(
            f"state_dict: {_some(tied)}: one tensor under several names; layers that share parameters aren't supported: train "
            "them apart, from copies ({name: value.clone() for name, value in state_dict.items()})"
        )
    parameters = {}
    for name, _ in network.tensors:
        values = state[names[name]].read()
        if values.dtype != np.float64:
            raise ValueError(f"{name}: expected a tensor of floats")
        parameters[name] = values
    return parameters


def _names(network: Network, state: State, strip_prefix: str | None) -> dict[str, str]:
    """name in the network -> name in the file"""
    expected = {name for name, _ in network.tensors}
    state = _without_counters(state)
    found = {name: name for name in state}
    if strip_prefix is not None:
        found = _with_prefix(found, strip_prefix)
    elif set(found) != expected:
        found = _without_wrappers(found)
    if set(found) == expected:
        return found
    if strip_prefix is None:
        parts = {prefix: _without_wrappers(_with_prefix(found, prefix)) for prefix in ATTRIBUTES}
        fitting = [prefix for prefix in ATTRIBUTES if set(parts[prefix]) == expected]
        if len(fitting) == 1:
            return parts[fitting[0]]
        if fitting:
            raise ValueError(f"state_dict: the names fit with and without {' and '.join(fitting)}: say which, {STRIP}")
        hint = _hint(state, expected)
    else:
        hint = ""
    missing, unknown = _some(expected - set(found)), _some(set(found) - expected)
    raise ValueError(f"state_dict: missing {missing or 'no name'}, unknown {unknown or 'no name'}{hint}")


STRIP = "with --strip-prefix TEXT (strip_prefix= in Python)"


def _without_counters(state: State) -> State:
    """Without the numbers of batches that batch norms have seen in training, which mean nothing in evaluation mode."""
    beside = {name: f"{name.removesuffix(COUNTER)}.running_mean" for name in state if name.endswith(COUNTER)}
    return {name: tensor for name, tensor in state.items() if name not in beside or beside[name] not in state}


def _with_prefix(names: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): full for name, full in names.items() if name.startswith(prefix)}


def _without_wrappers(names: dict[str, str]) -> dict[str, str]:
    for _ in range(MAX_WRAPPERS):
        prefix = next((each for each in WRAPPERS if names and all(name.startswith(each) for name in names)), "")
        names = _with_prefix(names, prefix)
    return names


def _hint(state: State, expected: set[str]) -> str:
    """The prefixes without which some of the names are the expected ones."""
    last, found = min(expected), {name: name for name in state}
    prefixes = [name.removesuffix(last) for name in state if name.endswith(last) and name != last][:MAX_HINTS]
    fitting = [prefix for prefix in prefixes if set(_with_prefix(found, prefix)) == expected]
    return f"; they fit without {' or '.join(map(shown, fitting))}: say so {STRIP}" if fitting else ""


def _fits(network: Network, state: State, strip_prefix: str | None) -> bool:
    try:
        names = _names(network, state, strip_prefix)
    except ValueError:
        return False
    tensors = ((state[names[name]], shape) for name, shape in network.tensors)
    return all(isinstance(tensor, StoredTensor) and _is_shape(tensor.shape, shape) for tensor, shape in tensors)


def _is_shape(found: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether it is the network's, or, of a weight, that of a linear layer."""
    return found in (shape, (shape[0], math.prod(shape[1:])))


def _some(names: Iterable[Any]) -> str:
    """The first few, each short."""
    texts = sorted(shown(str(name)) for name in names)
    more = f" and {len(texts) - MAX_SHOWN} more" if len(texts) > MAX_SHOWN else ""
    return ", ".join(texts[:MAX_SHOWN]) + more
