"""The paper's tables on CIFAR-10.

    python -m bench.experiments_cifar train --folder CACHE [--data cifar10.tar.xz] [--jobs 2] [--hours 1.5]
    python -m bench.experiments_cifar measure --folder CACHE [--jobs 2] [--hours 1.5]
    python -m bench.experiments_cifar tables --folder CACHE        also of a part: what is measured by then

Each may be killed and started again, and several may run at once on one CACHE, a folder outside the repository. All of it takes
some four hours on two cores. --device cuda --width 1 trains networks as wide as the paper's.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from bench.core.__main__ import machine
from bench.experiments.harness import write_report
from bench.experiments_cifar import data, document, workers
from bench.experiments_cifar.cache import Cache
from bench.experiments_cifar.found import Found
from bench.experiments_cifar.measure import measure_all
from bench.experiments_cifar.recipes import FULL, TOY, Scale, plan
from bench.experiments_cifar.tables import tables, trajectories
from zkds.sharpness.plots import plot_trajectories, save

DEFAULT_DATA = Path("../shared/data/cifar10.tar.xz")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.experiments_cifar", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("train", "measure", "tables"))
    parser.add_argument("--folder", type=Path, required=True, help="the cache of models and measurements")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help=f"(default: {DEFAULT_DATA})")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread (default: 2)")
    parser.add_argument("--hours", type=float, default=math.inf, help="stop after so many")
    parser.add_argument("--device", default="cpu", help="(default: cpu)")
    parser.add_argument("--width", type=Fraction, default=FULL.width, help=f"of the networks (default: {FULL.width})")
    parser.add_argument("--toy", action="store_true", help="a few narrow networks on made-up images")
    parser.add_argument("--output", type=Path, help="tables: write there, not to the results and the documentation")
    options = parser.parse_args()
    scale = TOY if options.toy else replace(FULL, width=options.width)
    if options.command == "tables":
        write_tables(Cache(options.folder), scale, options.output)
        return
    data.prepare(options.folder, options.data, toy=scale.images if scale.toy else 0)
    work = workers.train_all if options.command == "train" else measure_all
    workers.run(work, options.folder, scale, jobs=options.jobs, device=options.device, hours=options.hours)


def write_tables(cache: Cache, scale: Scale, output: Path | None) -> None:
    """results.json and the picture of Figure 1; without `output` at their places in the repository, with the document."""
    found = Found.read(cache, scale)
    report = {
        "machine": machine(),
        "planned": len(plan(scale)),
        "trained": len(found.records),
        "measured": len(found.lines),
        "processor hours of training": round(sum(record["seconds"] for record in found.records.values()) / 3600, 2),
        "tables": tables(found),
    }
    write_report(output or document.RESULTS, report, {"CIFAR-10": list(found.models())})
    runs, epochs = trajectories(found)
    if runs:
        save(plot_trajectories(runs, epochs), output.with_suffix(".png") if output else document.PICTURE)
    if output is None:
        text = document.DOCUMENT.read_text(encoding="utf-8")
        document.DOCUMENT.write_text(document.with_results(text, document.RESULTS), encoding="utf-8")


if __name__ == "__main__":
    main()
