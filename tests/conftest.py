"""Fixtures that several test files share."""

import pytest

from zkds import native


@pytest.fixture(params=[(isa, threads) for isa in native.available_instruction_sets() for threads in (1, 2)], ids=str)
def kernels(request):
    """Every instruction set of this processor, with one thread and with two."""
    before = native.instruction_set(), native.threads()
    native.select_instruction_set(request.param[0])
    native.set_threads(request.param[1])
    yield request.param
    native.select_instruction_set(before[0])
    native.set_threads(before[1])
