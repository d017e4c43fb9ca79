"""The result of an audit as one HTML page: verdict, trajectory, baselines, settings, how to reproduce it.

The page stands alone: no scripts, no files beside it, nothing fetched, and a policy in it that forbids all three. Every text is
escaped.
"""

from __future__ import annotations

import html
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zkds import __version__
from zkds.sharpness.baselines import Baselines
from zkds.sharpness.plots import inline_svg, plot_probe
from zkds.sharpness.result import SharpnessResult
from zkds.sharpness.verdict import Verdict, verdict

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; max-width: 52rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h1, .names td + td { overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
.verdict { padding: .8rem 1.1rem; border-left: .5rem solid; margin: 1rem 0; } .verdict strong { font-size: 1.2rem; }
.accepted { border-color: #2b8a3e; background: #ebf7ee; } .rejected { border-color: #c92a2a; background: #fdeeee; }
.none { border-color: #666; background: #f3f3f3; }
.warning { border-left: .5rem solid #d9640a; background: #fff4e8; padding: .5rem 1.1rem; margin: .5rem 0; }
table { border-collapse: collapse; margin: .8rem 0; }
th, td { text-align: left; padding: .2rem 1.2rem .2rem 0; vertical-align: top; }
th + th, td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr + tr { border-top: 1px solid #eee; }
pre { background: #f3f3f3; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; } footer { margin-top: 2.5rem; color: #666; font-size: .85rem; }
"""

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
    title = f"Audit of {subject.model}"
    sections = [
        f"<h1>{_text(title)}</h1>",
        _verdict(found or verdict(result, tau)),
        *(f'<p class="warning">Warning: {_text(warning)}.</p>' for warning in (*result.warnings, *warnings)),
        _figures(result, baselines, tau),
        _trajectory(result, baselines),
        _baselines(baselines),
        _settings(result),
        _reproduction(result, subject),
        _caveats(),
        f"<footer>zkds {_text(__version__)}. Directional sharpness: Definition 5 of arXiv 2606.25004.</footer>",
    ]
    body = "\n".join(section for section in sections if section)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_text(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Numbers and percentages are right-aligned; everything is escaped."""
    lines = ["<tr>" + "".join(f"<th>{_text(name)}</th>" for name in head) + "</tr>"] if head else []
    lines += ["<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="number">{_number(value)}</td>'
    return f'<td class="number">{_text(value)}</td>' if str(value).endswith("%") else f"<td>{_text(value)}</td>"


def _verdict(found: Verdict) -> str:
    heading = f"<strong>{_text(found.words)}</strong><br>{_text(found.reason)}"
    return f'<div class="verdict {found.decision}">{heading}</div>'


def _figures(result: SharpnessResult, baselines: Baselines | None, tau: float | None) -> str:
    spread = "" if result.spread is None else f"standard deviation {_number(result.spread)} over {len(result.probes)} probes"
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
    return "<h2>Figures</h2>\n" + _table(rows)


def _trajectory(result: SharpnessResult, baselines: Baselines | None) -> str:
    steps = result.history
    static = None if baselines is None else baselines.asam
    picture = inline_svg(plot_probe([step.sharpness for step in steps], [step.loss for step in steps], static))
    rows = [(str(number), step.sharpness, step.loss, step.ratio, f"{step.accuracy:.0%}") for number, step in enumerate(steps)]
    table = _table(rows, ("step", "sharpness", "loss", "ratio", "accuracy"))
    values = ", ".join(_number(probe.value) for probe in result.probes)
    others = f"<p>F of the {len(result.probes)} probes: {_text(values)}.</p>" if len(result.probes) > 1 else ""
    return (
        f"<h2>Trajectory of the first probe</h2>\n<p>F is the standard deviation {STATISTIC[result.config.statistic]} over the "
        f"steps.</p>\n<figure>{picture}</figure>\n{others}<details><summary>Every step</summary>\n{table}</details>"
    )


def _baselines(baselines: Baselines | None) -> str:
    if baselines is None:
        return ""
    rows = [(meaning, float(getattr(baselines, name))) for name, meaning in MEANING.items()]
    return "<h2>Static measures</h2>\n" + _table(rows)


def _settings(result: SharpnessResult) -> str:
    rows = [(name.replace("_", " "), str(value)) for name, value in result.config.to_dict().items()]
    return "<h2>Settings</h2>\n" + _table(
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
    return f'<h2>How to reproduce</h2>\n<div class="names">{_table(rows)}</div>\n<pre>{_text(subject.command)}</pre>'


def _caveats() -> str:
    return (
        "<h2>How to read it</h2>\n<ul>\n"
        "<li>F depends on the seed. Take several probes, and compare models on the same seed.</li>\n"
        "<li>F means nothing for a network that is not trained: ask for loss and accuracy beside it.</li>\n"
        "<li>A threshold is a calibration for models, data and settings like these, not a constant.</li>\n"
        "<li>F is measured on the data that it is given. A model owner who picks the data, or the seed, picks F.</li>\n</ul>"
    )
