"""Pictures: what is drawn, and that names from outside are shown and not run."""

import xml.etree.ElementTree as ElementTree

import pytest

from zkds.sharpness.calibrate import calibrate
from zkds.sharpness.grid import Measurement
from zkds.sharpness.plots import inline_svg, plot_calibration, plot_correlation, plot_probe, plot_trajectories, save

pytestmark = pytest.mark.any_kernels

HOSTILE = 'a<script>alert("$x$")</script>&'


def measurement(name, values=(1.0, 2.0), trajectory=(0.1, 0.3, 0.2), asam=0.15):
    return Measurement(name, values, trajectory, asam, 0.5, 0.9)


def text_of(figure):
    root = ElementTree.fromstring(inline_svg(figure))  # well-formed, or this raises
    assert root.tag.endswith("svg") and not root.findall(".//{http://www.w3.org/2000/svg}script")
    return " ".join(text for element in root.iter() for text in (element.text or "",) if text.strip())


def test_trajectories_as_in_figure_1():
    runs = {name: [measurement(f"{name} {epoch}") for epoch in (10, 20)] for name in ("SGD", "SAM")}
    figure = plot_trajectories(runs, [10, 20])
    probe, static = figure.axes[0].get_lines()[:2]
    assert list(probe.get_ydata()) == [0.1, 0.3, 0.2] * 2 and list(static.get_ydata()) == [0.15, 0.15]
    assert list(static.get_xdata()) == [10, 20] and probe.get_xdata()[3] == 20 > probe.get_xdata()[2]
    text = text_of(figure)
    assert "SGD: probe" in text and "SAM: static ASAM" in text
    with pytest.raises(ValueError, match="positions: expected one for each of 2 checkpoints of every run"):
        plot_trajectories(runs, [1])
    with pytest.raises(ValueError, match="positions: expected one for each"):
        plot_trajectories(runs | {"short": runs["SGD"][:1]})


def test_a_probe():
    figure = plot_probe([0.1, 0.2], [1.0, 2.0], 0.15)
    assert [list(axes.get_lines()[0].get_ydata()) for axes in figure.axes] == [[0.1, 0.2], [1.0, 2.0]]
    assert "whole data set" in text_of(figure) and "whole data set" not in text_of(plot_probe([0.0, 0.2], [1.0, 2.0]))


def test_calibration_and_correlation_show_hostile_names_as_text(tmp_path):
    good, bad = [measurement(HOSTILE, (1.0, 1.2))], [measurement("bad", (3.0, 3.1))]
    result = calibrate(good, bad, risk=0.4)
    figure = plot_calibration(result, good, bad)
    assert any(line.get_xdata()[0] == result.tau for line in figure.axes[0].get_lines())
    assert HOSTILE in text_of(figure)
    spread = plot_correlation({"F": [1, 2, 3], HOSTILE: [3, 2, 1]}, [0.1, 0.2, 0.3], ["sgd", "sam", HOSTILE])
    assert text_of(spread).count(HOSTILE) == 2
    save(spread, tmp_path / "spread.png")
    assert (tmp_path / "spread.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_figure_gives_the_same_file():
    assert inline_svg(plot_probe([0.1, 0.2], [1.0, 2.0])) == inline_svg(plot_probe([0.1, 0.2], [1.0, 2.0]))
