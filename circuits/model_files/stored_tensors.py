"""Tensors as files hold them: a storage, that is numbers of one type side by side, and where in it a tensor's entries lie.

Nothing is read before a tensor is asked for, and all tensors of a file share one budget: some bytes of a file may say that they
are a tensor of any size, since a stride of 0 repeats an entry without end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.model_files.archive import Archive
from zkds.circuits.operators.operator import MAX_ELEMENTS

BFLOAT16: Final = "bfloat16"  # numpy has no such type
MAX_DIMENSIONS = 32  # of numpy's arrays
MAX_NUMBER = 1 << 40  # of an offset, a length, a stride


class Budget:
    """How many entries the tensors that are read from a file may have together."""

    def __init__(self, elements: int = MAX_ELEMENTS) -> None:
        self._elements = self._left = elements

    def take(self, elements: int) -> None:
        """Raises ValueError if so many are not left."""
        if elements > self._left:
            raise ValueError(f"expected tensors of at most {self._elements} elements in a file, all together")
        self._left -= elements


@dataclass(frozen=True, eq=False)
class Storage:
    """Numbers of one type in a file.

    element   their type as numpy names it, or BFLOAT16
    count     how many there are
    load      reads their bytes
    """

    element: str
    count: int
    load: Callable[[], bytes]
    budget: Budget

    @classmethod
    def of_member(cls, archive: Archive, name: str, element: str, budget: Budget) -> Storage:
        """All of a member of an archive. Raises ValueError if its size is no multiple of a number's."""
        size, each = archive.size(name), width(element)
        if size % each:
            raise ValueError(f"{name}: expected a multiple of {each} bytes, got {size}")
        return cls(element, size // each, lambda: archive.read(name), budget)

    @cached_property
    def numbers(self) -> NDArray[Any]:
        """As they are stored; bfloat16 as its 16 bits."""
        return np.frombuffer(self.load(), _stored_type(self.element))


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor of `shape` that lies in a storage from the number `offset` on, with a step of `stride` numbers along each axis.

    Raises ValueError if it reaches beyond the storage.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        if type(self.shape) is not tuple or type(self.stride) is not tuple or len(self.shape) > MAX_DIMENSIONS:
            raise ValueError(f"tensor: expected a shape and a stride of at most {MAX_DIMENSIONS} dimensions")
        numbers = (self.offset, *self.shape, *self.stride)
        if len(self.shape) != len(self.stride) or any(
            type(number) is not int or not 0 <= number <= MAX_NUMBER for number in numbers
        ):
            raise ValueError(f"tensor: expected an offset, a shape and a stride of numbers from 0 to {MAX_NUMBER}")
        if 0 in self.shape:
            return
        last = self.offset + sum((length - 1) * step for length, step in zip(self.shape, self.stride, strict=True))
        if last >= self.storage.count:
            raise ValueError(
                f"tensor: expected it within the {self.storage.count} elements of its storage, got shape {self.shape}"
            )

    def read(self) -> NDArray[Any]:
        """The entries as float64, which holds every float exactly; integers and booleans stay what they are.

        Raises ValueError if the file's budget doesn't reach.
        """
        self.storage.budget.take(math.prod(self.shape))
        if 0 in self.shape:
            return _decoded(np.empty(self.shape, _stored_type(self.storage.element)), self.storage.element)
        numbers = self.storage.numbers[self.offset :]
        steps = tuple(step * numbers.itemsize for step in self.stride)
        return _decoded(np.lib.stride_tricks.as_strided(numbers, self.shape, steps, writeable=False), self.storage.element)


def sharing(tensors: Mapping[str, StoredTensor]) -> set[str]:
    """The names of those that have an element in common with another one."""
    spans: dict[int, list[tuple[int, int, str]]] = {}
    for name, tensor in tensors.items():
        reach = sum((size - 1) * step for step, size in zip(tensor.stride, tensor.shape, strict=True) if size > 1)
        spans.setdefault(id(tensor.storage), []).append((tensor.offset, tensor.offset + reach + 1, name))
    found: set[str] = set()
    for of_one_storage in spans.values():
        of_one_storage.sort()
        for (_, end, name), (start, _, other) in itertools.pairwise(of_one_storage):
            if start < end:
                found |= {name, other}
    return found


def width(element: str) -> int:
    """Bytes of a stored number."""
    return _stored_type(element).itemsize


def _stored_type(element: str) -> np.dtype[Any]:
    return np.dtype("<u2" if element == BFLOAT16 else element)


def _decoded(numbers: NDArray[Any], element: str) -> NDArray[Any]:
    """A new array."""
    if element == BFLOAT16:
        return (numbers.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    with np.errstate(invalid="ignore"):  # a signalling NaN, which is refused later
        return numbers.astype(np.float64 if numbers.dtype.kind == "f" else numbers.dtype, order="C")
