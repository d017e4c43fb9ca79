"""Measurements and results as files: JSON for programs, CSV for spreadsheets. Numbers survive a round trip bit for bit."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zkds.output import write_result
from zkds.sharpness.grid import Measurement

SERIES = ("sharpness", "trajectory")  # fields of Measurement with several numbers: columns "sharpness 0", "sharpness 1", ...
SINGLE = ("asam", "loss", "accuracy")


def plain(value: Any) -> Any:
    """Dataclasses, mappings and sequences as JSON has them. What is not a finite number becomes null: JSON has no NaN."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.hex() if isinstance(value, bytes) else value


def to_json(value: Any) -> str:
    return json.dumps(plain(value), indent=2, allow_nan=False) + "\n"


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line for each row under a line of names: those of the first row; to standard output for "-".

    A row with other names raises ValueError.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_result(path, text.getvalue().encode())


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """The rows of a CSV file with a line of names. Raises ValueError if there is none, or a line does not fit it."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"{path}: expected a CSV file in UTF-8") from None
    if not rows:
        raise ValueError(f"{path}: expected a line of column names and at least one line of values")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ValueError(f"{path}, line {number}: expected {len([name for name in row if name])} values")
    return rows


def measurement_rows(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """One row for each model; every seed's F and every step of the trajectory has a column."""
    return [
        {"name": each.name}
        | {name: getattr(each, name) for name in SINGLE}
        | {f"{name} {number}": value for name in SERIES for number, value in enumerate(getattr(each, name))}
        for each in measurements
    ]


def read_measurements(path: str | Path) -> list[Measurement]:
    """What `write_csv(path, measurement_rows(...))` wrote. Raises ValueError for another file."""
    try:
        return [_measurement(row) for row in read_csv(path)]
    except KeyError as error:
        raise ValueError(f"{path}: expected measurements, there is no column {error.args[0]!r}") from None


def _measurement(row: Mapping[str, str]) -> Measurement:
    asam, loss, accuracy = (float(row[name]) for name in SINGLE)
    sharpness, trajectory = (_series(row, name) for name in SERIES)
    return Measurement(row["name"], sharpness, trajectory, asam, loss, accuracy)


def _series(row: Mapping[str, str], name: str) -> tuple[float, ...]:
    numbers = (column.removeprefix(f"{name} ") for column in row if column.startswith(f"{name} "))
    return tuple(float(row[f"{name} {number}"]) for number in sorted(map(int, numbers)))
