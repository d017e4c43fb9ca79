"""What `make test-long` tries beyond `make test`: more examples of sweeps, and the rest of long lists of parameters.

Tests that try many examples are marked `sweep`. Tests and parameters that repeat at length what shorter ones show are marked
`long`, and `make test` leaves them out.
"""

import os
from collections.abc import Iterable

import pytest


def examples(usual: int) -> int:
    """How many examples a sweep tries: the usual number, ZKDS_LONG_TESTS times as many where that is set."""
    return usual * int(os.environ.get("ZKDS_LONG_TESTS", "1"))


def long_but(kept: Iterable[object], parameters: Iterable[object]) -> list[object]:
    """Parameters of a test of which `make test` tries those that are kept; tuples are of several names."""
    some = list(kept)
    values = [(each, each if isinstance(each, tuple) else (each,)) for each in parameters]
    return [pytest.param(*of_names, marks=() if each in some else pytest.mark.long) for each, of_names in values]
