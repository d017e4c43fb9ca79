"""Fixtures that several test files share: every set of kernels that this processor has."""

from collections.abc import Iterator

import pytest

from zkds import native

THREADS = (1, 2, 3)
Kernels = tuple[str, int]


def _use(instruction_set: str, threads: int) -> Iterator[Kernels]:
    before = native.instruction_set(), native.threads()
    native.select_instruction_set(instruction_set)
    native.set_threads(threads)
    yield instruction_set, threads
    native.select_instruction_set(before[0])
    native.set_threads(before[1])


@pytest.fixture(
    params=[
        pytest.param((name, threads), id=f"{name}-{threads}", marks=pytest.mark.any_kernels)
        for name in native.available_instruction_sets()
        for threads in THREADS
    ]
)
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """Every instruction set, with one thread, with two and with more than there may be cores."""
    yield from _use(*request.param)


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.any_kernels) for name in native.available_instruction_sets()])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction set, with the threads that are set."""
    for name, _ in _use(request.param, native.threads()):
        yield name
