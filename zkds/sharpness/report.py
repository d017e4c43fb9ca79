"""The result of an audit as one HTML page: verdict, trajectory, baselines, settings, how to reproduce it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zkds import __version__, page
from zkds.sharpness.baselines import Baselines
from zkds.sharpness.plots import inline_svg, plot_probe
from zkds.sharpness.result import SharpnessResult
from zkds.sharpness.verdict import Verdict, verdict

MEANING = {
    "sam": "SAM sharpness of the whole data set (Definition 3)",
    "asam": "ASAM sharpness of the whole data set (Definition 4)",
    "worst_case": "worst-case sharpness, by gradient ascent (Definition 1)",
    "magnitude_aware_worst_case": "magnitude-aware worst-case sharpness, by gradient ascent (Definition 2)",
    "gradient_coherence": "gradient coherence, 0 to 1 (Definition 7)",
}
STATISTIC = {
    "log_ratio": "of the logarithm of sharpness² / loss",
    "raw": "of the sharpness",
    "log": "of the logarithm of the sharpness",
}


@dataclass(frozen=True)
class Subject:
    """What was audited and how, in words for the page: names of the model and its data, and the command that does it again."""

    model: str
    data: str
    command: str


def html_report(
    result: SharpnessResult,
    subject: Subject,
    *,
    baselines: Baselines | None = None,
    tau: float | None = None,
    found: Verdict | None = None,
    warnings: Sequence[str] = (),
) -> str:
    """The page.

    baselines   static measures to show beside it
    tau         a calibrated threshold
    found       the verdict to show; default: `verdict` of result and tau
    warnings    more of them beside the result's own
    """
    title, shown = f"Audit of {subject.model}", found or verdict(result, tau)
    sections = [
        page.heading(shown.words, shown.reason, shown.decision),
        *map(page.warning, (*result.warnings, *warnings)),
        _figures(result, baselines, tau),
        _trajectory(result, baselines),
        _baselines(baselines),
        _settings(result),
        _reproduction(result, subject),
        _caveats(),
    ]
    return page.document(title, sections, "Directional sharpness: Definition 5 of arXiv 2606.25004.")


def _figures(result: SharpnessResult, baselines: Baselines | None, tau: float | None) -> str:
    spread = (
        "" if result.spread is None else f"standard deviation {page.number(result.spread)} over {len(result.probes)} probes"
    )
    rows: list[tuple[object, ...]] = [
        ("directional sharpness F", result.value, spread or "one probe; another seed gives another value"),
        ("loss", result.loss, "mean over the records of the probes"),
        ("accuracy", f"{result.accuracy:.1%}", "of the same records"),
    ]
    if baselines is not None:
        rows.append(("loss of the whole data set", baselines.loss, f"{result.records} records"))
        rows.append(("accuracy on the whole data set", f"{baselines.accuracy:.1%}", ""))
    if tau is not None:
        rows.append(("threshold", tau, "given; it holds for the models and settings that it was calibrated with"))
    return "<h2>Figures</h2>\n" + page.table(rows)


def _trajectory(result: SharpnessResult, baselines: Baselines | None) -> str:
    steps = result.history
    static = None if baselines is None else baselines.asam
    picture = inline_svg(plot_probe([step.sharpness for step in steps], [step.loss for step in steps], static))
    rows = [(str(number), step.sharpness, step.loss, step.ratio, f"{step.accuracy:.0%}") for number, step in enumerate(steps)]
    table = page.table(rows, ("step", "sharpness", "loss", "ratio", "accuracy"))
    values = ", ".join(page.number(probe.value) for probe in result.probes)
    others = f"<p>F of the {len(result.probes)} probes: {page.text(values)}.</p>" if len(result.probes) > 1 else ""
    return (
        f"<h2>Trajectory of the first probe</h2>\n<p>F is the standard deviation {STATISTIC[result.config.statistic]} over the "
        f"steps.</p>\n<figure>{picture}</figure>\n{others}<details><summary>Every step</summary>\n{table}</details>"
    )


def _baselines(baselines: Baselines | None) -> str:
    if baselines is None:
        return ""
    rows = [(meaning, float(getattr(baselines, name))) for name, meaning in MEANING.items()]
    return "<h2>Static measures</h2>\n" + page.table(rows)


def _settings(result: SharpnessResult) -> str:
    rows = [(name.replace("_", " "), str(value)) for name, value in result.config.to_dict().items()]
    return "<h2>Settings</h2>\n" + page.table(
        [*rows, ("arithmetic", result.dtype.removeprefix("torch.")), ("device", result.device)]
    )


def _reproduction(result: SharpnessResult, subject: Subject) -> str:
    versions = f"zkds {__version__}, torch {torch.__version__}, numpy {np.__version__}, Python {platform.python_version()}"
    rows = [
        ("model", subject.model),
        ("data", f"{subject.data}, {result.records} records"),
        ("seed", result.seed.hex()),
        ("versions", versions),
    ]
    return f'<h2>How to reproduce</h2>\n<div class="names">{page.table(rows)}</div>\n<pre>{page.text(subject.command)}</pre>'


def _caveats() -> str:
    return (
        "<h2>How to read it</h2>\n<ul>\n"
        "<li>F depends on the seed. Take several probes, and compare models on the same seed.</li>\n"
        "<li>F means nothing for a network that is not trained: ask for loss and accuracy beside it.</li>\n"
        "<li>A threshold is a calibration for models, data and settings like these, not a constant.</li>\n"
        "<li>F is measured on the data that it is given. A model owner who picks the data, or the seed, picks F.</li>\n</ul>"
    )
