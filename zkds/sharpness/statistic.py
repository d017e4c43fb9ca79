"""The fluctuation statistic of a probe history (paper, Section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.sharpness.config import Statistic

EPSILON = float(Configuration.eps)  # inside the logarithms
LOSS_UNIT = 2.0**-32  # what a loss of exactly 0 counts as: one unit of the last place of the proof's activations


def ratio(sharpness: float, loss: float) -> float:
    """r_t = s_t^2 / L_t."""
    return sharpness**2 / (loss or LOSS_UNIT)


def fluctuation(statistic: Statistic, sharpness: Sequence[float], losses: Sequence[float]) -> float:
    """The population standard deviation of ln(r_t + EPSILON), of s_t ("raw") or of ln(s_t + EPSILON) ("log").

    sharpness and losses: s_t and L_t for t = 0, ..., T - 1, finite and not negative.
    """
    values: NDArray[np.float64]
    if statistic == "raw":
        values = np.array(sharpness, dtype=np.float64)
    elif statistic == "log":
        values = np.log(np.array(sharpness, dtype=np.float64) + EPSILON)
    else:
        values = np.log(np.array([ratio(s, loss) for s, loss in zip(sharpness, losses, strict=True)]) + EPSILON)
    return float(np.std(values))
