"""The sentences about results that say nothing of sharpness."""

import pytest

from zkds.circuits.certificate.degenerate import degenerate_warnings

pytestmark = pytest.mark.any_kernels


def test_nothing_to_warn_of():
    assert degenerate_warnings(steps=5, saturated=0, below_eps=0, surplus_classes=0) == []


def test_each_warning_begins_with_its_name():
    warnings = degenerate_warnings(steps=5, saturated=1, below_eps=5, surplus_classes=2)
    assert [warning.split(":")[0] for warning in warnings] == ["saturated batches", "ratios below eps", "surplus classes"]
    assert warnings[0].startswith("saturated batches: 1 of 5, with a mean loss below 2^-44")
    assert warnings[1].startswith("ratios below eps: 5 of 5, s^2 / L being smaller")
    assert warnings[2].startswith("surplus classes: 2, outputs of the network")
