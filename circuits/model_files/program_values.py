"""The values of an exported program's parameters, buffers and constants: where they are, and what the file must agree on."""

from __future__ import annotations

import io
import re
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.model_files.archive import Archive, open_archive
from zkds.circuits.model_files.checkpoint import read_object
from zkds.circuits.model_files.stored_tensors import Budget, Storage, StoredTensor, sharing
from zkds.circuits.model_files.strict_json import boolean, fields, mapping, read_json, text
from zkds.circuits.model_files.tensor_meta import (
    ELEMENT_BYTES,
    ELEMENT_TYPES,
    STRIDED,
    Meta,
    as_numbers,
    parameter_name,
    read_meta,
)

WEIGHTS = "data/weights/"
CONSTANTS = "data/constants/"


def check_plain(archive: Archive, name: str) -> None:
    """That a file of torch.save within the program, which torch unpickles, holds tensors and containers only."""
    data = archive.read(name)
    if data:
        try:
            with open_archive(io.BytesIO(data)) as inner:
                read_object(inner)
        except ValueError as error:
            raise ValueError(f"{name}: {error}; torch would unpickle it") from None


class _Payload(NamedTuple):
    """Where a tensor's values are: a member's name, whether they are a parameter's, what they look like."""

    path: str
    is_parameter: bool
    meta: Meta


def _read_config(archive: Archive, name: str) -> dict[str, _Payload]:
    """name of a tensor -> where it is. Tensors in one member must be of one type: torch takes the type of the first for all."""
    config = fields(read_json(archive.read(name), name), name, "config")["config"]
    payloads = {}
    folder = name.rpartition("/")[0]
    for tensor, value in mapping(config, name).items():
        where = f"{name}: {parameter_name(tensor, name)}"
        entry = fields(value, where, "path_name is_param use_pickle tensor_meta")
        path = text(entry["path_name"], where)
        if not re.fullmatch(r"(weight|tensor)_\d{1,6}", path):
            raise ValueError(f"{where}: expected a plain tensor, in a member such as weight_0")
        if boolean(entry["use_pickle"], where):
            raise ValueError(f"{where}: expected a plain tensor; torch would unpickle it")
        meta = read_meta(entry["tensor_meta"], where)
        payloads[tensor] = _Payload(f"{folder}/{path}", boolean(entry["is_param"], where), meta)
    types: dict[str, int] = {}
    for tensor, payload in payloads.items():
        if types.setdefault(payload.path, payload.meta.dtype) != payload.meta.dtype:
            raise ValueError(f"{name}: {tensor}: expected the type of the other tensors in its member")
    for tensor, payload in payloads.items():
        _check_payload(archive, tensor, payload)
    known = {name, *(payload.path for payload in payloads.values())}
    unknown = [member for member in archive.names if member.startswith(f"{folder}/") and member not in known]
    if unknown:
        raise ValueError(f"{unknown[0]}: expected a tensor in it, {name} names none")
    return payloads


def _check_payload(archive: Archive, name: str, payload: _Payload) -> None:
    """That its member holds whole elements, and all of the tensor. torch reads an empty member as zeros."""
    meta = payload.meta
    if meta.dtype not in ELEMENT_BYTES or meta.layout != STRIDED:
        raise ValueError(f"{name}: expected a plain tensor of numbers")
    shape, strides, (offset,) = (as_numbers(name, sizes) for sizes in (meta.sizes, meta.strides, (meta.offset,)))
    end = offset + 1 + sum((size - 1) * step for size, step in zip(shape, strides, strict=True)) if 0 not in shape else 0
    count, rest = divmod(archive.size(payload.path), ELEMENT_BYTES[meta.dtype])
    if rest or end > count:
        raise ValueError(f"{name}: expected whole elements, {end} or more, in {payload.path}")


def check_constants(archive: Archive, names: list[str]) -> None:
    """That the archive has the constants of these names, and holds nothing that torch would unpickle with them."""
    if f"{CONSTANTS}model.pt" in archive:
        check_plain(archive, f"{CONSTANTS}model.pt")
    else:
        _require_all(names, _read_config(archive, f"{CONSTANTS}model_constants_config.json"), CONSTANTS)


def _require_all(names: list[str], payloads: Mapping[str, _Payload], folder: str) -> None:
    for name in names:
        if name not in payloads:
            raise ValueError(f"{folder}: expected {name}, an input of the graph")


class Values:
    """The values of parameters and buffers, each read once, when it is asked for; they share one budget of elements.

    What the file says of them here must agree with what it says in the graph.

    shared   names of those that have an element in common with another one
    """

    def __init__(
        self, archive: Archive, parameters: Mapping[str, Meta], buffers: Mapping[str, Meta], constants: Mapping[str, Meta]
    ) -> None:
        self._metas = {**parameters, **buffers, **constants}
        in_one_file = f"{WEIGHTS}model.pt" in archive
        if in_one_file and f"{WEIGHTS}model_weights_config.json" in archive:
            raise ValueError(f"expected weights in {WEIGHTS}model.pt or beside it, got both")
        locate = _tensors_of_one_file if in_one_file else _tensors_of_members
        budget = Budget()
        self._tensors = locate(archive, WEIGHTS, {**parameters, **buffers}, parameters, budget)
        if constants:
            locate = _tensors_of_one_file if f"{CONSTANTS}model.pt" in archive else _tensors_of_members
            self._tensors |= locate(archive, CONSTANTS, constants, {}, budget)
        for name, tensor in self._tensors.items():
            if name not in constants:  # a constant that nothing reads may be expanded, as masks are
                _require_distinct(name, tensor)
        self.shared = sharing(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one of them, which isn't read for it. Raises ValueError if it isn't of numbers."""
        return as_numbers(name, self._metas[name].sizes)

    def read(self, name: str) -> NDArray[np.float64]:
        """The values of one of them. Raises ValueError if they aren't floats, share elements or exceed the budget."""
        if name not in self._tensors:
            raise ValueError(f"{name}: expected a plain tensor of floats of 16, 32 or 64 bits")
        _require_distinct(name, self._tensors[name])
        return self._tensors.pop(name).read()


def _tensors_of_members(
    archive: Archive, folder: str, metas: Mapping[str, Meta], parameters: Container[str], budget: Budget
) -> dict[str, StoredTensor]:
    """Those of floats, of torch 2.9 and later."""
    config = f"{folder}model_{'weights' if folder == WEIGHTS else 'constants'}_config.json"
    payloads = _read_config(archive, config)
    _require_all(list(metas), payloads, folder)
    storages, tensors = dict[str, Storage](), dict[str, StoredTensor]()
    for name, meta in metas.items():
        path, is_parameter, found = payloads[name]
        if is_parameter != (name in parameters) or _stored(found) != _stored(meta):
            raise ValueError(f"{name}: the graph and {config} say different things of it")
        if meta.dtype in ELEMENT_TYPES:
            if path not in storages:
                storages[path] = Storage.of_member(archive, path, ELEMENT_TYPES[meta.dtype], budget)
            strides, (start,) = (as_numbers(name, sizes) for sizes in (meta.strides, (found.offset,)))
            tensors[name] = StoredTensor(storages[path], start, as_numbers(name, meta.sizes), strides)
    return tensors


def _tensors_of_one_file(
    archive: Archive, folder: str, metas: Mapping[str, Meta], parameters: Container[str], budget: Budget
) -> dict[str, StoredTensor]:
    """Likewise, of torch 2.8."""
    with open_archive(io.BytesIO(archive.read(f"{folder}model.pt"))) as inner:
        found = read_object(inner)
    if not isinstance(found, dict) or any(name not in found for name in metas):
        raise ValueError(f"{folder}model.pt: expected the parameters and buffers of the graph")
    tensors = {}
    for name, meta in metas.items():
        tensor = found[name]
        if not isinstance(tensor, StoredTensor) or (tensor.shape, tensor.stride) != (meta.sizes, meta.strides):
            raise ValueError(f"{name}: the graph and {folder}model.pt say different things of it")
        if meta.dtype in ELEMENT_TYPES:
            if tensor.storage.element != ELEMENT_TYPES[meta.dtype]:
                raise ValueError(f"{name}: expected the type that the graph says")
            tensors[name] = tensor
    return tensors


def _stored(meta: Meta) -> tuple[Any, ...]:
    """What must be the same in the graph and beside the weights: all but the place in a storage that others share."""
    return meta.dtype, meta.sizes, meta.strides, meta.requires_grad, meta.device, meta.layout


def _require_distinct(name: str, tensor: StoredTensor) -> None:
    """Raises ValueError if one element is in two places of the tensor, as in one that was expanded."""
    reach = 0
    for step, size in sorted((step, size) for step, size in zip(tensor.stride, tensor.shape, strict=True) if size > 1):
        if step <= reach:
            raise ValueError(f"{name}: expected every element once, got one in several places")
        reach += (size - 1) * step
