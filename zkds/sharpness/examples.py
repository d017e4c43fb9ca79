"""One view of every kind of data set: `count` pairs (input as the network sees it, label), fetched by index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zkds.dataset.records import Records
from zkds.dataset.schema import NUMBER_BITS, Schema
from zkds.native import U8

Batch = tuple[Tensor, Tensor]  # inputs (k, ...), labels (k,) int64


class Examples(ABC):
    """`count` examples, at least one, of `classes` classes: those of the schema, or the largest label plus one; None where only
    reading all of the data would tell."""

    def __init__(self, count: int, classes: int | None = None) -> None:
        if count < 1:
            raise ValueError("dataset: expected at least one record, got none")
        self.count = count
        self.classes = classes

    @abstractmethod
    def fetch(self, indices: Sequence[int]) -> Batch:
        """The examples of these indices, in this order."""

    def chunks(self, size: int) -> Iterator[tuple[range, Batch]]:
        """All examples in order, `size` at a time."""
        for start in range(0, self.count, size):
            indices = range(start, min(start + size, self.count))
            yield indices, self.fetch(indices)


def as_examples(dataset: Any) -> Examples:
    """The examples of zkds records, of a pair (x, y) of arrays or tensors, or of a map-style torch data set.

    x and the items of a torch data set are taken as they are: floats (cast to the network's dtype) or the integers that an
    embedding takes; bytes are refused, since nothing says how the network sees them. Records follow their schema, exactly.
    Raises ValueError or TypeError naming what is wrong.
    """
    if isinstance(dataset, Examples):
        return dataset
    if isinstance(dataset, Records):
        return _RecordExamples(dataset)
    if isinstance(dataset, torch.utils.data.TensorDataset) and len(dataset.tensors) == 2:
        return _TensorExamples(*dataset.tensors)
    if isinstance(dataset, tuple | list) and len(dataset) == 2 and all(hasattr(part, "shape") for part in dataset):
        return _TensorExamples(*map(torch.as_tensor, dataset))
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        kind = type(dataset).__name__
        raise TypeError(f"dataset: expected zkds records, a pair (x, y) or a torch data set with a length, got {kind}")
    return _DatasetExamples(dataset)


class _TensorExamples(Examples):
    def __init__(self, x: Tensor, y: Tensor) -> None:
        if not x.ndim or y.ndim != 1 or len(x) != len(y):
            shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
            raise ValueError(f"dataset: expected x (N, ...) and y (N,), one label for each record, got shapes {shapes}")
        labels = _labels(y.detach())
        super().__init__(len(x), int(labels.max()) + 1 if len(labels) else None)
        _check_input(x)
        self._x, self._y = x.detach(), labels

    def fetch(self, indices: Sequence[int]) -> Batch:
        if isinstance(indices, range):
            return self._x[indices.start : indices.stop], self._y[indices.start : indices.stop]
        chosen = torch.tensor(indices, device=self._x.device)
        return self._x[chosen], self._y[chosen.to(self._y.device)]


class _DatasetExamples(Examples):
    def __init__(self, dataset: Any) -> None:
        super().__init__(len(dataset))
        self._dataset = dataset

    def fetch(self, indices: Sequence[int]) -> Batch:
        items = [self._item(index) for index in indices]
        shapes = {tuple(x.shape) for x, _ in items}
        if len(shapes) > 1:
            raise ValueError(f"dataset: expected inputs of one shape, got {' and '.join(map(str, sorted(shapes)))}")
        return torch.stack([x for x, _ in items]), _labels(torch.stack([y for _, y in items]))

    def _item(self, index: int) -> Batch:
        item = self._dataset[index]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise ValueError(f"item {index}: expected a pair (x, label), got {type(item).__name__}")
        try:
            x, y = (torch.as_tensor(part).detach() for part in item)
        except (TypeError, ValueError, RuntimeError):
            kinds = " and ".join(type(part).__name__ for part in item)
            raise ValueError(f"item {index}: expected a tensor and an integer label, got {kinds}") from None
        if y.numel() != 1:
            raise ValueError(f"item {index}: expected one label, got shape {tuple(y.shape)}")
        _check_input(x)
        return x, y.reshape(())


class _RecordExamples(Examples):
    def __init__(self, records: Records) -> None:
        super().__init__(records.count, records.schema.classes)
        self._records = records
        self._decode = _decoder(records.schema)

    def fetch(self, indices: Sequence[int]) -> Batch:
        if isinstance(indices, range):
            packed = self._records.read(indices.start, indices.stop)
        else:
            packed = np.concatenate([self._records.read(index, index + 1) for index in indices])
        return self._decode(packed)


def _decoder(schema: Schema) -> Callable[[U8], Batch]:
    """(k, record_bytes) uint8 -> inputs (k, *shape) float64 and labels: the numbers of `Schema.number`, all at once."""
    channels = (-1,) + (1,) * (len(schema.shape) - 1)
    maps = [schema.affine(channel) for channel in range(schema.shape[0])]
    slope, constant = (
        np.array(part, dtype=np.float64).reshape(channels) / 2.0**NUMBER_BITS for part in zip(*maps, strict=True)
    )
    label_start = schema.record_bytes - schema.label_bytes

    def decode(packed: U8) -> Batch:
        stored = np.ascontiguousarray(packed[:, :label_start]).view(f"<u{schema.element_bytes}")
        numbers: NDArray[np.float64] = slope * stored.reshape(-1, *schema.shape) + constant
        labels = np.ascontiguousarray(packed[:, label_start:]).view(f"<u{schema.label_bytes}").reshape(-1)
        return torch.from_numpy(numbers), torch.from_numpy(labels.astype(np.int64))

    return decode


def _check_input(x: Tensor) -> None:
    if x.dtype in (torch.uint8, torch.bool):
        raise ValueError(f"dataset: expected inputs as the network sees them, got {x.dtype}; zkds records scale bytes")


def _labels(y: Tensor) -> Tensor:
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise ValueError(f"labels: expected integers, got {y.dtype}")
    return y.to(torch.int64)
