"""Pictures: probe trajectories over checkpoints (Figure 1), calibration, correlation. Matplotlib without a display.

Each function returns a Figure; `save` writes it as its suffix says (.png, .svg, .pdf) and `inline_svg` gives the element for
a page.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zkds.output import write_whole
from zkds.sharpness.calibrate import Calibration
from zkds.sharpness.grid import Measurement

BLUE, ORANGE, GREY = "#1f6fb4", "#d9640a", "#666666"  # told apart by the colour-blind, and in grey
COLOURS = (BLUE, ORANGE, "#2b8a3e", "#8a3ab9", "#a8781a", GREY)
MARKERS = "osD^vP"
SIZE = (6.4, 3.6)  # inches
DPI = 120


def _axes(size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, alpha=0.25)
    return figure, axes


def save(figure: Figure, path: str | Path) -> None:
    """Raises ValueError if the suffix is not one that matplotlib writes."""
    write_whole(Path(path), _rendered(figure, Path(path).suffix.removeprefix(".")))


def inline_svg(figure: Figure) -> str:
    """An <svg> element, without the XML declaration and the metadata of a file."""
    text = _rendered(figure, "svg").decode()
    return text[text.index("<svg") :]


def _rendered(figure: Figure, kind: str) -> bytes:
    """Text in an SVG as text, and the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata = {name: None for name in ("Date", "Creator", "Format", "Type")} if kind == "svg" else None
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "zkds"}):
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


def plot_probe(sharpness: Sequence[float], loss: Sequence[float], asam: float | None = None) -> Figure:
    """One probe: s_t and L_t at steps 0, ..., T - 1, and the static ASAM sharpness of the whole data set as a dashed line."""
    figure, axes = _axes()
    steps = range(len(sharpness))
    axes.plot(steps, sharpness, color=BLUE, marker="o", label="sharpness sₜ of the batch")
    if asam is not None:
        axes.axhline(asam, color=BLUE, linestyle="--", label="ASAM sharpness, whole data set")
    axes.set_xlabel("step t")
    axes.set_ylabel("sharpness")
    axes.set_xticks(list(steps))
    other = axes.twinx()
    other.spines["top"].set_visible(False)
    other.plot(steps, loss, color=ORANGE, marker="s", linestyle=":", label="loss Lₜ of the batch")
    other.set_ylabel("loss")
    for each in (axes, other):
        if min(*sharpness, *loss) > 0:
            each.set_yscale("log")
    lines = [*axes.get_lines(), *other.get_lines()]
    figure.legend(handles=lines, loc="outside upper center", ncols=3, fontsize="small", frameon=False)
    return figure


def plot_trajectories(runs: Mapping[str, Sequence[Measurement]], positions: Sequence[float] | None = None) -> Figure:
    """As Figure 1: for each run the probe's s_t after each checkpoint (solid) and the static ASAM sharpness (dashed).

    runs       name of the run -> its checkpoints in order, as many for each run
    positions  where the checkpoints stand, e.g. their epochs; default 1, 2, ...
    """
    figure, axes = _axes()
    count = len(next(iter(runs.values())))
    places = np.asarray(range(1, count + 1) if positions is None else positions, dtype=float)
    if len(places) != count or any(len(checkpoints) != count for checkpoints in runs.values()):
        raise ValueError(f"positions: expected one for each of {count} checkpoints of every run")
    gap = float(np.diff(places).min()) if count > 1 else 1.0
    for colour, (name, checkpoints) in zip(COLOURS, runs.items(), strict=False):
        steps = len(checkpoints[0].trajectory)
        x = np.concatenate([place + gap * 0.8 * np.arange(steps) / steps for place in places])
        y = np.concatenate([checkpoint.trajectory for checkpoint in checkpoints])
        axes.plot(x, y, color=colour, linewidth=1.2, marker=".", markersize=3, label=f"{name}: probe, sₜ")
        axes.plot(places, [checkpoint.asam for checkpoint in checkpoints], color=colour, linestyle="--", marker="s",
                  markersize=4, label=f"{name}: static ASAM")  # fmt: skip
    axes.set_xticks(places)
    axes.set_xlabel("checkpoint; the probe's steps follow it")
    axes.set_ylabel("sharpness")
    axes.set_yscale("log")
    figure.legend(loc="outside upper center", ncols=2, fontsize="small", frameon=False)
    return figure


def plot_calibration(calibration: Calibration, good: Sequence[Measurement], bad: Sequence[Measurement] = ()) -> Figure:
    """F of every model for every seed, a row each, with tau and its interval."""
    models = [*((model, BLUE, "o", "good") for model in good), *((model, ORANGE, "s", "bad") for model in bad)]
    figure, axes = _axes((SIZE[0], 1.6 + 0.28 * len(models)))
    for row, (model, colour, marker, quality) in enumerate(models):
        first = row in (0, len(good))
        axes.plot(model.sharpness, [row] * len(model.sharpness), color=colour, marker=marker, linestyle="", alpha=0.5,
                  label=f"{quality} models, one mark a seed" if first else None)  # fmt: skip
    axes.axvspan(*calibration.interval, color=GREY, alpha=0.2, label="its 5 % to 95 % interval over seeds")
    axes.axvline(calibration.tau, color="black", linewidth=1.2, label=f"τ = {calibration.tau:.3g}")
    axes.set_yticks(range(len(models)), [escape_math(model.name) for model, *_ in models])
    axes.invert_yaxis()
    axes.set_xlabel("directional sharpness F; accepted on the left of τ")
    figure.legend(loc="outside upper center", ncols=2, fontsize="small", frameon=False)
    return figure


def plot_correlation(
    measures: Mapping[str, Sequence[float]], gaps: Sequence[float], groups: Sequence[str] | None = None
) -> Figure:
    """Each measure against the generalization gap, a panel each; `groups` (a name for each model) chooses the marks."""
    names = list(groups or ["all models"] * len(gaps))
    figure = Figure(figsize=(3.2 * len(measures), 3.2), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for panel, (measure, values) in zip(panels, measures.items(), strict=True):
        for number, group in enumerate(dict.fromkeys(names)):
            chosen = [index for index, name in enumerate(names) if name == group]
            panel.scatter([values[i] for i in chosen], [gaps[i] for i in chosen], s=16, alpha=0.7, label=escape_math(group),
                          color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)])  # fmt: skip
        panel.set_xlabel(escape_math(measure))
        panel.grid(True, alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("generalization gap")
    if groups is not None:
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=6, fontsize="small", frameon=False
        )
    return figure


def escape_math(text: str) -> str:
    """A name as matplotlib shows it: a dollar sign would start a formula."""
    return text.replace("$", r"\$")
