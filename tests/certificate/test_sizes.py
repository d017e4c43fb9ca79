"""Circuits are as large as they were: a change that makes them larger is seen, and said."""

import json

import pytest

from tests.harness.shell import ROOT
from tests.harness.sweeps import long_but
from tests.vectors.sizes import CASES, SMALL, sizes

pytestmark = pytest.mark.any_kernels

KEPT = json.loads((ROOT / "tests/vectors/sizes.json").read_text())


@pytest.mark.parametrize(("name", "sharpness"), long_but(SMALL, CASES))
def test_sizes_of_circuits(name, sharpness):
    assert sizes(name, sharpness) == KEPT[f"{name} {sharpness}"], "python -m tests.vectors.sizes, and say why in the commit"


def test_nothing_else_is_kept():
    assert set(KEPT) == {f"{name} {sharpness}" for name, sharpness in CASES}
