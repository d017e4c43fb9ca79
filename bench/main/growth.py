"""How the cost of a proof grows with its circuit: seconds, memory, bytes over committed cells, as figures and as a picture.

    python -m bench.main.growth                       VGG-11 of nine widths, and a small network before them
    python -m bench.main.growth --networks digits-mlp digits-cnn --steps 2

Each network has random weights and is proved and verified once, in a process of its own (bench.main.large), on all cores. The
picture is read beside straight lines: what grows as the cells do has slope 1, a proof of Ligero's kind has slope 1/2.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.core.__main__ import machine
from bench.main.large import measured, print_figures
from zkds.sharpness.plots import BLUE, DPI, GREY, ORANGE, save

NETWORKS = (
    "digits-cnn",
    *(f"vgg11:{width}" for width in ("1/64", "1/32", "1/16", "1/8", "1/4", "3/8", "1/2", "3/4")),
    "vgg11",
)
Figures = dict[str, Any]


def slope(cells: Sequence[float], values: Sequence[float]) -> float:
    """The exponent of the power of the cells that fits best."""
    return float(np.polyfit(np.log(cells), np.log(values), 1)[0])


def _panel(axes: Axes, rows: Sequence[Figures], label: str, curves: dict[str, tuple[str, str, str]]) -> None:
    """A panel of the picture. curves: name of the figure -> (label, colour, marker)."""
    cells = [row["cells"] for row in rows]
    for name, (words, colour, marker) in curves.items():
        values = [row[name] for row in rows]
        words = f"{words}, slope {slope(cells[-5:], values[-5:]):.2f} at the end"
        axes.plot(cells, values, color=colour, marker=marker, markersize=4, label=words)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("committed cells")
    axes.set_ylabel(label)
    axes.grid(True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize="small", frameon=False)


def plot_growth(rows: Sequence[Figures]) -> Figure:
    """Three panels. rows: figures of bench.main.large, of at least two sizes, the smallest first."""
    figure = Figure(figsize=(11, 3.6), dpi=DPI, layout="constrained")
    seconds, memory, size = figure.subplots(1, 3)
    _panel(seconds, rows, "seconds", {
        "processor_seconds": ("prove, processor time", GREY, "s"),
        "seconds": ("prove", BLUE, "o"),
        "verify_processor_seconds": ("verify, processor time", ORANGE, "^"),
    })  # fmt: skip
    _panel(memory, rows, "GiB", {"peak_gib": ("prove, peak of memory", BLUE, "o")})
    _panel(size, rows, "bytes", {"proof_bytes": ("proof", BLUE, "o")})
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.main.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="of the zoo, at least two, the smallest first")
    parser.add_argument("--steps", type=int, default=5, help="T (default: 5)")
    parser.add_argument("--output", type=Path, default=Path("bench/results/growth.json"))
    parser.add_argument("--picture", type=Path, default=Path("docs/images/growth.png"))
    options = parser.parse_args()
    rows: dict[str, Figures] = {}
    for name in options.networks:
        figures = measured(name, options.steps, "ASAM")
        print_figures(name, options.steps, figures)
        if "refused" not in figures:
            rows[name] = figures
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"machine": machine(), "steps": options.steps, "networks": rows}, indent=1) + "\n")
    save(plot_growth(list(rows.values())), options.picture)


if __name__ == "__main__":
    main()
