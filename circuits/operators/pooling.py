"""Windows of h x w entries of the last two axes: entries repeated, added up, put in order; the same of weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.integers.limbs import I64
from zkds.native import field
from zkds.tensors.axes import Axis, VectorAxis

Window = tuple[int, int]  # (rows, columns)


def pooled_shape(shape: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """The last two axes divided by the window's. Raises ValueError unless they are multiples."""
    rows, columns = window
    if shape[-2] % rows or shape[-1] % columns:
        raise ValueError(f"shape: expected multiples of {rows} and {columns} in the last two axes, got {shape}")
    return (*shape[:-2], shape[-2] // rows, shape[-1] // columns)


def repeated_shape(shape: tuple[int, ...], window: Window) -> tuple[int, ...]:
    return (*shape[:-2], shape[-2] * window[0], shape[-1] * window[1])


def repeat_entries(values: I64, window: Window) -> I64:
    """Every entry repeated over its window."""
    for axis, size in zip((-2, -1), window, strict=True):
        if size > 1:
            values = values.repeat(size, axis=axis)
    return values


def window_sums(values: I64, window: Window) -> I64:
    """The sum over every window."""
    sums: I64 = as_windows(values, window).sum(axis=(-3, -1))
    return sums


def as_windows(values: I64, window: Window) -> I64:
    """(.., H, W) -> (.., H / h, h, W / w, w)"""
    *lead, height, width = values.shape
    rows, columns = window
    return values.reshape(*lead, height // rows, rows, width // columns, columns)


def pooled_axes(axes: Sequence[Axis], window: Window) -> list[Axis]:
    """The weights on the values, of weights on their repetition: sums over windows in the last two axes."""
    last = zip(axes[-2:], window, strict=True)
    return [*axes[:-2], *(axis if window == (1, 1) else window_suffixes(axis, size)[0] for axis, size in last)]


def repeated_axes(axes: Sequence[Axis], window: Window) -> list[Axis]:
    """The weights on the values, of weights on their windows' sums."""
    last = zip(axes[-2:], window, strict=True)
    return [*axes[:-2], *(VectorAxis(axis.vector().repeat(size, axis=0)) for axis, size in last)]


def window_suffixes(axis: Axis, size: int) -> list[VectorAxis]:
    """Entry i < size: for every window of an axis, the sum of the weights of its places i, i + 1, ..., size - 1."""
    places = axis.vector().reshape(-1, size, 2)
    sums = [np.ascontiguousarray(places[:, size - 1])]
    for place in reversed(range(size - 1)):
        sums.append(field.add(sums[-1], np.ascontiguousarray(places[:, place])))
    return [VectorAxis(total) for total in reversed(sums)]
