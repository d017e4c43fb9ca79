"""Fixtures that several test files share."""

import pytest

from zkds import native

VARIANTS = [
    pytest.param((isa, threads), id=f"{isa}-{threads}", marks=pytest.mark.any_kernels)
    for isa in native.available_instruction_sets()
    for threads in (1, 2)
]


@pytest.fixture(params=VARIANTS)
def kernels(request):
    """Every instruction set of this processor, with one thread and with two."""
    before = native.instruction_set(), native.threads()
    native.select_instruction_set(request.param[0])
    native.set_threads(request.param[1])
    yield request.param
    native.select_instruction_set(before[0])
    native.set_threads(before[1])
