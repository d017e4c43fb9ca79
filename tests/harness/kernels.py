"""Running the same thing with every set of kernels that this processor has."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from zkds import native

Result = TypeVar("Result")


@contextmanager
def use(instruction_set: str, threads: int) -> Iterator[None]:
    """One set of kernels and a number of threads, for a while."""
    before = native.instruction_set(), native.threads()
    native.select_instruction_set(instruction_set)
    native.set_threads(threads)
    try:
        yield
    finally:
        native.select_instruction_set(before[0])
        native.set_threads(before[1])


def with_all(call: Callable[[], Result]) -> list[Result]:
    """The results of `call` with every instruction set, on one thread and on three."""
    results = []
    for name, threads in itertools.product(native.available_instruction_sets(), (1, 3)):
        with use(name, threads):
            results.append(call())
    return results
