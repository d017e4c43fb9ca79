"""Sweeps: tests that try many examples, more of them in `make test-long`. They are marked `sweep`."""

import os


def examples(usual: int) -> int:
    """How many examples a sweep tries: the usual number, ZKDS_LONG_TESTS times as many where that is set."""
    return usual * int(os.environ.get("ZKDS_LONG_TESTS", "1"))
