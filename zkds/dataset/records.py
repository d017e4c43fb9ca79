"""Readers: arrays, `.npz` files, folders of images and torch data sets become byte strings under a schema.

No message shows what is in a record; at most its number or the name of its file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.dataset.images import SUFFIXES, ImageRefused, pixels, read_image
from zkds.dataset.npz import read_arrays
from zkds.dataset.schema import INT16_OFFSET, MAX_CLASSES, Normalization, Schema
from zkds.native import U8

MAX_RECORDS = 1 << 32
CHANNELS = (1, 3)

AnyArray = NDArray[Any]


class Records(ABC):
    """The records of a data set, as the byte strings that are committed. `count` of them, at least one."""

    def __init__(self, schema: Schema, count: int) -> None:
        if not 1 <= count <= MAX_RECORDS:
            raise ValueError(f"records: expected 1 to {MAX_RECORDS}, got {count}")
        self.schema = schema
        self.count = count

    @abstractmethod
    def read(self, start: int, stop: int) -> U8:
        """Records start, ..., stop - 1: (stop - start, schema.record_bytes) uint8, C-contiguous."""

    def chunks(self, size: int) -> Iterator[U8]:
        for start in range(0, self.count, size):
            yield self.read(start, min(start + size, self.count))


class ArrayRecords(Records):
    """Records in memory: x (N, ...) uint8, or offset-binary uint16 for int16 elements; y (N,) integers."""

    def __init__(self, schema: Schema, x: AnyArray, y: AnyArray) -> None:
        super().__init__(schema, len(x))
        self._x = x.reshape(len(x), -1)
        self._y = y

    def read(self, start: int, stop: int) -> U8:
        return pack_records(self.schema, self._x[start:stop], self._y[start:stop], start)


class IndexedRecords(Records):
    """Records fetched one by one: `fetch(index)` gives (elements of the schema's shape and storage type, label)."""

    def __init__(self, schema: Schema, count: int, fetch: Callable[[int], tuple[AnyArray, int]]) -> None:
        super().__init__(schema, count)
        self._fetch = fetch

    def read(self, start: int, stop: int) -> U8:
        fetched = [self._fetch(index) for index in range(start, stop)]
        x = np.stack([elements.reshape(-1) for elements, _ in fetched])
        return pack_records(self.schema, x, np.array([label for _, label in fetched]), start)


def pack_records(schema: Schema, x: AnyArray, y: AnyArray, first: int = 0) -> U8:
    """(k, elements) stored elements and (k,) labels -> (k, record_bytes) uint8. `first` numbers records in messages."""
    _check_labels(y, schema.classes, first)
    packed = np.empty((len(x), schema.record_bytes), dtype=np.uint8)
    label_start = schema.record_bytes - schema.label_bytes
    packed[:, :label_start] = np.ascontiguousarray(x.astype(f"<u{schema.element_bytes}", copy=False)).view(np.uint8)
    labels = np.ascontiguousarray(y.astype(f"<u{schema.label_bytes}"))
    packed[:, label_start:] = labels.view(np.uint8).reshape(len(x), -1)
    return packed


def _check_labels(y: AnyArray, classes: int, first: int = 0) -> None:
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(f"y: expected one integer label for each record, got shape {y.shape}, dtype {y.dtype}")
    outside = np.flatnonzero((y < 0) | (y >= classes))
    if len(outside):
        raise ValueError(f"y: expected labels from 0 to {classes - 1}, record {first + int(outside[0])} has another")


def _count_classes(y: AnyArray) -> int:
    """K, if the labels are all of 0, ..., K - 1. Others have no number of classes that goes without saying."""
    present = np.unique(y)
    first, last, count = int(present[0]), int(present[-1]), len(present)
    if count >= 2 and first == 0 and last == count - 1:
        return count
    found = f"{count} different ones from {first} to {last}" if count >= 2 else "the same for all records"
    remedies = []
    if first >= 0 and last < MAX_CLASSES:
        classes = max(2, last + 1)
        remedies.append(f"say how many classes there are if this is meant (--classes {classes}, classes={classes})")
    if count >= 2:
        shifted = last - first == count - 1
        remedies.append(f"use y - ({first})" if shifted else "number them by `_, y = numpy.unique(y, return_inverse=True)`")
    raise ValueError(f"y: expected labels 0, ..., K - 1, each at least once, got {found}; {', or '.join(remedies)}")


def _what_instead(y: AnyArray) -> str:
    if y.dtype.kind in "USO":
        return "text or objects; number them, `names, y = numpy.unique(y, return_inverse=True)`"
    return f"dtype {y.dtype}; if they are numbers of classes, y.astype('int64')"


# ---- arrays and .npz -------------------------------------------------------------------------------------------------


def from_arrays(
    x: AnyArray,
    y: AnyArray,
    *,
    classes: int | None = None,
    fraction_bits: int | None = None,
    normalization: Normalization | None = None,
) -> Records:
    """x: images (N, H, W), (N, C, H, W) or (N, H, W, C), or features (N, d); y: (N,) integer labels.

    uint8 is taken as it is; images of floats must be exactly k/255; other features are rounded to multiples of
    2^-fraction_bits (default 12), halves up, and must fit 16 bits then. classes: default K, if the labels are 0, ..., K - 1,
    each at least once; others need it.
    Raises ValueError naming what is wrong.
    """
    if x.ndim not in (2, 3, 4) or not len(x):
        raise ValueError(f"x: expected N >= 1 images (N, [C,] H, W) or features (N, d), got shape {x.shape}")
    if y.ndim != 1 or len(y) != len(x):
        hint = "; y.argmax(axis=1) is what one-hot rows stand for" if y.ndim == 2 and y.shape[1] > 1 else ""
        raise ValueError(f"y: expected shape ({len(x)},), one label for each record, got {y.shape}{hint}")
    if y.dtype.kind not in "iu":
        raise ValueError(f"y: expected integer labels, got {_what_instead(y)}")
    if classes is None:
        classes = _count_classes(y)
    _check_labels(y, classes)
    if x.ndim == 2 and (x.dtype != np.uint8 or fraction_bits is not None):
        bits = 12 if fraction_bits is None else fraction_bits
        schema = Schema("vector", x.shape[1:], "int16", classes, bits, normalization)
        return ArrayRecords(schema, fixed_point(x, bits), y)
    if fraction_bits is not None:
        raise ValueError("fraction_bits: expected only with features (N, d)")
    if x.ndim == 2:
        return ArrayRecords(Schema("vector", x.shape[1:], "uint8", classes, 0, normalization), x, y)
    stored = image_bytes(channels_first(x))
    return ArrayRecords(Schema("image", stored.shape[1:], "uint8", classes, 0, normalization), stored, y)


def channels_first(images: AnyArray) -> AnyArray:
    """(N, H, W), (N, C, H, W) or (N, H, W, C) -> (N, C, H, W). Channels are last where only the last dimension is 1 or 3."""
    if images.ndim == 3:
        return images[:, None]
    if images.shape[1] in CHANNELS:
        return images
    if images.shape[3] in CHANNELS:
        return images.transpose(0, 3, 1, 2)
    raise ValueError(f"x: expected images of 1 or 3 channels, got shape {images.shape}")


def image_bytes(images: AnyArray) -> U8:
    """uint8 as it is; floats must be exactly k/255 in their own precision, as torchvision's ToTensor makes them."""
    if images.dtype == np.uint8:
        return images
    if images.dtype not in (np.float32, np.float64):
        raise ValueError(f"x: expected images of dtype uint8, float32 or float64, got {images.dtype}")
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = np.rint(images * 255)
        exact = (rounded >= 0) & (rounded <= 255) & (rounded.astype(images.dtype) / images.dtype.type(255) == images)
    if not exact.all():
        place, value = _first(images, ~exact)
        what = _not_a_number(value) or "is no number k/255"
        raise ValueError(f"x: {place} {what}: expected images of bytes, or floats k/255; leave normalization to the schema")
    return np.asarray(rounded, dtype=np.uint8)


def fixed_point(features: AnyArray, fraction_bits: int) -> NDArray[np.uint16]:
    """Numbers -> round_half_up(number * 2^fraction_bits) + 2^15, as uint16. Raises ValueError naming one that does not fit."""
    if features.dtype.kind not in "iuf" or features.dtype.itemsize > 8:
        raise ValueError(f"x: expected numbers of at most 64 bits, got dtype {features.dtype}")
    with np.errstate(invalid="ignore", over="ignore"):
        exact = features.astype(np.float64) * 2.0**fraction_bits
        floor = np.floor(exact)
        scaled = floor + (exact - floor >= 0.5)  # exact - floor has no rounding error, exact + 0.5 may have
    inside = (scaled >= -INT16_OFFSET) & (scaled < INT16_OFFSET)  # false for what is not a number, too
    if not inside.all():
        place, value = _first(features, ~inside)
        largest = 2.0 ** (15 - fraction_bits)
        limits = f"[-{largest:g}, {largest:g})"
        outside = f"lies outside {limits}, the range of {fraction_bits} fraction bits; use fewer bits, or scale it"
        raise ValueError(f"x: {place} {_not_a_number(value) or outside}")
    return (scaled + INT16_OFFSET).astype(np.uint16)


def _first(values: AnyArray, wrong: AnyArray) -> tuple[str, Any]:
    """Where the first wrong value is, in words, and the value, which no message may show."""
    record, *place = (int(index) for index in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    where = f"feature {place[0]}" if len(place) == 1 else f"entry {tuple(place)}"
    return f"record {record}, {where}", values[(record, *place)]


def _not_a_number(value: Any) -> str | None:
    if np.isnan(value):
        return "is not a number"
    return "is infinite" if np.isinf(value) else None


def from_npz(
    path: str | Path,
    *,
    arrays: tuple[str, str] = ("x", "y"),
    classes: int | None = None,
    fraction_bits: int | None = None,
    normalization: Normalization | None = None,
) -> Records:
    """The records of a `.npz` file; `arrays` names x and y in it. See `from_arrays`. Pickled objects are refused."""
    x, y = read_arrays(path, arrays)
    try:
        return from_arrays(x, y, classes=classes, fraction_bits=fraction_bits, normalization=normalization)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


# ---- folders of images -----------------------------------------------------------------------------------------------


def from_folder(path: str | Path, *, normalization: Normalization | None = None) -> Records:
    """path/CLASS/IMAGE: labels number the folders in order of their names, records follow folders and file names.

    All images must have one size; which ones are read, and how, says zkds/dataset/images.py. Files that are no images by their
    names are left out. Needs Pillow. Raises ValueError or OSError naming the file.
    """
    files = [(file, label) for label, folder in enumerate(_class_folders(Path(path))) for file in _images_in(folder)]
    shape = read_image(files[0][0]).shape
    classes = files[-1][1] + 1
    schema = Schema("image", shape, "uint8", classes, 0, normalization)

    def fetch(index: int) -> tuple[AnyArray, int]:
        file, label = files[index]
        pixels = read_image(file)
        if pixels.shape != shape:
            channels = "; grey images have 1 channel, others 3" if pixels.shape[0] != shape[0] else ""
            raise ValueError(f"{file}: expected an image of shape {shape} like the first one, got {pixels.shape}{channels}")
        return pixels, label

    return IndexedRecords(schema, len(files), fetch)


def _class_folders(path: Path) -> list[Path]:
    entries = sorted(path.iterdir())
    folders = [entry for entry in entries if entry.is_dir()]
    if len(folders) < 2:
        raise ValueError(f"{path}: expected a folder for each of two or more classes, got {len(folders)}")
    for entry in entries:
        if entry not in folders and entry.suffix.lower() in SUFFIXES:
            raise ValueError(f"{entry}: an image beside the folders of the classes, expected it in one of them")
    return folders


def _images_in(folder: Path) -> list[Path]:
    entries = sorted(folder.iterdir())
    images = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    if not images:
        raise ValueError(f"{folder}: expected images ({' '.join(sorted(SUFFIXES))}), found none")
    inside = [entry for entry in entries if entry.is_dir()]
    if inside:
        raise ValueError(f"{inside[0]}: a folder in the folder of a class, expected images only")
    return images


# ---- torch data sets ---------------------------------------------------------------------------------------------------


def from_torch(
    dataset: Any,
    *,
    classes: int | None = None,
    fraction_bits: int | None = None,
    normalization: Normalization | None = None,
) -> Records:
    """A map-style torch data set: `len(dataset)` items (x, label), x a tensor, an array or a Pillow image.

    classes: default `len(dataset.classes)`. Images must be bytes or k/255 (ToTensor without Normalize: normalization is the
    schema's). torch itself is not imported.
    """
    count = len(dataset)
    if not count:
        raise ValueError("dataset: expected at least one item, got none")
    if classes is None:
        names: Sequence[object] | None = getattr(dataset, "classes", None)
        if names is None:
            raise ValueError("classes: expected the number of classes, since the data set has no attribute `classes`")
        classes = len(names)
    first, _ = _item(dataset, 0)
    if first.ndim == 1 and (first.dtype != np.uint8 or fraction_bits is not None):
        bits = 12 if fraction_bits is None else fraction_bits
        schema = Schema("vector", first.shape, "int16", classes, bits, normalization)
    elif fraction_bits is not None:
        raise ValueError("fraction_bits: expected only with vectors of features")
    elif first.ndim == 1:
        schema = Schema("vector", first.shape, "uint8", classes, 0, normalization)
    else:
        schema = Schema("image", _stored(0, first).shape, "uint8", classes, 0, normalization)

    def fetch(index: int) -> tuple[AnyArray, int]:
        elements, label = _item(dataset, index)
        stored = _stored(index, elements, schema.fraction_bits if schema.element == "int16" else None)
        if stored.shape != schema.shape:
            raise ValueError(f"item {index}: expected shape {schema.shape} like the first one, got {stored.shape}")
        return stored, label

    return IndexedRecords(schema, count, fetch)


def _stored(index: int, elements: AnyArray, fraction_bits: int | None = None) -> AnyArray:
    """One vector of bytes, or of fixed-point numbers if they have fraction bits, or one image as (C, H, W)."""
    try:
        if fraction_bits is not None:
            fixed: AnyArray = fixed_point(elements[None], fraction_bits)[0]
            return fixed
        if elements.ndim == 1 and elements.dtype == np.uint8:
            return elements
        if elements.ndim not in (2, 3):
            raise ValueError(f"x: expected images or vectors of bytes, got shape {elements.shape}, dtype {elements.dtype}")
        image: U8 = image_bytes(channels_first(elements[None]))[0]
        return image
    except ValueError as error:
        raise ValueError(f"item {index}: {str(error).replace('record 0, ', '')}") from None


def _item(dataset: Any, index: int) -> tuple[AnyArray, int]:
    item = dataset[index]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise ValueError(f"item {index}: expected a pair (x, label), got {type(item).__name__}")
    x, label = item
    elements = _as_elements(index, x)
    try:
        return elements, label.__index__()
    except (AttributeError, TypeError):
        raise ValueError(f"item {index}: expected an integer label, got {type(label).__name__}") from None


def _as_elements(index: int, x: Any) -> AnyArray:
    if not hasattr(x, "convert"):
        return as_array(f"item {index}: x", x)
    try:
        return pixels(x)
    except ImageRefused as error:
        raise ValueError(f"item {index}: {error}") from None


def as_array(name: str, values: Any) -> AnyArray:
    """A numpy array as it is, a torch tensor on any device as an array; TypeError for anything else. Does not import torch."""
    if isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray):
        return values
    if not hasattr(values, "detach"):
        raise TypeError(f"{name}: expected a numpy array or a torch tensor, got {type(values).__name__}")
    try:
        array: AnyArray = values.detach().numpy(force=True)
    except (TypeError, RuntimeError):
        raise TypeError(f"{name}: expected a dense tensor of integers, float32 or float64, got {values.dtype}") from None
    return array
