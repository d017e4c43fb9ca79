"""The listing of docs/audit.md runs as it stands there, and its interface is that of the package."""

import inspect
import re

import pytest

import zkds.sharpness
from tests.harness.shell import ROOT

pytestmark = pytest.mark.any_kernels

DOCUMENT = (ROOT / "docs" / "audit.md").read_text()


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    exec(compile(example, "docs/audit.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    value, spread = re.match(r"F = ([\d.]+), over the seeds ([\d.]+); loss", lines[0]).groups()
    assert float(value) > 0 and float(spread) > 0
    assert lines[1] == "no warnings" and len(lines) == 5


def test_the_interface_is_that_of_the_package():
    (listing,) = re.findall(r"## Interface\n\n```\n(.*?)```", DOCUMENT, re.DOTALL)
    signatures = re.findall(r"^(\w+)\((.*?)\)(?: |$)", listing, re.MULTILINE)
    assert len(signatures) == 8
    for name, arguments in signatures:
        names = [part.split("=")[0].strip() for part in re.sub(r"SharpnessConfig\(\)", "None", arguments).split(", ")]
        given = [each for each in names if each != "*" and not each.startswith('"')]
        actual = list(inspect.signature(getattr(zkds.sharpness, name)).parameters)
        assert given == [each for each in actual if each != "kind"], name
