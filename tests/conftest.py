"""Fixtures that several test files share: every set of kernels that this processor has."""

from collections.abc import Iterator

import pytest

from tests.kernels import use
from zkds import native

THREADS = (1, 2, 3)
Kernels = tuple[str, int]


@pytest.fixture(
    params=[
        pytest.param((name, threads), id=f"{name}-{threads}", marks=pytest.mark.any_kernels)
        for name in native.available_instruction_sets()
        for threads in THREADS
    ]
)
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """Every instruction set, with one thread, with two and with more than there may be cores."""
    with use(*request.param):
        yield request.param


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.any_kernels) for name in native.available_instruction_sets()])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction set, with the threads that are set."""
    with use(request.param, native.threads()):
        yield request.param
