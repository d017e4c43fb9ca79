"""What the experiments share: their sizes, how a model is measured, tables, and the files that they go to.

A script has `run(setting, run)`, the rows of one repetition, and `summary(setting, rows)`, the table over all repetitions.
Repetitions differ in the initial weights, the order of training and the deviation; they run in parallel processes.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from torch import nn

from bench.core.__main__ import machine
from bench.experiments import data
from bench.experiments.data import Images
from bench.experiments.training import Recipe
from zkds.sharpness import SharpnessConfig
from zkds.sharpness.grid import Measurement, measure
from zkds.sharpness.tables import plain

DEFAULT_DATA = Path("../shared/data/mnist.npz")
RESULTS = Path("bench/results/experiments")
SEED = bytes(32)
PAPER = SharpnessConfig(
    batch_size=16, steps=10, rho=0.05, learning_rate=1e-4, sharpness="asam", perturbation="sam"
)  # Section 5
DATA_SETS = ("MNIST", "digits")

Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """records, tests: images of MNIST; digits: training images of digits; epochs, runs (repetitions): (MNIST, digits); probes:
    seeds for each model; examples: members and non-members; grid: how many values of each hyperparameter."""

    records: int
    tests: int
    digits: int
    epochs: tuple[int, int]
    runs: tuple[int, int]
    probes: int
    examples: int
    grid: int


FULL = Size(records=1500, tests=2000, digits=1348, epochs=(16, 30), runs=(2, 3), probes=10, examples=200, grid=3)
TOY = Size(records=320, tests=200, digits=320, epochs=(2, 4), runs=(1, 1), probes=2, examples=4, grid=2)


@dataclass(frozen=True)
class Setting:
    """One data set at one size."""

    name: str
    path: Path
    size: Size

    @property
    def images(self) -> Images:
        return (
            data.mnist(self.path, self.size.records, self.size.tests) if self.name == "MNIST" else data.digits(self.size.digits)
        )

    @property
    def epochs(self) -> int:
        return self.size.epochs[DATA_SETS.index(self.name)]

    @property
    def runs(self) -> int:
        return self.size.runs[DATA_SETS.index(self.name)]

    @property
    def recipe(self) -> Recipe:
        return Recipe(epochs=self.epochs)


Run = Callable[[Setting, int], list[Row]]
Summary = Callable[[str, list[Row]], list[Row]]


@cache
def measured(name: str, model: nn.Module, setting: Setting) -> Measurement:
    """The model on the clean training images, in float64, with the paper's settings."""
    images = setting.images
    precise = copy.deepcopy(model).double()
    return measure(name, precise, (images.x.double(), images.y), replace(PAPER, probes=setting.size.probes), SEED)


# ---- tables ----------------------------------------------------------------------------------------------------------


def with_spread(values: Sequence[float]) -> str:
    """mean ± sample standard deviation, of the values that are numbers."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "-"
    spread = f" ± {statistics.stdev(known):.2g}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.3g}{spread}"


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table with the columns of the first row."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]) + "\n"


# ---- running ---------------------------------------------------------------------------------------------------------


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help=f"MNIST as .npz (default: {DEFAULT_DATA})")
    parser.add_argument("--toy", action="store_true", help="a size that runs in seconds and shows nothing")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: one a core)")
    parser.add_argument("--output", type=Path, default=RESULTS, help=f"folder of the results (default: {RESULTS})")
    return parser


def main(
    name: str,
    description: str,
    run: Run,
    summary: Summary,
    options: argparse.Namespace | None = None,
    only: Sequence[str] = DATA_SETS,
) -> None:
    """Run one experiment on its data sets; print its table and write NAME.json."""
    options = arguments(description).parse_args() if options is None else options
    size = TOY if options.toy else FULL
    started = time.perf_counter()
    settings = [
        Setting(data_set, options.data, size) for data_set in DATA_SETS if data_set in only and _available(data_set, options)
    ]
    tasks = [(setting, number) for setting in settings for number in range(setting.runs)]
    parts = Parallel(n_jobs=options.jobs)(delayed(_run)(run, *task) for task in tasks)
    rows = {
        s.name: [row for (t, _), part in zip(tasks, parts, strict=True) if t.name == s.name for row in part] for s in settings
    }
    table = [line for data_set, found in rows.items() for line in summary(data_set, found)]
    seconds = time.perf_counter() - started
    print(f"\n{name}: {description.splitlines()[0]} ({seconds:.0f} s)\n\n{markdown(table)}", flush=True)
    report = {"machine": machine(), "seconds": round(seconds), "size": asdict(size), "table": table}
    write_report(options.output / f"{name}.json", report, rows)


def write_report(path: Path, report: Mapping[str, Any], rows: Mapping[str, Sequence[Row]]) -> None:
    """The report, and in "rows" what every repetition measured, a line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"data": name} | plain(row), allow_nan=False) for name, found in rows.items() for row in found]
    head = json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False).removesuffix("\n}")
    path.write_text(f'{head},\n "rows": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n", encoding="utf-8")


def _available(data_set: str, options: argparse.Namespace) -> bool:
    """Digits come with scikit-learn; a toy run does without MNIST where it is not to be had."""
    if data_set == "digits" or options.data.exists():
        return True
    if options.toy:
        return False
    raise SystemExit(f"{options.data}: no such file; --data takes MNIST as an .npz file with x_train, y_train, x_test, y_test")


def _run(run: Run, setting: Setting, number: int) -> list[Row]:
    torch.set_num_threads(1)  # the same sums, in the same order, on any machine and with any number of processes
    return run(setting, number)
