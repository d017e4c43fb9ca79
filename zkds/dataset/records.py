"""Readers: arrays, `.npz` files, folders of images and torch data sets become byte strings under a schema.

No message shows what is in a record; at most its number or the name of its file.
"""

from __future__ import annotations

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.dataset.schema import INT16_OFFSET, MAX_CLASSES, Normalization, Schema
from zkds.native import U8

MAX_RECORDS = 1 << 32
CHANNELS = (1, 3)
IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

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
    2^-fraction_bits (default 12), halves up, and must fit 16 bits then. classes: default the largest label plus one.
    Raises ValueError naming what is wrong.
    """
    if x.ndim not in (2, 3, 4) or not len(x):
        raise ValueError(f"x: expected N >= 1 images (N, [C,] H, W) or features (N, d), got shape {x.shape}")
    if y.ndim != 1 or len(y) != len(x):
        raise ValueError(f"y: expected shape ({len(x)},), one label for each record, got {y.shape}")
    if y.dtype.kind not in "iu":
        raise ValueError(f"y: expected integer labels, got dtype {y.dtype}")
    if classes is None:
        classes = max(2, int(y.max()) + 1)
        if classes > MAX_CLASSES:
            raise ValueError(f"y: expected labels below {MAX_CLASSES}, got a larger one")
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
    with np.errstate(invalid="ignore"):
        rounded = np.rint(images * 255)
        exact = (rounded >= 0) & (rounded <= 255) & (rounded.astype(images.dtype) / images.dtype.type(255) == images)
    if not exact.all():
        raise ValueError("x: expected images of bytes, or floats k/255; leave normalization to the schema")
    return np.asarray(rounded, dtype=np.uint8)


def fixed_point(features: AnyArray, fraction_bits: int) -> NDArray[np.uint16]:
    """Numbers -> round_half_up(number * 2^fraction_bits) + 2^15, as uint16. Raises ValueError if one does not fit."""
    if features.dtype.kind not in "iuf":
        raise ValueError(f"x: expected numbers, got dtype {features.dtype}")
    exact = features.astype(np.float64) * 2.0**fraction_bits
    with np.errstate(invalid="ignore"):
        floor = np.floor(exact)
        scaled = floor + (exact - floor >= 0.5)  # exact - floor has no rounding error, exact + 0.5 may have
    if not ((scaled >= -INT16_OFFSET) & (scaled < INT16_OFFSET)).all():  # false for what is not a number, too
        largest = 2.0 ** (15 - fraction_bits)
        limits = f"[-{largest:g}, {largest:g})"
        raise ValueError(f"x: with {fraction_bits} fraction bits features must lie in {limits}; use fewer bits")
    return (scaled + INT16_OFFSET).astype(np.uint16)


def from_npz(
    path: str | Path,
    *,
    arrays: tuple[str, str] = ("x", "y"),
    classes: int | None = None,
    fraction_bits: int | None = None,
    normalization: Normalization | None = None,
) -> Records:
    """The records of a `.npz` file; `arrays` names x and y in it. See `from_arrays`. Pickled objects are refused."""
    try:
        with zipfile.ZipFile(path) as file:
            names = [entry.removesuffix(".npy") for entry in file.namelist()]
        loaded = {} if set(arrays) - set(names) else _load_arrays(path, arrays)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError):
        raise ValueError(f"{path}: expected a .npz file of arrays of numbers") from None
    if not loaded:
        raise ValueError(f"{path}: expected arrays {' and '.join(arrays)}, got {', '.join(names) or 'none'}")
    x, y = (loaded[name] for name in arrays)
    return from_arrays(x, y, classes=classes, fraction_bits=fraction_bits, normalization=normalization)


def _load_arrays(path: str | Path, names: Sequence[str]) -> dict[str, AnyArray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in names}


# ---- folders of images -----------------------------------------------------------------------------------------------


def from_folder(path: str | Path, *, normalization: Normalization | None = None) -> Records:
    """path/CLASS/IMAGE: labels number the folders in order of their names, records follow folders and file names.

    All images must have one size; grey images have one channel, all others become RGB. Needs Pillow.
    """
    folders = sorted(entry for entry in Path(path).iterdir() if entry.is_dir())
    if len(folders) < 2:
        raise ValueError(f"{path}: expected a folder for each of two or more classes, got {len(folders)}")
    files = [(file, label) for label, folder in enumerate(folders) for file in _images_in(folder)]
    if not files:
        raise ValueError(f"{path}: expected images ({' '.join(sorted(IMAGE_SUFFIXES))}), found none")
    shape = _read_image(files[0][0]).shape
    schema = Schema("image", shape, "uint8", len(folders), 0, normalization)

    def fetch(index: int) -> tuple[AnyArray, int]:
        file, label = files[index]
        pixels = _read_image(file)
        if pixels.shape != shape:
            raise ValueError(f"{file}: expected an image of shape {shape} like the first one, got {pixels.shape}")
        return pixels, label

    return IndexedRecords(schema, len(files), fetch)


def _images_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)


def _read_image(file: Path) -> U8:
    """(C, H, W) uint8."""
    try:
        from PIL import Image
    except ImportError:
        raise ValueError("folders of images need Pillow: pip install 'zkds[images]', or give a .npz file") from None
    try:
        with Image.open(file) as image:
            return _pixels(image)
    except (OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError(f"{file}: not an image that Pillow can read") from None


def _pixels(image: Any) -> U8:
    """A Pillow image -> (C, H, W) uint8."""
    if image.mode in ("L", "1"):
        return np.array(image.convert("L"), dtype=np.uint8)[None]
    return np.ascontiguousarray(np.array(image.convert("RGB"), dtype=np.uint8).transpose(2, 0, 1))


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
        schema = Schema("image", _stored(first).shape, "uint8", classes, 0, normalization)

    def fetch(index: int) -> tuple[AnyArray, int]:
        elements, label = _item(dataset, index)
        stored = fixed_point(elements, schema.fraction_bits) if schema.element == "int16" else _stored(elements)
        if stored.shape != schema.shape:
            raise ValueError(f"item {index}: expected shape {schema.shape} like the first one, got {stored.shape}")
        return stored, label

    return IndexedRecords(schema, count, fetch)


def _stored(elements: AnyArray) -> U8:
    """One vector of bytes, or one image as (C, H, W)."""
    if elements.ndim == 1 and elements.dtype == np.uint8:
        return elements
    if elements.ndim not in (2, 3):
        raise ValueError(f"dataset: expected images or vectors of bytes, got shape {elements.shape}, dtype {elements.dtype}")
    image: U8 = image_bytes(channels_first(elements[None]))[0]
    return image


def _item(dataset: Any, index: int) -> tuple[AnyArray, int]:
    item = dataset[index]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise ValueError(f"item {index}: expected a pair (x, label), got {type(item).__name__}")
    x, label = item
    if hasattr(x, "convert"):
        elements: AnyArray = _pixels(x)
    else:
        elements = np.asarray(x.numpy() if hasattr(x, "numpy") else x)
    try:
        return elements, label.__index__()
    except (AttributeError, TypeError):
        raise ValueError(f"item {index}: expected an integer label, got {type(label).__name__}") from None
