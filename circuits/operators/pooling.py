"""Windows of size x size entries of the last two axes: entries repeated, added up, put in order; the same of weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.integers.limbs import I64
from zkds.native import field
from zkds.tensors.axes import Axis, VectorAxis


def pooled_shape(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The last two axes divided by `size`. Raises ValueError unless they are multiples."""
    if shape[-2] % size or shape[-1] % size:
        raise ValueError(f"shape: expected multiples of {size} in the last two axes, got {shape}")
    return (*shape[:-2], shape[-2] // size, shape[-1] // size)


def repeated_shape(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    return (*shape[:-2], shape[-2] * size, shape[-1] * size)


def repeat_entries(values: I64, size: int) -> I64:
    """Every entry repeated over its window of size x size."""
    return values if size == 1 else values.repeat(size, axis=-2).repeat(size, axis=-1)


def window_sums(values: I64, size: int) -> I64:
    """The sum over every window."""
    sums: I64 = as_windows(values, size).sum(axis=(-3, -1))
    return sums


def as_windows(values: I64, size: int) -> I64:
    """(.., H, W) -> (.., H / size, size, W / size, size)"""
    *lead, height, width = values.shape
    return values.reshape(*lead, height // size, size, width // size, size)


def pooled_axes(axes: Sequence[Axis], size: int) -> list[Axis]:
    """The weights on the values, of weights on their repetition: sums over windows in the last two axes."""
    if size == 1:
        return list(axes)
    return [*axes[:-2], *(window_suffixes(axis, size)[0] for axis in axes[-2:])]


def repeated_axes(axes: Sequence[Axis], size: int) -> list[Axis]:
    """The weights on the values, of weights on their windows' sums."""
    return [*axes[:-2], *(VectorAxis(axis.vector().repeat(size, axis=0)) for axis in axes[-2:])]


def window_suffixes(axis: Axis, size: int) -> list[VectorAxis]:
    """Entry i < size: for every window of an axis, the sum of the weights of its places i, i + 1, ..., size - 1."""
    places = axis.vector().reshape(-1, size, 2)
    sums = [np.ascontiguousarray(places[:, size - 1])]
    for place in reversed(range(size - 1)):
        sums.append(field.add(sums[-1], np.ascontiguousarray(places[:, place])))
    return [VectorAxis(total) for total in reversed(sums)]
