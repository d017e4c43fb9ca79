"""What the benches time with."""

import statistics
import time
from collections.abc import Callable


def median_seconds(repeat: int, action: Callable[[], object]) -> float:
    """The median wall time of `repeat` calls."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
