"""What n records that were drawn from N say about all of them, with a stated confidence.

The records of an evaluation are drawn without replacement, so the number x of correct ones is hypergeometric, not binomial:

    exact       the least K for which K correct records among N give x or more among n with a probability above alpha. This is
                Clopper and Pearson's construction for the distribution that the draws have: whatever the true number is, the
                bound exceeds it with probability at most alpha
    Hoeffding   x / n - sqrt(ln(1 / alpha) / (2 n)). The inequality is about independent draws; Hoeffding's section 6 (1963,
                theorem 4) carries it over to draws without replacement

Both are one-sided, and hold for draws that nobody chose, about a model that nobody made for them. Neither says anything of
mean losses: see docs/verdict.md.
"""

from __future__ import annotations

import math

import numpy as np

CONFIDENCE = 0.99
ALPHA = 1 - CONFIDENCE
ROUNDING = 1e-9  # relative, of a tail in float64: far above what its sums of positive numbers are off by


def least_correct(count: int, drawn: int, correct: int) -> int:
    """The exact bound: at least so many of `count` records are correct, from `correct` of `drawn` ones.

    A tail within ROUNDING of ALPHA, or equal to it, counts as above it: the bound is then smaller than need be, never larger.
    """
    low, high = correct, count - (drawn - correct)  # so many at least, and at most, are seen
    if not correct:
        return 0
    while low < high:
        middle = (low + high) // 2
        if upper_tail(count, middle, drawn, correct) > ALPHA * (1 - ROUNDING):
            high = middle
        else:
            low = middle + 1
    return low


def hoeffding_accuracy(drawn: int, correct: int) -> float:
    """A lower bound for the accuracy of all records; 0 if it says nothing."""
    return max(0.0, correct / drawn - math.sqrt(-math.log(ALPHA) / (2 * drawn)))


def upper_tail(count: int, right: int, drawn: int, least: int) -> float:
    """The probability that of `drawn` records `least` or more are among the `right` ones of `count`.

    All terms from the ratios of neighbours, in proportion to the largest.
    """
    first, last = max(0, drawn - (count - right)), min(drawn, right)
    k = np.arange(first, last, dtype=np.float64)
    ratios = np.log(right - k) + np.log(drawn - k) - np.log(k + 1) - np.log(count - right - drawn + k + 1)
    logs = np.concatenate([[0.0], np.cumsum(ratios)])
    weights = np.exp(logs - logs.max())
    return float(weights[max(0, least - first) :].sum() / weights.sum())
