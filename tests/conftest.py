"""What all tests share: every set of kernels that this processor has, and property tests that no busy machine fails."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.harness.cheating import lenient
from tests.harness.kernels import use
from zkds import native

# The same examples in every run, however long one takes: a busy machine is no failure.
settings.register_profile("zkds", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zkds")

__all__ = ["instruction_set", "kernels", "lenient"]

THREADS = (1, 2, 3)
SETS = native.available_instruction_sets()
Kernels = tuple[str, int]


def _marks(name: str, threads: int) -> list[pytest.MarkDecorator]:
    """How work is divided is the same for all sets: `make test` tries two threads with the best one."""
    return [pytest.mark.any_kernels, *([pytest.mark.long] if threads == 2 and name != SETS[-1] else [])]


@pytest.fixture(
    params=[
        pytest.param((name, threads), id=f"{name}-{threads}", marks=_marks(name, threads))
        for name in SETS
        for threads in THREADS
    ]
)
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """Every instruction set, with one thread, with two and with more than there may be cores."""
    with use(*request.param):
        yield request.param


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.any_kernels) for name in SETS])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction set, with the threads that are set."""
    with use(request.param, native.threads()):
        yield request.param
