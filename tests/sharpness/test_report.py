"""The HTML report: well-formed, alone, escaped, and right about the verdict."""

import html
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from zkds.circuits.networks.torch_module import build, save_checkpoint
from zkds.cli import main
from zkds.sharpness import Probe, SharpnessConfig, SharpnessResult, Step
from zkds.sharpness.baselines import Baselines
from zkds.sharpness.report import Subject, html_report
from zkds.sharpness.verdict import verdict

pytestmark = pytest.mark.any_kernels

HOSTILE = '<script>alert("x")</script>&\'</pre><img src=//e.example/x>'
SUBJECT = Subject("m.pt", "train.npz", "zkds audit --model m.pt --data train.npz")
BASELINES = Baselines(0.05, 0.99, 0.011, 0.022, 0.033, 0.044, 0.055)
VOID = {"meta", "br", "img"}


def result_of(loss=0.05, accuracy=0.97, values=(0.5, 0.7)):
    history = tuple(Step((i,), 0.01 * (i + 1), loss, 0.001, accuracy, 3.0) for i in range(4))
    probes = tuple(Probe(bytes(32), value, history) for value in values)
    return SharpnessResult(
        SharpnessConfig(steps=4, probes=len(values)), bytes(range(32)), probes, 60, 10, "torch.float64", "cpu"
    )


class Page(HTMLParser):
    """Checks the nesting of elements; collects their names, attributes and the text outside of <style> and pictures."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], set(), [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def test_everything_is_there():
    page = Page(html_report(result_of(), SUBJECT, baselines=BASELINES, tau=0.65))
    for part in ("Audit of m.pt", "Accepted", "F = 0.6 is not above the threshold, 0.65.", "standard deviation 0.1414 over 2",
                 "F of the 2 probes: 0.5, 0.7.", "0.022", "Definition 7", "batch size 8", "float64", bytes(range(32)).hex(),
                 "zkds audit --model m.pt --data train.npz", "train.npz, 60 records", "97.0%", "99.0%"):  # fmt: skip
        assert part in page.words, part
    assert {"svg", "pre", "details"} <= page.tags


def test_the_page_stands_alone():
    text = html_report(result_of(), SUBJECT, baselines=BASELINES)
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "image"}
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    for tag, name, value in page.attributes:
        assert not name.startswith("on") and (name not in ("href", "src", "xlink:href") or value.startswith("#")), (tag, name)
    assert not re.search(r"url\((?!#)|@import", text)


def test_hostile_names_are_text():
    subject = Subject(HOSTILE, HOSTILE, HOSTILE)
    page = Page(html_report(result_of(), subject))
    assert not page.tags & {"script", "img"} and page.words.count(HOSTILE) == 5  # title, heading, model, data, command


@pytest.mark.parametrize(
    ("result", "tau", "verdict"),
    [
        (result_of(), 0.6, "Accepted"),
        (result_of(), 0.59, "Rejected"),
        (result_of(), None, "No verdict: there is no threshold"),
        (result_of(loss=2.2), 0.9, "Not accepted: the network does not look trained"),
        (result_of(accuracy=0.3), 0.9, "Not accepted: the network does not look trained"),
        (result_of(accuracy=0.3), None, "Not accepted: the network does not look trained"),
    ],
)
def test_verdicts(result, tau, verdict):
    words = Page(html_report(result, SUBJECT, tau=tau)).words
    found = [word for word in ("Accepted", "Rejected", "No verdict", "Not accepted") if word in words]
    assert verdict in words and len(found) == 1
    assert ("Warning: " in words) == bool(result.warnings)


def test_the_page_of_the_command(tmp_path, monkeypatch, capsys):
    """Through the command, twice: the command that the page shows gives the same page."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(2)
    np.savez("a b.npz", u=generator.integers(0, 256, (24, 8, 8), dtype=np.uint8), v=np.arange(24) % 10)
    torch.manual_seed(3)
    save_checkpoint(build("digits-mlp"), "digits-mlp", "m.pt")
    options = "--arrays u v --normalize 0.5 0.25 --batch-size 4 --steps 3 --probes 2 --statistic raw --baselines --tau 0.5"
    first = ["audit", "--model", "m.pt", "--data", "a b.npz", *options.split(), "--report", "1.html", "-o", "1.json"]
    assert main(first) == 1  # an untrained network
    assert capsys.readouterr().out.startswith("Not accepted: the network does not look trained on this data. F = ")
    page = Path("1.html").read_text()
    again = shlex.split(html.unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1]))
    assert again[:2] == ["zkds", "audit"] and "--seed" in again and "--report" not in again
    assert main([*again[1:], "--report", "2.html", "--json"]) == 1
    assert Path("2.html").read_text() == page
    found = json.loads(capsys.readouterr().out)
    assert (found["tau"], found["verdict"]) == (0.5, "rejected") and found == json.loads(Path("1.json").read_text())
    words = Page(page).words
    assert found["seed"] in words and "of the sharpness over the steps" in words and "Definition 2" in words
    assert main([*first, "--report", "no/r.html"]) == 2
    assert "there is no folder no; make it first" in capsys.readouterr().err


def test_one_probe_without_baselines():
    words = Page(html_report(result_of(values=(0.5,)), SUBJECT)).words
    assert "one probe; another seed gives another value" in words and "Static measures" not in words
    zero = replace(result_of(), probes=(Probe(None, 0.0, tuple(Step((0,), 0.0, 0.0, 0.0, 1.0, 50.0) for _ in range(3))),))
    words = Page(html_report(zero, SUBJECT, tau=1.0)).words  # nothing to draw on a logarithmic scale
    assert "Not accepted: saturated batches F = 0, but there are saturated batches: 3 of 3, with a mean loss below" in words
    allowed = verdict(zero, 1.0, allow_saturated=True)
    words = Page(html_report(zero, SUBJECT, tau=1.0, found=allowed, warnings=["one more"])).words
    assert "Accepted F = 0 is not above the threshold, 1." in words and "Warning: one more." in words
