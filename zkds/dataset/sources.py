"""Whatever holds a data set becomes records: paths, pairs of arrays or tensors, torch data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zkds.dataset.records import Records, as_array, from_arrays, from_folder, from_npz, from_torch
from zkds.dataset.schema import Normalization

NAMES = ("x", "y")  # of the arrays in a .npz file, unless others are given
EXPECTED = "expected records, a pair (x, y) of arrays or tensors, a path, or a torch data set with a length"


def as_records(
    data: Any,
    *,
    arrays: tuple[str, str] | None = None,
    classes: int | None = None,
    fraction_bits: int | None = None,
    normalization: Normalization | None = None,
) -> Records:
    """The records of a data set.

    data            a pair (x, y) of numpy arrays or torch tensors (see `from_arrays`), the path of a `.npz` file or of a folder
                    of images (see `from_folder`), or a map-style torch data set (see `from_torch`)
    arrays          names of x and y in a `.npz` file; default "x" and "y"
    classes         of what is no folder of images; default as `from_arrays` and `from_torch` say
    fraction_bits   of features that are no bytes
    normalization   that a network's inputs have

    Raises TypeError for anything else; ValueError or OSError for data that cannot be used, or options that do not go with it.
    """
    if isinstance(data, Records):
        if (arrays, classes, fraction_bits, normalization) != (None,) * 4:
            raise ValueError("data: records have their names, classes, fraction bits and normalization already")
        return data
    if isinstance(data, str | Path):
        return _from_path(Path(data), arrays or NAMES, classes, fraction_bits, normalization)
    if arrays is not None:
        raise ValueError("arrays: expected only with a .npz file")
    if isinstance(data, tuple):
        if len(data) != 2:
            raise TypeError(f"data: expected a pair (x, y), got {len(data)} values")
        x, y = (as_array(name, part) for name, part in zip("xy", data, strict=True))
        return from_arrays(x, y, classes=classes, fraction_bits=fraction_bits, normalization=normalization)
    if hasattr(data, "detach") or hasattr(data, "dtype") or isinstance(data, bytes | dict | list | set):
        raise TypeError(f"data: {EXPECTED}, got {type(data).__name__}")
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise TypeError(f"data: {EXPECTED}, got {type(data).__name__}, which has no length or no items")
    return from_torch(data, classes=classes, fraction_bits=fraction_bits, normalization=normalization)


def _from_path(
    path: Path, arrays: tuple[str, str], classes: int | None, fraction_bits: int | None, normalization: Normalization | None
) -> Records:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; expected a .npz file or a folder of images")
    if not path.is_dir():
        return from_npz(path, arrays=arrays, classes=classes, fraction_bits=fraction_bits, normalization=normalization)
    if classes is not None or fraction_bits is not None or arrays != NAMES:
        raise ValueError(f"{path}: classes, fraction bits and names of arrays go with .npz files, not with a folder")
    return from_folder(path, normalization=normalization)


Pairs = Normalization | tuple[str, str] | tuple[Sequence[str], Sequence[str]]  # (mean, deviation), decimals


def as_normalization(pairs: Pairs | None) -> Normalization | None:
    """(mean, deviation) as decimals, one of each or one for each channel: ("0.1307", "0.3081")."""
    if pairs is None or isinstance(pairs, Normalization):
        return pairs
    if not isinstance(pairs, tuple) or len(pairs) != 2:
        raise TypeError(f"normalization: expected a pair (mean, deviation) of decimals, got {type(pairs).__name__}")
    mean, deviation = ([part] if isinstance(part, str | float | int) else list(part) for part in pairs)
    return Normalization.from_decimals(mean, deviation)
