"""How two groups of numbers lie to each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def probability_below(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """The probability that an entry of `low` is below one of `high`, ties counted half: the area under the ROC curve of telling
    the two apart by a threshold (Mann-Whitney). Any shapes; 1: all of `low` is below all of `high`, 0.5: chance."""
    ordered = np.sort(low, axis=None)
    below = np.searchsorted(ordered, high, side="left") + np.searchsorted(ordered, high, side="right")
    return float(below.mean() / 2 / len(ordered))
